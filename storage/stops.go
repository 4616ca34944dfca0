package storage

import (
	"cmp"
	"context"
	"maps"
	"slices"

	"github.com/herald-campaigns/herald/campaign"
)

// sourceSeen is the source, in the ledger only, of opt-outs by votes without a
// time. They alone are derived from other tables, so they alone may go again.
const sourceSeen campaign.ConsentSource = "vote_seen"

// stop is an opt-out by a vote of which nobody told the time. It counts from when
// the vote was first seen, and once for as long as it stands: the views that
// follow each other and show the same choice.
type stop struct {
	chat        campaign.ChatID
	at          int64    // since when the vote stands, as far as is known
	first, last int64    // the views that show it
	choice      []string // sorted: reports differ in the order; none when only option is known
	option      string   // the one that asks for no more messages; "": none does
}

// shows says whether a ballot is this same vote. One without options, which is all
// that is left of a report that another one of that time contradicts, is that of a
// vote by which its voter opts out anyway.
func (s stop) shows(b ballot) bool {
	switch {
	case len(b.Options) == 0:
		return s.option != "" || slices.Contains(s.choice, b.Stop)
	case len(s.choice) == 0:
		return b.Stop != "" || slices.Contains(b.Options, s.option)
	default:
		return slices.Equal(s.choice, slices.Sorted(slices.Values(b.Options)))
	}
}

// consent is the decision that the vote is.
func (s stop) consent(row rowKey) consentRow {
	return consentRow{
		Chat: s.chat, At: s.at, Wish: campaign.WishOut, Source: sourceSeen, Reason: s.option, Campaign: row.Campaign, Seq: row.Seq,
	}
}

// keepStops brings the opt-outs by votes without a time in line with the views of
// a row's poll. They depend on the views alone and not on the order these came
// in: a view from before moves an opt-out to its time, and one of another choice
// between two parts it in two. Decisions whose time was told are left alone, and
// rows that were skipped meanwhile stay skipped.
//
// One decision is kept of a chat for one time. If that is of a vote in one group,
// and it moves, the one of a vote in another group at the very same time is
// missing until the votes there are folded in again. The person is opted out by
// the moved one all the same.
func (t *tx) keepStops(ctx context.Context, row rowKey, changed map[rowKey]bool, found *purgeable) error {
	wanted, err := stopsOf(ctx, t, row)
	if err != nil || len(wanted) == 0 {
		return err // what was an opt-out once is one in some view for ever
	}
	var kept []consentRow
	if err := t.SelectContext(ctx, &kept, t.Rebind(keptStopsQuery), row.Campaign, row.Seq, string(sourceSeen)); err != nil {
		return err
	}
	for _, k := range kept {
		if slices.ContainsFunc(wanted, func(s stop) bool { return s.chat == k.Chat && s.at == k.At }) {
			continue
		}
		if err := t.forgetStop(ctx, k, changed, found); err != nil {
			return err
		}
	}
	for _, s := range wanted {
		c := s.consent(row)
		c.moved = slices.ContainsFunc(kept, func(k consentRow) bool {
			return k.Chat == s.chat && k.At >= min(s.at, s.first) && k.At <= s.last
		})
		if err := t.consent(ctx, c, changed, found); err != nil {
			return err
		}
	}
	return nil
}

const keptStopsQuery = "SELECT " + consentColumns + ` FROM consents
	WHERE campaign_n = ? AND seq = ? AND campaign_n > 0 AND source = ?`

// forgetStop takes back an opt-out that no view bears out. The same chat's votes
// on other polls may have been seen at the same time: they count now.
func (t *tx) forgetStop(ctx context.Context, c consentRow, changed map[rowKey]bool, found *purgeable) error {
	_, err := t.exec(ctx, "DELETE FROM consents WHERE chat = ? AND at = ? AND wish = ? AND source = ?",
		string(c.Chat), c.At, string(c.Wish), string(sourceSeen))
	if err != nil {
		return err
	}
	row := rowKey{c.Campaign, c.Seq}
	changed[row] = true
	var to campaign.ChatID // a group's row, or the voter's
	err = t.row(ctx, "SELECT chat FROM recipients WHERE campaign_n = ? AND seq = ?", row.Campaign, row.Seq).Scan(&to)
	if err != nil {
		return err
	}
	for _, chat := range slices.Compact([]campaign.ChatID{c.Chat, to}) {
		var others []rowKey
		if err := t.SelectContext(ctx, &others, t.Rebind(rowsOfChatQuery), string(chat), string(chat)); err != nil {
			return err
		}
		for _, other := range others {
			if other == row {
				continue
			}
			if err := t.stopAgain(ctx, other, c, changed, found); err != nil {
				return err
			}
		}
	}
	chats, err := t.spellings(ctx, c.Chat)
	if err != nil {
		return err
	}
	_, err = t.suppress(ctx, chats, true)
	return err
}

