package app

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/storage"
)

// Wait says how far every message must have come before Run returns.
type Wait string

// The waits. Each includes the ones before it.
const (
	WaitAccepted  Wait = "accepted"  // Periskope has taken it
	WaitSent      Wait = "sent"      // WhatsApp's servers have it
	WaitDelivered Wait = "delivered" // the recipient's device has it
	WaitSettled   Wait = "settled"   // nothing more is expected
)

// Waits lists the accepted values.
func Waits() []string {
	return []string{string(WaitAccepted), string(WaitSent), string(WaitDelivered), string(WaitSettled)}
}

// RunOptions say how a prepared campaign is run.
type RunOptions struct {
	Wait Wait // WaitSent if empty
	// WaitTimeout bounds the waiting after the last message was submitted;
	// 10 minutes if zero.
	WaitTimeout time.Duration
	// Now starts at once, whatever the schedule says.
	Now bool
	// Progress is called about five times a second and on each change of
	// state; may be nil.
	Progress func(Progress)
	// Control takes what an operator asks for while it runs; may be nil.
	Control <-chan Control
	// Webhooks is the address, host:port, at which webhooks are received while it
	// runs; "" for none.
	Webhooks string
}

// Control is what an operator can ask of a running campaign.
type Control string

// The controls.
const (
	ControlPause  Control = "pause"
	ControlResume Control = "resume"
)

// RunResult is how a run ended.
type RunResult struct {
	Campaign    campaign.Campaign
	Totals      campaign.Totals
	Duration    time.Duration
	Accepted    int64 // by this run
	Interrupted bool  // stopped by ctx after a clean drain
	Detached    bool  // nobody waits any more, and a service goes on with it
	Left        bool  // the service that sent it was stopped in order
	TimedOut    bool  // WaitTimeout passed before the wait was over
	Behind      int64 // TimedOut: messages that had not come as far as asked
	Unclear     int64 // TimedOut: unknown rows that were still being looked for
}

const progressEvery = 200 * time.Millisecond

// Run sends a prepared campaign, and returns when every message has come as
// far as opts.Wait asks, when the campaign paused for a reason (as an error
// that says why), or after a clean drain when ctx ends. Whatever happens, the
// ledger knows where to go on.
func (a *App) Run(ctx context.Context, p *Prepared, opts RunOptions) (RunResult, error) {
	if opts.Wait == "" {
		opts.Wait = WaitSent
	}
	if opts.WaitTimeout <= 0 {
		opts.WaitTimeout = 10 * time.Minute
	}
	if opts.Progress == nil {
		opts.Progress = func(Progress) {}
	}
	if !opts.Now {
		if err := a.HoldMissed(ctx, p); err != nil {
			return RunResult{Campaign: p.Campaign}, err
		}
	}
	if err := a.admit(ctx, p); err != nil {
		return RunResult{}, err
	}
	totals, err := a.store.Totals(ctx, p.Campaign.ID)
	if err != nil {
		return RunResult{}, err
	}
	if p.Campaign.State.Over() {
		return RunResult{Campaign: p.Campaign, Totals: totals}, nil
	}
	provider, err := a.connect(inFlight(p.paces) + pollersInFlight) //nolint:contextcheck // the simulator listens until it is closed
	if err != nil {
		return RunResult{}, err
	}
	defer func() { _ = provider.close() }() // the journal of a simulator; the ledger has all that counts
	if p.Campaign.State != campaign.StateTracking {
		if err := provider.checkSenders(ctx, p.senders); err != nil {
			return RunResult{}, err
		}
	}
	renderer, err := a.renderer(ctx, p.Campaign)
	if err != nil {
		return RunResult{}, err
	}
	engine, err := a.startEngine(ctx, provider)
	if err != nil {
		return RunResult{}, err
	}
	deaf, err := a.receive(ctx, engine, opts.Webhooks)
	if err != nil {
		return RunResult{}, errors.Join(err, engine.stop(ctx))
	}
	if err := a.unmarkStopped(p.Campaign.ID); err != nil {
		a.log.DebugContext(ctx, "the mark of the last stop stays", "err", err)
	}
	lane := engine.add(ctx, campaign.Feeding{Campaign: p.Campaign, Renderer: renderer}, p.senders, p.paces)
	r := &run{app: a, engine: engine, lane: lane, prepared: p, opts: opts, began: time.Now()}
	result, err := r.loop(ctx)
	// Draining must not be cut short by the very signal that asked for it.
	ctx = context.WithoutCancel(ctx)
	return result, errors.Join(err, deaf(ctx), engine.stop(ctx))
}

