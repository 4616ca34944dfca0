package campaign_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/herald-campaigns/herald/campaign"
)

// waitingRows is a backlog of rows that wait, in memory.
type waitingRows struct {
	mu      sync.Mutex
	rows    []campaign.Recipient
	skipped map[int64]campaign.SkipReason
}

func peopleWaiting(n int) *waitingRows {
	w := &waitingRows{skipped: map[int64]campaign.SkipReason{}}
	for i := range n {
		w.rows = append(w.rows, campaign.Recipient{Campaign: "cmp_1", Seq: int64(i + 1), Chat: person(i)})
	}
	return w
}

func (w *waitingRows) Pending(_ context.Context, _ campaign.ID, _ campaign.SenderID, _ time.Time, limit int) ([]campaign.Recipient, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.rows[:min(limit, len(w.rows))]), nil
}

func (w *waitingRows) StagedCount(context.Context, campaign.SenderID) (int, error) { return 3, nil }

func (w *waitingRows) Skip(_ context.Context, _ campaign.ID, skips []campaign.Skip) (int64, error) {
	for _, s := range skips {
		w.skipped[s.Seq] = s.Reason
		w.take(s.Seq)
	}
	return int64(len(skips)), nil
}

// take takes a row away: it was sent, or skipped.
func (w *waitingRows) take(seq int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.rows = slices.DeleteFunc(w.rows, func(r campaign.Recipient) bool { return r.Seq == seq })
}

// memoryBook is a ContactBook in memory.
type memoryBook struct {
	mu     sync.Mutex
	checks map[campaign.ChatID]campaign.ContactCheck
}

func (m *memoryBook) Contacts(_ context.Context, chats []campaign.ChatID) (map[campaign.ChatID]campaign.ContactCheck, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	found := map[campaign.ChatID]campaign.ContactCheck{}
	for _, chat := range chats {
		if check, ok := m.checks[chat]; ok {
			found[chat] = check
		}
	}
	return found, nil
}

func (m *memoryBook) PutContacts(_ context.Context, checks []campaign.ContactCheck) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, check := range checks {
		m.checks[check.Chat] = check
	}
	return nil
}

// provider answers every question about contacts by answer, and keeps when and
// how many it was asked for.
type provider struct {
	mu     sync.Mutex
	asked  []string
	answer func(question int, chats []campaign.ChatID) ([]campaign.ContactCheck, error)
	began  time.Time
}

func (p *provider) CheckContacts(_ context.Context, chats []campaign.ChatID) ([]campaign.ContactCheck, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked = append(p.asked, fmt.Sprintf("%s %d", time.Since(p.began), len(chats)))
	return p.answer(len(p.asked), chats)
}

// questions are when it was asked, and for how many.
func (p *provider) questions() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.asked)
}

// everyThird is not on WhatsApp.
func everyThird(_ int, chats []campaign.ChatID) ([]campaign.ContactCheck, error) {
	var checks []campaign.ContactCheck
	for _, chat := range chats {
		last := chat.Number()[len(chat.Number())-1]
		checks = append(checks, campaign.ContactCheck{Chat: chat, Exists: last%3 != 0, At: time.Now()})
	}
	return checks, nil
}

// checking is a CheckedBacklog that runs in a bubble of synctest.
type checking struct {
	*campaign.CheckedBacklog
	rows     *waitingRows
	book     *memoryBook
	provider *provider
	log      *bytes.Buffer
}

func startChecking(t *testing.T, rows int, answer func(int, []campaign.ChatID) ([]campaign.ContactCheck, error)) checking {
	t.Helper()
	c := checking{
		rows: peopleWaiting(rows), book: &memoryBook{checks: map[campaign.ChatID]campaign.ContactCheck{}},
		provider: &provider{answer: answer, began: time.Now()}, log: &bytes.Buffer{},
	}
	c.CheckedBacklog = campaign.NewCheckedBacklog(c.rows, c.rows, c.book, c.provider, slog.New(slog.NewTextHandler(c.log, nil)), campaign.ContactsConfig{
		Wanted: func(id campaign.ID) bool { return id == "cmp_1" },
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); c.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	return c
}

// pending is the sequence numbers that pass now.
func (c checking) pending(t *testing.T, limit int) []int64 {
	t.Helper()
	rows, err := c.Pending(t.Context(), "cmp_1", "s", time.Now(), limit)
	if err != nil {
		t.Fatal(err)
	}
	var seqs []int64
	for _, r := range rows {
		seqs = append(seqs, r.Seq)
	}
	return seqs
}

func TestContactsAreCheckedFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := startChecking(t, 300, everyThird)
		if got := c.pending(t, 5); len(got) != 0 {
			t.Errorf("rows %v pass unchecked", got)
		}
		synctest.Wait()
		// The rest of what was looked at ahead is asked for ten seconds later,
		// not before.
		if got := c.pending(t, 5); !slices.Equal(got, []int64{2, 3, 5, 6, 8}) {
			t.Errorf("rows %v pass, want the first five that are on WhatsApp", got)
		}
		if n := len(c.rows.skipped); n != 20 || c.rows.skipped[1] != campaign.SkipNotOnWhatsApp {
			t.Errorf("%d rows are skipped: %v", n, c.rows.skipped)
		}
		<-time.After(25 * time.Second)
		synctest.Wait()
		c.pending(t, 5)
		if diff := cmp.Diff([]string{"0s 50", "10s 50", "20s 5"}, c.provider.questions()); diff != "" {
			t.Errorf("questions (-want +got):\n%s", diff)
		}
		n, err := c.StagedCount(t.Context(), "s")
		if n != 3 || err != nil {
			t.Errorf("staged %d, %v", n, err)
		}
	})
}

