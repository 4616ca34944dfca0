package notices

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/herald-campaigns/herald/campaign"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const testSecret = Secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")

// outbox is a ledger of notices in memory.
type outbox struct {
	mu     sync.Mutex
	list   []entry
	broken bool // nothing can be written
	marked []campaign.Delivered
}

type entry struct {
	campaign.Notice
	next time.Time // zero: done
}

func (o *outbox) add(list ...campaign.Notice) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, n := range list {
		if n.Body == nil {
			n.Body = fmt.Appendf(nil, `{"type":%q,"data":{}}`, n.Kind)
		}
		o.list = append(o.list, entry{Notice: n, next: time.Now()})
	}
}

func (o *outbox) DueNotices(_ context.Context, url string, now time.Time, limit int) ([]campaign.Notice, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	var due []campaign.Notice
	for _, e := range o.list {
		if e.URL == url && !e.next.IsZero() && !e.next.After(now) && len(due) < limit {
			due = append(due, e.Notice)
		}
	}
	return due, nil
}

func (o *outbox) NoticeQueues(context.Context) (queues []campaign.NoticeQueue, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, e := range o.list {
		if e.next.IsZero() {
			continue
		}
		i := slices.IndexFunc(queues, func(q campaign.NoticeQueue) bool { return q.URL == e.URL })
		if i < 0 {
			queues = append(queues, campaign.NoticeQueue{URL: e.URL, Next: e.next})
		} else if e.next.Before(queues[i].Next) {
			queues[i].Next = e.next
		}
	}
	return queues, nil
}

func (o *outbox) NoticesDelivered(_ context.Context, list []campaign.Delivered) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.broken {
		return errors.New("disk full")
	}
	for _, d := range list {
		i := slices.IndexFunc(o.list, func(e entry) bool { return e.ID == d.ID })
		o.list[i].Attempts++
		o.list[i].next = d.Next
		if d.Done {
			o.list[i].next = time.Time{}
		}
	}
	o.marked = append(o.marked, list...)
	return nil
}

func (o *outbox) setBroken(broken bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.broken = broken
}

// marks are what was written down so far.
func (o *outbox) marks() []campaign.Delivered {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.marked)
}

// notice is number n of a campaign.
func notice(id campaign.ID, n int, kind campaign.NoticeKind, url string) campaign.Notice {
	return campaign.Notice{ID: fmt.Sprintf("msg_%s_%d", id, n), Campaign: id, URL: url, Kind: kind}
}

func newSender(tb testing.TB, cfg Config) *Sender {
	tb.Helper()
	cfg.Secret = testSecret
	s, err := New(cfg)
	if err != nil {
		tb.Fatalf("New: %v", err)
	}
	return s
}

// running runs a sender until the test, or stop, ends it.
func running(tb testing.TB, s *Sender) (stop func()) {
	tb.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.Run(ctx)
	}()
	stop = func() {
		cancel()
		<-ended
	}
	tb.Cleanup(stop)
	return stop
}

// receiver is a server of somebody's.
type receiver struct {
	*httptest.Server
	mu  sync.Mutex
	ids []string
}

// newReceiver answers as told; the ids of what comes are kept in order.
func newReceiver(tb testing.TB, answer func(w http.ResponseWriter, r *http.Request)) *receiver {
	tb.Helper()
	r := &receiver{}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		r.mu.Lock()
		r.ids = append(r.ids, request.Header.Get("webhook-id"))
		r.mu.Unlock()
		answer(w, request)
	}))
	tb.Cleanup(r.Close)
	return r
}

func (r *receiver) seen() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.ids)
}

func taken(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }

// eventually waits until something is so.
func eventually(tb testing.TB, what string, so func() bool) {
	tb.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	deadline := time.NewTimer(30 * time.Second)
	defer deadline.Stop()
	for !so() {
		select {
		case <-tick.C:
		case <-deadline.C:
			tb.Fatalf("waited in vain until %s", what)
		}
	}
}

func words(list []string) string { return strings.Join(list, " ") }
