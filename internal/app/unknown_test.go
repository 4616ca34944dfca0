package app

import (
	"testing"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/sandbox"
)

// TestUnclearAnswersAreSettledInTheSameRun: what was taken is found, what was
// not is sent again, before the run says that it is done.
func TestUnclearAnswersAreSettledInTheSameRun(t *testing.T) {
	t.Parallel()
	th := newTheater(t, func(c *sandbox.Config) {
		// Spread, so that the breaker stays closed.
		for i, fault := range []sandbox.Fault{
			{Kind: sandbox.FaultReset, When: sandbox.FaultAfter},
			{Kind: sandbox.FaultStatus, Status: 500, When: sandbox.FaultBefore},
			{Kind: sandbox.FaultMalformed},
			{Kind: sandbox.FaultReset, When: sandbox.FaultBefore},
			{Kind: sandbox.FaultStatus, Status: 502, When: sandbox.FaultAfter},
			{Kind: sandbox.FaultStatus, Status: 500, When: sandbox.FaultBefore},
			{Kind: sandbox.FaultReset, When: sandbox.FaultAfter},
		} {
			fault.Numbers, fault.Next = []string{number(1 + 8*i)}, 1
			c.Faults = append(c.Faults, fault)
		}
	})
	result := th.mustRun(th.text(60, "pace: { rate: 100/s, in_flight: 1 }\n"), PrepareOptions{})
	wantTotals(t, result.Totals, map[campaign.Status]int64{campaign.StatusQueued: 60})
	if n := len(th.api.sentBodies()); n != 63 {
		t.Errorf("%d calls were made, want one each and 3 for those that were not taken", n)
	}
	if result.TimedOut {
		t.Error("the run gave up waiting")
	}
}

// TestPolicies decide about what evidence cannot tell, here because the
// provider lists nothing.
func TestPolicies(t *testing.T) {
	t.Parallel()
	for policy, want := range map[string]struct {
		unknown, assumed int64
		calls            int
	}{
		"hold":        {unknown: 1, calls: 30},
		"assume_sent": {unknown: 1, assumed: 1, calls: 30},
		"resend":      {calls: 31},
	} {
		t.Run(policy, func(t *testing.T) {
			t.Parallel()
			th := newTheater(t, func(c *sandbox.Config) {
				c.Faults = []sandbox.Fault{
					{Kind: sandbox.FaultStatus, Status: 502, When: sandbox.FaultBefore, Next: 1},
					{Kind: sandbox.FaultStatus, Status: 404, Route: sandbox.RouteQueues},
				}
			})
			file := th.text(30, "unknown_policy: "+policy+"\npace: { rate: 100/s, in_flight: 1 }\n")
			result := th.mustRun(file, PrepareOptions{})
			if got := result.Totals.ByStatus[campaign.StatusUnknown]; got != want.unknown {
				t.Errorf("%d unknown rows, want %d", got, want.unknown)
			}
			if n := len(th.api.sentBodies()); n != want.calls {
				t.Errorf("%d calls, want %d", n, want.calls)
			}
			a := th.open()
			rows, err := a.store.UnknownRows(t.Context(), result.Campaign.ID)
			check(t, err)
			var assumed int64
			for _, row := range rows {
				if row.Resolution == campaign.ResolutionAssumedSent {
					assumed++
				}
			}
			if assumed != want.assumed {
				t.Errorf("%d rows count as sent, want %d", assumed, want.assumed)
			}
			check(t, a.Close())
		})
	}
}

// TestRowsSentAgainReopenACampaign: a person decided so after it was over.
func TestRowsSentAgainReopenACampaign(t *testing.T) {
	t.Parallel()
	th := newTheater(t, func(c *sandbox.Config) {
		c.Faults = []sandbox.Fault{
			{Kind: sandbox.FaultStatus, Status: 502, When: sandbox.FaultBefore, Next: 1},
			{Kind: sandbox.FaultStatus, Status: 404, Route: sandbox.RouteQueues},
		}
	})
	file := th.text(10, "unknown_policy: assume_sent\n")
	first, err := th.run(t.Context(), file, PrepareOptions{}, RunOptions{Wait: WaitSettled})
	check(t, err)
	if first.Campaign.State != campaign.StateCompleted || first.Totals.ByStatus[campaign.StatusUnknown] != 1 {
		t.Fatalf("the campaign is %s with %v", first.Campaign.State, first.Totals.ByStatus)
	}
	a := th.open()
	rows, err := a.store.UnknownRows(t.Context(), first.Campaign.ID)
	check(t, err)
	for _, row := range rows {
		_, err := a.store.ReturnUnknown(t.Context(), row.Campaign, []campaign.Staged{row.Handover()}, row.ClaimedAt, "a test says so")
		check(t, err)
	}
	// A campaign that is completed has no row to send, and the simulator's log
	// says so as well.
	th.audit(a)
	now, err := a.Campaign(t.Context(), string(first.Campaign.ID))
	check(t, err)
	if now.State != campaign.StatePaused || now.Reason != campaign.PauseOperator || now.Waiting() != 1 {
		t.Errorf("the campaign is %s (%s) with %d rows to send", now.State, now.Reason, now.Waiting())
	}
	check(t, a.Close())
	second := th.mustRun(file, PrepareOptions{})
	wantTotals(t, second.Totals, map[campaign.Status]int64{campaign.StatusQueued: 10})
}
