package status_test

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/internal/gateway"
	"github.com/herald-campaigns/herald/periskope"
	"github.com/herald-campaigns/herald/status"
	"github.com/herald-campaigns/herald/storage"
	"github.com/herald-campaigns/herald/storage/storagetest"
)

// mailTime is the ledger's time in these tests. It stands still.
var mailTime = time.Date(2026, 11, 28, 10, 0, 0, 0, time.UTC)

// shelfLedger is the real ledger, but for what a test breaks in it.
type shelfLedger struct {
	*storage.Store

	// broken says which foldings fail, and brokenBy with what; nil: the ledger
	// does not take them.
	broken   func(campaign.Folding) bool
	brokenBy error
	polls    []campaign.PollWatch
	noNote   bool            // nothing can be withdrawn
	kept     map[string]bool // ids of inbound messages that were written
}

// PollWatches is what the test says: the campaign of these tests sends no poll.
func (l *shelfLedger) PollWatches(_ context.Context, _ campaign.ID, after int64, limit int) ([]campaign.PollWatch, error) {
	list := slices.DeleteFunc(slices.Clone(l.polls), func(p campaign.PollWatch) bool { return p.Seq <= after })
	return list[:min(limit, len(list))], nil
}

func (l *shelfLedger) Withdraw(ctx context.Context, id campaign.ID, queueIDs []string) (int64, error) {
	if l.noNote {
		return 0, fmt.Errorf("this cannot be noted")
	}
	return l.Store.Withdraw(ctx, id, queueIDs)
}

func (l *shelfLedger) Fold(ctx context.Context, foldings []campaign.Folding) (campaign.Suppressed, error) {
	if l.broken != nil && slices.ContainsFunc(foldings, l.broken) {
		return campaign.Suppressed{}, cmp.Or(l.brokenBy, fmt.Errorf("this cannot be folded"))
	}
	suppressed, err := l.Store.Fold(ctx, foldings)
	for _, f := range foldings {
		if err == nil && f.Reply != nil && l.kept != nil {
			l.kept[f.Reply.ID] = true
		}
	}
	return suppressed, err
}

// mailroom is an inbox and a sweeper on a real ledger, beside a provider whose
// lists and answers the test sets.
type mailroom struct {
	t      *testing.T
	ledger *shelfLedger
	seeded storagetest.Seeded
	log    *strings.Builder

	now      time.Time
	desk     status.DeskConfig
	provider *oracle
	purged   [][]string
	gone     []string // queue ids that the provider has not got any more
	looks    []campaign.PhoneNews
	confirms []campaign.ChatID
	messages []map[string]any // what GET /chats/messages shows, the newest first
	noList   bool
	date     func() string // the provider's clock as its answers tell it; nil: not at all
	asked    []string      // paths, of lists with the times asked for
	sweeping status.SweeperConfig
	more     []campaign.ID // of which votes are asked for, with the same polls

	inbox       *status.Inbox
	sweeper     *status.Sweeper
	withdrawals *status.Withdrawals
	deliveries  int
}

// oracle answers for the status of messages, and waits for nothing.
type oracle struct {
	answers map[int64]campaign.Evidence
	errs    map[int64]error

	mu    sync.Mutex // the poller asks from several goroutines
	asked []int64
}

func (o *oracle) Status(_ context.Context, _ campaign.Sender, m campaign.Tracked) (campaign.Evidence, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.asked = append(o.asked, m.Seq)
	return o.answers[m.Seq], o.errs[m.Seq]
}

type free struct{}

func (free) Wait(ctx context.Context) error { return ctx.Err() }
func (free) BlockUntil(time.Time)           {}

// openMail opens a mailroom whose campaign has so many rows, none sent.
func openMail(t *testing.T, rows int) *mailroom {
	t.Helper()
	m := &mailroom{
		t: t, log: &strings.Builder{}, now: mailTime,
		provider: &oracle{answers: map[int64]campaign.Evidence{}, errs: map[int64]error{}},
	}
	store, err := storage.Open(t.Context(), storage.Config{Path: filepath.Join(t.TempDir(), "herald.db"), Clock: func() time.Time { return mailTime }})
	check(t, err)
	t.Cleanup(func() {
		check(t, store.Close())
		if log := m.log.String(); strings.Contains(log, "1201555") || strings.Contains(strings.ToLower(log), "secret") {
			t.Errorf("the log says too much:\n%s", log)
		}
	})
	m.ledger = &shelfLedger{Store: store}
	m.seeded = storagetest.Seed(t, store, rows)
	m.withdrawals = m.withdraw(m)
	m.desk = status.DeskConfig{
		Withdrawals: m.withdrawals, Clock: func() time.Time { return m.now },
		Look: func(_ campaign.Sender, news campaign.PhoneNews) { m.looks = append(m.looks, news) },
	}
	m.reopen()
	return m
}

