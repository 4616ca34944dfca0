package dispatcher

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/herald-campaigns/herald/campaign"
)

const (
	// sendDeadline is how old a claim may be when the first byte of its message
	// leaves (reliability page §4, rule 8). A process that was frozen in between,
	// or waited too long for its ledger or a connection, gives the row back
	// instead. What remains is a freeze between the last look at the clock and
	// the system call that writes.
	sendDeadline = 5 * time.Second
	// slowClaim is how long a claim may take before somebody is told: the disk
	// is too slow for the pace.
	slowClaim = time.Second
	// settleTimeout bounds writing an outcome after the intake has ended.
	settleTimeout = 30 * time.Second
	// lostLeaseTimeout is settleTimeout when the intake ended because the lease
	// was lost.
	lostLeaseTimeout = 15 * time.Minute
	// mostDeliveries is when a task that never gets an outcome is set aside.
	mostDeliveries = 10
	laterDelay     = 2 * time.Second
	settleRetry    = 200 * time.Millisecond
	// mostSettleRetry bounds the wait between two tries.
	mostSettleRetry = 5 * time.Second
)

var (
	errSettleTimeout = errors.New("the ledger could not be written in time")
	errLate          = errors.New("the intent is too old for its call, or the lease is over")
)

// attempt handles one delivery: claim, send, settle, verdict.
func (d *Dispatcher) attempt(ctx context.Context, delivery Delivery, lease campaign.Lease, held func() bool, probe bool) {
	verdict, after := d.handle(ctx, delivery, lease, held, probe)
	if err := delivery.Settle(verdict, after); err != nil {
		// Harmless: a task delivered again loses its claim.
		d.Log.DebugContext(ctx, "verdict not delivered to the stream", "err", err)
	}
}

func (d *Dispatcher) handle(intake context.Context, delivery Delivery, lease campaign.Lease, held func() bool, probe bool) (campaign.Verdict, time.Duration) {
	task := delivery.Task()
	// From here on the work must come to its end, whoever stops the intake.
	ctx := context.WithoutCancel(intake)

	if hopeless := d.Rejections.stopped(task.Campaign); hopeless != "" {
		d.breaker.released(probe)
		// The pause that is under way takes the task back. It may have failed:
		// whoever comes by asks for it again, or the run would never end.
		d.pause(ctx, task.Campaign, campaign.PauseFailureRate, hopeless)
		return campaign.VerdictLater, laterDelay
	}
	// The clock is read before the claim is asked for: that is earlier than any
	// time at which the intent was written, so no call is later than it seems.
	asked := d.cfg.Clock()
	claim, err := d.Claims.Claim(ctx, campaign.Intent{
		Task: task, Epoch: lease.Epoch, Hourly: d.cfg.Pace.Hourly, Daily: d.cfg.Pace.Daily,
	})
	if err != nil {
		d.breaker.released(probe)
		return d.unclaimed(ctx, delivery, err)
	}
	d.intents.over(ctx, d.Log, "intents can be written again")
	d.vain.over(task)
	if took := d.age(asked); took > slowClaim {
		// Told once: a disk at its limit is slow now and then.
		d.slow.met(ctx, d.Log, slog.LevelWarn, "writing an intent takes long, the disk is too slow for the pace", "took", took)
	}
	if claim.Refused != campaign.RefusedNot {
		d.breaker.released(probe)
		return d.refused(claim)
	}
	outcome, late := d.send(ctx, task, asked, held)
	if late {
		d.breaker.released(probe)
		d.late.met(ctx, d.Log, slog.LevelWarn, "the intent is too old for its call or the lease is over, row given back",
			"campaign_id", task.Campaign, "row", task.Seq, "age", d.age(asked), "limit", d.cfg.SendDeadline)
		d.keep(intake, task, "give back", func(ctx context.Context) error { return d.Claims.GiveBack(ctx, task, lease.Epoch) })
		return campaign.VerdictDone, 0
	}
	d.late.over(ctx, d.Log, "intents are young enough again")

	// Counted before it is written, which may take long: the calls behind this
	// one must not wait for the ledger to learn that they are hopeless.
	hopeless := d.Rejections.observe(task.Campaign, outcome)
	settlement := settle(outcome, claim.Attempt, d.cfg.Clock(), d.cfg.FirstRetry)
	settlement.Task, settlement.Epoch, settlement.StartedAt = task, lease.Epoch, claim.ClaimedAt
	if d.Log.Enabled(ctx, slog.LevelDebug) {
		d.Log.DebugContext(ctx, "attempt made", "campaign_id", task.Campaign, "row", task.Seq, "attempt", claim.Attempt,
			"outcome", outcome.Kind, "status", outcome.HTTPStatus, "queue_id", outcome.QueueID, "trace_id", outcome.TraceID)
	}
	status := settlement.To
	d.keep(intake, task, "settle", func(ctx context.Context) (err error) {
		kept, err := d.Settlements.Settle(ctx, settlement)
		if err == nil {
			status = kept
		}
		return err
	})
	if outcome.Kind == campaign.OutcomeAccepted && status == campaign.StatusUnknown {
		d.Log.ErrorContext(ctx, "the acceptance proves nothing, its queue id belongs to another row; whether the message was taken is unknown",
			"campaign_id", task.Campaign, "row", task.Seq, "queue_id", outcome.QueueID, "trace_id", outcome.TraceID)
		outcome.Kind = campaign.OutcomeUnknown
		outcome.Detail = "the API answered with a queue id that it had given before"
	}
	d.react(ctx, task, lease, claim, outcome, probe)
	if hopeless != "" {
		d.pause(ctx, task.Campaign, campaign.PauseFailureRate, hopeless)
	}
	return campaign.VerdictDone, 0
}

