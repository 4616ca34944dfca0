package web_test

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/herald-campaigns/herald/storage"
)

// openLedger opens the real ledger.
func openLedger(ctx context.Context, dir string) (*storage.Store, error) {
	return storage.Open(ctx, storage.Config{Path: filepath.Join(dir, "herald.db")})
}

// ledger opens the real ledger for as long as the test runs.
func ledger(tb testing.TB, dir string) *storage.Store {
	tb.Helper()
	store, err := openLedger(tb.Context(), dir)
	if err != nil {
		tb.Fatalf("open the ledger: %v", err)
	}
	tb.Cleanup(func() {
		if err := store.Close(); err != nil {
			tb.Errorf("close the ledger: %v", err)
		}
	})
	return store
}

// keysIn are the keys of all deliveries in the ledger that nobody has looked at.
func keysIn(tb testing.TB, store *storage.Store) map[string]bool {
	tb.Helper()
	deliveries, err := store.Deliveries(tb.Context(), 10_000_000)
	if err != nil {
		tb.Fatalf("read the deliveries: %v", err)
	}
	keys := make(map[string]bool, len(deliveries))
	for _, d := range deliveries {
		keys[d.Key] = true
	}
	return keys
}
