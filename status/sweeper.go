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

// SweepLedger is the ledger as the sweeper uses it.
type SweepLedger interface {
	Marks
	// PollWatches is the poll messages of a campaign that the provider took, in
	// row order behind a row.
	PollWatches(ctx context.Context, id campaign.ID, after int64, limit int) ([]campaign.PollWatch, error)
}

// MessageLists is where the provider shows everybody's messages. Errors have a
// campaign.Code; CodeNotFound says that there is no such list, CodeInvalid that
// the provider refuses to show it. One with a method TooLong says that the list
// is too long to be read whole.
type MessageLists interface {
	// EachMessage shows what the messages of all chats tell that were written in a
	// time, each once; before is asked before each request. newest is the time of
	// the latest one that proves the phone to have been in touch with WhatsApp,
	// clock the provider's own; zero: none was told. After an error they are what
	// was known until then.
	EachMessage(
		ctx context.Context, sender campaign.Sender, from, to time.Time, before func(context.Context) error, show func(campaign.News),
	) (newest, clock time.Time, err error)
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
	Overlap time.Duration // how far behind its mark a look begins; 5 min
	First   time.Duration // how far back the first look of a phone goes; campaign.ReplyWindow
	Span    time.Duration // the time that is asked for at once, more where little is written; 24 h
	// Settle is how long what is listed is looked at again, until the mark moves up
	// to it; 30 min. At every fourth move one look begins Deep before the mark; 24 h;
	// or where the mark was a day or two ago, when that is further back.
	Settle, Deep time.Duration
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
	c.Settle = cmp.Or(c.Settle, 30*time.Minute)
	c.Deep = cmp.Or(c.Deep, 24*time.Hour)
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
	sweepBatch = 256  // pieces of news folded in one transaction
	maxPassed  = 1000 // messages that it is remembered of that the ledger refused them
	watchPage  = 500  // poll messages looked at in one go
	// fewVotes is up to how many poll messages are asked for one by one even when
	// there is a list.
	fewVotes = 4
	// sendLag is how long after it was taken a message may be written.
	sendLag = 15 * time.Minute
	// shortest is the shortest time that a list which is too long is asked for.
	shortest = time.Minute
	// noListFor is when it is tried again whether there is a list.
	noListFor = time.Hour
	// turn is how long one phone is looked after before it is another's turn. What
	// is not done by then goes on in the next round.
	turn = time.Minute
	// votesWithin is the longest that votes are not asked for, however many polls
	// there are.
	votesWithin = time.Hour
)

// errTurn ends what has taken its turn. It is neither the provider's nor the
// ledger's.
var errTurn = errors.New("it is another's turn")

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
	// passed is the messages that the ledger refused, which was said.
	passed map[string]bool
	after  int  // where the round before left asking for votes
	apart  bool // our clock and the provider's are, and that was said
}

// sweepLine is what is known of one sender's lists.
type sweepLine struct {
	noList    bool // there is none to look through
	span      time.Duration
	cutShort  *window   // a look that is to go on
	refused   complaint // of a list that the provider refuses to show
	passes    map[campaign.ID]*votePass
	pace      time.Duration // after which the next look follows when it is not Every
	notBefore time.Time     // after trouble
	wait      time.Duration // how long after it that is
	trouble   string        // what was said last, so that it is said once
}

// NewSweeper makes a sweeper.
func NewSweeper(ledger SweepLedger, lists MessageLists, charges Charges, desk *Desk, budget Budget, log *slog.Logger, cfg SweeperConfig) *Sweeper {
	return &Sweeper{
		ledger: ledger, lists: lists, charges: charges, desk: desk, budget: budget, log: log.With("component", "sweeper"),
		cfg: cfg.withDefaults(), lines: map[campaign.SenderID]*sweepLine{}, passed: map[string]bool{},
	}
}

