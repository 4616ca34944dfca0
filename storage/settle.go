package storage

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/herald-campaigns/herald/campaign"
)

// Settle writes the outcome of a claimed call. The row leaves submitting (or
// unknown, when a restart came between) for st.To, if it still is the claimed
// one: same generation, same epoch.
//
// Evidence that came first wins: the row keeps its higher status, and only ids
// it lacks are added. A queue_id that another row has already proves nothing,
// so the row becomes unknown. A row that was handed over again meanwhile is a
// conflict, except that proof of acceptance still counts while no newer call
// is under way. The attempt is recorded in every case.
func (s *Store) Settle(ctx context.Context, st campaign.Settlement) error {
	fail := func(err error) error {
		return s.failf(err, "settle row %d of campaign %s", st.Task.Seq, st.Task.Campaign)
	}
	switch st.To {
	case campaign.StatusQueued, campaign.StatusFailed, campaign.StatusPending, campaign.StatusUnknown:
	default:
		return fail(fmt.Errorf("a call cannot end as %q", st.To))
	}
	number, err := s.number(ctx, st.Task.Campaign)
	if err != nil {
		return fail(err)
	}
	moved, err := write(ctx, s, func(ctx context.Context, t *tx) (bool, error) {
		return t.settle(ctx, number, st, s.config.FirstPoll.Milliseconds())
	})
	if err == nil && moved {
		err = conflict("", "the row was handed over again")
	}
	return fail(err)
}

// settled is what Settle needs to know of the row.
type settled struct {
	standing
	Gen       int64  `db:"gen"`
	Epoch     int64  `db:"epoch"`
	SenderN   int64  `db:"sender_n"`
	ClaimedAt int64  `db:"claimed_at"`
	QueueID   string `db:"queue_id"`
	QueuedAt  int64  `db:"queued_at"`
}

// settle says whether the row had moved on.
func (t *tx) settle(ctx context.Context, number int64, st campaign.Settlement, firstPoll int64) (moved bool, err error) {
	done, err := t.settleAccepted(ctx, number, st, firstPoll)
	if done || err != nil {
		return false, err
	}
	var row settled
	err = t.row(ctx, `
		SELECT status, skip_reason, fail_reason, gen, epoch, sender_n, claimed_at, queue_id, queued_at
		FROM recipients WHERE campaign_n = ? AND seq = ?`, number, st.Task.Seq).
		Scan(&row.Status, &row.Skip, &row.Fail, &row.Gen, &row.Epoch, &row.SenderN, &row.ClaimedAt, &row.QueueID, &row.QueuedAt)
	if errors.Is(err, sql.ErrNoRows) {
		return false, noRecipient(st.Task.Campaign, fmt.Sprintf("row %d", st.Task.Seq))
	}
	if err != nil {
		return false, err
	}
	if err := t.recordAttempt(ctx, number, st); err != nil {
		return false, err
	}
	if st, err = t.checkQueueID(ctx, number, st); err != nil {
		return false, err
	}
	claimed := row.Gen == st.Task.Gen && row.Epoch == st.Epoch
	accepted := st.To == campaign.StatusQueued
	switch {
	case row.Status.Evident() && claimed:
		if accepted {
			return false, t.addIDs(ctx, number, row, st)
		}
		return false, nil
	case claimed && (row.Status == campaign.StatusSubmitting || row.Status == campaign.StatusUnknown),
		accepted && !row.Status.Evident() && row.Status != campaign.StatusSubmitting:
		return false, t.applyOutcome(ctx, number, row, st, firstPoll)
	}
	return true, nil
}

// settleAccepted is the way nearly every call takes, in two statements: it was
// accepted under a queue_id of its own, and the row still is the claimed one.
// False says that it is not so, and nothing has changed.
func (t *tx) settleAccepted(ctx context.Context, number int64, st campaign.Settlement, firstPoll int64) (bool, error) {
	if st.To != campaign.StatusQueued || st.Outcome.QueueID == "" || st.Refund {
		return false, nil
	}
	ended := millis(st.EndedAt)
	if ended == 0 {
		ended = t.now()
	}
	n, err := t.exec(ctx, `
		UPDATE recipients SET status = 'queued', detail = '', not_before = 0, queue_id = ?, unique_id = ?,
		  queue_position = ?, queued_at = ?, next_poll_at = ?
		WHERE campaign_n = ? AND seq = ? AND gen = ? AND epoch = ? AND status = 'submitting'
		  AND NOT EXISTS (SELECT 1 FROM recipients WHERE queue_id = ? AND queue_id <> '')`,
		st.Outcome.QueueID, st.Outcome.UniqueID, st.Outcome.QueuePosition, ended, ended+firstPoll,
		number, st.Task.Seq, st.Task.Gen, st.Epoch, st.Outcome.QueueID)
	if err != nil || n == 0 {
		return false, err
	}
	t.move(number, submitting, standing{Status: campaign.StatusQueued}, 1)
	t.accept(number, ended)
	return true, t.recordAttempt(ctx, number, st)
}

