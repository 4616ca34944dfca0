package storage

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"slices"

	"github.com/herald-campaigns/herald/campaign"
)

// consentRow is one decision about a chat.
type consentRow struct {
	Chat     campaign.ChatID        `db:"chat"`
	At       int64                  `db:"at"`
	Wish     campaign.Wish          `db:"wish"`
	Source   campaign.ConsentSource `db:"source"`
	Reason   string                 `db:"reason"`
	Campaign int64                  `db:"campaign_n"`
	Seq      int64                  `db:"seq"`
	Learned  int64                  `db:"learned"`

	moved bool // it is known already, at another time: nobody is told again
}

// source is who decided, as others are told.
func (c consentRow) source() campaign.ConsentSource {
	if c.Source == sourceSeen {
		return campaign.ConsentVote
	}
	return c.Source
}

func (c consentRow) said() bool { return campaign.Consent{Reason: c.Reason}.Said() }

const consentColumns = "chat, at, wish, source, reason, campaign_n, seq, learned"

// compare orders what may be told of one decision, the better last: one whose
// time was told, then one that names the message it answers, and then one that
// somebody gave a reason for. The rest only makes the choice the same for every
// order.
func (c consentRow) compare(other consentRow) int {
	return cmp.Or(
		cmp.Compare(asInt(c.Source != sourceSeen), asInt(other.Source != sourceSeen)),
		cmp.Compare(c.Campaign, other.Campaign), cmp.Compare(c.Seq, other.Seq),
		cmp.Compare(asInt(c.said()), asInt(other.said())), cmp.Compare(c.Source, other.Source), cmp.Compare(c.Reason, other.Reason),
	)
}

// errWish is what a decision gets that decides nothing.
var errWish = &campaign.Error{Code: campaign.CodeInvalid, What: "a decision about consent names a chat, and is an opt-out or an opt-in"}

// purgeable is what an opt-out changed, before it is put into words.
type purgeable struct {
	skipped int64
	queued  []locatedRow
}

// Decide keeps decisions about consent. Of each chat, in all spellings that are
// known of it, the latest holds (campaign.Consent.Newer). A new opt-out skips the
// waiting rows of the chat in every campaign that is not over, in the same
// transaction, and the answer names those that are in the provider's queue. An
// opt-in brings no row back. A decision without a time is made now.
//
// A long list is written in several transactions.
func (s *Store) Decide(ctx context.Context, decisions []campaign.Consent) (campaign.Suppressed, error) {
	var all campaign.Suppressed
	for chunk := range slices.Chunk(decisions, pageRows) {
		list := make([]consentRow, len(chunk))
		for i, c := range chunk {
			var err error
			if list[i], err = s.consentRow(ctx, c); err != nil {
				return all, s.fail("keep decisions about consent", err)
			}
		}
		found, err := write(ctx, s, func(ctx context.Context, t *tx) (purgeable, error) { return t.consentAll(ctx, list) })
		if err != nil {
			return all, s.fail("keep decisions about consent", err)
		}
		suppressed, err := s.suppressed(ctx, found)
		if err != nil {
			return all, s.fail("keep decisions about consent", err)
		}
		all.Skipped += suppressed.Skipped
		all.Queued = append(all.Queued, suppressed.Queued...)
	}
	return all, nil
}

// consentRow is a decision as the ledger keeps it. One that names a campaign
// which the ledger does not have names none.
func (s *Store) consentRow(ctx context.Context, c campaign.Consent) (consentRow, error) {
	if c.Wish != campaign.WishOut && c.Wish != campaign.WishIn || c.Chat == "" {
		return consentRow{}, errWish
	}
	row := consentRow{Chat: c.Chat, Wish: c.Wish, Source: c.Source, Reason: c.Reason, Seq: c.Seq}
	if !c.At.IsZero() {
		row.At = max(1, millis(c.At)) // 0 is never, also in a list with odd dates
	}
	var err error
	row.Campaign, err = s.numberIfKnown(ctx, c.Campaign)
	return row, err
}

// numberIfKnown is number, 0 for a campaign that is not in the ledger.
func (s *Store) numberIfKnown(ctx context.Context, id campaign.ID) (int64, error) {
	if id == "" {
		return 0, nil
	}
	number, err := s.number(ctx, id)
	if errors.Is(err, campaign.ErrNotFound) {
		return 0, nil
	}
	return number, err
}

func (t *tx) consentAll(ctx context.Context, list []consentRow) (purgeable, error) {
	var found purgeable
	changed := map[rowKey]bool{}
	for _, c := range list {
		if err := t.consent(ctx, c, changed, &found); err != nil {
			return purgeable{}, err
		}
	}
	return found, t.answered(ctx, changed)
}

