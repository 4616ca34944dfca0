package dispatcher

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestBreakerOpensAfterAStreakAndProbesOneByOne(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(3, time.Second, 8*time.Second)
		for range 2 {
			if outage := b.failed(false); outage != 0 {
				t.Fatalf("open after fewer than 3 failures (outage %s)", outage)
			}
		}
		b.failed(false)

		granted := make(chan time.Time, 100)
		ctx, cancel := context.WithCancel(t.Context())
		waiting := make(chan struct{})
		go func() {
			defer close(waiting)
			for {
				if _, err := b.wait(ctx); err != nil {
					return
				}
				granted <- time.Now()
			}
		}()
		began := time.Now()
		synctest.Wait()
		if len(granted) != 0 {
			t.Fatal("a call was let through while the breaker was open")
		}
		probe := <-granted
		if waited := probe.Sub(began); waited < 500*time.Millisecond || waited > time.Second {
			t.Errorf("the first probe came after %s, want 0.5 to 1 s", waited)
		}
		pause(t.Context(), time.Minute)
		synctest.Wait()
		if len(granted) != 0 {
			t.Error("a second call was let through while the probe was out")
		}
		b.failed(true)
		failedAt := time.Now()
		if waited := (<-granted).Sub(failedAt); waited < time.Second || waited > 2*time.Second {
			t.Errorf("the second probe came after %s, want 1 to 2 s", waited)
		}
		b.answered()
		<-granted
		<-granted // closed again: calls go through without waiting
		cancel()
		for {
			select {
			case <-granted:
				continue
			case <-waiting:
			}
			break
		}
	})
}

func TestBreakerTellsHowLongTheOutageLasts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(1, time.Second, time.Minute)
		b.failed(false)
		pause(t.Context(), 90*time.Second)
		if outage := b.failed(false); outage != 90*time.Second {
			t.Errorf("outage = %s, want 1m30s", outage)
		}
		b.answered()
		if outage := b.failed(false); outage != 0 {
			t.Errorf("outage = %s after an answer, want 0", outage)
		}
	})
}

func TestBreakerWaitEndsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(1, time.Hour, time.Hour)
		b.failed(false)
		cause := errors.New("stopped")
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(cause)
		if _, err := b.wait(ctx); !errors.Is(err, cause) {
			t.Errorf("wait = %v, want the context's cause", err)
		}
	})
}

func TestBreakerProbeThatWasNotMadeFreesTheWay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(1, time.Second, time.Second)
		b.failed(false)
		probe, err := b.wait(t.Context())
		if err != nil || !probe {
			t.Fatalf("wait = %t, %v; want the probe", probe, err)
		}
		b.released(probe)
		done := make(chan struct{})
		go func() {
			defer close(done)
			if _, err := b.wait(t.Context()); err != nil {
				t.Error(err)
			}
		}()
		<-done // would deadlock the bubble if the probe's place were not free
	})
}

func TestOldCallsDoNotStandInForTheProbe(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(1, time.Second, time.Minute)
		b.failed(false)
		if probe, err := b.wait(t.Context()); err != nil || !probe {
			t.Fatalf("wait = %t, %v; want the probe", probe, err)
		}
		// Calls that went out before the breaker opened come back now: one
		// without an answer, one that was not made after all.
		b.failed(false)
		b.released(false)
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if _, err := b.wait(ctx); err == nil {
			t.Error("a second call was let through while the probe was out")
		}
		b.failed(true)
		if probe, err := b.wait(t.Context()); err != nil || !probe {
			t.Errorf("wait = %t, %v; want the next probe", probe, err)
		}
	})
}
