package status

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/herald-campaigns/herald/campaign"
)

// Deliveries is the webhook deliveries the ledger keeps.
type Deliveries interface {
	// Deliveries is those nobody has looked at yet, in the order of arrival.
	Deliveries(ctx context.Context, limit int) ([]campaign.Delivery, error)
	// Parked is those that wait for a row, in the order of arrival: with a number
	// above after.
	Parked(ctx context.Context, limit int, after int64) ([]campaign.Delivery, error)
	// ForgetDeliveries drops those that have waited for longer than
	// campaign.ParkFor, and says how many.
	ForgetDeliveries(ctx context.Context, now time.Time) (dropped int64, err error)
}

// Reader makes news of the body of a delivery.
type Reader func(body []byte) (campaign.News, error)

// InboxConfig sizes the inbox. The zero value of everything is its default.
type InboxConfig struct {
	Batch int           // deliveries folded in one transaction; 256
	Idle  time.Duration // how often the ledger is asked without being poked; 500 ms
	// Retries says when parked deliveries are tried again: those that have
	// waited for less than Until, every Every; each second in the first minute,
	// then each minute in the first hour, then each half hour.
	Retries []Retry
	// Confirms is when a failure that the provider does not confirm yet is asked
	// about again, the last wait repeating; 5 and 30 s, 5 and 30 min.
	Confirms []time.Duration
	Clock    func() time.Time // time.Now if nil
}

// Retry is how often parked deliveries of an age are tried again.
type Retry struct{ Until, Every time.Duration }

func (c InboxConfig) withDefaults() InboxConfig {
	c.Batch = cmp.Or(c.Batch, 256)
	c.Idle = cmp.Or(c.Idle, 500*time.Millisecond)
	if len(c.Retries) == 0 {
		c.Retries = []Retry{{time.Minute, time.Second}, {time.Hour, time.Minute}, {2 * campaign.ParkFor, 30 * time.Minute}}
	}
	if len(c.Confirms) == 0 {
		c.Confirms = []time.Duration{5 * time.Second, 30 * time.Second, 5 * time.Minute, 30 * time.Minute}
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	return c
}

// forgetEvery is how often what has waited too long is dropped.
const forgetEvery = 10 * time.Minute

// Inbox folds webhook deliveries into the ledger. They were kept durably when
// they came, so a crash costs nothing: whatever was not folded is read again,
// and folding twice changes nothing.
//
// A delivery about a message that no row has is parked: it may have come before
// our own commit. It is tried again until campaign.ParkFor is over. Our own
// message among them is offered to the reconciler meanwhile, for it may be that
// of a row whose answer was lost.
//
// A failure that a webhook tells of is folded when the provider confirms it: its
// status is asked for, and the answer is what counts, whatever it is. Until
// there is one the delivery is parked. The provider is asked beside the folding,
// which never waits for it: an opt-out may be behind a thousand failures. When the provider does not know the
// message any more nobody can confirm or deny it, and the webhook's word is
// taken; proof of sending that comes later still wins over it.
type Inbox struct {
	ledger   Deliveries
	read     Reader
	desk     *Desk
	provider Provider
	budget   Budget
	log      *slog.Logger
	cfg      InboxConfig
	poked    chan struct{}

	mu     sync.Mutex // one round at a time; guards what follows
	tiers  []tier
	forgot time.Time

	doubting sync.Mutex // guards what follows
	doubts   map[int64]doubtful
	asking   []int64 // the deliveries to ask about, each once
	doubted  chan struct{}

	counting sync.Mutex
	stats    Stats
}

// tier is one Retry under way.
type tier struct {
	Retry

	due    time.Time
	after  int64 // everything up to this number has waited too long for it
	cursor int64 // how far the pass has come; 0 between passes
}

// doubtful is a failure that is still to be confirmed.
type doubtful struct {
	next   time.Time
	tries  int
	asking bool // it stands in line
}

// maxDoubts is how many failures are known to be in doubt. What is beyond stays
// parked in the ledger, and gets its turn when it is tried again.
const maxDoubts = 1 << 16

// NewInbox makes an inbox. provider confirms failures within the budget.
func NewInbox(ledger Deliveries, read Reader, desk *Desk, provider Provider, budget Budget, log *slog.Logger, cfg InboxConfig) *Inbox {
	b := &Inbox{
		ledger: ledger, read: read, desk: desk, provider: provider, budget: budget, log: log.With("component", "inbox"),
		cfg: cfg.withDefaults(), poked: make(chan struct{}, 1), doubts: map[int64]doubtful{}, doubted: make(chan struct{}, 1),
	}
	for _, retry := range b.cfg.Retries {
		b.tiers = append(b.tiers, tier{Retry: retry})
	}
	return b
}

// Poke says that deliveries have come. It never waits.
func (b *Inbox) Poke() {
	select {
	case b.poked <- struct{}{}:
	default: // it knows already
	}
}

// Run folds, and has failures confirmed, until ctx ends. Trouble is logged and
// tried again.
func (b *Inbox) Run(ctx context.Context) {
	var confirming sync.WaitGroup
	confirming.Go(func() { b.runConfirm(ctx) })
	defer confirming.Wait()
	trouble := complaint{log: b.log, work: "reading webhook deliveries"}
	for ctx.Err() == nil {
		n, err := b.Round(ctx)
		trouble.hear(ctx, err)
		switch {
		case err != nil:
			rest(ctx, b.cfg.Idle, nil)
		case n == 0:
			rest(ctx, b.cfg.Idle, b.poked)
		}
	}
}

// Round looks at one batch of new deliveries and at one of those parked ones
// that are due, and says how many it looked at. It never waits for the provider.
func (b *Inbox) Round(ctx context.Context) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	fresh, err := b.ledger.Deliveries(ctx, b.cfg.Batch)
	if err != nil {
		return 0, fmt.Errorf("list deliveries: %w", err)
	}
	if err := b.take(ctx, fresh); err != nil {
		return 0, err
	}
	again, err := b.retry(ctx)
	if err != nil {
		return len(fresh), err
	}
	return len(fresh) + again, b.forget(ctx)
}

