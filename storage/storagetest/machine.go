package storagetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/storage"
)

// machine drives the ledger and the model with the same random operations.
type machine struct {
	*testing.T
	s      *storage.Store
	seeded Seeded
	model
}

// testModel runs the machine. After each step ledger and model must agree, and
// at the end every row must be able to come to an end. More of it:
//
//	go test ./storage -run 'TestConformance/books' -rapid.checks=5000
func testModel(t *testing.T, s *storage.Store) {
	const rows = 2
	rapid.Check(t, func(rt *rapid.T) {
		seeded := Seed(t, s, rows)
		m := &machine{T: t, s: s, seeded: seeded, model: newModel(rows, seeded.Lease.Epoch)}
		on := func(do func(rt *rapid.T, seq int64)) func(*rapid.T) {
			return func(rt *rapid.T) { do(rt, rapid.Int64Range(1, rows).Draw(rt, "row")) }
		}
		rt.Repeat(map[string]func(*rapid.T){
			// Several of a kind, so that rows get far in few steps.
			"go on": on(m.goOn), "go on 2": on(m.goOn), "go on 3": on(m.goOn), "go on 4": on(m.goOn), "go on 5": on(m.goOn), "go on 6": on(m.goOn),
			"stage": on(m.doStage), "claim": on(m.doClaim), "settle": on(m.doSettle),
			"give back": on(m.doGiveBack), "observe": on(m.doObserve), "skip": on(m.doSkip), "unstage row": on(m.doUnstageRow),
			"return unknown": on(m.doReturnUnknown), "assume sent": on(m.doAssumeSent),
			"unstage": m.doUnstage, "recover": m.doRecover, "recover fenced": m.doRecoverFenced, "lease": m.doLease,
			"pause or resume": m.doPause, "cancel": m.doCancel,
			"": m.agree,
		})
		m.finish(rt)
	})
}

// goOn does to a row what is next in its life.
func (m *machine) goOn(rt *rapid.T, seq int64) {
	switch m.rows[seq].status { //nolint:exhaustive // the others need no help
	case campaign.StatusPending:
		m.doStage(rt, seq)
	case campaign.StatusStaged:
		m.doClaim(rt, seq)
	case campaign.StatusSubmitting:
		m.doSettle(rt, seq)
	case campaign.StatusUnknown:
		rapid.SampledFrom([]func(*rapid.T, int64){m.doReturnUnknown, m.doAssumeSent, m.doObserve, m.doSettle}).Draw(rt, "end of doubt")(rt, seq)
	case campaign.StatusSkipped:
		m.doObserve(rt, seq)
	}
}

func (m *machine) doStage(rt *rapid.T, seq int64) {
	got, err := m.s.Stage(m.Context(), m.seeded.ID, []int64{seq}, time.Now())
	must(m.T, err)
	if want := m.stage(seq); (len(got) == 1) != want || want && got[0].Gen != m.rows[seq].gen {
		rt.Fatalf("staged %v, want %v under generation %d", got, want, m.rows[seq].gen)
	}
}

func (m *machine) doClaim(rt *rapid.T, seq int64) {
	row := campaign.Staged{Seq: seq, Gen: m.rows[seq].gen - rapid.SampledFrom([]int64{0, 0, 0, 1}).Draw(rt, "older")}
	intent := m.seeded.Intent(row)
	intent.Epoch = m.epoch - rapid.SampledFrom([]int64{0, 0, 0, 1}).Draw(rt, "fenced")
	got, err := m.s.Claim(m.Context(), intent)
	must(m.T, err)
	if want := m.claim(seq, row.Gen, intent.Epoch); got.Refused != want || want == "" && got.Attempt != m.rows[seq].attempt {
		rt.Fatalf("claim: refused %q, attempt %d; want %q, %d", got.Refused, got.Attempt, want, m.rows[seq].attempt)
	}
}

// call draws one of the row's calls, seldom an old one.
func (m *machine) call(rt *rapid.T, seq int64) (modelCall, bool) {
	calls := m.rows[seq].calls
	if len(calls) == 0 {
		return modelCall{}, false
	}
	late := min(rapid.SampledFrom([]int{0, 0, 0, 1, 2}).Draw(rt, "late"), len(calls)-1)
	return calls[len(calls)-1-late], true
}