// consent keeps one decision, or the better of what is told of it.
//
// A new opt-out skips waiting rows even when a later opt-in is known already:
// had they come in their order, those rows would be skipped, and no opt-in
// brings a row back.
func (t *tx) consent(ctx context.Context, c consentRow, changed map[rowKey]bool, found *purgeable) error {
	if c.At == 0 {
		c.At = t.now()
	}
	if c.Campaign > 0 {
		known, err := t.hasRow(ctx, rowKey{c.Campaign, c.Seq})
		if err != nil {
			return err
		}
		if !known {
			c.Campaign = 0
		}
	}
	if c.Campaign == 0 {
		c.Seq = 0
	}
	var was consentRow
	err := t.GetContext(ctx, &was, t.Rebind("SELECT "+consentColumns+" FROM consents WHERE chat = ? AND at = ? AND wish = ?"),
		string(c.Chat), c.At, string(c.Wish))
	fresh := errors.Is(err, sql.ErrNoRows)
	if err != nil && !fresh {
		return err
	}
	if fresh || c.compare(was) > 0 {
		if err := t.keepConsent(ctx, c, was, changed); err != nil {
			return err
		}
	}
	chats, err := t.spellings(ctx, c.Chat)
	if err != nil {
		return err
	}
	out, err := t.suppress(ctx, chats, fresh)
	if err != nil || c.Wish != campaign.WishOut || !fresh && !out {
		return err
	}
	return t.silence(ctx, chats, out, found)
}

