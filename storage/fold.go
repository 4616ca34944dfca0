package storage

import (
	"context"
	"errors"

	"github.com/herald-campaigns/herald/campaign"
)

// folding is a campaign.Folding with its campaigns looked up.
type folding struct {
	delivery int64
	park     bool

	observed    int64 // the observation's campaign
	observation *campaign.Observation
	reply       *replyRow
	consent     *consentRow
	voted       rowKey
	asOf        int64
	votes       []ballot
	alias       *campaign.ChatAlias
}

// Fold writes what deliveries and looks through the provider's lists came to,
// all in one transaction, together with what becomes of the deliveries. Every
// order and repetition of the same foldings ends in the same ledger: statuses
// are merged as Observe does, replies, decisions and votes are kept under keys of
// their own, and what rows and totals say of them is derived anew, as is since
// when somebody is opted out by a vote without a time (keepStops).
//
// What names a campaign or row that the ledger does not have changes nothing of
// it, and a reply without an id or a consent that decides nothing is passed over;
// the delivery is done all the same, unless Park is set: one that is odd must not
// keep the others from being folded in. The answer is what opt-outs changed: one
// that is known already names its queued rows again.
func (s *Store) Fold(ctx context.Context, foldings []campaign.Folding) (campaign.Suppressed, error) {
	if len(foldings) == 0 {
		return campaign.Suppressed{}, nil
	}
	list := make([]folding, len(foldings))
	for i, f := range foldings {
		var err error
		if list[i], err = s.folding(ctx, f); err != nil {
			return campaign.Suppressed{}, s.fail("fold in news", err)
		}
	}
	found, err := write(ctx, s, func(ctx context.Context, t *tx) (purgeable, error) {
		var found purgeable
		changed := map[rowKey]bool{}
		for _, f := range list {
			if err := t.fold(ctx, f, s.config.FirstPoll.Milliseconds(), changed, &found); err != nil {
				return purgeable{}, err
			}
		}
		return found, t.answered(ctx, changed)
	})
	if err != nil {
		return campaign.Suppressed{}, s.fail("fold in news", err)
	}
	suppressed, err := s.suppressed(ctx, found)
	return suppressed, s.fail("fold in news", err)
}

// folding does outside the transaction what can be done there.
func (s *Store) folding(ctx context.Context, in campaign.Folding) (folding, error) {
	f := folding{delivery: in.Delivery, park: in.Park, alias: in.Alias}
	var err error
	if o := in.Observation; o != nil {
		f.observation = o
		if f.observed, err = s.numberIfKnown(ctx, o.Campaign); err != nil {
			return f, err
		}
	}
	if r := in.Reply; r != nil && r.ID != "" {
		f.reply = &replyRow{
			ID: r.ID, Seq: r.Seq, Tie: r.Tie, Phone: r.Phone, Chat: r.Chat, Author: r.Author, Quoted: r.Quoted,
			Kind: r.Kind, Text: r.Text, Wish: r.Wish, At: millis(r.At),
		}
		if f.reply.Campaign, err = s.numberIfKnown(ctx, r.Campaign); err != nil {
			return f, err
		}
	}
	if in.Consent != nil {
		row, err := s.consentRow(ctx, *in.Consent)
		if err != nil && !errors.Is(err, errWish) {
			return f, err
		}
		if err == nil {
			f.consent = &row
		}
	}
	if b := in.Ballots; b != nil {
		f.voted.Seq, f.asOf = b.Seq, millis(b.AsOf)
		if f.voted.Campaign, err = s.numberIfKnown(ctx, b.Campaign); err != nil {
			return f, err
		}
		f.votes = ballotsOf(b.Votes)
	}
	return f, err
}

func (t *tx) fold(ctx context.Context, f folding, firstPoll int64, changed map[rowKey]bool, found *purgeable) error {
	if f.alias != nil {
		if err := t.alias(ctx, *f.alias, found); err != nil {
			return err
		}
	}
	if f.observed > 0 {
		if err := t.observe(ctx, f.observed, *f.observation, firstPoll); err != nil {
			return err
		}
	}
	if f.reply != nil {
		if err := t.keepReply(ctx, *f.reply, changed); err != nil {
			return err
		}
	}
	if f.consent != nil {
		if err := t.consent(ctx, *f.consent, changed, found); err != nil {
			return err
		}
	}
	if f.voted.Campaign > 0 {
		if err := t.keepBallots(ctx, f.voted, f.asOf, f.votes, changed, found); err != nil {
			return err
		}
	}
	return t.finish(ctx, f.delivery, f.park)
}
