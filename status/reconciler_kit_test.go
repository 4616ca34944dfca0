package status_test

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/ratelimit"
	"github.com/herald-campaigns/herald/status"
)

// book is a ledger of unknown rows in memory.
type book struct {
	listed   int    // how often unknown rows were asked for
	counting func() // called when the rows are counted; may be nil

	mu        sync.Mutex
	calls     int64 // under way, of rows of any campaign
	unknown   []campaign.UnknownRow
	texts     map[int64]campaign.Message // by row
	bound     map[campaign.ChatID][]string
	waiting   []campaign.UnknownRow // to be sent again
	witnesses []campaign.Tracked
	lag       time.Duration
	measured  bool
	found     []event
	returned  []event
	unproven  int // of those returned
	assumed   []event
}

// event is something that befell a row.
type event struct {
	at     time.Time
	seq    int64
	detail string
	campaign.Observation
}

func newBook() *book {
	return &book{texts: map[int64]campaign.Message{}, bound: map[campaign.ChatID][]string{}, measured: true}
}

// lose adds an unknown row whose call ended just now, a moment after it began.
func (b *book) lose(seq int64, chat campaign.ChatID, text string) campaign.UnknownRow {
	message := campaign.Message{Text: text}
	row := campaign.UnknownRow{
		Campaign: "cmp_1", Seq: seq, Gen: 1, Attempt: 1, Sender: campaign.Sender{ID: "snd_1", Phone: "12015550100"}, Chat: chat,
		BodyHash: message.Hash(), ClaimedAt: time.Now().Add(-2 * time.Millisecond), EndedAt: time.Now().Add(-time.Millisecond),
	}
	b.put(row, message)
	return row
}

func (b *book) put(row campaign.UnknownRow, message campaign.Message) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.unknown = append(b.unknown, row)
	b.texts[row.Seq] = message
}

func (b *book) UnknownRows(_ context.Context, id campaign.ID) ([]campaign.UnknownRow, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.listed++
	var rows []campaign.UnknownRow
	for _, row := range b.unknown {
		if row.Campaign == id {
			rows = append(rows, row)
		}
	}
	return rows, nil
}

// Totals counts the rows that are unknown or may become so.
func (b *book) Totals(_ context.Context, id campaign.ID) (campaign.Totals, error) {
	b.mu.Lock()
	totals := campaign.Totals{ByStatus: map[campaign.Status]int64{campaign.StatusSubmitting: b.calls}}
	for _, row := range b.unknown {
		if row.Campaign == id {
			totals.ByStatus[campaign.StatusUnknown]++
		}
	}
	b.mu.Unlock()
	if b.counting != nil {
		b.counting()
	}
	return totals, nil
}

func (b *book) ReturnedRows(context.Context, campaign.ID) ([]campaign.UnknownRow, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.waiting), nil
}

// open is how many unknown rows have no verdict yet.
func (b *book) open(r *status.Reconciler) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	open, campaigns := len(b.unknown), map[campaign.ID]bool{}
	for _, row := range b.unknown {
		campaigns[row.Campaign] = true
	}
	for id := range campaigns {
		open -= int(r.Decided(id))
	}
	return open
}

func (b *book) BoundIDs(_ context.Context, chat campaign.ChatID) ([]string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.bound[chat]), nil
}

func (b *book) Witnesses(_ context.Context, _ campaign.UnknownRow, limit int) ([]campaign.Tracked, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.witnesses[:min(limit, len(b.witnesses))]), nil
}

func (b *book) Observe(_ context.Context, observations []campaign.Observation) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, o := range observations {
		for _, row := range b.unknown {
			if row.Campaign == o.Campaign && row.Seq == o.Seq {
				b.bound[row.Chat] = append(b.bound[row.Chat], o.QueueID, o.UniqueID)
			}
		}
		b.drop(o.Campaign, o.Seq)
		b.found = append(b.found, event{at: time.Now(), seq: o.Seq, Observation: o})
	}
	return nil
}

func (b *book) drop(id campaign.ID, seq int64) bool {
	before := len(b.unknown)
	b.unknown = slices.DeleteFunc(b.unknown, func(row campaign.UnknownRow) bool { return row.Campaign == id && row.Seq == seq })
	return len(b.unknown) < before
}