// checkQueueID turns an acceptance under another row's queue_id into an
// unknown outcome.
func (t *tx) checkQueueID(ctx context.Context, number int64, st campaign.Settlement) (campaign.Settlement, error) {
	if st.To != campaign.StatusQueued || st.Outcome.QueueID == "" {
		return st, nil
	}
	taken, err := t.queueIDTaken(ctx, number, st.Task.Seq, st.Outcome.QueueID)
	if taken {
		st.To, st.Outcome.Detail = campaign.StatusUnknown, "the API answered with a queue id that belongs to another row"
		st.Outcome.QueueID, st.Outcome.UniqueID = "", ""
	}
	return st, err
}

// queueIDTaken says whether another row than the given one has the queue_id.
func (t *tx) queueIDTaken(ctx context.Context, number, seq int64, queueID string) (bool, error) {
	var owner rowKey
	err := t.row(ctx, "SELECT campaign_n, seq FROM recipients WHERE queue_id = ? AND queue_id <> ''", queueID).
		Scan(&owner.Campaign, &owner.Seq)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil && owner != rowKey{number, seq}, err
}

func (t *tx) recordAttempt(ctx context.Context, number int64, st campaign.Settlement) error {
	_, err := t.exec(ctx, `
		INSERT INTO attempts (campaign_n, seq, gen, number, started_at, ended_at, outcome, http_status, trace_id, detail)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (campaign_n, seq, gen) DO UPDATE SET number = excluded.number, started_at = excluded.started_at,
		  ended_at = excluded.ended_at, outcome = excluded.outcome, http_status = excluded.http_status,
		  trace_id = excluded.trace_id, detail = excluded.detail`,
		number, st.Task.Seq, st.Task.Gen, st.Attempt, millis(st.StartedAt), millis(st.EndedAt), string(st.Outcome.Kind),
		st.Outcome.HTTPStatus, st.Outcome.TraceID, st.Outcome.Detail)
	return err
}

// addIDs completes a row that evidence had moved before its outcome came.
func (t *tx) addIDs(ctx context.Context, number int64, row settled, st campaign.Settlement) error {
	if row.QueueID != "" {
		return nil
	}
	_, err := t.exec(ctx, `
		UPDATE recipients SET queue_id = ?, queue_position = ?,
		  unique_id = CASE WHEN unique_id = '' THEN ? ELSE unique_id END
		WHERE campaign_n = ? AND seq = ?`,
		st.Outcome.QueueID, st.Outcome.QueuePosition, st.Outcome.UniqueID, number, st.Task.Seq)
	return err
}

func (t *tx) applyOutcome(ctx context.Context, number int64, row settled, st campaign.Settlement, firstPoll int64) error {
	to, ended, err := standing{Status: st.To}, millis(st.EndedAt), error(nil)
	if ended == 0 {
		ended = t.now()
	}
	switch st.To { //nolint:exhaustive // checked by Settle
	case campaign.StatusQueued:
		// skip_reason and addressed: proof of sending wins over a skip.
		_, err = t.exec(ctx, `
			UPDATE recipients SET status = 'queued', skip_reason = '', detail = '', not_before = 0, queue_id = ?, unique_id = ?,
			  queue_position = ?, queued_at = ?, next_poll_at = ?
			WHERE campaign_n = ? AND seq = ?`,
			st.Outcome.QueueID, st.Outcome.UniqueID, st.Outcome.QueuePosition, ended, ended+firstPoll, number, st.Task.Seq)
		t.accept(number, ended)
	case campaign.StatusFailed:
		to.Fail = st.FailReason
		_, err = t.exec(ctx, `
			UPDATE recipients SET status = 'failed', fail_reason = ?, fail_class = ?, detail = ?, failed_at = ?
			WHERE campaign_n = ? AND seq = ?`,
			string(st.FailReason), string(st.FailClass), st.Outcome.Detail, ended, number, st.Task.Seq)
	case campaign.StatusPending:
		_, err = t.exec(ctx, "UPDATE recipients SET status = 'pending', not_before = ?, detail = ? WHERE campaign_n = ? AND seq = ?",
			millis(st.NotBefore), st.Outcome.Detail, number, st.Task.Seq)
	case campaign.StatusUnknown:
		_, err = t.exec(ctx, "UPDATE recipients SET status = 'unknown', detail = ? WHERE campaign_n = ? AND seq = ?",
			st.Outcome.Detail, number, st.Task.Seq)
	}
	if err != nil {
		return err
	}
	t.move(number, row.standing, to, 1)
	if st.Refund {
		t.refund(row.SenderN, row.ClaimedAt)
		_, err = t.exec(ctx, "UPDATE recipients SET attempt = attempt - 1 WHERE campaign_n = ? AND seq = ? AND attempt > 0 AND status = 'pending'",
			number, st.Task.Seq)
	}
	return err
}
