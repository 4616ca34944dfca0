package storagetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/storage"
)

const parallel = 64

// testOneClaimWins lets 64 goroutines claim the same rows.
func testOneClaimWins(t *testing.T, s *storage.Store) {
	seeded := Seed(t, s, 20)
	var seqs []int64
	for seq := range int64(20) {
		seqs = append(seqs, seq+1)
	}
	for _, r := range stage(t, s, seeded, seqs...) {
		var granted atomic.Int64
		var all sync.WaitGroup
		for range parallel {
			all.Go(func() {
				got, err := s.Claim(t.Context(), seeded.Intent(r))
				switch {
				case err != nil:
					t.Error(err)
				case got.Refused == campaign.RefusedNot:
					granted.Add(1)
				case got.Refused != campaign.RefusedStale:
					t.Errorf("refused %q", got.Refused)
				}
			})
		}
		all.Wait()
		if n := granted.Load(); n != 1 {
			t.Errorf("row %d was granted %d times", r.Seq, n)
		}
	}
}

// testParallelSends sends 640 rows from 64 goroutines, with a cap that must
// hold exactly.
func testParallelSends(t *testing.T, s *storage.Store) {
	const rows, limit = 640, 500
	seeded := Seed(t, s, rows)
	var seqs []int64
	for seq := range int64(rows) {
		seqs = append(seqs, seq+1)
	}
	work := make(chan campaign.Staged, rows)
	for _, r := range stage(t, s, seeded, seqs...) {
		work <- r
	}
	close(work)
	var refused atomic.Int64
	var all sync.WaitGroup
	for range parallel {
		all.Go(func() {
			for r := range work {
				intent := seeded.Intent(r)
				intent.Daily = limit
				got, err := s.Claim(t.Context(), intent)
				switch {
				case err != nil:
					t.Error(err)
				case got.Refused == campaign.RefusedCap:
					refused.Add(1)
				case got.Refused != campaign.RefusedNot:
					t.Errorf("refused %q", got.Refused)
				default:
					if _, err := s.Settle(t.Context(), seeded.Accepted(r, got)); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	all.Wait()
	if n := refused.Load(); n != rows-limit {
		t.Errorf("%d claims were refused, want %d", n, rows-limit)
	}
	want := map[campaign.Status]int64{campaign.StatusQueued: limit, campaign.StatusStaged: rows - limit}
	if diff := cmp.Diff(want, totals(t, s, seeded.ID).ByStatus); diff != "" {
		t.Errorf("after the sends (-want +got):\n%s", diff)
	}
}

// testCanceledCallers cancels callers while they wait: each either has its
// claim or was told that it has not.
func testCanceledCallers(t *testing.T, s *storage.Store) {
	const rows = 200
	seeded := Seed(t, s, rows)
	var seqs []int64
	for seq := range int64(rows) {
		seqs = append(seqs, seq+1)
	}
	staged := stage(t, s, seeded, seqs...)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var granted atomic.Int64
	var all sync.WaitGroup
	for i, r := range staged {
		all.Go(func() {
			if i == rows/2 {
				cancel()
			}
			got, err := s.Claim(ctx, seeded.Intent(r))
			switch {
			case err == nil && got.Refused == campaign.RefusedNot:
				granted.Add(1)
			case !errors.Is(err, context.Canceled):
				t.Errorf("row %d: %q %v", r.Seq, got.Refused, err)
			}
		})
	}
	all.Wait()
	if n := totals(t, s, seeded.ID).ByStatus[campaign.StatusSubmitting]; n != granted.Load() {
		t.Errorf("%d rows are claimed, %d callers know it", n, granted.Load())
	}
	if _, err := s.Claim(ctx, seeded.Intent(staged[0])); !errors.Is(err, context.Canceled) {
		t.Errorf("claim with a canceled context: %v", err)
	}
}

// testFailureIsolated mixes operations that fail inside the transaction with
// ones that must not notice.
func testFailureIsolated(t *testing.T, s *storage.Store) {
	const rows = 100
	seeded := Seed(t, s, rows)
	var seqs []int64
	for seq := range int64(rows) {
		seqs = append(seqs, seq+1)
	}
	staged := stage(t, s, seeded, seqs...)
	duplicate := campaign.Campaign{ID: seeded.ID, Name: "again", Mode: campaign.ModeSandbox, State: campaign.StateDraft}
	results := make(chan error, 2*rows)
	for _, r := range staged {
		go func() {
			got, err := s.Claim(t.Context(), seeded.Intent(r))
			if err == nil && got.Refused != campaign.RefusedNot {
				err = fmt.Errorf("row %d refused: %s", r.Seq, got.Refused)
			}
			results <- err
		}()
		go func() {
			err := s.CreateCampaign(t.Context(), duplicate)
			if campaign.CodeOf(err) != campaign.CodeConflict {
				results <- fmt.Errorf("the same campaign twice: %w", err)
				return
			}
			results <- nil
		}()
	}
	for range 2 * rows {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
	if hour, _, err := s.SenderUsage(t.Context(), seeded.Sender.ID); err != nil || hour != rows {
		t.Errorf("usage is %d, want %d: a rolled back intent was counted, or one was lost (%v)", hour, rows, err)
	}
}
