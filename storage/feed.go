package storage

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/herald-campaigns/herald/campaign"
)

// Pending is the next rows of a campaign that wait for a sender, in row order,
// without those that must wait until after now and without rows of an import
// that is not finished.
func (s *Store) Pending(ctx context.Context, id campaign.ID, sender campaign.SenderID, now time.Time, limit int) ([]campaign.Recipient, error) {
	what := fmt.Sprintf("read the waiting rows of campaign %s", id)
	number, err := s.number(ctx, id)
	if err != nil {
		return nil, s.fail(what, err)
	}
	senderN, err := s.senderNumber(ctx, sender)
	if err != nil {
		return nil, s.fail(what, err)
	}
	var unfinished int64
	err = s.readers.GetContext(ctx, &unfinished, s.readers.Rebind(
		"SELECT COALESCE(MIN(number), 1000000000) FROM imports WHERE campaign_n = ? AND complete = 0"), number)
	if err != nil {
		return nil, s.fail(what, err)
	}
	var rows []recipientRow
	err = s.readers.SelectContext(ctx, &rows, s.readers.Rebind(pendingQuery), number, unfinished, number, senderN, millis(now), limit)
	if err != nil {
		return nil, s.fail(what, err)
	}
	list, err := s.recipientsOf(ctx, id, rows)
	return list, s.fail(what, err)
}

// The subquery is answered by the index of pending rows alone; without it the
// planner walks the campaign along the primary key, over all that is sent. Rows
// of an unfinished import are the last ones, so the limit may come first.
const pendingQuery = "SELECT " + recipientColumns + ` FROM recipients
	WHERE campaign_n = ? AND import_n < ? AND seq IN
	  (SELECT seq FROM recipients WHERE campaign_n = ? AND sender_n = ? AND status = 'pending' AND not_before <= ?
	   ORDER BY seq LIMIT ?)
	ORDER BY seq`

// NextDue is the earliest time a row waits for (its not_before), and false
// when no waiting row has one.
func (s *Store) NextDue(ctx context.Context, id campaign.ID) (time.Time, bool, error) {
	number, err := s.number(ctx, id)
	if err != nil {
		return time.Time{}, false, s.fail("read when the next row is due", err)
	}
	var due int64
	err = s.readers.GetContext(ctx, &due, s.readers.Rebind(nextDueQuery), number)
	if errors.Is(err, sql.ErrNoRows) {
		return time.Time{}, false, nil
	}
	return moment(due), err == nil, s.fail("read when the next row is due", err)
}

const nextDueQuery = `SELECT not_before FROM recipients
	WHERE campaign_n = ? AND status = 'pending' AND not_before > 0 ORDER BY not_before LIMIT 1`

// StagedCount is how many rows of a sender are in the stream, over all
// campaigns.
func (s *Store) StagedCount(ctx context.Context, sender campaign.SenderID) (int, error) {
	number, err := s.senderNumber(ctx, sender)
	if err != nil {
		return 0, s.fail("count staged rows", err)
	}
	var n int
	err = s.readers.GetContext(ctx, &n, s.readers.Rebind(stagedCountQuery), number)
	return n, s.fail("count staged rows", err)
}

const stagedCountQuery = "SELECT COUNT(*) FROM recipients WHERE sender_n = ? AND status = 'staged'"

// Stage hands pending rows over: each that still is pending and due becomes
// staged under a new generation and is in the answer. None is while the
// campaign does not run.
func (s *Store) Stage(ctx context.Context, id campaign.ID, seqs []int64, now time.Time) ([]campaign.Staged, error) {
	staged, err := write(ctx, s, func(ctx context.Context, t *tx) ([]campaign.Staged, error) {
		number, state, err := t.campaignState(ctx, id)
		if err != nil || state != campaign.StateRunning {
			return nil, err
		}
		list := make([]campaign.Staged, 0, len(seqs))
		for chunk := range slices.Chunk(seqs, stageRows) {
			staged, err := t.stage(ctx, number, chunk, millis(now))
			if err != nil {
				return nil, err
			}
			list = append(list, staged...)
		}
		t.move(number, pending, inStream, int64(len(list)))
		return list, nil
	})
	return staged, s.fail(fmt.Sprintf("stage rows of campaign %s", id), err)
}

// stageRows is how many rows one statement hands over. The statement is always
// the same, so that it stays prepared; a short chunk names its last row again.
const stageRows = 50

var stageQuery = `
	UPDATE recipients SET status = 'staged', gen = gen + 1, staged_at = ?
	WHERE campaign_n = ? AND status = 'pending' AND not_before <= ?
	  AND seq IN (?` + strings.Repeat(", ?", stageRows-1) + `) RETURNING seq, gen`

func (t *tx) stage(ctx context.Context, number int64, seqs []int64, now int64) ([]campaign.Staged, error) {
	args := append(make([]any, 0, 3+stageRows), now, number, now)
	for i := range stageRows {
		args = append(args, seqs[min(i, len(seqs)-1)])
	}
	var staged []campaign.Staged
	err := t.SelectContext(ctx, &staged, t.Rebind(stageQuery), args...)
	slices.SortFunc(staged, func(a, b campaign.Staged) int { return cmp.Compare(a.Seq, b.Seq) })
	return staged, err
}

var (
	pending  = standing{Status: campaign.StatusPending}
	inStream = standing{Status: campaign.StatusStaged}
	canceled = standing{Status: campaign.StatusCanceled}
)

// chunkRows is how many rows a sweep changes in one transaction: claims that
// come meanwhile wait no longer than that takes.
const chunkRows = 2000

