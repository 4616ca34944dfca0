package status_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/internal/gateway"
	"github.com/herald-campaigns/herald/periskope"
	"github.com/herald-campaigns/herald/status"
	"github.com/herald-campaigns/herald/storage/storagetest"
)

// TestSweepsFindWhatNoWebhookBrought and a webhook that comes later after all
// changes nothing.
func TestSweepsFindWhatNoWebhookBrought(t *testing.T) {
	t.Parallel()
	m := openMail(t, 4)
	m.send(1, 2, 3)
	at := mailTime.Add(time.Minute)
	stop := theirs(2, "r1", "STOP", at, map[string]any{"quoted_message_id": unique(2)})
	m.messages = []map[string]any{
		theirs(3, "r2", "please stop this", at.Add(time.Second), nil), stop, theirs(1, "r3", "Hello", at, nil),
		m.voted(3, at, "Stop"), m.own(2, nil), m.own(1, map[string]any{"ack": "3", "delivery_info": map[string]any{"delivered": map[string]any{"x": mailTime.Unix() + 9}}}),
		m.own(99, map[string]any{"body": "of a person"}),
	}
	m.now = at.Add(time.Minute)
	m.sweep()
	want := []string{"1 recent - Hello", "2 quote opt_out STOP", "3 recent review please stop this"}
	check := func() {
		t.Helper()
		if diff := cmp.Diff(want, m.replies()); diff != "" {
			t.Errorf("replies (-want +got):\n%s", diff)
		}
		m.wantStatus(1, campaign.StatusDelivered)
		m.wantStatus(2, campaign.StatusSent)
		m.wantStatus(3, campaign.StatusRead)
		if r := m.row(3); !slices.Equal(r.Vote, []string{"Stop"}) || !m.suppressed(storagetest.Chat(3)) || !m.suppressed(storagetest.Chat(2)) {
			t.Errorf("vote %v; suppressed %t, %t", r.Vote, m.suppressed(storagetest.Chat(3)), m.suppressed(storagetest.Chat(2)))
		}
	}
	check()
	if r := m.row(1); !r.DeliveredAt.Equal(mailTime.Add(9 * time.Second)) {
		t.Errorf("delivered at %s", r.DeliveredAt)
	}
	m.deliver("message.created", stop)
	m.sort()
	m.now = m.now.Add(time.Hour)
	m.sweep()
	check()
}

// TestSweepsLookALittleBack and no oftener than they should.
func TestSweepsLookALittleBack(t *testing.T) {
	t.Parallel()
	m := openMail(t, 1)
	m.messages = []map[string]any{theirs(1, "r1", "Hello", mailTime, nil)}
	m.sweep()
	if first := m.requests("/chats/messages"); first != 3 { // 72 hours in two parts, and no more behind the one message
		t.Errorf("%d requests at first", first)
	}
	m.now = m.now.Add(3*time.Minute - time.Second)
	m.sweep()
	if n := m.requests("/"); n != 0 {
		t.Errorf("%d requests too early", n)
	}
	m.reopen() // what is known of it outlives the process
	m.now = m.now.Add(time.Second)
	m.sweep()
	look := "/chats/messages?2026-11-28T09:55:00.000Z…"
	if want := []string{look, look}; !slices.Equal(m.asked, want) { // the second finds no more
		t.Errorf("asked for %v", m.asked)
	}
}