// Run looks until ctx ends. Trouble is logged and tried again.
func (s *Sweeper) Run(ctx context.Context) {
	trouble := complaint{log: s.log, work: "looking through messages"}
	for ctx.Err() == nil {
		trouble.hear(ctx, s.Round(ctx))
		rest(ctx, s.cfg.Idle, nil)
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
	// Replies come again before all votes are asked for, when that takes long: a
	// vote can wait, a STOP cannot.
	over, pairs := s.turn(), len(polls)*len(senders)
	for n := range pairs {
		at := (s.after + n) % pairs
		sender, id := senders[at%len(senders)], polls[at/len(senders)]
		if err := s.attend(ctx, sender, func() error { return s.votes(ctx, sender, id) }); err != nil {
			return err
		}
		if over() {
			s.after = at + 1
			return nil
		}
	}
	s.after = 0
	return nil
}

// waits says whether what was put off until next, for most at the longest, is
// not due yet. A next that is further ahead than that was written when this
// machine's clock was, and has been set right since: it is due.
func waits(next, now time.Time, most time.Duration) bool {
	ahead := next.Sub(now)
	return ahead > 0 && ahead <= most
}

// attend does something for a sender, unless that is put off.
func (s *Sweeper) attend(ctx context.Context, sender campaign.Sender, do func() error) error {
	l := s.line(sender.ID)
	now := s.cfg.Clock()
	if waits(l.notBefore, now, l.wait) {
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
		l.notBefore, l.wait = now.Add(wait), wait
		if said := trouble.what + " " + string(campaign.CodeOf(trouble.err)); l.trouble != said {
			s.log.WarnContext(ctx, "looking through messages waits until the provider can be asked", "sender", sender.ID, "what", trouble.what, "err", trouble.err)
			l.trouble = said
		}
	}
	return nil
}

// tooLong says whether the provider has a list, but one that is too long to be
// read whole.
func tooLong(err error) bool {
	var long interface{ TooLong() bool }
	return errors.As(err, &long) && long.TooLong()
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
		l = &sweepLine{
			span: s.cfg.Span, passes: map[campaign.ID]*votePass{},
			refused: complaint{log: s.log.With("sender", sender), work: "looking through messages"},
		}
		s.lines[sender] = l
	}
	return l
}

// replies looks through the messages of all chats of a phone, from its mark on
// and a little before: what is written in between may be listed late.
func (s *Sweeper) replies(ctx context.Context, sender campaign.Sender) error {
	sweep, err := s.ledger.Sweep(ctx, sender.ID, campaign.SweepReplies, "")
	if err != nil {
		return fmt.Errorf("read a sweep: %w", err)
	}
	now, l := s.cfg.Clock(), s.line(sender.ID)
	if waits(sweep.Next, now, max(l.pace, s.cfg.fast(s.cfg.Every))) {
		return nil
	}
	sweep.Sender, sweep.Kind = sender, campaign.SweepReplies
	var besides [2]campaign.Sweep
	for i, key := range []string{settlingKey, deepKey} {
		if besides[i], err = s.ledger.Sweep(ctx, sender.ID, campaign.SweepReplies, key); err != nil {
			return fmt.Errorf("read a sweep: %w", err)
		}
		besides[i].Sender, besides[i].Kind, besides[i].Key = sender, campaign.SweepReplies, key
	}
	settling, deep := besides[0], besides[1]
	w := s.windowOf(sweep, settling, deep, now)
	if l.cutShort != nil && !l.cutShort.began.After(now) {
		w = *l.cutShort
	}
	l.cutShort = nil
	from := w.reached
	err = s.through(ctx, sender, &w, now)
	code := answered(err)
	if code == campaign.CodeNotFound {
		return s.without(ctx, sweep, now)
	}
	if err != nil && (w.reached.After(from) || w.began.Before(now)) {
		l.cutShort = &w
	}
	switch {
	case code == campaign.CodeInvalid:
		return s.refused(ctx, sweep, now, err)
	case errors.Is(err, errTurn):
		return nil // it goes on in the next round
	case err != nil:
		return err
	}
	l.refused.hear(ctx, nil)
	l.noList, l.pace = false, 0
	if err := s.settle(ctx, &sweep, settling, deep, w); err != nil {
		return err
	}
	sweep.Next, sweep.Times = now.Add(s.cfg.fast(s.cfg.Every)), sweep.Times+1
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
	l.noList, l.pace = true, s.cfg.fast(noListFor)
	sweep.Next = now.Add(l.pace)
	if err := s.ledger.PutSweep(ctx, sweep); err != nil {
		return fmt.Errorf("keep a sweep: %w", err)
	}
	return nil
}

