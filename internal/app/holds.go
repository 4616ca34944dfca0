package app

import (
	"context"
	"errors"
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

// holds are the lane's senders that are held now; none most of the time.
func (e *engine) holds(l *lane) []Hold {
	var holds []Hold
	for _, sender := range l.senders {
		for _, held := range e.lineOf(sender).gate.Held() {
			holds = append(holds, Hold{Sender: sender.Phone, Reason: held.Reason, Detail: held.Detail, Since: held.Since})
		}
	}
	return holds
}

// holdAll holds every sender for the reason.
func (e *engine) holdAll(reason campaign.PauseReason, detail string) {
	for _, l := range e.allLines() {
		l.gate.Set(reason, detail)
	}
}

// releaseAll takes the reason away from every sender.
func (e *engine) releaseAll(reason campaign.PauseReason) {
	for _, l := range e.allLines() {
		l.gate.Clear(reason)
		l.gate.Proven() // nothing about the sender was in doubt
		l.poke()        // the feeder looks at once
	}
}

// note adds a line to the timeline of each campaign, if that can be had: the
// reason for the line may be that nothing can be written.
func (e *engine) note(ctx context.Context, lanes []*lane, kind campaign.EventKind, reason campaign.PauseReason, detail string) error {
	var errs []error
	for _, l := range lanes {
		if err := e.store.Note(ctx, l.feeding.Campaign.ID, campaign.Event{Kind: kind, Reason: reason, Detail: detail}); err != nil {
			e.log.DebugContext(ctx, "timeline not written", "err", err)
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// forgetHolds ends the holds of a run that had no time to end them.
func (e *engine) forgetHolds(ctx context.Context, l *lane) {
	timeline, err := e.store.Timeline(ctx, l.feeding.Campaign.ID)
	if err != nil {
		e.log.DebugContext(ctx, "timeline not read", "err", err)
	}
	for _, held := range campaign.OpenHolds(timeline) {
		subject, _, several := strings.Cut(held.Detail, ": ")
		detail := "the run that waited has ended"
		if several {
			detail = subject + ": " + detail
		}
		_ = e.note(ctx, []*lane{l}, campaign.EventReleased, held.Reason, detail) // logged
	}
}

// tellHolds notes the holds that a campaign meets when it joins others.
func (e *engine) tellHolds(ctx context.Context, l *lane) {
	disk := false
	for _, held := range e.holds(l) {
		detail := held.Detail
		switch held.Reason { //nolint:exhaustive // no other reason holds a sender
		case campaign.PauseDisconnected:
			detail = disconnectedDetail(held.Sender, held.Detail)
		case campaign.PauseDiskFull:
			if disk { // it is every sender's, and told once
				continue
			}
			disk = true
		}
		_ = e.note(ctx, []*lane{l}, campaign.EventHeld, held.Reason, detail) // logged
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