// Unstage takes rows back from the stream to pending: those staged before
// olderThan, or all when it is zero; of one campaign, or of all when id is "".
// Tasks of theirs that are still in the stream lose their claim. Rows of a
// canceled campaign become canceled. It returns how many rows it took back.
func (s *Store) Unstage(ctx context.Context, id campaign.ID, olderThan time.Time) (int64, error) {
	var number int64
	if id != "" {
		var err error
		if number, err = s.number(ctx, id); err != nil {
			return 0, s.fail("unstage rows", err)
		}
	}
	return s.unstageAll(ctx, number, 0, olderThan)
}

// UnstageSender is Unstage for the rows of one sender, whatever their
// campaign: the stream lost its tasks.
func (s *Store) UnstageSender(ctx context.Context, sender campaign.SenderID, olderThan time.Time) (int64, error) {
	number, err := s.senderNumber(ctx, sender)
	if err != nil {
		return 0, s.fail("unstage rows", err)
	}
	return s.unstageAll(ctx, 0, number, olderThan)
}

// unstageAll sweeps staged rows of a campaign or a sender; 0 is any.
func (s *Store) unstageAll(ctx context.Context, campaignN, senderN int64, olderThan time.Time) (int64, error) {
	before := millis(olderThan)
	if olderThan.IsZero() {
		before = 1<<63 - 1
	}
	total, err := s.inChunks(ctx, func(ctx context.Context, t *tx) (int64, error) {
		var rows []rowKey
		if err := t.SelectContext(ctx, &rows, t.Rebind(stagedQuery), campaignN, campaignN, senderN, senderN, before, chunkRows); err != nil {
			return 0, err
		}
		return int64(len(rows)), t.unstage(ctx, rows)
	})
	return total, s.fail("unstage rows", err)
}

// The plus keeps the planner on the small index of rows in flight.
const stagedQuery = `SELECT campaign_n, seq FROM recipients
	WHERE status = 'staged' AND (0 = ? OR +campaign_n = ?) AND (0 = ? OR +sender_n = ?) AND staged_at < ? LIMIT ?`

// rowKey names a row.
type rowKey struct {
	Campaign int64 `db:"campaign_n"`
	Seq      int64 `db:"seq"`
}

func (t *tx) unstage(ctx context.Context, rows []rowKey) error {
	to := map[int64]standing{}
	for _, row := range rows {
		if _, ok := to[row.Campaign]; !ok {
			var err error
			if to[row.Campaign], err = t.waiting(ctx, row.Campaign); err != nil {
				return err
			}
		}
		n, err := t.exec(ctx, "UPDATE recipients SET status = ? WHERE campaign_n = ? AND seq = ? AND status = 'staged'",
			string(to[row.Campaign].Status), row.Campaign, row.Seq)
		if err != nil {
			return err
		}
		t.move(row.Campaign, inStream, to[row.Campaign], n)
	}
	return nil
}

// inChunks repeats a sweep until it changes no more rows, and returns how many
// it changed.
func (s *Store) inChunks(ctx context.Context, sweep func(ctx context.Context, t *tx) (int64, error)) (int64, error) {
	for total := int64(0); ; {
		n, err := write(ctx, s, sweep)
		total += n
		if err != nil || n == 0 {
			return total, err
		}
	}
}

// UnstageRows takes the given rows back from the stream to pending: they were
// staged, and then could not be published.
func (s *Store) UnstageRows(ctx context.Context, id campaign.ID, seqs []int64) error {
	number, err := s.number(ctx, id)
	if err != nil {
		return s.fail("unstage rows", err)
	}
	rows := make([]rowKey, len(seqs))
	for i, seq := range seqs {
		rows[i] = rowKey{number, seq}
	}
	_, err = write(ctx, s, func(ctx context.Context, t *tx) (struct{}, error) {
		return struct{}{}, t.unstage(ctx, rows)
	})
	return s.fail(fmt.Sprintf("unstage rows of campaign %s", id), err)
}

// Skip moves rows that wait, in the ledger or in the stream, to skipped. Rows
// past that stay as they are. It returns how many it skipped. A skipped row
// gives its chat free, so that a mended row may come with a later import.
func (s *Store) Skip(ctx context.Context, id campaign.ID, rows []campaign.Skip) (int64, error) {
	n, err := write(ctx, s, func(ctx context.Context, t *tx) (int64, error) {
		number, _, err := t.campaignState(ctx, id)
		if err != nil {
			return 0, err
		}
		var skipped int64
		for _, row := range rows {
			n, err := t.skip(ctx, number, row)
			if err != nil {
				return 0, err
			}
			skipped += n
		}
		return skipped, nil
	})
	return n, s.fail(fmt.Sprintf("skip rows of campaign %s", id), err)
}

// skip skips one row if it waits, and says how many it skipped.
func (t *tx) skip(ctx context.Context, number int64, row campaign.Skip) (int64, error) {
	to := standing{Status: campaign.StatusSkipped, Skip: row.Reason}
	for _, from := range []standing{pending, inStream} {
		n, err := t.exec(ctx, `
			UPDATE recipients SET status = 'skipped', skip_reason = ?, detail = ?, addressed = 0, not_before = 0
			WHERE campaign_n = ? AND seq = ? AND status = ?`, row.Reason, row.Detail, number, row.Seq, from.Status)
		if err != nil {
			return 0, err
		}
		if n > 0 {
			t.move(number, from, to, n)
			return n, t.reportRow(ctx, number, row.Seq, to)
		}
	}
	return 0, nil
}