func (m *machine) doSettle(rt *rapid.T, seq int64) {
	call, ok := m.call(rt, seq)
	if !ok {
		return
	}
	st := m.seeded.Accepted(campaign.Staged{Seq: seq, Gen: call.gen}, campaign.Claim{Attempt: call.attempt, ClaimedAt: time.Now()})
	st.Epoch = call.epoch
	st.Outcome.QueueID += fmt.Sprintf("-%d", call.epoch)
	st.Outcome.Kind = rapid.SampledFrom(campaign.OutcomeKinds()).Draw(rt, "outcome")
	switch st.Outcome.Kind {
	case campaign.OutcomeAccepted:
		if rapid.IntRange(0, 4).Draw(rt, "repeat") == 0 {
			st.Outcome.QueueID = m.anyQueueID(rt)
		}
		if st.Outcome.QueueID == "" {
			return
		}
	case campaign.OutcomeRejected:
		st.To, st.FailReason, st.FailClass = campaign.StatusFailed, campaign.FailRejected, campaign.FailPermanent
	case campaign.OutcomeThrottled, campaign.OutcomeRefused:
		st.To, st.Refund = campaign.StatusPending, true
	case campaign.OutcomeUnavailable:
		st.To = campaign.StatusPending
	case campaign.OutcomeUnknown:
		st.To = campaign.StatusUnknown
	}
	got, err := m.s.Settle(m.Context(), st)
	want := m.settle(seq, call, st)
	if got != want || (want == "") != (campaign.CodeOf(err) == campaign.CodeConflict) || want != "" && err != nil {
		rt.Fatalf("settled as %q (%v), want %q", got, err, want)
	}
}

func (m *machine) doGiveBack(rt *rapid.T, seq int64) {
	if call, ok := m.call(rt, seq); ok {
		must(m.T, m.s.GiveBack(m.Context(), m.seeded.Task(campaign.Staged{Seq: seq, Gen: call.gen}), call.epoch))
		m.giveBack(seq, call)
	}
}

func (m *machine) doObserve(rt *rapid.T, seq int64) {
	status := rapid.SampledFrom([]campaign.Status{
		campaign.StatusQueued, campaign.StatusProcessing, campaign.StatusSent, campaign.StatusDelivered, campaign.StatusRead, campaign.StatusFailed,
	}).Draw(rt, "status")
	o := evidence(m.seeded, seq, status, time.Now())
	switch rapid.IntRange(0, 3).Draw(rt, "with id") {
	case 0:
		o.QueueID = m.anyQueueID(rt)
	case 1:
		o.QueueID = fmt.Sprintf("found-%s-%d", m.seeded.ID, seq)
	}
	must(m.T, m.s.Observe(m.Context(), []campaign.Observation{o}))
	m.observe(seq, status, o.QueueID)
}

func (m *machine) doSkip(_ *rapid.T, seq int64) {
	_, err := m.s.Skip(m.Context(), m.seeded.ID, []campaign.Skip{{Seq: seq, Reason: campaign.SkipOptedOut}})
	must(m.T, err)
	m.skip(seq)
}

func (m *machine) doUnstageRow(_ *rapid.T, seq int64) {
	must(m.T, m.s.UnstageRows(m.Context(), m.seeded.ID, []int64{seq}))
	if m.rows[seq].is(campaign.StatusStaged) {
		m.rows[seq].become(m.waiting())
	}
}

func (m *machine) doReturnUnknown(rt *rapid.T, seq int64) {
	row := campaign.Staged{Seq: seq, Gen: m.rows[seq].gen - rapid.SampledFrom([]int64{0, 0, 1}).Draw(rt, "older")}
	n, err := m.s.ReturnUnknown(m.Context(), m.seeded.ID, []campaign.Staged{row}, time.Time{}, "")
	must(m.T, err)
	if want := m.returnUnknown(seq, row.Gen); (n == 1) != want {
		rt.Fatalf("returned %d rows, want %v", n, want)
	}
}

func (m *machine) doAssumeSent(rt *rapid.T, seq int64) {
	row := campaign.Staged{Seq: seq, Gen: m.rows[seq].gen - rapid.SampledFrom([]int64{0, 0, 1}).Draw(rt, "older")}
	n, err := m.s.AssumeSent(m.Context(), m.seeded.ID, []campaign.Staged{row}, "")
	must(m.T, err)
	if want := m.assumeSent(seq, row.Gen); (n == 1) != want {
		rt.Fatalf("resolved %d rows, want %v", n, want)
	}
}

func (m *machine) doUnstage(rt *rapid.T) {
	n, err := m.s.Unstage(m.Context(), m.seeded.ID, time.Time{})
	must(m.T, err)
	if want := m.sweep(m.waiting(), campaign.StatusStaged); n != want {
		rt.Fatalf("took back %d rows, want %d", n, want)
	}
}

func (m *machine) doRecover(rt *rapid.T) {
	got, err := m.s.Recover(m.Context(), true)
	must(m.T, err)
	want := storage.Recovery{
		Unknown:  m.sweep(campaign.StatusUnknown, campaign.StatusSubmitting),
		Returned: m.sweep(m.waiting(), campaign.StatusStaged),
	}
	if got != want {
		rt.Fatalf("recovered %+v, want %+v", got, want)
	}
}

