package storage

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/herald-campaigns/herald/campaign"
)

// DuePolls is the rows whose status is to be asked for at now, the longest due
// first: of the given campaigns, or of all.
func (s *Store) DuePolls(ctx context.Context, now time.Time, limit int, ids ...campaign.ID) ([]campaign.Tracked, error) {
	numbers, err := s.polled(ctx, ids)
	if err != nil {
		return nil, s.fail("list due polls", err)
	}
	var due []dueRow
	for number, id := range numbers {
		var rows []dueRow
		err := s.readers.SelectContext(ctx, &rows, s.readers.Rebind(duePollsQuery), number, millis(now), limit)
		if err != nil {
			return nil, s.fail("list due polls", err)
		}
		for i := range rows {
			rows[i].id = id
		}
		due = append(due, rows...)
	}
	slices.SortFunc(due, func(a, b dueRow) int {
		return cmp.Or(cmp.Compare(a.NextPollAt, b.NextPollAt), cmp.Compare(a.id, b.id), cmp.Compare(a.Seq, b.Seq))
	})
	list, err := s.tracked(ctx, due[:min(len(due), limit)])
	return list, s.fail("list due polls", err)
}

const dueColumns = "seq, sender_n, chat, queue_id, unique_id, status, queued_at, polls, next_poll_at"

const duePollsQuery = `SELECT ` + dueColumns + ` FROM recipients
	WHERE campaign_n = ? AND next_poll_at > 0 AND next_poll_at <= ? ORDER BY next_poll_at LIMIT ?`

type dueRow struct {
	id         campaign.ID
	Seq        int64           `db:"seq"`
	SenderN    int64           `db:"sender_n"`
	Chat       campaign.ChatID `db:"chat"`
	QueueID    string          `db:"queue_id"`
	UniqueID   string          `db:"unique_id"`
	Status     campaign.Status `db:"status"`
	QueuedAt   int64           `db:"queued_at"`
	Polls      int             `db:"polls"`
	NextPollAt int64           `db:"next_poll_at"`
}

func (s *Store) tracked(ctx context.Context, rows []dueRow) ([]campaign.Tracked, error) {
	list := make([]campaign.Tracked, len(rows))
	for i, r := range rows {
		sender, err := s.sender(ctx, r.SenderN)
		if err != nil {
			return nil, err
		}
		list[i] = campaign.Tracked{
			Campaign: r.id, Seq: r.Seq, Sender: sender, Chat: r.Chat, QueueID: r.QueueID, UniqueID: r.UniqueID,
			Status: r.Status, QueuedAt: moment(r.QueuedAt), Polls: r.Polls,
		}
	}
	return list, nil
}

// polled is the campaigns to ask for, by number.
func (s *Store) polled(ctx context.Context, ids []campaign.ID) (map[int64]campaign.ID, error) {
	numbers := map[int64]campaign.ID{}
	for _, id := range ids {
		number, err := s.number(ctx, id)
		if err != nil {
			return nil, err
		}
		numbers[number] = id
	}
	if len(ids) > 0 {
		return numbers, nil
	}
	var rows []campaignRow
	err := s.readers.SelectContext(ctx, &rows, polledQuery)
	for _, r := range rows {
		numbers[r.N] = r.ID
	}
	return numbers, err
}

// Whatever state a campaign is in: of a completed one a message may have been
// taken back.
const polledQuery = `SELECT n, id FROM campaigns c
	WHERE EXISTS (SELECT 1 FROM recipients r WHERE r.campaign_n = c.n AND r.next_poll_at > 0)`

// AwaitingEvidence is how many rows of a campaign have their status still to
// be asked for.
func (s *Store) AwaitingEvidence(ctx context.Context, id campaign.ID) (int64, error) {
	number, err := s.number(ctx, id)
	if err != nil {
		return 0, s.fail("count awaited evidence", err)
	}
	var n int64
	err = s.readers.GetContext(ctx, &n, s.readers.Rebind(awaitingQuery), number)
	return n, s.fail(fmt.Sprintf("count awaited evidence of campaign %s", id), err)
}

const awaitingQuery = "SELECT COUNT(*) FROM recipients WHERE campaign_n = ? AND next_poll_at > 0"

