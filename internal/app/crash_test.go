package app

import (
	"context"
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/internal/faults"
	"github.com/herald-campaigns/herald/sandbox"
)

// ambiguous are the answers after which nobody knows: 2 % reset and 1 % 502
// after the message was accepted, 1 % 500 before. They are the gate's.
func ambiguous() []sandbox.Fault {
	return []sandbox.Fault{
		{Kind: sandbox.FaultReset, When: sandbox.FaultAfter, Rate: 0.02},
		{Kind: sandbox.FaultStatus, Status: 502, When: sandbox.FaultAfter, Rate: 0.01},
		{Kind: sandbox.FaultStatus, Status: 500, When: sandbox.FaultBefore, Rate: 0.01},
	}
}

// TestKilledAgainAndAgain kills a process that sends, at random instants, while
// the provider misbehaves: nobody is lost, nobody gets two messages, and
// evidence settles what the dead processes did not live to know.
func TestKilledAgainAndAgain(t *testing.T) {
	t.Parallel()
	const recipients, kills = 2000, 12
	th := newTheater(t, func(c *sandbox.Config) {
		// Each 429 slows the sender for seconds, and with it the test.
		c.Faults = append(ambiguous(), sandbox.Fault{
			Kind: sandbox.FaultStatus, Status: 429, RetryAfter: "0.05", RateLimitReset: "0", Rate: 0.02, Next: 6,
		})
	})
	killer := newKiller(t)
	// Slow enough that the last child still has something to send.
	file := th.text(recipients, "pace: { rate: 600/s, in_flight: 8 }\n")
	for range kills {
		th.killChild(killer, part{File: file}, faults.Strike{Working: th.api.after(1), Within: 200 * time.Millisecond})
	}
	found := th.finish(file)
	t.Logf("%d kills, %d unclear answers, %d throttled: %s", kills, th.api.answered(0, 500, 502), th.api.answered(429), found)
	wantOnce(t, found)
}

// newKiller draws a killer and tells its seed when the test fails.
func newKiller(t *testing.T) *faults.Killer {
	t.Helper()
	killer := faults.NewKiller(0)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the kills were drawn with %s", killer)
		}
	})
	return killer
}

// killChild starts a process that runs the campaign, and kills it.
func (th *theater) killChild(killer *faults.Killer, p part, strike faults.Strike) {
	th.t.Helper()
	ended, err := killer.Strike(th.t.Context(), th.child(p, faults.Plan{}), strike)
	if errors.Is(err, faults.ErrIdle) {
		th.tellStates()
	}
	check(th.t, err)
	if ended {
		th.t.Error("the child was done before it was killed: the campaign is too short")
	}
}

// tellStates logs why nobody sends, as far as the ledger knows.
func (th *theater) tellStates() {
	th.t.Helper()
	a := th.open()
	all, err := a.store.Campaigns(th.t.Context())
	for _, c := range all {
		th.t.Logf("%s is %s %s %s", c.ID, c.State, c.Reason, c.Detail)
	}
	check(th.t, errors.Join(err, a.Close()))
}

// TestInterruptedAgainAndAgain stops a run the way SIGINT does, at random
// moments. A clean drain leaves nothing unknown.
func TestInterruptedAgainAndAgain(t *testing.T) {
	t.Parallel()
	const recipients = 600
	th := newTheater(t, func(c *sandbox.Config) { c.Latency = sandbox.Range{Max: 5 * time.Millisecond} })
	file := th.text(recipients, "pace: { rate: 500/s, in_flight: 8 }\n")
	interrupted := 0
	for round := range 20 {
		ctx, cancel := context.WithCancel(t.Context())
		stop := func() { time.AfterFunc(rand.N(80*time.Millisecond), cancel) }
		select {
		case <-th.api.sends: // of the run before
		default:
		}
		if round%4 == 0 {
			stop() // also before anything is sent
		}
		go func() {
			select {
			case <-th.api.sends:
				stop()
			case <-ctx.Done():
			}
		}()
		result, err := th.run(ctx, file, PrepareOptions{}, RunOptions{})
		cancel()
		if err != nil && !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		if result.Interrupted {
			interrupted++
			if s := result.Campaign.State; s == campaign.StateRunning || result.Totals.ByStatus[campaign.StatusSubmitting]+result.Totals.ByStatus[campaign.StatusStaged] > 0 {
				t.Errorf("after a drain the campaign is %s with %v", s, result.Totals.ByStatus)
			}
		}
	}
	result := th.mustRun(file, PrepareOptions{})
	t.Logf("%d clean interruptions, %v", interrupted, result.Totals.ByStatus)
	wantTotals(t, result.Totals, map[campaign.Status]int64{campaign.StatusQueued: recipients})
	if interrupted < 5 {
		t.Errorf("only %d of 20 runs were interrupted", interrupted)
	}
}
