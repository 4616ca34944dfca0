package status_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/internal/gateway"
	"github.com/herald-campaigns/herald/status"
	"github.com/herald-campaigns/herald/storage/storagetest"
)

// TestAnEventBeforeOurOwnCommit: WhatsApp may be faster than our disk.
func TestAnEventBeforeOurOwnCommit(t *testing.T) {
	t.Parallel()
	m := openMail(t, 2)
	row, claim := m.claim(1)
	m.deliver("message.ack.updated", m.own(1, map[string]any{"ack": "3"}))
	m.deliver("message.delivered", map[string]any{"queue_id": m.queue(1)})
	m.sort()
	m.wantParked(2)
	m.wantStatus(1, campaign.StatusSubmitting)

	m.accept(row, claim)
	m.later(time.Second)
	m.wantParked(0)
	m.wantStatus(1, campaign.StatusDelivered)
	got := m.inbox.Stats()
	want := status.Stats{Taken: 2, Parked: 2, Found: 2, Statuses: 2, Events: map[string]int64{"message.ack.updated": 1, "message.delivered": 1}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("counters (-want +got):\n%s", diff)
	}
}

// TestWhatIsNobodysIsForgotten but not before its time.
func TestWhatIsNobodysIsForgotten(t *testing.T) {
	t.Parallel()
	m := openMail(t, 1)
	for range 7 { // more than a batch
		m.deliveries++
		m.deliver("message.ack.updated", m.own(int64(100+m.deliveries), nil))
	}
	m.sort()
	m.later(71 * time.Hour)
	m.wantParked(7)
	m.reopen() // a process that starts tries all of them
	m.later(2 * time.Hour)
	m.wantParked(0)
	if got := m.inbox.Stats(); got.Dropped != 7 {
		t.Errorf("%d were dropped, want 7", got.Dropped)
	}
}

// TestParkedOnesAreTriedLessAndLess: each second in the first minute, then each
// minute, then each half hour.
func TestParkedOnesAreTriedLessAndLess(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ age, step time.Duration }{
		"young": {10 * time.Second, time.Second}, "older": {10 * time.Minute, time.Minute}, "old": {10 * time.Hour, 30 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := openMail(t, 1)
			row, claim := m.claim(1)
			m.deliver("message.ack.updated", m.own(1, nil))
			m.sort()
			m.later(test.age)
			m.accept(row, claim)
			m.later(test.step / 2)
			m.wantParked(1)
			m.later(test.step/2 + time.Millisecond)
			m.wantParked(0)
			m.wantStatus(1, campaign.StatusSent)
		})
	}
}

// TestAFailureMustBeConfirmed by the provider, unless it knows nothing any more.
func TestAFailureMustBeConfirmed(t *testing.T) {
	t.Parallel()
	m := openMail(t, 6)
	m.send(1, 2, 3, 4, 5, 6)
	failed := func(seq int64) {
		m.deliver("message.failed", map[string]any{"queue_id": m.queue(seq), "status_description": "gave up", "timeline": map[string]any{"failed_at": stampOf(mailTime.Add(time.Minute))}})
	}
	m.provider.answers[1] = campaign.Evidence{Status: campaign.StatusFailed, Detail: "no such number"}
	m.provider.answers[2] = campaign.Evidence{Status: campaign.StatusDelivered, DeliveredAt: mailTime.Add(time.Minute)}
	m.provider.errs[3] = &campaign.Error{Code: campaign.CodeNotFound, What: "gone"}
	m.provider.answers[4] = campaign.Evidence{Status: campaign.StatusProcessing}
	m.provider.errs[5] = &campaign.Error{Code: campaign.CodeUnavailable, What: "away"}
	for seq := range int64(5) {
		failed(seq + 1)
	}
	m.deliver("message.ack.updated", m.own(6, map[string]any{"ack": -1}))
	m.provider.answers[6] = campaign.Evidence{Status: campaign.StatusSent}
	m.sort()
	m.later(time.Second)
	m.later(time.Second)
	for seq, want := range map[int64]campaign.Status{
		1: campaign.StatusFailed, 2: campaign.StatusDelivered, 3: campaign.StatusFailed, 4: campaign.StatusQueued, 5: campaign.StatusQueued, 6: campaign.StatusSent,
	} {
		m.wantStatus(seq, want)
	}
	if r := m.row(1); r.Detail != "no such number" || !r.FailedAt.Equal(mailTime.Add(time.Minute)) {
		t.Errorf("row 1 failed at %s: %q", r.FailedAt, r.Detail)
	}
	m.wantParked(2)
	asked := len(m.provider.asked)
	m.provider.answers[4] = campaign.Evidence{Status: campaign.StatusFailed}
	delete(m.provider.errs, 5)
	m.provider.answers[5] = campaign.Evidence{Status: campaign.StatusRead}
	m.later(time.Second)
	if n := len(m.provider.asked) - asked; n != 0 { // they are asked about after 5 s
		t.Errorf("%d requests, want none", n)
	}
	m.later(5 * time.Second)
	m.wantStatus(4, campaign.StatusFailed)
	m.wantStatus(5, campaign.StatusRead)
	m.wantParked(0)
}