// withdraw makes withdrawals on the ledger, in the time of the test.
func (m *mailroom) withdraw(purger status.Purger) *status.Withdrawals {
	w := status.NewWithdrawals(m.ledger, purger, slog.New(slog.NewTextHandler(m.log, nil)))
	w.SetClock(func() time.Time { return m.now })
	return w
}

// reopen makes the workers anew, as a process that starts does.
func (m *mailroom) reopen() {
	m.t.Helper()
	logger := slog.New(slog.NewTextHandler(m.log, nil))
	desk, err := status.NewDesk(m.ledger, m, logger, m.desk)
	check(m.t, err)
	m.inbox = status.NewInbox(m.ledger, gateway.News, desk, m.provider, free{}, logger, status.InboxConfig{Batch: 3, Clock: func() time.Time { return m.now }})
	client, err := periskope.New(periskope.Config{BaseURL: "http://127.0.0.1/v1", Token: "a-token", Transport: m})
	check(m.t, err)
	m.sweeping.Clock = func() time.Time { return m.now }
	m.sweeper = status.NewSweeper(m.ledger, gateway.New(client, nil, gateway.Config{}), m, desk, free{}, logger, m.sweeping)
}

// sweep lets the sweeper look once.
func (m *mailroom) sweep() {
	m.t.Helper()
	check(m.t, m.sweeper.Round(m.t.Context()))
	check(m.t, m.withdrawals.Round(m.t.Context()))
}

// requests is how often something was asked for since the last time.
func (m *mailroom) requests(path string) int {
	n := 0
	for _, asked := range m.asked {
		if strings.HasPrefix(asked, path) {
			n++
		}
	}
	m.asked = nil
	return n
}

// watch lets the row be a poll.
func (m *mailroom) watch(seqs ...int64) {
	for _, seq := range seqs {
		m.ledger.polls = append(m.ledger.polls, campaign.PollWatch{Located: campaign.Located{
			Campaign: m.seeded.ID, Seq: seq, Sender: m.seeded.Sender, Chat: storagetest.Chat(seq), QueueID: m.queue(seq), UniqueID: unique(seq), QueuedAt: mailTime,
		}})
	}
}

// voted is our poll of a row with the vote of its person.
func (m *mailroom) voted(seq int64, at time.Time, option string) map[string]any {
	results := map[string]any{"Yes": map[string]string{}, "No": map[string]string{}, "Stop": map[string]string{}}
	if option != "" {
		results[option] = map[string]string{string(storagetest.Chat(seq)): stampOf(at)}
	}
	return m.own(seq, map[string]any{
		"ack": "4", "message_type": "poll_creation", "poll_info": map[string]any{"pollOptions": []string{"Yes", "No", "Stop"}},
		"poll_results": results, "updated_at": stampOf(at),
	})
}

// SenderOf knows the one sender by its number and by an id.
func (m *mailroom) SenderOf(phone campaign.Phone) (campaign.Sender, bool) {
	return m.seeded.Sender, phone == m.seeded.Sender.Phone || phone == "phone-bqzvyibhmwkaergr"
}

func (m *mailroom) Senders(context.Context) ([]campaign.Sender, error) {
	return []campaign.Sender{m.seeded.Sender}, nil
}

func (m *mailroom) Polls(context.Context) ([]campaign.ID, error) {
	return append([]campaign.ID{m.seeded.ID}, m.more...), nil
}

// Purge takes out what the provider still has.
func (m *mailroom) Purge(_ context.Context, _ campaign.Sender, ids []string) ([]string, error) {
	m.purged = append(m.purged, ids)
	return slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return slices.Contains(m.gone, id) }), nil
}

