package ratelimit

import (
	"math"
	"time"
)

// minuteRate is the highest rate, in messages a second, for which a whole
// minute of grants is remembered. Above it the limit on each second is within
// 1 % of the minute's anyway.
const minuteRate = 100

// window is a promise: no half-open stretch of this length holds more than max
// grants.
type window struct {
	length time.Duration
	max    int
}

// windows are the promises of a rate. Jitter needs room for one message more,
// or each second would have to repeat the one before it, and chance would die
// out.
func windows(perSecond float64, burst int, jitter float64) []window {
	if perSecond == 0 {
		return nil
	}
	most := func(seconds float64) int {
		n := perSecond * seconds
		whole := math.Ceil(n - 1e-9) // 20 a minute are 20, not 20.000000000000004
		if jitter > 0 && n >= 1 {
			whole = max(whole, math.Floor(n+1e-9)+1)
		}
		return max(int(min(whole, math.MaxInt32)), 1, burst)
	}
	tenth := int(min(math.Floor(perSecond/5+1e-9)+1, math.MaxInt32))
	w := []window{
		{100 * time.Millisecond, max(tenth, burst)},
		{time.Second, most(1)},
	}
	if perSecond <= minuteRate {
		w = append(w, window{time.Minute, most(60)})
	}
	return w
}

// history remembers the latest grants, as many as the widest window holds.
type history struct {
	limits []window
	size   int
	origin time.Time       // the first grant
	grants []time.Duration // after origin, in order; the latest size of them count
	since  int             // grants since the limits were set
}

// setLimits changes the promises. A lower rate must not make the next message
// wait for a minute of faster ones to pass: only stretches up to a second look
// behind the change.
func (h *history) setLimits(limits []window) {
	h.limits, h.size, h.since = limits, 0, 0
	for _, w := range limits {
		h.size = max(h.size, w.max)
	}
	if h.size == 0 {
		h.grants = nil
	}
}

// add remembers a grant.
func (h *history) add(now time.Time) {
	if h.size == 0 {
		return
	}
	if h.origin.IsZero() {
		h.origin = now
	}
	if len(h.grants) >= 2*h.size {
		h.grants = append(h.grants[:0], h.grants[len(h.grants)-h.size:]...)
	}
	h.grants = append(h.grants, now.Sub(h.origin))
	h.since++
}

// free is the earliest moment at which one grant more breaks no promise; the
// zero time when that is any moment.
func (h *history) free() time.Time {
	var free time.Time
	for _, w := range h.limits {
		i := len(h.grants) - w.max
		if i < 0 || w.length > time.Second && h.since < w.max {
			continue
		}
		if t := h.origin.Add(h.grants[i] + w.length); t.After(free) {
			free = t
		}
	}
	return free
}
