package status_test

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/ratelimit"
	"github.com/herald-campaigns/herald/status"
)

// longList is a provider that shows every job the phone ever had, and says how
// much memory there is in use when a chat is listed: a pass waits there for its
// requests.
type longList struct {
	*shelf
	others   int // jobs that are somebody else's
	textSize int // of each, in bytes
	inUse    []uint64
}

func (l *longList) Jobs(ctx context.Context, sender campaign.Sender, show func(campaign.Candidate)) (int, error) {
	for i := range l.others {
		id := fmt.Sprintf("other-%d", i)
		show(campaign.Candidate{
			Source: campaign.EvidenceJobs, QueueID: "q" + id, Chat: campaign.ChatID(fmt.Sprintf("919999%06d@c.us", i)),
			Text: strings.Repeat("x", l.textSize), At: time.Now(), Status: campaign.StatusRead,
		})
	}
	n, err := l.shelf.Jobs(ctx, sender, show)
	return l.others + n, err
}

func (l *longList) Messages(ctx context.Context, sender campaign.Sender, chat campaign.ChatID, since time.Time) ([]campaign.Candidate, bool, error) {
	runtime.GC()
	var now runtime.MemStats
	runtime.ReadMemStats(&now)
	l.inUse = append(l.inUse, now.HeapAlloc)
	return l.shelf.Messages(ctx, sender, chat, since)
}

// TestLongJobListIsNotKept: the list of a phone that has sent for weeks has tens
// of thousands of jobs, of which a handful bear on the rows.
func TestLongJobListIsNotKept(t *testing.T) { //nolint:paralleltest // it measures memory
	simulate(t, func(l *lab) {
		l.lose(1, asha, "Hi Asha")
		provider := &longList{shelf: l.shelf, others: 100_000, textSize: 300}
		var before runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		r := status.NewReconciler(l.book, provider, l.book, ratelimit.New(ratelimit.Config{PerSecond: l.pace}), slog.New(slog.DiscardHandler), l.cfg)
		if err := r.Round(l.t.Context()); err != nil {
			t.Fatal(err)
		}
		if len(provider.inUse) == 0 {
			t.Fatal("no chat was listed")
		}
		// The ids alone would be more than that.
		texts := uint64(provider.others * provider.textSize)
		if kept := provider.inUse[0] - min(before.HeapAlloc, provider.inUse[0]); kept > texts/10 {
			t.Errorf("%d KiB are kept while chats are listed, of %d KiB of texts", kept>>10, texts>>10)
		}
	})
}
