package storage

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/herald-campaigns/herald/campaign"
)

// UnknownRows is every row of a campaign whose outcome nobody knows, in row
// order, those that a person has resolved included.
func (s *Store) UnknownRows(ctx context.Context, id campaign.ID) ([]campaign.UnknownRow, error) {
	return s.unknownRows(ctx, id, fmt.Sprintf("list the unknown rows of campaign %s", id), unknownQuery)
}

// ReturnedRows is every row of a campaign that waits to be sent again although
// nobody knows what came of its last call, in row order: it was proven or
// decided so, and evidence may have come since. It looks at every waiting row
// of a campaign of which rows were returned, so it is for the start of a run.
func (s *Store) ReturnedRows(ctx context.Context, id campaign.ID) ([]campaign.UnknownRow, error) {
	return s.unknownRows(ctx, id, fmt.Sprintf("list the rows of campaign %s that are to be sent again", id), returnedQuery)
}

// unknownRows reads rows by a query whose two parameters are the campaign.
func (s *Store) unknownRows(ctx context.Context, id campaign.ID, what, query string) ([]campaign.UnknownRow, error) {
	number, err := s.number(ctx, id)
	if err != nil {
		return nil, s.fail(what, err)
	}
	var rows []struct {
		Seq        int64               `db:"seq"`
		Gen        int64               `db:"gen"`
		Attempt    int                 `db:"attempt"`
		SenderN    int64               `db:"sender_n"`
		Chat       campaign.ChatID     `db:"chat"`
		BodyHash   string              `db:"body_hash"`
		ClaimedAt  int64               `db:"claimed_at"`
		EndedAt    int64               `db:"ended_at"`
		Detail     string              `db:"detail"`
		Resolution campaign.Resolution `db:"resolution"`
	}
	if err := s.readers.SelectContext(ctx, &rows, s.readers.Rebind(query), number, number); err != nil {
		return nil, s.fail(what, err)
	}
	list := make([]campaign.UnknownRow, len(rows))
	for i, r := range rows {
		sender, err := s.sender(ctx, r.SenderN)
		if err != nil {
			return nil, s.fail(what, err)
		}
		list[i] = campaign.UnknownRow{
			Campaign: id, Seq: r.Seq, Gen: r.Gen, Attempt: r.Attempt, Sender: sender, Chat: r.Chat, BodyHash: r.BodyHash,
			ClaimedAt: moment(r.ClaimedAt), EndedAt: moment(r.EndedAt), Detail: r.Detail, Resolution: r.Resolution,
		}
	}
	return list, nil
}

const unknownColumns = `r.seq, r.gen, r.attempt, r.sender_n, r.chat, r.body_hash, r.claimed_at, r.detail, r.resolution,
	  COALESCE(a.ended_at, 0) AS ended_at`

// A subquery, for the reason that parts gives.
const unknownQuery = `SELECT ` + unknownColumns + `
	FROM recipients r LEFT JOIN attempts a ON a.campaign_n = r.campaign_n AND a.seq = r.seq AND a.gen = r.gen
	WHERE r.campaign_n = ? AND r.seq IN (SELECT seq FROM recipients WHERE campaign_n = ? AND status = 'unknown' ORDER BY seq)
	ORDER BY r.seq`

// Nothing was returned of a campaign whose timeline does not tell of it; then
// the subquery reads no row. CROSS JOIN holds the planner to that order.
const returnedQuery = `SELECT ` + unknownColumns + `
	FROM recipients r CROSS JOIN attempts a ON a.campaign_n = r.campaign_n AND a.seq = r.seq
	  AND a.gen = (SELECT MAX(x.gen) FROM attempts x WHERE x.campaign_n = r.campaign_n AND x.seq = r.seq)
	WHERE r.campaign_n = ? AND r.claimed_at > 0 AND a.outcome = 'unknown' AND r.seq IN
	  (SELECT p.seq FROM campaigns c CROSS JOIN recipients p ON p.campaign_n = c.n AND p.status = 'pending'
	   WHERE c.n = ? AND EXISTS (SELECT 1 FROM events e WHERE e.campaign_n = c.n AND e.kind = 'resolved'))
	ORDER BY r.seq`

// BoundIDs is every id of the provider (queue, unique and message id) that a
// row of this chat has already or had in an attempt that was given up, in any
// campaign of the ledger: a message with one of them is not the one that is
// looked for.
func (s *Store) BoundIDs(ctx context.Context, chat campaign.ChatID) ([]string, error) {
	var rows []struct {
		QueueID   string `db:"queue_id"`
		UniqueID  string `db:"unique_id"`
		MessageID string `db:"message_id"`
	}
	if err := s.readers.SelectContext(ctx, &rows, s.readers.Rebind(boundQuery), string(chat), string(chat)); err != nil {
		return nil, s.fail("list the ids that are known of a chat", err)
	}
	ids := make([]string, 0, 3*len(rows))
	for _, r := range rows {
		for _, id := range []string{r.QueueID, r.UniqueID, r.MessageID} {
			if id != "" {
				ids = append(ids, id)
			}
		}
	}
	var former []string
	if err := s.readers.SelectContext(ctx, &former, s.readers.Rebind(boundFormerQuery), string(chat), string(chat)); err != nil {
		return nil, s.fail("list the ids that are known of a chat", err)
	}
	ids = append(ids, former...)
	slices.Sort(ids)
	return slices.Compact(ids), nil
}

