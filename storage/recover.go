package storage

import (
	"context"
	"errors"
	"time"

	"github.com/herald-campaigns/herald/campaign"
)

// Recovery is what Recover found.
type Recovery struct {
	Unknown  int64 // calls that were under way: nobody knows what came of them
	Returned int64 // rows taken back from the stream
	Canceled int64 // rows of canceled campaigns that still waited
}

// interrupted is the detail of a row whose call nobody finished. People read
// it in reports.
const interrupted = "herald stopped during the call"

// Recover puts the ledger in order after a crash. Rows in submitting under an
// older epoch than their sender's lease has now become unknown: whoever sent
// them is fenced off. alone says that this process is the only one on the
// ledger and sends nothing yet; then every row in submitting becomes unknown,
// every staged row is pending again, whatever is in the stream, and a campaign
// that was being canceled is, to the last row.
//
// Without alone, call it after acquiring a lease; staged rows are left to
// Unstage.
func (s *Store) Recover(ctx context.Context, alone bool) (Recovery, error) {
	var found Recovery
	var err error
	found.Unknown, err = write(ctx, s, func(ctx context.Context, t *tx) (int64, error) {
		return t.orphans(ctx, alone)
	})
	if err == nil && alone {
		found.Returned, err = s.Unstage(ctx, "", time.Time{})
	}
	if err == nil && alone {
		found.Canceled, err = s.finishCancels(ctx)
	}
	return found, s.fail("recover the ledger", err)
}

// finishCancels cancels what waits of canceled campaigns: whoever canceled them
// did not come to the end of it.
func (s *Store) finishCancels(ctx context.Context) (int64, error) {
	var ids []campaign.ID
	err := s.readers.SelectContext(ctx, &ids, `
		SELECT c.id FROM campaigns c JOIN counters k ON k.campaign_n = c.n AND k.kind = 'status' AND k.key = 'pending'
		WHERE c.state = 'canceled' AND k.n > 0`)
	var total int64
	for _, id := range ids {
		n, cancelErr := s.Cancel(ctx, id)
		total, err = total+n, errors.Join(err, cancelErr)
	}
	return total, err
}

const submittingQuery = `SELECT r.campaign_n, r.seq, r.sender_n, r.gen, r.attempt, r.claimed_at, r.epoch, COALESCE(l.epoch, 0) AS lease_epoch
	FROM recipients r LEFT JOIN leases l ON l.sender_n = r.sender_n WHERE r.status = 'submitting'`

// orphans moves calls that nobody will settle to unknown. There are never more
// than the calls that can be under way at once.
func (t *tx) orphans(ctx context.Context, all bool) (int64, error) {
	var rows []struct {
		rowKey
		SenderN    int64 `db:"sender_n"`
		Gen        int64 `db:"gen"`
		Attempt    int   `db:"attempt"`
		ClaimedAt  int64 `db:"claimed_at"`
		Epoch      int64 `db:"epoch"`
		LeaseEpoch int64 `db:"lease_epoch"`
	}
	if err := t.SelectContext(ctx, &rows, submittingQuery); err != nil {
		return 0, err
	}
	var n int64
	for _, row := range rows {
		if !all && row.Epoch >= row.LeaseEpoch {
			continue
		}
		changed, err := t.exec(ctx, `
			UPDATE recipients SET status = 'unknown', detail = ?
			WHERE campaign_n = ? AND seq = ? AND gen = ? AND status = 'submitting'`,
			interrupted, row.Campaign, row.Seq, row.Gen)
		if err := changedOne(changed, err); err != nil {
			return 0, err
		}
		_, err = t.exec(ctx, `
			INSERT INTO attempts (campaign_n, seq, gen, number, started_at, outcome, detail) VALUES (?, ?, ?, ?, ?, 'unknown', ?)
			ON CONFLICT (campaign_n, seq, gen) DO NOTHING`,
			row.Campaign, row.Seq, row.Gen, row.Attempt, row.ClaimedAt, interrupted)
		if err != nil {
			return 0, err
		}
		t.move(row.Campaign, submitting, unknown, 1)
		t.act(row.SenderN, activityUnknown)
		if err := t.reportRow(ctx, row.Campaign, row.Seq, unknown); err != nil {
			return 0, err
		}
		n++
	}
	return n, nil
}
