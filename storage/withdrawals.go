package storage

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/herald-campaigns/herald/campaign"
)

// ToWithdraw is the rows that are in the provider's queue, or were last seen
// leaving it, and must not be sent: those whose chat must not be written to, if the
// ledger learned of the opt-out, in whatever spelling, at a time or later; those
// that were taken back, but the provider said since that it has them still; and
// those of canceled campaigns, as long as they are asked for. At most limit, in
// this order, and of opt-outs the last learned first. A row that was being
// submitted at that moment is among them once it is queued.
func (s *Store) ToWithdraw(ctx context.Context, since time.Time, limit int) ([]campaign.Located, error) {
	const what = "find queued messages that must not be sent"
	var found purgeable
	for _, query := range []struct {
		text string
		args []any
	}{
		{queuedQuery, []any{millis(since)}},
		{queuedSkippedQuery, []any{millis(since)}},
		{stillQueuedQuery, nil},
		{queuedCanceledQuery, nil},
	} {
		var rows []locatedRow
		args := append(query.args, limit-len(found.queued))
		if err := s.readers.SelectContext(ctx, &rows, s.readers.Rebind(query.text), args...); err != nil {
			return nil, s.fail(what, err)
		}
		found.queued = append(found.queued, rows...)
	}
	list, err := s.suppressed(ctx, found)
	return list.Queued, s.fail(what, err)
}

// Of opt-outs one look-up per opt-out and campaign in each of the two indexes on
// chat, as waitingQuery. A row of a canceled campaign that is followed is looked
// at only while the counters say that there is one to find.
const (
	queuedQuery = `SELECT ` + locatedOfR + ` FROM suppressions s CROSS JOIN campaigns c CROSS JOIN recipients r
	WHERE s.learned > 0 AND s.learned >= ? AND r.campaign_n = c.n AND r.chat = s.chat AND r.addressed = 1
	  AND ` + inQueueOfR + ` ORDER BY s.learned DESC LIMIT ?`
	queuedSkippedQuery = `SELECT ` + locatedOfR + ` FROM suppressions s CROSS JOIN campaigns c CROSS JOIN recipients r
	WHERE s.learned > 0 AND s.learned >= ? AND r.campaign_n = c.n AND r.seq IN
	  (SELECT seq FROM recipients x WHERE x.campaign_n = c.n AND x.chat = s.chat AND x.addressed = 0 AND x.chat <> '')
	  AND ` + inQueueOfR + ` ORDER BY s.learned DESC LIMIT ?`
	queuedCanceledQuery = `SELECT ` + locatedOfR + ` FROM campaigns c CROSS JOIN recipients r
	WHERE c.state = 'canceled'
	  AND EXISTS (SELECT 1 FROM counters k WHERE k.campaign_n = c.n AND k.kind = 'status' AND k.key IN ('queued', 'processing') AND k.n > 0)
	  AND r.campaign_n = c.n AND r.next_poll_at > 0 AND ` + inQueueOfR + ` LIMIT ?`
	stillQueuedQuery = `SELECT ` + locatedOfR + ` FROM recipients r
	WHERE r.polls < 0 AND r.status = 'canceled' AND r.queue_id <> '' LIMIT ?`

	inQueueOfR = `r.status IN ('queued', 'processing') AND r.queue_id <> ''`
)

// Withdraw makes queued rows canceled, whose jobs were purged from the
// provider's queue, by their queue ids, and returns how many. Rows past that stay
// as they are. One whose message was being sent may still go out, and proof of
// that wins, so that it is asked for at once and some more times. Rows that were
// taken back before are not to be withdrawn again, until the provider says once
// more that it has them still.
func (s *Store) Withdraw(ctx context.Context, id campaign.ID, queueIDs []string) (int64, error) {
	what := fmt.Sprintf("withdraw rows of campaign %s", id)
	n, err := write(ctx, s, func(ctx context.Context, t *tx) (int64, error) {
		number, state, err := t.campaignState(ctx, id)
		if err != nil {
			return 0, err
		}
		detail := "taken out of the provider's queue: opted out"
		if state == campaign.StateCanceled {
			detail = "taken out of the provider's queue: the campaign was canceled"
		}
		var all int64
		for _, queueID := range queueIDs {
			for _, was := range []campaign.Status{campaign.StatusQueued, campaign.StatusProcessing} {
				n, err := t.withdraw(ctx, number, queueID, was, detail, t.now())
				if err != nil {
					return 0, err
				}
				all += n
			}
			if _, err := t.exec(ctx, withdrawnAgain, queueID, number); err != nil {
				return 0, err
			}
		}
		return all, nil
	})
	return n, s.fail(what, err)
}

const withdrawnAgain = `UPDATE recipients SET polls = -polls
	WHERE queue_id = ? AND queue_id <> '' AND campaign_n = ? AND status = 'canceled' AND polls < 0`

// withdraw cancels the row of one job if it still is what it was.
func (t *tx) withdraw(ctx context.Context, number int64, queueID string, was campaign.Status, detail string, ask int64) (int64, error) {
	var seq int64
	err := t.row(ctx, `
		UPDATE recipients SET status = 'canceled', detail = ?, next_poll_at = ?, polls = 0
		WHERE queue_id = ? AND queue_id <> '' AND campaign_n = ? AND status = ? RETURNING seq`,
		detail, ask, queueID, number, string(was)).Scan(&seq)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	t.move(number, standing{Status: was}, canceled, 1)
	return 1, t.tellRow(ctx, number, seq, canceled)
}
