package app

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/dispatcher"
)

// Hold is a sender that begins no calls for now, and why. It goes on by itself.
type Hold struct {
	Sender campaign.Phone // masks itself
	Reason campaign.PauseReason
	Detail string // for people; may be empty
	Since  time.Time
}

// holds are the senders that are held now; none most of the time.
func (e *engine) holds() []Hold {
	var holds []Hold
	for i, gate := range e.gates {
		for _, held := range gate.Held() {
			holds = append(holds, Hold{Sender: e.senders[i].Phone, Reason: held.Reason, Detail: held.Detail, Since: held.Since})
		}
	}
	return holds
}

// watch starts whatever holds senders and lets them go on, and what keeps the
// stream alive.
func (e *engine) watch(ctx context.Context) {
	e.forgetHolds(ctx)
	e.running.Go(func() { e.disk.run(ctx) })
	e.running.Go(func() { e.supervise(ctx) })
	for i := range e.senders {
		e.running.Go(func() { e.watchPhone(ctx, i) })
	}
}

// holdAll holds every sender for the reason.
func (e *engine) holdAll(reason campaign.PauseReason, detail string) {
	for _, gate := range e.gates {
		gate.Set(reason, detail)
	}
}

// releaseAll takes the reason away from every sender.
func (e *engine) releaseAll(reason campaign.PauseReason) {
	for _, gate := range e.gates {
		gate.Clear(reason)
		gate.Proven() // nothing about the sender was in doubt
	}
	e.allow(e.feed.Load()) // the feeders look at once
}

// note adds a line to the campaign's timeline, if that can be had: the reason
// for the line may be that nothing can be written.
func (e *engine) note(ctx context.Context, kind campaign.EventKind, reason campaign.PauseReason, detail string) error {
	err := e.store.Note(ctx, e.feeding.Campaign.ID, campaign.Event{Kind: kind, Reason: reason, Detail: detail})
	if err != nil {
		e.log.DebugContext(ctx, "timeline not written", "err", err)
	}
	return err
}

// forgetHolds ends the holds of a run that had no time to end them.
func (e *engine) forgetHolds(ctx context.Context) {
	timeline, err := e.store.Timeline(ctx, e.feeding.Campaign.ID)
	if err != nil {
		e.log.DebugContext(ctx, "timeline not read", "err", err)
	}
	for _, held := range campaign.OpenHolds(timeline) {
		subject, _, several := strings.Cut(held.Detail, ": ")
		detail := "the run that waited has ended"
		if several {
			detail = subject + ": " + detail
		}
		_ = e.note(ctx, campaign.EventReleased, held.Reason, detail) // logged
	}
}

// heldFor is the hold for the reason, and whether there is one.
func heldFor(gate *dispatcher.Hold, reason campaign.PauseReason) (dispatcher.Held, bool) {
	for _, held := range gate.Held() {
		if held.Reason == reason {
			return held, true
		}
	}
	return dispatcher.Held{}, false
}

// goesOn is the line of the timeline for the end of a hold.
func goesOn(since time.Time) string {
	return fmt.Sprintf("it is over, sending goes on after %s", time.Since(since).Round(time.Second))
}