// Observe folds evidence into the rows: the higher-ranked status
// (campaign.Status.Merge), the earliest time of each kind and the message id
// are kept, so that neither order nor repeats matter. Evidence about rows that
// the ledger does not know or never sent is passed over: forged evidence
// changes nothing. All of it is one transaction.
func (s *Store) Observe(ctx context.Context, observations []campaign.Observation) error {
	type known struct {
		number int64
		campaign.Observation
	}
	var list []known
	for _, o := range observations {
		number, err := s.number(ctx, o.Campaign)
		if errors.Is(err, campaign.ErrNotFound) {
			continue
		}
		if err != nil {
			return s.fail("fold in evidence", err)
		}
		list = append(list, known{number, o})
	}
	if len(list) == 0 {
		return nil
	}
	_, err := write(ctx, s, func(ctx context.Context, t *tx) (struct{}, error) {
		for _, o := range list {
			if err := t.observe(ctx, o.number, o.Observation, s.config.FirstPoll.Milliseconds()); err != nil {
				return struct{}{}, err
			}
		}
		return struct{}{}, nil
	})
	return s.fail("fold in evidence", err)
}

// observed is what evidence can change of a row.
type observed struct {
	standing
	FailClass   campaign.FailClass
	Detail      string
	SenderN     int64
	ClaimedAt   int64
	QueueID     string
	UniqueID    string
	MessageID   string
	QueuedAt    int64
	SentAt      int64
	DeliveredAt int64
	ReadAt      int64
	FailedAt    int64
	NextPollAt  int64
	Polls       int
}

func (t *tx) observe(ctx context.Context, number int64, o campaign.Observation, firstPoll int64) error {
	var row observed
	err := t.row(ctx, `
		SELECT status, skip_reason, fail_reason, fail_class, detail, sender_n, claimed_at, queue_id, unique_id, message_id,
		  queued_at, sent_at, delivered_at, read_at, failed_at, next_poll_at, polls
		FROM recipients WHERE campaign_n = ? AND seq = ?`, number, o.Seq).
		Scan(&row.Status, &row.Skip, &row.Fail, &row.FailClass, &row.Detail, &row.SenderN, &row.ClaimedAt, &row.QueueID, &row.UniqueID, &row.MessageID,
			&row.QueuedAt, &row.SentAt, &row.DeliveredAt, &row.ReadAt, &row.FailedAt, &row.NextPollAt, &row.Polls)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	if row.ClaimedAt == 0 { // never sent: the evidence is forged, or about something else
		return nil
	}
	if o.Former, err = t.isFormer(ctx, number, row, o); err != nil {
		return err
	}
	if o.QueueID != "" && row.QueueID == "" && !o.Former {
		taken, err := t.queueIDTaken(ctx, number, o.Seq, o.QueueID)
		if err != nil {
			return err
		}
		if taken { // then this evidence is about another row's message
			return nil
		}
	}
	next := row.fold(o, t.now(), firstPoll)
	if next == row {
		return nil
	}
	// A resolution of an unknown row holds until something is learned.
	changed, err := t.exec(ctx, `
		UPDATE recipients SET status = ?, skip_reason = ?, fail_reason = ?, fail_class = ?, detail = ?, queue_id = ?, unique_id = ?,
		  message_id = ?, queued_at = ?, sent_at = ?, delivered_at = ?, read_at = ?, failed_at = ?, next_poll_at = ?, polls = ?,
		  not_before = CASE WHEN ? = 1 THEN 0 ELSE not_before END,
		  resolution = CASE WHEN ? = 1 THEN '' ELSE resolution END
		WHERE campaign_n = ? AND seq = ? AND status = ?`,
		string(next.Status), string(next.Skip), string(next.Fail), string(next.FailClass), next.Detail, next.QueueID, next.UniqueID,
		next.MessageID, next.QueuedAt, next.SentAt, next.DeliveredAt, next.ReadAt, next.FailedAt, next.NextPollAt, next.Polls,
		asInt(next.Status.Evident()), asInt(next.Status.Evident()), number, o.Seq, string(row.Status))
	if err := changedOne(changed, err); err != nil {
		return err
	}
	if next.standing != row.standing {
		t.move(number, row.standing, next.standing, 1)
		t.actMove(row.SenderN, row.Status, next.Status)
		if err := t.reportRow(ctx, number, o.Seq, next.standing); err != nil {
			return err
		}
	}
	if row.Status == campaign.StatusSkipped && next.Status != campaign.StatusSkipped {
		if err := t.readdress(ctx, number, o.Seq); err != nil {
			return err
		}
	}
	if row.QueuedAt == 0 && next.QueuedAt != 0 {
		t.accept(number, next.QueuedAt)
		t.act(row.SenderN, activityAccepted)
	}
	return nil
}

// isFormer says whether evidence is about an attempt that was given up. Only
// evidence with ids can be found out; the caller may know it besides.
func (t *tx) isFormer(ctx context.Context, number int64, row observed, o campaign.Observation) (bool, error) {
	current := o.QueueID != "" && o.QueueID == row.QueueID || o.UniqueID != "" && o.UniqueID == row.UniqueID
	if o.Former || current || o.QueueID == "" && o.UniqueID == "" {
		return o.Former, nil
	}
	var n int
	err := t.row(ctx, "SELECT COUNT(*) FROM former_ids WHERE id IN (?, ?) AND id <> '' AND campaign_n = ? AND seq = ?",
		o.QueueID, o.UniqueID, number, o.Seq).Scan(&n)
	return n > 0, err
}