// TestVotesAreAskedForLessAndLess: 1, 5, 15 and 60 minutes after the message,
// then each hour until nobody is expected to vote any more.
func TestVotesAreAskedForLessAndLess(t *testing.T) {
	t.Parallel()
	m := openMail(t, 1)
	m.send(1)
	m.watch(1)
	m.noList = true
	m.sweeping.Every, m.sweeping.Window = 1000*time.Hour, 6*time.Hour
	m.reopen()
	m.messages = []map[string]any{m.voted(1, mailTime.Add(time.Minute), "No")}
	want := []time.Duration{time.Minute, 5 * time.Minute, 15 * time.Minute}
	for h := range 6 {
		want = append(want, time.Duration(h+1)*time.Hour)
	}
	var got []time.Duration
	m.sweep()
	for m.now.Sub(mailTime) < 8*time.Hour {
		m.now = m.now.Add(30 * time.Second)
		if m.sweep(); m.requests("/message/") > 0 {
			got = append(got, m.now.Sub(mailTime))
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("asked after (-want +got):\n%s", diff)
	}
	if r := m.row(1); !slices.Equal(r.Vote, []string{"No"}) || r.Status != campaign.StatusRead {
		t.Errorf("row 1 is %s and voted %v", r.Status, r.Vote)
	}
	if n := strings.Count(m.log.String(), "lists no messages"); n != 1 {
		t.Errorf("it was said %d times that there is no list", n)
	}
}

// TestManyVotesComeFromTheList: only what is not in it is asked for by itself.
func TestManyVotesComeFromTheList(t *testing.T) {
	t.Parallel()
	m := openMail(t, 8)
	for seq := range int64(8) {
		m.send(seq + 1)
		m.watch(seq + 1)
		if seq < 7 {
			m.messages = append(m.messages, m.voted(seq+1, mailTime.Add(time.Minute), "Yes"))
		}
	}
	m.sweeping.First = time.Second // the look for replies sees none of them
	m.reopen()
	m.now = m.now.Add(20 * time.Minute)
	m.sweep()
	if n := m.requests("/message/"); n != 2 { // by both of its ids
		t.Errorf("%d requests for single messages", n)
	}
	for seq := range int64(7) {
		if r := m.row(seq + 1); !slices.Equal(r.Vote, []string{"Yes"}) {
			t.Errorf("row %d voted %v", r.Seq, r.Vote)
		}
	}
}

// scripted is lists that answer as they are told.
type scripted struct {
	each  func(from, to time.Time, show func(campaign.News)) error
	looks int
	polls int
}

func (s *scripted) EachMessage(
	ctx context.Context, _ campaign.Sender, from, to time.Time, before func(context.Context) error, show func(campaign.News),
) (newest, clock time.Time, err error) {
	if err := before(ctx); err != nil {
		return newest, clock, err
	}
	s.looks++
	err = s.each(from, to, func(news campaign.News) {
		if news.Inbound != nil && news.Inbound.At.After(newest) {
			newest = news.Inbound.At
		}
		show(news)
	})
	return newest, clock, err
}

func (s *scripted) PollNews(context.Context, campaign.Sender, campaign.PollWatch) (campaign.News, error) {
	s.polls++
	return campaign.News{}, errors.New("not asked for")
}

// tooMany is what lists answer that are too long to be read whole.
func tooMany() error {
	return &gateway.TooLongError{Err: &campaign.Error{Code: campaign.CodeInvalid, What: "too many"}}
}

// sweepBy gives the mailroom a sweeper with these lists.
func (m *mailroom) sweepBy(lists status.MessageLists, budget status.Budget) {
	logger := slog.New(slog.NewTextHandler(m.log, nil))
	desk, err := status.NewDesk(m.ledger, m, logger, m.desk)
	check(m.t, err)
	m.sweeper = status.NewSweeper(m.ledger, lists, m, desk, budget, logger, status.SweeperConfig{Clock: func() time.Time { return m.now }})
}

// blocked notes until when nothing is to be asked for.
type blocked struct {
	free

	until time.Time
}

func (b *blocked) BlockUntil(t time.Time) { b.until = t }

// TestTroubleLosesNothing: what was not looked through is looked through later,
// and what was shown before the trouble counts.
func TestTroubleLosesNothing(t *testing.T) {
	t.Parallel()
	m := openMail(t, 1)
	m.send(1)
	code, budget := campaign.CodeThrottled, &blocked{}
	var froms []time.Time
	lists := &scripted{each: func(from, _ time.Time, show func(campaign.News)) error {
		froms = append(froms, from)
		show(campaign.News{Inbound: &campaign.Inbound{ID: "r1", Chat: storagetest.Chat(1), Text: "STOP", At: mailTime.Add(time.Second)}})
		if code != "" {
			return &campaign.Error{Code: code, What: "no"}
		}
		return nil
	}}
	m.sweepBy(lists, budget)
	m.sweep()
	if !m.suppressed(storagetest.Chat(1)) || !budget.until.After(m.now) {
		t.Errorf("suppressed %t, blocked until %s", m.suppressed(storagetest.Chat(1)), budget.until)
	}
	code = campaign.CodeUnavailable
	for range 5 {
		m.now = m.now.Add(time.Minute)
		m.sweep()
	}
	code = ""
	m.now = m.now.Add(time.Minute)
	m.sweep()
	if n := len(froms); n != 8 || !froms[6].Equal(m.now.Add(-72*time.Hour)) {
		t.Errorf("%d looks, from %s on", n, froms)
	}
	if n := strings.Count(m.log.String(), "waits until the provider"); n != 2 { // throttled, then away
		t.Errorf("said %d times:\n%s", n, m.log)
	}
	if got := m.replies(); len(got) != 1 {
		t.Errorf("replies: %v", got)
	}
}

// TestALongListIsReadInParts, as small as need be.
func TestALongListIsReadInParts(t *testing.T) {
	t.Parallel()
	m := openMail(t, 1)
	var covered []time.Time
	lists := &scripted{each: func(from, to time.Time, show func(campaign.News)) error {
		if to.IsZero() {
			to = m.now
			show(campaign.News{Inbound: &campaign.Inbound{ID: "r1", Chat: storagetest.Chat(1), Text: "Hello", At: m.now}})
		}
		if to.Sub(from) > 7*time.Hour {
			return tooMany()
		}
		if n := len(covered); n > 0 && !covered[n-1].Equal(from) {
			t.Errorf("from %s to %s nothing was looked at", covered[n-1], from)
		}
		covered = append(covered, to)
		return nil
	}}
	m.sweepBy(lists, free{})
	m.sweep()
	if n := len(covered); n != 12 || !covered[n-1].Equal(m.now) {
		t.Errorf("%d parts up to %s", n, covered[n-1])
	}
	m.now = m.now.Add(3 * time.Minute)
	endless := &scripted{each: func(time.Time, time.Time, func(campaign.News)) error {
		return tooMany()
	}}
	m.sweepBy(endless, free{})
	m.sweep()
	if endless.looks > 30 || strings.Count(m.log.String(), "more messages than can be looked through") != 1 {
		t.Errorf("%d looks:\n%s", endless.looks, m.log)
	}
}

// TestWorkersEnd when they are told to, and do their work until then.
func TestWorkersEnd(t *testing.T) {
	t.Parallel()
	m := openMail(t, 1)
	m.send(1)
	purged, looked := make(chan []string, 1), make(chan struct{}, 100)
	w := status.NewWithdrawals(m.ledger, purger(func(ids []string) ([]string, error) {
		purged <- ids
		return ids, nil
	}), slog.New(slog.DiscardHandler))
	m.desk.Withdrawals = w
	m.sweepBy(&scripted{each: func(_, _ time.Time, show func(campaign.News)) error {
		looked <- struct{}{}
		show(campaign.News{Inbound: &campaign.Inbound{ID: "r1", Chat: storagetest.Chat(1), Text: "STOP", At: mailTime.Add(time.Second)}})
		return nil
	}}, free{})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{}, 2)
	for _, run := range []func(context.Context){w.Run, m.sweeper.Run} {
		go func() {
			run(ctx)
			ended <- struct{}{}
		}()
	}
	<-looked
	if ids := <-purged; !slices.Equal(ids, []string{m.queue(1)}) {
		t.Errorf("purged %v", ids)
	}
	cancel()
	<-ended
	<-ended
}

