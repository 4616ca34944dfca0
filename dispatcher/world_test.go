package dispatcher

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/herald-campaigns/herald/campaign"
)

// world is everything around a dispatcher, in memory and on the bubble's clock:
// rows that wait, a ledger, a pace, and an API that answers as the test says.
type world struct {
	t      *testing.T
	rows   int64
	gap    time.Duration                                               // of the pace
	answer func(at time.Time, row int64, attempt int) campaign.Outcome // of the API
	claims func(in campaign.Intent) error                              // before each claim; may be nil
	dials  func(row int64)                                             // before the first byte of each call; may be nil
	log    *slog.Logger

	hold       *Hold
	rejections *Rejections

	mu       sync.Mutex
	status   map[int64]campaign.Status
	attempts map[int64]int
	due      map[int64]time.Time
	staged   map[int64]bool
	fetched  map[int64]int // deliveries of a row
	requests []request
	paused   campaign.PauseReason
	detail   string
	next     time.Time // of the pace
	verdicts map[campaign.Verdict]int
	gaveBack int
	anew     bool            // rows that were set aside are handed over anew
	gens     map[int64]int64 // how often they were
}

// request is one call that reached the API.
type request struct {
	row int64
	at  time.Time
}

func newWorld(t *testing.T, rows int64, answer func(at time.Time, row int64, attempt int) campaign.Outcome) *world {
	t.Helper()
	return &world{
		t: t, rows: rows, gap: 50 * time.Millisecond, answer: answer, log: slog.New(slog.DiscardHandler),
		hold: NewHold(), rejections: NewRejections(),
		status: map[int64]campaign.Status{}, attempts: map[int64]int{}, due: map[int64]time.Time{},
		staged: map[int64]bool{}, fetched: map[int64]int{}, verdicts: map[campaign.Verdict]int{}, gens: map[int64]int64{},
	}
}

// run runs one dispatcher until the time is over.
func (w *world) run(lasting time.Duration, cfg Config) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), lasting)
	defer cancel()
	if err := w.dispatcher(cfg).Run(ctx, campaign.Lease{Epoch: 1}, func() bool { return true }); err != nil {
		w.t.Errorf("Run = %v", err)
	}
}

func (w *world) dispatcher(cfg Config) *Dispatcher {
	return New(Deps{
		Tasks: w, Claims: w, Settlements: w, Gateway: w, Pace: w, Brake: w, Pauser: w,
		Hold: w.hold, Rejections: w.rejections, Log: w.log,
	}, cfg)
}

func (w *world) Fetch(ctx context.Context, limit int) ([]Delivery, error) {
	w.mu.Lock()
	var got []Delivery
	for row := int64(1); row <= w.rows && len(got) < limit && w.paused == ""; row++ {
		if status := w.status[row]; status != "" && status != campaign.StatusPending || w.staged[row] || time.Now().Before(w.due[row]) {
			continue
		}
		w.staged[row] = true
		w.fetched[row]++
		got = append(got, worldTask{w, row, w.fetched[row], 1 + w.gens[row]})
	}
	w.mu.Unlock()
	if len(got) == 0 {
		pause(ctx, 100*time.Millisecond)
	}
	return got, nil
}

type worldTask struct {
	w          *world
	row        int64
	deliveries int
	gen        int64
}

func (d worldTask) Task() campaign.Task {
	return campaign.Task{Campaign: "one", Seq: d.row, Gen: d.gen}
}
func (d worldTask) Deliveries() int { return d.deliveries }

func (d worldTask) Settle(v campaign.Verdict, _ time.Duration) error {
	d.w.mu.Lock()
	defer d.w.mu.Unlock()
	d.w.verdicts[v]++
	d.w.staged[d.row] = false
	if d.w.anew && v == campaign.VerdictDone && d.w.status[d.row] == "" {
		d.w.fetched[d.row], d.w.gens[d.row] = 0, d.w.gens[d.row]+1
	}
	return nil
}

func (w *world) Claim(_ context.Context, in campaign.Intent) (campaign.Claim, error) {
	if w.claims != nil {
		if err := w.claims(in); err != nil {
			return campaign.Claim{}, err
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.paused != "" {
		return campaign.Claim{Refused: campaign.RefusedCampaign}, nil
	}
	w.attempts[in.Task.Seq]++
	w.status[in.Task.Seq] = campaign.StatusSubmitting
	return campaign.Claim{Attempt: w.attempts[in.Task.Seq], ClaimedAt: time.Now()}, nil
}

func (w *world) GiveBack(_ context.Context, task campaign.Task, _ int64) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.gaveBack++
	w.attempts[task.Seq]--
	w.status[task.Seq] = campaign.StatusPending
	return nil
}

func (w *world) Settle(_ context.Context, s campaign.Settlement) (campaign.Status, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.status[s.Task.Seq], w.due[s.Task.Seq] = s.To, s.NotBefore
	if s.Refund {
		w.attempts[s.Task.Seq]--
	}
	return s.To, nil
}

func (w *world) BlockSender(context.Context, campaign.Lease, time.Time) error { return nil }

func (w *world) Send(_ context.Context, _ campaign.Sender, task campaign.Task, begin func() error) campaign.Outcome {
	if w.dials != nil {
		w.dials(task.Seq)
	}
	if err := begin(); err != nil {
		return campaign.Outcome{Kind: campaign.OutcomeUnavailable, Detail: err.Error()}
	}
	w.mu.Lock()
	w.requests = append(w.requests, request{task.Seq, time.Now()})
	attempt := w.attempts[task.Seq]
	w.mu.Unlock()
	return w.answer(time.Now(), task.Seq, attempt)
}

func (w *world) Wait(ctx context.Context) error {
	w.mu.Lock()
	now := time.Now()
	if w.next.Before(now) {
		w.next = now
	}
	wait := w.next.Sub(now)
	w.next = w.next.Add(w.gap)
	w.mu.Unlock()
	if !pause(ctx, wait) {
		return context.Cause(ctx)
	}
	return nil
}

func (w *world) Accepted()                               {}
func (w *world) Throttled(after time.Duration) time.Time { return time.Now().Add(after) }
func (w *world) BlockUntil(time.Time)                    {}

func (w *world) Pause(_ context.Context, _ campaign.ID, reason campaign.PauseReason, detail string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.paused == "" {
		w.paused, w.detail = reason, detail
	}
	return nil
}

// sent counts the requests of a span of time.
func (w *world) sent(from, to time.Time) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := 0
	for _, r := range w.requests {
		if !r.at.Before(from) && r.at.Before(to) {
			n++
		}
	}
	return n
}

// repeats is how many requests went to a row that had had one, and the most
// that any row had.
func (w *world) repeats() (extra, most int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	by := map[int64]int{}
	for _, r := range w.requests {
		by[r.row]++
	}
	for n := range maps.Values(by) {
		extra, most = extra+n-1, max(most, n)
	}
	return extra, most
}

// in lists the rows with the status.
func (w *world) in(status campaign.Status) []int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	var rows []int64
	for row, s := range w.status {
		if s == status {
			rows = append(rows, row)
		}
	}
	slices.Sort(rows)
	return rows
}

// settled counts the tasks that ended with the verdict.
func (w *world) settled(v campaign.Verdict) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.verdicts[v]
}
