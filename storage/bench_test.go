package storage_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/storage"
	"github.com/herald-campaigns/herald/storage/storagetest"
)

func openAt(tb testing.TB, path string) *storage.Store {
	tb.Helper()
	s, err := storage.Open(tb.Context(), storage.Config{Path: path})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Errorf("close: %v", err)
		}
	})
	return s
}

func open(tb testing.TB) *storage.Store {
	tb.Helper()
	return openAt(tb, filepath.Join(tb.TempDir(), "ledger.db"))
}

// benchRows is how large a campaign is, 100,000 rows unless HERALD_BENCH_ROWS
// says otherwise.
func benchRows(tb testing.TB) int {
	tb.Helper()
	if text := os.Getenv("HERALD_BENCH_ROWS"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			tb.Fatal(err)
		}
		return n
	}
	return 100_000
}

// BenchmarkImport adds rows in batches of 5,000 with chats in random order,
// the worst order for the unique index.
func BenchmarkImport(b *testing.B) {
	rows := benchRows(b)
	var spent time.Duration
	for range b.N {
		s := open(b)
		seeded := storagetest.SeedDraft(b, s, 0)
		imp := campaign.Import{File: "big.csv"}
		imp.Number, _ = s.BeginImport(b.Context(), seeded.ID, imp)
		random := rand.New(rand.NewPCG(1, 2))
		for first := 1; first <= rows; first += 5000 {
			batch := storagetest.Batch(imp.Number, seeded.Sender.ID, int64(first), min(5000, rows-first+1), random)
			start := time.Now()
			if err := s.AddRecipients(b.Context(), seeded.ID, batch); err != nil {
				b.Fatal(err)
			}
			spent += time.Since(start)
		}
		imp.Rows = int64(rows)
		if err := s.FinishImport(b.Context(), seeded.ID, imp); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(rows)*float64(b.N)/spent.Seconds(), "rows/s")
}

// BenchmarkStage moves pending rows to staged, 1,000 at a time.
func BenchmarkStage(b *testing.B) {
	s := open(b)
	seeded := storagetest.Seed(b, s, max(b.N, 1000))
	b.ResetTimer()
	for from := 0; from < b.N; from += 1000 {
		stageRange(b, s, seeded, int64(from)+1, min(1000, b.N-from))
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}

func stageRange(tb testing.TB, s *storage.Store, seeded storagetest.Seeded, first int64, n int) []campaign.Staged {
	tb.Helper()
	seqs := make([]int64, n)
	for i := range seqs {
		seqs[i] = first + int64(i)
	}
	staged, err := s.Stage(context.WithoutCancel(tb.Context()), seeded.ID, seqs, time.Now())
	if err != nil || len(staged) != n {
		tb.Fatalf("staged %d of %d: %v", len(staged), n, err)
	}
	return staged
}

// BenchmarkClaimSettle claims and settles rows from 64 goroutines, which share
// commits; with one goroutine every operation pays its own fsync.
func BenchmarkClaimSettle(b *testing.B) {
	for _, workers := range []int{1, 64} {
		b.Run(fmt.Sprintf("workers=%d", workers), func(b *testing.B) {
			s := open(b)
			seeded := storagetest.Seed(b, s, b.N)
			staged := make([]campaign.Staged, 0, b.N)
			for from := 0; from < b.N; from += 1000 {
				staged = append(staged, stageRange(b, s, seeded, int64(from)+1, min(1000, b.N-from))...)
			}
			var next atomic.Int64
			done := make(chan error, workers)
			b.ResetTimer()
			for range workers {
				go func() { done <- claimAndSettle(b.Context(), s, seeded, staged, &next) }()
			}
			for range workers {
				if err := <-done; err != nil {
					b.Fatal(err)
				}
			}
			b.StopTimer()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "claims+settles/s")
		})
	}
}

func claimAndSettle(ctx context.Context, s *storage.Store, seeded storagetest.Seeded, staged []campaign.Staged, next *atomic.Int64) error {
	for {
		i := next.Add(1) - 1
		if i >= int64(len(staged)) {
			return nil
		}
		claim, err := s.Claim(ctx, seeded.Intent(staged[i]))
		if err != nil || claim.Refused != campaign.RefusedNot {
			return fmt.Errorf("claim row %d: %q %w", staged[i].Seq, claim.Refused, err)
		}
		if _, err := s.Settle(ctx, seeded.Accepted(staged[i], claim)); err != nil {
			return err
		}
	}
}

// sendAll takes the first n rows to queued, from 64 goroutines.
func sendAll(b *testing.B, s *storage.Store, seeded storagetest.Seeded, n int) {
	b.Helper()
	var next atomic.Int64
	var staged []campaign.Staged
	for from := 0; from < n; from += 1000 {
		staged = append(staged, stageRange(b, s, seeded, int64(from)+1, min(1000, n-from))...)
	}
	done := make(chan error, 64)
	for range 64 {
		go func() { done <- claimAndSettle(b.Context(), s, seeded, staged, &next) }()
	}
	for range 64 {
		if err := <-done; err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkObserve folds evidence in batches of 500.
func BenchmarkObserve(b *testing.B) {
	s := open(b)
	seeded := storagetest.Seed(b, s, b.N)
	sendAll(b, s, seeded, b.N)
	b.ResetTimer()
	at := time.Now()
	for from := 0; from < b.N; from += 500 {
		var list []campaign.Observation
		for seq := from + 1; seq <= min(from+500, b.N); seq++ {
			list = append(list, campaign.Observation{
				Evidence: campaign.Evidence{
					Campaign: seeded.ID, Seq: int64(seq), Source: campaign.EvidencePoll, Status: campaign.StatusSent, SentAt: at,
				},
				NextPoll: at.Add(time.Minute),
			})
		}
		if err := s.Observe(b.Context(), list); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}

// BenchmarkLarge measures what must stay quick over a campaign of a million rows
// (HERALD_BENCH_ROWS): totals, a page, the feeder's look, and opening the ledger again.
func BenchmarkLarge(b *testing.B) {
	path := filepath.Join(b.TempDir(), "ledger.db")
	s := openAt(b, path)
	seeded := storagetest.Seed(b, s, benchRows(b))
	measure := func(name string, do func() error) {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if err := do(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	ctx := b.Context()
	measure("totals", func() error { _, err := s.Totals(ctx, seeded.ID); return err })
	measure("recount", func() error { _, err := s.Recount(ctx, seeded.ID); return err })
	measure("pending", func() error {
		_, err := s.Pending(ctx, seeded.ID, seeded.Sender.ID, time.Now(), 1000)
		return err
	})
	measure("page", func() error {
		for _, err := range s.Recipients(ctx, seeded.ID, storage.Filter{AfterSeq: int64(benchRows(b)) * 7 / 10, Limit: 100}) {
			if err != nil {
				return err
			}
		}
		return nil
	})
	measure("walk", func() error {
		for _, err := range s.Recipients(ctx, seeded.ID, storage.Filter{}) {
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
	measure("open", func() error {
		again, err := storage.Open(ctx, storage.Config{Path: path})
		if err != nil {
			return err
		}
		return again.Close()
	})
}
