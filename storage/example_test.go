package storage_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/storage"
	"github.com/herald-campaigns/herald/storage/storagetest"
)

// One send: the claim is on disk before the call, the outcome after it, and
// the totals follow.
func Example() {
	dir, err := os.MkdirTemp("", "herald")
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()

	ctx := context.Background()
	ledger, err := storage.Open(ctx, storage.Config{Path: filepath.Join(dir, "ledger.db")})
	if err != nil {
		log.Print(err)
		return
	}
	defer func() { _ = ledger.Close() }()

	seeded, staged, err := storagetest.SeedStaged(ctx, ledger, 3)
	if err != nil {
		log.Print(err)
		return
	}
	claim, err := ledger.Claim(ctx, seeded.Intent(staged[0]))
	if err != nil || claim.Refused != campaign.RefusedNot {
		log.Print(claim.Refused, err)
		return
	}
	// … the call of the send API …
	if _, err := ledger.Settle(ctx, seeded.Accepted(staged[0], claim)); err != nil {
		log.Print(err)
		return
	}
	totals, err := ledger.Totals(ctx, seeded.ID)
	if err != nil {
		log.Print(err)
		return
	}
	fmt.Println(totals.ByStatus[campaign.StatusQueued], "queued,", totals.Waiting(), "waiting")
	// Output: 1 queued, 2 waiting
}
