package storage_test

import (
	"context"
	"path/filepath"
	"sync"
	"testing"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/storage"
)

// TestLookingAtTheLockKeepsNobodyFromWork: `herald status` asks whether anybody
// holds the directory, and a run that starts at that very moment must get it.
func TestLookingAtTheLockKeepsNobodyFromWork(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	held := func(want bool) {
		t.Helper()
		if got, err := storage.DirHeld(dir); err != nil || got != want {
			t.Errorf("held %v, want %v (%v)", got, want, err)
		}
	}
	held(false) // there is no such folder
	lock, err := storage.LockDir(dir, campaign.ModeLive)
	if err != nil {
		t.Fatal(err)
	}
	held(true)
	if err := lock.Unlock(); err != nil {
		t.Fatal(err)
	}
	held(false)

	looking, stop := context.WithCancel(t.Context())
	var lookers sync.WaitGroup
	for range 2 {
		lookers.Go(func() {
			for looking.Err() == nil {
				if _, err := storage.DirHeld(dir); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range 200 {
		lock, err := storage.LockDir(dir, campaign.ModeLive)
		if err != nil {
			t.Error(err)
			break
		}
		if err := lock.Unlock(); err != nil {
			t.Error(err)
		}
	}
	stop()
	lookers.Wait()
}
