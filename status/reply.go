package status

import (
	"context"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/herald-campaigns/herald/campaign"
)

// reply makes a folding of what somebody wrote to us. It is tied to the message
// that it quotes, or else to the latest campaign message to that chat in the
// campaign.ReplyWindow before it, or to none.
//
// A quoted message that no row has may be that of a row whose ids are still to
// be learned: the reply counts at once, and its delivery waits to be tied
// better.
//
// What persons write that is tied to nothing of ours and asks for nothing is
// private, and not kept. A word for stopping from a chat that tells no number,
// such as "@lid", tied to nothing, holds for that chat; whose number it should
// hold for, a person has to say, so it goes to review.
//
// What a group's members say to each other is not kept, unless it is tied to a
// message of ours. There, a member's word for stopping opts out the member's own
// chat, for nobody can speak for the others; the group itself goes to review.
// A member's word for starting changes nothing.
func (d *Desk) reply(ctx context.Context, r *reading) error {
	m := *r.news.Inbound
	if m.At.IsZero() {
		m.At = r.received
	}
	quoted := r.at
	reply := campaign.Reply{Inbound: m, Tie: campaign.TieNone, Wish: d.cfg.Words.Of(m.Text)}
	r.park = m.Quoted != "" && quoted.Campaign == ""
	if quoted.Campaign != "" {
		reply.Campaign, reply.Seq, reply.Tie = quoted.Campaign, quoted.Seq, campaign.TieQuote
	} else {
		latest, found, err := d.ledger.LatestTo(ctx, r.sender.Phone, m.Chat, m.At)
		if err != nil {
			return fmt.Errorf("tie a reply: %w", err)
		}
		if found {
			reply.Campaign, reply.Seq, reply.Tie = latest.Campaign, latest.Seq, campaign.TieRecent
		}
	}
	group := m.Chat.IsGroup()
	if reply.Tie == campaign.TieNone && (group || reply.Wish == campaign.WishNone) {
		r.fate = fateNothing
		if r.park {
			r.fate = fateUnknown
		}
		return nil
	}
	r.fate = fateFolded
	folding := campaign.Folding{Delivery: r.delivery, Park: r.park, Reply: &reply}
	if quoted.Campaign != "" {
		folding.Alias = r.alias(m.Chat)
	}
	if decided := reply.Wish == campaign.WishOut || reply.Wish == campaign.WishIn; decided {
		consent := &campaign.Consent{
			Chat: m.Chat, Wish: reply.Wish, At: m.At, Source: campaign.ConsentReply, Reason: reason(m.Text), Campaign: reply.Campaign, Seq: reply.Seq,
		}
		switch {
		case !group:
			folding.Consent = consent
			if reply.Wish == campaign.WishOut && reply.Tie == campaign.TieNone && nameless(address(m.Chat)) {
				reply.Wish = campaign.WishNear
			}
		case reply.Wish == campaign.WishOut && m.Author != "" && !m.Author.IsGroup():
			consent.Chat = m.Author
			folding.Consent = consent
			reply.Wish = campaign.WishNear
		case reply.Wish == campaign.WishOut:
			reply.Wish = campaign.WishNear
		default:
			reply.Wish = campaign.WishNone
		}
	}
	r.foldings = append(r.foldings, folding)
	return nil
}

// maxReason is the most bytes of campaign.Consent.Reason.
const maxReason = 200

// reason is the words of a decision, on one line.
func reason(text string) string {
	text = strings.Join(strings.Fields(strings.ToValidUTF8(text, "")), " ")
	n := min(len(text), maxReason)
	for n < len(text) && n > 0 && !utf8.RuneStart(text[n]) {
		n--
	}
	return text[:n]
}
