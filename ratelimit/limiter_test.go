package ratelimit

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// load is a crowd of callers, each of which waits, takes a while and comes
// back. It runs on fake time.
type load struct {
	cfg     Config
	callers int
	length  time.Duration
	busy    time.Duration // each call takes 0 to this long
	late    time.Duration // each wake-up comes 0 to this late
	spike   time.Duration // … and one of two hundred this late
}

// grants runs the load and returns the moments of the grants.
func (ld load) grants(t *testing.T) []time.Duration {
	t.Helper()
	var all []time.Duration
	synctest.Test(t, func(t *testing.T) {
		l := New(ld.cfg)
		rng := rand.New(rand.NewPCG(ld.cfg.Seed, 7))
		var mu sync.Mutex
		random := func(upTo time.Duration) time.Duration {
			mu.Lock()
			defer mu.Unlock()
			return time.Duration(rng.Float64() * float64(upTo))
		}
		l.newTimer = func(d time.Duration) *time.Timer {
			late := random(ld.late)
			if ld.spike > 0 && random(200) == 0 {
				late = ld.spike
			}
			return time.NewTimer(d + late)
		}
		all = ld.run(t, l, random)
	})
	return all
}

func (ld load) run(t *testing.T, l *Limiter, random func(time.Duration) time.Duration) []time.Duration {
	t.Helper()
	var (
		mu  sync.Mutex
		wg  sync.WaitGroup
		all []time.Duration
	)
	start := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), ld.length)
	defer cancel()
	for range ld.callers {
		wg.Go(func() {
			for l.Wait(ctx) == nil {
				mu.Lock()
				all = append(all, time.Since(start))
				mu.Unlock()
				if ld.busy > 0 {
					<-time.After(random(ld.busy))
				}
			}
		})
	}
	wg.Wait()
	return all
}

func mean(grants []time.Duration) float64 {
	if len(grants) < 2 {
		return 0
	}
	return float64(len(grants)-1) / (grants[len(grants)-1] - grants[0]).Seconds()
}

// densest is the largest number of grants in any half-open window.
func densest(grants []time.Duration, length time.Duration) int {
	most, first := 0, 0
	for i, g := range grants {
		for g-grants[first] >= length {
			first++
		}
		most = max(most, i-first+1)
	}
	return most
}

// reporter is what *testing.T and *rapid.T have in common.
type reporter interface {
	Helper()
	Errorf(format string, args ...any)
}

// checkWindows holds the grants against the promises of the package.
func checkWindows(t reporter, grants []time.Duration, cfg Config) {
	t.Helper()
	burst := max(cfg.Burst, 1)
	extra := 0.0
	if cfg.Jitter > 0 {
		extra = 1
	}
	limit := func(n float64) int { return max(burst, 1, int(math.Ceil(n-1e-9)), int(n+1e-9+extra)) }
	for length, want := range map[time.Duration]int{
		100 * time.Millisecond: max(burst, int(cfg.PerSecond/5+1e-9)+1),
		time.Second:            limit(cfg.PerSecond),
		time.Minute:            limit(cfg.PerSecond * 60),
	} {
		if length == time.Minute && cfg.PerSecond > minuteRate {
			continue
		}
		if got := densest(grants, length); got > want {
			t.Errorf("densest %v holds %d grants, want ≤ %d", length, got, want)
		}
	}
}

