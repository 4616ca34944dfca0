package dispatcher

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/herald-campaigns/herald/campaign"
)

// Tasks delivers the tasks of one sender.
type Tasks interface {
	// Fetch waits a short while for up to limit tasks. It may return none.
	Fetch(ctx context.Context, limit int) ([]Delivery, error)
}

// Delivery is one delivery of a task, to be settled by exactly one verdict.
type Delivery interface {
	Task() campaign.Task
	// Deliveries is how often the stream has delivered this task, 1 at first.
	Deliveries() int
	// Settle tells the stream the verdict; after is the wait of VerdictLater.
	Settle(v campaign.Verdict, after time.Duration) error
}

// Claims writes the durable intent and decides whether a task may be sent.
type Claims interface {
	Claim(ctx context.Context, intent campaign.Intent) (campaign.Claim, error)
	// GiveBack returns a claimed row that was not sent.
	GiveBack(ctx context.Context, task campaign.Task, epoch int64) error
}

// Settlements writes what an attempt came to.
type Settlements interface {
	// Settle returns what the outcome came to: the row's status. Unknown for an
	// acceptance says that the answer proved none, as with a queue_id that
	// belongs to another row.
	Settle(ctx context.Context, s campaign.Settlement) (campaign.Status, error)
	// BlockSender remembers that the API asked the sender to wait.
	BlockSender(ctx context.Context, lease campaign.Lease, until time.Time) error
}

// Gateway makes one call of the send API.
type Gateway interface {
	// Send asks begin right before the first byte of the message leaves. An
	// error keeps it from leaving, and is OutcomeUnavailable. begin may be
	// called from any goroutine.
	Send(ctx context.Context, sender campaign.Sender, task campaign.Task, begin func() error) campaign.Outcome
}

// Pace says when the next call may go out.
type Pace interface {
	Wait(ctx context.Context) error
}

// Brake adjusts the pace to what the API answers.
type Brake interface {
	Accepted()
	// Throttled slows the sender after a 429; retryAfter is what the API asked
	// for, 0 when it did not say. It returns when the next call may go out.
	Throttled(retryAfter time.Duration) time.Time
	BlockUntil(t time.Time)
}

// Pauser stops a campaign with a reason a person can read.
type Pauser interface {
	Pause(ctx context.Context, id campaign.ID, reason campaign.PauseReason, detail string) error
}

// Config describes one sender's dispatcher.
type Config struct {
	Sender campaign.Sender
	Pace   campaign.Pace
	// GiveUp is how long the API may be away before the campaign pauses;
	// 2 minutes if zero.
	GiveUp time.Duration
	// Streak is how many calls in a row without an answer open the breaker;
	// 5 if zero.
	Streak int
	// FirstRetry bounds the wait before a recipient's second attempt, after a
	// first that certainly was not sent; the third may wait three times as
	// long. 10 s if zero.
	FirstRetry time.Duration
	// SendDeadline is how old a claim may be when the first byte of its message
	// leaves; 5 s if zero.
	SendDeadline time.Duration
	// Consumed is called whenever about a quarter second's worth of tasks has
	// been taken, so that the feeder can refill; may be nil.
	Consumed func()
	// Clock is time.Now if nil. Only tests set it.
	Clock func() time.Time

	settleTimeout time.Duration // the constant of that name if zero; tests shorten it
}

