package storage

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/herald-campaigns/herald/campaign"
)

// Settle writes the outcome of a claimed call and returns what it came to: the
// status the row has now. The row leaves submitting (or unknown, when a restart
// came between) for st.To, if it still is the claimed one: same generation,
// same epoch.
//
// An outcome that does not prove st.To makes the row unknown instead
// (reliability page §4, rules 2 to 4): queued needs an acceptance with a
// queue_id that no other row has, failed a rejection, pending an answer or an
// error that says nothing was taken. Whoever asked for queued and gets unknown
// has an answer that must not count as an acceptance; for a repeated queue_id
// that holds also when evidence has settled the row otherwise.
//
// Evidence that came first wins: the row keeps its higher status, and only ids
// it lacks are added. A row that was handed over again meanwhile is a conflict,
// except that proof of acceptance still counts while no newer call is under
// way. The attempt is recorded in every case.
func (s *Store) Settle(ctx context.Context, st campaign.Settlement) (campaign.Status, error) {
	fail := func(err error) error {
		return s.failf(err, "settle row %d of campaign %s", st.Task.Seq, st.Task.Campaign)
	}
	switch st.To {
	case campaign.StatusQueued, campaign.StatusFailed, campaign.StatusPending, campaign.StatusUnknown:
	default:
		return "", fail(fmt.Errorf("a call cannot end as %q", st.To))
	}
	number, err := s.number(ctx, st.Task.Campaign)
	if err != nil {
		return "", fail(err)
	}
	if !proves(st.Outcome, st.To) {
		s.log.ErrorContext(ctx, "an outcome was to be settled as more than it proves, the row is unknown",
			slog.String("campaign_id", string(st.Task.Campaign)), slog.Int64("row", st.Task.Seq),
			slog.String("outcome", string(st.Outcome.Kind)), slog.String("status", string(st.To)))
		st.To, st.Refund = campaign.StatusUnknown, false
		st.Outcome.Detail = cmp.Or(st.Outcome.Detail, "the answer of the API proves nothing")
	}
	sender, err := s.senderNumber(ctx, st.Task.Sender)
	if err != nil {
		return "", fail(err)
	}
	got, err := write(ctx, s, func(ctx context.Context, t *tx) (campaign.Status, error) {
		return t.settle(ctx, number, sender, st, s.config.FirstPoll.Milliseconds())
	})
	if err == nil && got == "" {
		err = conflict("", "the row was handed over again")
	}
	return got, fail(err)
}

