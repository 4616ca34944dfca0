package notices

import (
	"cmp"
	"context"
	"log/slog"
	"net"
	"slices"
	"time"

	"github.com/herald-campaigns/herald/campaign"
)

// Outbox has the notices that are still to be delivered.
type Outbox interface {
	// NoticeQueues are the URLs for which there are any, due or not.
	NoticeQueues(ctx context.Context) ([]campaign.NoticeQueue, error)
	// DueNotices are those for a URL whose time has come, in the order they were
	// written, at most limit.
	DueNotices(ctx context.Context, url string, now time.Time, limit int) ([]campaign.Notice, error)
}

// Marks keeps what became of attempts.
type Marks interface {
	NoticesDelivered(ctx context.Context, delivered []campaign.Delivered) error
}

// Config is what a Sender works with.
type Config struct {
	Outbox Outbox
	Marks  Marks
	// Secret signs. It must be a valid one (LoadSecret).
	Secret Secret
	// AllowPrivate lets notices go to private addresses. Loopback URLs always
	// work; link-local addresses never.
	AllowPrivate bool
	// Speed divides the waits of the schedule; 1 if 0.
	Speed float64
	// PerHost is how many notices are on their way to one host at a time; 4 if 0.
	PerHost int
	// Logger is told what went wrong; nil: nobody.
	Logger *slog.Logger

	resolver *net.Resolver // of tests
}

// Sender delivers notices. Its methods may be called from any goroutine.
type Sender struct {
	cfg    Config
	log    *slog.Logger
	post   func(context.Context, campaign.Notice) campaign.Delivered
	close  func()
	poked  chan struct{}
	drains chan drain
}

// drain is somebody who waits for the end.
type drain struct {
	deadline time.Time
	done     chan bool // buffered: whoever waited may be gone
}

const (
	dueLimit  = 64 // of one URL
	maxFlying = 64
	lookEvery = 5 * time.Second       // other processes write notices too
	lookAgain = time.Second           // while something is under way, or a mark failed
	lookSoon  = 50 * time.Millisecond // at the earliest
	lastMarks = 3 * time.Second       // to write what is known at the end
)

// New makes a sender. The error says that the secret is none.
func New(cfg Config) (*Sender, error) {
	if cfg.Speed <= 0 {
		cfg.Speed = 1
	}
	if cfg.PerHost <= 0 {
		cfg.PerHost = 4
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	courier, err := newCourier(cfg)
	if err != nil {
		return nil, err
	}
	return &Sender{
		cfg: cfg, log: cfg.Logger, post: courier.deliver, close: courier.close,
		poked: make(chan struct{}, 1), drains: make(chan drain),
	}, nil
}

// Poke says that there may be new notices. It never blocks.
func (s *Sender) Poke() {
	select {
	case s.poked <- struct{}{}:
	default:
	}
}

// Drain returns when nothing is left that could be delivered within the timeout,
// or after it, and says whether everything is delivered or given up. What is
// left is delivered by the next Run, of whatever process. It needs a Run.
func (s *Sender) Drain(ctx context.Context, timeout time.Duration) (empty bool) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	d := drain{deadline: time.Now().Add(timeout), done: make(chan bool, 1)}
	select {
	case s.drains <- d:
	case <-ctx.Done():
		return false
	}
	select {
	case empty = <-d.done:
		return empty
	case <-ctx.Done():
		return false
	}
}

// Run delivers until the context ends. Attempts under way are cut then; those
// that were answered are written down all the same.
func (s *Sender) Run(ctx context.Context) {
	defer s.close()
	desk := &desk{
		Sender: s, flying: make(map[string]campaign.Notice), landed: make(chan campaign.Delivered, maxFlying),
		away: make(absences),
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-s.poked:
		case <-timer.C:
		case d := <-s.drains:
			desk.drains = append(desk.drains, d)
		case d := <-desk.landed:
			desk.settle(ctx, d)
		}
		if ctx.Err() == nil {
			timer.Reset(desk.turn(ctx))
		}
	}
	desk.finish(context.WithoutCancel(ctx))
}

// desk is the state of one Run.
type desk struct {
	*Sender
	flying   map[string]campaign.Notice // by id: under way, or answered and not marked yet
	landed   chan campaign.Delivered
	unmarked []campaign.Delivered
	drains   []drain
	inAir    int
	away     absences
	told     string // why notices were not taken, as it was said last
}

// turn writes down what landed, lets off what is due, and says how long nothing
// else is to be done.
func (d *desk) turn(ctx context.Context) time.Duration {
	d.mark(ctx)
	queues, err := d.cfg.Outbox.NoticeQueues(ctx)
	if err == nil {
		err = d.begin(ctx, queues)
	}
	if err != nil {
		d.log.Error("cannot read the notices that are due", slog.Any("err", err))
		return lookAgain
	}
	next, more := d.next(queues)
	d.endDrains(next, more)
	wait := lookEvery
	if more {
		wait = max(min(wait, time.Until(next)), lookSoon)
	}
	if len(d.flying) > 0 {
		// What is due is under way, or waits for it: that will wake us.
		wait = max(wait, lookAgain)
	}
	return wait
}

