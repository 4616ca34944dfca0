package app

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/internal/faults"
	"github.com/herald-campaigns/herald/sandbox"
	"github.com/herald-campaigns/herald/storage"
)

// TestCrashPoints kills a process at each named point of the send path, early
// and in the middle, and runs the campaign to its end. Nobody is lost and
// nobody gets two messages (reliability page §3.1).
func TestCrashPoints(t *testing.T) {
	t.Parallel()
	plans := []faults.Plan{
		{Point: faults.BeforeIntent, Pass: 1},
		{Point: faults.BeforeIntent, Pass: 17},
		{Point: faults.AfterIntent, Pass: 1},
		{Point: faults.AfterIntent, Pass: 17},
		{Point: faults.Connected, Pass: 1},
		{Point: faults.Connected, Pass: 17},
		{Point: faults.HalfWritten, Pass: 1, Bytes: 0},
		{Point: faults.HalfWritten, Pass: 2, Bytes: 1},
		{Point: faults.HalfWritten, Pass: 17, Bytes: 150}, // in the header
		{Point: faults.HalfWritten, Pass: 5, Bytes: 260},  // in the body
		{Point: faults.HalfWritten, Pass: 9, Bytes: 308},  // all but the end
		{Point: faults.Written, Pass: 1},
		{Point: faults.Written, Pass: 17},
		{Point: faults.AnswerLost, Pass: 1},
		{Point: faults.AnswerLost, Pass: 17},
		{Point: faults.BeforeOutcome, Pass: 1},
		{Point: faults.BeforeOutcome, Pass: 17},
		{Point: faults.AfterOutcome, Pass: 1},
		{Point: faults.AfterOutcome, Pass: 17},
	}
	for _, plan := range plans {
		t.Run(plan.String(), func(t *testing.T) {
			t.Parallel()
			const recipients, inFlight = 40, 4
			th := newTheater(t, func(c *sandbox.Config) { c.Latency = sandbox.Range{Max: 5 * time.Millisecond} })
			file := th.text(recipients, "pace: { rate: unlimited, in_flight: 4 }\n")
			th.dies(part{File: file}, plan)
			th.wantStanding(plan, inFlight)
			found := th.finish(file)
			wantOnce(t, found)
		})
	}
}

// TestCrashInsideReconciliation leaves a row unknown, and kills the process that
// looks for it after each of its first readings of the provider's lists.
func TestCrashInsideReconciliation(t *testing.T) {
	t.Parallel()
	const recipients = 40
	for _, lost := range []faults.Point{faults.AfterIntent, faults.AnswerLost} { // not taken, and taken
		t.Run(string(lost), func(t *testing.T) {
			t.Parallel()
			th := newTheater(t, nil)
			file := th.text(recipients, "pace: { rate: unlimited, in_flight: 4 }\n")
			th.dies(part{File: file}, faults.Plan{Point: lost, Pass: 9})
			th.dies(part{File: file}, faults.Plan{Point: faults.InsideListRead, Pass: 1})
			for pass := 2; pass <= 4; pass++ {
				// It may be over before that: what was found is settled.
				_ = th.child(part{File: file}, faults.Plan{Point: faults.InsideListRead, Pass: pass}).Run()
			}
			found := th.finish(file)
			wantOnce(t, found)
			if found.Found+found.Returned == 0 {
				t.Errorf("nothing was unknown: %s", found)
			}
		})
	}
}

// dies runs a child that must not survive its plan.
func (th *theater) dies(p part, plan faults.Plan) {
	th.t.Helper()
	err := th.child(p, plan).Run()
	exit, ok := errors.AsType[*exec.ExitError](err)
	if !ok {
		th.t.Fatalf("the child did not die at %s: %v", plan, err)
	}
	if status, ok := exit.Sys().(syscall.WaitStatus); ok && (!status.Signaled() || status.Signal() != syscall.SIGKILL) {
		th.t.Fatalf("the child ended at %s by itself: %v", plan, err)
	}
}

