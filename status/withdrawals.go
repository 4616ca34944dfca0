package status

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/herald-campaigns/herald/campaign"
)

// Purger takes jobs out of the provider's queue, by their queue ids and nothing
// else, and says which are out; some may be also along with an error.
type Purger interface {
	Purge(ctx context.Context, sender campaign.Sender, queueIDs []string) ([]string, error)
}

// Withdrawer notes that queued rows will not be sent.
type Withdrawer interface {
	Withdraw(ctx context.Context, id campaign.ID, seqs []int64, detail string) (int64, error)
}

const (
	purgeTries = 5           // a job that is not out by then has been sent
	purgeAgain = time.Second // between them
)

// Withdrawals takes the jobs of people who opted out back out of the provider's
// queue. What is known of them is in memory only: a job leaves that queue within
// seconds, so after a crash there would be nothing left to take. It is safe for
// concurrent use.
type Withdrawals struct {
	ledger Withdrawer
	purger Purger
	log    *slog.Logger
	wake   chan struct{}

	mu      sync.Mutex
	waiting []withdrawal
}

type withdrawal struct {
	campaign.Located

	tries int
}

// NewWithdrawals makes withdrawals.
func NewWithdrawals(ledger Withdrawer, purger Purger, log *slog.Logger) *Withdrawals {
	return &Withdrawals{ledger: ledger, purger: purger, log: log.With("component", "withdrawals"), wake: make(chan struct{}, 1)}
}

// Take hands over rows whose jobs may still be purged. It never waits.
func (w *Withdrawals) Take(queued []campaign.Located) {
	w.mu.Lock()
	for _, row := range queued {
		known := slices.ContainsFunc(w.waiting, func(other withdrawal) bool { return other.QueueID == row.QueueID })
		if row.QueueID != "" && !known {
			w.waiting = append(w.waiting, withdrawal{Located: row})
		}
	}
	w.mu.Unlock()
	select {
	case w.wake <- struct{}{}:
	default: // it is awake
	}
}

// Run purges what is taken until ctx ends.
func (w *Withdrawals) Run(ctx context.Context) {
	for ctx.Err() == nil {
		again := time.Duration(-1)
		if err := w.Round(ctx); err != nil && ctx.Err() == nil {
			w.log.WarnContext(ctx, "queued messages to people who opted out were not all purged, will try again", "err", err)
			again = purgeAgain
		}
		w.pause(ctx, again)
	}
}

// pause waits until something is taken, or for so long if it is not negative.
func (w *Withdrawals) pause(ctx context.Context, again time.Duration) {
	if again >= 0 {
		rest(ctx, again)
		return
	}
	select {
	case <-ctx.Done():
	case <-w.wake:
	}
}

// Round purges once what was taken. What the provider does not echo was not in
// its queue any more: such a row stays what it is. An error says that something
// is left for the next round.
func (w *Withdrawals) Round(ctx context.Context) error {
	w.mu.Lock()
	waiting := w.waiting
	w.waiting = nil
	w.mu.Unlock()
	var failed error
	for len(waiting) > 0 {
		sender := waiting[0].Sender
		var mine, others []withdrawal
		for _, row := range waiting {
			if row.Sender.ID == sender.ID {
				mine = append(mine, row)
			} else {
				others = append(others, row)
			}
		}
		if err := w.purge(ctx, sender, mine); err != nil {
			failed = err
		}
		waiting = others
	}
	return failed
}

// purge takes the jobs of one sender out.
func (w *Withdrawals) purge(ctx context.Context, sender campaign.Sender, rows []withdrawal) error {
	ids := make([]string, len(rows))
	for i, row := range rows {
		ids[i] = row.QueueID
	}
	purged, err := w.purger.Purge(ctx, sender, ids)
	var left []withdrawal
	out := map[campaign.ID][]int64{}
	for _, row := range rows {
		switch {
		case slices.Contains(purged, row.QueueID):
			out[row.Campaign] = append(out[row.Campaign], row.Seq)
		case err != nil && row.tries+1 < purgeTries:
			row.tries++
			left = append(left, row)
		}
	}
	w.mu.Lock()
	w.waiting = append(w.waiting, left...)
	w.mu.Unlock()
	if noteErr := w.note(ctx, out); noteErr != nil {
		return noteErr
	}
	if err != nil {
		return fmt.Errorf("purge %d jobs: %w", len(ids), err)
	}
	return nil
}

// note writes down what is out, also when the process is stopping.
func (w *Withdrawals) note(ctx context.Context, out map[campaign.ID][]int64) error {
	keep, cancel := context.WithTimeout(context.WithoutCancel(ctx), keepFor)
	defer cancel()
	for id, seqs := range out {
		n, err := w.ledger.Withdraw(keep, id, seqs, "taken out of the provider's queue: opted out")
		if err != nil {
			return fmt.Errorf("note %d purged jobs: %w", len(seqs), err)
		}
		w.log.InfoContext(ctx, "queued messages to people who opted out were purged", "campaign_id", id, "rows", n)
	}
	return nil
}
