package sandbox

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	phoneA = "919999990001"
	phoneB = "919999990002"
)

// clock is a test's time: it stands still until it is told to move.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func newClock() *clock { return &clock{t: time.Date(2026, 11, 28, 10, 0, 0, 0, time.UTC)} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

// bundle is a listening server, its clock, and a client for it.
type bundle struct {
	*Server
	t     testing.TB
	clock *clock
	http  *http.Client
}

// setup starts a server. With no clock in cfg it gets one that stands still.
func setup(tb testing.TB, cfg Config) *bundle {
	tb.Helper()
	b := &bundle{t: tb, clock: newClock()}
	if cfg.Clock == nil {
		cfg.Clock = b.clock.now
	}
	if cfg.Seed == 0 {
		cfg.Seed = 7
	}
	cfg.Control = true
	var err error
	if b.Server, err = New(cfg); err != nil {
		tb.Fatal(err)
	}
	if err := b.Start(""); err != nil {
		tb.Fatal(err)
	}
	transport := &http.Transport{}
	b.http = &http.Client{Transport: transport, Timeout: 20 * time.Second}
	tb.Cleanup(func() {
		transport.CloseIdleConnections()
		if err := b.Close(); err != nil {
			tb.Errorf("close: %v", err)
		}
	})
	return b
}

// response is an answer whose body was read.
type response struct {
	status int
	header http.Header
	body   string
}

// into decodes the body.
func (r response) into(tb testing.TB, v any) {
	tb.Helper()
	if err := json.Unmarshal([]byte(r.body), v); err != nil {
		tb.Fatalf("decode %q: %v", r.body, err)
	}
}

// try makes a request as phone, which may fail.
func (b *bundle) try(phone, method, path, body string) (response, error) {
	url := "http://" + b.Addr() + path
	req, err := http.NewRequestWithContext(context.Background(), method, url, strings.NewReader(body))
	if err != nil {
		return response{}, err
	}
	req.Header.Set("Authorization", "Bearer test")
	if phone != "" {
		req.Header.Set("X-Phone", phone)
	}
	resp, err := b.http.Do(req)
	if err != nil {
		return response{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	return response{resp.StatusCode, resp.Header, string(text)}, err
}

// call makes a request that must be answered with want.
func (b *bundle) call(want int, phone, method, path, body string) response {
	b.t.Helper()
	r, err := b.try(phone, method, path, body)
	if err != nil {
		b.t.Fatalf("%s %s: %v", method, path, err)
	}
	if r.status != want {
		b.t.Fatalf("%s %s: status %d, want %d; body %s", method, path, r.status, want, r.body)
	}
	return r
}

type sent struct {
	Status   string          `json:"status"`
	QueueID  string          `json:"queue_id"`
	Position json.RawMessage `json:"queue_position"`
	UniqueID string          `json:"unique_id"`
}

func (b *bundle) send(chat, text string) sent { return b.sendAs(phoneA, chat, text) }

func (b *bundle) sendAs(phone, chat, text string) sent {
	b.t.Helper()
	var s sent
	b.call(http.StatusOK, phone, http.MethodPost, "/v1/message/send", sendBody(chat, text)).into(b.t, &s)
	return s
}

func sendBody(chat, text string) string {
	body, _ := json.Marshal(map[string]string{"chat_id": chat, "message": text})
	return string(body)
}

type statusView struct {
	QueueID     string            `json:"queue_id"`
	MessageID   string            `json:"message_id"`
	ChatID      string            `json:"chat_id"`
	Status      string            `json:"status"`
	Description string            `json:"status_description"`
	Ack         *int              `json:"ack"`
	Attempts    int               `json:"attempts"`
	Timeline    map[string]string `json:"timeline"`
	Delivered   *int              `json:"delivered_count"`
	Read        *int              `json:"read_count"`
}

func (b *bundle) status(s sent) statusView {
	b.t.Helper()
	var v statusView
	b.call(http.StatusOK, phoneA, http.MethodGet, "/v1/message/"+s.UniqueID+"/status", "").into(b.t, &v)
	return v
}

func (b *bundle) health(phone string) healthBody {
	b.t.Helper()
	var h healthBody
	b.call(http.StatusOK, phone, http.MethodGet, "/v1/message/queues/health", "").into(b.t, &h)
	return h
}

// fictional returns the n-th number of a range that belongs to nobody.
func fictional(n int) string { return fmt.Sprintf("120155501%02d", n%100) }

// many returns n different numbers of the invented Indian block.
func many(n int) string { return fmt.Sprintf("91999999%04d", n) }

// direct is a request to the handler without a network.
func direct(h http.Handler, phone string, body []byte) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, "/v1/message/send", bytes.NewReader(body))
	r.Header.Set("Authorization", "Bearer test")
	r.Header.Set("X-Phone", phone)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func journalPath(tb testing.TB) string {
	tb.Helper()
	return filepath.Join(tb.TempDir(), "sandbox.jsonl")
}
