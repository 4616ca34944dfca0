package status

import (
	"context"
	"slices"
	"time"

	"github.com/herald-campaigns/herald/campaign"
)

// The doubts that the lists themselves leave.
const (
	DoubtNoJobs     Doubt = "the provider has no job list"
	DoubtNoMessages Doubt = "the provider does not list the messages of its chat"
	DoubtLag        Doubt = "nobody knows how long messages take to appear in the job list"
	DoubtNoWitness  Doubt = "no accepted message near it shows that the lists are complete"
	DoubtWitness    Doubt = "the lists lack messages that were accepted near it"
	DoubtWaiting    Doubt = "it may be waiting in the provider's queue, of which the job list shows only a part"
)

// witnessChats is how many chats one pass reads only to see whether a witness
// is in them.
const witnessChats = 3

// proof says what keeps a row's absence from being proved by this pass; nothing
// when it is. window is the settle window.
func (r *Reconciler) proof(ctx context.Context, g *glance, t *trail, measured bool, window time.Duration) (Doubt, error) {
	switch {
	case g.noJobs:
		return DoubtNoJobs, nil
	case g.noChats, g.refused(t.row.Chat):
		return DoubtNoMessages, nil
	case !measured:
		return DoubtLag, nil
	}
	witnesses, err := r.ledger.Witnesses(ctx, t.row, r.cfg.Witnesses)
	if err != nil {
		return "", err
	}
	// One that was accepted a moment ago may well not be visible yet.
	witnesses = slices.DeleteFunc(witnesses, func(w campaign.Tracked) bool { return w.QueuedAt.Add(window).After(g.began) })
	if len(witnesses) == 0 {
		return DoubtNoWitness, nil
	}
	return r.testify(ctx, g, t, witnesses)
}

// testify looks for the witnesses. All of them among the jobs: the job list is
// complete there, and the row would be in it. Jobs that are done may have left
// that list; their messages are then in their chats, and so would the row's be
// once the queue has passed it, which a later message that was sent shows.
func (r *Reconciler) testify(ctx context.Context, g *glance, t *trail, witnesses []campaign.Tracked) (Doubt, error) {
	complete, passed := true, false
	for _, w := range witnesses {
		status, listed := g.lists(w)
		status = w.Status.Merge(status)
		sent := status.Merge(campaign.StatusSent) == status
		if !listed {
			complete = false
			found, err := r.inChat(ctx, g, w)
			if err != nil || !found {
				return DoubtWitness, err
			}
			sent = true
		}
		passed = passed || sent && w.QueuedAt.After(r.callEnd(t.row))
	}
	if !complete && !passed {
		return DoubtWaiting, nil
	}
	return "", nil
}

// callEnd is the latest that the row's message can have been queued by our
// clock.
func (r *Reconciler) callEnd(row campaign.UnknownRow) time.Time {
	if row.EndedAt.IsZero() {
		return row.ClaimedAt.Add(r.cfg.SendDeadline + r.cfg.CallTimeout)
	}
	return row.EndedAt
}

func (g *glance) refused(chat campaign.ChatID) bool {
	c := g.chats[address(chat)]
	return c == nil || c.refused
}

// lists says whether the witness is among the jobs, and where it stands.
func (g *glance) lists(w campaign.Tracked) (campaign.Status, bool) {
	for _, id := range []string{w.QueueID, uniqueOf(w.UniqueID)} {
		if status, listed := g.jobIDs[id]; listed && id != "" {
			return status, true
		}
	}
	return "", false
}

// inChat says whether the witness is among the messages of its chat.
func (r *Reconciler) inChat(ctx context.Context, g *glance, w campaign.Tracked) (bool, error) {
	at := address(w.Chat)
	if at == "" {
		return false, nil
	}
	if g.chats[at] == nil {
		if g.asked++; g.asked > witnessChats {
			return false, nil
		}
		if err := r.readChat(ctx, g, w.Chat, w.QueuedAt.Add(-r.cfg.Skew)); err != nil {
			return false, err
		}
	}
	c := g.chats[at]
	if c == nil || c.unread {
		return false, nil
	}
	return slices.ContainsFunc(c.messages, func(m campaign.Candidate) bool {
		ids := idsOf(m)
		return slices.Contains(ids, w.QueueID) || w.UniqueID != "" && slices.Contains(ids, uniqueOf(w.UniqueID))
	}), nil
}
