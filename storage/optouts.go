package storage

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"slices"

	"github.com/jmoiron/sqlx"

	"github.com/herald-campaigns/herald/campaign"
)

// OptOuts walks the chats that must not be written to, with the decision that
// holds, in the order of their addresses. Was that one made without a reason, the
// last reason is told that was given since the chat opted out. A chat that is
// known in several spellings comes under the one its decision came with. An error
// ends the walk.
func (s *Store) OptOuts(ctx context.Context) iter.Seq2[campaign.OptOut, error] {
	return func(yield func(campaign.OptOut, error) bool) {
		for after := campaign.ChatID(""); ; {
			var page []optOutRow
			if err := s.readers.SelectContext(ctx, &page, s.readers.Rebind(optOutsQuery), string(after), pageRows); err != nil {
				yield(campaign.OptOut{}, s.fail("list the opt-outs", err))
				return
			}
			for _, row := range page {
				c, err := s.optOutOf(ctx, row)
				if !yield(campaign.OptOut{Consent: c, Since: moment(row.Learned)}, s.fail("list the opt-outs", err)) || err != nil {
					return
				}
			}
			if len(page) < pageRows {
				return
			}
			after = page[len(page)-1].Chat
		}
	}
}

// optOutRow is an opt-out that holds.
type optOutRow struct {
	consentRow

	More bool `db:"more"` // more may have been decided about the chat
}

// optOutOf looks for a reason where the decision that holds has none.
func (s *Store) optOutOf(ctx context.Context, row optOutRow) (campaign.Consent, error) {
	c, err := s.consentOf(ctx, row.consentRow)
	if err != nil || c.Said() || !row.More {
		return c, err
	}
	all, err := s.ConsentOf(ctx, row.Chat)
	for _, earlier := range all {
		if earlier.Wish != campaign.WishOut {
			break // what was said before an opt-in is over
		}
		if earlier.Said() {
			c.Reason = earlier.Reason
			break
		}
	}
	return c, err
}

const optOutsQuery = `SELECT c.chat, c.at, c.wish, c.source, c.reason, c.campaign_n, c.seq, c.learned,
	  (SELECT COUNT(*) FROM consents o WHERE o.chat = s.chat) > 1 OR EXISTS (SELECT 1 FROM chat_aliases a WHERE a.alias = s.chat)
	  OR EXISTS (SELECT 1 FROM chat_aliases a WHERE a.chat = s.chat) AS more
	FROM suppressions s JOIN consents c ON c.chat = s.chat AND c.at = s.at AND c.wish = 'opt_out'
	WHERE s.chat > ? ORDER BY s.chat LIMIT ?`

func (s *Store) consentOf(ctx context.Context, r consentRow) (campaign.Consent, error) {
	id, err := s.campaignID(ctx, r.Campaign)
	return campaign.Consent{
		Chat: r.Chat, Wish: r.Wish, At: moment(r.At), Source: r.source(), Reason: r.Reason, Campaign: id, Seq: r.Seq,
	}, err
}

// ConsentOf is every decision about a chat, in all its spellings, the latest
// first: the first one holds.
func (s *Store) ConsentOf(ctx context.Context, chat campaign.ChatID) ([]campaign.Consent, error) {
	chats, err := spellings(ctx, s.readers, chat)
	if err != nil {
		return nil, s.fail("read a chat's consent", err)
	}
	var list []campaign.Consent
	for _, chat := range chats {
		var rows []consentRow
		err := s.readers.SelectContext(ctx, &rows, s.readers.Rebind("SELECT "+consentColumns+" FROM consents WHERE chat = ?"), string(chat))
		if err != nil {
			return nil, s.fail("read a chat's consent", err)
		}
		for _, row := range rows {
			c, err := s.consentOf(ctx, row)
			if err != nil {
				return nil, s.fail("read a chat's consent", err)
			}
			list = append(list, c)
		}
	}
	slices.SortFunc(list, func(a, b campaign.Consent) int {
		switch {
		case a.Newer(b):
			return -1
		case b.Newer(a):
			return 1
		}
		return cmp.Compare(a.Chat, b.Chat)
	})
	return list, nil
}

// Suppressed is those of the chats that must not be written to, in whatever
// spelling they opted out. An import asks before it adds rows; what opts out
// later is caught by the claim.
func (s *Store) Suppressed(ctx context.Context, chats []campaign.ChatID) (map[campaign.ChatID]bool, error) {
	found := map[campaign.ChatID]bool{}
	for chunk := range slices.Chunk(chats, pageRows) {
		query, args, err := sqlx.In("SELECT chat FROM suppressions WHERE chat IN (?)", chunk)
		if err != nil {
			return nil, s.fail("look up opt-outs", err)
		}
		var out []campaign.ChatID
		if err := s.readers.SelectContext(ctx, &out, s.readers.Rebind(query), args...); err != nil {
			return nil, s.fail("look up opt-outs", err)
		}
		for _, chat := range out {
			found[chat] = true
		}
	}
	return found, nil
}

// checkConsent compares the chats that must not be written to with the
// decisions about them.
func (s *Store) checkConsent(ctx context.Context) error {
	const what = "check the opt-outs"
	snapshot, err := s.readers.BeginTxx(ctx, nil)
	if err != nil {
		return s.fail(what, err)
	}
	defer func() { _ = snapshot.Rollback() }() // it only read
	var decided []struct {
		Chat campaign.ChatID `db:"chat"`
		Kept int64           `db:"kept"`
	}
	err = snapshot.SelectContext(ctx, &decided, `
		SELECT x.chat, COALESCE(p.at, 0) AS kept FROM
		  (SELECT chat FROM consents UNION SELECT chat FROM suppressions UNION SELECT alias FROM chat_aliases UNION SELECT chat FROM chat_aliases) x
		LEFT JOIN suppressions p ON p.chat = x.chat`)
	if err != nil {
		return s.fail(what, err)
	}
	for _, d := range decided {
		chats, err := spellings(ctx, snapshot, d.Chat)
		if err != nil {
			return s.fail(what, err)
		}
		at, out, err := decision(ctx, snapshot, chats)
		if err != nil {
			return s.fail(what, err)
		}
		if out != (d.Kept > 0) || out && at != d.Kept {
			return &campaign.Error{
				Code: campaign.CodeInternal,
				What: fmt.Sprintf("chat %s: its latest decision and the list of opt-outs differ", d.Chat),
			}
		}
	}
	return nil
}