// run is one campaign being run: the loop that moves its state.
type run struct {
	app      *App
	engine   *engine
	lane     *lane
	prepared *Prepared
	opts     RunOptions

	// stays says that a service runs it: it is followed to its end, and left as
	// it is when the service stops.
	stays   bool
	counted time.Time // when a service last counted what it still follows
	started func()    // told once the state says that it goes on; may be nil

	began     time.Time
	submitted time.Time       // when nothing was left to submit; zero before
	before    campaign.Totals // at the start of this run
	speed     speedometer
}

func (r *run) loop(ctx context.Context) (RunResult, error) {
	totals, err := r.app.store.Totals(ctx, r.prepared.Campaign.ID)
	if err != nil {
		return RunResult{}, err
	}
	r.before = totals
	if r.prepared.Campaign.State == campaign.StateCompleted {
		return r.end(ctx, nil) // only a delta brings it back to life
	}
	if r.prepared.Campaign.State == campaign.StateScheduled && r.started != nil {
		r.started() // it waits, which is what it is to do
	}
	for _, begin := range []func(context.Context) error{r.awaitStart, r.start} {
		if err := r.onceThereIsRoom(ctx, begin); err != nil {
			return r.end(ctx, err)
		}
	}
	r.began = time.Now()
	if !r.stays {
		// The engine gets a context of its own: it is stopped in order, not torn
		// down by the signal.
		r.engine.run(context.WithoutCancel(ctx))
	}
	r.engine.open(ctx, r.lane)
	tick := time.NewTicker(progressEvery)
	defer tick.Stop()
	var asked Control // and not done yet
	for {
		// On a full disk the disk watch holds everything; what could not be written
		// is done when there is room.
		done, err := r.step(ctx)
		if storage.IsFull(err) {
			done, err = false, nil
		}
		if done || err != nil {
			return r.end(ctx, err)
		}
		select {
		case <-ctx.Done():
			return r.end(ctx, ctx.Err())
		case err := <-r.lane.failed:
			return r.end(ctx, err)
		case asked = <-r.opts.Control:
		case <-tick.C:
		}
		tick.Reset(r.pulse())
		err = r.control(ctx, asked)
		switch {
		case storage.IsFull(err):
			r.engine.disk.wrote(err)
		case err != nil:
			return r.end(ctx, err)
		default:
			asked = ""
		}
	}
}

// pulse is how often the ledger is looked at. Of the campaigns that a service
// only follows there may be many, and nobody watches.
func (r *run) pulse() time.Duration {
	if r.stays && !r.submitted.IsZero() {
		return followEvery
	}
	return progressEvery
}

const followEvery = 2 * time.Second

