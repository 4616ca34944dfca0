package app

import (
	"context"
	"testing"
	"time"

	"github.com/herald-campaigns/herald/internal/oracle"
	"github.com/herald-campaigns/herald/status"
)

// hasten shortens what would take minutes: the same code waits less. Whatever
// these tests run goes through it, in this process or in a child.
func hasten(t *tuning) {
	t.callTimeout = 10 * time.Second // on a busy machine a job list takes long
	t.reconciler = status.ReconcilerConfig{
		CallTimeout: time.Second, // absence counts after no less than this
		SettleFloor: 1500 * time.Millisecond, PassGap: 500 * time.Millisecond, Retry: 100 * time.Millisecond, Idle: 100 * time.Millisecond,
		SampleEvery: 200 * time.Millisecond, SampleFirst: 10 * time.Millisecond, Slow: []time.Duration{time.Second}, Batch: 256,
	}
}

// finish runs the campaign to its end in this process, and until evidence has
// settled what it can; then it judges.
func (th *theater) finish(file string) oracle.Finding {
	th.t.Helper()
	ctx, cancel := context.WithTimeout(th.t.Context(), 3*time.Minute)
	defer cancel()
	hasten(&th.tuning)
	a := th.open()
	result, err := runIn(ctx, a, file, PrepareOptions{}, RunOptions{})
	if err != nil || result.Interrupted || result.Totals.Unsubmitted() > 0 {
		th.t.Errorf("run: %v, %v, interrupted %t", err, result.Totals.ByStatus, result.Interrupted)
	}
	found := th.audit(a)
	check(th.t, a.Close())
	return found
}

// wantOnce wants every row accepted at last, exactly once, and nothing unknown.
func wantOnce(t *testing.T, found oracle.Finding) {
	t.Helper()
	if found.Accepted != found.Rows || found.Known != found.Rows || found.Lost > 0 || found.Duplicated > 0 {
		t.Errorf("not everybody got one message: %s", found)
	}
}
