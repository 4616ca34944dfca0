package status

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/herald-campaigns/herald/campaign"
)

// Unknowns is what the ledger knows of the rows whose outcome nobody knows.
type Unknowns interface {
	UnknownRows(ctx context.Context, id campaign.ID) ([]campaign.UnknownRow, error)
	// ReturnedRows is the rows that wait to be sent again although nobody knows
	// what came of their last call.
	ReturnedRows(ctx context.Context, id campaign.ID) ([]campaign.UnknownRow, error)
	// BoundIDs is every id of the provider that a row of the chat has already,
	// in any campaign.
	BoundIDs(ctx context.Context, chat campaign.ChatID) ([]string, error)
	// Totals says, among the rest, how many rows may still become unknown.
	Totals(ctx context.Context, id campaign.ID) (campaign.Totals, error)
}

// Witnesses lists messages near the row, of the same sender, that the provider
// took for certain: the lists must show them, or they prove nothing.
type Witnesses interface {
	Witnesses(ctx context.Context, row campaign.UnknownRow, limit int) ([]campaign.Tracked, error)
}

// Observer takes what was found.
type Observer interface {
	Observe(ctx context.Context, observations []campaign.Observation) error
}

// Decisions takes what becomes of rows that were not found.
type Decisions interface {
	ReturnUnknown(ctx context.Context, id campaign.ID, rows []campaign.Staged, notBefore time.Time, detail string) (int64, error)
	ResendUnknown(ctx context.Context, id campaign.ID, rows []campaign.Staged, detail string) (int64, error)
	AssumeSent(ctx context.Context, id campaign.ID, rows []campaign.Staged, detail string) (int64, error)
}

// UnknownLedger is the ledger as the reconciler uses it.
type UnknownLedger interface {
	Unknowns
	Witnesses
	Observer
	Decisions
	LagKeeper
}

// Jobs is the provider's queue. Errors have a campaign.Code; CodeNotFound says
// that there is no such list.
type Jobs interface {
	// Jobs shows every job of the phone that may be ours; there may be tens of
	// thousands. It says how many the list has, others' included. After an
	// error, what was shown does not count.
	Jobs(ctx context.Context, sender campaign.Sender, show func(campaign.Candidate)) (listed int, err error)
	// JobCount is how many jobs of the phone there are, by the provider's own
	// counters.
	JobCount(ctx context.Context, sender campaign.Sender) (int64, error)
	// Visible says whether the job is in the list.
	Visible(ctx context.Context, sender campaign.Sender, queueID string) (bool, error)
}

// Chats is the provider's messages. Errors are as those of Jobs.
type Chats interface {
	// Messages is our own messages of the chat that were sent at since or
	// later, and whether the provider has any message of the chat at all.
	Messages(ctx context.Context, sender campaign.Sender, chat campaign.ChatID, since time.Time) (list []campaign.Candidate, known bool, err error)
	// Check says whether the phone is connected: nil, or why not.
	Check(ctx context.Context, sender campaign.Sender) error
}

// Lists is where the provider shows what it took.
type Lists interface {
	Jobs
	Chats
}

// Contents renders the message of an unknown row again, as it was sent.
type Contents interface {
	Message(ctx context.Context, row campaign.UnknownRow) (campaign.Message, error)
}

// ReconcilerConfig sizes the reconciler. The zero value of every duration is
// its default; only tests shorten them.
type ReconcilerConfig struct {
	// Attention is the campaigns whose unknown rows are looked after, and how.
	// It must name every campaign of the ledger with unknown rows, since rows of
	// two campaigns may contend for one message. See Attend.
	Attention map[campaign.ID]Attention
	// CallTimeout bounds one call of the send API; 30 s.
	CallTimeout time.Duration
	// SendDeadline is the longest from the intent to the first byte; 5 s.
	SendDeadline time.Duration
	// UploadRate is how many bytes of a file add a second to the time-out of its
	// call; 256 KiB.
	UploadRate int64
	// Skew is how far the provider's clock may be from ours; 60 s.
	Skew time.Duration
	// SettleFloor is the shortest time after a call before absence counts;
	// 60 s.
	SettleFloor time.Duration
	// PassGap is the shortest time between two passes that are to agree; 30 s.
	PassGap time.Duration
	// Slow is when a row that nothing can be proved about is looked for again,
	// the last wait repeating; 5 and 30 min.
	Slow []time.Duration
	// Retry is when a sender is looked at again after an error; 5 s.
	Retry time.Duration
	// Idle is how often the ledger is asked for unknown rows; 1 s.
	Idle time.Duration
	// Batch is how many rows of one sender one pass looks for; 64.
	Batch int
	// Witnesses is how many accepted messages must be visible along with the
	// row being absent, as far as there are that many; 8.
	Witnesses int
	// SampleEvery is the shortest time between two measurements of a sender's
	// visibility lag; 5 s. SampleFirst is the first wait inside one, doubling
	// from there; 100 ms. SampleFor is when it gives up; 2 min.
	SampleEvery, SampleFirst, SampleFor time.Duration
	// Schedule says when a message that was found is asked for.
	Schedule Schedule
	// Clock is time.Now if nil.
	Clock func() time.Time
}

