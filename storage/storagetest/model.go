package storagetest

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/storage"
)

// model is what the ledger should hold: a status per row, moved by the plain
// rules of design §3.
type model struct {
	seeded Seeded
	rows   map[int64]*modelRow
}

type modelRow struct {
	status campaign.Status
	staged campaign.Staged // the latest hand-over
	sent   bool            // was ever claimed
}

// testModel drives random operations on a few rows against ledger and model.
// After each the statuses must be the same, and at the end counters, rows and
// model.
func testModel(t *testing.T, s *storage.Store) {
	const rows = 5
	rapid.Check(t, func(rt *rapid.T) {
		m := model{seeded: Seed(t, s, rows), rows: map[int64]*modelRow{}}
		for seq := int64(1); seq <= rows; seq++ {
			m.rows[seq] = &modelRow{status: campaign.StatusPending}
		}
		pick := rapid.Int64Range(1, rows)
		rt.Repeat(map[string]func(*rapid.T){
			"stage":    func(rt *rapid.T) { m.stage(t, rt, s, pick.Draw(rt, "row")) },
			"unstage":  func(rt *rapid.T) { m.unstage(t, s, pick.Draw(rt, "row")) },
			"claim":    func(rt *rapid.T) { m.claim(t, rt, s, pick.Draw(rt, "row")) },
			"settle":   func(rt *rapid.T) { m.settle(t, rt, s, pick.Draw(rt, "row")) },
			"give":     func(rt *rapid.T) { m.giveBack(t, s, pick.Draw(rt, "row")) },
			"evidence": func(rt *rapid.T) { m.evidence(t, rt, s, pick.Draw(rt, "row")) },
			"skip":     func(rt *rapid.T) { m.skip(t, s, pick.Draw(rt, "row")) },
			"return":   func(rt *rapid.T) { m.returnUnknown(t, s, pick.Draw(rt, "row")) },
			"": func(rt *rapid.T) {
				want := map[campaign.Status]int64{}
				for _, r := range m.rows {
					want[r.status]++
				}
				if diff := cmp.Diff(want, totals(t, s, m.seeded.ID).ByStatus); diff != "" {
					rt.Fatalf("totals (-model +ledger):\n%s", diff)
				}
			},
		})
		for r, err := range s.Recipients(t.Context(), m.seeded.ID, storage.Filter{}) {
			if err != nil {
				rt.Fatal(err)
			}
			if want := m.rows[r.Seq].status; r.Status != want {
				rt.Errorf("row %d is %s, want %s", r.Seq, r.Status, want)
			}
		}
	})
}

func (m model) stage(t *testing.T, rt *rapid.T, s *storage.Store, seq int64) {
	got, err := s.Stage(t.Context(), m.seeded.ID, []int64{seq}, time.Now())
	if r := m.rows[seq]; err != nil || (len(got) == 1) != (r.status == campaign.StatusPending) {
		rt.Fatalf("stage %s row: %v %v", r.status, got, err)
	} else if len(got) == 1 {
		r.status, r.staged = campaign.StatusStaged, got[0]
	}
}

func (m model) unstage(t *testing.T, s *storage.Store, seq int64) {
	must(t, s.UnstageRows(t.Context(), m.seeded.ID, []int64{seq}))
	m.from(seq, campaign.StatusPending, campaign.StatusStaged)
}

// from moves the model's row if it is in one of the statuses.
func (m model) from(seq int64, to campaign.Status, statuses ...campaign.Status) {
	if slices.Contains(statuses, m.rows[seq].status) {
		m.rows[seq].status = to
		return
	}
}

func (m model) claim(t *testing.T, rt *rapid.T, s *storage.Store, seq int64) {
	r := m.rows[seq]
	r.staged.Seq = seq
	got, err := s.Claim(t.Context(), m.seeded.Intent(r.staged))
	if err != nil || (got.Refused == campaign.RefusedNot) != (r.status == campaign.StatusStaged) {
		rt.Fatalf("claim of a %s row: %q %v", r.status, got.Refused, err)
	}
	if got.Refused == campaign.RefusedNot {
		r.status, r.sent = campaign.StatusSubmitting, true
	}
}

func (m model) settle(t *testing.T, rt *rapid.T, s *storage.Store, seq int64) {
	r := m.rows[seq]
	if r.status != campaign.StatusSubmitting && r.status != campaign.StatusUnknown {
		return
	}
	st := m.seeded.Accepted(r.staged, campaign.Claim{Attempt: 1, ClaimedAt: time.Now()})
	st.To = rapid.SampledFrom([]campaign.Status{
		campaign.StatusQueued, campaign.StatusFailed, campaign.StatusPending, campaign.StatusUnknown,
	}).Draw(rt, "to")
	st.Outcome.Kind = map[campaign.Status]campaign.OutcomeKind{
		campaign.StatusQueued: campaign.OutcomeAccepted, campaign.StatusFailed: campaign.OutcomeRejected,
		campaign.StatusPending: campaign.OutcomeUnavailable, campaign.StatusUnknown: campaign.OutcomeUnknown,
	}[st.To]
	if st.To == campaign.StatusFailed {
		st.FailReason, st.FailClass = campaign.FailRejected, campaign.FailPermanent
	}
	st.Refund = st.To == campaign.StatusPending && rapid.Bool().Draw(rt, "refund")
	if _, err := s.Settle(t.Context(), st); err != nil {
		rt.Fatal(err)
	}
	r.status = st.To
}

func (m model) giveBack(t *testing.T, s *storage.Store, seq int64) {
	must(t, s.GiveBack(t.Context(), m.seeded.Task(m.rows[seq].staged), m.seeded.Lease.Epoch))
	m.from(seq, campaign.StatusPending, campaign.StatusSubmitting)
}

func (m model) evidence(t *testing.T, rt *rapid.T, s *storage.Store, seq int64) {
	status := rapid.SampledFrom([]campaign.Status{
		campaign.StatusQueued, campaign.StatusProcessing, campaign.StatusSent, campaign.StatusDelivered, campaign.StatusRead,
		campaign.StatusFailed,
	}).Draw(rt, "status")
	must(t, s.Observe(t.Context(), []campaign.Observation{evidence(m.seeded, seq, status, time.Now())}))
	if r := m.rows[seq]; r.sent {
		r.status = r.status.Merge(status)
	}
}

func (m model) skip(t *testing.T, s *storage.Store, seq int64) {
	_, err := s.Skip(t.Context(), m.seeded.ID, []campaign.Skip{{Seq: seq, Reason: campaign.SkipOptedOut}})
	must(t, err)
	m.from(seq, campaign.StatusSkipped, campaign.StatusPending, campaign.StatusStaged)
}

func (m model) returnUnknown(t *testing.T, s *storage.Store, seq int64) {
	_, err := s.ReturnUnknown(t.Context(), m.seeded.ID, []campaign.Staged{m.rows[seq].staged}, time.Time{}, "")
	must(t, err)
	m.from(seq, campaign.StatusPending, campaign.StatusUnknown)
}