// TestAStopBehindFailures takes effect while the provider is still asked about
// them, however slow that is, and they are confirmed all the same.
func TestAStopBehindFailures(t *testing.T) {
	t.Parallel()
	const failures = 100
	m := openMail(t, failures+1)
	for seq := range int64(failures) {
		m.send(seq + 1)
		m.provider.answers[seq+1] = campaign.Evidence{Status: campaign.StatusFailed}
		m.deliver("message.failed", map[string]any{"queue_id": m.queue(seq + 1)})
	}
	budget := &gate{waiting: make(chan struct{}), open: make(chan struct{})}
	desk, err := status.NewDesk(m.ledger, m, slog.New(slog.DiscardHandler), m.desk)
	check(t, err)
	inbox := status.NewInbox(m.ledger, gateway.News, desk, m.provider, budget, slog.New(slog.DiscardHandler), status.InboxConfig{})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		inbox.Run(ctx)
	}()
	defer func() {
		cancel()
		<-ended
	}()
	<-budget.waiting // the provider is being asked, and will not answer for now
	m.deliver("message.created", theirs(failures+1, "r1", "STOP", mailTime, nil))
	inbox.Poke()
	until(t, "the opt-out to count", func() bool { return m.suppressed(storagetest.Chat(failures + 1)) })
	m.wantStatus(1, campaign.StatusQueued)
	close(budget.open)
	until(t, "the failures to be confirmed", func() bool {
		_, parked, err := m.ledger.DeliveryBacklog(t.Context())
		check(t, err)
		return parked == 0
	})
	m.wantStatus(1, campaign.StatusFailed)
	m.wantStatus(failures, campaign.StatusFailed)
}

// gate is a budget that has nothing left until it is opened.
type gate struct {
	waiting, open chan struct{}
	once          sync.Once
}

func (g *gate) Wait(ctx context.Context) error {
	g.once.Do(func() { close(g.waiting) })
	select {
	case <-g.open:
	case <-ctx.Done():
	}
	return ctx.Err()
}

func (g *gate) BlockUntil(time.Time) {}

