package status_test

import (
	"context"
	"log/slog"
	"net/http/httptest"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/internal/gateway"
	"github.com/herald-campaigns/herald/periskope"
	"github.com/herald-campaigns/herald/ratelimit"
	"github.com/herald-campaigns/herald/sandbox"
	"github.com/herald-campaigns/herald/status"
	"github.com/herald-campaigns/herald/storage"
	"github.com/herald-campaigns/herald/storage/storagetest"
)

// told renders the one message that storagetest sends.
type told struct{ seeded storagetest.Seeded }

func (c told) Message(_ context.Context, row campaign.UnknownRow) (campaign.Message, error) {
	return c.seeded.Task(row.Handover()).Message, nil
}

// TestReconcilerOnTheLedger settles rows of a real ledger through a real
// socket. The recipients' numbers follow one another and all got the same
// text, so each is one digit away from others.
func TestReconcilerOnTheLedger(t *testing.T) {
	t.Parallel()
	const rows = 12
	sim, err := sandbox.New(sandbox.Config{AnyPhone: true, Seed: 5})
	check(t, err)
	server := httptest.NewServer(sim.Handler())
	t.Cleanup(func() {
		check(t, sim.Close())
		server.Close()
	})
	store, err := storage.Open(t.Context(), storage.Config{Path: filepath.Join(t.TempDir(), "herald.db")})
	check(t, err)
	t.Cleanup(func() { check(t, store.Close()) })
	seeded := storagetest.Seed(t, store, rows)
	client, err := periskope.New(periskope.Config{BaseURL: server.URL + "/v1", Token: "a-token"})
	check(t, err)
	t.Cleanup(client.CloseIdleConnections)
	gate := gateway.New(client, nil, gateway.Config{})
	reconciler := status.NewReconciler(store, gate, told{seeded}, ratelimit.New(ratelimit.Config{}), slog.New(slog.DiscardHandler), status.ReconcilerConfig{
		Attention:   map[campaign.ID]status.Attention{seeded.ID: {Policy: campaign.PolicyHold}},
		CallTimeout: time.Millisecond, SettleFloor: 300 * time.Millisecond, PassGap: 100 * time.Millisecond, Idle: 5 * time.Millisecond,
	})

	seqs := make([]int64, rows)
	for i := range seqs {
		seqs[i] = int64(i) + 1
	}
	began := time.Now()
	staged, err := store.Stage(t.Context(), seeded.ID, seqs, began)
	check(t, err)
	for i, row := range staged {
		sim.ClearFaults()
		switch i % 4 {
		case 1:
			check(t, sim.AddFault(sandbox.Fault{Kind: sandbox.FaultStatus, Status: 502, When: sandbox.FaultAfter}))
		case 2:
			check(t, sim.AddFault(sandbox.Fault{Kind: sandbox.FaultStatus, Status: 502}))
		}
		claim, err := store.Claim(t.Context(), seeded.Intent(row))
		check(t, err)
		settlement := seeded.Accepted(row, claim)
		settlement.Outcome = gate.Send(t.Context(), seeded.Sender, seeded.Task(row), nil)
		settlement.EndedAt = time.Now()
		if settlement.Outcome.Kind == campaign.OutcomeUnknown {
			settlement.To = campaign.StatusUnknown
		}
		_, err = store.Settle(t.Context(), settlement)
		check(t, err)
		if settlement.To == campaign.StatusQueued {
			reconciler.Accepted(campaign.Tracked{Sender: seeded.Sender, QueueID: settlement.Outcome.QueueID})
		}
	}
	sim.ClearFaults()

	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	var running sync.WaitGroup
	running.Go(func() { reconciler.Run(ctx) })
	defer running.Wait()
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	want := map[campaign.Status]int64{campaign.StatusQueued: 9, campaign.StatusPending: 3}
	for {
		totals, err := store.Totals(t.Context(), seeded.ID)
		check(t, err)
		taken := map[campaign.Status]int64{campaign.StatusPending: totals.ByStatus[campaign.StatusPending]}
		for _, s := range []campaign.Status{campaign.StatusQueued, campaign.StatusProcessing, campaign.StatusSent, campaign.StatusDelivered, campaign.StatusRead} {
			taken[campaign.StatusQueued] += totals.ByStatus[s]
		}
		diff := cmp.Diff(want, taken)
		if diff == "" {
			break
		}
		select {
		case <-ctx.Done():
			t.Fatalf("never settled (-want +got):\n%s", diff)
		case <-tick.C:
		}
	}
	check(t, store.IntegrityCheck(t.Context()))
	if n := len(sim.Acceptances()); n != 9 {
		t.Errorf("%d messages were taken, want 9", n)
	}
	if lag, measured, err := store.VisibilityLag(t.Context(), seeded.Sender.ID); err != nil || !measured || lag > time.Since(began) {
		t.Errorf("visibility lag %s, measured %v, %v", lag, measured, err)
	}
}