// TestAListThatIsRefused is no long one: it is asked for less and less, and that
// is said once. Votes are asked for all the same.
func TestAListThatIsRefused(t *testing.T) {
	t.Parallel()
	m := openMail(t, 1)
	m.send(1)
	m.watch(1)
	refused := true
	lists := &scripted{each: func(time.Time, time.Time, func(campaign.News)) error {
		if refused {
			return &campaign.Error{Code: campaign.CodeInvalid, What: "HTTP status 422"}
		}
		return nil
	}}
	m.sweepBy(lists, free{})
	m.sweepUntil(mailTime.Add(6 * time.Hour))
	if lists.looks < 6 || lists.looks > 12 {
		t.Errorf("%d looks in six hours", lists.looks)
	}
	if lists.polls == 0 {
		t.Error("nobody asked for the votes")
	}
	refused = false
	m.sweepUntil(m.now.Add(time.Hour))
	looks := lists.looks
	m.sweepUntil(m.now.Add(3 * time.Minute))
	if lists.looks == looks {
		t.Error("it is not looked at as often as before")
	}
	for _, said := range []string{"failed, will try again", "works again"} {
		if n := strings.Count(m.log.String(), said); n != 1 {
			t.Errorf("%q was said %d times:\n%s", said, n, m.log)
		}
	}
}