// wantStanding looks at the ledger as the dead process left it.
func (th *theater) wantStanding(plan faults.Plan, inFlight int) {
	th.t.Helper()
	a := th.open()
	defer func() { check(th.t, a.Close()) }()
	found := judge(th.t, a, th.sim, true)
	all, err := a.store.Campaigns(th.t.Context())
	check(th.t, err)
	totals, err := a.store.Totals(th.t.Context(), all[0].ID)
	check(th.t, err)
	underWay := totals.ByStatus[campaign.StatusSubmitting]
	least, most := int64(1), int64(inFlight)
	if plan.Point == faults.BeforeIntent || plan.Point == faults.AfterOutcome {
		least, most = 0, most-1 // the one that died is not under way, the others may be
	}
	if underWay < least || underWay > most {
		th.t.Errorf("after %s %d rows are submitting, want %d to %d: %s", plan, underWay, least, most, found)
	}
	if plan.Pass == 1 && plan.Point == faults.BeforeIntent && len(th.sim.Acceptances()) >= inFlight {
		th.t.Errorf("%d messages were taken before the first intent", len(th.sim.Acceptances()))
	}
}

// TestKilledDuringImport kills an import twenty times, at batches and at random
// instants. Nothing of it can be sent, and in the end its rows are those of an
// import that nobody disturbed.
func TestKilledDuringImport(t *testing.T) {
	t.Parallel()
	const recipients, kills = 11_000, 20 // three batches
	whole := newTheater(t, nil)
	want := whole.imported(whole.text(recipients, ""))

	th := newTheater(t, nil)
	killer := newKiller(t)
	file := th.text(recipients, "")
	for i := range kills {
		if i%2 == 0 {
			th.dies(part{File: file, ImportOnly: true}, faults.Plan{Point: faults.DuringImport, Pass: 1 + killer.Number(3)})
		} else {
			th.killChild(killer, part{File: file, ImportOnly: true}, faults.Strike{Working: th.importing(), Within: 60 * time.Millisecond})
		}
		a := th.open()
		all, err := a.store.Campaigns(t.Context())
		check(t, err)
		for _, c := range all {
			whole := slices.ContainsFunc(c.Imports, func(imp campaign.Import) bool { return imp.Complete })
			if c.State != campaign.StateDraft || whole {
				t.Errorf("kill %d: an import that was cut short left a campaign %s, its import complete: %t", i, c.State, whole)
			}
		}
		judge(t, a, th.sim, true)
		check(t, a.Close())
	}
	if diff := cmp.Diff(want, th.imported(file), cmpopts.IgnoreFields(campaign.Recipient{}, "Campaign", "Sender")); diff != "" {
		t.Errorf("rows (-undisturbed +killed twenty times):\n%s", diff)
	}
	if n := len(th.sim.Acceptances()); n > 0 {
		t.Errorf("%d messages were sent by imports that were cut short", n)
	}
}

// imported reads the recipients and returns the rows.
func (th *theater) imported(file string) []campaign.Recipient {
	th.t.Helper()
	a := th.open()
	defer func() { check(th.t, a.Close()) }()
	p, err := a.Prepare(th.t.Context(), file, PrepareOptions{})
	check(th.t, err)
	var rows []campaign.Recipient
	for r, err := range a.store.Recipients(th.t.Context(), p.Campaign.ID, storage.Filter{}) {
		check(th.t, err)
		rows = append(rows, r)
	}
	return rows
}

// importing is closed when the next child has a write-ahead log: it is at work
// on the ledger.
func (th *theater) importing() <-chan struct{} {
	th.t.Helper()
	seen := make(chan struct{})
	wal := filepath.Join(th.cfg.DataDir, "herald.db-wal")
	before := time.Now()
	go func() {
		defer close(seen)
		tick := time.NewTicker(2 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				if info, err := os.Stat(wal); err == nil && info.ModTime().After(before) && info.Size() > 100_000 {
					return
				}
			case <-th.t.Context().Done():
				return
			}
		}
	}()
	return seen
}
