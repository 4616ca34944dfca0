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
	DoubtOneSide    Doubt = "nothing shows that the job list reaches from before it to after it"
	DoubtWaiting    Doubt = "it may be waiting in the provider's queue, of which the job list shows only a part"
	DoubtUnseenChat Doubt = "its job may be done and gone, and the provider shows no chat of this number"
	DoubtClock      Doubt = "the provider's clock is not ours, so the time of a message proves nothing"
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
	// One that was accepted a moment ago may well not be visible yet.
	witnesses := slices.DeleteFunc(slices.Clone(g.witnesses[t.key()]), func(w campaign.Tracked) bool { return w.QueuedAt.Add(window).After(g.began) })
	if len(witnesses) == 0 {
		return DoubtNoWitness, nil
	}
	return r.testify(ctx, g, t, witnesses)
}

// testify looks for the witnesses. All of them among the jobs, and the list
// reaching from before the row's call to after it: the row would be in it. Jobs
// that are done may have left that list; their messages are then in their
// chats, and so would the row's be once the queue has passed it, which a later
// message that was sent shows. But WhatsApp knows some numbers under another
// one, whose chat nobody asked for: a chat that the provider does not know
// shows nothing.
func (r *Reconciler) testify(ctx context.Context, g *glance, t *trail, witnesses []campaign.Tracked) (Doubt, error) {
	listed, passed := true, false
	end := r.callEnd(t)
	around := g.around(t.row.ClaimedAt.Add(-r.cfg.Skew), end.Add(r.cfg.Skew))
	for _, w := range witnesses {
		job, here := g.lists(w)
		status := w.Status.Merge(job.status)
		sent := status.Out()
		if here {
			if !job.at.IsZero() && job.at.Sub(w.QueuedAt).Abs() > r.cfg.Skew {
				return DoubtClock, nil
			}
			around.before = around.before || w.QueuedAt.Before(t.row.ClaimedAt)
			around.after = around.after || w.QueuedAt.After(end)
		} else {
			listed = false
			found, err := r.inChat(ctx, g, w)
			if err != nil || !found {
				return DoubtWitness, err
			}
			sent = true
		}
		passed = passed || sent && w.QueuedAt.After(end)
	}
	switch {
	case listed && around.before && around.after:
		return "", nil
	case listed:
		whole, err := r.whole(ctx, g)
		if whole || err != nil {
			return "", err
		}
		if !passed {
			return DoubtOneSide, nil
		}
	case !passed:
		return DoubtWaiting, nil
	}
	if !g.chats[address(t.row.Chat)].known {
		return DoubtUnseenChat, nil
	}
	return "", nil
}

// reach is to which sides of a row the job list reaches.
type reach struct{ before, after bool }

// around says whether jobs of anybody's were queued before and after the two
// times, by the provider's clock.
func (g *glance) around(before, after time.Time) reach {
	return reach{before: !g.oldest.IsZero() && g.oldest.Before(before), after: g.newest.After(after)}
}

// whole says whether the provider counts no more jobs than it listed: then the
// list is cut off nowhere, although nothing is at one side of the row. Counters
// that also count what left the list differ from it, and nothing follows.
func (r *Reconciler) whole(ctx context.Context, g *glance) (bool, error) {
	if g.counted {
		return g.whole, nil
	}
	err := r.ask(ctx, "counting jobs", func() error {
		n, err := r.lists.JobCount(ctx, g.sender)
		g.whole = err == nil && n == int64(g.listed)
		return err
	})
	switch campaign.CodeOf(err) { //nolint:exhaustive // the others end the pass
	case campaign.CodeNotFound, campaign.CodeInvalid, campaign.CodeUnavailable:
		if ctx.Err() != nil {
			return false, err
		}
		err = nil // no counters, no proof
	}
	g.counted = err == nil
	return g.whole, err
}

// callEnd is the latest that the row's message can have been queued by our
// clock.
func (r *Reconciler) callEnd(t *trail) time.Time {
	if !t.row.EndedAt.IsZero() {
		return t.row.EndedAt
	}
	end := t.row.ClaimedAt.Add(r.cfg.SendDeadline + r.cfg.CallTimeout)
	if t.sought != nil {
		end = end.Add(t.sought.Upload)
	}
	return end
}

func (g *glance) refused(chat campaign.ChatID) bool {
	c := g.chats[address(chat)]
	return c == nil || c.refused
}

// lists says whether the witness is among the jobs, and where it stands.
func (g *glance) lists(w campaign.Tracked) (standing, bool) {
	for _, id := range []string{w.QueueID, uniqueOf(w.UniqueID)} {
		if job, listed := g.jobIDs[id]; listed && id != "" {
			return job, true
		}
	}
	return standing{}, false
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
		if err := r.readChat(ctx, g, w.Chat, w.QueuedAt.Add(-lookBack)); err != nil {
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