// TestNobodyWaitsForALongLook: what takes longer than its turn goes on in the
// next round, where it was.
func TestNobodyWaitsForALongLook(t *testing.T) {
	t.Parallel()
	t.Run("replies", func(t *testing.T) {
		t.Parallel()
		m := openMail(t, 1)
		var reached time.Time
		lists := &scripted{}
		lists.each = func(from, to time.Time, _ func(campaign.News)) error {
			m.now = m.now.Add(7 * time.Second)
			if to.IsZero() {
				to = m.now
			}
			if to.Sub(from) > time.Hour {
				return tooMany()
			}
			if !reached.IsZero() && from.After(reached) {
				t.Errorf("from %s to %s nothing was looked at", reached, from)
			}
			reached = to
			return nil
		}
		m.sweepBy(lists, free{})
		for range 40 {
			began, looks := m.now, lists.looks
			m.sweep()
			if took := m.now.Sub(began); took > 75*time.Second {
				t.Fatalf("a round took %s", took)
			}
			if lists.looks == looks {
				break
			}
		}
		if m.now.Sub(reached) > time.Minute {
			t.Errorf("it came to %s by %s", reached, m.now)
		}
	})
	t.Run("pages", func(t *testing.T) { // a budget that is as slow as life
		t.Parallel()
		m := openMail(t, 1)
		m.send(1)
		for i := range 600 {
			m.list(theirs(1, fmt.Sprint("r", i), "Hello", mailTime.Add(time.Duration(i)*3*time.Minute), nil))
		}
		m.now = m.now.Add(30 * time.Hour)
		m.sweepAt(2 * time.Second)
		for range 40 {
			began := m.now
			m.sweep()
			if took := m.now.Sub(began); took > 85*time.Second {
				t.Fatalf("a round took %s", took)
			}
			m.requests("/")
		}
		if n := len(m.replies()); n != 600 {
			t.Errorf("%d of 600 replies were seen", n)
		}
	})
	t.Run("slow requests", func(t *testing.T) { // shorter times would not make them faster
		t.Parallel()
		m := openMail(t, 1)
		m.send(1)
		m.list(theirs(1, "r1", "Hello", mailTime.Add(time.Second), nil))
		m.now = m.now.Add(time.Minute)
		m.sweepAt(2 * time.Minute)
		for range 5 {
			m.sweep()
		}
		sweep, err := m.ledger.Sweep(t.Context(), m.seeded.Sender.ID, campaign.SweepReplies, "")
		if check(t, err); sweep.Times == 0 {
			t.Errorf("%d requests came to no end", m.requests("/chats/messages"))
		}
	})
	t.Run("votes", func(t *testing.T) {
		t.Parallel()
		m := fiftyPolls(t)
		m.sweepAt(2 * time.Second)
		m.now = m.now.Add(time.Minute)
		for _, want := range []int{31, 19, 0} {
			m.sweep()
			asked := map[string]bool{}
			for _, path := range m.asked {
				if strings.HasPrefix(path, "/message/unique") {
					asked[path] = true
				}
			}
			m.asked = nil
			if len(asked) != want {
				t.Errorf("%d polls were asked for, want %d", len(asked), want)
			}
		}
	})
	t.Run("votes on many campaigns", func(t *testing.T) {
		t.Parallel()
		m := fiftyPolls(t)
		m.more = []campaign.ID{"cmp_2", "cmp_3"}
		m.sweepAt(2 * time.Second)
		m.now = m.now.Add(time.Minute)
		for range 8 {
			began := m.now
			m.sweep()
			if took := m.now.Sub(began); took > 105*time.Second { // two turns, the second shorter
				t.Fatalf("a round took %s", took)
			}
		}
		for _, id := range append(m.more, m.seeded.ID) {
			sweep, err := m.ledger.Sweep(t.Context(), m.seeded.Sender.ID, campaign.SweepVotes, string(id))
			if check(t, err); sweep.Times == 0 {
				t.Errorf("nobody asked for all the votes on %s", id)
			}
		}
	})
}

