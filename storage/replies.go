package storage

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"

	"github.com/herald-campaigns/herald/campaign"
)

const replyColumns = "id, campaign_n, seq, tie, phone, chat, author, quoted, kind, text, wish, decided, at"

type replyRow struct {
	ID       string          `db:"id"`
	Campaign int64           `db:"campaign_n"`
	Seq      int64           `db:"seq"`
	Tie      campaign.Tie    `db:"tie"`
	Phone    campaign.Phone  `db:"phone"`
	Chat     campaign.ChatID `db:"chat"`
	Author   campaign.ChatID `db:"author"`
	Quoted   string          `db:"quoted"`
	Kind     string          `db:"kind"`
	Text     string          `db:"text"`
	Wish     campaign.Wish   `db:"wish"`
	Decided  campaign.Wish   `db:"decided"`
	At       int64           `db:"at"`
}

func (r replyRow) reply(id campaign.ID) campaign.Reply {
	return campaign.Reply{
		Inbound: campaign.Inbound{
			ID: r.ID, Phone: r.Phone, Chat: r.Chat, Author: r.Author, Quoted: r.Quoted, Kind: r.Kind, Text: r.Text, At: moment(r.At),
		},
		Campaign: id, Seq: r.Seq, Tie: r.Tie, Wish: r.Wish,
	}
}

// compare orders what may be told of one inbound message, the better last: a
// surer tie, then a later campaign. The rest only makes the choice the same for
// every order in which it was told.
func (r replyRow) compare(other replyRow) int {
	rank := map[campaign.Tie]int{campaign.TieNone: 0, campaign.TieRecent: 1, campaign.TieQuote: 2}
	return cmp.Or(
		cmp.Compare(rank[r.Tie], rank[other.Tie]), cmp.Compare(r.Campaign, other.Campaign), cmp.Compare(r.Seq, other.Seq),
		cmp.Compare(r.Wish, other.Wish), cmp.Compare(r.Text, other.Text), cmp.Compare(r.Kind, other.Kind), cmp.Compare(r.At, other.At),
		cmp.Compare(r.Quoted, other.Quoted), cmp.Compare(r.Author, other.Author), cmp.Compare(r.Chat, other.Chat), cmp.Compare(r.Phone, other.Phone))
}

