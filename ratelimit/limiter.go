package ratelimit

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"time"
)

const (
	// quantum is the shortest sleep above fastRate (messages a second): one
	// wake-up then grants several messages. A machine wakes a goroutine more
	// often than that neither cheaply nor with precision.
	quantum  = time.Millisecond
	fastRate = 2_000

	// longest is the longest sleep. A process that was suspended (a closed
	// laptop) has timers that stood still; it looks at the clock again at
	// least this often.
	longest = time.Minute
)

// Config is the pace of one sender.
type Config struct {
	// PerSecond is the rate in messages a second, > 0. 0 means unlimited.
	PerSecond float64

	// Burst is how many messages may go at once after idling. 0 means 1.
	Burst int

	// Jitter spreads the gap between messages: 0 is a steady beat, 1 lets each
	// message fall anywhere in its interval. The mean stays.
	Jitter float64

	// Seed makes the random choices repeatable. 0 draws a seed.
	Seed uint64
}

func (c Config) withDefaults() Config {
	if c.Burst == 0 {
		c.Burst = 1
	}
	if c.Seed == 0 {
		c.Seed = rand.Uint64() //nolint:gosec // spreads messages, guards nothing
	}
	return c
}

func (c Config) validate() error {
	switch {
	case !validRate(c.PerSecond):
		return fmt.Errorf("ratelimit: PerSecond is %v, want a finite rate ≥ 0", c.PerSecond)
	case c.Burst < 0:
		return fmt.Errorf("ratelimit: Burst is %d, want ≥ 0", c.Burst)
	case !(c.Jitter >= 0 && c.Jitter <= 1):
		return fmt.Errorf("ratelimit: Jitter is %v, want 0 to 1", c.Jitter)
	}
	return nil
}

func validRate(r float64) bool { return r >= 0 && !math.IsInf(r, 1) }

// Limiter paces one sender. Its methods may be called from any goroutine.
type Limiter struct {
	// turn is held by the one caller of Wait that sleeps for the next grant;
	// the others queue for it in order.
	turn chan struct{}

	// newTimer is time.NewTimer, save in the tests that wake up late.
	newTimer func(time.Duration) *time.Timer

	mu      sync.Mutex
	lattice lattice
	penalty penalty
	block   block
	changed chan struct{} // closed and replaced when a sleeper must look again
}

// New makes a limiter with a full bucket: the first message may go at once. A
// sender that was served before, by this process or another, needs Restore. A
// Config outside its documented ranges is a bug of the caller, and New panics.
func New(cfg Config) *Limiter {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		panic(err)
	}
	rng := rand.New(rand.NewPCG(cfg.Seed, cfg.Seed>>1)) //nolint:gosec // spreads messages, guards nothing
	return &Limiter{
		turn:     make(chan struct{}, 1),
		newTimer: time.NewTimer,
		lattice:  newLattice(cfg, rng),
		penalty:  newPenalty(cfg.PerSecond, rng),
		changed:  make(chan struct{}),
	}
}

