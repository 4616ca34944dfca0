package storage

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"slices"

	"github.com/jmoiron/sqlx"

	"github.com/herald-campaigns/herald/campaign"
)

const recipientColumns = `seq, import_n, line, record, chat, sender_n, status, skip_reason, fail_reason, fail_class, detail, resolution,
	gen, attempt, not_before, staged_at, claimed_at, body_hash, queue_id, unique_id, message_id, queue_position,
	queued_at, sent_at, delivered_at, read_at, failed_at,
	variant, replies, replied_at, reply, vote, voted_at, vote_moves, opted_out`

type recipientRow struct {
	standing
	Seq           int64               `db:"seq"`
	Import        int                 `db:"import_n"`
	Line          int64               `db:"line"`
	Record        string              `db:"record"`
	Chat          campaign.ChatID     `db:"chat"`
	SenderN       int64               `db:"sender_n"`
	FailClass     campaign.FailClass  `db:"fail_class"`
	Detail        string              `db:"detail"`
	Resolution    campaign.Resolution `db:"resolution"`
	Gen           int64               `db:"gen"`
	Attempt       int                 `db:"attempt"`
	NotBefore     int64               `db:"not_before"`
	StagedAt      int64               `db:"staged_at"`
	ClaimedAt     int64               `db:"claimed_at"`
	BodyHash      string              `db:"body_hash"`
	QueueID       string              `db:"queue_id"`
	UniqueID      string              `db:"unique_id"`
	MessageID     string              `db:"message_id"`
	QueuePosition int64               `db:"queue_position"`
	QueuedAt      int64               `db:"queued_at"`
	SentAt        int64               `db:"sent_at"`
	DeliveredAt   int64               `db:"delivered_at"`
	ReadAt        int64               `db:"read_at"`
	FailedAt      int64               `db:"failed_at"`
	Variant       string              `db:"variant"`
	answers
}

func (s *Store) recipient(ctx context.Context, id campaign.ID, r recipientRow) (campaign.Recipient, error) {
	sender, err := s.sender(ctx, r.SenderN)
	if err != nil {
		return campaign.Recipient{}, err
	}
	out := campaign.Recipient{
		Campaign: id, Seq: r.Seq, Import: r.Import, Line: r.Line, Chat: r.Chat, Sender: sender.ID,
		Status: r.Status, SkipReason: r.Skip, FailReason: r.Fail, FailClass: r.FailClass, Resolution: r.Resolution, Detail: r.Detail,
		Gen: r.Gen, Attempt: r.Attempt, NotBefore: moment(r.NotBefore), StagedAt: moment(r.StagedAt),
		ClaimedAt: moment(r.ClaimedAt), BodyHash: r.BodyHash,
		QueueID: r.QueueID, UniqueID: r.UniqueID, MessageID: r.MessageID, QueuePosition: r.QueuePosition,
		QueuedAt: moment(r.QueuedAt), SentAt: moment(r.SentAt), DeliveredAt: moment(r.DeliveredAt),
		ReadAt: moment(r.ReadAt), FailedAt: moment(r.FailedAt),
		Variant: r.Variant, Replies: r.Replies, RepliedAt: moment(r.RepliedAt), Reply: r.Reply,
		VotedAt: moment(r.VotedAt), VoteMoves: r.VoteMoves, OptedOut: moment(r.OptedOut),
	}
	if r.Vote != "" {
		if err := json.Unmarshal([]byte(r.Vote), &out.Vote); err != nil {
			return out, fmt.Errorf("decode the vote of row %d: %w", r.Seq, err)
		}
	}
	if err := json.Unmarshal([]byte(r.Record), &out.Record); err != nil {
		return out, fmt.Errorf("decode row %d: %w", r.Seq, err)
	}
	return out, nil
}