// refused asks less and less often for a list that the provider refuses to show.
// That is no reason not to ask for votes: one message can be shown all the same.
func (s *Sweeper) refused(ctx context.Context, sweep campaign.Sweep, now time.Time, err error) error {
	l := s.line(sweep.Sender.ID)
	l.refused.hear(ctx, err)
	l.pace = min(max(2*l.pace, s.cfg.fast(s.cfg.Every)), s.cfg.fast(noListFor))
	sweep.Next = now.Add(l.pace)
	if err := s.ledger.PutSweep(ctx, sweep); err != nil {
		return fmt.Errorf("keep a sweep: %w", err)
	}
	return nil
}

// look folds what the messages of a time tell. Those of our own that are seen
// with their votes are told to seen, which may be nil. shown is how many told
// something, newest what EachMessage says.
func (s *Sweeper) look(
	ctx context.Context, sender campaign.Sender, from, to time.Time, before func(context.Context) error, seen func(campaign.MessageRef),
) (shown int, newest time.Time, err error) {
	var (
		batch   []*reading
		foldErr error
	)
	looking, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	newest, clock, err := s.lists.EachMessage(looking, sender, from, to, before, func(news campaign.News) {
		if foldErr != nil {
			return
		}
		shown++
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
	if err == nil { // or else it may have been a while ago
		s.compare(ctx, clock)
	}
	if foldErr == nil { // what was shown is true, whatever ended it
		foldErr = s.fold(ctx, batch)
	}
	switch {
	case foldErr != nil:
		return shown, newest, foldErr
	case errors.Is(err, errTurn):
		return shown, newest, err
	case err != nil:
		return shown, newest, &troubleError{what: "listing messages", err: err}
	}
	return shown, newest, nil
}

// reading is news of a list. The list is the sender's, whatever its messages say.
func (s *Sweeper) reading(sender campaign.Sender, news campaign.News) *reading {
	if _, ok := s.desk.phones.SenderOf(news.Sender); !ok {
		news.Sender = sender.Phone
	}
	return &reading{news: news, received: s.cfg.Clock()}
}

// fold takes readings over the desk. When the ledger refuses some it takes the
// others: no message may stand in the way of those behind it.
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
	if err := s.desk.fold(ctx, readings); refuses(ctx, err) {
		for _, r := range readings {
			if err := s.desk.fold(ctx, []*reading{r}); refuses(ctx, err) {
				s.pass(ctx, r, err)
			} else if err != nil {
				return err
			}
		}
	} else if err != nil {
		return err
	}
	_, err := s.desk.offer(ctx, readings)
	return err
}

// refuses says whether an error of the ledger is about what it was given, as
// against the ledger itself: a full disk, one that is closed, a damaged file.
// Should it be taken for the former after all, then the mark cannot be written
// either, and the same is looked through again.
func refuses(ctx context.Context, err error) bool {
	if err == nil || ctx.Err() != nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return false
	}
	switch campaign.CodeOf(err) { //nolint:exhaustive // the others are about what was given
	case campaign.CodeUnavailable:
		return false
	case campaign.CodeInternal: // the ledger's own words are of damage
		var own *campaign.Error
		return !errors.As(err, &own)
	}
	return true
}

// pass goes by a message that the ledger does not take. It is said once, for it
// is listed again at every look.
func (s *Sweeper) pass(ctx context.Context, r *reading, err error) {
	var id string
	switch news := r.news; {
	case news.Inbound != nil:
		id = news.Inbound.ID
	case news.Message != nil:
		id = news.Message.Ref.UniqueID
	}
	if id = uniqueOf(id); s.passed[id] {
		return
	}
	if len(s.passed) >= maxPassed {
		clear(s.passed)
	}
	s.passed[id] = true
	s.log.WarnContext(ctx, "the ledger does not take a message that the provider lists; it is passed over", "sender", r.sender.ID, "message", id, "err", err)
}