func (m *machine) doRecoverFenced(rt *rapid.T) {
	got, err := m.s.Recover(m.Context(), false)
	must(m.T, err)
	if want := (storage.Recovery{Unknown: m.recoverFenced()}); got != want {
		rt.Fatalf("recovered %+v, want %+v", got, want)
	}
}

// doLease acquires the lease anew, which fences off every call under way.
func (m *machine) doLease(rt *rapid.T) {
	lease, ok, err := m.s.AcquireLease(m.Context(), m.seeded.Sender.ID, "seed", time.Hour)
	must(m.T, err)
	if m.epoch++; !ok || lease.Epoch != m.epoch {
		rt.Fatalf("lease %+v, %v; want epoch %d", lease, ok, m.epoch)
	}
	m.seeded.Lease = lease
}

func (m *machine) doPause(*rapid.T) {
	to := map[campaign.State]campaign.State{
		campaign.StateRunning: campaign.StatePaused, campaign.StatePaused: campaign.StateRunning,
	}[m.state]
	if to != "" {
		m.transit(to)
	}
}

func (m *machine) transit(to campaign.State) {
	_, err := m.s.Transition(m.Context(), m.seeded.ID, to, campaign.PauseOperator, "")
	must(m.T, err)
	m.state = to
}

// doCancel cancels one campaign in eight times it is drawn: little happens
// after it.
func (m *machine) doCancel(rt *rapid.T) {
	if rapid.IntRange(0, 7).Draw(rt, "really") != 0 || m.state == campaign.StateCanceled {
		return
	}
	m.transit(campaign.StateCanceled)
	n, err := m.s.Cancel(m.Context(), m.seeded.ID)
	must(m.T, err)
	if want := m.sweep(campaign.StatusCanceled, campaign.StatusPending, campaign.StatusStaged); n != want {
		rt.Fatalf("canceled %d rows, want %d", n, want)
	}
}

// agree compares ledger and model.
func (m *machine) agree(rt *rapid.T) {
	kept := totals(m.T, m.s, m.seeded.ID)
	counted, err := m.s.Recount(m.Context(), m.seeded.ID)
	must(m.T, err)
	if diff := cmp.Diff(kept, counted); diff != "" {
		rt.Fatalf("counters and rows differ (-kept +counted):\n%s", diff)
	}
	if diff := cmp.Diff(m.byStatus(), kept.ByStatus); diff != "" {
		rt.Fatalf("totals (-model +ledger):\n%s", diff)
	}
	if !kept.Balanced(int64(len(m.rows))) {
		rt.Fatalf("%d rows were read, %d are accounted for", len(m.rows), kept.Sum())
	}
	known := knownChats(m.T, m.s, m.seeded.ID)
	for r, err := range m.s.Recipients(m.Context(), m.seeded.ID, storage.Filter{}) {
		must(m.T, err)
		want := m.rows[r.Seq]
		if r.Status != want.status || r.Gen != want.gen || r.Attempt != want.attempt || r.QueueID != want.queueID || r.Resolution != want.resolution {
			rt.Fatalf("row %d is %s, generation %d, attempt %d, %q, resolved as %q; want %+v",
				r.Seq, r.Status, r.Gen, r.Attempt, r.QueueID, r.Resolution, *want)
		}
		// What was or will be sent to must not be repeated by a delta.
		if (known[r.Chat] == r.Seq) != (r.Status != campaign.StatusSkipped) {
			rt.Fatalf("a %s row is the line of its chat: %v", r.Status, known[r.Chat] == r.Seq)
		}
	}
}

// finish takes every row to its end: none may be in a status it cannot leave.
func (m *machine) finish(rt *rapid.T) {
	m.doRecover(rt)
	for seq, r := range m.rows {
		if r.is(campaign.StatusUnknown) {
			_, err := m.s.ReturnUnknown(m.Context(), m.seeded.ID, []campaign.Staged{{Seq: seq, Gen: r.gen}}, time.Time{}, "")
			must(m.T, err)
			m.returnUnknown(seq, r.gen)
		}
	}
	if m.state == campaign.StatePaused {
		m.transit(campaign.StateRunning)
	}
	for seq, r := range m.rows {
		if !r.is(campaign.StatusPending) {
			continue
		}
		m.doStage(rt, seq)
		row := campaign.Staged{Seq: seq, Gen: r.gen}
		claimed := claim(m.T, m.s, m.seeded, row)
		m.claim(seq, r.gen, m.epoch)
		st := m.seeded.Accepted(row, claimed)
		settle(m.T, m.s, st)
		m.settle(seq, r.calls[len(r.calls)-1], st)
	}
	m.agree(rt)
	if m.state != campaign.StateCanceled {
		m.transit(campaign.StateTracking)
		m.transit(campaign.StateCompleted)
	}
}
