package app

import (
	"testing"
	"time"

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

// TestPoisonedRowIsLeftToAPerson: a row whose every call ends in nobody knows
// what has three attempts, and the policy resend gives it no more copies than
// one beside the first.
func TestPoisonedRowIsLeftToAPerson(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		policy      string
		faults      []sandbox.Fault
		calls, most int
	}{
		"hold, never taken": {"hold", []sandbox.Fault{
			{Kind: sandbox.FaultStatus, Status: 500, When: sandbox.FaultBefore, Numbers: []string{number(5)}},
		}, 3, 0},
		"resend, taken each time, no lists": {"resend", []sandbox.Fault{
			{Kind: sandbox.FaultStatus, Status: 502, When: sandbox.FaultAfter, Numbers: []string{number(5)}},
			{Kind: sandbox.FaultStatus, Status: 404, Route: sandbox.RouteQueues},
			{Kind: sandbox.FaultStatus, Status: 404, Route: sandbox.RouteMessages},
		}, 2, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			th := newTheater(t, func(c *sandbox.Config) { c.Faults = test.faults })
			a := th.open() // no audit: resend is what the policy says
			file := th.text(150, "unknown_policy: "+test.policy+"\npace: { rate: 30/s, in_flight: 1 }\n")
			result, err := runIn(t.Context(), a, file, PrepareOptions{}, RunOptions{})
			check(t, err)
			check(t, a.Close())
			calls, copies := 0, 0
			for _, body := range th.api.sentBodies() {
				if body.ChatID == number(5)+"@c.us" {
					calls++
				}
			}
			for _, a := range th.sim.Acceptances() {
				if a.ChatID == number(5)+"@c.us" {
					copies++
				}
			}
			if calls != test.calls || copies > test.most || result.Totals.ByStatus[campaign.StatusUnknown] != 1 {
				t.Errorf("%d calls and %d copies, want %d and at most %d; %v", calls, copies, test.calls, test.most, result.Totals.ByStatus)
			}
		})
	}
}

// TestAnotherCampaignsRowWaitsForItsRun: what is unknown of one that does not
// run is not sent back to where nobody sends it.
func TestAnotherCampaignsRowWaitsForItsRun(t *testing.T) {
	t.Parallel()
	th := newTheater(t, func(c *sandbox.Config) {
		c.Faults = []sandbox.Fault{{Kind: sandbox.FaultStatus, Status: 500, When: sandbox.FaultBefore, Numbers: []string{number(15)}, Next: 1}}
	})
	first := th.text(30, "pace: { rate: 100/s, in_flight: 1 }\n")
	a := th.open()
	a.tuning.reconciler.SettleFloor = time.Hour
	result, err := runIn(t.Context(), a, first, PrepareOptions{}, RunOptions{WaitTimeout: time.Millisecond})
	check(t, err)
	check(t, a.Close())
	th.write("recipients.csv", rows(100, 200))
	second := th.write("second.yaml", "name: Another\nrecipients: { csv: recipients.csv, phone: phone }\nmessage: { text: \"Hey {{ name }}\" }\n"+
		"senders: [\""+testSender+"\"]\npace: { rate: 100/s, in_flight: 1 }\n")
	th.mustRun(second, PrepareOptions{})
	a = th.open()
	totals, err := a.store.Totals(t.Context(), result.Campaign.ID)
	check(t, err)
	check(t, a.Close())
	if totals.ByStatus[campaign.StatusUnknown] != 1 {
		t.Errorf("the other campaign has %v", totals.ByStatus)
	}
	th.write("recipients.csv", rows(1, 30))
	again := th.mustRun(first, PrepareOptions{})
	wantTotals(t, again.Totals, map[campaign.Status]int64{campaign.StatusQueued: 30})
}

// TestEvidenceComesBeforeTheSecondCopy: a person had a row sent again, and by
// the time the campaign goes on the lists show that it was taken.
func TestEvidenceComesBeforeTheSecondCopy(t *testing.T) {
	t.Parallel()
	th := newTheater(t, func(c *sandbox.Config) {
		c.Faults = []sandbox.Fault{
			{Kind: sandbox.FaultStatus, Status: 502, When: sandbox.FaultAfter, Numbers: []string{number(5)}, Next: 1},
			{Kind: sandbox.FaultStatus, Status: 404, Route: sandbox.RouteQueues},
			{Kind: sandbox.FaultStatus, Status: 404, Route: sandbox.RouteMessages},
		}
	})
	file := th.text(20, "pace: { rate: 100/s, in_flight: 1 }\n")
	first := th.mustRun(file, PrepareOptions{})
	a := th.open()
	rows, err := a.store.UnknownRows(t.Context(), first.Campaign.ID)
	check(t, err)
	if len(rows) != 1 {
		t.Fatalf("%d unknown rows, want 1", len(rows))
	}
	_, err = a.store.ReturnUnknown(t.Context(), first.Campaign.ID, []campaign.Staged{rows[0].Handover()}, time.Time{}, "a person")
	check(t, err)
	check(t, a.Close())
	th.sim.ClearFaults()
	second := th.mustRun(file, PrepareOptions{})
	wantTotals(t, second.Totals, map[campaign.Status]int64{campaign.StatusQueued: 20})
	if n := len(th.sim.Acceptances()); n != 20 {
		t.Errorf("%d messages were taken, want one for each of 20 people", n)
	}
}