// proves says whether an outcome allows the move: the rules that no caller can
// break.
func proves(o campaign.Outcome, to campaign.Status) bool {
	switch to { //nolint:exhaustive // checked by Settle
	case campaign.StatusQueued:
		return o.Kind == campaign.OutcomeAccepted && o.QueueID != ""
	case campaign.StatusFailed:
		return o.Kind == campaign.OutcomeRejected
	case campaign.StatusPending:
		return o.Kind == campaign.OutcomeThrottled || o.Kind == campaign.OutcomeRefused || o.Kind == campaign.OutcomeUnavailable
	}
	return true
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

// settle returns the row's status, or "" when the row had moved on.
func (t *tx) settle(ctx context.Context, number, sender int64, st campaign.Settlement, firstPoll int64) (campaign.Status, error) {
	done, err := t.settleAccepted(ctx, number, sender, st, firstPoll)
	if done || err != nil {
		return campaign.StatusQueued, err
	}
	var row settled
	err = t.row(ctx, `
		SELECT status, skip_reason, fail_reason, gen, epoch, sender_n, claimed_at, queue_id, queued_at
		FROM recipients WHERE campaign_n = ? AND seq = ?`, number, st.Task.Seq).
		Scan(&row.Status, &row.Skip, &row.Fail, &row.Gen, &row.Epoch, &row.SenderN, &row.ClaimedAt, &row.QueueID, &row.QueuedAt)
	if errors.Is(err, sql.ErrNoRows) {
		return "", noRecipient(st.Task.Campaign, fmt.Sprintf("row %d", st.Task.Seq))
	}
	if err != nil {
		return "", err
	}
	if err := t.recordAttempt(ctx, number, st); err != nil {
		return "", err
	}
	repeated, err := t.repeatsQueueID(ctx, number, st)
	if err != nil {
		return "", err
	}
	if repeated {
		st.To, st.Outcome.Detail = campaign.StatusUnknown, "the API answered with a queue id that belongs to another row"
		st.Outcome.QueueID, st.Outcome.UniqueID = "", ""
	}
	claimed := row.Gen == st.Task.Gen && row.Epoch == st.Epoch
	accepted := st.To == campaign.StatusQueued
	switch {
	case row.Status.TakenBack(row.QueueID) && row.QueueID == st.Outcome.QueueID:
		return row.Status, nil // this was written before, and the message taken back since
	case row.Status.TakenBack(row.QueueID) && claimed && repeated:
		return campaign.StatusUnknown, nil
	case row.Status.TakenBack(row.QueueID) && claimed && !accepted:
		// Evidence had found the message before. An acceptance, though, is of
		// another job, which is to be taken out of the queue, too.
		return row.Status, nil
	case row.Status.Evident() && claimed:
		switch {
		case repeated:
			return campaign.StatusUnknown, nil
		case accepted:
			return row.Status, t.addIDs(ctx, number, row, st)
		}
		return row.Status, nil
	case claimed && (row.Status == campaign.StatusSubmitting || row.Status == campaign.StatusUnknown),
		accepted && !row.Status.Evident() && row.Status != campaign.StatusSubmitting:
		return t.applyOutcome(ctx, number, row, st, firstPoll)
	}
	return "", nil
}

// settleAccepted is the way nearly every call takes, in two statements: it was
// accepted under a queue_id of its own, and the row still is the claimed one.
// False says that it is not so, and nothing has changed.
func (t *tx) settleAccepted(ctx context.Context, number, sender int64, st campaign.Settlement, firstPoll int64) (bool, error) {
	if st.To != campaign.StatusQueued || st.Refund {
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
	t.act(sender, activityAccepted)
	if err := t.reportRow(ctx, number, st.Task.Seq, standing{Status: campaign.StatusQueued}); err != nil {
		return false, err
	}
	return true, t.recordAttempt(ctx, number, st)
}

// repeatsQueueID says whether a call was answered with the queue_id of another
// row.
func (t *tx) repeatsQueueID(ctx context.Context, number int64, st campaign.Settlement) (bool, error) {
	if st.To != campaign.StatusQueued {
		return false, nil
	}
	return t.queueIDTaken(ctx, number, st.Task.Seq, st.Outcome.QueueID)
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

// applyOutcome moves the row, and returns its new status. Each statement names
// the standing it moves the row from.
func (t *tx) applyOutcome(
	ctx context.Context, number int64, row settled, st campaign.Settlement, firstPoll int64,
) (campaign.Status, error) {
	const fromHere = " WHERE campaign_n = ? AND seq = ? AND gen = ? AND status = ?"
	here := []any{number, st.Task.Seq, row.Gen, string(row.Status)}
	to, ended := standing{Status: st.To}, millis(st.EndedAt)
	if ended == 0 {
		ended = t.now()
	}
	var changed int64
	var err error
	switch st.To { //nolint:exhaustive // checked by Settle
	case campaign.StatusQueued:
		// skip_reason: proof of sending wins over a skip.
		changed, err = t.exec(ctx, `
			UPDATE recipients SET status = 'queued', skip_reason = '', detail = '', resolution = '', not_before = 0,
			  queue_id = ?, unique_id = ?, queue_position = ?, queued_at = ?, next_poll_at = ?, polls = 0`+fromHere,
			append([]any{st.Outcome.QueueID, st.Outcome.UniqueID, st.Outcome.QueuePosition, ended, ended + firstPoll}, here...)...)
		t.accept(number, ended)
		t.act(row.SenderN, activityAccepted)
		if err == nil && row.Status == campaign.StatusSkipped {
			err = t.readdress(ctx, number, st.Task.Seq)
		}
	case campaign.StatusFailed:
		to.Fail = st.FailReason
		changed, err = t.exec(ctx, `
			UPDATE recipients SET status = 'failed', fail_reason = ?, fail_class = ?, detail = ?, resolution = '', failed_at = ?`+fromHere,
			append([]any{string(st.FailReason), string(st.FailClass), st.Outcome.Detail, ended}, here...)...)
	case campaign.StatusPending:
		if to, err = t.waiting(ctx, number); err != nil {
			return "", err
		}
		changed, err = t.exec(ctx, "UPDATE recipients SET status = ?, not_before = ?, detail = ?, resolution = ''"+fromHere,
			append([]any{string(to.Status), to.due(st.NotBefore), st.Outcome.Detail}, here...)...)
	case campaign.StatusUnknown: // and a resolution stays: nothing was learned
		changed, err = t.exec(ctx, "UPDATE recipients SET status = 'unknown', detail = ?"+fromHere,
			append([]any{st.Outcome.Detail}, here...)...)
	}
	if err := changedOne(changed, err); err != nil {
		return "", err
	}
	t.move(number, row.standing, to, 1)
	t.actMove(row.SenderN, row.Status, to.Status)
	if to.Status != row.Status {
		if err := t.reportRow(ctx, number, st.Task.Seq, to); err != nil {
			return "", err
		}
	}
	if !st.Refund || st.To != campaign.StatusPending {
		return to.Status, nil
	}
	t.refund(row.SenderN, row.ClaimedAt)
	_, err = t.exec(ctx, "UPDATE recipients SET attempt = attempt - 1 WHERE campaign_n = ? AND seq = ? AND attempt > 0", number, st.Task.Seq)
	return to.Status, err
}

// changedOne is the error of a statement that moves one row, and an error also
// when it moved none or several: the row was read in this transaction, so then
// a rule of the ledger is broken, and nothing of it may be committed.
func changedOne(changed int64, err error) error {
	if err == nil && changed != 1 {
		return fmt.Errorf("a row that was just read changed %d times", changed)
	}
	return err
}

// readdress makes a row the campaign's one line for its chat again, unless
// another has become that: it was skipped, and proof came that it was sent. A
// delta import must not repeat the chat.
func (t *tx) readdress(ctx context.Context, number, seq int64) error {
	_, err := t.exec(ctx, `
		UPDATE recipients SET addressed = 1 WHERE campaign_n = ? AND seq = ? AND addressed = 0 AND chat <> ''
		  AND NOT EXISTS (SELECT 1 FROM recipients o WHERE o.campaign_n = ? AND o.chat = recipients.chat AND o.addressed = 1)`,
		number, seq, number)
	return err
}

// waiting is where a row goes that is to be sent, or sent again: pending, but
// canceled where nothing will be sent any more. A row pending in a canceled
// campaign would wait for ever.
func (t *tx) waiting(ctx context.Context, number int64) (standing, error) {
	var state campaign.State
	err := t.row(ctx, "SELECT state FROM campaigns WHERE n = ?", number).Scan(&state)
	if state == campaign.StateCanceled {
		return canceled, err
	}
	return pending, err
}

// due is the not_before of a row that got this standing.
func (s standing) due(notBefore time.Time) int64 {
	if s.Status == campaign.StatusPending {
		return millis(notBefore)
	}
	return 0
}
