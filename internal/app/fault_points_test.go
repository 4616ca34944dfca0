package app

import (
	"errors"
	"fmt"
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
	"github.com/herald-campaigns/herald/internal/oracle"
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
		for _, inFlight := range []int{1, 4} {
			t.Run(fmt.Sprintf("%s, %d under way", plan, inFlight), func(t *testing.T) {
				t.Parallel()
				const recipients = 40
				th := newTheater(t, func(c *sandbox.Config) { c.Latency = sandbox.Range{Max: 5 * time.Millisecond} })
				file := th.text(recipients, fmt.Sprintf("pace: { rate: unlimited, in_flight: %d }\n", inFlight))
				th.dies(part{File: file}, plan)
				if inFlight == 1 {
					th.wantLeft(plan)
				} else {
					th.wantStanding(plan, int64(inFlight))
				}
				found := th.finish(file)
				wantOnce(t, found)
				wantSettled(t, plan.Point, found)
			})
		}
	}
}

// taken says whether the provider has the message of a call that died at the
// point, and underWay whether the ledger holds the call for begun.
func taken(p faults.Point) bool {
	return p == faults.Written || p == faults.AnswerLost || p == faults.BeforeOutcome || p == faults.AfterOutcome
}

func underWay(p faults.Point) bool { return p != faults.BeforeIntent && p != faults.AfterOutcome }

// wantSettled looks how the row of the call that died came to its end: found
// where the provider had taken it, sent again where it had not.
func wantSettled(t *testing.T, died faults.Point, found oracle.Finding) {
	t.Helper()
	switch {
	case !underWay(died):
	case taken(died) && found.Found == 0:
		t.Errorf("the message was taken before the process died at %s, and no row was found by evidence: %s", died, found)
	case !taken(died) && found.Returned == 0:
		t.Errorf("the message was not taken when the process died at %s, and no row was sent again after proof: %s", died, found)
	}
}

