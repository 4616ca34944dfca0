package ratelimit

import (
	"math/rand/v2"
	"time"
)

const (
	firstBackoff = time.Second
	maxBackoff   = time.Minute

	// episode is the least time in which further 429 are taken for answers to
	// calls that were under way together with the first.
	episode = time.Second

	// maxSlowdown bounds the halving: slower than that, winning the rate back
	// would take hours at slow rates.
	maxSlowdown = 16

	// leastCeiling is what an unlimited sender counts as having reached when
	// the first 429 meets it before it got going. Slowed all the way down it
	// still tries once a second: an API that takes less says so every time.
	leastCeiling = maxSlowdown
)

// penalty is the slower rate after a 429: halved at once, won back bit by bit.
//
// It is not safe for concurrent use; Limiter guards it.
type penalty struct {
	base float64 // the rate that was set; 0 is unlimited
	rng  *rand.Rand

	slowed  bool
	ceiling float64 // when slowed: the rate to win back, > 0
	current float64 // when slowed: the rate now, > 0

	streak int       // 429s without a message accepted in between
	until  time.Time // end of the current episode

	meter meter
}

func newPenalty(base float64, rng *rand.Rand) penalty { return penalty{base: base, rng: rng} }

// effective is the rate now; 0 is unlimited.
func (p *penalty) effective() float64 {
	if p.slowed {
		return p.current
	}
	return p.base
}

// setBase changes the rate; a penalty keeps its proportion.
func (p *penalty) setBase(perSecond float64) {
	if p.slowed && perSecond > 0 {
		p.current, p.ceiling = perSecond*p.current/p.ceiling, perSecond
	}
	p.base = perSecond
}

// granted counts a message, so that "half of unlimited" has a meaning.
func (p *penalty) granted(now time.Time) {
	if p.base == 0 {
		p.meter.count(now)
	}
}

// throttled takes a 429 into account and says how long to wait. blocked is
// until when nothing is granted already.
func (p *penalty) throttled(now, blocked time.Time, retryAfter time.Duration) time.Duration {
	again := now.Before(p.until)
	if !again {
		p.slowDown(now)
		p.streak++
	}
	wait := retryAfter
	if wait <= 0 && !again {
		limit := maxBackoff
		if n := p.streak - 1; n < 6 {
			limit = min(limit, firstBackoff<<n)
		}
		wait = time.Duration((1 - p.rng.Float64()) * float64(limit)) // > 0
	}
	ends := []time.Time{now.Add(wait)}
	if !again {
		ends = append(ends, blocked, now.Add(episode))
	}
	for _, t := range ends {
		if t.After(p.until) {
			p.until = t
		}
	}
	return max(wait, 0)
}

func (p *penalty) slowDown(now time.Time) {
	if !p.slowed {
		p.ceiling = p.base
		if p.base == 0 {
			p.ceiling = max(p.meter.perSecond(now), leastCeiling)
		}
		p.slowed, p.current = true, p.ceiling
	}
	p.current = max(p.current/2, p.ceiling/maxSlowdown)
}

// accepted wins back a part of the rate and says whether the rate changed. A
// message that was under way during the 429 proves nothing.
func (p *penalty) accepted(now time.Time) bool {
	if !p.slowed || now.Before(p.until) {
		return false
	}
	p.streak = 0
	p.current += p.ceiling / max(40, 20*p.ceiling)
	if p.current >= p.ceiling {
		p.slowed = false
	}
	return true
}

// meter measures the rate of an unlimited sender, by whole seconds.
type meter struct {
	start    time.Time
	n        float64
	previous float64
}

func (m *meter) count(now time.Time) {
	if age := now.Sub(m.start).Seconds(); age >= 1 {
		m.previous = m.n / age
		m.start, m.n = now, 0
	}
	m.n++
}

func (m *meter) perSecond(now time.Time) float64 {
	if now.Sub(m.start) >= 2*time.Second {
		return 0
	}
	return max(m.previous, m.n)
}