// RoundTrip is the way to the provider, without a network between.
func (m *mailroom) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	m.ServeHTTP(w, r)
	return w.Result(), nil
}

// ServeHTTP shows the messages: pages of all, and single ones.
func (m *mailroom) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := strings.TrimPrefix(r.URL.Path, "/v1")
	m.asked = append(m.asked, path)
	if m.date != nil {
		w.Header().Set("Date", m.date())
	}
	if path != "/chats/messages" {
		id := path[strings.LastIndex(path, "/")+1:]
		for _, message := range m.messages {
			if message["unique_id"] == id {
				_ = json.NewEncoder(w).Encode(message)
				return
			}
		}
		w.WriteHeader(http.StatusNotFound)
		_, _ = w.Write([]byte(`{"code":"NOT_FOUND_ERROR","message":"Message not found"}`))
		return
	}
	if m.noList {
		http.NotFound(w, r)
		return
	}
	m.asked[len(m.asked)-1] += "?" + r.URL.Query().Get("start_time") + "…" + r.URL.Query().Get("end_time")
	from, to := periskope.ParseTime(r.URL.Query().Get("start_time")), periskope.ParseTime(r.URL.Query().Get("end_time"))
	offset, _ := strconv.Atoi(r.URL.Query().Get("offset"))
	page := []map[string]any{}
	for _, message := range m.messages {
		at := periskope.ParseTime(message["timestamp"].(string)) //nolint:forcetypeassert // the tests write it
		if !at.Before(from) && (to.IsZero() || !at.After(to)) {
			page = append(page, message)
		}
	}
	page = page[min(offset, len(page)):]
	_ = json.NewEncoder(w).Encode(map[string]any{"messages": page[:min(len(page), 4)]})
}

// claim takes a row to the call of the send API.
func (m *mailroom) claim(seq int64) (campaign.Staged, campaign.Claim) {
	m.t.Helper()
	staged, err := m.ledger.Stage(m.t.Context(), m.seeded.ID, []int64{seq}, mailTime)
	check(m.t, err)
	if len(staged) != 1 {
		m.t.Fatalf("row %d was not staged", seq)
	}
	claim, err := m.ledger.Claim(m.t.Context(), m.seeded.Intent(staged[0]))
	check(m.t, err)
	if claim.Refused != campaign.RefusedNot {
		m.t.Fatalf("row %d was refused: %s", seq, claim.Refused)
	}
	return staged[0], claim
}

// accept writes that the provider took the row's message.
func (m *mailroom) accept(row campaign.Staged, claim campaign.Claim) {
	m.t.Helper()
	_, err := m.ledger.Settle(m.t.Context(), m.seeded.Accepted(row, claim))
	check(m.t, err)
}

// send takes rows to queued.
func (m *mailroom) send(seqs ...int64) {
	m.t.Helper()
	for _, seq := range seqs {
		m.accept(m.claim(seq))
	}
}

// unique and queue are the ids of a row's first attempt.
func unique(seq int64) string { return fmt.Sprintf("unique-%d-1", seq) }

func (m *mailroom) queue(seq int64) string { return fmt.Sprintf("queue-%s-%d-1", m.seeded.ID, seq) }

