package storage

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/herald-campaigns/herald/campaign"
)

// Cancel moves every row that waits, in the ledger or in the stream, to
// canceled, and returns how many. Move the campaign to canceled first: from
// then on no row of it can be claimed.
func (s *Store) Cancel(ctx context.Context, id campaign.ID) (int64, error) {
	what := fmt.Sprintf("cancel the rows of campaign %s", id)
	number, err := s.number(ctx, id)
	if err != nil {
		return 0, s.fail(what, err)
	}
	total := int64(0)
	for _, sweep := range []struct {
		from  standing
		query string
	}{
		{pending, cancelPending},
		{inStream, cancelStaged},
	} {
		n, err := s.inChunks(ctx, func(ctx context.Context, t *tx) (int64, error) {
			n, err := t.exec(ctx, sweep.query, number, number, chunkRows)
			t.move(number, sweep.from, canceled, n)
			return n, err
		})
		total += n
		if err != nil {
			return total, s.fail(what, err)
		}
	}
	return total, nil
}

const (
	cancelPending = `UPDATE recipients SET status = 'canceled', not_before = 0 WHERE campaign_n = ? AND seq IN
		(SELECT seq FROM recipients WHERE campaign_n = ? AND status = 'pending' LIMIT ?)`
	cancelStaged = `UPDATE recipients SET status = 'canceled', not_before = 0 WHERE campaign_n = ? AND seq IN
		(SELECT seq FROM recipients WHERE +campaign_n = ? AND status = 'staged' LIMIT ?)`
)

// FollowQueued has the rows of a campaign that are in the provider's queue, and
// were given up as ones that nothing more is heard of, followed again: a queue
// waits as long as its phone is away, and only followed rows are taken out of it.
// They are asked for no sooner than at next.
func (s *Store) FollowQueued(ctx context.Context, id campaign.ID, next time.Time) error {
	what := fmt.Sprintf("follow the queued messages of campaign %s", id)
	number, err := s.number(ctx, id)
	if err != nil {
		return s.fail(what, err)
	}
	for last := int64(0); ; {
		// Of a million rows none may be left out, and no writer waits meanwhile.
		var seqs []int64
		err := s.readers.SelectContext(ctx, &seqs, s.readers.Rebind(unfollowedQuery), number, last, chunkRows)
		if err != nil || len(seqs) == 0 {
			return s.fail(what, err)
		}
		last = slices.Max(seqs)
		_, err = write(ctx, s, func(ctx context.Context, t *tx) (struct{}, error) {
			for _, seq := range seqs {
				_, err := t.exec(ctx, "UPDATE recipients SET next_poll_at = ?, polls = 0 WHERE campaign_n = ? AND seq = ? AND "+unfollowed,
					millis(next), number, seq)
				if err != nil {
					return struct{}{}, err
				}
			}
			return struct{}{}, nil
		})
		if err != nil {
			return s.fail(what, err)
		}
	}
}

const (
	unfollowed      = "status IN ('queued', 'processing') AND queue_id <> '' AND next_poll_at = 0"
	unfollowedQuery = "SELECT seq FROM recipients WHERE campaign_n = ? AND seq > ? AND " + unfollowed + " ORDER BY seq LIMIT ?"
)

// DueTakenBack is what DuePolls is of a campaign, of messages that were taken
// back only.
func (s *Store) DueTakenBack(ctx context.Context, now time.Time, limit int, id campaign.ID) ([]campaign.Tracked, error) {
	what := fmt.Sprintf("list messages of campaign %s that were taken back", id)
	number, err := s.number(ctx, id)
	if err != nil {
		return nil, s.fail(what, err)
	}
	var due []dueRow
	if err := s.readers.SelectContext(ctx, &due, s.readers.Rebind(dueTakenBackQuery), number, millis(now), limit); err != nil {
		return nil, s.fail(what, err)
	}
	for i := range due {
		due[i].id = id
	}
	list, err := s.tracked(ctx, due)
	return list, s.fail(what, err)
}

// The plus keeps the planner off the index of canceled rows, which has those that
// never left.
const dueTakenBackQuery = `SELECT ` + dueColumns + ` FROM recipients
	WHERE campaign_n = ? AND next_poll_at > 0 AND next_poll_at <= ? AND +status = 'canceled' ORDER BY next_poll_at LIMIT ?`
