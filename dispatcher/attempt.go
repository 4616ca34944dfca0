package dispatcher

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/herald-campaigns/herald/campaign"
)

const (
	// sendDeadline is how old a claim may be when its call begins. A process
	// that was frozen in between gives the row back instead.
	sendDeadline = time.Second
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

var errSettleTimeout = errors.New("the ledger could not be written in time")

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

	started := d.cfg.Clock()
	claim, err := d.Claims.Claim(ctx, campaign.Intent{
		Task: task, Epoch: lease.Epoch, Hourly: d.cfg.Pace.Hourly, Daily: d.cfg.Pace.Daily,
	})
	if err != nil {
		d.breaker.released(probe)
		d.Log.ErrorContext(ctx, "intent not written, nothing sent", "campaign_id", task.Campaign, "row", task.Seq, "err", err)
		if delivery.Deliveries() >= mostDeliveries {
			// The sweep returns the row to pending under a new generation.
			return campaign.VerdictDone, 0
		}
		return campaign.VerdictLater, laterDelay
	}
	if claim.Refused != campaign.RefusedNot {
		d.breaker.released(probe)
		return d.refused(claim)
	}
	if d.late(started) || !held() {
		d.breaker.released(probe)
		d.keep(intake, task, "give back", func(ctx context.Context) error { return d.Claims.GiveBack(ctx, task, lease.Epoch) })
		return campaign.VerdictDone, 0
	}

	outcome := d.Gateway.Send(ctx, d.cfg.Sender, task)
	settlement := settle(outcome, claim.Attempt, d.cfg.Clock(), d.cfg.FirstRetry)
	settlement.Task, settlement.Epoch, settlement.StartedAt = task, lease.Epoch, claim.ClaimedAt
	if d.Log.Enabled(ctx, slog.LevelDebug) {
		d.Log.DebugContext(ctx, "attempt made", "campaign_id", task.Campaign, "row", task.Seq, "attempt", claim.Attempt,
			"outcome", outcome.Kind, "status", outcome.HTTPStatus, "queue_id", outcome.QueueID, "trace_id", outcome.TraceID)
	}
	d.keep(intake, task, "settle", func(ctx context.Context) error {
		_, err := d.Settlements.Settle(ctx, settlement)
		return err
	})
	d.react(ctx, task, lease, claim, outcome, probe)
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

// late says whether the call would begin too long after its claim was asked
// for, by the monotonic or the wall clock: the first one stops while a machine
// sleeps.
func (d *Dispatcher) late(started time.Time) bool {
	now := d.cfg.Clock()
	return now.Sub(started) > sendDeadline || now.Round(0).Sub(started.Round(0)) > sendDeadline
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
			return
		}
		log := d.Log.With("campaign_id", task.Campaign, "row", task.Seq, "what", what, "err", err)
		if code := campaign.CodeOf(err); code == campaign.CodeConflict || code == campaign.CodeNotFound {
			// The ledger has decided about the row; trying again changes nothing.
			log.WarnContext(ctx, "result not written, the row has moved on")
			return
		}
		if try == 1 {
			log.WarnContext(ctx, "result not written yet, will try again")
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
		d.pause(ctx, task.Campaign, outcome.Pause, outcome.Detail)
	case campaign.OutcomeUnavailable, campaign.OutcomeUnknown:
		outage := d.breaker.failed(probe)
		exhausted := outcome.Kind == campaign.OutcomeUnavailable && claim.Attempt%MaxAttempts == 0
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
		d.Log.ErrorContext(ctx, "campaign not paused", "campaign_id", id, "reason", reason, "err", err)
	}
}
