package app

import (
	"cmp"
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

	confirmations *confirmations

	telling sync.Mutex
	notices *notices.Sender // nil until a campaign wants any
	silence func()          // ends them
}

// newAnswers makes them; budget is the poller's, which failures are confirmed
// within.
func (e *engine) newAnswers(ctx context.Context, budget status.Budget) (*answers, error) {
	a := e.app
	words, err := status.NewWords(status.WordList{Out: a.cfg.OptOuts.Words, In: a.cfg.OptOuts.StartWords, Remove: a.cfg.OptOuts.Ignore})
	if err != nil {
		return nil, err
	}
	out := &answers{directory: newDirectory(a, e.provider), withdrawals: status.NewWithdrawals(a.store, e.provider.gateway, a.log)}
	open := func(sender campaign.Sender) bool { return e.lineOf(sender).gate.Open() }
	out.confirmations = newConfirmations(e.sendConfirmation, open, cmp.Or(a.tuning.confirmEvery, a.cfg.confirmEvery()), a.log)
	// Before anything is read: news of a phone that is not known is passed over.
	if err := out.directory.learn(ctx); err != nil {
		return nil, err
	}
	desk := status.DeskConfig{Words: words, Echoes: e.settler, Withdrawals: out.withdrawals, Look: e.lookAt}
	if a.cfg.OptOuts.Confirmation != "" {
		desk.Confirm = e.confirmOptOut
	}
	if out.desk, err = status.NewDesk(a.store, out.directory, a.log, desk); err != nil {
		return nil, err
	}
	out.inbox = status.NewInbox(a.store, gateway.News, out.desk, e.provider.gateway, budget, a.log, status.InboxConfig{})
	looking := ratelimit.New(ratelimit.Config{PerSecond: cmp.Or(a.tuning.sweepsPerSecond, a.cfg.sweepsPerSecond()), Burst: 1})
	out.sweeper = status.NewSweeper(a.store, e.provider.gateway, out.directory, out.desk, looking, a.log, a.sweeping())
	return out, nil
}

// run starts everything that listens.
func (a *answers) run(ctx context.Context, running *sync.WaitGroup) {
	running.Go(func() { a.inbox.Run(ctx) })
	running.Go(func() { a.sweeper.Run(ctx) })
	running.Go(func() { a.withdrawals.Run(ctx) })
	running.Go(func() { a.confirmations.run(ctx) })
}

// catchUp folds in what came while nobody was there, before anything is sent: an
// opt-out may be among it. What cannot be folded in now is later.
func (a *answers) catchUp(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, revisitFor)
	defer cancel()
	for {
		if n, err := a.inbox.Round(ctx); err != nil || n == 0 {
			return // the inbox's own Run says what is wrong
		}
	}
}

// tell starts the delivery of notices, if it is not under way. A campaign is
// sent all the same when that cannot be: its notices wait in the ledger.
func (e *engine) tell(ctx context.Context) {
	a := e.answers
	a.telling.Lock()
	defer a.telling.Unlock()
	if a.notices != nil {
		return
	}
	sender, err := e.app.noticeSender()
	if err != nil {
		e.log.WarnContext(ctx, "notices are not delivered for now, they wait", "err", err)
		return
	}
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	e.running.Go(func() { sender.Run(running) })
	a.notices, a.silence = sender, stop
}

// poke has new notices delivered at once.
func (a *answers) poke() {
	a.telling.Lock()
	defer a.telling.Unlock()
	if a.notices != nil {
		a.notices.Poke()
	}
}

// lastNotices is how long the end of an engine waits for notices that can be
// delivered.
const lastNotices = 5 * time.Second

// hush delivers what can be delivered soon, and ends the delivery of notices.
// The rest is delivered by the next engine.
func (a *answers) hush(ctx context.Context) {
	a.telling.Lock()
	defer a.telling.Unlock()
	if a.notices == nil {
		return
	}
	a.notices.Drain(ctx, lastNotices)
	a.silence()
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

// confirmOptOut tells a person that they will get nothing more. It is the one
// message that is sent to somebody who opted out, as an answer to their own.
func (e *engine) confirmOptOut(ctx context.Context, chat campaign.ChatID, phone campaign.Phone) error {
	sender, ok := e.answers.directory.SenderOf(phone)
	if !ok {
		return fmt.Errorf("no sender has the number %s", phone)
	}
	e.answers.confirmations.add(ctx, sender, chat)
	return nil
}

// sendConfirmation is the call that does it.
func (e *engine) sendConfirmation(ctx context.Context, sender campaign.Sender, chat campaign.ChatID) campaign.Outcome {
	task := campaign.Task{Sender: sender.ID, Chat: chat, Message: campaign.Message{Text: e.app.cfg.OptOuts.Confirmation}}
	return e.provider.gateway.Send(ctx, sender, task, nil)
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
