package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/dispatcher"
	"github.com/herald-campaigns/herald/internal/natsd"
	"github.com/herald-campaigns/herald/ratelimit"
	"github.com/herald-campaigns/herald/status"
	"github.com/herald-campaigns/herald/storage"
	"github.com/herald-campaigns/herald/stream"
)

// holder names this process in leases. The data directory's lock guarantees
// that there is no other one, so a restart takes its own leases back at once.
const holder = "local"

// fetchWait bounds how long a look into an empty stream takes, and with it how
// soon rows that the stream lost are noticed.
const fetchWait = 500 * time.Millisecond

// connectTimeout bounds the start of the embedded stream.
const connectTimeout = 10 * time.Second

// lostAfter is how long a row may lie staged while the stream has nothing to
// deliver before it counts as lost by the stream; lostEvery bounds how often
// that is looked for: the end of every batch brings an empty fetch.
const (
	lostAfter = 20 * time.Second
	lostEvery = 5 * time.Second
)

// engine runs one campaign: a broker, a poller, and per sender a feeder, a
// limiter and a dispatcher under that sender's lease.
type engine struct {
	store    *storage.Store
	log      *slog.Logger
	provider *provider
	broker   *natsd.Server
	conn     *stream.Conn
	poller   *status.Poller
	settler  *status.Reconciler
	feeding  campaign.Feeding
	senders  []campaign.Sender
	paces    []campaign.Pace

	tuning tuning

	gates      []*dispatcher.Hold // by sender
	rejections *dispatcher.Rejections
	disk       *diskWatch

	feed    atomic.Bool // whether the campaign may be fed; the run loop writes it
	pausing sync.Mutex  // one pause at a time: the first reason stays
	failed  chan error  // capacity 1: what left a sender without service
	lines   atomic.Pointer[[]*campaign.Feeder]
	cancel  context.CancelFunc
	running sync.WaitGroup
}

// startEngine recovers the ledger, starts the parts in the order of the flow
// and returns; nothing is fed before the run loop says so.
func (a *App) startEngine(ctx context.Context, p *provider, feeding campaign.Feeding, senders []campaign.Sender, paces []campaign.Pace) (*engine, error) {
	if err := a.recover(ctx, feeding.Campaign.ID); err != nil {
		return nil, err
	}
	// Whatever an earlier run left in the stream is worth nothing: the ledger
	// fills it again. Starting empty also keeps the server from opening damaged
	// files, over which it can hang (docs/adr/0011).
	store := filepath.Join(a.dir, "nats")
	if err := os.RemoveAll(store); err != nil {
		return nil, fmt.Errorf("empty the stream's folder: %w", err)
	}
	broker, err := natsd.Start(ctx, natsd.Config{
		StoreDir: store, File: a.cfg.NATS.Storage == "file", Logger: a.log,
	})
	if err != nil {
		return nil, &campaign.Error{Code: campaign.CodeUnavailable, What: "start the embedded NATS server", Err: err}
	}
	connecting, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	conn, err := stream.Connect(connecting, stream.Config{InProcess: broker, Storage: stream.Storage(a.cfg.NATS.Storage), FetchWait: fetchWait, Logger: a.log})
	if err != nil {
		broker.Close()
		return nil, &campaign.Error{Code: campaign.CodeUnavailable, What: "open the task stream", Err: err}
	}
	e := &engine{
		store: a.store, log: a.log, provider: p, broker: broker, conn: conn,
		feeding: feeding, senders: senders, paces: paces,
		tuning: a.tuning, failed: make(chan error, 1),
	}
	for range senders {
		e.gates = append(e.gates, dispatcher.NewHold())
	}
	e.rejections, e.disk = dispatcher.NewRejections(), e.newDiskWatch()
	if a.tuning.started != nil {
		a.tuning.started(broker, p.sim)
	}
	budget := ratelimit.New(ratelimit.Config{PerSecond: a.cfg.pollsPerSecond(), Burst: 1})
	e.poller = status.New(a.store, p.gateway, budget, a.log, status.Config{Schedule: a.cfg.schedule()})
	policies, err := a.unknownPolicies(ctx, feeding.Campaign)
	if err != nil {
		return nil, errors.Join(err, e.stop(ctx))
	}
	e.settler = status.NewReconciler(a.store, p.gateway, newContents(a, feeding), budget, a.log, a.reconciling(policies, feeding.Campaign.ID))
	return e, nil
}

// recover brings the ledger into the state of a fresh start: calls that were
// under way when the last process ended become unknown, rows that lay in its
// stream wait again.
func (a *App) recover(ctx context.Context, id campaign.ID) error {
	found, err := a.store.Recover(ctx, true)
	if err != nil {
		return fmt.Errorf("recover the ledger: %w", err)
	}
	if found.Unknown > 0 {
		a.log.WarnContext(ctx, "calls were under way when the last run ended; they are unknown and looked for in the provider's lists", "campaign_id", id, "rows", found.Unknown)
	}
	return nil
}

