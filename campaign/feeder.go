package campaign

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// Backlog is where the feeder finds the rows that wait for their turn.
type Backlog interface {
	// Pending lists up to limit rows of the campaign that wait for the sender
	// and are due at now, in ledger order.
	Pending(ctx context.Context, id ID, sender SenderID, now time.Time, limit int) ([]Recipient, error)
	// StagedCount is how many rows of the sender are in the stream.
	StagedCount(ctx context.Context, sender SenderID) (int, error)
}

// Stager moves rows between waiting in the ledger and lying in the stream.
type Stager interface {
	// Stage moves pending rows to staged and returns those it moved, each with
	// its new generation.
	Stage(ctx context.Context, id ID, seqs []int64, now time.Time) ([]Staged, error)
	// UnstageRows gives staged rows back to pending.
	UnstageRows(ctx context.Context, id ID, seqs []int64) error
	// Skip moves rows that still wait to skipped and says how many.
	Skip(ctx context.Context, id ID, skips []Skip) (int64, error)
}

// Publisher puts tasks into the stream. It returns the tasks the stream did
// not take, and an error when it was useless to go on.
type Publisher interface {
	Publish(ctx context.Context, tasks []Task) ([]Unpublished, error)
}

// Unpublished is a task the stream did not take.
type Unpublished struct {
	Task     Task
	Err      error
	TooLarge bool // it will never fit; anything else may be tried again
}

// Feeding is one campaign a feeder feeds.
type Feeding struct {
	Campaign Campaign
	Renderer Renderer
}

// FeederConfig sizes the window of one sender.
type FeederConfig struct {
	Sender   SenderID
	Pace     Pace
	Clock    func() time.Time // time.Now if nil
	Interval time.Duration    // between looks at the ledger without a poke; 250 ms if zero
}

// Feeder keeps a bounded window of one sender's rows staged in the stream: it
// renders pending rows in ledger order, marks them staged in the ledger, then
// publishes their tasks. The bound makes pause and cancel bite at once and a
// million-row campaign cost the stream no more than a thousand-row one
// (design §4.1, stream page §2).
type Feeder struct {
	backlog Backlog
	stager  Stager
	stream  Publisher
	log     *slog.Logger
	cfg     FeederConfig
	window  int
	poke    chan struct{} // capacity 1: a poke is never lost and never blocks
	turn    int           // which campaign goes first; only Run's goroutine uses it
}

// NewFeeder makes the feeder of one sender.
func NewFeeder(backlog Backlog, stager Stager, stream Publisher, log *slog.Logger, cfg FeederConfig) *Feeder {
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	if cfg.Interval <= 0 {
		cfg.Interval = 250 * time.Millisecond
	}
	return &Feeder{
		backlog: backlog, stager: stager, stream: stream,
		log: log.With("component", "feeder"), cfg: cfg,
		window: feedWindow(cfg.Pace),
		poke:   make(chan struct{}, 1),
	}
}

const maxFeedWindow = 1000

// feedWindow is about five seconds of the sender's rate, at least twice its
// in-flight limit, at most 1,000 (stream page §2).
func feedWindow(p Pace) int {
	if p.Rate.Unlimited {
		return maxFeedWindow
	}
	return min(max(int(5*p.Rate.PerSecond()), 2*p.InFlight, 2), maxFeedWindow)
}

// Poke makes a running feeder look at the ledger now: a task was settled, a
// row came back, a campaign was resumed.
func (f *Feeder) Poke() {
	select {
	case f.poke <- struct{}{}:
	default:
	}
}