// One look-up per campaign in each of the two indexes on chat. CROSS JOIN holds
// the planner to that order.
const boundQuery = `SELECT r.queue_id, r.unique_id, r.message_id FROM campaigns c CROSS JOIN recipients r
	WHERE r.campaign_n = c.n AND r.chat = ? AND r.addressed = 1
	UNION ALL SELECT r.queue_id, r.unique_id, r.message_id FROM campaigns c CROSS JOIN recipients r
	WHERE r.campaign_n = c.n AND r.seq IN
	  (SELECT seq FROM recipients x WHERE x.campaign_n = c.n AND x.chat = ? AND x.addressed = 0 AND x.chat <> '')`

const boundFormerQuery = `SELECT f.id FROM campaigns c CROSS JOIN recipients r CROSS JOIN former_ids f
	WHERE r.campaign_n = c.n AND r.chat = ? AND r.addressed = 1 AND f.campaign_n = r.campaign_n AND f.seq = r.seq
	UNION ALL SELECT f.id FROM campaigns c CROSS JOIN recipients r CROSS JOIN former_ids f
	WHERE r.campaign_n = c.n AND r.seq IN
	  (SELECT seq FROM recipients x WHERE x.campaign_n = c.n AND x.chat = ? AND x.addressed = 0 AND x.chat <> '')
	  AND f.campaign_n = r.campaign_n AND f.seq = r.seq`

// witnessReach is how many rows before and after one Witnesses looks at.
const witnessReach = 500

// Witnesses is up to limit messages that the provider took for certain, of the
// same campaign and sender as the row and none further than 500 rows away: of
// those accepted before the row's intent and of those accepted after it the
// nearest in time, half of each as far as there are that many. A list of the
// provider's that lacks one of them lacks others too, so absence from it proves
// nothing.
func (s *Store) Witnesses(ctx context.Context, row campaign.UnknownRow, limit int) ([]campaign.Tracked, error) {
	what := fmt.Sprintf("list the neighbors of row %d of campaign %s", row.Seq, row.Campaign)
	number, err := s.number(ctx, row.Campaign)
	if err != nil {
		return nil, s.fail(what, err)
	}
	senderN, err := s.senderNumber(ctx, row.Sender.ID)
	if err != nil {
		return nil, s.fail(what, err)
	}
	claimed := millis(row.ClaimedAt)
	near := func(query string) ([]dueRow, error) {
		var rows []dueRow
		err := s.readers.SelectContext(ctx, &rows, s.readers.Rebind(query),
			number, row.Seq-witnessReach, row.Seq+witnessReach, senderN, row.Seq, claimed, limit)
		return rows, err
	}
	before, err := near(earlierQuery)
	if err != nil {
		return nil, s.fail(what, err)
	}
	after, err := near(laterQuery)
	if err != nil {
		return nil, s.fail(what, err)
	}
	most := max(limit/2, limit-len(after))
	rows := slices.Concat(before[:min(len(before), most)], after)
	rows = rows[:min(len(rows), limit)]
	for i := range rows {
		rows[i].id = row.Campaign
	}
	list, err := s.tracked(ctx, rows)
	return list, s.fail(what, err)
}

// A message that was taken back out of the provider's queue is in no list of it.
// The plus keeps the planner off the index of all queue ids. queued_at is when
// the call ended; one that ended in the very millisecond of the intent was not
// before it.
const (
	witnessQuery = `SELECT ` + dueColumns + ` FROM recipients
	WHERE campaign_n = ? AND seq BETWEEN ? AND ? AND sender_n = ? AND +queue_id <> '' AND status <> 'canceled' AND seq <> ? AND queued_at `
	earlierQuery = witnessQuery + `BETWEEN 1 AND ? - 1 ORDER BY queued_at DESC, seq LIMIT ?`
	laterQuery   = witnessQuery + `>= ? ORDER BY queued_at, seq LIMIT ?`
)

// ReturnUnknown moves unknown rows to pending, not before a time: it is proven
// that the message was not taken. A row that is not unknown any more, or at
// another hand-over than the given one, stays as it is. Rows of a canceled
// campaign become canceled. It returns how many rows it moved, and the timeline
// tells of them.
//
// A campaign that was tracking or completed becomes paused (operator) in the
// same transaction, so that it has no rows to send: running it sends them.
func (s *Store) ReturnUnknown(ctx context.Context, id campaign.ID, rows []campaign.Staged, notBefore time.Time, detail string) (int64, error) {
	return s.returnUnknown(ctx, id, rows, notBefore, detail, campaign.EventResolved)
}

