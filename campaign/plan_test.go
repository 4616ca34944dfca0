package campaign

import (
	"math"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// simulate sends message by message: not sooner than a gap after the last, and
// never more than the caps in any rolling hour and day.
func simulate(p Pace, n int) time.Duration {
	at := make([]time.Duration, n)
	for i := 1; i < n; i++ {
		at[i] = at[i-1] + p.gap()
		if p.Hourly > 0 && i >= p.Hourly {
			at[i] = max(at[i], at[i-p.Hourly]+time.Hour)
		}
		if p.Daily > 0 && i >= p.Daily {
			at[i] = max(at[i], at[i-p.Daily]+24*time.Hour)
		}
	}
	return at[n-1]
}

func TestTakesIsWhatASimulationTakes(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := Pace{Hourly: rapid.IntRange(0, 60).Draw(t, "hourly"), Daily: rapid.IntRange(0, 600).Draw(t, "daily")}
		p.Rate = Rate{Unlimited: true}
		if gap := rapid.IntRange(0, 6*3600).Draw(t, "seconds apart"); gap > 0 {
			p.Rate = Rate{Count: 1, Per: time.Duration(gap) * time.Second}
		}
		n := rapid.IntRange(1, 2000).Draw(t, "messages")
		got, bound := p.Takes(int64(n))
		if want := simulate(p, n); got != want {
			t.Fatalf("%d messages at %+v take %s (%s), simulated %s", n, p, got, bound, want)
		}
	})
}

func TestTakesNamesWhatDecides(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		pace  Pace
		n     int64
		want  time.Duration
		bound string
	}{
		"nothing":                       {DefaultPace(), 0, 0, "nothing to send"},
		"one":                           {DefaultPace(), 1, 0, "rate 4/m"},
		"within the caps":               {DefaultPace(), 101, 25 * time.Minute, "rate 4/m"},
		"the hour":                      {DefaultPace(), 152, time.Hour + 15*time.Second, "hourly cap 150"},
		"the day":                       {DefaultPace(), 401, 48 * time.Hour, "daily cap 200"},
		"a day that never bites":        {Pace{Rate: Rate{Count: 1, Per: time.Hour}, Daily: 24}, 100, 99 * time.Hour, "rate 1/h"},
		"unlimited":                     {Pace{Rate: Rate{Unlimited: true}}, 1e6, 0, "rate unlimited"},
		"longer than anybody can count": {Pace{Rate: Rate{Count: 1, Per: 24 * time.Hour}}, 1e6, math.MaxInt64, "rate 1/d"},
	} {
		got, bound := test.pace.Takes(test.n)
		if got != test.want || bound != test.bound {
			t.Errorf("%s: %s, bound by %q; want %s by %q", name, got, bound, test.want, test.bound)
		}
	}
}

func TestMakePlan(t *testing.T) {
	t.Parallel()
	start := time.Date(2027, 1, 10, 9, 0, 0, 0, time.UTC)
	slow, fast := Pace{Rate: perMinute(1)}, Pace{Rate: perMinute(60)}
	plan := MakePlan([]SenderLoad{{Messages: 61, Pace: slow}, {Messages: 61, Pace: fast}, {Pace: DefaultPace()}}, start)
	if plan.Messages != 122 || plan.Duration != time.Hour || !plan.Finish.Equal(start.Add(time.Hour)) || plan.BoundBy != "rate 1/m" {
		t.Errorf("plan = %+v", plan)
	}
	empty := MakePlan([]SenderLoad{{Pace: slow}}, start)
	if empty.Messages != 0 || !empty.Finish.Equal(start) || !strings.Contains(empty.BoundBy, "nothing") {
		t.Errorf("plan of nothing = %+v", empty)
	}
}