// TestCrashInsideReconciliation leaves a row unknown, and kills the process that
// looks for it after each of its first readings of the provider's lists.
func TestCrashInsideReconciliation(t *testing.T) {
	t.Parallel()
	const recipients, pass = 40, 9
	for _, lost := range []faults.Point{faults.AfterIntent, faults.AnswerLost} { // not taken, and taken
		t.Run(string(lost), func(t *testing.T) {
			t.Parallel()
			th := newTheater(t, nil)
			file := th.text(recipients, "pace: { rate: unlimited, in_flight: 1 }\n")
			plan := faults.Plan{Point: lost, Pass: pass}
			th.dies(part{File: file}, plan)
			th.wantLeft(plan)
			th.dies(part{File: file}, faults.Plan{Point: faults.InsideListRead, Pass: 1})
			// One reading decides nothing that it did not live to write.
			if row := th.row(pass); row.Status != campaign.StatusUnknown || row.QueueID != "" {
				t.Errorf("row %d is %s after the lists were read once, by a process that died of it", pass, row.Status)
			}
			for pass := 2; pass <= 4; pass++ {
				// It may be over before that: what was found is settled.
				_ = th.child(part{File: file}, faults.Plan{Point: faults.InsideListRead, Pass: pass}).Run()
			}
			found := th.finish(file)
			wantOnce(t, found)
			wantSettled(t, lost, found)
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

// wantLeft looks at the ledger and at the provider's log as a process left them
// that had one call under way: what was before the call is over, nothing is
// behind it, and the two agree on it as much as they can at that point.
func (th *theater) wantLeft(plan faults.Plan) {
	th.t.Helper()
	// The provider works on a request that it has, also when nobody waits.
	taking := plan.Pass - 1
	if taken(plan.Point) {
		taking = plan.Pass
	}
	if n := th.awaitTaken(taking); n != taking {
		th.t.Errorf("%d messages were taken when the process died at %s, want %d", n, plan, taking)
	}
	// A request whose body broke off reached the provider's handler.
	broken := 0
	if plan.Point == faults.HalfWritten && plan.Bytes > lengthOfHeader {
		broken = 1
	}
	if n := await(broken, th.api.brokenOff); n != broken {
		th.t.Errorf("%d requests broke off in the body at %s, want %d", n, plan, broken)
	}
	want := map[campaign.Status]int64{campaign.StatusQueued: int64(plan.Pass - 1)}
	row := campaign.StatusStaged
	switch {
	case underWay(plan.Point):
		row = campaign.StatusSubmitting
		want[campaign.StatusSubmitting] = 1
	case taken(plan.Point):
		row = campaign.StatusQueued
		want[campaign.StatusQueued]++
	}
	got := map[campaign.Status]int64{}
	for _, r := range th.left() {
		switch {
		case r.Status.Evident(): // the poller may know more of it
			got[campaign.StatusQueued]++
		case r.Status == campaign.StatusSubmitting:
			got[campaign.StatusSubmitting]++
		}
	}
	if want[campaign.StatusQueued] == 0 {
		delete(want, campaign.StatusQueued)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		th.t.Errorf("rows after %s (-want +got):\n%s", plan, diff)
	}
	if is := th.row(int64(plan.Pass)).Status; is != row && (row != campaign.StatusQueued || !is.Evident()) {
		th.t.Errorf("row %d is %s after %s, want %s", plan.Pass, is, plan, row)
	}
	if th.took(th.row(int64(plan.Pass))) != taken(plan.Point) {
		th.t.Errorf("whether the provider has the message of row %d after %s: want %t", plan.Pass, plan, taken(plan.Point))
	}
}

// lengthOfHeader is less than that of any send, and more than where TestCrashPoints cuts a header.
const lengthOfHeader = 200

// await waits until there are so many, a while at most, and says how many there
// are.
func await(n int, count func() int) int {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for timeout := time.After(patience); count() < n; {
		select {
		case <-tick.C:
		case <-timeout:
			return count()
		}
	}
	return count()
}

// awaitTaken waits until the provider has taken so many messages, a while at
// most, and then for what may be one too many.
func (th *theater) awaitTaken(n int) int {
	th.t.Helper()
	taken := func() int { return len(th.sim.Acceptances()) }
	await(n, taken)
	<-time.After(60 * time.Millisecond) // ten times its latency
	return taken()
}

// took says whether the provider has taken a message for the row.
func (th *theater) took(r campaign.Recipient) bool {
	return slices.ContainsFunc(th.sim.Acceptances(), func(a sandbox.Acceptance) bool { return a.ChatID == string(r.Chat) })
}

// row is a row of the only campaign.
func (th *theater) row(seq int64) campaign.Recipient {
	th.t.Helper()
	rows := th.left()
	i := slices.IndexFunc(rows, func(r campaign.Recipient) bool { return r.Seq == seq })
	if i < 0 {
		th.t.Fatalf("there is no row %d", seq)
	}
	return rows[i]
}

// left are the rows of the only campaign, as the last process left them.
func (th *theater) left() []campaign.Recipient {
	th.t.Helper()
	a := th.open()
	defer func() { check(th.t, a.Close()) }()
	judge(th.t, a, th.sim, true)
	all, err := a.store.Campaigns(th.t.Context())
	check(th.t, err)
	var rows []campaign.Recipient
	for r, err := range a.store.Recipients(th.t.Context(), all[0].ID, storage.Filter{}) {
		check(th.t, err)
		rows = append(rows, r)
	}
	return rows
}

// wantStanding is wantLeft for a process with more calls under way: how many of
// the others came to their end is chance.
func (th *theater) wantStanding(plan faults.Plan, inFlight int64) {
	th.t.Helper()
	var submitting, notTaken int64
	for _, r := range th.left() {
		if r.Status == campaign.StatusSubmitting {
			submitting++
			if !th.took(r) {
				notTaken++
			}
		}
	}
	least, most := int64(1), inFlight
	if !underWay(plan.Point) {
		least, most = 0, inFlight-1 // the one that died is not under way, the others may be
	}
	if submitting < least || submitting > most {
		th.t.Errorf("after %s %d rows are submitting, want %d to %d", plan, submitting, least, most)
	}
	if underWay(plan.Point) && !taken(plan.Point) && notTaken == 0 {
		th.t.Errorf("after %s all %d messages under way were taken", plan, submitting)
	}
	if plan.Pass == 1 && plan.Point == faults.BeforeIntent && len(th.sim.Acceptances()) >= int(inFlight) {
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
