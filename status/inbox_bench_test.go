package status_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/internal/gateway"
	"github.com/herald-campaigns/herald/status"
	"github.com/herald-campaigns/herald/storage"
	"github.com/herald-campaigns/herald/storage/storagetest"
)

// BenchmarkInbox is how fast kept deliveries are folded: statuses of 1,000 rows,
// and a reply to each tenth.
func BenchmarkInbox(b *testing.B) {
	const rows = 1000
	m := &mailroom{now: time.Now()}
	store, err := storage.Open(b.Context(), storage.Config{Path: filepath.Join(b.TempDir(), "herald.db")})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = store.Close() }()
	m.ledger, m.seeded = &shelfLedger{Store: store}, storagetest.Seed(b, store, rows)
	seqs := make([]int64, rows)
	for i := range seqs {
		seqs[i] = int64(i) + 1
	}
	staged, err := store.Stage(b.Context(), m.seeded.ID, seqs, time.Now())
	if err != nil {
		b.Fatal(err)
	}
	for _, row := range staged {
		claim, err := store.Claim(b.Context(), m.seeded.Intent(row))
		if err != nil {
			b.Fatal(err)
		}
		if _, err := store.Settle(b.Context(), m.seeded.Accepted(row, claim)); err != nil {
			b.Fatal(err)
		}
	}
	desk, err := status.NewDesk(m.ledger, m, slog.New(slog.DiscardHandler), status.DeskConfig{})
	if err != nil {
		b.Fatal(err)
	}
	inbox := status.NewInbox(m.ledger, gateway.News, desk, &oracle{}, free{}, slog.New(slog.DiscardHandler), status.InboxConfig{})
	batch := make([]campaign.Delivery, 0, 1000)
	keep := func() {
		if _, err := store.Receive(b.Context(), batch); err != nil {
			b.Fatal(err)
		}
		batch = batch[:0]
	}
	for i := range b.N {
		seq := int64(i%rows) + 1
		name, data := "message.ack.updated", m.own(seq, map[string]any{"ack": fmt.Sprint(2 + i/rows%3)})
		if i%10 == 9 {
			name, data = "message.created", theirs(seq, fmt.Sprintf("r%d", i), "Thanks a lot", time.Now(), nil)
		}
		body, err := json.Marshal(map[string]any{"id": fmt.Sprint(i), "event_type": name, "data": data})
		if err != nil {
			b.Fatal(err)
		}
		if batch = append(batch, campaign.Delivery{Key: fmt.Sprint(i), Name: name, Body: body, Received: time.Now()}); len(batch) == cap(batch) {
			keep()
		}
	}
	keep()
	b.ResetTimer()
	for {
		n, err := inbox.Round(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		if n == 0 {
			break
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "deliveries/s")
}
