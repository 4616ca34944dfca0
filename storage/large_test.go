package storage_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/herald-campaigns/herald/storage"
	"github.com/herald-campaigns/herald/storage/storagetest"
)

// TestRestartOfLargeCampaign measures what a restart does before its first send,
// on a campaign half of which is sent: HERALD_BENCH_ROWS rows, skipped without.
func TestRestartOfLargeCampaign(t *testing.T) {
	t.Parallel()
	if os.Getenv("HERALD_BENCH_ROWS") == "" {
		t.Skip("set HERALD_BENCH_ROWS to run it")
	}
	rows := benchRows(t)
	path := filepath.Join(t.TempDir(), "ledger.db")
	s := openAt(t, path)
	seeded := storagetest.Seed(t, s, rows)
	check(t, s.MarkSent(t.Context(), rows/2))
	const inStream, underWay = 3000, 64
	staged := stageRange(t, s, seeded, int64(rows/2)+1, inStream)
	for _, row := range staged[:underWay] {
		if _, err := s.Claim(t.Context(), seeded.Intent(row)); err != nil {
			t.Fatal(err)
		}
	}
	check(t, s.Crash())

	measure := func(what string, do func() error) {
		start := time.Now()
		check(t, do())
		took := time.Since(start)
		t.Logf("%d rows: %s took %v", rows, what, took.Round(time.Millisecond))
		if took > 5*time.Second {
			t.Errorf("%s took %v, want well under 5 s", what, took)
		}
	}
	measure("Open", func() (err error) { s = openAt(t, path); return nil })
	measure("Recover(alone)", func() error {
		found, err := s.Recover(t.Context(), true)
		if want := (storage.Recovery{Unknown: underWay, Returned: inStream - underWay}); err == nil && found != want {
			t.Errorf("recovered %+v, want %+v", found, want)
		}
		return err
	})
	stageRange(t, s, seeded, int64(rows/2)+1+underWay, inStream-underWay)
	measure("Unstage", func() error { _, err := s.Unstage(t.Context(), seeded.ID, time.Time{}); return err })
	measure("UnknownRows", func() error { _, err := s.UnknownRows(t.Context(), seeded.ID); return err })
	measure("BoundIDs", func() error { _, err := s.BoundIDs(t.Context(), storagetest.Chat(7)); return err })
	measure("Totals", func() error { _, err := s.Totals(t.Context(), seeded.ID); return err })
	start := time.Now()
	check(t, s.Backup(t.Context(), path+".backup"))
	t.Logf("%d rows: Backup took %v", rows, time.Since(start).Round(time.Millisecond))
}