func TestPace(t *testing.T) {
	t.Parallel()
	const ms = time.Millisecond
	for name, ld := range map[string]load{
		"20/m":                    {cfg: Config{PerSecond: 20.0 / 60}, callers: 1, length: time.Hour},
		"20/m busy, late":         {cfg: Config{PerSecond: 20.0 / 60}, callers: 1, length: time.Hour, busy: 500 * ms, late: 5 * ms, spike: 20 * ms},
		"20/m jitter":             {cfg: Config{PerSecond: 20.0 / 60, Jitter: 0.5}, callers: 1, length: 10 * time.Hour, busy: 500 * ms, late: 2 * ms},
		"4/m full jitter":         {cfg: Config{PerSecond: 4.0 / 60, Jitter: 1}, callers: 1, length: 50 * time.Hour, busy: 500 * ms, late: 2 * ms},
		"1/s":                     {cfg: Config{PerSecond: 1}, callers: 1, length: 10 * time.Minute, busy: 500 * ms, late: 2 * ms, spike: 20 * ms},
		"1.5/s":                   {cfg: Config{PerSecond: 1.5}, callers: 4, length: 10 * time.Minute, busy: 500 * ms, late: 2 * ms, spike: 20 * ms},
		"5/s":                     {cfg: Config{PerSecond: 5}, callers: 8, length: 10 * time.Minute, busy: 500 * ms, late: 2 * ms, spike: 20 * ms},
		"5/s jitter":              {cfg: Config{PerSecond: 5, Jitter: 0.7}, callers: 8, length: 10 * time.Minute, busy: 500 * ms, late: 2 * ms},
		"100/s":                   {cfg: Config{PerSecond: 100}, callers: 64, length: 2 * time.Minute, busy: 500 * ms, late: 2 * ms, spike: 20 * ms},
		"1000/s":                  {cfg: Config{PerSecond: 1000}, callers: 400, length: time.Minute, busy: 500 * ms, late: 2 * ms, spike: 20 * ms},
		"1000/s jitter":           {cfg: Config{PerSecond: 1000, Jitter: 1}, callers: 400, length: 20 * time.Second, busy: 500 * ms, late: 1 * ms},
		"5000/s":                  {cfg: Config{PerSecond: 5000}, callers: 64, length: 10 * time.Second, busy: ms, late: ms},
		"burst changes no window": {cfg: Config{PerSecond: 5, Burst: 4}, callers: 8, length: 5 * time.Minute, busy: 500 * ms, late: 2 * ms},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ld.cfg.Seed = 42
			grants := ld.grants(t)
			if got := mean(grants)/ld.cfg.PerSecond - 1; math.Abs(got) > 0.005 {
				t.Errorf("mean is off by %+.3f %%, want within 0.5 %% (%d grants)", 100*got, len(grants))
			}
			checkWindows(t, grants, ld.cfg)
		})
	}
}

func TestUnlimitedDoesNotWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := New(Config{})
		start := time.Now()
		for range 10_000 {
			if err := l.Wait(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if d := time.Since(start); d != 0 {
			t.Errorf("10,000 grants took %v of fake time", d)
		}
	})
}

func TestJitterSpreadsTheGaps(t *testing.T) {
	t.Parallel()
	ld := load{cfg: Config{PerSecond: 1.0 / 15, Jitter: 0.5, Seed: 3}, callers: 1, length: 100 * time.Hour}
	grants := ld.grants(t)
	gaps := make([]time.Duration, 0, len(grants))
	for i := range len(grants) - 1 {
		gaps = append(gaps, grants[i+1]-grants[i])
	}
	slices.Sort(gaps)
	least, most := gaps[0], gaps[len(gaps)-1]
	if least < 7500*time.Millisecond || most > 22500*time.Millisecond {
		t.Errorf("gaps from %v to %v, want within 15 s ± 50 %%", least, most)
	}
	if low, high := gaps[len(gaps)/10], gaps[len(gaps)*9/10]; high-low < 5*time.Second {
		t.Errorf("the middle 80 %% of gaps is %v to %v: hardly spread", low, high)
	}
}

// take counts the grants to be had within a stretch.
func take(t *testing.T, l *Limiter, length time.Duration) []time.Duration {
	t.Helper()
	return load{callers: 1, length: length}.run(t, l, nil)
}

func TestIdlingEarnsNoMoreThanBurst(t *testing.T) {
	t.Parallel()
	for _, burst := range []int{1, 3} {
		synctest.Test(t, func(t *testing.T) {
			l := New(Config{PerSecond: 10, Burst: burst})
			take(t, l, 5*time.Second)
			<-time.After(time.Hour)
			grants := take(t, l, 95*time.Millisecond)
			if len(grants) != burst {
				t.Errorf("burst %d: %d grants at once after an idle hour", burst, len(grants))
			}
		})
	}
}

func TestLatenessIsMadeUpForWithinReason(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := New(Config{PerSecond: 1000})
		frozen := false
		l.newTimer = func(d time.Duration) *time.Timer {
			if !frozen {
				frozen = true
				d += 5 * time.Second // the machine stood still
			}
			return time.NewTimer(d)
		}
		grants := take(t, l, 6*time.Second)
		woke := slices.IndexFunc(grants, func(g time.Duration) bool { return g > time.Second })
		if woke < 0 {
			t.Fatal("nothing granted after the freeze")
		}
		at := grants[woke]
		n := 0
		for _, g := range grants[woke:] {
			if g == at {
				n++
			}
		}
		if n < 15 || n > 21 {
			t.Errorf("%d grants at once after 5 s of lateness, want about 20", n)
		}
		checkWindows(t, grants, Config{PerSecond: 1000})
	})
}

