package dispatcher

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"
)

// breaker keeps a dead API from being hammered, and people from being tried
// one after the other against it: after a streak of calls without an answer
// that makes sense it opens, waits, lets a single probe through, and closes on
// the first answer (reliability page §3.4).
type breaker struct {
	streak int           // failures in a row that open it
	first  time.Duration // wait after opening; doubles with every failed probe
	most   time.Duration // longest wait

	mu       sync.Mutex
	failures int
	opens    int           // consecutive openings without a success in between
	since    time.Time     // when the present outage was noticed; zero when closed
	until    time.Time     // no grant before
	probing  bool          // one call is out to see whether the API is back
	changed  chan struct{} // closed and renewed whenever the fields above change
}

func newBreaker(streak int, first, most time.Duration) *breaker {
	return &breaker{streak: streak, first: first, most: most, changed: make(chan struct{})}
}

// wait returns when the next call may go out, and whether that call is the
// probe: whoever makes it must say so to released or failed.
func (b *breaker) wait(ctx context.Context) (probe bool, err error) {
	for {
		if ctx.Err() != nil {
			return false, context.Cause(ctx)
		}
		b.mu.Lock()
		if b.since.IsZero() {
			b.mu.Unlock()
			return false, nil
		}
		rest := time.Until(b.until)
		if rest <= 0 && !b.probing {
			b.probing = true
			b.mu.Unlock()
			return true, nil
		}
		changed := b.changed
		b.mu.Unlock()

		var due <-chan time.Time
		if rest > 0 {
			timer := time.NewTimer(rest)
			defer timer.Stop()
			due = timer.C
		}
		select {
		case <-ctx.Done():
			return false, context.Cause(ctx)
		case <-changed:
		case <-due:
		}
	}
}

// answered says that the API gave an answer that makes sense.
func (b *breaker) answered() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.failures, b.opens = 0, 0
	b.since, b.until, b.probing = time.Time{}, time.Time{}, false
	b.signal()
}

// released says that a granted call was not made after all. Only the probe
// itself frees the probe's place.
func (b *breaker) released(probe bool) {
	if !probe {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.probing = false
	b.signal()
}

// failed says that a call got no answer that makes sense, and returns how long
// that has been going on; zero while the breaker is closed.
func (b *breaker) failed(probe bool) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.failures++
	if b.since.IsZero() && b.failures < b.streak {
		return 0
	}
	now := time.Now()
	// Calls that were out when it opened neither lengthen the wait nor stand in
	// for the probe.
	if opening := b.since.IsZero(); opening || probe {
		if opening {
			b.since, b.opens = now, 0
		}
		wait := min(b.first<<min(b.opens, 16), b.most)
		b.until = now.Add(wait/2 + rand.N(wait/2+1)) //nolint:gosec // jitter needs no secrecy
		b.opens++
		b.probing = false
	}
	b.signal()
	return now.Sub(b.since)
}

// signal wakes waiters; the caller holds mu.
func (b *breaker) signal() {
	close(b.changed)
	b.changed = make(chan struct{})
}
