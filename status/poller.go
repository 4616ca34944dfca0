package status

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/herald-campaigns/herald/campaign"
)

// Ledger knows which messages are due to be asked for, and takes what was
// learned.
type Ledger interface {
	// DuePolls lists the messages due at now, the longest due first: of the
	// given campaigns, or of all.
	DuePolls(ctx context.Context, now time.Time, limit int, ids ...campaign.ID) ([]campaign.Tracked, error)
	Observe(ctx context.Context, observations []campaign.Observation) error
}

// Provider asks for the status of one message. Evidence with an empty status
// means that nothing was learned yet.
type Provider interface {
	Status(ctx context.Context, sender campaign.Sender, message campaign.Tracked) (campaign.Evidence, error)
}

// Budget keeps status requests from starving sends: it is the poller's own.
type Budget interface {
	Wait(ctx context.Context) error
	BlockUntil(t time.Time)
}

// Config sizes the poller.
type Config struct {
	Schedule Schedule
	// InFlight is how many requests may be under way; 4 if zero.
	InFlight int
	// Idle is how long to wait when nothing is due; 250 ms if zero.
	Idle time.Duration
	// Clock is time.Now if nil. Only tests set it.
	Clock func() time.Time
}

func (c Config) withDefaults() Config {
	c.Schedule = c.Schedule.withDefaults()
	if c.InFlight <= 0 {
		c.InFlight = 4
	}
	if c.Idle <= 0 {
		c.Idle = 250 * time.Millisecond
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	return c
}

// Poller follows accepted messages by asking for their status on a schedule
// that backs off, within its own request budget.
type Poller struct {
	ledger   Ledger
	provider Provider
	budget   Budget
	log      *slog.Logger
	cfg      Config
}

// New makes a poller.
func New(ledger Ledger, provider Provider, budget Budget, log *slog.Logger, cfg Config) *Poller {
	return &Poller{ledger: ledger, provider: provider, budget: budget, log: log.With("component", "poller"), cfg: cfg.withDefaults()}
}

// Run polls until ctx ends. Trouble is logged and tried again; it never ends
// the following of a message.
func (p *Poller) Run(ctx context.Context) {
	failing := false
	for ctx.Err() == nil {
		asked, err := p.Round(ctx)
		switch {
		case ctx.Err() != nil:
		case err != nil && !failing:
			p.log.WarnContext(ctx, "status round cut short, will try again until it works", "err", err)
			failing = true
		case err != nil: // said once, an outage need not be said every two seconds
			p.log.DebugContext(ctx, "status round cut short again", "err", err)
		case failing && asked > 0:
			p.log.WarnContext(ctx, "status rounds work again")
			failing = false
		}
		if asked == 0 || err != nil {
			rest(ctx, p.cfg.Idle)
		}
	}
}

// Round asks once for each message that is due, up to a batch, folds what it
// learned into the ledger, and says how many it asked for.
func (p *Poller) Round(ctx context.Context) (int, error) {
	batch := 16 * p.cfg.InFlight
	due, err := p.ledger.DuePolls(ctx, p.cfg.Clock(), batch)
	if err != nil {
		return 0, fmt.Errorf("list messages due: %w", err)
	}
	observations, askErr := p.ask(ctx, due)
	if len(observations) == 0 {
		return 0, askErr
	}
	// What was learned is kept even when the process is stopping.
	keep, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	if err := p.ledger.Observe(keep, observations); err != nil {
		return 0, fmt.Errorf("fold %d observations: %w", len(observations), err)
	}
	return len(observations), askErr
}

// ask makes the requests, at most InFlight at a time, and collects what they
// told. The first trouble that is not one message's ends the round; requests
// under way come to their end.
func (p *Poller) ask(ctx context.Context, due []campaign.Tracked) ([]campaign.Observation, error) {
	asking, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var (
		mu           sync.Mutex
		observations []campaign.Observation
		requests     sync.WaitGroup
		slots        = make(chan struct{}, p.cfg.InFlight)
	)
	for _, message := range due {
		slots <- struct{}{}
		if asking.Err() != nil || p.budget.Wait(asking) != nil {
			<-slots
			break
		}
		requests.Go(func() {
			defer func() { <-slots }()
			observation, learned, err := p.observe(ctx, message)
			if err != nil {
				stop(err)
			}
			if learned {
				mu.Lock()
				observations = append(observations, observation)
				mu.Unlock()
			}
		})
	}
	requests.Wait()
	if cause := context.Cause(asking); cause != nil && ctx.Err() == nil {
		return observations, cause
	}
	return observations, nil
}

// observe asks for one message. learned says whether its next request moves;
// an error means that asking further makes no sense now.
func (p *Poller) observe(ctx context.Context, message campaign.Tracked) (observation campaign.Observation, learned bool, err error) {
	evidence, err := p.provider.Status(ctx, message.Sender, message)
	now := p.cfg.Clock()
	next := p.cfg.Schedule.Next(message.QueuedAt, now, message.Polls+1)
	if err != nil {
		switch campaign.CodeOf(err) {
		case campaign.CodeThrottled:
			p.budget.BlockUntil(now.Add(retryAfter(err)))
			return campaign.Observation{}, false, err
		case campaign.CodeUnauthorized:
			p.budget.BlockUntil(now.Add(2 * time.Second))
			return campaign.Observation{}, false, err
		case campaign.CodeUnavailable:
			if ctx.Err() != nil { // we hung up
				return campaign.Observation{}, false, err
			}
			// Everybody waits, but this message goes behind the others: it may be
			// the one that the provider stumbles over.
			p.budget.BlockUntil(now.Add(2 * time.Second))
			unanswered := campaign.Evidence{Campaign: message.Campaign, Seq: message.Seq, Source: campaign.EvidencePoll}
			return campaign.Observation{Evidence: unanswered, NextPoll: next}, true, err
		default:
			p.log.DebugContext(ctx, "status not learned", "campaign_id", message.Campaign, "row", message.Seq, "err", err)
		}
	}
	evidence.Campaign, evidence.Seq = message.Campaign, message.Seq
	if evidence.Source == "" {
		evidence.Source = campaign.EvidencePoll
	}
	if message.Status.Merge(evidence.Status).Settled() {
		next = time.Time{}
	}
	return campaign.Observation{Evidence: evidence, NextPoll: next}, true, nil
}

// retryAfter is how long the provider asked to wait; a second when it did not
// say.
func retryAfter(err error) time.Duration {
	var asked interface{ RetryAfter() time.Duration }
	if errors.As(err, &asked) && asked.RetryAfter() > 0 {
		return asked.RetryAfter()
	}
	return time.Second
}

func rest(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
