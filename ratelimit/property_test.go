package ratelimit

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// Whatever the rate, the stalls and the lateness: no window holds more than
// promised, and no more is granted overall than the rate allows.
func TestWindowsHoldForAnyLoad(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		cfg := Config{
			PerSecond: math.Exp(rapid.Float64Range(math.Log(1.0/60), math.Log(800)).Draw(rt, "rate ln")),
			Burst:     rapid.IntRange(1, 5).Draw(rt, "burst"),
			Seed:      rapid.Uint64().Draw(rt, "seed"),
		}
		if rapid.Bool().Draw(rt, "round") {
			cfg.PerSecond = max(1, math.Round(cfg.PerSecond))
		}
		if rapid.Bool().Draw(rt, "jittered") {
			cfg.Jitter = rapid.Float64Range(0, 1).Draw(rt, "jitter")
		}
		// Stalls of the caller in intervals, mostly none; lateness of the
		// machine in milliseconds.
		stalls := rapid.SliceOfN(rapid.SampledFrom([]float64{0, 0, 0, 0.3, 0.9, 1.5, 10, 70}), 1, 20).Draw(rt, "stalls")
		lateness := rapid.SliceOfN(rapid.SampledFrom([]int{0, 0, 0, 1, 5, 19, 40, 900}), 1, 20).Draw(rt, "lateness")

		grants := make([]time.Duration, 0, 1500)
		synctest.Test(t, func(t *testing.T) {
			l := New(cfg)
			wakes := 0
			l.newTimer = func(d time.Duration) *time.Timer {
				wakes++
				return time.NewTimer(d + time.Duration(lateness[wakes%len(lateness)])*time.Millisecond)
			}
			start := time.Now()
			for i := range cap(grants) {
				if l.Wait(t.Context()) != nil {
					return
				}
				grants = append(grants, time.Since(start))
				if stall := stalls[i%len(stalls)]; stall > 0 {
					<-time.After(time.Duration(stall / cfg.PerSecond * float64(time.Second)))
				}
			}
		})
		if len(grants) != cap(grants) {
			rt.Fatalf("%d grants, want %d", len(grants), cap(grants))
		}
		checkWindows(rt, grants, cfg)
		most := float64(cfg.Burst) + 1 + cfg.PerSecond*(grants[len(grants)-1]+catchUp).Seconds()
		if n := len(grants); float64(n) > most {
			rt.Errorf("%d grants in %v, want ≤ %.1f", n, grants[n-1], most)
		}
	})
}

// step is one thing that happens to a limiter.
type step struct {
	what   int // see TestStateStaysSane
	amount int
}

// Throttles, blocks, changes of the rate, time and messages in any order never
// break what is true of every state.
func TestStateStaysSane(t *testing.T) {
	t.Parallel()
	rates := []float64{0, 0.1, 7, 300}
	rapid.Check(t, func(rt *rapid.T) {
		rate := rapid.SampledFrom(rates).Draw(rt, "rate")
		steps := rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) step {
			return step{rapid.IntRange(0, 5).Draw(rt, "what"), rapid.IntRange(0, 7).Draw(rt, "amount")}
		}), 1, 60).Draw(rt, "steps")

		var problems []string
		synctest.Test(t, func(t *testing.T) {
			say := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
			l := New(Config{PerSecond: rate, Seed: 9})
			for _, step := range steps {
				before := l.State()
				switch step.what {
				case 0:
					l.Throttled(time.Duration(step.amount) * time.Second)
					if s := l.State(); s.BlockedUntil.Before(before.BlockedUntil) {
						say("a 429 shortened the block from %v to %v", before.BlockedUntil, s.BlockedUntil)
					}
				case 1:
					l.Accepted()
				case 2:
					l.SetRate(rates[step.amount%len(rates)])
				case 3:
					l.BlockUntil(time.Now().Add(time.Duration(step.amount-3) * time.Second))
				case 4:
					<-time.After(time.Duration(step.amount) * 500 * time.Millisecond)
				case 5:
					if err := l.Wait(t.Context()); err != nil {
						say("wait: %v", err)
					}
					if time.Now().Before(before.BlockedUntil) {
						say("granted %v before the block ended", time.Until(before.BlockedUntil))
					}
				}
				s := l.State()
				switch {
				case math.IsNaN(s.Effective) || math.IsInf(s.Effective, 0) || s.Effective < 0:
					say("effective rate is %v", s.Effective)
				case s.PerSecond > 0 && (s.Effective == 0 || s.Effective > s.PerSecond):
					say("effective rate %v outside (0, %v]", s.Effective, s.PerSecond)
				case s.BlockedUntil.IsZero() != (s.Reason == ReasonNone || s.Reason == ReasonRecovering):
					say("blocked until %v, but the reason is %q", s.BlockedUntil, s.Reason)
				}
			}
		})
		for _, p := range problems {
			rt.Error(p)
		}
	})
}

// The bucket underneath is exact: a lattice of a million places does not
// drift.
func TestLatticeDoesNotDrift(t *testing.T) {
	t.Parallel()
	for _, perSecond := range []float64{1.0 / 3, 0.7, 3, 7, 333.3} {
		rng := rand.New(rand.NewPCG(1, 1))
		l := newLattice(Config{PerSecond: perSecond, Burst: 1}, rng)
		l.history.setLimits(nil)
		start := time.Date(2026, 11, 28, 10, 0, 0, 0, time.UTC)
		const n = 1_000_000
		now := start
		for range n {
			now = l.next(now, false)
			l.commit(now)
		}
		want := time.Duration((n - 1) / perSecond * float64(time.Second))
		if off := now.Sub(start) - want; off.Abs() > time.Millisecond {
			t.Errorf("%v/s: place %d is off by %v", perSecond, n, off)
		}
	}
}