func (c ReconcilerConfig) withDefaults() ReconcilerConfig {
	c.CallTimeout = cmp.Or(c.CallTimeout, 30*time.Second)
	c.SendDeadline = cmp.Or(c.SendDeadline, 5*time.Second)
	c.UploadRate = cmp.Or(c.UploadRate, 256<<10)
	c.Skew = cmp.Or(c.Skew, time.Minute)
	c.SettleFloor = cmp.Or(c.SettleFloor, time.Minute)
	c.PassGap = cmp.Or(c.PassGap, 30*time.Second)
	c.Retry = cmp.Or(c.Retry, 5*time.Second)
	c.Idle = cmp.Or(c.Idle, time.Second)
	c.Batch = cmp.Or(c.Batch, 64)
	c.Witnesses = cmp.Or(c.Witnesses, 8)
	c.SampleEvery = cmp.Or(c.SampleEvery, 5*time.Second)
	c.SampleFirst = cmp.Or(c.SampleFirst, 100*time.Millisecond)
	c.SampleFor = cmp.Or(c.SampleFor, 2*time.Minute)
	if len(c.Slow) == 0 {
		c.Slow = []time.Duration{5 * time.Minute, 30 * time.Minute}
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.Attention == nil {
		c.Attention = map[campaign.ID]Attention{}
	}
	c.Schedule = c.Schedule.withDefaults()
	return c
}

// window is when a row's message may have been queued.
func (c ReconcilerConfig) window() Window {
	return Window{Before: c.Skew, After: c.SendDeadline + c.CallTimeout + c.Skew}
}

// upload is how much longer the call of a message that carries a file may last.
// Encoded for the wire a file is a third longer; half leaves room.
func (c ReconcilerConfig) upload(m campaign.Message) time.Duration {
	if m.Media == nil || m.Media.Hash == "" { // the provider fetches it
		return 0
	}
	return time.Duration(3*m.Media.Size/2/c.UploadRate+1) * time.Second
}

// settle is how long after the call absence proves nothing.
func (c ReconcilerConfig) settle(lag time.Duration) time.Duration {
	return max(c.SettleFloor, c.CallTimeout+3*lag)
}

// Reconciler settles rows whose outcome nobody knows, by evidence: a message
// in the provider's lists that is the row's own is adopted at once; one that is
// provably in none of them goes back to be sent; what cannot be told is left to
// the campaign's policy (reliability page §4).
type Reconciler struct {
	ledger   UnknownLedger
	lists    Lists
	contents Contents
	budget   Budget
	log      *slog.Logger
	cfg      ReconcilerConfig
	lags     *lagMeter
	decided  atomic.Pointer[map[campaign.ID]int64]

	looking   sync.Mutex // guards attention
	attention map[campaign.ID]*Attention

	mu     sync.Mutex // one round at a time; guards what follows
	trails map[rowKey]*trail
	lines  map[campaign.SenderID]*line
}

// Attention is how a campaign's unknown rows are looked after.
type Attention struct {
	// Policy says what becomes of those that evidence cannot settle; "" is hold.
	Policy campaign.UnknownPolicy
	// FoundOnly is set for a campaign that does not run now: what is found of it
	// is taken, and nothing is decided about what is not, for nobody would send
	// it. Calls of it may still be under way: it is looked after until they have
	// ended and nothing is unknown.
	FoundOnly bool
}

// Attend sets how a campaign's unknown rows are looked after from now on.
func (r *Reconciler) Attend(id campaign.ID, how Attention) {
	r.looking.Lock()
	defer r.looking.Unlock()
	r.attention[id] = &how
}

func (r *Reconciler) attends(id campaign.ID) Attention {
	if how := r.asked(id); how != nil {
		return *how
	}
	return Attention{}
}

// asked is what was asked for last about a campaign, another pointer each time
// that it is asked; nil when it is not looked after.
func (r *Reconciler) asked(id campaign.ID) *Attention {
	r.looking.Lock()
	defer r.looking.Unlock()
	return r.attention[id]
}

// attended is the campaigns that are looked after, in a fixed order.
func (r *Reconciler) attended() []campaign.ID {
	r.looking.Lock()
	defer r.looking.Unlock()
	return slices.Sorted(maps.Keys(r.attention))
}

// rowKey is a row at one hand-over.
type rowKey struct {
	campaign campaign.ID
	seq, gen int64
}

// line is one sender's standing with the provider.
type line struct {
	notBefore time.Time
	trouble   string // what was said last, so that it is said once
}

// NewReconciler makes a reconciler.
func NewReconciler(ledger UnknownLedger, lists Lists, contents Contents, budget Budget, log *slog.Logger, cfg ReconcilerConfig) *Reconciler {
	cfg, log = cfg.withDefaults(), log.With("component", "reconciler")
	r := &Reconciler{
		ledger: ledger, lists: lists, contents: contents, budget: budget, log: log, cfg: cfg,
		lags:   newLagMeter(ledger, lists, budget, log, cfg),
		trails: map[rowKey]*trail{}, lines: map[campaign.SenderID]*line{},
		attention: map[campaign.ID]*Attention{},
	}
	for id, how := range cfg.Attention {
		r.Attend(id, how)
	}
	return r
}

// Accepted offers a message that the provider just took for measuring how long
// it takes to become visible. It never waits, and takes few of many.
func (r *Reconciler) Accepted(m campaign.Tracked) { r.lags.offer(m) }

// Decided is how many of the campaign's unknown rows had, as of the last
// round, their verdict: nothing more is expected of them soon. Every other one
// may still be settled by this process.
func (r *Reconciler) Decided(id campaign.ID) int64 {
	if decided := r.decided.Load(); decided != nil {
		return (*decided)[id]
	}
	return 0
}

// Run settles rows and measures the visibility lag until ctx ends. Trouble is
// logged and tried again.
func (r *Reconciler) Run(ctx context.Context) {
	var measuring sync.WaitGroup
	measuring.Go(func() { r.lags.run(ctx) })
	defer measuring.Wait()
	trouble := complaint{log: r.log, work: "looking for unknown rows"}
	for ctx.Err() == nil {
		trouble.hear(ctx, r.Round(ctx))
		rest(ctx, r.cfg.Idle, nil)
	}
}

// Round looks once for every row whose time has come, and does what follows
// from it. An error of the ledger ends it; one of the provider leaves the rows
// of that sender for later and is logged, not returned, unless ctx ended.
func (r *Reconciler) Round(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	defer r.count()
	if err := r.follow(ctx); err != nil {
		return err
	}
	now := r.cfg.Clock()
	bySender := map[campaign.SenderID][]*trail{}
	for _, t := range r.trails {
		bySender[t.row.Sender.ID] = append(bySender[t.row.Sender.ID], t)
	}
	var failures []error
	for _, id := range slices.Sorted(maps.Keys(bySender)) {
		trails := bySender[id]
		slices.SortFunc(trails, compareTrails)
		if err := r.attend(ctx, trails, now); err != nil {
			failures = append(failures, err)
		}
	}
	return errors.Join(failures...)
}

// Revisit looks once more for the rows of a campaign that are to be sent again,
// before they are: evidence that came since that was decided wins. Nothing is
// decided about what it does not find. An error says that it could not look for
// all of them.
func (r *Reconciler) Revisit(ctx context.Context, id campaign.ID) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	rows, err := r.ledger.ReturnedRows(ctx, id)
	if err != nil || len(rows) == 0 {
		return err
	}
	if err := r.follow(ctx); err != nil {
		return err
	}
	bySender := map[campaign.SenderID][]*trail{}
	for _, t := range r.trails { // they may contend for the same messages
		bySender[t.row.Sender.ID] = append(bySender[t.row.Sender.ID], t)
	}
	returned := map[campaign.SenderID][]*trail{}
	for _, row := range rows {
		t := newTrail(row, r.cfg.Clock())
		t.returned = true
		returned[row.Sender.ID] = append(returned[row.Sender.ID], t)
	}
	for _, sender := range slices.Sorted(maps.Keys(returned)) {
		for due := range slices.Chunk(returned[sender], r.cfg.Batch) {
			trails := slices.Concat(bySender[sender], due)
			slices.SortFunc(trails, compareTrails)
			if err := r.pass(ctx, due[0].row.Sender, trails, slices.Clone(due)); err != nil {
				return err
			}
		}
	}
	return nil
}