func TestSetRateActsOnSleepers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := New(Config{PerSecond: 1.0 / 3600})
		if err := l.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		done := make(chan error, 1)
		go func() { done <- l.Wait(t.Context()) }()
		synctest.Wait()
		l.SetRate(10)
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if d := time.Since(start); d > 100*time.Millisecond {
			t.Errorf("a sleeper at one an hour woke %v after the rate became 10/s", d)
		}
		if got := mean(take(t, l, time.Minute)); math.Abs(got/10-1) > 0.005 {
			t.Errorf("rate is %.3f/s after SetRate(10)", got)
		}
		l.SetRate(2)
		grants := take(t, l, time.Minute)
		if got := densest(grants, time.Second); got > 2 {
			t.Errorf("%d grants in a second after SetRate(2)", got)
		}
		if got := mean(grants); math.Abs(got/2-1) > 0.005 {
			t.Errorf("rate is %.3f/s after SetRate(2)", got)
		}
		l.SetRate(0)
		if err := l.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := l.State().Effective; n != 0 {
			t.Errorf("effective rate is %v after SetRate(0), want 0 for unlimited", n)
		}
	})
}

func TestThrottledWithHeader(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := New(Config{PerSecond: 10})
		take(t, l, 10*time.Second)
		before := time.Now()
		for range 16 { // all calls under way come back with it
			l.Throttled(30 * time.Second)
		}
		s := l.State()
		if s.Reason != ReasonThrottled || !s.BlockedUntil.Equal(before.Add(30*time.Second)) || s.Effective != 5 {
			t.Errorf("state after one burst of 429s: %+v, want blocked for 30 s at half the rate", s)
		}
		if n := len(take(t, l, 29900*time.Millisecond)); n != 0 {
			t.Errorf("%d grants before Retry-After was over", n)
		}
		grants := take(t, l, 20*time.Second)
		if got := mean(grants); math.Abs(got/5-1) > 0.005 {
			t.Errorf("rate is %.3f/s after the block, want 5", got)
		}
		if n := densest(grants, 100*time.Millisecond); n > 1 {
			t.Errorf("%d grants in 100 ms when the block was lifted", n)
		}
		if s := l.State(); s.Reason != ReasonRecovering || !s.BlockedUntil.IsZero() {
			t.Errorf("state after the block: %+v, want recovering", s)
		}
		last := l.State().Effective
		for range 100 {
			l.Accepted()
			now := l.State().Effective
			if now < last || now > 10 {
				t.Fatalf("rate went from %v to %v on an accepted message", last, now)
			}
			last = now
		}
		if s := l.State(); s != (State{PerSecond: 10, Effective: 10}) {
			t.Errorf("state after 100 accepted messages: %+v, want as set", s)
		}
	})
}

func TestThrottledWithoutHeader(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := New(Config{PerSecond: 8, Seed: 5})
		longestWait := time.Duration(0)
		for i := range 40 {
			before := time.Now()
			l.Throttled(0)
			wait := l.State().BlockedUntil.Sub(before)
			limit := min(time.Minute, time.Second<<min(i, 10))
			if wait <= 0 || wait > limit {
				t.Errorf("429 number %d blocks for %v, want up to %v", i+1, wait, limit)
			}
			longestWait = max(longestWait, wait)
			<-time.After(wait + episode)
		}
		if longestWait < 30*time.Second {
			t.Errorf("40 times 429 never blocked for more than %v", longestWait)
		}
		if got := l.State().Effective; got != 0.5 {
			t.Errorf("rate is %v after 40 times 429, want a sixteenth of 8", got)
		}
		l.Accepted() // ends the streak
		before := time.Now()
		l.Throttled(0)
		if wait := l.State().BlockedUntil.Sub(before); wait > time.Second {
			t.Errorf("first 429 after an accepted message blocks for %v", wait)
		}
	})
}

func TestThrottledUnlimited(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := New(Config{})
		for range 400 {
			<-time.After(5 * time.Millisecond) // 200/s
			if err := l.Wait(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		l.Throttled(time.Second)
		if got := l.State().Effective; got < 90 || got > 110 {
			t.Errorf("rate is %v after a 429 at 200/s, want about 100", got)
		}
		<-time.After(2 * time.Second)
		for range 10_000 {
			l.Accepted()
		}
		if s := l.State(); s != (State{}) {
			t.Errorf("state after recovery: %+v, want unlimited", s)
		}
	})
}

