package storage

import (
	"context"
	"fmt"
	"time"

	"github.com/herald-campaigns/herald/campaign"
)

// Retryable counts the failed rows of a campaign that trying again can help, by
// why they failed: the fail reason and the provider's words ("provider: timed
// out"). Rows whose chat has opted out are none of them.
func (s *Store) Retryable(ctx context.Context, id campaign.ID) (map[string]int64, error) {
	number, err := s.number(ctx, id)
	if err != nil {
		return nil, s.fail("count rows to retry", err)
	}
	var rows []struct {
		Reason campaign.FailReason `db:"fail_reason"`
		Detail string              `db:"detail"`
		N      int64               `db:"n"`
	}
	err = s.readers.SelectContext(ctx, &rows, s.readers.Rebind(`
		SELECT fail_reason, detail, COUNT(*) AS n FROM recipients WHERE campaign_n = ? AND seq IN (`+retryableQuery+`)
		GROUP BY fail_reason, detail`), number, number, number)
	counts := map[string]int64{}
	for _, r := range rows {
		why := string(r.Reason)
		if r.Detail != "" {
			why += ": " + r.Detail
		}
		counts[why] += r.N
	}
	return counts, s.fail(fmt.Sprintf("count the rows of campaign %s to retry", id), err)
}

// The inner subquery is answered by the index of exceptions alone; see parts.
const retryableQuery = `SELECT r.seq FROM recipients r WHERE r.campaign_n = ? AND r.fail_class = 'transient'
	  AND r.seq IN (SELECT seq FROM recipients WHERE campaign_n = ? AND status = 'failed' ORDER BY seq)
	  AND NOT EXISTS (SELECT 1 FROM suppressions p WHERE p.chat = r.chat)`

// Retry makes the rows of Retryable that failed before a time (zero: all) wait
// to be sent again, and returns how many. The ids of the attempt that failed
// move to former_ids: late proof that its message went out still finds the row,
// and its failure cannot fail the next one. The calls it cost go on counting: they
// were made. Unknown rows are never among them.
//
// The timeline tells of it. A campaign that was tracking or completed becomes
// paused (operator), as with ReturnUnknown; one that is canceled is a conflict.
func (s *Store) Retry(ctx context.Context, id campaign.ID, before time.Time) (int64, error) {
	until := millis(before)
	if until == 0 {
		until = 1<<63 - 1
	}
	n, err := s.inChunks(ctx, func(ctx context.Context, t *tx) (int64, error) { return t.retry(ctx, id, until) })
	return n, s.fail(fmt.Sprintf("retry failed rows of campaign %s", id), err)
}

// retry takes as many rows as a chunk holds.
func (t *tx) retry(ctx context.Context, id campaign.ID, before int64) (int64, error) {
	c, err := readCampaign(ctx, t, "SELECT "+campaignColumns+" FROM campaigns WHERE id = ?", id)
	if err != nil {
		return 0, err
	}
	if c.State == campaign.StateCanceled {
		return 0, conflict("make a new campaign instead", "campaign %s is canceled, nothing of it can be sent", id)
	}
	number, _, err := t.campaignState(ctx, id)
	if err != nil {
		return 0, err
	}
	var rows []struct {
		standing
		Seq       int64  `db:"seq"`
		QueueID   string `db:"queue_id"`
		UniqueID  string `db:"unique_id"`
		MessageID string `db:"message_id"`
	}
	err = t.SelectContext(ctx, &rows, t.Rebind(`
		SELECT seq, status, skip_reason, fail_reason, queue_id, unique_id, message_id FROM recipients
		WHERE campaign_n = ? AND failed_at < ? AND seq IN (`+retryableQuery+`) ORDER BY seq LIMIT ?`), number, before, number, number, chunkRows)
	if err != nil || len(rows) == 0 {
		return 0, err
	}
	seqs := make([]int64, len(rows))
	for i, r := range rows {
		for _, former := range []string{r.QueueID, r.UniqueID, r.MessageID} {
			if former == "" {
				continue
			}
			_, err := t.exec(ctx, "INSERT INTO former_ids (id, campaign_n, seq) VALUES (?, ?, ?) ON CONFLICT (id) DO NOTHING",
				former, number, r.Seq)
			if err != nil {
				return 0, err
			}
		}
		changed, err := t.exec(ctx, `
			UPDATE recipients SET status = 'pending', fail_reason = '', fail_class = '', detail = '', not_before = 0,
			  queue_id = '', unique_id = '', message_id = '', queue_position = 0, queued_at = 0,
			  sent_at = 0, delivered_at = 0, read_at = 0, failed_at = 0, next_poll_at = 0, polls = 0
			WHERE campaign_n = ? AND seq = ? AND status = 'failed'`, number, r.Seq)
		if err := changedOne(changed, err); err != nil {
			return 0, err
		}
		t.move(number, r.standing, pending, 1)
		seqs[i] = r.Seq
	}
	n := int64(len(rows))
	words := "rows that failed wait again"
	if n == 1 {
		words = "row that failed waits again"
	}
	err = t.note(ctx, number, campaign.Event{Kind: campaign.EventRetried, Detail: fmt.Sprintf("%d %s (%s)", n, words, rowNumbers(seqs))})
	if err == nil && (c.State == campaign.StateTracking || c.State == campaign.StateCompleted) {
		err = t.transit(ctx, c, campaign.StatePaused, campaign.PauseOperator, "failed rows wait again")
	}
	return n, err
}