// follow brings the trails up to the ledger: rows that are not unknown any
// more are let go.
func (r *Reconciler) follow(ctx context.Context) error {
	now := r.cfg.Clock()
	present := map[rowKey]bool{}
	for _, id := range r.attended() {
		how := r.asked(id)
		rows, err := r.ledger.UnknownRows(ctx, id)
		if err != nil {
			return fmt.Errorf("list unknown rows: %w", err)
		}
		if len(rows) == 0 && how != nil && how.FoundOnly {
			if err := r.forgo(ctx, id, how); err != nil {
				return err
			}
		}
		for _, row := range rows {
			key := rowKey{row.Campaign, row.Seq, row.Gen}
			present[key] = true
			t, known := r.trails[key]
			if !known {
				t = newTrail(row, now)
				r.trails[key] = t
			}
			t.row.Resolution, t.row.EndedAt, t.row.Detail = row.Resolution, row.EndedAt, row.Detail
		}
	}
	maps.DeleteFunc(r.trails, func(key rowKey, _ *trail) bool { return !present[key] })
	return nil
}

// forgo looks after a campaign no more that does not run, if none of its rows is
// unknown or can become so: a call that was under way when it was stopped ends
// later. How is what was asked for before the rows were; whoever asked since is
// not overruled.
func (r *Reconciler) forgo(ctx context.Context, id campaign.ID, how *Attention) error {
	totals, err := r.ledger.Totals(ctx, id)
	if err != nil {
		return fmt.Errorf("count the rows that may become unknown: %w", err)
	}
	for _, open := range []campaign.Status{campaign.StatusStaged, campaign.StatusSubmitting, campaign.StatusUnknown} {
		if totals.ByStatus[open] > 0 {
			return nil
		}
	}
	r.looking.Lock()
	defer r.looking.Unlock()
	if r.attention[id] == how {
		delete(r.attention, id)
	}
	return nil
}