func (s *Store) recipientsOf(ctx context.Context, id campaign.ID, rows []recipientRow) ([]campaign.Recipient, error) {
	list := make([]campaign.Recipient, len(rows))
	for i, r := range rows {
		var err error
		if list[i], err = s.recipient(ctx, id, r); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// Filter chooses rows. Fields that are set must all hold; within a list one
// entry must.
type Filter struct {
	Statuses    []campaign.Status
	SkipReasons []campaign.SkipReason
	FailReasons []campaign.FailReason
	Chat        campaign.ChatID // with its suffix, exact
	AfterSeq    int64           // rows behind this one: the cursor of a page
	Limit       int             // at most so many; 0: all
}

// pageRows is how many rows one read takes. Between two reads nothing is held,
// so a slow download neither keeps the WAL from being checkpointed nor sees
// more than the rows as they were at each page.
const pageRows = 500

// Recipients walks the rows of a campaign in row order. An error ends the walk.
func (s *Store) Recipients(ctx context.Context, id campaign.ID, filter Filter) iter.Seq2[campaign.Recipient, error] {
	return func(yield func(campaign.Recipient, error) bool) {
		what := fmt.Sprintf("list the recipients of campaign %s", id)
		number, err := s.number(ctx, id)
		if err != nil {
			yield(campaign.Recipient{}, s.fail(what, err))
			return
		}
		for left := filter.Limit; ; {
			size := pageRows
			if filter.Limit > 0 {
				size = min(size, left)
			}
			rows, err := s.page(ctx, number, filter, size)
			if err != nil {
				yield(campaign.Recipient{}, s.fail(what, err))
				return
			}
			for _, row := range rows {
				r, err := s.recipient(ctx, id, row)
				if !yield(r, s.fail(what, err)) || err != nil {
					return
				}
			}
			left -= len(rows)
			if len(rows) < size || filter.Limit > 0 && left <= 0 {
				return
			}
			filter.AfterSeq = rows[len(rows)-1].Seq
		}
	}
}

// page reads the next rows, in row order.
func (s *Store) page(ctx context.Context, number int64, filter Filter, size int) ([]recipientRow, error) {
	var rows []recipientRow
	for _, p := range parts(number, filter, size) {
		query, args, err := pageQuery(number, filter, p, size)
		if err != nil {
			return nil, err
		}
		var found []recipientRow
		if err := s.readers.SelectContext(ctx, &found, s.readers.Rebind(query), args...); err != nil {
			return nil, err
		}
		rows = append(rows, found...)
	}
	slices.SortFunc(rows, func(a, b recipientRow) int { return cmp.Compare(a.Seq, b.Seq) })
	rows = slices.CompactFunc(rows, func(a, b recipientRow) bool { return a.Seq == b.Seq })
	return rows[:min(len(rows), size)], nil
}

// part is one query of a page: a condition on seq that an index other than the
// primary key answers by itself. As a subquery, because the planner would
// rather walk a whole campaign along the primary key than look up each row an
// index names. The zero part is the walk along the primary key.
type part struct {
	where string
	args  []any
}

func parts(number int64, filter Filter, size int) []part {
	switch {
	case filter.Chat != "": // one for each of the two indexes on chat
		const where = "seq IN (SELECT seq FROM recipients WHERE campaign_n = ? AND chat = ? AND "
		args := []any{number, string(filter.Chat)}
		return []part{{where + "addressed = 1)", args}, {where + "addressed = 0 AND chat <> '')", args}}
	case len(filter.Statuses) > 0 && !slices.ContainsFunc(filter.Statuses, common):
		// One for each status: together they would need a sort.
		var list []part
		for _, status := range filter.Statuses {
			where, args := filter.reasons("campaign_n = ? AND "+exceptions[status]+" AND seq > ?", number, filter.AfterSeq)
			list = append(list, part{"seq IN (SELECT seq FROM recipients WHERE " + where + " ORDER BY seq LIMIT ?)", append(args, size)})
		}
		return list
	}
	return []part{{}}
}

// exceptions are the statuses that have an index, each as the condition that
// uses it: the planner wants to see the value.
var exceptions = map[campaign.Status]string{
	campaign.StatusFailed:   "status = 'failed'",
	campaign.StatusSkipped:  "status = 'skipped'",
	campaign.StatusUnknown:  "status = 'unknown'",
	campaign.StatusCanceled: "status = 'canceled'",
}

func common(status campaign.Status) bool { return exceptions[status] == "" }

// reasons adds the conditions on reasons, if there are any.
func (f Filter) reasons(where string, args ...any) (string, []any) {
	if len(f.SkipReasons) > 0 {
		where, args = where+" AND skip_reason IN (?)", append(args, f.SkipReasons)
	}
	if len(f.FailReasons) > 0 {
		where, args = where+" AND fail_reason IN (?)", append(args, f.FailReasons)
	}
	return where, args
}

func pageQuery(number int64, filter Filter, p part, size int) (string, []any, error) {
	where, args := filter.reasons("campaign_n = ? AND seq > ?", number, filter.AfterSeq)
	if p.where != "" {
		where, args = where+" AND "+p.where, append(args, p.args...)
	}
	if len(filter.Statuses) > 0 {
		where, args = where+" AND status IN (?)", append(args, filter.Statuses)
	}
	return sqlx.In("SELECT "+recipientColumns+" FROM recipients WHERE "+where+" ORDER BY seq LIMIT ?", append(args, size)...)
}

// Recipient is one row, or a *campaign.Error with CodeNotFound.
func (s *Store) Recipient(ctx context.Context, id campaign.ID, seq int64) (campaign.Recipient, error) {
	for r, err := range s.Recipients(ctx, id, Filter{AfterSeq: seq - 1, Limit: 1}) {
		if err != nil || r.Seq == seq {
			return r, err
		}
	}
	return campaign.Recipient{}, noRecipient(id, fmt.Sprintf("row %d", seq))
}

// RecipientByChat is the campaign's row for a chat: the one that is sent to,
// else the last one that was skipped.
func (s *Store) RecipientByChat(ctx context.Context, id campaign.ID, chat campaign.ChatID) (campaign.Recipient, error) {
	var best campaign.Recipient
	for r, err := range s.Recipients(ctx, id, Filter{Chat: chat}) {
		if err != nil {
			return r, err
		}
		if best.Seq == 0 || r.Status != campaign.StatusSkipped || best.Status == campaign.StatusSkipped {
			best = r
		}
	}
	if best.Seq == 0 {
		return best, noRecipient(id, chat.String())
	}
	return best, nil
}

func noRecipient(id campaign.ID, which string) error {
	return &campaign.Error{
		Code: campaign.CodeNotFound,
		What: fmt.Sprintf("campaign %s has no recipient %s", id, which),
		Hint: "`herald recipients " + string(id) + "` lists them",
	}
}

// Attempts are the calls of the send API for one row, the oldest first. A call
// that used up no attempt (429) is listed too, so a number may come twice.
func (s *Store) Attempts(ctx context.Context, id campaign.ID, seq int64) ([]campaign.Attempt, error) {
	number, err := s.number(ctx, id)
	if err != nil {
		return nil, s.fail("list attempts", err)
	}
	var rows []struct {
		Number     int                  `db:"number"`
		StartedAt  int64                `db:"started_at"`
		EndedAt    int64                `db:"ended_at"`
		Outcome    campaign.OutcomeKind `db:"outcome"`
		HTTPStatus int                  `db:"http_status"`
		TraceID    string               `db:"trace_id"`
		Detail     string               `db:"detail"`
	}
	err = s.readers.SelectContext(ctx, &rows, s.readers.Rebind(`
		SELECT number, started_at, ended_at, outcome, http_status, trace_id, detail FROM attempts
		WHERE campaign_n = ? AND seq = ? ORDER BY gen`), number, seq)
	if err != nil {
		return nil, s.fail(fmt.Sprintf("list the attempts of row %d of campaign %s", seq, id), err)
	}
	list := make([]campaign.Attempt, len(rows))
	for i, r := range rows {
		list[i] = campaign.Attempt{
			Campaign: id, Seq: seq, Number: r.Number, StartedAt: moment(r.StartedAt), EndedAt: moment(r.EndedAt),
			Outcome: r.Outcome, HTTPStatus: r.HTTPStatus, TraceID: r.TraceID, Detail: r.Detail,
		}
	}
	return list, nil
}
