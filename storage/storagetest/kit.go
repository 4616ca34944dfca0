package storagetest

import (
	"testing"
	"time"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/storage"
)

// must fails the test on an error.
func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// wantCode fails unless err carries the code.
func wantCode(t *testing.T, err error, code campaign.Code) {
	t.Helper()
	if got := campaign.CodeOf(err); err == nil || got != code {
		t.Errorf("error %v has code %q, want %q", err, got, code)
	}
}

// stage stages the rows and fails unless all were.
func stage(t *testing.T, s *storage.Store, seeded Seeded, seqs ...int64) []campaign.Staged {
	t.Helper()
	staged, err := s.Stage(t.Context(), seeded.ID, seqs, time.Now())
	must(t, err)
	if len(staged) != len(seqs) {
		t.Fatalf("staged %d rows of %d", len(staged), len(seqs))
	}
	return staged
}

// claim claims a row and fails unless it was granted.
func claim(t *testing.T, s *storage.Store, seeded Seeded, row campaign.Staged) campaign.Claim {
	t.Helper()
	got, err := s.Claim(t.Context(), seeded.Intent(row))
	must(t, err)
	if got.Refused != campaign.RefusedNot {
		t.Fatalf("claim of row %d refused: %s", row.Seq, got.Refused)
	}
	return got
}

// wantRefused claims a row and fails unless it was refused for the reason.
func wantRefused(t *testing.T, s *storage.Store, intent campaign.Intent, want campaign.Refusal) campaign.Claim {
	t.Helper()
	got, err := s.Claim(t.Context(), intent)
	must(t, err)
	if got.Refused != want {
		t.Errorf("claim of row %d: refused %q, want %q", intent.Task.Seq, got.Refused, want)
	}
	return got
}

// settle writes an outcome and fails on an error. It returns what the outcome
// came to.
func settle(t *testing.T, s *storage.Store, st campaign.Settlement) campaign.Status {
	t.Helper()
	got, err := s.Settle(t.Context(), st)
	must(t, err)
	return got
}

// wantSettleCode fails unless settling fails with the code.
func wantSettleCode(t *testing.T, s *storage.Store, st campaign.Settlement, code campaign.Code) {
	t.Helper()
	_, err := s.Settle(t.Context(), st)
	wantCode(t, err, code)
}

// send takes one row all the way to queued.
func send(t *testing.T, s *storage.Store, seeded Seeded, seq int64) campaign.Staged {
	t.Helper()
	row := stage(t, s, seeded, seq)[0]
	settle(t, s, seeded.Accepted(row, claim(t, s, seeded, row)))
	return row
}

func row(t *testing.T, s *storage.Store, seeded Seeded, seq int64) campaign.Recipient {
	t.Helper()
	r, err := s.Recipient(t.Context(), seeded.ID, seq)
	must(t, err)
	return r
}

func wantStatus(t *testing.T, s *storage.Store, seeded Seeded, seq int64, want campaign.Status) campaign.Recipient {
	t.Helper()
	r := row(t, s, seeded, seq)
	if r.Status != want {
		t.Errorf("row %d is %s, want %s", seq, r.Status, want)
	}
	return r
}

// list collects a walk.
func list(t *testing.T, s *storage.Store, id campaign.ID, filter storage.Filter) []int64 {
	t.Helper()
	var seqs []int64
	for r, err := range s.Recipients(t.Context(), id, filter) {
		must(t, err)
		seqs = append(seqs, r.Seq)
	}
	return seqs
}

func totals(t *testing.T, s *storage.Store, id campaign.ID) campaign.Totals {
	t.Helper()
	kept, err := s.Totals(t.Context(), id)
	must(t, err)
	return kept
}

func evidence(seeded Seeded, seq int64, status campaign.Status, at time.Time) campaign.Observation {
	e := campaign.Evidence{Campaign: seeded.ID, Seq: seq, Source: campaign.EvidenceWebhook, Status: status}
	switch status {
	case campaign.StatusSent:
		e.SentAt = at
	case campaign.StatusDelivered:
		e.DeliveredAt = at
	case campaign.StatusRead:
		e.ReadAt = at
	case campaign.StatusFailed:
		e.FailedAt, e.Detail = at, "the provider gave up"
	case campaign.StatusSkipped, campaign.StatusPending, campaign.StatusStaged, campaign.StatusSubmitting, campaign.StatusUnknown,
		campaign.StatusQueued, campaign.StatusProcessing, campaign.StatusCanceled:
	}
	return campaign.Observation{Evidence: e}
}

// settlement is an outcome other than acceptance.
func settlement(seeded Seeded, row campaign.Staged, got campaign.Claim, kind campaign.OutcomeKind, to campaign.Status) campaign.Settlement {
	return campaign.Settlement{
		Task: seeded.Task(row), Epoch: seeded.Lease.Epoch, Attempt: got.Attempt,
		StartedAt: got.ClaimedAt, EndedAt: got.ClaimedAt.Add(time.Second),
		Outcome: campaign.Outcome{Kind: kind, Detail: "what the API said"},
		To:      to,
	}
}