// send makes the call of a claim that was asked for at the time given, unless
// that is too long ago or the lease is no longer held when the first byte of
// the message would leave. Late says that nothing was sent for that reason.
func (d *Dispatcher) send(ctx context.Context, task campaign.Task, asked time.Time, held func() bool) (outcome campaign.Outcome, late bool) {
	var refused atomic.Bool
	begin := func() error {
		if d.age(asked) <= d.cfg.SendDeadline && held() {
			return nil
		}
		refused.Store(true)
		return errLate
	}
	// The gateway asks again when it has a connection; what is late already
	// needs none.
	if begin() != nil {
		return campaign.Outcome{}, true
	}
	started := d.cfg.Clock()
	outcome = d.Gateway.Send(ctx, d.cfg.Sender, task, begin)
	if outcome.Kind != campaign.OutcomeUnavailable {
		return outcome, false // something may have left, or was answered
	}
	// A process that stood still finds every timer of its call expired, so the
	// gateway may give up before it asks. That is no failure of the API either.
	return outcome, refused.Load() || d.age(started) > d.cfg.SendDeadline || !held()
}

// unclaimed is what becomes of a task whose intent could not be written.
func (d *Dispatcher) unclaimed(ctx context.Context, delivery Delivery, err error) (campaign.Verdict, time.Duration) {
	task := delivery.Task()
	d.intents.met(ctx, d.Log, slog.LevelError, "intent not written, nothing sent", "campaign_id", task.Campaign, "row", task.Seq, "err", err)
	if delivery.Deliveries() < mostDeliveries {
		return campaign.VerdictLater, laterDelay
	}
	// The task goes, its row stays: staged, with nothing in the stream, it is
	// found by the sweep for lost rows and waits again under a new generation.
	d.aside.met(ctx, d.Log, slog.LevelWarn, "task set aside after many deliveries without an outcome, its row is handed over anew", "campaign_id", task.Campaign, "row", task.Seq,
		"gen", task.Gen, "deliveries", delivery.Deliveries(), "err", err)
	if n := d.vain.inVain(task); n >= mostRounds {
		// Nobody is failed for it: the ledger that cannot write the intent could
		// not write that either, and the recipient is not to blame.
		d.pause(ctx, task.Campaign, campaign.PauseUnavailable, fmt.Sprintf(
			"the ledger, not the API: the intent of row %d could not be written, it was handed over %d times; the log says why", task.Seq, n))
	}
	return campaign.VerdictDone, 0
}

// refused turns a refusal into a verdict. A reached cap and a lost lease bring
// the task back: its row is staged still, and waits for it. Everything else has
// been decided elsewhere.
func (d *Dispatcher) refused(claim campaign.Claim) (campaign.Verdict, time.Duration) {
	switch claim.Refused {
	case campaign.RefusedCap:
		d.Brake.BlockUntil(claim.CapFreeAt)
		return campaign.VerdictLater, max(claim.CapFreeAt.Sub(d.cfg.Clock()), laterDelay)
	case campaign.RefusedLease:
		return campaign.VerdictLater, laterDelay
	default:
		return campaign.VerdictDone, 0
	}
}

