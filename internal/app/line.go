package app

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/dispatcher"
	"github.com/herald-campaigns/herald/ratelimit"
	"github.com/herald-campaigns/herald/stream"
)

// line is one sender at work for every lane that sends from it, at the
// strictest of their paces (docs/adr/0017).
type line struct {
	sender campaign.Sender
	gate   *dispatcher.Hold
	phone  *phoneWatch
	heard  chan struct{} // capacity 1: something was heard of the phone

	mu      sync.Mutex // guards feeder
	feeder  *campaign.Feeder
	pace    campaign.Pace // guarded by engine.arranging, as what follows
	cancel  context.CancelFunc
	dead    atomic.Bool // nobody serves it any more, although nobody stopped it
	working sync.WaitGroup
}

// lineOf is the sender's line, made when it is first asked for.
func (e *engine) lineOf(sender campaign.Sender) *line {
	e.mu.Lock()
	defer e.mu.Unlock()
	l, ok := e.lines[sender.ID]
	if !ok {
		l = &line{sender: sender, gate: dispatcher.NewHold(), heard: make(chan struct{}, 1)}
		l.phone = &phoneWatch{engine: e, sender: sender, gate: l.gate}
		if detail, full := e.disk.fullness(); full {
			l.gate.Set(campaign.PauseDiskFull, detail)
		}
		e.lines[sender.ID] = l
	}
	return l
}

// adjust starts, stops or restarts a line, as the lanes that use it are now;
// the caller holds arranging. A line that stops finishes its calls first.
func (e *engine) adjust(ctx context.Context, l *line) {
	lanes := e.lanesOf(l.sender.ID)
	var pace campaign.Pace
	for _, lane := range lanes {
		pace = pace.Within(lane.paceOf(l.sender.ID))
	}
	if l.cancel != nil && (len(lanes) == 0 || pace != l.pace || l.dead.Load()) {
		l.halt()
		l.wait()
		l.cancel = nil
	}
	switch {
	case len(lanes) == 0 || e.drained:
	case l.cancel == nil:
		l.pace = pace
		e.start(ctx, l)
	default:
		l.poke()
	}
}

func (e *engine) start(ctx context.Context, l *line) {
	ctx, l.cancel = context.WithCancel(context.WithoutCancel(ctx))
	l.dead.Store(false)
	checked := e.checkContacts(l)
	feeder := campaign.NewFeeder(checked, ledger{e.store, e.disk}, e.conn, e.log, campaign.FeederConfig{Sender: l.sender.ID, Pace: l.pace})
	l.mu.Lock()
	l.feeder = feeder
	l.mu.Unlock()
	pace := l.pace
	l.working.Go(func() { e.serve(ctx, l, pace, feeder) })
	l.working.Go(func() { checked.Run(ctx) })
	l.working.Go(func() { e.watchPhone(ctx, l) })
}

// halt tells the line to finish.
func (l *line) halt() {
	if l.cancel != nil {
		l.cancel()
	}
}

// connected says that the phone was just seen connected: what held the sender
// for it is over.
func (l *line) connected() {
	l.gate.Clear(campaign.PauseDisconnected)
	l.gate.Proven()
}

// wait returns when the line has finished.
func (l *line) wait() { l.working.Wait() }

// poke has the feeder look at the ledger at once.
func (l *line) poke() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.feeder != nil {
		l.feeder.Poke()
	}
}

// serve works for one sender whenever its lease can be had.
func (e *engine) serve(ctx context.Context, l *line, pace campaign.Pace, feeder *campaign.Feeder) {
	sender := l.sender
	books := ledger{e.store, e.disk}
	keeper := dispatcher.NewKeeper(books, e.log, dispatcher.KeeperConfig{Sender: sender.ID, Holder: holder, TTL: e.tuning.leaseTTL})
	err := keeper.Keep(ctx, func(ctx context.Context, lease campaign.Lease) error {
		// Calls of an earlier lease that nobody could settle.
		if _, err := e.store.Recover(ctx, false); err != nil {
			return fmt.Errorf("recover the calls of the last lease: %w", err)
		}
		consumer, err := e.conn.Sender(ctx, sender.ID, stream.Tuning{PerSecond: pace.Rate.PerSecond(), InFlight: pace.InFlight})
		if err != nil {
			return fmt.Errorf("open the consumer: %w", err)
		}
		defer consumer.Close()
		limiter := ratelimit.New(ratelimit.Config{PerSecond: pace.Rate.PerSecond(), Burst: pace.Burst, Jitter: pace.Jitter})
		limiter.Restore(lease.LastGrant, lease.BlockedUntil)

		// Feeding ends before sending does: the feeder goes first when ctx ends.
		fed, endFeeding := context.WithCancel(ctx)
		var feeding sync.WaitGroup
		feeding.Go(func() { feeder.Run(fed, func() []campaign.Feeding { return e.feedings(sender.ID) }) })
		defer feeding.Wait()
		defer endFeeding()
		deps := dispatcher.Deps{
			Tasks: &tasks{consumer: consumer, lost: e.lost(sender.ID)}, Claims: books, Settlements: settlements{books, e.settler, sender},
			Gateway: e.provider.gateway, Pace: limiter, Brake: limiter, Pauser: e, Log: e.log,
			Hold: l.gate, Rejections: e.rejections,
		}
		if e.tuning.wrap != nil {
			e.tuning.wrap(&deps)
		}
		return dispatcher.New(deps, dispatcher.Config{
			Sender: sender, Pace: pace, Consumed: feeder.Poke, GiveUp: e.tuning.giveUp, FirstRetry: e.tuning.firstRetry,
			SendDeadline: e.tuning.sendDeadline,
		}).Run(ctx, lease, keeper.Held)
	})
	if err != nil && ctx.Err() == nil {
		e.log.ErrorContext(ctx, "sender stopped", "sender", sender.ID, "err", err)
		l.dead.Store(true)
		e.pauseLanes(ctx, sender.ID, campaign.PauseUnavailable, err)
	}
}

// feedings is what the sender's feeder may feed now.
func (e *engine) feedings(sender campaign.SenderID) []campaign.Feeding {
	if e.disk.isFull() {
		return nil
	}
	var feedings []campaign.Feeding
	for _, l := range e.fed(sender) {
		feedings = append(feedings, l.feeding)
	}
	return feedings
}
