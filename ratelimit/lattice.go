package ratelimit

import (
	"math/rand/v2"
	"time"

	"golang.org/x/time/rate"
)

// catchUp is how much lateness of the machine is made up for. More would turn
// a stall into a burst.
const catchUp = 20 * time.Millisecond

// forever stands for a due time that no Duration can express.
const forever = 100 * 365 * 24 * time.Hour

// lattice knows when the next message is due. The token bucket beneath it runs
// on the lattice's own time, which is the due time of the last message, not
// the moment it was granted: that is how lateness is made up for instead of
// adding up. The history of real moments has the last word.
//
// It is not safe for concurrent use; Limiter guards it.
type lattice struct {
	perSecond float64 // effective; 0 is unlimited
	burst     int
	jitter    float64
	rng       *rand.Rand

	bucket  *rate.Limiter // nil when unlimited
	anchor  time.Time     // the bucket's time: when the last message was due
	due     time.Time     // what next found
	last    time.Time     // when the last message was granted
	offset  float64       // 0…1: where in its slot the next message falls
	history history
}

func newLattice(cfg Config, rng *rand.Rand) lattice {
	l := lattice{burst: cfg.Burst, jitter: cfg.Jitter, rng: rng, offset: rng.Float64()}
	l.setBase(cfg.PerSecond)
	l.perSecond = cfg.PerSecond
	if l.perSecond > 0 {
		l.bucket = rate.NewLimiter(rate.Limit(l.perSecond), l.burst)
	}
	return l
}

// next is the moment the next message may go; it has come when it is not after
// now. overslept says that a caller waited for it and woke up too late.
func (l *lattice) next(now time.Time, overslept bool) time.Time {
	if l.bucket == nil {
		return now
	}
	slot := l.seconds(l.jitter / l.perSecond)
	offset := time.Duration(l.offset * float64(slot))
	due := l.dueFrom(l.anchor)
	if now.Sub(due) > catchUp+slot {
		// Too late for its place in the lattice, so the lattice moves: up to
		// now after idling, to the limit of what may be made up for when the
		// machine was late.
		start := now
		if overslept {
			start = now.Add(-catchUp)
		}
		due, offset = l.dueFrom(start), 0
	}
	l.due = due
	at := due.Add(offset)
	if at.Before(l.last) {
		at = l.last
	}
	if free := l.history.free(); free.After(at) {
		at = free
	}
	return at
}

// commit takes the place that next found.
func (l *lattice) commit(now time.Time) {
	if l.bucket == nil {
		return
	}
	l.bucket.ReserveN(l.due, 1)
	l.anchor, l.last, l.offset = l.due, now, l.rng.Float64()
	l.history.add(now)
}

// dueFrom is when the bucket has a whole token, seen from at.
func (l *lattice) dueFrom(at time.Time) time.Time {
	missing := 1 - l.bucket.TokensAt(at)
	if missing <= 0 {
		return at
	}
	return at.Add(l.seconds(missing / l.perSecond))
}

func (l *lattice) seconds(s float64) time.Duration {
	if s >= forever.Seconds() {
		return forever
	}
	return time.Duration(s * float64(time.Second))
}

// setBase sets the rate that windows are measured against.
func (l *lattice) setBase(perSecond float64) {
	l.history.setLimits(windows(perSecond, l.burst, l.jitter))
}

// setEffective sets the rate that messages are granted at.
func (l *lattice) setEffective(now time.Time, perSecond float64) {
	if perSecond == l.perSecond {
		return
	}
	l.perSecond = perSecond
	switch {
	case perSecond == 0:
		l.bucket = nil
	case l.bucket == nil:
		l.empty(now)
	default:
		if l.anchor.Before(now) {
			l.anchor = now
		}
		l.bucket.SetLimitAt(l.anchor, rate.Limit(perSecond))
	}
}

// drain says that a message went at t, and that nothing was saved up then.
func (l *lattice) drain(t time.Time) {
	if l.bucket != nil && t.After(l.anchor) {
		l.empty(t)
	}
}

// drainUntil makes the next message due at t, with nothing saved up.
func (l *lattice) drainUntil(t time.Time) {
	if l.bucket != nil {
		l.drain(t.Add(-l.seconds(1 / l.perSecond)))
	}
}

func (l *lattice) empty(t time.Time) {
	l.bucket = rate.NewLimiter(rate.Limit(l.perSecond), l.burst)
	l.bucket.ReserveN(t, l.burst)
	l.anchor = t
}