// age is how long ago a claim was asked for, by the monotonic or the wall
// clock, whichever says more: the first one stops while a machine sleeps.
func (d *Dispatcher) age(asked time.Time) time.Duration {
	now := d.cfg.Clock()
	return max(now.Sub(asked), now.Round(0).Sub(asked.Round(0)))
}

// keep writes what became of a claim, and does not let go of it while the
// ledger has trouble: the call's slot stays taken, so a full disk holds up new
// calls and forgets none. Once the intake has ended it is tried for another
// settleTimeout. What is not written even then stays submitting, and the next
// holder of the lease makes it unknown: evidence, not a guess, then tells.
func (d *Dispatcher) keep(intake context.Context, task campaign.Task, what string, write func(context.Context) error) {
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(intake))
	defer cancel(nil)
	var last *time.Timer
	started := make(chan struct{})
	unwatch := context.AfterFunc(intake, func() {
		defer close(started)
		limit := d.cfg.settleTimeout
		if errors.Is(context.Cause(intake), ErrLeaseLost) {
			// Nobody asked for a stop: the disk is full, or the machine slept.
			// What the API answered is worth waiting for; the ledger takes it
			// also when the row has become unknown meanwhile.
			limit = lostLeaseTimeout
		}
		last = time.AfterFunc(limit, func() { cancel(errSettleTimeout) })
	})
	defer func() {
		if !unwatch() {
			<-started
			last.Stop()
		}
	}()
	for try := 1; ; try++ {
		err := write(ctx)
		if err == nil {
			d.results.over(ctx, d.Log, "results can be written again")
			return
		}
		log := d.Log.With("campaign_id", task.Campaign, "row", task.Seq, "what", what, "err", err)
		if code := campaign.CodeOf(err); code == campaign.CodeConflict || code == campaign.CodeNotFound {
			// The ledger has decided about the row; trying again changes nothing.
			log.WarnContext(ctx, "result not written, the row has moved on")
			return
		}
		if try == 1 {
			d.results.met(ctx, log, slog.LevelWarn, "result not written yet, will try again")
		}
		if !pause(ctx, min(backoff(try, settleRetry), mostSettleRetry)) {
			log.ErrorContext(ctx, "result not written, the row will be unknown")
			return
		}
	}
}

// react lets the sender, never the recipient, answer for what is wrong with
// the sender or the API.
func (d *Dispatcher) react(ctx context.Context, task campaign.Task, lease campaign.Lease, claim campaign.Claim, outcome campaign.Outcome, probe bool) {
	switch outcome.Kind {
	case campaign.OutcomeAccepted:
		d.breaker.answered()
		d.Brake.Accepted()
		d.Hold.Proven()
	case campaign.OutcomeRejected:
		d.breaker.answered()
	case campaign.OutcomeThrottled:
		d.breaker.answered()
		until := d.Brake.Throttled(outcome.RetryAfter)
		if err := d.Settlements.BlockSender(ctx, lease, until); err != nil {
			d.Log.WarnContext(ctx, "throttling not remembered across restarts", "err", err)
		}
	case campaign.OutcomeRefused:
		d.breaker.answered()
		if outcome.Pause == campaign.PauseDisconnected {
			// The sender's phone, and not the campaign's other senders. Whoever
			// watches phones takes the reason away again.
			d.Hold.Set(campaign.PauseDisconnected, outcome.Detail)
			break
		}
		d.pause(ctx, task.Campaign, outcome.Pause, outcome.Detail)
	case campaign.OutcomeUnavailable, campaign.OutcomeUnknown:
		outage := d.breaker.failed(probe)
		exhausted := outcome.Kind == campaign.OutcomeUnavailable && claim.Attempt%campaign.MaxAttempts == 0
		if exhausted || outage > d.cfg.GiveUp {
			d.pause(ctx, task.Campaign, campaign.PauseUnavailable, outcome.Detail)
		}
	}
	if limit := outcome.Limit; limit != nil && limit.Limit > 0 && limit.Remaining <= 0 {
		d.Brake.BlockUntil(limit.Reset)
	}
}

func (d *Dispatcher) pause(ctx context.Context, id campaign.ID, reason campaign.PauseReason, detail string) {
	if err := d.Pauser.Pause(ctx, id, reason, detail); err != nil {
		d.pauses.met(ctx, d.Log, slog.LevelError, "campaign not paused yet", "campaign_id", id, "reason", reason, "err", err)
		return
	}
	d.pauses.over(ctx, d.Log, "the campaign could be paused")
}
