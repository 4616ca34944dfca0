package status

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/herald-campaigns/herald/campaign"
)

// SweepLedger is the ledger as the sweeper uses it.
type SweepLedger interface {
	Marks
	// PollWatches is the poll messages of a campaign that the provider took, in
	// row order behind a row.
	PollWatches(ctx context.Context, id campaign.ID, after int64, limit int) ([]campaign.PollWatch, error)
}

// MessageLists is where the provider shows everybody's messages. Errors have a
// campaign.Code; CodeNotFound says that there is no such list, CodeInvalid that
// it is too long to be read whole.
type MessageLists interface {
	// EachMessage shows what the messages of all chats tell that were written in a
	// time, each once; before is asked before each request.
	EachMessage(
		ctx context.Context, sender campaign.Sender, from, to time.Time, before func(context.Context) error, show func(campaign.News),
	) error
	// PollNews asks for one poll message and its votes.
	PollNews(ctx context.Context, sender campaign.Sender, poll campaign.PollWatch) (campaign.News, error)
}

// Charges says what there is to look after at the moment.
type Charges interface {
	// Senders is the phones whose chats are looked through for replies.
	Senders(ctx context.Context) ([]campaign.Sender, error)
	// Polls is the campaigns whose votes are still asked for.
	Polls(ctx context.Context) ([]campaign.ID, error)
}

// SweeperConfig sizes the sweeper. The zero value of every duration is its
// default.
type SweeperConfig struct {
	Every   time.Duration // how often a phone's messages are looked through; 3 min
	Overlap time.Duration // how far behind the last look the next one begins; 5 min
	First   time.Duration // how far back the first look of a phone goes; campaign.ReplyWindow
	Span    time.Duration // the longest time that one look asks for; 24 h
	// Votes is how long after a poll message was taken its votes are asked for;
	// then each hour. 1, 5, 15 and 60 min.
	Votes  []time.Duration
	Window time.Duration // after which nobody is expected to vote any more; 72 h
	// Speed divides every wait; above 1 only for a sandbox that runs faster than
	// life. 1 if zero.
	Speed float64
	Idle  time.Duration // how often it looks whether anything is due; 1 s
	Clock func() time.Time
}

