package app

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/herald-campaigns/herald/campaign"
)

const (
	// confirmEvery is how long a sender waits between two confirmations: they
	// come on top of its campaign's pace.
	confirmEvery = 3 * time.Second
	// confirmWithin is how long after an opt-out it is still confirmed. A
	// message that comes later is one more that nobody wanted.
	confirmWithin = 10 * time.Minute
	// confirmWaiting is how many opt-outs may wait for their confirmation.
	confirmWaiting = 256
	// confirmTimeout bounds the call that confirms an opt-out.
	confirmTimeout = time.Minute
	// confirmLook is how often a sender that is held is looked at.
	confirmLook = time.Second
)

// confirmations tells people that they will get nothing more: one after the
// other, slowly, and not while their sender is held. An opt-out holds whatever
// becomes of its confirmation, which is never made up for.
type confirmations struct {
	send  func(context.Context, campaign.Sender, campaign.ChatID) campaign.Outcome
	open  func(campaign.Sender) bool // nothing holds the sender
	every time.Duration
	log   *slog.Logger
	wake  chan struct{} // capacity 1

	mu      sync.Mutex // guards what follows
	waiting []confirmation
	full    bool // it was said that there are too many
	next    map[campaign.SenderID]time.Time
}

// confirmation is one that is to be sent.
type confirmation struct {
	sender campaign.Sender
	chat   campaign.ChatID
	until  time.Time // it is dropped
	again  bool      // it was throttled once
}

func newConfirmations(send func(context.Context, campaign.Sender, campaign.ChatID) campaign.Outcome, open func(campaign.Sender) bool,
	every time.Duration, log *slog.Logger,
) *confirmations {
	return &confirmations{send: send, open: open, every: every, log: log, wake: make(chan struct{}, 1), next: map[campaign.SenderID]time.Time{}}
}

// add takes an opt-out that is to be confirmed. It does not block; one too many
// is not confirmed.
func (c *confirmations) add(ctx context.Context, sender campaign.Sender, chat campaign.ChatID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.waiting) >= confirmWaiting {
		if !c.full {
			c.full = true
			c.log.WarnContext(ctx, "too many opt-outs at once, some are not confirmed to who asked for them; they hold all the same", "waiting", len(c.waiting))
		}
		return
	}
	c.waiting = append(c.waiting, confirmation{sender: sender, chat: chat, until: time.Now().Add(confirmWithin)})
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// run sends until the context ends. A call under way comes to its end; what
// waits then is dropped.
func (c *confirmations) run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			c.mu.Lock()
			left := len(c.waiting)
			c.mu.Unlock()
			if left > 0 {
				c.log.WarnContext(ctx, "opt-outs are not confirmed to who asked for them, it ends before; they hold all the same", "waiting", left)
			}
			return
		case <-c.wake:
		case <-timer.C:
		}
		one, wait, ok := c.take(ctx)
		if ok {
			c.confirm(context.WithoutCancel(ctx), one)
			wait = 0
		}
		timer.Reset(wait)
	}
}

// take is the first that may be sent now, or how long there is none.
func (c *confirmations) take(ctx context.Context) (one confirmation, wait time.Duration, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	before := len(c.waiting)
	c.waiting = slices.DeleteFunc(c.waiting, func(w confirmation) bool { return !now.Before(w.until) })
	if n := before - len(c.waiting); n > 0 {
		c.log.WarnContext(ctx, "opt-outs were not confirmed in time to who asked for them; they hold all the same", "dropped", n)
	}
	wait = confirmWithin // nothing waits: add wakes
	for i, w := range c.waiting {
		switch at := c.next[w.sender.ID]; {
		case at.After(now):
			wait = min(wait, at.Sub(now))
		case !c.open(w.sender):
			wait = min(wait, confirmLook)
		default:
			c.waiting = slices.Delete(c.waiting, i, i+1)
			c.next[w.sender.ID] = now.Add(c.every)
			return w, 0, true
		}
	}
	if len(c.waiting) == 0 {
		c.full = false
	}
	return one, wait, false
}

// confirm sends one. The provider may ask for patience once.
func (c *confirmations) confirm(ctx context.Context, one confirmation) {
	calling, cancel := context.WithTimeout(ctx, confirmTimeout)
	defer cancel()
	outcome := c.send(calling, one.sender, one.chat)
	switch outcome.Kind { //nolint:exhaustive // the others are told below
	case campaign.OutcomeAccepted:
		return
	case campaign.OutcomeThrottled:
		c.mu.Lock()
		defer c.mu.Unlock()
		c.next[one.sender.ID] = time.Now().Add(max(outcome.RetryAfter, c.every))
		if !one.again {
			one.again = true
			c.waiting = slices.Insert(c.waiting, 0, one)
			return
		}
	}
	c.log.WarnContext(ctx, "an opt-out was not confirmed to the person; it holds all the same", "outcome", outcome.Kind, "detail", outcome.Detail)
}
