package storage

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/herald-campaigns/herald/campaign"
)

// maxReply is how many characters of a first reply the row itself shows.
const maxReply = 1000

// answers is what people answered to a row's message. It is derived from the
// tables of replies, ballots and consents whenever one of them changes, never
// counted up: so no order and no repetition of news can make it wrong.
type answers struct {
	Replies   int    `db:"replies"`
	RepliedAt int64  `db:"replied_at"`
	Reply     string `db:"reply"`
	Vote      string `db:"vote"`
	VotedAt   int64  `db:"voted_at"`
	VoteMoves int    `db:"vote_moves"`
	OptedOut  int64  `db:"opted_out"`
}

const answerColumns = "replies, replied_at, reply, vote, voted_at, vote_moves, opted_out"

// answered derives the answers to rows and keeps them, with their counts. Rows
// that the ledger does not have are passed over. Their order is fixed, as in
// flush.
func (t *tx) answered(ctx context.Context, rows map[rowKey]bool) error {
	byKey := func(a, b rowKey) int { return cmp.Or(cmp.Compare(a.Campaign, b.Campaign), cmp.Compare(a.Seq, b.Seq)) }
	for _, row := range slices.SortedFunc(maps.Keys(rows), byKey) {
		var was answers
		var chat campaign.ChatID
		var senderN int64
		err := t.row(ctx, "SELECT chat, sender_n, "+answerColumns+" FROM recipients WHERE campaign_n = ? AND seq = ?", row.Campaign, row.Seq).
			Scan(&chat, &senderN, &was.Replies, &was.RepliedAt, &was.Reply, &was.Vote, &was.VotedAt, &was.VoteMoves, &was.OptedOut)
		if errors.Is(err, sql.ErrNoRows) {
			continue
		}
		if err != nil {
			return err
		}
		is, err := deriveAnswers(ctx, t, row, chat, senderN)
		if err != nil {
			return err
		}
		if is == was {
			continue
		}
		changed, err := t.exec(ctx, `
			UPDATE recipients SET replies = ?, replied_at = ?, reply = ?, vote = ?, voted_at = ?, vote_moves = ?, opted_out = ?
			WHERE campaign_n = ? AND seq = ?`,
			is.Replies, is.RepliedAt, is.Reply, is.Vote, is.VotedAt, is.VoteMoves, is.OptedOut, row.Campaign, row.Seq)
		if err := changedOne(changed, err); err != nil {
			return err
		}
		t.countAnswer(row.Campaign, answerReplied, was.Replies > 0, is.Replies > 0)
		t.countAnswer(row.Campaign, answerVoted, was.Vote != "", is.Vote != "")
		t.countAnswer(row.Campaign, answerOptedOut, was.OptedOut > 0, is.OptedOut > 0)
		if was.OptedOut == 0 && is.OptedOut > 0 {
			t.act(senderN, activityOptedOut)
		}
	}
	return nil
}

func (t *tx) countAnswer(number int64, key string, was, is bool) {
	t.counts[countKey{number, countAnswer, key}] += int64(asInt(is) - asInt(was))
}

// deriveAnswers is what the tables say of a row.
func deriveAnswers(ctx context.Context, q selecter, row rowKey, chat campaign.ChatID, senderN int64) (answers, error) {
	var a answers
	err := q.GetContext(ctx, &a.Replies, q.Rebind("SELECT COUNT(*) FROM replies WHERE campaign_n = ? AND seq = ?"), row.Campaign, row.Seq)
	if err != nil {
		return a, err
	}
	if a.Replies > 0 {
		var first struct {
			At   int64  `db:"at"`
			Text string `db:"text"`
		}
		err := q.GetContext(ctx, &first, q.Rebind(
			"SELECT at, text FROM replies WHERE campaign_n = ? AND seq = ? ORDER BY at, id LIMIT 1"), row.Campaign, row.Seq)
		if err != nil {
			return a, err
		}
		a.RepliedAt, a.Reply = first.At, cut(first.Text, maxReply)
	}
	err = q.GetContext(ctx, &a.OptedOut, q.Rebind(optedOutQuery), row.Campaign, row.Seq)
	if err != nil || chat.IsGroup() {
		return a, err
	}
	return a, a.deriveVote(ctx, q, row, chat, senderN)
}