// take folds deliveries that nobody has looked at.
func (b *Inbox) take(ctx context.Context, fresh []campaign.Delivery) error {
	if len(fresh) == 0 {
		return nil
	}
	readings, err := b.open(ctx, fresh)
	if err != nil {
		return err
	}
	for _, r := range readings {
		if len(r.foldings) == 0 {
			r.foldings = []campaign.Folding{{Delivery: r.delivery, Park: r.park}}
		}
		if r.fate == fatePhone && b.desk.cfg.Look != nil {
			b.desk.cfg.Look(r.sender, *r.news.Phone)
		}
	}
	if err := b.fold(ctx, readings); err != nil {
		return err
	}
	b.count(func(s *Stats) {
		for _, r := range readings {
			s.add(r)
		}
	})
	b.doubt(readings)
	return nil
}

// open reads deliveries and finds out what they come to. A body that cannot be
// read comes to nothing.
func (b *Inbox) open(ctx context.Context, list []campaign.Delivery) ([]*reading, error) {
	readings := make([]*reading, len(list))
	for i, delivery := range list {
		r := &reading{delivery: delivery.N, received: delivery.Received}
		readings[i] = r
		news, err := b.read(delivery.Body)
		if err != nil {
			b.count(func(s *Stats) { s.Unreadable++ })
			b.log.WarnContext(ctx, "a webhook delivery cannot be read and is dropped", "delivery", delivery.N, "err", err)
			continue
		}
		r.news = news
	}
	return readings, b.desk.read(ctx, readings)
}

// fold writes the readings. When the ledger refuses some it takes the others: no
// delivery may stand in the way of those behind it.
func (b *Inbox) fold(ctx context.Context, readings []*reading) error {
	err := b.desk.fold(ctx, readings)
	if err == nil || ctx.Err() != nil {
		return err
	}
	for _, r := range readings {
		if len(r.foldings) == 0 || b.desk.fold(ctx, []*reading{r}) == nil {
			continue
		}
		// If it can be parked, the ledger works, and it is the delivery.
		parked := &reading{foldings: []campaign.Folding{{Delivery: r.delivery, Park: true}}}
		if b.desk.fold(ctx, []*reading{parked}) != nil {
			return err
		}
		b.count(func(s *Stats) { s.Refused++ })
		b.log.WarnContext(ctx, "the ledger does not take a webhook delivery; it is kept for a while", "delivery", r.delivery, "event", r.news.Name, "err", err)
	}
	return nil
}

// retry tries one batch of parked deliveries again, of the first tier that is
// due, and says how many that were. None: nothing is due.
func (b *Inbox) retry(ctx context.Context) (int, error) {
	now := b.cfg.Clock()
	for i := range b.tiers {
		t := &b.tiers[i]
		if now.Before(t.due) {
			continue
		}
		page, err := b.ledger.Parked(ctx, b.cfg.Batch, max(t.after, t.cursor))
		if err != nil {
			return 0, fmt.Errorf("list parked deliveries: %w", err)
		}
		if len(page) < b.cfg.Batch { // the end of the pass
			t.due, t.cursor = now.Add(t.Every), 0
		} else {
			t.cursor = page[len(page)-1].N
		}
		var young []campaign.Delivery
		for _, delivery := range page {
			if now.Sub(delivery.Parked) < t.Until {
				young = append(young, delivery)
			} else if len(young) == 0 {
				t.after = delivery.N
			}
		}
		if err := b.again(ctx, young); err != nil {
			return 0, err
		}
		if t.cursor > 0 {
			return len(page), nil
		}
	}
	return 0, nil
}

// again folds what can be by now of deliveries that are parked.
func (b *Inbox) again(ctx context.Context, parked []campaign.Delivery) error {
	if len(parked) == 0 {
		return nil
	}
	readings, err := b.open(ctx, parked)
	if err != nil {
		return err
	}
	b.doubt(readings)
	var found []*reading
	for _, r := range readings {
		switch {
		case r.park: // nothing new
			continue
		case len(r.foldings) == 0:
			r.foldings = []campaign.Folding{{Delivery: r.delivery}}
		}
		found = append(found, r)
	}
	if err := b.fold(ctx, found); err != nil {
		return err
	}
	adopted, err := b.desk.offer(ctx, readings)
	b.count(func(s *Stats) {
		s.Adopted += int64(adopted)
		for _, r := range found {
			s.Found++
			s.kind(r)
		}
	})
	return err
}

// forget drops now and then what has waited too long.
func (b *Inbox) forget(ctx context.Context) error {
	now := b.cfg.Clock()
	if !b.forgot.IsZero() && now.Sub(b.forgot) < forgetEvery {
		return nil
	}
	dropped, err := b.ledger.ForgetDeliveries(ctx, now)
	if err != nil {
		return errors.Join(errForget, err)
	}
	b.forgot = now
	b.forgetDoubts(now)
	if dropped > 0 {
		b.count(func(s *Stats) { s.Dropped += dropped })
		b.log.InfoContext(ctx, "webhook deliveries about messages that are not ours were dropped", "deliveries", dropped)
	}
	return nil
}

var errForget = errors.New("forget old deliveries")