func TestOtherCampaignsAreNotChecked(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := startChecking(t, 10, everyThird)
		rows, err := c.Pending(t.Context(), "cmp_2", "s", time.Now(), 4)
		if err != nil || len(rows) != 4 {
			t.Errorf("%d rows, %v", len(rows), err)
		}
		synctest.Wait()
		if len(c.provider.questions()) != 0 {
			t.Errorf("asked %v", c.provider.questions())
		}
	})
}

// TestAnswersAgeAndGroupsPass: an answer holds for thirty days, and groups are
// nobody's number.
func TestAnswersAgeAndGroupsPass(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := startChecking(t, 3, everyThird)
		c.rows.rows[2].Chat = "120363041234567890@g.us"
		day := 24 * time.Hour
		c.book.checks[person(0)] = campaign.ContactCheck{Chat: person(0), Exists: true, At: time.Now().Add(-29 * day)}
		c.book.checks[person(1)] = campaign.ContactCheck{Chat: person(1), Exists: false, At: time.Now().Add(-31 * day)}
		if got := c.pending(t, 5); !slices.Equal(got, []int64{1, 3}) {
			t.Errorf("rows %v pass, want the one known of and the group", got)
		}
		synctest.Wait()
		if got := c.pending(t, 5); !slices.Equal(got, []int64{1, 2, 3}) {
			t.Errorf("rows %v pass after a new answer", got)
		}
		if diff := cmp.Diff([]string{"0s 1"}, c.provider.questions()); diff != "" {
			t.Errorf("questions (-want +got):\n%s", diff)
		}
	})
}

// TestNobodyToAsk: an account without the API must not keep a campaign from
// being sent, and the log says once that nothing is checked.
func TestNobodyToAsk(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := startChecking(t, 200, func(int, []campaign.ChatID) ([]campaign.ContactCheck, error) {
			return nil, &campaign.Error{Code: campaign.CodeNotFound, What: "no such route"}
		})
		c.pending(t, 4)
		synctest.Wait()
		if got := c.pending(t, 4); !slices.Equal(got, []int64{1, 2, 3, 4}) {
			t.Errorf("rows %v pass", got)
		}
		<-time.After(time.Minute)
		c.pending(t, 4)
		synctest.Wait()
		if len(c.provider.questions()) != 1 || strings.Count(c.log.String(), "unchecked") != 1 {
			t.Errorf("asked %v, log:\n%s", c.provider.questions(), c.log)
		}
	})
}

// TestQuestionsThatFail come slower and slower, and nobody is sent to unchecked.
func TestQuestionsThatFail(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := startChecking(t, 10, func(question int, chats []campaign.ChatID) ([]campaign.ContactCheck, error) {
			if question <= 3 {
				return nil, errors.New("502")
			}
			return everyThird(question, chats)
		})
		for range 20 {
			if got := c.pending(t, 4); len(c.provider.questions()) <= 3 && len(got) != 0 {
				t.Errorf("rows %v pass unchecked", got)
			}
			<-time.After(10 * time.Second)
			synctest.Wait()
		}
		if diff := cmp.Diff([]string{"0s 10", "20s 10", "1m0s 10", "2m20s 10"}, c.provider.questions()); diff != "" {
			t.Errorf("questions (-want +got):\n%s", diff)
		}
		if got := c.pending(t, 4); len(got) != 4 {
			t.Errorf("rows %v pass", got)
		}
		if strings.Contains(c.log.String(), string(person(0))) {
			t.Errorf("a number in the log:\n%s", c.log)
		}
	})
}

// TestAnswersThatLackANumber: without an answer nothing speaks against sending.
func TestAnswersThatLackANumber(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := startChecking(t, 4, func(q int, chats []campaign.ChatID) ([]campaign.ContactCheck, error) { return everyThird(q, chats[1:]) })
		c.pending(t, 4)
		synctest.Wait()
		if got := c.pending(t, 4); !slices.Equal(got, []int64{1, 2, 3}) {
			t.Errorf("rows %v pass; the fourth is not on WhatsApp", got)
		}
	})
}

// TestFeederFeedsTheChecked is the whole of it: a real feeder, ledger and
// stream.
func TestFeederFeedsTheChecked(t *testing.T) {
	t.Parallel()
	b := newBelt(t, nil)
	c := b.campaign(7, 30)
	asked := &provider{answer: everyThird, began: time.Now()}
	checkedOnce := make(chan struct{}, 1)
	checked := campaign.NewCheckedBacklog(b.store, b.store, b.store, asked, slog.New(slog.DiscardHandler), campaign.ContactsConfig{
		Wanted: func(campaign.ID) bool { return true }, Checked: func() { checkedOnce <- struct{}{} },
	})
	feeder := campaign.NewFeeder(checked, b.store, b.conn, slog.New(slog.DiscardHandler), campaign.FeederConfig{
		Sender: b.sender.ID, Pace: unlimited(),
	})
	feeding := []campaign.Feeding{{Campaign: c, Renderer: renderer(hello)}}
	must(t, feeder.Fill(t.Context(), feeding))
	if n, err := b.store.StagedCount(t.Context(), b.sender.ID); n != 0 || err != nil {
		t.Fatalf("%d rows are staged unchecked, %v", n, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); checked.Run(ctx) }()
	<-checkedOnce
	must(t, feeder.Fill(t.Context(), feeding))
	cancel()
	<-done
	totals, err := b.store.Totals(t.Context(), c.ID)
	must(t, err)
	none := totals.Skipped[campaign.SkipNotOnWhatsApp]
	if none < 5 || totals.ByStatus[campaign.StatusStaged]+none != 30 {
		t.Errorf("totals %+v", totals)
	}
}