// deriveVote goes through the votes as they were seen, the oldest first.
func (a *answers) deriveVote(ctx context.Context, q selecter, row rowKey, chat campaign.ChatID, senderN int64) error {
	views, err := viewsOf(ctx, q, row)
	if err != nil || len(views) == 0 {
		return err
	}
	ours, err := ownChat(ctx, q, senderN)
	if err != nil {
		return err
	}
	for _, view := range views {
		votes, _ := withoutStops(view.Votes)
		choice, at, err := choiceOf(votes, chat, ours)
		if err != nil {
			return err
		}
		switch {
		case choice == a.Vote:
			// It may have been withdrawn and given again while nobody looked.
			a.VotedAt = max(a.VotedAt, at)
			continue
		case choice == "":
			at = 0
		case at == 0:
			at = view.AsOf
		}
		if a.Vote != "" {
			a.VoteMoves++
		}
		a.Vote, a.VotedAt = choice, at
	}
	return nil
}

// SQLite takes the index of decisions that answer a row only when told that they
// answer one, and goes through all opt-outs otherwise.
const optedOutQuery = `SELECT COALESCE(MIN(at), 0) FROM consents
	WHERE campaign_n = ? AND seq = ? AND campaign_n > 0 AND wish = 'opt_out'`

// ownChat is the address of the phone that a row was sent from.
func ownChat(ctx context.Context, q selecter, senderN int64) (campaign.ChatID, error) {
	var phone campaign.Phone
	err := q.GetContext(ctx, &phone, q.Rebind("SELECT phone FROM senders WHERE n = ?"), senderN)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return "", err
	}
	return campaign.PersonChat(string(phone)), nil
}

// choiceOf is the vote of the person a chat belongs to, as the ledger keeps it.
// The voter may be spelled otherwise than the row has it; the only other one
// who can vote in that chat is our own phone.
func choiceOf(votes []ballot, chat, ours campaign.ChatID) (choice string, at int64, err error) {
	theirs := slices.IndexFunc(votes, func(b ballot) bool { return b.Voter == chat })
	if theirs < 0 {
		theirs = slices.IndexFunc(votes, func(b ballot) bool { return b.Voter != ours })
	}
	if theirs < 0 {
		return "", 0, nil
	}
	choice, err = encodeStrings(votes[theirs].Options)
	return choice, votes[theirs].At, err
}

// cut is the first so many characters of a text.
func cut(text string, most int) string {
	n := 0
	for i := range text {
		if n == most {
			return text[:i]
		}
		n++
	}
	return text
}

// hasRow says whether the ledger has a row: what names one that it has not is
// forged, or about something else.
func (t *tx) hasRow(ctx context.Context, row rowKey) (bool, error) {
	var n int
	err := t.row(ctx, "SELECT COUNT(*) FROM recipients WHERE campaign_n = ? AND seq = ?", row.Campaign, row.Seq).Scan(&n)
	return n > 0, err
}

// checkAnswers compares what the rows of a campaign say with what the tables
// do. Only rows that have an answer in either are looked at.
func (s *Store) checkAnswers(ctx context.Context, id campaign.ID) error {
	number, err := s.number(ctx, id)
	if err != nil {
		return s.fail("check the answers", err)
	}
	var rows []struct {
		Seq     int64           `db:"seq"`
		Chat    campaign.ChatID `db:"chat"`
		SenderN int64           `db:"sender_n"`
		answers
	}
	snapshot, err := s.readers.BeginTxx(ctx, nil)
	if err != nil {
		return s.fail("check the answers", err)
	}
	defer func() { _ = snapshot.Rollback() }() // it only read
	err = snapshot.SelectContext(ctx, &rows, snapshot.Rebind(`
		SELECT seq, chat, sender_n, `+answerColumns+` FROM recipients WHERE campaign_n = ? AND seq IN
		  (SELECT seq FROM replies WHERE campaign_n = ? UNION SELECT seq FROM ballots WHERE campaign_n = ?
		   UNION SELECT seq FROM consents WHERE campaign_n = ? UNION SELECT seq FROM recipients
		   WHERE campaign_n = ? AND (replies > 0 OR replied_at > 0 OR vote <> '' OR voted_at > 0 OR vote_moves > 0 OR opted_out > 0))
		ORDER BY seq`), number, number, number, number, number)
	if err != nil {
		return s.fail("check the answers", err)
	}
	for _, r := range rows {
		want, err := deriveAnswers(ctx, snapshot, rowKey{number, r.Seq}, r.Chat, r.SenderN)
		if err != nil {
			return s.fail("check the answers", err)
		}
		if want != r.answers {
			return &campaign.Error{
				Code: campaign.CodeInternal,
				What: fmt.Sprintf("campaign %s: row %d does not say what was answered: it has %d replies, %d moves of a vote and opt-out %d; the tables %d, %d and %d",
					id, r.Seq, r.Replies, r.VoteMoves, r.OptedOut, want.Replies, want.VoteMoves, want.OptedOut),
			}
		}
	}
	return nil
}