// keepReply keeps an inbound message, or the better of what is told of it, and
// notes the rows whose answers that changes.
func (t *tx) keepReply(ctx context.Context, r replyRow, changed map[rowKey]bool) error {
	if r.Campaign > 0 {
		known, err := t.hasRow(ctx, rowKey{r.Campaign, r.Seq})
		if err != nil {
			return err
		}
		if !known {
			r.Campaign = 0
		}
	}
	if r.Campaign == 0 {
		r.Seq, r.Tie = 0, campaign.TieNone
	}
	was, found, err := t.replyWith(ctx, r.ID)
	if err != nil {
		return err
	}
	if found && r.compare(was) <= 0 {
		return nil
	}
	_, err = t.exec(ctx, `
		INSERT INTO replies (`+replyColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, '', ?)
		ON CONFLICT (id) DO UPDATE SET campaign_n = excluded.campaign_n, seq = excluded.seq, tie = excluded.tie,
		  phone = excluded.phone, chat = excluded.chat, author = excluded.author, quoted = excluded.quoted,
		  kind = excluded.kind, text = excluded.text, wish = excluded.wish, at = excluded.at`,
		r.ID, r.Campaign, r.Seq, string(r.Tie), string(r.Phone), string(r.Chat), string(r.Author), r.Quoted, r.Kind, r.Text,
		string(r.Wish), r.At)
	if err != nil {
		return err
	}
	before, now := rowKey{was.Campaign, was.Seq}, rowKey{r.Campaign, r.Seq}
	if before.Campaign > 0 {
		changed[before] = true
	}
	if now.Campaign == 0 {
		return nil
	}
	changed[now] = true
	if before == now {
		return nil
	}
	return t.reportReply(ctx, r)
}

// replyWith is the inbound message with an id, if there is one.
func (t *tx) replyWith(ctx context.Context, id string) (replyRow, bool, error) {
	var r replyRow
	err := t.GetContext(ctx, &r, t.Rebind("SELECT "+replyColumns+" FROM replies WHERE id = ?"), id)
	if errors.Is(err, sql.ErrNoRows) {
		return r, false, nil
	}
	return r, err == nil, err
}

// Replies walks the messages that answered a campaign in row order, of each row
// the oldest first. An error ends the walk.
func (s *Store) Replies(ctx context.Context, id campaign.ID) iter.Seq2[campaign.Reply, error] {
	return func(yield func(campaign.Reply, error) bool) {
		what := fmt.Sprintf("list the replies to campaign %s", id)
		number, err := s.number(ctx, id)
		if err != nil {
			yield(campaign.Reply{}, s.fail(what, err))
			return
		}
		for last := (replyRow{}); ; {
			var page []replyRow
			err := s.readers.SelectContext(ctx, &page, s.readers.Rebind(repliesQuery), number, last.Seq, last.At, last.ID, pageRows)
			if err != nil {
				yield(campaign.Reply{}, s.fail(what, err))
				return
			}
			for _, r := range page {
				if !yield(r.reply(id), nil) {
					return
				}
			}
			if len(page) < pageRows {
				return
			}
			last = page[len(page)-1]
		}
	}
}

// campaign_n > 0 shows the planner that the index has every row it asks for.
const repliesQuery = `SELECT ` + replyColumns + ` FROM replies
	WHERE campaign_n = ? AND campaign_n > 0 AND (seq, at, id) > (?, ?, ?) ORDER BY seq, at, id LIMIT ?`

// Reviews is the messages that may be meant as an opt-out and that nobody has
// decided about, the oldest first.
func (s *Store) Reviews(ctx context.Context) ([]campaign.Review, error) {
	var rows []replyRow
	if err := s.readers.SelectContext(ctx, &rows, reviewsQuery); err != nil {
		return nil, s.fail("list the messages to review", err)
	}
	list := make([]campaign.Review, len(rows))
	for i, r := range rows {
		id, err := s.campaignID(ctx, r.Campaign)
		if err != nil {
			return nil, s.fail("list the messages to review", err)
		}
		list[i] = campaign.Review{Reply: r.reply(id)}
	}
	return list, nil
}

const reviewsQuery = "SELECT " + replyColumns + " FROM replies WHERE wish = 'review' AND decided = '' ORDER BY at, id"

// DecideReview keeps what a person decided about a message of Reviews. With
// WishOut it was meant as an opt-out, which holds from the time it was written.
// With any other wish it was not meant so, and the chat's consent stays as it
// is. A message that was decided otherwise before is a conflict.
func (s *Store) DecideReview(ctx context.Context, id string, wish campaign.Wish) (campaign.Suppressed, error) {
	if wish != campaign.WishOut {
		wish = campaign.WishIn
	}
	found, err := write(ctx, s, func(ctx context.Context, t *tx) (purgeable, error) {
		r, known, err := t.replyWith(ctx, id)
		switch {
		case err != nil:
			return purgeable{}, err
		case !known || r.Wish != campaign.WishNear:
			return purgeable{}, &campaign.Error{
				Code: campaign.CodeNotFound, What: "no such message to review", Hint: "`herald optouts review` lists them",
			}
		case r.Decided != "" && r.Decided != wish:
			return purgeable{}, conflict("`herald optouts add` and `herald optouts remove` change it", "it was decided otherwise already")
		}
		if _, err := t.exec(ctx, "UPDATE replies SET decided = ? WHERE id = ?", string(wish), id); err != nil || wish != campaign.WishOut {
			return purgeable{}, err
		}
		chat := r.Chat
		if chat.IsGroup() { // it speaks for whoever wrote it
			chat = cmp.Or(r.Author, chat)
		}
		return t.consentAll(ctx, []consentRow{{
			Chat: chat, At: r.At, Wish: wish, Source: campaign.ConsentOperator, Reason: "review", Campaign: r.Campaign, Seq: r.Seq,
		}})
	})
	if err != nil {
		return campaign.Suppressed{}, s.fail("decide about a message", err)
	}
	suppressed, err := s.suppressed(ctx, found)
	return suppressed, s.fail("decide about a message", err)
}