func TestBlockUntil(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := New(Config{PerSecond: 1, Burst: 5})
		at := time.Now().Add(20 * time.Hour)
		l.BlockUntil(at)
		l.BlockUntil(at.Add(-time.Hour)) // changes nothing
		l.BlockUntil(time.Time{})
		if s := l.State(); s.Reason != ReasonBlocked || !s.BlockedUntil.Equal(at) {
			t.Errorf("state: %+v, want blocked until %v", s, at)
		}
		grants := take(t, l, 20*time.Hour+2500*time.Millisecond)
		want := []time.Duration{20 * time.Hour, 20*time.Hour + time.Second, 20*time.Hour + 2*time.Second}
		if !slices.Equal(grants, want) {
			t.Errorf("grants at %v, want %v: no burst when a block ends", grants, want)
		}
	})
}

func TestRestore(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		ago     time.Duration // of the last grant
		blocked time.Duration // from now
		want    time.Duration // first grant, from now
	}{
		"just sent":             {ago: time.Second, want: 59 * time.Second},
		"sent this instant":     {ago: 0, want: time.Minute},
		"long ago":              {ago: time.Hour, want: 0},
		"blocked":               {ago: time.Hour, blocked: 90 * time.Second, want: 90 * time.Second},
		"block ended":           {ago: time.Second, blocked: -time.Second, want: 59 * time.Second},
		"block ends before gap": {ago: time.Second, blocked: 10 * time.Second, want: 59 * time.Second},
		"clocks differ":         {ago: -2 * time.Second, want: 62 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l := New(Config{PerSecond: 1.0 / 60, Burst: 3})
				start := time.Now()
				// As from a database: no monotonic reading.
				l.Restore(start.Add(-tc.ago).Round(0).UTC(), start.Add(tc.blocked).Round(0).UTC())
				if err := l.Wait(t.Context()); err != nil {
					t.Fatal(err)
				}
				if got := time.Since(start); got < tc.want-time.Millisecond || got > tc.want+time.Millisecond {
					t.Errorf("first grant after %v, want %v", got, tc.want)
				}
			})
		})
	}
}

// A sender that changes hands every few seconds still keeps its pace.
func TestPaceHoldsAcrossHolders(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		cfg := Config{PerSecond: 5}
		var all []time.Duration
		last := time.Time{}
		for range 50 {
			l := New(cfg)
			l.Restore(last, time.Time{})
			offset := time.Since(start)
			for _, g := range take(t, l, 1300*time.Millisecond) {
				all = append(all, offset+g)
				last = start.Add(offset + g)
			}
		}
		checkWindows(t, all, cfg)
		if got := mean(all); got < 4.9 {
			t.Errorf("mean is %.2f/s over 50 holders, want about 5", got)
		}
	})
}

func TestWaitEndsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := New(Config{PerSecond: 1.0 / 3600})
		if err := l.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		stop := errors.New("intake stopped")
		ctx, cancel := context.WithCancelCause(t.Context())
		errs := make(chan error, 3)
		for range 3 { // one sleeps, two queue behind it
			go func() { errs <- l.Wait(ctx) }()
		}
		synctest.Wait()
		cancel(stop)
		for range 3 {
			if err := <-errs; !errors.Is(err, stop) {
				t.Errorf("Wait returned %v, want the context's cause", err)
			}
		}
		if err := l.Wait(ctx); !errors.Is(err, stop) {
			t.Errorf("Wait on a canceled context returned %v, want its cause", err)
		}
		// The place is not lost: who comes next has it at its time.
		start := time.Now()
		if err := l.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		if d := time.Since(start); d > time.Hour {
			t.Errorf("the next grant took %v, want an hour", d)
		}
	})
}

func TestConfigIsChecked(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]Config{
		"negative rate":   {PerSecond: -1},
		"rate is NaN":     {PerSecond: math.NaN()},
		"infinite rate":   {PerSecond: math.Inf(1)},
		"negative burst":  {Burst: -1},
		"jitter over 1":   {Jitter: 1.1},
		"jitter is NaN":   {Jitter: math.NaN()},
		"negative jitter": {Jitter: -0.1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			defer func() {
				if recover() == nil {
					t.Errorf("New(%+v) did not panic", cfg)
				}
			}()
			New(cfg)
		})
	}
}