// ResendUnknown is ReturnUnknown without a proof: a person decided, or the
// campaign's policy, that some people may get the message twice.
func (s *Store) ResendUnknown(ctx context.Context, id campaign.ID, rows []campaign.Staged, detail string) (int64, error) {
	return s.returnUnknown(ctx, id, rows, time.Time{}, detail, campaign.EventResent)
}

func (s *Store) returnUnknown(
	ctx context.Context, id campaign.ID, rows []campaign.Staged, notBefore time.Time, detail string, as campaign.EventKind,
) (int64, error) {
	n, err := write(ctx, s, func(ctx context.Context, t *tx) (int64, error) {
		c, err := readCampaign(ctx, t, "SELECT "+campaignColumns+" FROM campaigns WHERE id = ?", id)
		if err != nil {
			return 0, err
		}
		number, _, err := t.campaignState(ctx, id)
		if err != nil {
			return 0, err
		}
		to, err := t.waiting(ctx, number)
		if err != nil {
			return 0, err
		}
		words := [2]string{"row waits again", "rows wait again"}
		if to == canceled {
			words, as = [2]string{"row is canceled", "rows are canceled"}, campaign.EventResolved
		}
		var moved []int64
		for _, row := range rows {
			n, err := t.exec(ctx, `
				UPDATE recipients SET status = ?, not_before = ?, detail = ?, resolution = ''
				WHERE campaign_n = ? AND seq = ? AND gen = ? AND status = 'unknown'`,
				string(to.Status), to.due(notBefore), detail, number, row.Seq, row.Gen)
			if err != nil {
				return 0, err
			}
			if n > 0 {
				moved = append(moved, row.Seq)
			}
		}
		count := int64(len(moved))
		t.move(number, unknown, to, count)
		if err := t.noteResolved(ctx, number, moved, as, words, detail); err != nil || count == 0 {
			return count, err
		}
		if c.State == campaign.StateTracking || c.State == campaign.StateCompleted {
			return count, t.transit(ctx, c, campaign.StatePaused, campaign.PauseOperator, "unknown rows wait again")
		}
		return count, nil
	})
	return n, s.fail(fmt.Sprintf("return unknown rows of campaign %s", id), err)
}

// AssumeSent marks unknown rows as dealt with: they count as sent, and are
// never sent again. They stay unknown, for nothing was learned, and late
// evidence still settles them. A row that is not unknown any more, at another
// hand-over than the given one, or marked already stays as it is. It returns
// how many rows it marked, and the timeline tells of them.
func (s *Store) AssumeSent(ctx context.Context, id campaign.ID, rows []campaign.Staged, detail string) (int64, error) {
	n, err := write(ctx, s, func(ctx context.Context, t *tx) (int64, error) {
		number, _, err := t.campaignState(ctx, id)
		if err != nil {
			return 0, err
		}
		var marked []int64
		for _, row := range rows {
			n, err := t.exec(ctx, `
				UPDATE recipients SET resolution = ?
				WHERE campaign_n = ? AND seq = ? AND gen = ? AND status = 'unknown' AND resolution = ''`,
				string(campaign.ResolutionAssumedSent), number, row.Seq, row.Gen)
			if err != nil {
				return 0, err
			}
			if n > 0 {
				marked = append(marked, row.Seq)
			}
		}
		return int64(len(marked)), t.noteResolved(ctx, number, marked, campaign.EventResolved, [2]string{"row counts as sent", "rows count as sent"}, detail)
	})
	return n, s.fail(fmt.Sprintf("assume unknown rows of campaign %s sent", id), err)
}

// noteResolved tells the timeline what became of these rows, and which they
// are; words are for one row and for more.
func (t *tx) noteResolved(ctx context.Context, number int64, rows []int64, as campaign.EventKind, words [2]string, why string) error {
	if len(rows) == 0 {
		return nil
	}
	text := words[1]
	if len(rows) == 1 {
		text = words[0]
	}
	text = fmt.Sprintf("%d %s", len(rows), text)
	if why != "" {
		text += ": " + why
	}
	text += " (" + rowNumbers(rows) + ")"
	return t.note(ctx, number, campaign.Event{Kind: as, Detail: text})
}

// rowNumbers names rows for people, the first 20 of them.
func rowNumbers(rows []int64) string {
	const named = 20
	if len(rows) == 1 {
		return fmt.Sprintf("row %d", rows[0])
	}
	var b strings.Builder
	b.WriteString("rows ")
	for i, row := range rows[:min(len(rows), named)] {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(strconv.FormatInt(row, 10))
	}
	if more := len(rows) - named; more > 0 {
		fmt.Fprintf(&b, " and %d more", more)
	}
	return b.String()
}