// stopAgain keeps a row's opt-out of the chat and time of one that is forgotten.
func (t *tx) stopAgain(ctx context.Context, row rowKey, gone consentRow, changed map[rowKey]bool, found *purgeable) error {
	stops, err := stopsOf(ctx, t, row)
	if err != nil {
		return err
	}
	for _, s := range stops {
		if s.chat != gone.Chat || s.at != gone.At {
			continue
		}
		c := s.consent(row)
		c.moved = true
		if err := t.consent(ctx, c, changed, found); err != nil {
			return err
		}
	}
	return nil
}

// One look-up per campaign in each of the two indexes on chat, as boundQuery.
const rowsOfChatQuery = `SELECT r.campaign_n, r.seq FROM campaigns c CROSS JOIN recipients r
	WHERE r.campaign_n = c.n AND r.chat = ? AND r.addressed = 1
	UNION ALL SELECT x.campaign_n, x.seq FROM campaigns c CROSS JOIN recipients x
	WHERE x.campaign_n = c.n AND x.chat = ? AND x.addressed = 0 AND x.chat <> ''`

// stopsOf is the opt-outs that the views of a row's poll come to.
func stopsOf(ctx context.Context, q selecter, row rowKey) ([]stop, error) {
	views, err := viewsOf(ctx, q, row)
	if err != nil || !slices.ContainsFunc(views, view.stops) {
		return nil, err
	}
	var to struct {
		Chat    campaign.ChatID `db:"chat"`
		SenderN int64           `db:"sender_n"`
	}
	err = q.GetContext(ctx, &to, q.Rebind("SELECT chat, sender_n FROM recipients WHERE campaign_n = ? AND seq = ?"), row.Campaign, row.Seq)
	if err != nil {
		return nil, err
	}
	ours, err := ownChat(ctx, q, to.SenderN)
	if err != nil {
		return nil, err
	}
	return deriveStops(views, to.Chat, ours), nil
}

// stops says whether anybody opts out by a vote in the view.
func (v view) stops() bool {
	return slices.ContainsFunc(v.Votes, func(b ballot) bool { return b.Stop != "" })
}

// deriveStops goes through the views of a poll, the oldest first, and follows
// each voter's choice for as long as it stands. Of a choice that any of them
// shows to be an opt-out all of them do.
func deriveStops(views []view, chat, ours campaign.ChatID) []stop {
	var list []stop
	standing := map[campaign.ChatID]stop{}
	for _, v := range views {
		said := v.byPerson(chat, ours)
		now := map[campaign.ChatID]stop{}
		for voter, b := range said {
			s, stands := standing[voter]
			if stands && s.shows(b) {
				delete(standing, voter)
			} else {
				s = stop{chat: voter, at: max(1, v.AsOf), first: v.AsOf}
			}
			if len(s.choice) == 0 {
				s.choice = slices.Sorted(slices.Values(b.Options))
			}
			if b.At > 0 {
				s.at = min(s.at, b.At)
			}
			s.last, s.option = v.AsOf, max(s.option, b.Stop)
			now[voter] = s
		}
		list = slices.AppendSeq(list, maps.Values(standing)) // those that ended
		standing = now
	}
	list = slices.AppendSeq(list, maps.Values(standing))
	list = slices.DeleteFunc(list, func(s stop) bool { return s.option == "" })
	slices.SortFunc(list, func(a, b stop) int { return cmp.Or(cmp.Compare(a.first, b.first), cmp.Compare(a.chat, b.chat)) })
	return list
}

// byPerson is the vote of each person in the view. In a person's chat everybody
// but our own phone is that person, however it is spelled.
func (v view) byPerson(chat, ours campaign.ChatID) map[campaign.ChatID]ballot {
	said := map[campaign.ChatID]ballot{}
	for _, b := range v.Votes {
		if chat.IsGroup() {
			said[b.Voter] = b
			continue
		}
		if b.Voter == ours {
			continue
		}
		if was, twice := said[chat]; twice {
			b.Options = slices.Compact(slices.Sorted(slices.Values(slices.Concat(was.Options, b.Options))))
			b.At, b.Stop = min(was.At, b.At), max(was.Stop, b.Stop)
		}
		said[chat] = b
	}
	return said
}