// until waits for what is to come true soon.
func until(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !done(); {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

func TestWhatIsNotOurs(t *testing.T) {
	t.Parallel()
	m := openMail(t, 1)
	m.send(1)
	const other = "12015550199@c.us"
	m.deliver("message.ack.updated", m.own(1, map[string]any{"org_phone": other, "ack": "4"}))
	m.deliver("message.created", theirs(1, "r1", "STOP", mailTime, map[string]any{"org_phone": other}))
	m.deliver("org.phone.disconnected", map[string]any{"org_phone": other})
	m.deliver("reaction.created", map[string]any{"reaction": "x"})
	m.post([]byte(`{"secret":"12015550100"`))
	m.deliver("org.phone.disconnected", map[string]any{"phone_id": "phone-bqzvyibhmwkaergr", "wa_state": "DISCONNECTED"})
	m.sort()
	m.wantParked(0)
	m.wantStatus(1, campaign.StatusQueued)
	if len(m.looks) != 1 || m.looks[0].State != "disconnected" || m.suppressed(storagetest.Chat(1)) {
		t.Errorf("looks: %+v", m.looks)
	}
	got := m.inbox.Stats()
	got.Events = nil
	if want := (status.Stats{Taken: 6, Foreign: 3, Ignored: 1, Unreadable: 1, Phones: 1}); !cmp.Equal(want, got) {
		t.Errorf("counters: %s", cmp.Diff(want, got))
	}
}

func TestRepliesAreTied(t *testing.T) {
	t.Parallel()
	m := openMail(t, 3)
	m.ledger.kept = map[string]bool{}
	m.send(1, 2)
	at := mailTime.Add(time.Minute)
	m.deliver("message.created", theirs(1, "r1", "Thanks", at, map[string]any{"quoted_message_id": unique(1)}))
	m.deliver("message.created", theirs(1, "r2", "When?", at.Add(time.Minute), map[string]any{"quoted_message_id": "true_x@c.us_" + unique(1)}))
	m.deliver("message.created", theirs(1, "r3", "Where?", at.Add(2*time.Minute), nil))
	m.deliver("message.created", theirs(2, "r4", "Too late", mailTime.Add(73*time.Hour), nil))
	m.deliver("message.created", theirs(3, "r5", "Who is this?", at, nil))
	m.deliver("message.created", theirs(2, "r6", "stop sending this", at, nil))
	m.deliver("message.created", theirs(3, "r7", "please stop sending", at, nil))
	m.deliver("message.created", theirs(3, "r8", "Remember?", at, map[string]any{"quoted_message_id": "nobody-knows"}))
	m.sort()
	m.wantParked(1) // what r8 quotes may be known later
	want := []string{"1 quote - Thanks", "1 quote - When?", "1 recent - Where?", "2 recent review stop sending this"}
	if diff := cmp.Diff(want, m.replies()); diff != "" {
		t.Errorf("replies (-want +got):\n%s", diff)
	}
	// What is tied to nothing and asks for nothing is private.
	for id, want := range map[string]bool{"r4": false, "r5": false, "r7": true, "r8": false} {
		if got := m.ledger.kept[id]; got != want {
			t.Errorf("message %s is kept: %t, want %t", id, got, want)
		}
	}
	if r := m.row(1); r.Replies != 3 || r.Reply != "Thanks" || !r.RepliedAt.Equal(at) {
		t.Errorf("row 1: %d replies, %q at %s", r.Replies, r.Reply, r.RepliedAt)
	}
	reviews, err := m.ledger.Reviews(t.Context())
	check(t, err)
	var ids []string
	for _, review := range reviews {
		ids = append(ids, review.ID)
	}
	slices.Sort(ids)
	if !slices.Equal(ids, []string{"r6", "r7"}) || m.suppressed(storagetest.Chat(2)) {
		t.Errorf("%d messages to review, suppressed %t", len(reviews), m.suppressed(storagetest.Chat(2)))
	}
}

// TestAReplyToWhatIsNotKnownYet counts at once and is tied better later.
func TestAReplyToWhatIsNotKnownYet(t *testing.T) {
	t.Parallel()
	m := openMail(t, 1)
	row, claim := m.claim(1)
	m.deliver("message.created", theirs(1, "r1", "STOP", mailTime.Add(time.Second), map[string]any{"quoted_message_id": unique(1)}))
	m.sort()
	if want := []string{"1 recent opt_out STOP"}; !m.suppressed(storagetest.Chat(1)) || !slices.Equal(m.replies(), want) {
		t.Errorf("suppressed %t, replies %v", m.suppressed(storagetest.Chat(1)), m.replies())
	}
	m.accept(row, claim)
	m.later(time.Second)
	m.wantParked(0)
	if want := []string{"1 quote opt_out STOP"}; !slices.Equal(m.replies(), want) || m.row(1).OptedOut.IsZero() {
		t.Errorf("replies %v", m.replies())
	}
}

// TestAnotherSpellingOfTheNumber is learned from whatever shows both.
func TestAnotherSpellingOfTheNumber(t *testing.T) {
	t.Parallel()
	m := openMail(t, 2)
	m.send(1)
	const other, stranger = campaign.ChatID("1201555010000019@c.us"), campaign.ChatID("447700900123@c.us")
	m.deliver("message.ack.updated", m.own(1, map[string]any{"chat_id": string(other)}))
	m.sort()
	m.deliver("message.created", theirs(1, "r1", "Stop.", mailTime.Add(time.Minute), map[string]any{"chat_id": string(other), "sender_phone": string(other)}))
	m.deliver("message.created", theirs(1, "r2", "Hm", mailTime.Add(time.Minute), map[string]any{"chat_id": string(stranger), "quoted_message_id": unique(1)}))
	m.sort()
	if !m.suppressed(other) || !m.suppressed(storagetest.Chat(1)) || m.suppressed(stranger) {
		t.Errorf("suppressed: %t, %t, %t", m.suppressed(other), m.suppressed(storagetest.Chat(1)), m.suppressed(stranger))
	}
}

// TestAnOptOutTakesEffectAtOnce: what waits is skipped, what is queued is purged
// by its id, and nothing else is.
func TestAnOptOutTakesEffectAtOnce(t *testing.T) {
	t.Parallel()
	m := openMail(t, 3)
	m.send(1, 2)
	m.deliver("message.created", theirs(1, "r1", "STOP!", mailTime.Add(time.Minute), nil))
	m.deliver("message.created", theirs(2, "r2", "бросьте", mailTime.Add(time.Minute), nil))
	m.deliver("message.created", theirs(3, "r3", "unsubscribe", mailTime.Add(time.Minute), nil))
	m.gone = []string{"another"}
	m.sort()
	if want := [][]string{{m.queue(1)}}; !cmp.Equal(want, m.purged) {
		t.Errorf("purged %v", m.purged)
	}
	m.wantStatus(1, campaign.StatusCanceled)
	m.wantStatus(2, campaign.StatusQueued)
	m.wantStatus(3, campaign.StatusSkipped)
	if r := m.row(3); r.SkipReason != campaign.SkipOptedOut {
		t.Errorf("row 3 is skipped as %s", r.SkipReason)
	}
	m.deliver("message.created", theirs(1, "r4", "Start", mailTime.Add(2*time.Minute), nil))
	m.deliver("message.ack.updated", m.own(1, nil)) // it was sent after all
	m.sort()
	m.wantStatus(1, campaign.StatusSent)
	if m.suppressed(storagetest.Chat(1)) || !m.suppressed(storagetest.Chat(3)) {
		t.Error("START did not restore, or restored others")
	}
}

// TestWhatIsGoneFromTheQueueStays what it is, and trouble is tried again.
func TestWhatIsGoneFromTheQueueStays(t *testing.T) {
	t.Parallel()
	m := openMail(t, 2)
	m.send(1, 2)
	m.gone = []string{m.queue(1)}
	tries := 0
	w := m.withdraw(purger(func(ids []string) ([]string, error) {
		if tries++; tries <= 20 {
			return nil, errors.New("away")
		}
		return m.Purge(t.Context(), m.seeded.Sender, ids)
	}))
	m.desk.Withdrawals = w
	m.reopen()
	m.deliver("message.created", theirs(1, "r1", "STOP", mailTime.Add(time.Minute), nil))
	m.deliver("message.created", theirs(2, "r2", "STOP", mailTime.Add(time.Minute), nil))
	m.read()
	for range 20 { // longer than a minute is between none of them
		if err := w.Round(t.Context()); err == nil {
			t.Error("a provider that is away went unnoticed")
		}
		m.now = m.now.Add(time.Minute)
	}
	check(t, w.Round(t.Context()))
	m.wantStatus(1, campaign.StatusQueued)
	m.wantStatus(2, campaign.StatusCanceled)
	check(t, w.Round(t.Context()))
	if tries != 21 {
		t.Errorf("%d tries, want 21", tries)
	}
	m.deliver("message.ack.updated", m.own(1, nil)) // it had gone out
	m.read()
	m.now = m.now.Add(time.Hour)
	check(t, w.Round(t.Context()))
	check(t, w.Round(t.Context()))
	if tries != 21 {
		t.Errorf("%d tries, want none for what was sent", tries-21)
	}
}

// TestWhatIsQueuedAfterAnOptOut is purged, too, by whichever process looks next,
// and noted as soon as the ledger takes it.
func TestWhatIsQueuedAfterAnOptOut(t *testing.T) {
	t.Parallel()
	m := openMail(t, 2)
	row, claim := m.claim(1)
	m.deliver("message.created", theirs(1, "r1", "STOP", mailTime, nil))
	m.read()
	m.accept(row, claim) // the call was under way
	m.wantStatus(1, campaign.StatusQueued)
	if len(m.purged) != 0 {
		t.Errorf("purged %v", m.purged)
	}
	m.ledger.noNote = true
	m.now = m.now.Add(time.Minute)
	w := m.withdraw(m) // of a process that knows nothing
	for range 3 {
		if err := w.Round(t.Context()); err == nil {
			t.Error("a ledger that takes no note went unnoticed")
		}
		m.now = m.now.Add(time.Minute)
	}
	m.ledger.noNote = false
	check(t, w.Round(t.Context()))
	m.wantStatus(1, campaign.StatusCanceled)
	if want := [][]string{{m.queue(1)}}; !cmp.Equal(want, m.purged) {
		t.Errorf("purged %v", m.purged)
	}
}

type purger func(ids []string) ([]string, error)

func (p purger) Purge(_ context.Context, _ campaign.Sender, ids []string) ([]string, error) {
	return p(ids)
}

// TestAnOptOutIsConfirmedOnce: not after a crash, not twice, not when it is old,
// not to a group, and not to whom it says nothing new.
func TestAnOptOutIsConfirmedOnce(t *testing.T) {
	t.Parallel()
	m := openMail(t, 4)
	m.send(1, 2, 3)
	crash := true
	m.desk.Confirm = func(_ context.Context, chat campaign.ChatID, phone campaign.Phone) error {
		if phone != storagetest.Phone {
			t.Errorf("to be sent by %s", phone)
		}
		m.confirms = append(m.confirms, chat)
		if crash && chat == storagetest.Chat(2) {
			return errors.New("no")
		}
		return nil
	}
	m.reopen()
	stop := func(seq int64, id string, at time.Time, more map[string]any) {
		m.deliver("message.created", theirs(seq, id, "STOP", at, more))
	}
	stop(1, "r1", mailTime, nil)
	stop(1, "r2", mailTime.Add(time.Second), nil)
	stop(2, "r3", mailTime, nil)
	stop(3, "r4", mailTime.Add(-2*time.Hour), nil) // found late
	stop(4, "r5", mailTime.Add(time.Minute), map[string]any{"chat_id": "120@g.us", "quoted_message_id": unique(1), "author": string(storagetest.Chat(4))})
	m.deliver("message.updated", m.own(3, map[string]any{
		"poll_info": map[string]any{"pollOptions": []string{"Yes", "Stop"}}, "updated_at": stampOf(mailTime.Add(time.Minute)),
		"poll_results": map[string]any{"Stop": map[string]string{string(storagetest.Chat(3)): stampOf(mailTime.Add(time.Minute))}},
	}))
	m.sort()
	want := []campaign.ChatID{storagetest.Chat(1), storagetest.Chat(2)}
	if !slices.Equal(m.confirms, want) {
		t.Errorf("confirmed to %v", m.confirms)
	}
	// The same message again, by a webhook whose key was forgotten, after START,
	// in a process that knows nothing.
	crash = false
	m.deliver("message.created", theirs(1, "r6", "START", mailTime.Add(2*time.Second), nil))
	m.sort()
	m.reopen()
	m.deliverAs(map[string]any{"event": "message.created", "data": theirs(1, "r1", "STOP", mailTime, nil)})
	m.deliverAs(map[string]any{"event": "message.created", "data": theirs(2, "r3", "STOP", mailTime, nil)})
	m.sort()
	if !slices.Equal(m.confirms, want) {
		t.Errorf("confirmed to %v", m.confirms)
	}
	stop(1, "r7", mailTime.Add(time.Minute), nil) // a decision of its own
	m.sort()
	if len(m.confirms) != 3 || !m.suppressed(storagetest.Chat(1)) {
		t.Errorf("confirmed to %v", m.confirms)
	}
}

// TestGroups: nobody opts out the others.
func TestGroups(t *testing.T) {
	t.Parallel()
	m := openMail(t, 3)
	m.send(1)
	const group = campaign.ChatID("120@g.us")
	said := func(id, text string, seq int64, quoted string) {
		m.deliver("message.created", theirs(seq, id, text, mailTime.Add(time.Minute), map[string]any{
			"chat_id": string(group), "author": string(storagetest.Chat(seq)), "quoted_message_id": quoted,
		}))
	}
	said("g1", "STOP", 2, unique(1))
	said("g2", "STOP", 3, "") // said to whom?
	said("g3", "START", 1, unique(1))
	said("g4", "good morning", 3, "")
	m.sort()
	if m.suppressed(group) || !m.suppressed(storagetest.Chat(2)) || m.suppressed(storagetest.Chat(3)) {
		t.Errorf("suppressed: %t, %t, %t", m.suppressed(group), m.suppressed(storagetest.Chat(2)), m.suppressed(storagetest.Chat(3)))
	}
	if want := []string{"1 quote review STOP", "1 quote - START"}; !cmp.Equal(want, m.replies()) {
		t.Errorf("replies: %v", m.replies())
	}
}

// TestStopFromAChatWithoutANumber that nothing ties to a row holds for the chat,
// and a person is asked whose it is, until a quote says so.
func TestStopFromAChatWithoutANumber(t *testing.T) {
	t.Parallel()
	m := openMail(t, 2)
	m.send(1)
	const chat = campaign.ChatID("99000111222333@lid")
	said := func(id, quoted string) {
		m.deliver("message.created", theirs(1, id, "STOP", mailTime.Add(time.Minute), map[string]any{
			"chat_id": string(chat), "author": string(chat), "quoted_message_id": quoted,
		}))
		m.sort()
	}
	reviews := func() (ids []string) {
		list, err := m.ledger.Reviews(t.Context())
		check(t, err)
		for _, r := range list {
			ids = append(ids, r.ID)
		}
		return ids
	}
	said("l1", "")
	if got := reviews(); !m.suppressed(chat) || m.suppressed(storagetest.Chat(1)) || !slices.Equal(got, []string{"l1"}) {
		t.Errorf("suppressed: %t, %t; to review: %v", m.suppressed(chat), m.suppressed(storagetest.Chat(1)), got)
	}
	said("l1", unique(1)) // told again, with the quote
	if got := reviews(); !m.suppressed(storagetest.Chat(1)) || len(got) > 0 {
		t.Errorf("suppressed: %t; to review: %v", m.suppressed(storagetest.Chat(1)), got)
	}
}

// TestVotes: one changed, one withdrawn, one that asks for no more messages.
func TestVotes(t *testing.T) {
	t.Parallel()
	m := openMail(t, 3)
	m.send(1, 2, 3)
	vote := func(seq int64, at time.Duration, options ...string) {
		results := map[string]any{"Yes": map[string]string{}, "No": map[string]string{}, "Stop": map[string]string{}}
		for _, option := range options {
			results[option] = map[string]string{string(storagetest.Chat(seq)): stampOf(mailTime.Add(at)), string(storagetest.Phone) + "@c.us": stampOf(mailTime)}
		}
		m.deliver("message.updated", m.own(seq, map[string]any{
			"ack": "4", "message_type": "poll_creation", "poll_info": map[string]any{"pollOptions": []string{"Yes", "No", "Stop"}},
			"poll_results": results, "updated_at": stampOf(mailTime.Add(at)),
		}))
	}
	vote(1, 3*time.Minute, "No")
	vote(1, time.Minute, "Yes")
	vote(2, 2*time.Minute)
	vote(2, time.Minute, "Yes", "No")
	vote(3, time.Minute, "Stop")
	m.sort()
	for seq, want := range map[int64]campaign.Recipient{
		1: {Vote: []string{"No"}, VotedAt: mailTime.Add(3 * time.Minute), VoteMoves: 1},
		2: {VoteMoves: 1},
		3: {Vote: []string{"Stop"}, VotedAt: mailTime.Add(time.Minute), OptedOut: mailTime.Add(time.Minute)},
	} {
		r := m.row(seq)
		got := campaign.Recipient{Vote: r.Vote, VotedAt: r.VotedAt, VoteMoves: r.VoteMoves, OptedOut: r.OptedOut}
		if diff := cmp.Diff(want, got); diff != "" || r.Status != campaign.StatusRead {
			t.Errorf("row %d, %s (-want +got):\n%s", seq, r.Status, diff)
		}
	}
	if !m.suppressed(storagetest.Chat(3)) || m.suppressed(campaign.PersonChat(string(storagetest.Phone))) {
		t.Error("the vote for stopping does not count, or our own does")
	}
}

// TestADeliveryTheLedgerRefuses does not stand in the way of those behind it.
func TestADeliveryTheLedgerRefuses(t *testing.T) {
	t.Parallel()
	m := openMail(t, 3)
	m.send(1, 2, 3)
	m.ledger.broken = func(f campaign.Folding) bool { return f.Observation != nil && f.Observation.Seq == 2 }
	for seq := range int64(3) {
		m.deliver("message.ack.updated", m.own(seq+1, nil))
	}
	m.sort()
	m.wantStatus(1, campaign.StatusSent)
	m.wantStatus(2, campaign.StatusQueued)
	m.wantStatus(3, campaign.StatusSent)
	m.wantParked(1)
	m.ledger.broken = nil
	m.later(time.Second)
	m.wantStatus(2, campaign.StatusSent)

	m.ledger.broken = func(campaign.Folding) bool { return true }
	m.deliver("message.ack.updated", m.own(1, map[string]any{"ack": "3"}))
	if _, err := m.inbox.Round(t.Context()); err == nil {
		t.Error("a ledger that takes nothing went unnoticed")
	}
	m.ledger.broken = nil
	m.sort()
	m.wantStatus(1, campaign.StatusDelivered)
}

// TestTheInboxRuns until it is told to stop, and folds when it is poked.
func TestTheInboxRuns(t *testing.T) {
	t.Parallel()
	m := openMail(t, 1)
	m.send(1)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		m.inbox.Run(ctx)
	}()
	m.deliver("message.ack.updated", m.own(1, map[string]any{"ack": "4"}))
	m.inbox.Poke()
	deadline := time.Now().Add(time.Minute)
	for m.row(1).Status != campaign.StatusRead {
		if time.Now().After(deadline) {
			t.Fatal("it was not folded")
		}
	}
	cancel()
	<-ended
	if strings.Contains(m.log.String(), "WARN") {
		t.Errorf("trouble:\n%s", m.log)
	}
}