// onceThereIsRoom tries what finds the disk full until there is room. It is for
// what comes before the disk watch runs.
func (r *run) onceThereIsRoom(ctx context.Context, do func(context.Context) error) error {
	tick := time.NewTicker(progressEvery)
	defer tick.Stop()
	for {
		err := do(ctx)
		if !storage.IsFull(err) {
			return err
		}
		r.engine.disk.wrote(err)
		totals, err := r.app.store.Totals(ctx, r.prepared.Campaign.ID)
		if err != nil {
			return err
		}
		r.opts.Progress(r.progress(totals))
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// start moves the campaign to running, unless everything was submitted before.
func (r *run) start(ctx context.Context) error {
	switch r.prepared.Campaign.State {
	case campaign.StateTracking, campaign.StateRunning:
	default:
		if err := r.transition(ctx, campaign.StateRunning); err != nil {
			return err
		}
	}
	if r.started != nil {
		r.started()
	}
	r.engine.answers.catchUp(ctx)
	r.revisit(ctx)
	r.allow(r.prepared.Campaign.State == campaign.StateRunning)
	return nil
}

// revisitFor bounds how long the start waits for evidence about rows that are
// to be sent again.
const revisitFor = time.Minute

// revisit looks for evidence about rows that are to be sent again, before they
// are. That it cannot be had is no reason not to do what was decided.
func (r *run) revisit(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, revisitFor)
	defer cancel()
	if err := r.engine.settler.Revisit(ctx, r.prepared.Campaign.ID); err != nil {
		r.app.log.WarnContext(ctx, "not every row that is to be sent again was looked for once more", "campaign_id", r.prepared.Campaign.ID, "err", err)
	}
}

// step looks at the ledger once, moves the campaign on, and says whether the
// run is over.
func (r *run) step(ctx context.Context) (bool, error) {
	id := r.prepared.Campaign.ID
	now, err := r.app.store.Campaign(ctx, id)
	if err != nil {
		return false, err
	}
	if r.prepared.Campaign.State == campaign.StateTracking && now.State == campaign.StatePaused {
		// Nothing else pauses a campaign that is followed (Engine.Pause).
		return false, r.goOn(ctx)
	}
	r.prepared.Campaign = now
	totals, err := r.app.store.Totals(ctx, id)
	if err != nil {
		return false, err
	}
	r.speed.observe(time.Now(), r.accepted(totals))
	r.opts.Progress(r.progress(totals))

	switch now.State {
	case campaign.StatePaused:
		r.allow(false)
		if now.Reason == campaign.PauseOperator {
			return false, nil
		}
		return true, pausedError(now)
	case campaign.StateRunning:
		if totals.Unsubmitted() > 0 {
			r.allow(true) // also when a pause began that could not be written
			return false, r.optOutRate(ctx, totals)
		}
		r.allow(false)
		r.submitted = time.Now()
		if err := r.transition(ctx, campaign.StateTracking); err != nil {
			return false, err
		}
	case campaign.StateTracking:
		if totals.Waiting() > 0 {
			return false, r.goOn(ctx)
		}
		if r.submitted.IsZero() {
			r.submitted = time.Now()
		}
	default:
		return true, nil
	}
	if settled(totals) && totals.ByStatus[campaign.StatusCanceled] == 0 {
		return true, r.transition(ctx, campaign.StateCompleted)
	}
	if settled(totals) && !r.stays {
		err := r.completeIfFollowed(ctx, totals)
		return r.prepared.Campaign.State.Over() || time.Since(r.submitted) > r.opts.WaitTimeout, err
	}
	if r.stays {
		return r.followOn(ctx, totals)
	}
	arrived := reached(totals, r.opts.Wait) && r.unclear(totals) == 0
	if arrived || time.Since(r.submitted) > r.opts.WaitTimeout {
		return true, r.completeIfFollowed(ctx, totals)
	}
	return false, nil
}

// completeEvery is how often a service counts what it still follows of a
// campaign.
const completeEvery = 5 * time.Second

// followOn completes a campaign of a service once nothing more can be learned.
func (r *run) followOn(ctx context.Context, totals campaign.Totals) (bool, error) {
	if time.Since(r.counted) < completeEvery {
		return false, nil
	}
	r.counted = time.Now()
	err := r.completeIfFollowed(ctx, totals)
	return r.prepared.Campaign.State.Over(), err
}

// goOn sends rows that wait again although everything was submitted: it was
// proven that they were not taken, for which the ledger pauses the campaign, or
// an answer said so late.
func (r *run) goOn(ctx context.Context) error {
	if err := r.transition(ctx, campaign.StateRunning); err != nil {
		return err
	}
	r.submitted = time.Time{}
	r.allow(true)
	return nil
}

// accepted is how many messages the provider took of this run. One of an earlier
// run that is taken back is none less.
func (r *run) accepted(totals campaign.Totals) int64 {
	return max(0, totals.Accepted()-r.before.Accepted())
}

// unclear is how many unknown rows this run may still settle.
func (r *run) unclear(totals campaign.Totals) int64 {
	return max(0, totals.ByStatus[campaign.StatusUnknown]-r.engine.settler.Decided(r.prepared.Campaign.ID))
}

// completeIfFollowed completes a campaign whose tracking window is over for
// every message. Unknown rows that may still be settled keep it open.
func (r *run) completeIfFollowed(ctx context.Context, totals campaign.Totals) error {
	if totals.ByStatus[campaign.StatusUnknown] > 0 {
		rows, err := r.app.store.UnknownRows(ctx, r.prepared.Campaign.ID)
		now := time.Now()
		if err != nil || slices.ContainsFunc(rows, func(row campaign.UnknownRow) bool { return row.Open(now) }) {
			return err
		}
	}
	awaited, err := r.app.store.AwaitingEvidence(ctx, r.prepared.Campaign.ID)
	if err != nil || awaited > 0 {
		return err
	}
	return r.transition(ctx, campaign.StateCompleted)
}

// settled says whether nothing more is expected of any recipient, but of those
// whose message was purged and may have been on its way.
func settled(t campaign.Totals) bool { return count(t, campaign.Status.Settled) == t.Sum() }

func count(t campaign.Totals, which func(campaign.Status) bool) int64 {
	var n int64
	for status, rows := range t.ByStatus {
		if which(status) {
			n += rows
		}
	}
	return n
}

// reached says whether every accepted message has come as far as asked. Unknown
// rows are unclear's matter.
func reached(t campaign.Totals, wait Wait) bool { return behind(t, wait) == 0 }

// behind counts the accepted messages that have not come as far as asked.
func behind(t campaign.Totals, wait Wait) int64 {
	switch wait {
	case WaitSent:
		return t.ByStatus[campaign.StatusQueued] + t.ByStatus[campaign.StatusProcessing]
	case WaitDelivered:
		return t.ByStatus[campaign.StatusQueued] + t.ByStatus[campaign.StatusProcessing] + t.ByStatus[campaign.StatusSent]
	case WaitSettled:
		return t.Sum() - count(t, campaign.Status.Settled) - t.ByStatus[campaign.StatusUnknown]
	default: // WaitAccepted: those were
		return 0
	}
}

func (r *run) control(ctx context.Context, control Control) error {
	switch {
	case control == ControlPause && r.prepared.Campaign.State == campaign.StateRunning:
		return r.engine.Pause(ctx, r.prepared.Campaign.ID, campaign.PauseOperator, "paused at the terminal")
	case control == ControlResume && r.prepared.Campaign.State == campaign.StatePaused:
		if err := r.transition(ctx, campaign.StateRunning); err != nil {
			return err
		}
		r.allow(true)
	case control == ControlResume && r.prepared.Campaign.State == campaign.StateRunning:
		r.allow(true) // a pause was asked for that a full disk did not take
	}
	return nil
}

// allow lets the campaign be fed, or stops that.
func (r *run) allow(feed bool) { r.engine.allow(r.prepared.Campaign.ID, feed) }

func (r *run) transition(ctx context.Context, to campaign.State) error {
	c, err := r.app.store.Transition(ctx, r.prepared.Campaign.ID, to, "", "")
	if err == nil {
		r.prepared.Campaign = c
		r.engine.answers.poke()
	}
	return err
}

// end leaves the ledger in a state that says what happened, and sums up.
func (r *run) end(ctx context.Context, cause error) (RunResult, error) {
	interrupted := ctx.Err() != nil
	ctx = context.WithoutCancel(ctx)
	if interrupted {
		cause = nil
		if r.prepared.Campaign.State == campaign.StateRunning && !r.stays {
			err := r.engine.Pause(ctx, r.prepared.Campaign.ID, campaign.PauseInterrupted, "the run was stopped; run the same file again to go on")
			if err != nil && !storage.IsFull(err) { // else the next run finds out by itself
				return RunResult{}, err
			}
		}
		if !r.stays {
			r.engine.drain(ctx)
		}
	}
	c, err := r.app.store.Campaign(ctx, r.prepared.Campaign.ID)
	if err != nil {
		return RunResult{}, errors.Join(cause, err)
	}
	totals, err := r.app.store.Totals(ctx, c.ID)
	if err != nil {
		return RunResult{}, errors.Join(cause, err)
	}
	finished := r.submitted
	if finished.IsZero() {
		finished = time.Now()
	}
	result := RunResult{
		Campaign: c, Totals: totals, Duration: finished.Sub(r.began), Accepted: r.accepted(totals),
		Interrupted: interrupted,
		TimedOut:    !interrupted && cause == nil && c.State == campaign.StateTracking && (!reached(totals, r.opts.Wait) || r.unclear(totals) > 0),
	}
	if result.TimedOut {
		result.Behind, result.Unclear = behind(totals, r.opts.Wait), r.unclear(totals)
	}
	return result, cause
}
