package storage_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/herald-campaigns/herald/storage"
	"github.com/herald-campaigns/herald/storage/storagetest"
)

func TestMain(m *testing.M) {
	if runChild() {
		return
	}
	goleak.VerifyTestMain(m)
}

func TestConformance(t *testing.T) {
	t.Parallel()
	storagetest.Run(t, func(t *testing.T) *storage.Store { t.Helper(); return open(t) })
}
