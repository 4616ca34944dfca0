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
	trouble := complaint{log: p.log, work: "asking for statuses"}
	for ctx.Err() == nil {
		asked, err := p.Round(ctx)
		if asked > 0 || err != nil { // nothing to ask is no sign of anything
			trouble.hear(ctx, err)
		}
		if asked == 0 || err != nil {
			rest(ctx, p.cfg.Idle, nil)
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
	evidence.Campaign, evidence.Seq = message.Campaign, message.Seq
	if evidence.Source == "" {
		evidence.Source = campaign.EvidencePoll
	}
	observation = campaign.Observation{Evidence: evidence, AskedAs: message.Status}
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
			observation.Unanswered = true
			observation.NextPoll = p.next(message, observation, now)
			return observation, true, err
		case campaign.CodeNotFound, campaign.CodeInvalid:
			observation.Unanswered = senderFault(err)
		default:
			observation.Unanswered = true
		}
		p.log.DebugContext(ctx, "status not learned", "campaign_id", message.Campaign, "row", message.Seq, "err", err)
	}
	observation.NextPoll = p.next(message, observation, now)
	return observation, true, nil
}

// next is when to ask for a message again; zero when that is over. One that was
// taken back is asked for from then on: if that came too late, it went out soon
// after. With the default schedule the last of campaign.RecallLooks requests is
// 35 s after the purge; a phone sends a message in 3 s (dossier §4.3). While the
// provider says that it has the message still, or says nothing, that is not known.
func (p *Poller) next(message campaign.Tracked, o campaign.Observation, now time.Time) time.Time {
	recalled := message.Status == campaign.StatusCanceled
	recall := campaign.Recall(message.Polls)
	switch {
	case message.Status.Merge(o.Status).Settled() && (!recalled || o.Status.Out()):
		return time.Time{}
	case !recalled:
		return p.cfg.Schedule.Next(message.QueuedAt, now, message.Polls+1)
	case o.Status.Out():
		return p.cfg.Schedule.Next(message.QueuedAt, now, recall.Requests()+1)
	}
	if recall = recall.After(o); recall.Over() {
		return time.Time{}
	}
	return p.cfg.Schedule.Again(now, recall.Requests())
}

// senderFault says whether the provider complains about our phone, and so about
// no message.
func senderFault(err error) bool {
	var fault interface{ SenderFault() bool }
	return errors.As(err, &fault) && fault.SenderFault()
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