// run starts the goroutines. They stop when stop is called.
func (e *engine) run(ctx context.Context) {
	ctx, e.cancel = context.WithCancel(ctx)
	feeders := make([]*campaign.Feeder, len(e.senders))
	for i, sender := range e.senders {
		feeders[i] = campaign.NewFeeder(e.store, ledger{e.store, e.disk}, e.conn, e.log, campaign.FeederConfig{Sender: sender.ID, Pace: e.paces[i]})
		e.running.Go(func() { e.serve(ctx, sender, e.paces[i], feeders[i], e.gates[i]) })
	}
	e.lines.Store(&feeders)
	e.watch(ctx)
	e.running.Go(func() { e.poller.Run(ctx) })
	e.running.Go(func() { e.settler.Run(ctx) })
}

// serve works for one sender whenever its lease can be had.
func (e *engine) serve(ctx context.Context, sender campaign.Sender, pace campaign.Pace, feeder *campaign.Feeder, gate *dispatcher.Hold) {
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
		feeding.Go(func() { feeder.Run(fed, e.feedings) })
		defer feeding.Wait()
		defer endFeeding()
		deps := dispatcher.Deps{
			Tasks: &tasks{consumer: consumer, lost: e.lost(sender.ID)}, Claims: books, Settlements: settlements{books, e.settler, sender},
			Gateway: e.provider.gateway, Pace: limiter, Brake: limiter, Pauser: e, Log: e.log,
			Hold: gate, Rejections: e.rejections,
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
		if pauseErr := e.Pause(ctx, e.feeding.Campaign.ID, campaign.PauseUnavailable, err.Error()); pauseErr != nil {
			// Nobody would ever send the sender's rows: the run must end.
			select {
			case e.failed <- errors.Join(err, pauseErr):
			default:
			}
		}
	}
}

// feedings is what the feeders may feed now.
func (e *engine) feedings() []campaign.Feeding {
	if !e.feed.Load() || e.disk.isFull() {
		return nil
	}
	return []campaign.Feeding{e.feeding}
}

// allow lets the feeders feed, or stops them.
func (e *engine) allow(feed bool) {
	e.feed.Store(feed)
	if feeders := e.lines.Load(); feed && feeders != nil {
		for _, feeder := range *feeders {
			feeder.Poke()
		}
	}
}

// Pause stops the campaign with a reason: no claim is granted any more, and
// what lay in the stream waits in the ledger again. Calls that were under way
// together may all ask for it: the first reason stays, except that trouble is
// told to an operator who paused. A campaign with nothing left to stop is left
// as it is.
func (e *engine) Pause(ctx context.Context, id campaign.ID, reason campaign.PauseReason, detail string) error {
	e.pausing.Lock()
	defer e.pausing.Unlock()
	now, err := e.store.Campaign(ctx, id)
	if err != nil {
		return err
	}
	switch inTrouble := now.Reason != campaign.PauseOperator; now.State {
	case campaign.StateScheduled, campaign.StateRunning:
	case campaign.StatePaused:
		if inTrouble {
			return nil
		}
	default:
		return nil
	}
	e.allow(false)
	if _, err := e.store.Transition(ctx, id, campaign.StatePaused, reason, detail); err != nil {
		return err
	}
	if _, err := e.store.Unstage(ctx, id, time.Time{}); err != nil {
		return err
	}
	// A stream that cannot be purged is no reason to go on: what it still
	// delivers loses its claim.
	if err := e.conn.Purge(ctx, id); err != nil {
		e.log.WarnContext(ctx, "the stream was not purged", "campaign_id", id, "err", err)
	}
	return nil
}

// lost brings back rows whose tasks the stream no longer has.
func (e *engine) lost(sender campaign.SenderID) func(ctx context.Context, all bool) {
	return func(ctx context.Context, all bool) {
		if e.disk.isFull() {
			return // nothing can be brought back; the next look may
		}
		before := time.Now().Add(-cmp.Or(e.tuning.lostAfter, lostAfter))
		if all {
			before = time.Now()
		}
		n, err := e.store.UnstageSender(ctx, sender, before)
		if err != nil {
			e.log.WarnContext(ctx, "rows lost by the stream not brought back yet", "err", err)
		} else if n > 0 {
			e.log.InfoContext(ctx, "rows lost by the stream wait again", "sender", sender, "rows", n)
		}
	}
}

// drain ends intake and waits for calls under way and their outcomes. Calling
// it again does nothing.
func (e *engine) drain() {
	if e.cancel != nil {
		e.cancel()
	}
	e.running.Wait()
}

// stop drains, then closes the stream and the broker (stream page §4).
func (e *engine) stop(ctx context.Context) error {
	e.drain()
	err := e.conn.Close(ctx)
	e.broker.Close()
	_, unstageErr := e.store.Unstage(ctx, e.feeding.Campaign.ID, time.Time{})
	if storage.IsFull(unstageErr) {
		unstageErr = nil // the next run does it, as after a crash
	}
	return errors.Join(err, unstageErr)
}
