package app

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"sync/atomic"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/status"
)

// lane is one campaign on an engine.
type lane struct {
	feeding campaign.Feeding
	senders []campaign.Sender
	paces   []campaign.Pace // by sender; lines are shared and may be slower

	open   atomic.Bool // its lines work for it
	feed   atomic.Bool // whether it may be fed; its run loop writes it
	failed chan error  // capacity 1: what left a sender without service
}

// add puts a campaign on the engine. Nothing of it is sent before its lane is
// opened and allowed.
func (e *engine) add(ctx context.Context, feeding campaign.Feeding, senders []campaign.Sender, paces []campaign.Pace) *lane {
	l := &lane{feeding: feeding, senders: senders, paces: paces, failed: make(chan error, 1)}
	e.forgetHolds(ctx, l)
	if err := e.answers.directory.learn(ctx); err != nil {
		e.log.WarnContext(ctx, "the senders are not read; webhooks about new ones are passed over", "err", err)
	}
	e.contents.put(feeding)
	e.settler.Attend(feeding.Campaign.ID, status.Attention{Policy: feeding.Campaign.Spec.UnknownPolicy})
	e.mu.Lock()
	e.lanes[feeding.Campaign.ID] = l
	e.mu.Unlock()
	for _, sender := range senders {
		e.lineOf(sender)
	}
	return l
}

// open starts the lines of the lane's senders, or has those that work already
// work for it, too.
func (e *engine) open(ctx context.Context, l *lane) {
	if l.feeding.Campaign.Spec.Notify != nil {
		e.tell(ctx)
	}
	e.arranging.Lock()
	defer e.arranging.Unlock()
	l.open.Store(true)
	for _, sender := range l.senders {
		e.adjust(ctx, e.lineOf(sender))
	}
	e.tellHolds(ctx, l)
}

// remove takes a campaign off the engine, after the calls of senders that
// nobody else uses have come to their end. Those of the others may end later;
// the reconciler looks after the campaign until all have.
func (e *engine) remove(ctx context.Context, l *lane) error {
	id := l.feeding.Campaign.ID
	e.allow(id, false)
	e.settler.Attend(id, status.Attention{Policy: l.feeding.Campaign.Spec.UnknownPolicy, FoundOnly: true})
	e.arranging.Lock()
	defer e.arranging.Unlock()
	l.open.Store(false)
	e.mu.Lock()
	if e.lanes[id] == l {
		delete(e.lanes, id)
	}
	e.mu.Unlock()
	// All at once: one after the other would take as long as all their calls.
	for _, sender := range l.senders {
		if len(e.lanesOf(sender.ID)) == 0 {
			e.lineOf(sender).halt()
		}
	}
	for _, sender := range l.senders {
		e.adjust(ctx, e.lineOf(sender))
	}
	return e.takeBack(ctx, id)
}

// allow lets a campaign be fed, or stops that.
func (e *engine) allow(id campaign.ID, feed bool) {
	e.mu.Lock()
	l, ok := e.lanes[id]
	e.mu.Unlock()
	if !ok {
		return
	}
	if l.feed.Swap(feed) == feed || !feed {
		return
	}
	for _, sender := range l.senders {
		e.lineOf(sender).poke()
	}
}

// of says whether the lane sends from the sender.
func (l *lane) of(sender campaign.SenderID) bool {
	return slices.ContainsFunc(l.senders, func(s campaign.Sender) bool { return s.ID == sender })
}

// paceOf is the lane's pace on the sender.
func (l *lane) paceOf(sender campaign.SenderID) campaign.Pace {
	i := slices.IndexFunc(l.senders, func(s campaign.Sender) bool { return s.ID == sender })
	return l.paces[i]
}

// lanesOf are the open lanes of a sender, the oldest campaign first.
func (e *engine) lanesOf(sender campaign.SenderID) []*lane {
	return slices.DeleteFunc(e.allLanes(), func(l *lane) bool { return !l.open.Load() || !l.of(sender) })
}

// allLanes are the lanes, the oldest campaign first.
func (e *engine) allLanes() []*lane {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.SortedFunc(maps.Values(e.lanes), func(a, b *lane) int {
		return cmp.Compare(a.feeding.Campaign.ID, b.feeding.Campaign.ID)
	})
}

// allLines are the lines in a fixed order.
func (e *engine) allLines() []*line {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.SortedFunc(maps.Values(e.lines), func(a, b *line) int { return cmp.Compare(a.sender.ID, b.sender.ID) })
}

// pauseLanes pauses every campaign of the sender. One that cannot even be
// paused must end: nobody would ever send its rows.
func (e *engine) pauseLanes(ctx context.Context, sender campaign.SenderID, reason campaign.PauseReason, cause error) {
	for _, l := range e.lanesOf(sender) {
		if err := e.Pause(ctx, l.feeding.Campaign.ID, reason, cause.Error()); err != nil {
			select {
			case l.failed <- errors.Join(cause, err):
			default:
			}
		}
	}
}