// settle takes what an attempt came to, with all others that are there.
func (d *desk) settle(ctx context.Context, first campaign.Delivered) {
	for {
		d.inAir--
		d.unmarked = append(d.unmarked, first)
		d.away.learn(d.flying[first.ID], first, d.cfg.Speed)
		if first.Failed != "" {
			d.tell(ctx, first)
		} else {
			d.told = ""
		}
		select {
		case first = <-d.landed:
		default:
			return
		}
	}
}

// tell says once that notices are not taken, and again when the reason is
// another one or a notice is given up: a receiver that is away for a day is one
// piece of news.
func (d *desk) tell(ctx context.Context, failed campaign.Delivered) {
	level := slog.LevelDebug
	if failed.Done || failed.Failed != d.told {
		level, d.told = slog.LevelWarn, failed.Failed
	}
	d.log.Log(ctx, level, "notices are not taken by their receiver, will try again", slog.String("notice", failed.ID),
		slog.String("reason", failed.Failed), slog.Bool("given_up", failed.Done))
}

// mark writes down what became of attempts. While that fails they count as under
// way, so that nothing is repeated that need not be.
func (d *desk) mark(ctx context.Context) {
	if len(d.unmarked) == 0 {
		return
	}
	if err := d.cfg.Marks.NoticesDelivered(ctx, d.unmarked); err != nil {
		d.log.Error("cannot write down which notices were delivered", slog.Any("err", err))
		return
	}
	for _, done := range d.unmarked {
		delete(d.flying, done.ID)
	}
	d.unmarked = d.unmarked[:0]
}

// next is when something is due to a host that is not left alone; more: there
// is any at all.
func (d *desk) next(queues []campaign.NoticeQueue) (next time.Time, more bool) {
	for _, q := range queues {
		at := q.Next
		if until := d.away[hostOf(q.URL)].until; until.After(at) {
			at = until
		}
		if !more || at.Before(next) {
			next, more = at, true
		}
	}
	return next, more
}

// begin lets off what is due: of each URL in order, and of all URLs in turn,
// those first that have the least under way, so that none waits for another
// one's receiver. A notice that must wait holds those of its campaign behind it.
func (d *desk) begin(ctx context.Context, queues []campaign.NoticeQueue) error {
	if len(d.flying) >= maxFlying {
		return nil
	}
	r := round{hosts: make(map[string]int), lanes: make(map[campaign.ID]lane)}
	urls := make(map[string]int)
	for _, n := range d.flying {
		r.hosts[hostOf(n.URL)]++
		r.lanes[n.Campaign] = r.lanes[n.Campaign].with(n)
		urls[n.URL]++
	}
	now := time.Now()
	for _, q := range queues {
		host := hostOf(q.URL)
		free := d.away[host].room(d.cfg.PerHost)
		if q.Next.After(now) || d.away[host].until.After(now) || r.hosts[host] >= free {
			continue
		}
		due, err := d.cfg.Outbox.DueNotices(ctx, q.URL, now, dueLimit)
		if err != nil {
			return err
		}
		due = slices.DeleteFunc(due, func(n campaign.Notice) bool { _, flies := d.flying[n.ID]; return flies })
		r.queues = append(r.queues, &queue{host: host, room: free, flying: urls[q.URL], since: q.Next, due: due})
	}
	slices.SortStableFunc(r.queues, func(a, b *queue) int {
		return cmp.Or(cmp.Compare(a.flying, b.flying), a.since.Compare(b.since))
	})
	for n := range r.inTurn() {
		d.flying[n.ID] = n
		d.inAir++
		go func() { d.landed <- d.post(ctx, n) }()
		if len(d.flying) >= maxFlying {
			break
		}
	}
	return nil
}

// endDrains lets those go for whom nothing more can be done.
func (d *desk) endDrains(next time.Time, more bool) {
	if len(d.flying) > 0 {
		return
	}
	left := d.drains[:0]
	for _, waiting := range d.drains {
		if more && !next.After(waiting.deadline) {
			left = append(left, waiting)
			continue
		}
		waiting.done <- !more
	}
	d.drains = left
}

// finish waits for the attempts that were cut and writes down those that were
// answered. A failure is not: it may be our own going.
func (d *desk) finish(ctx context.Context) {
	for d.inAir > 0 {
		if landed := <-d.landed; landed.Done {
			d.unmarked = append(d.unmarked, landed)
		}
		d.inAir--
	}
	ctx, cancel := context.WithTimeout(ctx, lastMarks)
	defer cancel()
	d.mark(ctx)
	for _, waiting := range d.drains {
		waiting.done <- false
	}
}
