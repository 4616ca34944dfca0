package storage

import (
	"context"
	"fmt"
	"time"

	"github.com/herald-campaigns/herald/campaign"
)

// QueuedOfSuppressed is the rows of all campaigns that are in the provider's
// queue, or were last seen leaving it, and whose chat must not be written to: at
// most limit, those first whose opt-out was learned last. It looks at opt-outs
// that the ledger learned of at a time or later, in whatever spelling they came.
// A row that was being submitted when the opt-out came is among them once it is
// queued.
func (s *Store) QueuedOfSuppressed(ctx context.Context, since time.Time, limit int) ([]campaign.Located, error) {
	const what = "find queued messages to people who opted out"
	var found purgeable
	for _, query := range []string{queuedQuery, queuedSkippedQuery} {
		var rows []locatedRow
		if err := s.readers.SelectContext(ctx, &rows, s.readers.Rebind(query), millis(since), limit-len(found.queued)); err != nil {
			return nil, s.fail(what, err)
		}
		found.queued = append(found.queued, rows...)
	}
	list, err := s.suppressed(ctx, found)
	return list.Queued, s.fail(what, err)
}

// One look-up per opt-out and campaign in each of the two indexes on chat, as
// waitingQuery.
const (
	queuedQuery = `SELECT ` + locatedOfR + ` FROM suppressions s CROSS JOIN campaigns c CROSS JOIN recipients r
	WHERE s.learned > 0 AND s.learned >= ? AND r.campaign_n = c.n AND r.chat = s.chat AND r.addressed = 1
	  AND r.status IN ('queued', 'processing') AND r.queue_id <> '' ORDER BY s.learned DESC LIMIT ?`
	queuedSkippedQuery = `SELECT ` + locatedOfR + ` FROM suppressions s CROSS JOIN campaigns c CROSS JOIN recipients r
	WHERE s.learned > 0 AND s.learned >= ? AND r.campaign_n = c.n AND r.seq IN
	  (SELECT seq FROM recipients x WHERE x.campaign_n = c.n AND x.chat = s.chat AND x.addressed = 0 AND x.chat <> '')
	  AND r.status IN ('queued', 'processing') AND r.queue_id <> '' ORDER BY s.learned DESC LIMIT ?`
)

// Withdraw makes queued rows canceled, whose jobs were purged from the
// provider's queue, and returns how many. Rows past that stay as they are, and
// late evidence that a message went out still wins.
func (s *Store) Withdraw(ctx context.Context, id campaign.ID, seqs []int64, detail string) (int64, error) {
	what := fmt.Sprintf("withdraw rows of campaign %s", id)
	number, err := s.number(ctx, id)
	if err != nil {
		return 0, s.fail(what, err)
	}
	n, err := write(ctx, s, func(ctx context.Context, t *tx) (int64, error) {
		var all int64
		for _, was := range []campaign.Status{campaign.StatusQueued, campaign.StatusProcessing} {
			var moved int64
			for _, seq := range seqs {
				n, err := t.exec(ctx, `
					UPDATE recipients SET status = 'canceled', detail = ?, next_poll_at = 0
					WHERE campaign_n = ? AND seq = ? AND status = ?`, detail, number, seq, string(was))
				if err != nil {
					return 0, err
				}
				moved += n
			}
			t.move(number, standing{Status: was}, canceled, moved)
			all += moved
		}
		return all, nil
	})
	return n, s.fail(what, err)
}
