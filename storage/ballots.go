package storage

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"slices"

	"github.com/herald-campaigns/herald/campaign"
)

// ballot is what one voter has chosen, as the ledger keeps it.
type ballot struct {
	Voter   campaign.ChatID `json:"voter"`
	Options []string        `json:"options"`
	At      int64           `json:"at,omitempty"`
}

// encodeVotes is all votes on a poll message in one fixed order. Withdrawn ones
// are left out: that is what withdrawn means.
func encodeVotes(votes []campaign.Ballot) (string, error) {
	list := []ballot{}
	for _, v := range votes {
		if len(v.Options) > 0 {
			list = append(list, ballot{v.Voter, v.Options, millis(v.At)})
		}
	}
	slices.SortFunc(list, func(a, b ballot) int {
		return cmp.Or(cmp.Compare(a.Voter, b.Voter), cmp.Compare(b.At, a.At), slices.Compare(a.Options, b.Options))
	})
	list = slices.CompactFunc(list, func(a, b ballot) bool { return a.Voter == b.Voter })
	text, err := json.Marshal(list)
	return string(text), err
}

// keepBallots keeps the votes on a poll message as they were at one time. The
// whole of them, since it is the missing ones that tell of a withdrawal. Of two
// reports about the same time one is kept, always the same.
func (t *tx) keepBallots(ctx context.Context, row rowKey, asOf int64, votes string, changed map[rowKey]bool) error {
	known, err := t.hasRow(ctx, row)
	if err != nil || !known {
		return err
	}
	n, err := t.exec(ctx, `
		INSERT INTO ballots (campaign_n, seq, as_of, votes) VALUES (?, ?, ?, ?)
		ON CONFLICT (campaign_n, seq, as_of) DO UPDATE SET votes = excluded.votes WHERE excluded.votes > ballots.votes`,
		row.Campaign, row.Seq, asOf, votes)
	if n > 0 {
		changed[row] = true
	}
	return err
}

// BallotsOf walks the votes on the polls of a campaign as they are now, those of
// groups included, in row order. Rows whose votes nobody has seen are left out.
// An error ends the walk.
func (s *Store) BallotsOf(ctx context.Context, id campaign.ID) iter.Seq2[campaign.LocatedBallots, error] {
	return func(yield func(campaign.LocatedBallots, error) bool) {
		what := fmt.Sprintf("list the votes of campaign %s", id)
		number, err := s.number(ctx, id)
		if err != nil {
			yield(campaign.LocatedBallots{}, s.fail(what, err))
			return
		}
		for after := int64(0); ; {
			var page []struct {
				Seq       int64           `db:"seq"`
				AsOf      int64           `db:"as_of"`
				Votes     string          `db:"votes"`
				Chat      campaign.ChatID `db:"chat"`
				QueueID   string          `db:"queue_id"`
				UniqueID  string          `db:"unique_id"`
				MessageID string          `db:"message_id"`
			}
			err := s.readers.SelectContext(ctx, &page, s.readers.Rebind(ballotsQuery), number, after, pageRows)
			if err != nil {
				yield(campaign.LocatedBallots{}, s.fail(what, err))
				return
			}
			for _, r := range page {
				b := campaign.LocatedBallots{Campaign: id, Seq: r.Seq}
				b.AsOf = moment(r.AsOf)
				b.Ref = campaign.MessageRef{QueueID: r.QueueID, UniqueID: r.UniqueID, MessageID: r.MessageID, Chat: r.Chat}
				var votes []ballot
				err := json.Unmarshal([]byte(r.Votes), &votes)
				for _, v := range votes {
					b.Votes = append(b.Votes, campaign.Ballot{Voter: v.Voter, Options: v.Options, At: moment(v.At)})
				}
				if !yield(b, s.fail(what, err)) || err != nil {
					return
				}
			}
			if len(page) < pageRows {
				return
			}
			after = page[len(page)-1].Seq
		}
	}
}

const ballotsQuery = `SELECT b.seq, b.as_of, b.votes, r.chat, r.queue_id, r.unique_id, r.message_id
	FROM ballots b JOIN recipients r ON r.campaign_n = b.campaign_n AND r.seq = b.seq
	WHERE b.campaign_n = ? AND b.seq > ?
	  AND b.as_of = (SELECT MAX(x.as_of) FROM ballots x WHERE x.campaign_n = b.campaign_n AND x.seq = b.seq)
	ORDER BY b.seq LIMIT ?`

// PollWatches is the poll messages of a campaign that the provider took, in row
// order behind a row, whose votes are to be asked for. A campaign that sends no
// poll has none.
func (s *Store) PollWatches(ctx context.Context, id campaign.ID, after int64, limit int) ([]campaign.PollWatch, error) {
	what := fmt.Sprintf("list the polls of campaign %s", id)
	c, err := s.Campaign(ctx, id)
	if err != nil {
		return nil, err
	}
	options := optionsOf(c.Spec)
	if len(options) == 0 {
		return nil, nil
	}
	number, err := s.number(ctx, id)
	if err != nil {
		return nil, s.fail(what, err)
	}
	var rows []struct {
		locatedRow
		Variant string `db:"variant"`
	}
	err = s.readers.SelectContext(ctx, &rows, s.readers.Rebind(watchesQuery), number, after, limit)
	if err != nil {
		return nil, s.fail(what, err)
	}
	var list []campaign.PollWatch
	for _, r := range rows {
		at, err := s.located(ctx, r.locatedRow)
		if err != nil {
			return nil, s.fail(what, err)
		}
		list = append(list, campaign.PollWatch{Located: at, Options: options[r.Variant]})
	}
	return list, nil
}

const watchesQuery = "SELECT variant, " + locatedColumns + ` FROM recipients
	WHERE campaign_n = ? AND seq > ? AND queued_at > 0 AND status IN ('queued', 'processing', 'sent', 'delivered', 'read')
	ORDER BY seq LIMIT ?`

// optionsOf is the options of each variant's poll, of "" without variants.
func optionsOf(spec campaign.Spec) map[string][]string {
	options := map[string][]string{}
	if spec.Message.Poll != nil {
		options[""] = spec.Message.Poll.Options
	}
	for _, v := range spec.Variants {
		if v.Message.Poll != nil {
			options[v.Name] = v.Message.Poll.Options
		}
	}
	return options
}