// Run feeds the campaigns that feedings lists until ctx ends. Trouble with the
// ledger or the stream is logged and tried again: rows stay where they are.
func (f *Feeder) Run(ctx context.Context, feedings func() []Feeding) {
	tick := time.NewTicker(f.cfg.Interval)
	defer tick.Stop()
	for {
		if err := f.Fill(ctx, feedings()); err != nil && ctx.Err() == nil {
			f.log.WarnContext(ctx, "feeding held up, will try again", "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-f.poke:
		}
	}
}

// Fill brings the window up to its size once. Campaigns that share the sender
// take turns: each gets an equal share of the room, and what one cannot use
// goes to the next.
func (f *Feeder) Fill(ctx context.Context, feedings []Feeding) error {
	if len(feedings) == 0 {
		return nil
	}
	staged, err := f.backlog.StagedCount(ctx, f.cfg.Sender)
	if err != nil {
		return fmt.Errorf("count staged rows: %w", err)
	}
	room := f.window - staged
	// Topping up by single rows would cost a commit each: wait for a quarter
	// of the window, unless the stream is about to run dry.
	if room <= 0 || room < f.window/4 && staged > 2*f.cfg.Pace.InFlight {
		return nil
	}
	var errs []error
	f.turn++
	for i := range feedings {
		feeding := feedings[(f.turn+i)%len(feedings)]
		share := (room + len(feedings) - i - 1) / (len(feedings) - i)
		fed, err := f.feed(ctx, feeding, share)
		if err != nil {
			errs = append(errs, fmt.Errorf("feed campaign %s: %w", feeding.Campaign.ID, err))
		}
		room -= fed
	}
	return errors.Join(errs...)
}

// feed hands over up to limit rows of one campaign and says how many.
func (f *Feeder) feed(ctx context.Context, feeding Feeding, limit int) (int, error) {
	if limit <= 0 {
		return 0, nil
	}
	id := feeding.Campaign.ID
	rows, err := f.backlog.Pending(ctx, id, f.cfg.Sender, f.cfg.Clock(), limit)
	if err != nil || len(rows) == 0 {
		return 0, err
	}
	tasks, skips, err := f.render(ctx, feeding, rows)
	if err != nil {
		return 0, err
	}
	if len(skips) > 0 {
		if _, err := f.stager.Skip(ctx, id, skips); err != nil {
			return 0, fmt.Errorf("skip rows: %w", err)
		}
	}
	if len(tasks) == 0 {
		return 0, nil
	}
	// Staged first, published second: a task that is in the stream before its
	// row says so would lose its claim and be forgotten.
	tasks, err = f.stage(ctx, id, tasks)
	if err != nil {
		return 0, err
	}
	return len(tasks), f.publish(ctx, id, tasks)
}

// render makes a task of each row. A row that cannot be rendered is skipped
// with the reason; an error that is not about a row is held against none.
func (f *Feeder) render(ctx context.Context, feeding Feeding, rows []Recipient) ([]Task, []Skip, error) {
	tasks := make([]Task, 0, len(rows))
	var skips []Skip
	for i := range rows {
		row := &rows[i]
		message, err := feeding.Renderer.Render(ctx, feeding.Campaign.RowOf(row))
		if bad, ok := errors.AsType[*InputError](err); ok {
			why := "the message cannot be rendered"
			if len(bad.Problems) > 0 {
				why = bad.Problems[0].What
			}
			skips = append(skips, Skip{Seq: row.Seq, Reason: SkipTemplateError, Detail: why})
			continue
		}
		if err != nil {
			return nil, nil, fmt.Errorf("render row %d: %w", row.Seq, err)
		}
		tasks = append(tasks, Task{
			Campaign: row.Campaign, Seq: row.Seq, Sender: row.Sender, Chat: row.Chat,
			Message: message, BodyHash: message.Hash(),
		})
	}
	return tasks, skips, nil
}

func (f *Feeder) stage(ctx context.Context, id ID, tasks []Task) ([]Task, error) {
	seqs := make([]int64, len(tasks))
	for i := range tasks {
		seqs[i] = tasks[i].Seq
	}
	staged, err := f.stager.Stage(ctx, id, seqs, f.cfg.Clock())
	if err != nil {
		return nil, fmt.Errorf("stage rows: %w", err)
	}
	gens := make(map[int64]int64, len(staged))
	for _, s := range staged {
		gens[s.Seq] = s.Gen
	}
	moved := tasks[:0]
	for _, task := range tasks {
		if gen, ok := gens[task.Seq]; ok {
			task.Gen = gen
			moved = append(moved, task)
		}
	}
	return moved, nil
}

// publish puts the staged tasks into the stream and gives back those it did
// not take.
func (f *Feeder) publish(ctx context.Context, id ID, tasks []Task) error {
	unpublished, err := f.stream.Publish(ctx, tasks)
	if len(unpublished) == 0 {
		return err
	}
	seqs := make([]int64, 0, len(unpublished))
	var tooLarge []Skip
	for _, u := range unpublished {
		seqs = append(seqs, u.Task.Seq)
		if u.TooLarge {
			tooLarge = append(tooLarge, Skip{
				Seq: u.Task.Seq, Reason: SkipTemplateError,
				Detail: "the rendered message is too large for the stream",
			})
		}
	}
	// The process may be stopping; rows given back late would wait for the
	// sweep, so this outlives the request.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if err := f.stager.UnstageRows(ctx, id, seqs); err != nil {
		return fmt.Errorf("give back unpublished rows: %w", err)
	}
	if len(tooLarge) > 0 {
		if _, err := f.stager.Skip(ctx, id, tooLarge); err != nil {
			return fmt.Errorf("skip rows too large for the stream: %w", err)
		}
	}
	if len(tooLarge) == len(unpublished) {
		return nil
	}
	return fmt.Errorf("publish %d of %d tasks: %w", len(unpublished), len(tasks), unpublished[0].Err)
}
