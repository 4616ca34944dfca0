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

// engine is what sends: a broker, a poller, a reconciler, and per sender a line
// (feeder, limiter and dispatcher under that sender's lease). The campaigns it
// sends are its lanes: one for `herald run`, any number for a service.
type engine struct {
	app      *App
	store    *storage.Store
	log      *slog.Logger
	provider *provider
	broker   *natsd.Server
	conn     *stream.Conn
	poller   *status.Poller
	settler  *status.Reconciler
	contents *contents
	tuning   tuning

	rejections *dispatcher.Rejections
	disk       *diskWatch
	answers    *answers

	mu    sync.Mutex // guards lanes and lines; held for looks only
	lanes map[campaign.ID]*lane
	lines map[campaign.SenderID]*line

	arranging sync.Mutex // one change of who sends what at a time
	drained   bool       // guarded by arranging: no line starts any more

	pausing sync.Mutex // one pause at a time: the first reason stays
	cancel  context.CancelFunc
	running sync.WaitGroup
}

// startEngine recovers the ledger, starts the parts in the order of the flow
// and returns; nothing is sent before a lane is opened.
func (a *App) startEngine(ctx context.Context, p *provider) (*engine, error) {
	if err := a.recover(ctx); err != nil {
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
	conn, err := stream.Connect(connecting, stream.Config{
		InProcess: broker, Storage: stream.Storage(a.cfg.NATS.Storage), FetchWait: fetchWait, AckWait: a.tuning.ackWait, Logger: a.log,
	})
	if err != nil {
		broker.Close()
		return nil, &campaign.Error{Code: campaign.CodeUnavailable, What: "open the task stream", Err: err}
	}
	e := &engine{
		app: a, store: a.store, log: a.log, provider: p, broker: broker, conn: conn, tuning: a.tuning,
		contents: newContents(a), rejections: dispatcher.NewRejections(),
		lanes: map[campaign.ID]*lane{}, lines: map[campaign.SenderID]*line{},
	}
	e.disk = e.newDiskWatch()
	if a.tuning.started != nil {
		a.tuning.started(broker, p.sim)
	}
	budget := ratelimit.New(ratelimit.Config{PerSecond: a.cfg.pollsPerSecond(), Burst: 1})
	e.poller = status.New(a.store, p.gateway, budget, a.log, status.Config{Schedule: a.schedule()})
	attention, err := a.attention(ctx)
	if err != nil {
		return nil, errors.Join(err, e.stop(ctx))
	}
	e.settler = status.NewReconciler(a.store, p.gateway, e.contents, budget, a.log, a.reconciling(attention))
	if e.answers, err = e.newAnswers(ctx, budget); err != nil {
		return nil, errors.Join(err, e.stop(ctx))
	}
	return e, nil
}

// recover brings the ledger into the state of a fresh start: calls that were
// under way when the last process ended become unknown, rows that lay in its
// stream wait again.
func (a *App) recover(ctx context.Context) error {
	found, err := a.store.Recover(ctx, true)
	if err != nil {
		return fmt.Errorf("recover the ledger: %w", err)
	}
	if found.Unknown > 0 {
		a.log.WarnContext(ctx, "calls were under way when the last run ended; they are unknown and looked for in the provider's lists", "rows", found.Unknown)
	}
	return nil
}

// run starts what all lanes share. It stops when stop is called.
func (e *engine) run(ctx context.Context) {
	ctx, e.cancel = context.WithCancel(ctx)
	e.running.Go(func() { e.disk.run(ctx) })
	e.running.Go(func() { e.supervise(ctx) })
	e.running.Go(func() { e.poller.Run(ctx) })
	e.running.Go(func() { e.settler.Run(ctx) })
	e.answers.run(ctx, &e.running)
	if waiting, err := e.store.NoticeQueues(ctx); err == nil && len(waiting) > 0 {
		e.tell(ctx) // what an earlier engine could not deliver
	}
}

// Pause stops a campaign with a reason: no claim is granted any more, and
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
	e.allow(id, false)
	if _, err := e.store.Transition(ctx, id, campaign.StatePaused, reason, detail); err != nil {
		return err
	}
	e.answers.poke()
	return e.takeBack(ctx, id)
}

// takeBack brings the rows of a campaign back from the stream.
func (e *engine) takeBack(ctx context.Context, id campaign.ID) error {
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

// lost brings back rows whose tasks the stream no longer has, and says how many.
func (e *engine) lost(sender campaign.SenderID) func(ctx context.Context, all bool) int64 {
	return func(ctx context.Context, all bool) int64 {
		if e.disk.isFull() {
			return 0 // nothing can be brought back; the next look may
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
		return n
	}
}

// drain ends intake and waits for calls under way and their outcomes. Calling
// it again does nothing.
func (e *engine) drain(ctx context.Context) {
	e.halt()
	e.arranging.Lock()
	defer e.arranging.Unlock()
	for _, l := range e.allLines() {
		l.wait()
	}
	if e.cancel != nil {
		e.cancel()
	}
	if e.answers != nil {
		e.answers.hush(ctx)
	}
	e.running.Wait()
}

// halt ends intake on all lines at once, and starts none any more.
func (e *engine) halt() {
	e.arranging.Lock()
	defer e.arranging.Unlock()
	e.drained = true
	for _, l := range e.allLines() {
		l.halt()
	}
}

// stop drains, then closes the stream and the broker (stream page §4).
func (e *engine) stop(ctx context.Context) error {
	e.drain(ctx)
	err := e.conn.Close(ctx)
	e.broker.Close()
	for _, l := range e.allLanes() {
		_, unstageErr := e.store.Unstage(ctx, l.feeding.Campaign.ID, time.Time{})
		if storage.IsFull(unstageErr) {
			unstageErr = nil // the next run does it, as after a crash
		}
		err = errors.Join(err, unstageErr)
	}
	return err
}
