package app

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/internal/gateway"
	"github.com/herald-campaigns/herald/internal/notices"
	"github.com/herald-campaigns/herald/ratelimit"
	"github.com/herald-campaigns/herald/status"
)

// answers is the part of an engine that listens to what comes back, by webhooks
// and in the provider's lists, and that tells other systems.
type answers struct {
	directory   *directory
	desk        *status.Desk
	inbox       *status.Inbox
	sweeper     *status.Sweeper
	withdrawals *status.Withdrawals
	notices     *notices.Sender
}

// newAnswers makes them; budget is the poller's, which failures are confirmed
// within.
func (e *engine) newAnswers(budget status.Budget) (*answers, error) {
	a := e.app
	words, err := status.NewWords(status.WordList{Out: a.cfg.OptOuts.Words, In: a.cfg.OptOuts.StartWords, Remove: a.cfg.OptOuts.Ignore})
	if err != nil {
		return nil, err
	}
	secret, err := notices.LoadSecret(a.dir)
	if err != nil {
		return nil, err
	}
	out := &answers{directory: newDirectory(a, e.provider), withdrawals: status.NewWithdrawals(a.store, e.provider.gateway, a.log)}
	desk := status.DeskConfig{Words: words, Echoes: e.settler, Withdrawals: out.withdrawals, Look: e.lookAt}
	if a.cfg.OptOuts.Confirmation != "" {
		desk.Confirm = e.confirmOptOut
	}
	if out.desk, err = status.NewDesk(a.store, out.directory, a.log, desk); err != nil {
		return nil, err
	}
	out.inbox = status.NewInbox(a.store, gateway.News, out.desk, e.provider.gateway, budget, a.log, status.InboxConfig{})
	looking := ratelimit.New(ratelimit.Config{PerSecond: a.cfg.sweepsPerSecond(), Burst: 1})
	out.sweeper = status.NewSweeper(a.store, e.provider.gateway, out.directory, out.desk, looking, a.log, a.sweeping())
	out.notices, err = notices.New(notices.Config{
		Outbox: a.store, Marks: a.store, Secret: secret, AllowPrivate: a.cfg.Notify.AllowPrivate, Speed: a.cfg.speed(), Logger: a.log,
	})
	return out, err
}

// run starts everything that listens.
func (a *answers) run(ctx context.Context, running *sync.WaitGroup) {
	running.Go(func() { a.inbox.Run(ctx) })
	running.Go(func() { a.sweeper.Run(ctx) })
	running.Go(func() { a.withdrawals.Run(ctx) })
	running.Go(func() { a.notices.Run(ctx) })
}

// lookAt has the phone of a sender looked at soon: something was heard of it.
func (e *engine) lookAt(sender campaign.Sender, _ campaign.PhoneNews) {
	e.mu.Lock()
	l := e.lines[sender.ID]
	e.mu.Unlock()
	if l == nil {
		return
	}
	select {
	case l.heard <- struct{}{}:
	default: // it is going to be looked at already
	}
}

// confirmTimeout bounds the message that confirms an opt-out.
const confirmTimeout = time.Minute

// confirmOptOut tells a person that they will get nothing more. It is the one
// message that is sent to somebody who opted out, as an answer to their own.
func (e *engine) confirmOptOut(ctx context.Context, chat campaign.ChatID, phone campaign.Phone) error {
	sender, ok := e.answers.directory.SenderOf(phone)
	if !ok {
		return fmt.Errorf("no sender has the number %s", phone)
	}
	ctx = context.WithoutCancel(ctx)
	e.running.Go(func() {
		ctx, cancel := context.WithTimeout(ctx, confirmTimeout)
		defer cancel()
		task := campaign.Task{Sender: sender.ID, Chat: chat, Message: campaign.Message{Text: e.app.cfg.OptOuts.Confirmation}}
		if outcome := e.provider.gateway.Send(ctx, sender, task, nil); outcome.Kind != campaign.OutcomeAccepted {
			e.log.WarnContext(ctx, "an opt-out was not confirmed to the person; it holds all the same", "outcome", outcome.Kind, "detail", outcome.Detail)
		}
	})
	return nil
}

// sweeping is when the provider's lists are looked through. In the sandbox time
// runs faster.
func (a *App) sweeping() status.SweeperConfig {
	c := a.tuning.sweeper
	if a.cfg.Mode == campaign.ModeSandbox {
		c.Speed = a.cfg.Sandbox.Speed
	}
	return c
}
