package storage

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"

	"github.com/herald-campaigns/herald/campaign"
)

// ballot is what one voter has chosen, as the ledger keeps it.
type ballot struct {
	Voter   campaign.ChatID `json:"voter"`
	Options []string        `json:"options"`
	At      int64           `json:"at,omitempty"`
	// Stop is the option of a vote without a time by which the voter opts out.
	// Without options it is what another report about the same time said.
	Stop string `json:"stop,omitempty"`
}

// ballotsOf is all votes on a poll message in one fixed order. Withdrawn ones
// are left out: that is what withdrawn means.
func ballotsOf(votes []campaign.Ballot) []ballot {
	list, stops := []ballot{}, map[campaign.ChatID]string{}
	for _, v := range votes {
		if len(v.Options) == 0 {
			continue
		}
		list = append(list, ballot{Voter: v.Voter, Options: v.Options, At: millis(v.At)})
		if v.At.IsZero() && v.Stop != "" {
			stops[v.Voter] = max(stops[v.Voter], v.Stop)
		}
	}
	slices.SortFunc(list, func(a, b ballot) int {
		return cmp.Or(cmp.Compare(a.Voter, b.Voter), cmp.Compare(b.At, a.At), slices.Compare(a.Options, b.Options))
	})
	list = slices.CompactFunc(list, func(a, b ballot) bool { return a.Voter == b.Voter })
	return withStops(list, stops)
}

// withStops adds to votes who opts out by them.
func withStops(list []ballot, stops map[campaign.ChatID]string) []ballot {
	for _, voter := range slices.Sorted(maps.Keys(stops)) {
		i, found := slices.BinarySearchFunc(list, voter, func(b ballot, voter campaign.ChatID) int { return cmp.Compare(b.Voter, voter) })
		if !found {
			list = slices.Insert(list, i, ballot{Voter: voter})
		}
		list[i].Stop = stops[voter]
	}
	return list
}

// withoutStops is the votes alone, and apart from them who opts out.
func withoutStops(list []ballot) ([]ballot, map[campaign.ChatID]string) {
	plain, stops := []ballot{}, map[campaign.ChatID]string{}
	for _, b := range list {
		if b.Stop != "" {
			stops[b.Voter] = b.Stop
		}
		if b.Stop = ""; len(b.Options) > 0 {
			plain = append(plain, b)
		}
	}
	return plain, stops
}

// mergeVotes is what two reports about the same time come to. Of the votes one
// is kept, always the same; an opt-out counts whoever told of it.
func mergeVotes(one, other []ballot) ([]ballot, error) {
	votes, stops := withoutStops(one)
	otherVotes, otherStops := withoutStops(other)
	text, err := json.Marshal(votes)
	if err != nil {
		return nil, err
	}
	otherText, err := json.Marshal(otherVotes)
	if err != nil {
		return nil, err
	}
	if string(otherText) > string(text) {
		votes = otherVotes
	}
	for voter, stop := range otherStops {
		stops[voter] = max(stops[voter], stop)
	}
	return withStops(votes, stops), nil
}

// keepBallots keeps the votes on a poll message as they were at one time, and
// the opt-outs that follow from them. The whole of the votes, since it is the
// missing ones that tell of a withdrawal.
func (t *tx) keepBallots(ctx context.Context, row rowKey, asOf int64, votes []ballot, changed map[rowKey]bool, found *purgeable) error {
	known, err := t.hasRow(ctx, row)
	if err != nil || !known {
		return err
	}
	var was string
	err = t.row(ctx, "SELECT votes FROM ballots WHERE campaign_n = ? AND seq = ? AND as_of = ?", row.Campaign, row.Seq, asOf).Scan(&was)
	switch {
	case errors.Is(err, sql.ErrNoRows):
	case err != nil:
		return err
	default:
		var before []ballot
		if err := json.Unmarshal([]byte(was), &before); err != nil {
			return fmt.Errorf("decode the votes on row %d: %w", row.Seq, err)
		}
		if votes, err = mergeVotes(before, votes); err != nil {
			return err
		}
	}
	text, err := json.Marshal(votes)
	if err != nil {
		return err
	}
	if string(text) == was && !(view{Votes: votes}).stops() {
		return nil
	}
	if string(text) != was {
		_, err := t.exec(ctx, `
			INSERT INTO ballots (campaign_n, seq, as_of, votes) VALUES (?, ?, ?, ?)
			ON CONFLICT (campaign_n, seq, as_of) DO UPDATE SET votes = excluded.votes`,
			row.Campaign, row.Seq, asOf, string(text))
		if err != nil {
			return err
		}
		changed[row] = true
	}
	return t.keepStops(ctx, row, changed, found)
}

// view is the votes on a poll message as they were at one time.
type view struct {
	AsOf  int64
	Votes []ballot
}

// viewsOf is the votes on a row as they were seen, the oldest first.
func viewsOf(ctx context.Context, q selecter, row rowKey) ([]view, error) {
	var kept []struct {
		AsOf  int64  `db:"as_of"`
		Votes string `db:"votes"`
	}
	err := q.SelectContext(ctx, &kept, q.Rebind(
		"SELECT as_of, votes FROM ballots WHERE campaign_n = ? AND seq = ? ORDER BY as_of"), row.Campaign, row.Seq)
	if err != nil {
		return nil, err
	}
	views := make([]view, len(kept))
	for i, k := range kept {
		views[i].AsOf = k.AsOf
		if err := json.Unmarshal([]byte(k.Votes), &views[i].Votes); err != nil {
			return nil, fmt.Errorf("decode the votes on row %d: %w", row.Seq, err)
		}
	}
	return views, nil
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
				votes, _ = withoutStops(votes)
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