// fold is the row after the evidence.
func (r observed) fold(o campaign.Observation, now, firstPoll int64) observed {
	if o.Status == campaign.StatusFailed && o.FailClass == "" {
		o.FailClass = campaign.ClassifyFailure(o.Detail)
	}
	was := r
	if o.Former {
		if !o.Status.Out() { // of failed and what comes before it
			return r
		}
		o.QueueID, o.UniqueID, o.NextPoll = "", "", time.Time{}
	}
	if was.withdrawn() && !o.Status.Out() {
		r.schedule(o, was, now, firstPoll)
		return r
	}
	if o.Status.Evident() {
		r.Status = was.Status.Merge(o.Status)
	}
	r.QueueID, r.UniqueID, r.MessageID = cmp.Or(r.QueueID, o.QueueID), cmp.Or(r.UniqueID, o.UniqueID), cmp.Or(r.MessageID, o.MessageID)
	r.SentAt, r.DeliveredAt = earliest(r.SentAt, o.SentAt), earliest(r.DeliveredAt, o.DeliveredAt)
	r.ReadAt, r.FailedAt = earliest(r.ReadAt, o.ReadAt), earliest(r.FailedAt, o.FailedAt)
	if o.Status == campaign.StatusFailed && r.FailedAt == 0 {
		r.FailedAt = now
	}
	if r.Status != was.Status {
		r.become(o, was)
		if r.QueuedAt == 0 {
			r.QueuedAt = was.ClaimedAt // the call is the best that is known
		}
	} else if o.Detail != "" && o.Source == campaign.EvidenceWebhook && o.Status == r.Status {
		r.Detail = max(r.Detail, o.Detail) // any one of them, as long as no order matters
	} else if o.Detail != "" && o.Source != campaign.EvidenceWebhook && (o.Status == "" || o.Status == r.Status) {
		r.Detail = o.Detail // we asked: the latest answer is the best
	}
	if o.FailClass == campaign.FailTransient && o.Status == campaign.StatusFailed && r.Fail == campaign.FailProvider {
		r.FailClass = o.FailClass
	}
	r.schedule(o, was, now, firstPoll)
	return r
}

// withdrawn says whether the row's job was purged from the provider's queue. What
// the provider says of such a job is not known, so that only proof that the
// message went out counts: it was being sent when it was to be purged.
func (r observed) withdrawn() bool {
	return r.Status.TakenBack(r.QueueID)
}

// become sets what goes with a new status.
func (r *observed) become(o campaign.Observation, was observed) {
	r.Skip, r.Fail, r.FailClass, r.Detail = "", "", "", o.Detail
	if r.Status == campaign.StatusFailed {
		// Taken, and then given up by the provider: sending it again is a
		// person's decision.
		r.Fail, r.FailClass = campaign.FailProvider, cmp.Or(o.FailClass, campaign.FailPermanent)
		if o.Source != campaign.EvidenceWebhook {
			r.Detail = cmp.Or(o.Detail, was.Detail)
		}
	}
}

// schedule sets when the row's status is asked for again.
func (r *observed) schedule(o campaign.Observation, was observed, now, firstPoll int64) {
	asked := o.Source == campaign.EvidencePoll || o.Source == campaign.EvidenceJobs || o.Source == campaign.EvidenceMessages
	if r.withdrawn() && o.AskedAs != campaign.StatusCanceled {
		return // it was asked for before it was taken back
	}
	switch recall := campaign.Recall(r.Polls); {
	case asked && r.withdrawn():
		r.Polls = int(recall.After(o))
	case was.withdrawn() && !r.withdrawn(): // it went out
		r.Polls = recall.Requests() + asInt(asked)
	case asked:
		r.Polls++
	}
	switch {
	case !r.withdrawn() && (r.Status.Settled() || !r.Status.Evident()):
		r.NextPollAt = 0
	case !o.NextPoll.IsZero():
		r.NextPollAt = millis(o.NextPoll)
	case asked:
		r.NextPollAt = 0
	case !was.Status.Evident() && r.Status.Evident(): // a webhook brought the first news of it
		r.NextPollAt = now + firstPoll
	}
}

// earliest is the smaller time of a kept one and a new one, of which 0 and the
// zero time are none.
func earliest(kept int64, t time.Time) int64 {
	if seen := millis(t); kept == 0 || seen != 0 && seen < kept {
		return seen
	}
	return kept
}

func asInt(b bool) int {
	if b {
		return 1
	}
	return 0
}
