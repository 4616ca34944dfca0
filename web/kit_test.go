package web_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/periskope"
	"github.com/herald-campaigns/herald/web"
)

const (
	testKey    = "pk-webhooks-of-the-test"
	testKeyOld = "pk-webhooks-before"
)

// memory is an inbox that keeps in memory, when it is let.
type memory struct {
	gate chan struct{} // received from before each commit; nil: always open
	err  error         // what Receive gives; it keeps nothing then

	mu      sync.Mutex
	kept    map[string]campaign.Delivery
	batches []int
}

func (m *memory) Receive(ctx context.Context, deliveries []campaign.Delivery) (int, error) {
	if m.gate != nil {
		select {
		case <-m.gate:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.batches = append(m.batches, len(deliveries))
	if m.err != nil {
		return 0, m.err
	}
	fresh := 0
	if m.kept == nil {
		m.kept = make(map[string]campaign.Delivery)
	}
	for _, d := range deliveries {
		if _, known := m.kept[d.Key]; !known {
			fresh++
			m.kept[d.Key] = d
		}
	}
	return fresh, nil
}

func (m *memory) len() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.kept)
}

// config is a receiver as the application makes it, with both keys.
func config(inbox web.Inbox) web.Config {
	return web.Config{
		Inbox: inbox,
		Verify: func(raw []byte, signature string) error {
			return periskope.VerifySignature(raw, signature, testKey, testKeyOld)
		},
		SignatureHeader: periskope.SignatureHeader,
		Read: func(raw []byte) (web.Event, error) {
			e, err := periskope.ParseEvent(raw)
			return web.Event{Key: e.Key, Name: e.Name, Followed: e.Kind != periskope.EventOther}, err
		},
	}
}

// running is a started server.
type running struct {
	*web.Server
	t      testing.TB
	client *http.Client
}

func start(tb testing.TB, cfg web.Config) *running {
	tb.Helper()
	server := web.New(cfg)
	if err := server.Start("127.0.0.1:0"); err != nil {
		tb.Fatalf("Start: %v", err)
	}
	transport := &http.Transport{MaxIdleConnsPerHost: 256}
	tb.Cleanup(func() {
		transport.CloseIdleConnections()
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := server.Close(ctx); err != nil {
			tb.Errorf("Close: %v", err)
		}
	})
	return &running{Server: server, t: tb, client: &http.Client{Transport: transport}}
}

func (r *running) url(path string) string { return "http://" + r.Addr() + path }

// deliver posts a body with a signature, and gives the status and the body.
func (r *running) deliver(body []byte, signature string) (int, string) {
	r.t.Helper()
	status, answer, err := post(r.client, r.url(web.WebhookPath), body, signature)
	if err != nil {
		r.t.Fatalf("deliver: %v", err)
	}
	return status, answer
}

func post(client *http.Client, url string, body []byte, signature string) (int, string, error) {
	request, err := http.NewRequestWithContext(context.Background(), http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	request.Header.Set("Content-Type", "application/json")
	if signature != "" {
		request.Header.Set(periskope.SignatureHeader, signature)
	}
	response, err := client.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	return response.StatusCode, string(answer), err
}

// get asks for a path of the server.
func (r *running) get(path string) (int, string) {
	r.t.Helper()
	response, err := r.client.Get(r.url(path))
	if err != nil {
		r.t.Fatalf("get %s: %v", path, err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		r.t.Fatalf("get %s: %v", path, err)
	}
	return response.StatusCode, string(answer)
}

func sign(key string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write(body)
	return hex.EncodeToString(mac.Sum(nil))
}

// ack is an acknowledgment event about message n, as the provider sends it.
func ack(n int) []byte {
	return fmt.Appendf(nil, `{"id":"evt-%[1]d","event_type":"message.ack.updated","data":{"message_id":"true_447700900123@c.us_3EB0%012[1]d",`+
		`"unique_id":"3EB0%012[1]d","chat_id":"447700900123@c.us","org_phone":"12015550100@c.us","from_me":true,"message_type":"chat",`+
		`"body":"See you on Friday at the harbor, bring the blue folder.","ack":"2","timestamp":"2026-01-15 09:41:00+00",`+
		`"delivery_info":{"delivered":{"447700900123@c.us":1768469400},"read":{},"pending":[],"delivered_count":1,"read_count":0}},`+
		`"org_id":"2997dd64-89bf-48d3-9a22-b314fca017e5","previous_attributes":{"ack":"1"}}`, n)
}

// keyOf is the key the ledger knows the event by.
func keyOf(tb testing.TB, body []byte) string {
	tb.Helper()
	e, err := periskope.ParseEvent(body)
	if err != nil {
		tb.Fatalf("ParseEvent: %v", err)
	}
	return e.Key
}

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