func (c SweeperConfig) withDefaults() SweeperConfig {
	c.Every = cmp.Or(c.Every, 3*time.Minute)
	c.Overlap = cmp.Or(c.Overlap, 5*time.Minute)
	c.First = cmp.Or(c.First, campaign.ReplyWindow)
	c.Span = cmp.Or(c.Span, 24*time.Hour)
	c.Window = cmp.Or(c.Window, 72*time.Hour)
	c.Speed = cmp.Or(c.Speed, 1)
	c.Idle = cmp.Or(c.Idle, time.Second)
	if len(c.Votes) == 0 {
		c.Votes = []time.Duration{time.Minute, 5 * time.Minute, 15 * time.Minute, time.Hour}
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	return c
}

func (c SweeperConfig) fast(d time.Duration) time.Duration {
	return time.Duration(float64(d) / c.Speed)
}

const (
	sweepBatch = 256 // pieces of news folded in one transaction
	watchPage  = 500 // poll messages looked at in one go
	// fewVotes is up to how many poll messages are asked for one by one even when
	// there is a list.
	fewVotes = 4
	// sendLag is how long after it was taken a message may be written.
	sendLag = 15 * time.Minute
	// shortest is the shortest time that a list which is too long is asked for.
	shortest = time.Minute
	// noListFor is when it is tried again whether there is a list.
	noListFor = time.Hour
)

// Sweeper looks through the provider's lists for what no webhook brought:
// replies, votes, and how our messages fare. All of it goes over the same desk
// as webhook deliveries, so that a message that comes both ways is one. It has a
// budget of its own, so that looking never keeps from sending.
type Sweeper struct {
	ledger  SweepLedger
	lists   MessageLists
	charges Charges
	desk    *Desk
	budget  Budget
	log     *slog.Logger
	cfg     SweeperConfig

	mu    sync.Mutex // one round at a time; guards what follows
	lines map[campaign.SenderID]*sweepLine
}

// sweepLine is what is known of one sender's lists.
type sweepLine struct {
	noList    bool // there is none to look through
	span      time.Duration
	notBefore time.Time // after trouble
	trouble   string    // what was said last, so that it is said once
}

// NewSweeper makes a sweeper.
func NewSweeper(ledger SweepLedger, lists MessageLists, charges Charges, desk *Desk, budget Budget, log *slog.Logger, cfg SweeperConfig) *Sweeper {
	return &Sweeper{
		ledger: ledger, lists: lists, charges: charges, desk: desk, budget: budget, log: log.With("component", "sweeper"),
		cfg: cfg.withDefaults(), lines: map[campaign.SenderID]*sweepLine{},
	}
}

// Run looks until ctx ends. Trouble is logged and tried again.
func (s *Sweeper) Run(ctx context.Context) {
	failing := false
	for ctx.Err() == nil {
		err := s.Round(ctx)
		if err != nil && ctx.Err() == nil && !failing {
			s.log.WarnContext(ctx, "messages could not be looked through, will try again until it works", "err", err)
		}
		failing = err != nil
		rest(ctx, s.cfg.Idle)
	}
}

// Round looks once for whatever is due. An error of the ledger ends it; one of
// the provider puts that sender off and is logged, not returned, unless ctx
// ended.
func (s *Sweeper) Round(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	senders, err := s.charges.Senders(ctx)
	if err != nil {
		return fmt.Errorf("list senders: %w", err)
	}
	polls, err := s.charges.Polls(ctx)
	if err != nil {
		return fmt.Errorf("list polls: %w", err)
	}
	for _, sender := range senders {
		if err := s.attend(ctx, sender, func() error { return s.replies(ctx, sender) }); err != nil {
			return err
		}
	}
	for _, id := range polls {
		for _, sender := range senders {
			if err := s.attend(ctx, sender, func() error { return s.votes(ctx, sender, id) }); err != nil {
				return err
			}
		}
	}
	return nil
}

// attend does something for a sender, unless that is put off.
func (s *Sweeper) attend(ctx context.Context, sender campaign.Sender, do func() error) error {
	l := s.line(sender.ID)
	now := s.cfg.Clock()
	if now.Before(l.notBefore) {
		return nil
	}
	err := do()
	var trouble *troubleError
	switch {
	case err == nil && l.trouble != "":
		s.log.WarnContext(ctx, "messages can be looked through again", "sender", sender.ID)
		l.trouble = ""
	case err == nil:
	case ctx.Err() != nil || !errors.As(err, &trouble):
		return err
	default:
		wait := 5 * time.Second
		if code := campaign.CodeOf(trouble.err); code == campaign.CodeThrottled || code == campaign.CodeUnauthorized {
			wait = max(2*time.Second, retryAfter(trouble.err))
			s.budget.BlockUntil(now.Add(wait))
		}
		l.notBefore = now.Add(wait)
		if said := trouble.what + " " + string(campaign.CodeOf(trouble.err)); l.trouble != said {
			s.log.WarnContext(ctx, "looking through messages waits until the provider can be asked", "sender", sender.ID, "what", trouble.what, "err", trouble.err)
			l.trouble = said
		}
	}
	return nil
}

// answered is the code of the provider's error; "" for one of the ledger.
func answered(err error) campaign.Code {
	var trouble *troubleError
	if !errors.As(err, &trouble) {
		return ""
	}
	return campaign.CodeOf(trouble.err)
}

func (s *Sweeper) line(sender campaign.SenderID) *sweepLine {
	l, ok := s.lines[sender]
	if !ok {
		l = &sweepLine{span: s.cfg.Span}
		s.lines[sender] = l
	}
	return l
}

// replies looks through the messages of all chats of a phone since the last
// look, and a little before it: what is written in between may be listed late.
func (s *Sweeper) replies(ctx context.Context, sender campaign.Sender) error {
	sweep, err := s.ledger.Sweep(ctx, sender.ID, campaign.SweepReplies, "")
	if err != nil {
		return fmt.Errorf("read a sweep: %w", err)
	}
	began, l := s.cfg.Clock(), s.line(sender.ID)
	if began.Before(sweep.Next) {
		return nil
	}
	sweep.Sender, sweep.Kind = sender, campaign.SweepReplies
	from := began.Add(-s.cfg.First)
	if !sweep.Mark.IsZero() {
		from = sweep.Mark.Add(-s.cfg.Overlap)
	}
	for from.Before(began) {
		to := from.Add(l.span)
		last := !to.Before(began)
		until := to
		if last { // what is written while we look may as well be taken
			to, until = began, time.Time{}
		}
		switch err := s.look(ctx, sender, from, until, nil); {
		case answered(err) == campaign.CodeNotFound:
			return s.without(ctx, sweep, began)
		case answered(err) == campaign.CodeInvalid && l.span > shortest:
			l.span = max(shortest, l.span/2)
			continue
		case answered(err) == campaign.CodeInvalid:
			s.log.WarnContext(ctx, "a phone has more messages than can be looked through; replies can only come by webhook for that time", "sender", sender.ID, "from", from, "to", to)
		case err != nil:
			return err
		}
		sweep.Mark = to
		if !last {
			if err := s.ledger.PutSweep(ctx, sweep); err != nil {
				return fmt.Errorf("keep a sweep: %w", err)
			}
		}
		from = to
	}
	l.span, l.noList = s.cfg.Span, false
	sweep.Next, sweep.Times = began.Add(s.cfg.fast(s.cfg.Every)), sweep.Times+1
	if err := s.ledger.PutSweep(ctx, sweep); err != nil {
		return fmt.Errorf("keep a sweep: %w", err)
	}
	return nil
}

// without goes on without a list. It is said once.
func (s *Sweeper) without(ctx context.Context, sweep campaign.Sweep, now time.Time) error {
	l := s.line(sweep.Sender.ID)
	if !l.noList {
		s.log.WarnContext(ctx, "the provider lists no messages: replies can only come by webhook, votes are asked for message by message", "sender", sweep.Sender.ID)
	}
	l.noList = true
	sweep.Next = now.Add(s.cfg.fast(noListFor))
	if err := s.ledger.PutSweep(ctx, sweep); err != nil {
		return fmt.Errorf("keep a sweep: %w", err)
	}
	return nil
}

// look folds what the messages of a time tell. Those of our own that are seen
// with their votes are told to seen, which may be nil.
func (s *Sweeper) look(ctx context.Context, sender campaign.Sender, from, to time.Time, seen func(campaign.MessageRef)) error {
	var (
		batch   []*reading
		foldErr error
	)
	looking, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	err := s.lists.EachMessage(looking, sender, from, to, s.budget.Wait, func(news campaign.News) {
		if foldErr != nil {
			return
		}
		if news.Ballots != nil && seen != nil {
			seen(news.Ballots.Ref)
		}
		if batch = append(batch, s.reading(sender, news)); len(batch) >= sweepBatch {
			if foldErr = s.fold(ctx, batch); foldErr != nil {
				stop(foldErr)
			}
			batch = nil
		}
	})
	if foldErr == nil { // what was shown is true, whatever ended it
		foldErr = s.fold(ctx, batch)
	}
	switch {
	case foldErr != nil:
		return foldErr
	case err != nil:
		return &troubleError{what: "listing messages", err: err}
	}
	return nil
}

// reading is news of a list. The list is the sender's, whatever its messages say.
func (s *Sweeper) reading(sender campaign.Sender, news campaign.News) *reading {
	if _, ok := s.desk.phones.SenderOf(news.Sender); !ok {
		news.Sender = sender.Phone
	}
	return &reading{news: news, received: s.cfg.Clock()}
}

// fold takes readings over the desk.
func (s *Sweeper) fold(ctx context.Context, readings []*reading) error {
	if len(readings) == 0 {
		return nil
	}
	if err := s.desk.read(ctx, readings); err != nil {
		return err
	}
	for _, r := range readings {
		for i := range r.foldings {
			r.foldings[i].Park = false // there is no delivery to wait
		}
	}
	if err := s.desk.fold(ctx, readings); err != nil {
		return err
	}
	_, err := s.desk.offer(ctx, readings)
	return err
}

// votes asks for the votes on a campaign's polls that are due since the last
// time that was done.
func (s *Sweeper) votes(ctx context.Context, sender campaign.Sender, id campaign.ID) error {
	sweep, err := s.ledger.Sweep(ctx, sender.ID, campaign.SweepVotes, string(id))
	if err != nil {
		return fmt.Errorf("read a sweep: %w", err)
	}
	began := s.cfg.Clock()
	if began.Before(sweep.Next) {
		return nil
	}
	sweep.Sender, sweep.Kind, sweep.Key = sender, campaign.SweepVotes, string(id)
	for after := int64(0); ; {
		page, err := s.ledger.PollWatches(ctx, id, after, watchPage)
		if err != nil {
			return fmt.Errorf("list polls: %w", err)
		}
		var due []campaign.PollWatch
		for _, poll := range page {
			if poll.Sender.ID == sender.ID && s.due(poll.QueuedAt, sweep.Mark, began) {
				due = append(due, poll)
			}
		}
		if err := s.ask(ctx, sender, due); err != nil {
			return err
		}
		if len(page) < watchPage {
			break
		}
		after = page[len(page)-1].Seq
	}
	sweep.Mark, sweep.Times = began, sweep.Times+1
	// Going through the polls of a large campaign must not become all it does.
	sweep.Next = began.Add(max(s.cfg.fast(s.cfg.Votes[0]), 10*s.cfg.Clock().Sub(began)))
	if err := s.ledger.PutSweep(ctx, sweep); err != nil {
		return fmt.Errorf("keep a sweep: %w", err)
	}
	return nil
}

// due says whether one of the times for asking lies between the last look and
// now.
func (s *Sweeper) due(taken, mark, now time.Time) bool {
	before := 0
	if !mark.IsZero() {
		before = s.passed(mark.Sub(taken))
	}
	return s.passed(now.Sub(taken)) > before
}

// passed is how many times for asking lie in the life of a poll message.
func (s *Sweeper) passed(age time.Duration) int {
	age = min(age, s.cfg.Window)
	n := 0
	for _, at := range s.cfg.Votes {
		if age < s.cfg.fast(at) {
			return n
		}
		n++
	}
	last := s.cfg.fast(s.cfg.Votes[len(s.cfg.Votes)-1])
	return n + int((age-last)/s.cfg.fast(time.Hour))
}

// ask asks for the votes on some polls: through the list when they are many and
// there is one, or else message by message.
func (s *Sweeper) ask(ctx context.Context, sender campaign.Sender, due []campaign.PollWatch) error {
	if len(due) > fewVotes && !s.line(sender.ID).noList {
		seen := map[string]bool{}
		first := slices.MinFunc(due, func(a, b campaign.PollWatch) int { return a.QueuedAt.Compare(b.QueuedAt) }).QueuedAt
		last := slices.MaxFunc(due, func(a, b campaign.PollWatch) int { return a.QueuedAt.Compare(b.QueuedAt) }).QueuedAt
		err := s.look(ctx, sender, first.Add(-s.cfg.Overlap), last.Add(sendLag), func(ref campaign.MessageRef) {
			seen[ref.QueueID], seen[uniqueOf(ref.UniqueID)] = true, true
		})
		code := answered(err)
		if err != nil && code != campaign.CodeNotFound && code != campaign.CodeInvalid {
			return err
		}
		delete(seen, "")
		due = slices.DeleteFunc(due, func(poll campaign.PollWatch) bool { return seen[poll.QueueID] || seen[uniqueOf(poll.UniqueID)] })
	}
	for _, poll := range due {
		if err := s.budget.Wait(ctx); err != nil {
			return err
		}
		news, err := s.lists.PollNews(ctx, sender, poll)
		switch campaign.CodeOf(err) {
		case "":
		case campaign.CodeNotFound, campaign.CodeInvalid:
			s.log.DebugContext(ctx, "votes not learned", "campaign_id", poll.Campaign, "row", poll.Seq, "err", err)
			continue
		default:
			return &troubleError{what: "asking for votes", err: err}
		}
		if err := s.fold(ctx, []*reading{s.reading(sender, news)}); err != nil {
			return err
		}
	}
	return nil
}
