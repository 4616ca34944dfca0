package storage_test

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/storage"
	"github.com/herald-campaigns/herald/storage/storagetest"
)

// receiveMany keeps n deliveries of 1.5 KB, 200 at a time, which is what a
// receiver that shares commits does under load.
func receiveMany(b *testing.B, s *storage.Store, n int) {
	b.Helper()
	body := bytes.Repeat([]byte("x"), 1500)
	for from := 0; from < n; from += 200 {
		batch := make([]campaign.Delivery, 0, 200)
		for i := from; i < min(from+200, n); i++ {
			batch = append(batch, campaign.Delivery{Key: fmt.Sprintf("key-%d", i), Name: "message.ack.updated", Body: body})
		}
		if fresh, err := s.Receive(b.Context(), batch); err != nil || fresh != len(batch) {
			b.Fatalf("kept %d of %d: %v", fresh, len(batch), err)
		}
	}
}

func BenchmarkReceive(b *testing.B) {
	s := open(b)
	b.ResetTimer()
	receiveMany(b, s, b.N)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "deliveries/s")
}

// BenchmarkFold folds in one status of each delivery, 500 at a time, and finds
// their rows first, as the inbox does.
func BenchmarkFold(b *testing.B) {
	s := open(b)
	seeded := storagetest.Seed(b, s, b.N)
	sendAll(b, s, seeded, b.N)
	receiveMany(b, s, b.N)
	var located time.Duration
	b.ResetTimer()
	seq := int64(0)
	for {
		list, err := s.Deliveries(b.Context(), 500)
		if err != nil {
			b.Fatal(err)
		}
		if len(list) == 0 {
			break
		}
		refs := make([]campaign.MessageRef, len(list))
		for i := range list {
			refs[i].UniqueID = fmt.Sprintf("unique-%d-1", seq+int64(i)+1)
		}
		start := time.Now()
		rows, err := s.Locate(b.Context(), refs)
		if err != nil {
			b.Fatal(err)
		}
		located += time.Since(start)
		foldings := make([]campaign.Folding, len(list))
		for i, d := range list {
			seq++
			if rows[i].Seq != seq {
				b.Fatalf("row %d was not found: %+v", seq, rows[i])
			}
			foldings[i] = campaign.Folding{Delivery: d.N, Observation: &campaign.Observation{Evidence: campaign.Evidence{
				Campaign: rows[i].Campaign, Seq: seq, Source: campaign.EvidenceWebhook, Status: campaign.StatusDelivered, DeliveredAt: start,
			}}}
		}
		if _, err := s.Fold(b.Context(), foldings); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "foldings/s")
	b.ReportMetric(float64(located.Nanoseconds())/float64(b.N), "ns-locate/op")
}

// BenchmarkClaimSuppressed is BenchmarkClaimSettle in a ledger in which 100,000
// other chats have opted out.
func BenchmarkClaimSuppressed(b *testing.B) {
	s := open(b)
	decisions := make([]campaign.Consent, 100_000)
	for i := range decisions {
		decisions[i] = campaign.Consent{Chat: storagetest.Chat(int64(1_000_000 + i)), Wish: campaign.WishOut, At: time.UnixMilli(1)}
	}
	start := time.Now()
	if _, err := s.Decide(b.Context(), decisions); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(len(decisions))/time.Since(start).Seconds(), "decisions/s")
	seeded := storagetest.Seed(b, s, b.N)
	b.ResetTimer()
	sendAll(b, s, seeded, b.N)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "claims+settles/s")
}