// attend makes a pass for the rows of one sender, if any is due.
func (r *Reconciler) attend(ctx context.Context, trails []*trail, now time.Time) error {
	sender := trails[0].row.Sender
	l, ok := r.lines[sender.ID]
	if !ok {
		l = &line{}
		r.lines[sender.ID] = l
	}
	var due []*trail
	for _, t := range trails {
		if t.due(now) && len(due) < r.cfg.Batch {
			due = append(due, t)
		}
	}
	if len(due) == 0 || now.Before(l.notBefore) {
		return nil
	}
	err := r.pass(ctx, sender, trails, due)
	var trouble *troubleError
	switch {
	case err == nil && l.trouble != "":
		r.log.WarnContext(ctx, "the provider's lists can be read again", "sender", sender.ID)
		l.trouble = ""
	case err == nil:
	case ctx.Err() != nil || !errors.As(err, &trouble):
		return err
	default:
		for _, t := range due { // passes that agree have nothing else between them
			t.absent = 0
		}
		r.trouble(ctx, sender.ID, l, trouble)
	}
	return nil
}

// trouble puts a sender off after an error of the provider. Nothing is decided
// meanwhile.
func (r *Reconciler) trouble(ctx context.Context, sender campaign.SenderID, l *line, trouble *troubleError) {
	now := r.cfg.Clock()
	l.notBefore = now.Add(r.cfg.Retry)
	code := campaign.CodeOf(trouble.err)
	switch code { //nolint:exhaustive // the others ask for no wait of everybody
	case campaign.CodeThrottled:
		r.budget.BlockUntil(now.Add(retryAfter(trouble.err)))
	case campaign.CodeUnauthorized:
		r.budget.BlockUntil(now.Add(2 * time.Second))
	}
	if said := trouble.what + " " + string(code); l.trouble != said {
		r.log.WarnContext(ctx, "unknown rows wait until the provider can be asked", "sender", sender, "what", trouble.what, "err", trouble.err)
		l.trouble = said
	}
}

// troubleError is an error of the provider, as against one of the ledger.
type troubleError struct {
	what string
	err  error
}

func (e *troubleError) Error() string { return e.what + ": " + e.err.Error() }

func (e *troubleError) Unwrap() error { return e.err }

func (r *Reconciler) count() {
	decided := map[campaign.ID]int64{}
	now := r.cfg.Clock()
	for _, t := range r.trails {
		if !t.gone && (t.decided || !t.row.Open(now)) {
			decided[t.row.Campaign]++
		}
	}
	r.decided.Store(&decided)
}