// keepConsent writes a decision and notes the rows whose answers it changes.
func (t *tx) keepConsent(ctx context.Context, c, was consentRow, changed map[rowKey]bool) error {
	_, err := t.exec(ctx, `
		INSERT INTO consents (`+consentColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (chat, at, wish) DO UPDATE SET source = excluded.source, reason = excluded.reason,
		  campaign_n = excluded.campaign_n, seq = excluded.seq`,
		string(c.Chat), c.At, string(c.Wish), string(c.Source), c.Reason, c.Campaign, c.Seq, t.now())
	if err != nil || c.Wish != campaign.WishOut {
		return err
	}
	before, now := rowKey{was.Campaign, was.Seq}, rowKey{c.Campaign, c.Seq}
	if before.Campaign > 0 {
		changed[before] = true
	}
	if now.Campaign == 0 || before == now {
		return nil
	}
	changed[now] = true
	if c.moved {
		return nil
	}
	return t.reportOptOut(ctx, c)
}

// spellings is every spelling that is known of a chat, itself first.
func (t *tx) spellings(ctx context.Context, chat campaign.ChatID) ([]campaign.ChatID, error) {
	return spellings(ctx, t, chat)
}

func spellings(ctx context.Context, q selecter, chat campaign.ChatID) ([]campaign.ChatID, error) {
	all := []campaign.ChatID{chat}
	for i := 0; i < len(all); i++ {
		var others []campaign.ChatID
		err := q.SelectContext(ctx, &others, q.Rebind(spellingsQuery), string(all[i]), string(all[i]))
		if err != nil {
			return nil, err
		}
		for _, other := range others {
			if !slices.Contains(all, other) {
				all = append(all, other)
			}
		}
	}
	return all, nil
}

const spellingsQuery = "SELECT chat FROM chat_aliases WHERE alias = ? UNION SELECT alias FROM chat_aliases WHERE chat = ? ORDER BY 1"

// suppress derives from the decisions whether a chat may be written to, and
// keeps that for all its spellings when anything has changed.
func (t *tx) suppress(ctx context.Context, chats []campaign.ChatID, changed bool) (bool, error) {
	at, out, err := decision(ctx, t, chats)
	if err != nil {
		return false, err
	}
	if !changed {
		return out, nil
	}
	for _, chat := range chats {
		query, args := "DELETE FROM suppressions WHERE chat = ?", []any{string(chat)}
		if out {
			query, args = suppressQuery, []any{string(chat), at, t.now()}
		}
		if _, err := t.exec(ctx, query, args...); err != nil {
			return false, err
		}
	}
	return out, nil
}

// An opt-out that held before was learned then.
const suppressQuery = `INSERT INTO suppressions (chat, at, learned) VALUES (?, ?, ?) ON CONFLICT (chat) DO UPDATE SET
	learned = CASE WHEN suppressions.at = excluded.at THEN suppressions.learned ELSE excluded.learned END, at = excluded.at`

// decision is the latest decision about a chat in any of its spellings: its time,
// and whether it is an opt-out.
func decision(ctx context.Context, q selecter, chats []campaign.ChatID) (at int64, out bool, err error) {
	for _, chat := range chats {
		var last []consentRow
		if err := q.SelectContext(ctx, &last, q.Rebind(lastConsentQuery), string(chat)); err != nil {
			return 0, false, err
		}
		for _, c := range last {
			switch {
			case c.At > at:
				at, out = c.At, c.Wish == campaign.WishOut
			case c.At == at:
				out = out || c.Wish == campaign.WishOut
			}
		}
	}
	return at, out, nil
}

// Of two at the same time the opt-out comes first: 'opt_out' > 'opt_in'.
const lastConsentQuery = "SELECT " + consentColumns + " FROM consents WHERE chat = ? ORDER BY at DESC, wish DESC LIMIT 1"

// silence skips what waits for any of the chats and, if they must not be written
// to now, collects what is in the provider's queue.
func (t *tx) silence(ctx context.Context, chats []campaign.ChatID, out bool, found *purgeable) error {
	for _, chat := range chats {
		var rows []locatedRow
		if err := t.SelectContext(ctx, &rows, t.Rebind(waitingQuery), string(chat), string(chat)); err != nil {
			return err
		}
		for _, row := range rows {
			if row.Status == campaign.StatusQueued {
				if out {
					found.queued = append(found.queued, row)
				}
				continue
			}
			n, err := t.skip(ctx, row.Campaign, campaign.Skip{Seq: row.Seq, Reason: campaign.SkipOptedOut})
			if err != nil {
				return err
			}
			found.skipped += n
		}
	}
	return nil
}

// One look-up per campaign in each of the two indexes on chat, as boundQuery.
// Only a row that was skipped once and sent nevertheless is in the second.
const waitingQuery = `SELECT ` + locatedOfR + ` FROM campaigns c CROSS JOIN recipients r
	WHERE r.campaign_n = c.n AND r.chat = ? AND r.addressed = 1
	  AND (r.status = 'queued' OR r.status IN ('pending', 'staged') AND c.state NOT IN ('completed', 'canceled'))
	UNION ALL SELECT ` + locatedOfR + ` FROM campaigns c CROSS JOIN recipients r
	WHERE r.campaign_n = c.n AND r.status = 'queued' AND r.seq IN
	  (SELECT seq FROM recipients x WHERE x.campaign_n = c.n AND x.chat = ? AND x.addressed = 0 AND x.chat <> '')`

// alias keeps that two addresses are the same chat. What was decided about one
// holds for the other from now on, and an opt-out of one skips what waits for the
// other.
func (t *tx) alias(ctx context.Context, a campaign.ChatAlias, found *purgeable) error {
	if a.Alias == "" || a.Chat == "" || a.Alias == a.Chat || a.Alias.IsGroup() || a.Chat.IsGroup() {
		return nil
	}
	one, err := t.spellings(ctx, a.Alias)
	if err != nil {
		return err
	}
	other, err := t.spellings(ctx, a.Chat)
	if err != nil {
		return err
	}
	n, err := t.exec(ctx, "INSERT INTO chat_aliases (alias, chat) VALUES (?, ?) ON CONFLICT (alias, chat) DO NOTHING",
		string(a.Alias), string(a.Chat))
	if err != nil || n == 0 || slices.Contains(one, a.Chat) {
		return err
	}
	out, err := t.suppress(ctx, slices.Concat(one, other), true)
	if err != nil {
		return err
	}
	for _, side := range []struct{ decided, waiting []campaign.ChatID }{{one, other}, {other, one}} {
		opted, err := t.everOptedOut(ctx, side.decided)
		if err != nil {
			return err
		}
		if !opted {
			continue
		}
		if err := t.silence(ctx, side.waiting, out, found); err != nil {
			return err
		}
	}
	return nil
}

func (t *tx) everOptedOut(ctx context.Context, chats []campaign.ChatID) (bool, error) {
	for _, chat := range chats {
		var n int
		err := t.row(ctx, "SELECT COUNT(*) FROM consents WHERE chat = ? AND wish = 'opt_out'", string(chat)).Scan(&n)
		if err != nil || n > 0 {
			return n > 0, err
		}
	}
	return false, nil
}

// suppressed puts into words what an opt-out changed.
func (s *Store) suppressed(ctx context.Context, found purgeable) (campaign.Suppressed, error) {
	result := campaign.Suppressed{Skipped: found.skipped}
	seen := map[rowKey]bool{}
	for _, row := range found.queued {
		if seen[row.key()] {
			continue
		}
		seen[row.key()] = true
		at, err := s.located(ctx, row)
		if err != nil {
			return result, err
		}
		result.Queued = append(result.Queued, at)
	}
	return result, nil
}