func (b *book) ReturnUnknown(_ context.Context, id campaign.ID, rows []campaign.Staged, _ time.Time, detail string) (n int64, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, row := range rows {
		if b.drop(id, row.Seq) {
			n++
			b.returned = append(b.returned, event{at: time.Now(), seq: row.Seq, detail: detail})
		}
	}
	return n, nil
}

func (b *book) ResendUnknown(ctx context.Context, id campaign.ID, rows []campaign.Staged, detail string) (int64, error) {
	b.mu.Lock()
	b.unproven += len(rows)
	b.mu.Unlock()
	return b.ReturnUnknown(ctx, id, rows, time.Time{}, detail)
}

func (b *book) AssumeSent(_ context.Context, _ campaign.ID, rows []campaign.Staged, detail string) (n int64, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, row := range rows {
		for i := range b.unknown {
			if u := &b.unknown[i]; u.Seq == row.Seq && u.Resolution == campaign.ResolutionNone {
				u.Resolution = campaign.ResolutionAssumedSent
				n++
				b.assumed = append(b.assumed, event{at: time.Now(), seq: row.Seq, detail: detail})
			}
		}
	}
	return n, nil
}

func (b *book) VisibilityLag(context.Context, campaign.SenderID) (time.Duration, bool, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.lag, b.measured, nil
}

func (b *book) KeepVisibilityLag(_ context.Context, _ campaign.SenderID, lag time.Duration) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lag, b.measured = max(b.lag, lag), true
	return nil
}

func (b *book) DoubtVisibilityLag(_ context.Context, _ campaign.SenderID, lag time.Duration) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lag, b.measured = max(b.lag, lag), false
	return nil
}

// Message is the row's message as it was, or none when it cannot be had.
func (b *book) Message(_ context.Context, row campaign.UnknownRow) (campaign.Message, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	message, ok := b.texts[row.Seq]
	if !ok {
		return campaign.Message{}, errors.New("the template is gone")
	}
	return message, nil
}

// shelf is a provider whose lists show what they are told to, each thing from
// its own time on.
type shelf struct {
	mu       sync.Mutex
	jobs     []shown
	messages []shown
	jobsErr  error
	chatsErr error
	checkErr error
	count    int64 // of jobs; below 0 all that are listed
	countErr error
	requests int
}

type shown struct {
	campaign.Candidate

	from time.Time
}

func (s *shelf) list(list []shown, keep func(shown) bool) []campaign.Candidate {
	var out []campaign.Candidate
	for _, c := range list {
		if !time.Now().Before(c.from) && keep(c) {
			out = append(out, c.Candidate)
		}
	}
	return out
}

func (s *shelf) Jobs(_ context.Context, _ campaign.Sender, show func(campaign.Candidate)) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests++
	list := s.list(s.jobs, func(shown) bool { return true })
	for _, c := range list {
		show(c) // an error may come after half a list
	}
	return len(list), s.jobsErr
}

func (s *shelf) JobCount(context.Context, campaign.Sender) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests++
	if s.count < 0 {
		return int64(len(s.list(s.jobs, func(shown) bool { return true }))), nil
	}
	return s.count, s.countErr
}

func (s *shelf) Visible(_ context.Context, _ campaign.Sender, queueID string) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests++
	return len(s.list(s.jobs, func(c shown) bool { return c.QueueID == queueID })) > 0, s.jobsErr
}

func (s *shelf) Messages(_ context.Context, _ campaign.Sender, chat campaign.ChatID, since time.Time) ([]campaign.Candidate, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests++
	here := func(c shown) bool { return s.chatsErr == nil && c.Chat == chat }
	known := len(s.list(s.messages, here)) > 0
	return s.list(s.messages, func(c shown) bool { return here(c) && !c.At.Before(since) }), known, s.chatsErr
}

func (s *shelf) Check(context.Context, campaign.Sender) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests++
	return s.checkErr
}

// set changes what the provider says.
func (s *shelf) set(change func(*shelf)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(s)
}

// job shows a job, queued now, from so long on.
func (s *shelf) job(id string, chat campaign.ChatID, text string, from time.Duration) {
	s.set(func(s *shelf) { s.jobs = append(s.jobs, entry(campaign.EvidenceJobs, id, chat, text, from)) })
}