// TestARefusedMessageStandsInNobodysWay: the ledger takes those around it, and
// what it does not take is said once. When it is the ledger that does not work,
// nothing is passed over.
func TestARefusedMessageStandsInNobodysWay(t *testing.T) {
	t.Parallel()
	m := openMail(t, 3)
	m.send(1, 2, 3)
	for seq := range int64(3) {
		m.list(theirs(seq+1, fmt.Sprint("r", seq+1), "STOP", mailTime.Add(time.Minute), nil))
	}
	m.now = mailTime.Add(2 * time.Minute)
	m.ledger.broken = func(f campaign.Folding) bool { return f.Reply != nil && f.Reply.ID == "r2" }
	for name, broken := range map[string]error{
		"disk full": &campaign.Error{Code: campaign.CodeUnavailable, What: "no space left"},
		"damaged":   &campaign.Error{Code: campaign.CodeInternal, What: "the database file is damaged"},
	} {
		m.ledger.brokenBy = broken
		if err := m.sweeper.Round(t.Context()); !errors.Is(err, broken) {
			t.Errorf("%s: %v", name, err)
		}
	}
	m.ledger.brokenBy = nil
	m.sweepUntil(m.now.Add(9 * time.Minute))
	for seq := range int64(3) {
		if chat := storagetest.Chat(seq + 1); m.suppressed(chat) != (seq != 1) {
			t.Errorf("row %d: suppressed %t", seq+1, m.suppressed(chat))
		}
	}
	if n := strings.Count(m.log.String(), "does not take a message"); n != 1 {
		t.Errorf("said %d times:\n%s", n, m.log)
	}
	m.ledger.broken = nil
	m.sweepUntil(m.now.Add(3 * time.Minute))
	if !m.suppressed(storagetest.Chat(2)) {
		t.Error("it is not taken later either")
	}
}

// slow is a budget whose every request takes a time.
type slow struct {
	free

	wait func()
}

func (s slow) Wait(ctx context.Context) error {
	s.wait()
	return ctx.Err()
}

// sweepAt gives the mailroom a sweeper whose every request takes so long.
func (m *mailroom) sweepAt(each time.Duration) {
	m.t.Helper()
	client, err := periskope.New(periskope.Config{BaseURL: "http://127.0.0.1/v1", Token: "a-token", Transport: m})
	check(m.t, err)
	m.sweepBy(gateway.New(client, nil, gateway.Config{}), slow{wait: func() { m.now = m.now.Add(each) }})
}

// fiftyPolls were sent, and there is no list: each is asked for by itself.
func fiftyPolls(t *testing.T) *mailroom {
	t.Helper()
	m := openMail(t, 50)
	for seq := range int64(50) {
		m.send(seq + 1)
		m.watch(seq + 1)
	}
	m.noList = true
	return m
}