func (c Config) withDefaults() Config {
	if c.GiveUp <= 0 {
		c.GiveUp = 2 * time.Minute
	}
	if c.Streak <= 0 {
		c.Streak = 5
	}
	if c.FirstRetry <= 0 {
		c.FirstRetry = 10 * time.Second
	}
	if c.SendDeadline <= 0 {
		c.SendDeadline = sendDeadline
	}
	if c.Pace.InFlight <= 0 {
		c.Pace.InFlight = 1
	}
	if c.Consumed == nil {
		c.Consumed = func() {}
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.settleTimeout <= 0 {
		c.settleTimeout = settleTimeout
	}
	return c
}

// Deps are what a dispatcher works with.
type Deps struct {
	Tasks       Tasks
	Claims      Claims
	Settlements Settlements
	Gateway     Gateway
	Pace        Pace
	Brake       Brake
	Pauser      Pauser
	// Hold keeps the sender from beginning calls; a new one if nil.
	Hold *Hold
	// Rejections is shared by all dispatchers that send the same campaigns; a
	// new one if nil.
	Rejections *Rejections
	Log        *slog.Logger
}

// Dispatcher sends the tasks of one sender, at its pace, with at most
// Pace.InFlight calls under way.
type Dispatcher struct {
	Deps
	cfg     Config
	breaker *breaker
	slots   chan struct{} // one token per call that may be under way

	intents trouble // writing intents
	results trouble // writing outcomes
	slow    trouble // intents that take long to write
	late    trouble // intents too old for their call
	aside   trouble // tasks whose intent can never be written
	pauses  trouble // pauses that cannot be written
	vain    rounds  // hand-overs of rows whose intent can never be written
}

// New makes the dispatcher of one sender.
func New(deps Deps, cfg Config) *Dispatcher {
	cfg = cfg.withDefaults()
	if deps.Hold == nil {
		deps.Hold = NewHold()
	}
	if deps.Rejections == nil {
		deps.Rejections = NewRejections()
	}
	deps.Log = deps.Log.With("component", "dispatcher", "sender", cfg.Sender.ID)
	return &Dispatcher{
		Deps: deps, cfg: cfg,
		breaker: newBreaker(cfg.Streak, time.Second, time.Minute),
		slots:   make(chan struct{}, cfg.Pace.InFlight),
	}
}

// Run sends under the lease until ctx ends; held says whether the lease still
// is ours. When ctx ends no new call begins, and Run returns after those under
// way have been settled.
func (d *Dispatcher) Run(ctx context.Context, lease campaign.Lease, held func() bool) error {
	var calls sync.WaitGroup
	defer calls.Wait()
	limit := fetchBatch(d.cfg.Pace)
	consumed := 0
	for ctx.Err() == nil {
		deliveries, err := d.Tasks.Fetch(ctx, limit)
		if err != nil {
			if ctx.Err() == nil {
				d.Log.WarnContext(ctx, "no tasks fetched, will try again", "err", err)
				pause(ctx, time.Second)
			}
			continue
		}
		for i, delivery := range deliveries {
			probe, ok := d.admit(ctx)
			if !ok {
				d.returnAll(ctx, deliveries[i:])
				return nil
			}
			calls.Go(func() {
				defer d.leave()
				d.attempt(ctx, delivery, lease, held, probe)
			})
		}
		// A fetch may bring single tasks; each of them is no reason to look
		// for more.
		if consumed += len(deliveries); consumed >= limit {
			consumed = 0
			d.cfg.Consumed()
		}
	}
	return nil
}

// admit waits until one more call may go out: a free slot first, so that a
// grant of the limiter is used at once, then for whatever holds the sender. probe says that the call is the
// breaker's probe; ok is false when ctx ended.
func (d *Dispatcher) admit(ctx context.Context) (probe, ok bool) {
	select {
	case d.slots <- struct{}{}:
	case <-ctx.Done():
		return false, false
	}
	for d.Hold.Wait(ctx) == nil {
		probe, err := d.breaker.wait(ctx)
		if err != nil {
			break
		}
		paced := d.Pace.Wait(ctx) == nil
		// The pace may be slow: what came up meanwhile counts. The grant is
		// given up, so that the sender does not catch up after a hold.
		if paced && d.Hold.Open() {
			return probe, true
		}
		d.breaker.released(probe)
		if !paced {
			break
		}
	}
	<-d.slots
	return false, false
}

// returnAll gives tasks that nobody will send back to the stream at once, for
// the next holder of the sender; else they would be hidden until AckWait.
func (d *Dispatcher) returnAll(ctx context.Context, deliveries []Delivery) {
	for _, delivery := range deliveries {
		if err := delivery.Settle(campaign.VerdictLater, 0); err != nil {
			d.Log.DebugContext(ctx, "task not returned to the stream", "err", err)
		}
	}
}

func (d *Dispatcher) leave() {
	<-d.slots
}

// fetchBatch is what the sender sends in a quarter of a second, at most 256;
// a slow sender takes no more than it can have under way (stream page §2).
func fetchBatch(p campaign.Pace) int {
	if p.Rate.Unlimited {
		return 256
	}
	return min(max(int(p.Rate.PerSecond()/4), p.InFlight, 1), 256)
}