// Wait blocks until the next message may go, in the order of the calls. Its
// return is the grant: there is nothing to give back, a caller that does not
// send has wasted one. The error is the context's cause.
func (l *Limiter) Wait(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	select {
	case l.turn <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() { <-l.turn }()

	overslept := false // the wake-up is late, not the caller
	for {
		delay, changed := l.grant(overslept)
		if delay <= 0 {
			return nil
		}
		timer := l.newTimer(min(delay, longest))
		select {
		case <-timer.C:
			overslept = true
		case <-changed:
			timer.Stop()
		case <-ctx.Done():
			timer.Stop()
			return context.Cause(ctx)
		}
	}
}

// grant takes the next message's place if its time has come; else it says how
// long to sleep, and what ends the sleep early.
func (l *Limiter) grant(overslept bool) (time.Duration, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if wait := l.block.until.Sub(now); wait > 0 {
		return wait, l.changed
	}
	if wait := l.lattice.next(now, overslept).Sub(now); wait > 0 {
		if l.lattice.perSecond > fastRate {
			wait = max(wait, quantum)
		}
		return wait, l.changed
	}
	l.lattice.commit(now)
	l.penalty.granted(now)
	return 0, nil
}

// SetRate changes the pace at once, also for callers that wait; 0 is
// unlimited. A penalty on the rate keeps its proportion, a block stays. A rate
// that is negative or not finite is a bug of the caller, and SetRate panics.
func (l *Limiter) SetRate(perSecond float64) {
	if !validRate(perSecond) {
		panic(fmt.Sprintf("ratelimit: SetRate(%v), want a finite rate ≥ 0", perSecond))
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if perSecond == l.penalty.base {
		return
	}
	l.penalty.setBase(perSecond)
	l.lattice.setBase(perSecond)
	l.lattice.setEffective(time.Now(), l.penalty.effective())
	l.wake()
}

// Throttled tells of a 429. Nothing is granted until retryAfter has passed;
// when the response did not say (0), for a random time up to 1 s, doubling
// with every further 429 up to 60 s. The rate is halved, down to a sixteenth.
// Several answers to calls that were under way together count once. It returns
// the time before which nothing is granted.
func (l *Limiter) Throttled(retryAfter time.Duration) time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	wait := l.penalty.throttled(now, l.block.until, retryAfter)
	l.lattice.setEffective(now, l.penalty.effective())
	l.blockUntil(now.Add(wait), ReasonThrottled)
	l.wake()
	return l.block.until
}

// Accepted tells of a message that was taken. After a 429 each one wins back a
// part of the rate: from half to the whole takes about 20 messages or 10 s,
// whichever is more.
func (l *Limiter) Accepted() {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if l.penalty.accepted(now) {
		l.lattice.setEffective(now, l.penalty.effective())
		l.wake()
	}
}

// BlockUntil grants nothing before t. An earlier t than one already set
// changes nothing; a time that has passed neither.
func (l *Limiter) BlockUntil(t time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.blockUntil(t, ReasonBlocked)
}

// Restore continues where an earlier holder of the sender stopped: the bucket
// is empty, and the first message goes no sooner than one interval after
// lastGrant and not before blockedUntil. Zero times say nothing.
func (l *Limiter) Restore(lastGrant, blockedUntil time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if !lastGrant.IsZero() {
		// Through the distance to now: a time from elsewhere has no monotonic
		// reading.
		l.lattice.drain(now.Add(lastGrant.Sub(now)))
	}
	l.blockUntil(blockedUntil, ReasonBlocked)
	l.wake()
}

func (l *Limiter) blockUntil(t time.Time, reason Reason) {
	now := time.Now()
	if !t.After(now) || !t.After(l.block.until) {
		return
	}
	// Blocks can last for hours, so they follow the wall clock, which goes on
	// while a machine sleeps.
	l.block = block{until: t.Round(0), reason: reason}
	// What was earned before is lost: the first message goes at t, the others
	// follow at their pace.
	l.lattice.drainUntil(now.Add(t.Sub(now)))
	l.wake()
}

// wake makes a sleeping Wait look again. The lock must be held.
func (l *Limiter) wake() {
	close(l.changed)
	l.changed = make(chan struct{})
}

// block is a time before which nothing is granted.
type block struct {
	until  time.Time // wall clock
	reason Reason
}

// Reason says why a limiter grants less than its rate.
type Reason string

// The reasons.
const (
	ReasonNone       Reason = ""           // it grants its rate
	ReasonThrottled  Reason = "throttled"  // blocked by a 429
	ReasonBlocked    Reason = "blocked"    // blocked by BlockUntil or Restore: a cap, a block inherited with the sender
	ReasonRecovering Reason = "recovering" // slower after a 429
)

// State is a limiter's condition, for display.
type State struct {
	PerSecond    float64   // the rate that was set; 0 is unlimited
	Effective    float64   // the rate now, lower after a 429; 0 is unlimited
	BlockedUntil time.Time // zero when not blocked
	Reason       Reason
}

// State is the condition now.
func (l *Limiter) State() State {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := State{PerSecond: l.penalty.base, Effective: l.penalty.effective()}
	switch {
	case l.block.until.After(time.Now()):
		s.BlockedUntil, s.Reason = l.block.until, l.block.reason
	case s.Effective != s.PerSecond:
		s.Reason = ReasonRecovering
	}
	return s
}
