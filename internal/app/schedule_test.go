package app

import (
	"context"
	"testing"
	"time"

	"github.com/herald-campaigns/herald/campaign"
)

// scheduled writes a campaign that starts in a while; one below zero is over.
func (th *theater) scheduled(n int, in time.Duration) string {
	th.t.Helper()
	return th.text(n, "schedule: { start: "+time.Now().Add(in).UTC().Format(time.RFC3339)+" }\n")
}

// leaveScheduled runs the campaign until it waits for its start.
func (th *theater) leaveScheduled(file string) {
	th.t.Helper()
	ctx, cancel := context.WithCancel(th.t.Context())
	defer cancel()
	result, err := th.run(ctx, file, PrepareOptions{}, RunOptions{Progress: func(p Progress) {
		if p.Campaign.State == campaign.StateScheduled {
			cancel()
		}
	}})
	check(th.t, err)
	if result.Campaign.State != campaign.StateScheduled || !result.Interrupted {
		th.t.Fatalf("the campaign is %s", result.Campaign.State)
	}
}

// TestMissedStartHolds: nobody was there when a campaign was to start. Its
// people expect it then, not in the middle of the night.
func TestMissedStartHolds(t *testing.T) {
	t.Parallel()
	th := newTheater(t, nil)
	th.leaveScheduled(th.scheduled(10, time.Hour))
	missed := th.scheduled(10, -time.Hour)
	for range 2 { // running it again does not make it late less
		result, err := th.run(t.Context(), missed, PrepareOptions{}, RunOptions{})
		if campaign.CodeOf(err) != campaign.CodeConflict || result.Accepted != 0 || th.api.count() != 0 {
			t.Fatalf("%v, %d calls", err, th.api.count())
		}
		if c := result.Campaign; c.State != campaign.StatePaused || c.Reason != campaign.PauseMissedStart {
			t.Fatalf("the campaign is %s (%s)", c.State, c.Reason)
		}
	}
	// Another time: it waits for that.
	th.leaveScheduled(th.scheduled(10, time.Hour))
	// A person says that it may start.
	missed = th.scheduled(10, -time.Hour)
	result, err := th.run(t.Context(), missed, PrepareOptions{}, RunOptions{Now: true})
	check(t, err)
	wantTotals(t, result.Totals, map[campaign.Status]int64{campaign.StatusQueued: 10})
	// It has started: going on is no start.
	th.mustRun(missed, PrepareOptions{})
}

// TestLateStartStarts: a quarter of an hour is as good as on time, and so is any
// start of a campaign that is new: somebody sits there and wants it.
func TestLateStartStarts(t *testing.T) {
	t.Parallel()
	t.Run("a little late", func(t *testing.T) {
		t.Parallel()
		th := newTheater(t, nil)
		th.leaveScheduled(th.scheduled(5, time.Hour))
		result := th.mustRun(th.scheduled(5, -10*time.Minute), PrepareOptions{})
		wantTotals(t, result.Totals, map[campaign.Status]int64{campaign.StatusQueued: 5})
	})
	t.Run("new", func(t *testing.T) {
		t.Parallel()
		th := newTheater(t, nil)
		result := th.mustRun(th.scheduled(5, -24*time.Hour), PrepareOptions{})
		wantTotals(t, result.Totals, map[campaign.Status]int64{campaign.StatusQueued: 5})
	})
}