func stampOf(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

// own is our message of a row as the provider shows it.
func (m *mailroom) own(seq int64, more map[string]any) map[string]any {
	chat := string(storagetest.Chat(seq))
	return with(map[string]any{
		"unique_id": unique(seq), "message_id": "true_" + chat + "_" + unique(seq), "chat_id": chat, "org_phone": string(storagetest.Phone) + "@c.us",
		"from_me": true, "performed_by": "api", "message_type": "chat", "body": "Hi Asha", "timestamp": stampOf(mailTime.Add(2 * time.Second)), "ack": "2",
	}, more)
}

// theirs is a message that the person of a row wrote.
func theirs(seq int64, id, text string, at time.Time, more map[string]any) map[string]any {
	chat := string(storagetest.Chat(seq))
	return with(map[string]any{
		"unique_id": id, "message_id": "false_" + chat + "_" + id, "chat_id": chat, "org_phone": string(storagetest.Phone) + "@c.us", "sender_phone": chat,
		"from_me": false, "message_type": "chat", "body": text, "timestamp": stampOf(at), "ack": "1",
	}, more)
}

func with(object, more map[string]any) map[string]any {
	maps.Copy(object, more)
	return object
}

// deliver keeps an event as the receiver does, in the real envelope.
func (m *mailroom) deliver(name string, data map[string]any) {
	m.t.Helper()
	m.deliverAs(map[string]any{"id": fmt.Sprintf("evt-%s-%v", name, data["unique_id"]), "event_type": name, "data": data, "org_id": "2997dd64"})
}

func (m *mailroom) deliverAs(envelope map[string]any) {
	m.t.Helper()
	body, err := json.Marshal(envelope)
	check(m.t, err)
	m.post(body)
}

// post keeps a body as the receiver does.
func (m *mailroom) post(body []byte) {
	m.t.Helper()
	m.deliveries++
	news, err := gateway.News(body)
	delivery := campaign.Delivery{Key: cmp.Or(news.Key, fmt.Sprintf("unreadable-%d", m.deliveries)), Name: news.Name, Body: body, Received: mailTime.Add(time.Hour)}
	if err != nil {
		delivery.Name = "?"
	}
	_, err = m.ledger.Receive(m.t.Context(), []campaign.Delivery{delivery})
	check(m.t, err)
}

// sort lets the inbox work until there is nothing left to do at this time, and
// what follows from it.
func (m *mailroom) sort() {
	m.t.Helper()
	m.read()
	_ = m.inbox.ConfirmRound(m.t.Context()) // an error is of a provider that the test makes fail
	check(m.t, m.withdrawals.Round(m.t.Context()))
}

// read lets the inbox fold what there is.
func (m *mailroom) read() {
	m.t.Helper()
	for range 1000 {
		n, err := m.inbox.Round(m.t.Context())
		check(m.t, err)
		if n == 0 {
			return
		}
	}
	m.t.Fatal("the inbox comes to no end")
}

// later lets time go by.
func (m *mailroom) later(d time.Duration) {
	m.now = m.now.Add(d)
	m.sort()
}

func (m *mailroom) row(seq int64) campaign.Recipient {
	m.t.Helper()
	r, err := m.ledger.Recipient(m.t.Context(), m.seeded.ID, seq)
	check(m.t, err)
	return r
}

func (m *mailroom) wantStatus(seq int64, want campaign.Status) {
	m.t.Helper()
	if got := m.row(seq).Status; got != want {
		m.t.Errorf("row %d is %s, want %s\n%s", seq, got, want, m.log)
	}
}

func (m *mailroom) wantParked(want int64) {
	m.t.Helper()
	fresh, parked, err := m.ledger.DeliveryBacklog(m.t.Context())
	check(m.t, err)
	if fresh != 0 || parked != want {
		m.t.Errorf("%d deliveries wait to be looked at and %d for their row; want 0 and %d", fresh, parked, want)
	}
}

// replies is what the ledger keeps of a row's replies: tie, wish and text.
func (m *mailroom) replies() []string {
	m.t.Helper()
	var list []string
	for r, err := range m.ledger.Replies(m.t.Context(), m.seeded.ID) {
		check(m.t, err)
		list = append(list, fmt.Sprintf("%d %s %s %s", r.Seq, r.Tie, cmp.Or(r.Wish, "-"), r.Text))
	}
	return list
}

func (m *mailroom) suppressed(chat campaign.ChatID) bool {
	m.t.Helper()
	out, err := m.ledger.Suppressed(m.t.Context(), []campaign.ChatID{chat})
	check(m.t, err)
	return out[chat]
}

// reconcile gives the desk a reconciler that knows the text of every message.
func (m *mailroom) reconcile() {
	m.t.Helper()
	logger := slog.New(slog.NewTextHandler(m.log, nil))
	m.desk.Echoes = status.NewReconciler(m.ledger, &shelf{}, greeting{}, free{}, logger, status.ReconcilerConfig{
		Attention: map[campaign.ID]status.Attention{m.seeded.ID: {}}, Clock: func() time.Time { return m.now },
	})
	m.reopen()
}

type greeting struct{}

func (greeting) Message(context.Context, campaign.UnknownRow) (campaign.Message, error) {
	return campaign.Message{Text: "Hi Asha"}, nil
}