// message shows a message of a chat, sent now.
func (s *shelf) message(id string, chat campaign.ChatID, text string) {
	s.set(func(s *shelf) {
		s.messages = append(s.messages, entry(campaign.EvidenceMessages, id, chat, text, 0))
	})
}

func entry(source campaign.EvidenceSource, id string, chat campaign.ChatID, text string, from time.Duration) shown {
	return shown{from: time.Now().Add(from), Candidate: campaign.Candidate{
		Source: source, QueueID: "q" + id, UniqueID: "3EB0" + id, Chat: chat, Text: text, At: time.Now(),
		Status: campaign.StatusSent, SentAt: time.Now(),
	}}
}

// lab is a reconciler between the two, under virtual time.
type lab struct {
	t     *testing.T
	start time.Time
	cfg   status.ReconcilerConfig
	pace  float64 // requests a second
	*book
	*shelf
	log bytes.Buffer
	r   *status.Reconciler
}

const witnessChat = campaign.ChatID("12015550177@c.us")

// newLab has two witnesses in the job list, one accepted before a row that is
// lost now and one after, and a measured lag of none. What the provider counts
// proves nothing.
func newLab(t *testing.T) *lab {
	t.Helper()
	l := &lab{t: t, start: time.Now(), pace: 10, book: newBook(), shelf: &shelf{count: 1 << 40}}
	l.cfg.Attention = map[campaign.ID]status.Attention{"cmp_1": {}, "cmp_2": {}}
	l.witness("w0", time.Second)
	l.job("w0", witnessChat, "Hi witness", 0)
	l.jobs[0].At = time.Now().Add(-time.Second)
	l.witness("w1", 0)
	l.job("w1", witnessChat, "Hi witness", 0)
	return l
}

// witness adds a message that was accepted so long ago.
func (l *lab) witness(id string, ago time.Duration) {
	l.witnesses = append(l.witnesses, campaign.Tracked{
		Campaign: "cmp_1", Seq: 100, Sender: campaign.Sender{ID: "snd_1"}, Chat: witnessChat, QueueID: "q" + id, UniqueID: "3EB0" + id,
		Status: campaign.StatusQueued, QueuedAt: time.Now().Add(-ago),
	})
}

// policy is what becomes of rows of cmp_1 that nothing is known about.
func (l *lab) policy(p campaign.UnknownPolicy) {
	l.cfg.Attention["cmp_1"] = status.Attention{Policy: p}
}

// run runs the reconciler, the same one each time, for so long.
func (l *lab) run(d time.Duration) {
	l.t.Helper()
	if l.r == nil {
		log := slog.New(slog.NewTextHandler(&l.log, nil))
		l.r = status.NewReconciler(l.book, l.shelf, l.book, ratelimit.New(ratelimit.Config{PerSecond: l.pace}), log, l.cfg)
	}
	ctx, cancel := context.WithTimeout(l.t.Context(), d)
	defer cancel()
	l.r.Run(ctx)
	for _, secret := range []string{"Hi", "1201555", "3EB0"} {
		if strings.Contains(l.log.String(), secret) {
			l.t.Errorf("the log says %q:\n%s", secret, l.log.String())
		}
	}
}

// happened is when each of the events was, in seconds from the start.
func (l *lab) happened(events []event) []int {
	out := []int{}
	for _, e := range events {
		out = append(out, int(e.at.Sub(l.start)/time.Second))
	}
	return out
}

// want checks when rows were found, returned and assumed sent, in seconds from
// the start, and how many are still open.
func (l *lab) want(found, returned, assumed []int, open int) {
	l.t.Helper()
	for _, check := range []struct {
		what      string
		want, got []int
	}{
		{"found", found, l.happened(l.found)}, {"returned", returned, l.happened(l.returned)}, {"assumed sent", assumed, l.happened(l.assumed)},
	} {
		// Requests wait for the budget, so a round may begin some seconds late.
		near := func(want, got int) bool { return got >= want && got <= want+3 }
		if !slices.EqualFunc(check.want, check.got, near) {
			l.t.Errorf("%s after %v s, want %v", check.what, check.got, check.want)
		}
	}
	if got := l.open(l.r); got != open {
		l.t.Errorf("%d rows are open, want %d", got, open)
	}
	if l.t.Failed() {
		l.t.Log(cmp.Or(l.log.String(), "nothing was logged"))
	}
}
