package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/dispatcher"
	"github.com/herald-campaigns/herald/internal/gateway"
)

const (
	// phoneEvery is how often each phone is looked after: two requests a
	// minute, beside which the sends do not notice them.
	phoneEvery = 30 * time.Second
	// phoneKept is how often it is kept that a phone is still as it was.
	phoneKept = 5 * time.Minute
	// phoneTimeout bounds one look.
	phoneTimeout = 10 * time.Second
	// phoneGiveUp is how long no sender may be connected before the campaign
	// pauses and the run ends, so that a script learns of it.
	phoneGiveUp = 10 * time.Minute
)

// watchPhone asks whether the sender's phone is connected. One that is not
// holds its sender, what is queued stays queued, and nothing is sent again; the
// other senders go on. So does this one, by itself, when it is connected.
func (e *engine) watchPhone(ctx context.Context, l *line) {
	tick := time.NewTicker(cmp.Or(e.tuning.phoneEvery, phoneEvery))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-l.heard:
		}
		// With everything submitted there is nothing to hold.
		lanes := e.fed(l.sender.ID)
		for _, lane := range lanes {
			// Before the look, which believes a phone list over the refused
			// send that set the hold, and lets the sender try once more.
			e.giveUpPhones(ctx, lane)
		}
		if len(lanes) > 0 {
			l.phone.look(ctx)
		}
	}
}

// phoneWatch looks after one phone. It is for one goroutine.
type phoneWatch struct {
	engine *engine
	sender campaign.Sender
	gate   *dispatcher.Hold
	told   time.Time // since when the hold that was told of lasts; zero: none was
	quiet  time.Time // the API asked not to be asked before

	state campaign.PhoneState // as the ledger has it, since kept
	kept  time.Time
}

func (w *phoneWatch) look(ctx context.Context) {
	w.tell(ctx, true)
	if time.Now().Before(w.quiet) {
		return
	}
	asking, cancel := context.WithTimeout(ctx, phoneTimeout)
	defer cancel()
	err := w.engine.provider.gateway.Check(asking, w.sender)
	disconnected, _ := errors.AsType[*gateway.DisconnectedError](err)
	throttled, _ := errors.AsType[*gateway.ThrottledError](err)
	switch {
	case err == nil:
		w.saw(ctx, gateway.PhoneConnected)
		w.gate.Clear(campaign.PauseDisconnected)
	case disconnected != nil:
		w.saw(ctx, disconnected.State)
		w.gate.Set(campaign.PauseDisconnected, disconnected.Error())
	case throttled != nil:
		w.quiet = time.Now().Add(throttled.RetryAfter())
	default:
		// An outage or a refused token says nothing about the phone; the sends
		// will find out.
		w.engine.log.DebugContext(ctx, "phone not checked", "sender", w.sender.ID, "err", err)
	}
	w.tell(ctx, false)
}

// saw keeps the state of the phone for whoever asks: each change, and from time
// to time that nothing has changed.
func (w *phoneWatch) saw(ctx context.Context, state campaign.PhoneState) {
	if state == w.state && time.Since(w.kept) < phoneKept {
		return
	}
	if state == gateway.PhoneConnected && w.state != state && w.engine.answers != nil {
		w.engine.answers.withdrawals.Again(w.sender.ID)
	}
	if err := w.engine.store.PutPhone(ctx, w.sender.ID, state, time.Time{}); err != nil {
		// Nothing depends on it; the disk may be full.
		w.engine.log.DebugContext(ctx, "state of the phone not kept", "sender", w.sender.ID, "err", err)
		return
	}
	w.state, w.kept = state, time.Now()
}

// tell says once that the sender is held, and once that it goes on: that only
// a round after it was let go, since the next call may prove that too early.
func (w *phoneWatch) tell(ctx context.Context, roundOver bool) {
	held, is := heldFor(w.gate, campaign.PauseDisconnected)
	log := w.engine.log.With("sender", w.sender.ID, "phone", w.sender.Phone)
	switch {
	case is && !held.Since.Equal(w.told):
		w.told = held.Since
		log.WarnContext(ctx, "the sender's phone is not connected; its messages wait, other senders go on", "detail", held.Detail)
		_ = w.engine.note(ctx, w.engine.lanesOf(w.sender.ID), campaign.EventHeld, campaign.PauseDisconnected, disconnectedDetail(w.sender.Phone, held.Detail)) // logged
	case !is && roundOver && !w.told.IsZero():
		log.InfoContext(ctx, "the sender's phone is connected again, its messages go on")
		_ = w.engine.note(ctx, w.engine.lanesOf(w.sender.ID), campaign.EventReleased, campaign.PauseDisconnected, disconnectedDetail(w.sender.Phone, goesOn(w.told))) // logged
		w.told = time.Time{}
	}
}

// disconnectedDetail begins alike for the beginning and the end of a hold.
func disconnectedDetail(phone campaign.Phone, what string) string {
	return fmt.Sprintf("%s: %s", phone, what)
}

// fed are the lanes of a sender that may be fed.
func (e *engine) fed(sender campaign.SenderID) []*lane {
	return slices.DeleteFunc(e.lanesOf(sender), func(l *lane) bool { return !l.feed.Load() })
}

// giveUpPhones pauses a campaign when every sender that has something to send
// has been in trouble for too long, and at least one is held right now. The
// trouble of a sender is over when a message of it was accepted: its phone may
// be listed as connected while every send is told that it is not.
func (e *engine) giveUpPhones(ctx context.Context, l *lane) {
	limit := cmp.Or(e.tuning.phoneGiveUp, phoneGiveUp)
	var last dispatcher.Held
	heldNow := false
	for _, sender := range l.senders {
		gate := e.lineOf(sender).gate
		held, is := heldFor(gate, campaign.PauseDisconnected)
		heldNow = heldNow || is
		if !is {
			held, is = gate.Doubted(campaign.PauseDisconnected)
		}
		switch {
		case is:
			if held.Since.After(last.Since) {
				last = held
			}
		case e.hasWork(ctx, l, sender.ID):
			return
		}
	}
	if !heldNow || time.Since(last.Since) < limit || ctx.Err() != nil {
		return
	}
	detail := fmt.Sprintf("no sender was connected for %s; %s", limit, last.Detail)
	if err := e.Pause(ctx, l.feeding.Campaign.ID, campaign.PauseDisconnected, detail); err != nil {
		e.log.ErrorContext(ctx, "campaign not paused", "reason", campaign.PauseDisconnected, "err", err)
	}
}

// hasWork says whether rows of the campaign wait for the sender. When that
// cannot be told, it has.
func (e *engine) hasWork(ctx context.Context, l *lane, sender campaign.SenderID) bool {
	staged, err := e.store.StagedCount(ctx, sender)
	if err != nil || staged > 0 {
		return true
	}
	whenever := time.Now().AddDate(1, 0, 0)
	rows, err := e.store.Pending(ctx, l.feeding.Campaign.ID, sender, whenever, 1)
	return err != nil || len(rows) > 0
}
