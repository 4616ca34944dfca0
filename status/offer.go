package status

import (
	"context"
	"fmt"
	"slices"

	"github.com/herald-campaigns/herald/campaign"
)

// Offer fits our own messages, as webhooks or a sweep show them, to the sender's
// rows that nobody knows the end of, and to those that are to be sent again for
// that reason: by the same rule as the lists (Match), and whatever fits is
// adopted at once. What fits nothing decides nothing. While a round is under way
// nothing is fitted, since the lists are the better witness; offer again.
func (r *Reconciler) Offer(ctx context.Context, sender campaign.SenderID, echoes []campaign.Candidate) (adopted int, err error) {
	if len(echoes) == 0 || !r.mu.TryLock() {
		return 0, nil
	}
	defer r.mu.Unlock()
	if err := r.follow(ctx); err != nil {
		return 0, err
	}
	trails, err := r.wanting(ctx, sender)
	if err != nil {
		return 0, err
	}
	echoes = nearby(trails, echoes)
	if len(echoes) == 0 {
		return 0, nil
	}
	r.recall(ctx, trails)
	verdicts, err := r.match(ctx, &glance{sender: trails[0].row.Sender, jobs: echoes}, trails)
	if err != nil {
		return 0, err
	}
	for i, t := range trails {
		if verdicts[i].Finding == Found && !t.adopted {
			adopted++
		}
	}
	if err := r.adoptFound(ctx, trails, verdicts); err != nil {
		return 0, err
	}
	r.count()
	return adopted, nil
}

// wanting is the rows of a sender that a message is looked for, in their order.
func (r *Reconciler) wanting(ctx context.Context, sender campaign.SenderID) ([]*trail, error) {
	var trails []*trail
	for _, t := range r.trails {
		if t.row.Sender.ID == sender {
			trails = append(trails, t)
		}
	}
	for _, id := range r.attended() {
		rows, err := r.ledger.ReturnedRows(ctx, id)
		if err != nil {
			return nil, fmt.Errorf("list returned rows: %w", err)
		}
		for _, row := range rows {
			if row.Sender.ID == sender {
				t := newTrail(row, r.cfg.Clock())
				t.returned = true
				trails = append(trails, t)
			}
		}
	}
	slices.SortFunc(trails, compareTrails)
	return trails, nil
}

// nearby is the echoes whose chat is, or may be, that of one of the rows: only
// for those are messages rendered again.
func nearby(trails []*trail, echoes []campaign.Candidate) []campaign.Candidate {
	var list []campaign.Candidate
	for _, echo := range echoes {
		at := address(echo.Chat)
		if slices.ContainsFunc(trails, func(t *trail) bool { return address(t.row.Chat) == at }) {
			list = append(list, echo)
		}
	}
	return list
}
