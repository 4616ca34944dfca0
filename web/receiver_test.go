package web_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/herald-campaigns/herald/web"
)

// TestDeliveries is the table of what may arrive, and that what is refused is
// written nowhere.
func TestDeliveries(t *testing.T) {
	t.Parallel()
	good := ack(1)
	unknown := []byte(`{"event":"ticket.created","data":{"ticket_id":"t1"}}`)
	altered := bytes.Replace(good, []byte(`"ack":"2"`), []byte(`"ack":"3"`), 1)
	long := []byte(`{"event":"message.created","data":{"body":"` + strings.Repeat("x", web.MaxBody) + `"}}`)
	fits := []byte(`{"event":"message.created","data":{"message_id":"false_447700900123@c.us_3A1F","body":"` + strings.Repeat("x", web.MaxBody-200) + `"}}`)
	for name, test := range map[string]struct {
		body      []byte
		signature string
		want      int
		stats     web.Stats
	}{
		"signed":                 {good, sign(testKey, good), 200, web.Stats{Accepted: 1, Names: map[string]int64{"message.ack.updated": 1}}},
		"with the old key":       {good, sign(testKeyOld, good), 200, web.Stats{Accepted: 1, Names: map[string]int64{"message.ack.updated": 1}}},
		"as long as may be":      {fits, sign(testKey, fits), 200, web.Stats{Accepted: 1, Names: map[string]int64{"message.created": 1}}},
		"unknown event":          {unknown, sign(testKey, unknown), 200, web.Stats{Ignored: 1, Names: map[string]int64{"ticket.created": 1}}},
		"unsigned":               {good, "", 401, web.Stats{Forged: 1}},
		"no signature":           {good, "Bearer of good news", 401, web.Stats{Forged: 1}},
		"with another key":       {good, sign("pk-other", good), 401, web.Stats{Forged: 1}},
		"with no key":            {good, sign("", good), 401, web.Stats{Forged: 1}},
		"altered":                {altered, sign(testKey, good), 401, web.Stats{Forged: 1}},
		"extended":               {append(bytes.Clone(good), ' ', '{', '}'), sign(testKey, good), 401, web.Stats{Forged: 1}},
		"unknown event, forged":  {unknown, sign("pk-other", unknown), 401, web.Stats{Forged: 1}},
		"too long":               {long, sign(testKey, long), 413, web.Stats{Oversize: 1}},
		"signed, no JSON":        {[]byte("<xml/>"), sign(testKey, []byte("<xml/>")), 400, web.Stats{Unreadable: 1}},
		"signed, empty":          {nil, sign(testKey, nil), 400, web.Stats{Unreadable: 1}},
		"signed, names no event": {[]byte("{}"), sign(testKey, []byte("{}")), 400, web.Stats{Unreadable: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inbox, poked := new(memory), new(atomic.Int64)
			cfg := config(inbox)
			cfg.Received = func() { poked.Add(1) }
			server := start(t, cfg)
			status, answer := server.deliver(test.body, test.signature)
			if status != test.want {
				t.Errorf("status %d, want %d (%s)", status, test.want, answer)
			}
			if strings.Contains(answer, "harbor") || strings.Contains(answer, "447700900123") {
				t.Errorf("the answer shows the delivery: %s", answer)
			}
			got := server.Stats()
			if test.stats.Names == nil {
				test.stats.Names = map[string]int64{}
			}
			if diff := cmp.Diff(test.stats, got, cmpopts.IgnoreFields(web.Stats{}, "Last")); diff != "" {
				t.Errorf("stats (-want +got):\n%s", diff)
			}
			if signed := len(got.Names) > 0; signed == got.Last.IsZero() {
				t.Errorf("last signed delivery at %v", got.Last)
			}
			if inbox.len() != int(test.stats.Accepted) || test.stats.Accepted == 0 && len(inbox.batches) > 0 {
				t.Errorf("the ledger has %d deliveries of %d calls, want %d", inbox.len(), len(inbox.batches), test.stats.Accepted)
			}
			if test.stats.Accepted > 0 {
				kept := inbox.kept[keyOf(t, test.body)]
				if !bytes.Equal(kept.Body, test.body) || kept.Received.IsZero() {
					t.Errorf("kept %d bytes received at %v, want the %d bytes that were sent", len(kept.Body), kept.Received, len(test.body))
				}
				eventually(t, "the inbox is told", func() bool { return poked.Load() == 1 })
			} else if poked.Load() != 0 {
				t.Error("the inbox was told of a refused delivery")
			}
		})
	}
}

func TestChunkedBodyIsBounded(t *testing.T) {
	t.Parallel()
	inbox := new(memory)
	server := start(t, config(inbox))
	for _, test := range []struct {
		body []byte
		want int
	}{
		{ack(1), 200},
		{bytes.Repeat([]byte(" "), web.MaxBody+1), 413},
	} {
		request, err := http.NewRequest(http.MethodPost, server.url(web.WebhookPath), struct{ io.Reader }{bytes.NewReader(test.body)})
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("X-Periskope-Signature", sign(testKey, test.body))
		response, err := server.client.Do(request)
		if err != nil {
			t.Fatalf("deliver %d bytes: %v", len(test.body), err)
		}
		response.Body.Close()
		if response.StatusCode != test.want {
			t.Errorf("%d bytes in chunks: status %d, want %d", len(test.body), response.StatusCode, test.want)
		}
	}
}

func TestRepetitionIsKeptOnce(t *testing.T) {
	t.Parallel()
	inbox, poked := new(memory), new(atomic.Int64)
	cfg := config(inbox)
	cfg.Received = func() { poked.Add(1) }
	server := start(t, cfg)
	for range 3 {
		if status, _ := server.deliver(ack(1), sign(testKey, ack(1))); status != http.StatusOK {
			t.Fatalf("status %d", status)
		}
	}
	if got := server.Stats(); got.Accepted != 1 || got.Duplicate != 2 || inbox.len() != 1 {
		t.Errorf("accepted %d, duplicate %d, kept %d; want 1, 2, 1", got.Accepted, got.Duplicate, inbox.len())
	}
	eventually(t, "the inbox is told", func() bool { return poked.Load() > 0 })
	if poked.Load() != 1 {
		t.Errorf("told %d times, want once: a repetition is no news", poked.Load())
	}
}

func TestWithoutKeyNothingIsTaken(t *testing.T) {
	t.Parallel()
	inbox := new(memory)
	cfg := config(inbox)
	cfg.Verify = nil
	server := start(t, cfg)
	for _, signature := range []string{"", sign("", ack(1)), sign(testKey, ack(1))} {
		if status, _ := server.deliver(ack(1), signature); status != http.StatusServiceUnavailable {
			t.Errorf("status %d, want 503", status)
		}
	}
	if got := server.Stats(); got.Off != 3 || inbox.len() != 0 {
		t.Errorf("off %d, kept %d", got.Off, inbox.len())
	}
}

func TestLedgerThatFails(t *testing.T) {
	t.Parallel()
	inbox := &memory{err: errors.New("database or disk is full")}
	server := start(t, config(inbox))
	status, answer := server.deliver(ack(1), sign(testKey, ack(1)))
	if status != http.StatusServiceUnavailable || strings.Contains(answer, "disk") {
		t.Errorf("status %d (%s), want 503 without the reason", status, answer)
	}
	if got := server.Stats(); got.Failed != 1 || got.Accepted != 0 {
		t.Errorf("failed %d, accepted %d", got.Failed, got.Accepted)
	}
}

func TestLedgerThatHangs(t *testing.T) {
	t.Parallel()
	cfg := config(&memory{gate: make(chan struct{})}) // nobody opens it
	cfg.Limits.Commit = 20 * time.Millisecond
	server := start(t, cfg)
	if status, _ := server.deliver(ack(1), sign(testKey, ack(1))); status != http.StatusServiceUnavailable {
		t.Errorf("status %d, want 503", status)
	}
}

// TestFullQueue holds the ledger and sends more than may wait: what is too much
// is answered 503 at once, and the rest is kept when the ledger goes on.
func TestFullQueue(t *testing.T) {
	t.Parallel()
	inbox := &memory{gate: make(chan struct{})}
	cfg := config(inbox)
	cfg.Limits.Queue, cfg.Limits.Batch = 4, 2
	cfg.Limits.Commit = time.Minute
	server := start(t, cfg)
	const senders = 20
	statuses := make(chan int, senders)
	for n := range senders {
		go func() {
			status, _, err := post(server.client, server.url(web.WebhookPath), ack(n), sign(testKey, ack(n)))
			if err != nil {
				t.Errorf("deliver: %v", err)
			}
			statuses <- status
		}()
	}
	// At most a batch is in the writer's hands and four wait behind it.
	refused := 0
	for refused < senders-6 {
		if status := <-statuses; status != http.StatusServiceUnavailable {
			t.Fatalf("status %d while the ledger was held", status)
		}
		refused++
	}
	if got := server.Stats().Busy; got < senders-6 {
		t.Errorf("busy %d, want at least %d", got, senders-6)
	}
	close(inbox.gate)
	answered := 0
	for range senders - refused {
		if <-statuses == http.StatusOK {
			answered++
		}
	}
	if answered < 5 || inbox.len() != answered {
		t.Errorf("%d were answered 200, the ledger has %d; want 5 or 6 of both", answered, inbox.len())
	}
}

// TestMemoryIsBounded holds the ledger while bodies of the greatest length come
// in: no more of them are held than there is room for.
func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	inbox := &memory{gate: make(chan struct{})}
	cfg := config(inbox)
	cfg.Limits.Memory = 2 * web.MaxBody
	cfg.Limits.Commit = time.Minute
	server := start(t, cfg)
	statuses := make(chan int, 8)
	for n := range 8 {
		body := fmt.Appendf(nil, `{"id":"%d","event":"message.created","data":{"body":"%s"}}`, n, strings.Repeat("x", web.MaxBody-100))
		go func() {
			status, _, err := post(server.client, server.url(web.WebhookPath), body, sign(testKey, body))
			if err != nil {
				t.Errorf("deliver: %v", err)
			}
			statuses <- status
		}()
	}
	for range 6 {
		if status := <-statuses; status != http.StatusServiceUnavailable {
			t.Errorf("status %d while there was no room", status)
		}
	}
	close(inbox.gate)
	for range 2 {
		if status := <-statuses; status != http.StatusOK {
			t.Errorf("status %d when there was room again", status)
		}
	}
	// The room was given back.
	if status, _ := server.deliver(ack(1), sign(testKey, ack(1))); status != http.StatusOK {
		t.Errorf("status %d after the burst", status)
	}
}

// TestSlowSender trickles a header, or a body, and never ends it.
func TestSlowSender(t *testing.T) {
	t.Parallel()
	cfg := config(new(memory))
	cfg.Limits.Header, cfg.Limits.Body = 50*time.Millisecond, 50*time.Millisecond
	server := start(t, cfg)
	for name, sent := range map[string]string{
		"header": "POST /webhooks/periskope HTTP/1.1\r\nHost: x\r\nX-A: ",
		"body":   "POST /webhooks/periskope HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{",
		"chunk":  "POST /webhooks/periskope HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n64\r\n{",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn, err := net.Dial("tcp", server.Addr())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if _, err := io.WriteString(conn, sent); err != nil {
				t.Fatal(err)
			}
			// The server ends it: reading comes to an end without our doing.
			conn.SetReadDeadline(time.Now().Add(20 * time.Second))
			answer, err := io.ReadAll(conn)
			if err != nil {
				t.Fatalf("the connection was not ended: %v", err)
			}
			if bytes.HasPrefix(answer, []byte("HTTP/1.1 200")) {
				t.Errorf("answered %s", answer)
			}
		})
	}
}

// TestSlowSendersDoNotCrowdOut delivers while many others trickle their header.
func TestSlowSendersDoNotCrowdOut(t *testing.T) {
	t.Parallel()
	cfg := config(new(memory))
	cfg.Limits.Header = time.Minute
	server := start(t, cfg)
	for range 1000 {
		conn, err := net.Dial("tcp", server.Addr())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := io.WriteString(conn, "POST /webhooks/periskope HTTP/1.1\r\nHost: x\r\nX-A: "); err != nil {
			t.Fatal(err)
		}
	}
	if status, _ := server.deliver(ack(1), sign(testKey, ack(1))); status != http.StatusOK {
		t.Errorf("status %d, want 200", status)
	}
	if status, _ := server.get("/livez"); status != http.StatusOK {
		t.Errorf("/livez: status %d", status)
	}
}

func TestMethodsAndPaths(t *testing.T) {
	t.Parallel()
	server := start(t, config(new(memory)))
	for path, want := range map[string]int{
		web.WebhookPath: 405, "/": 404, "/webhooks": 404, "/local/x": 404, "/debug/pprof/": 404, "/livez": 200, "/healthz": 200, "/readyz": 200,
	} {
		status, answer := server.get(path)
		if status != want || !strings.HasPrefix(answer, "{") {
			t.Errorf("GET %s: %d %q, want %d and JSON", path, status, answer, want)
		}
	}
}

// TestLogsShowNothing looks for what was delivered in the log of everything that
// can go wrong.
func TestLogsShowNothing(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	cfg := config(&memory{err: errors.New("no space left")})
	cfg.Logger = slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	server := web.New(cfg)
	if err := server.Start("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	for _, body := range [][]byte{ack(1), []byte("447700900123 said: the harbor")} {
		for _, key := range []string{testKey, "pk-other"} {
			if _, _, err := post(http.DefaultClient, "http://"+server.Addr()+web.WebhookPath, body, sign(key, body)); err != nil {
				t.Fatal(err)
			}
		}
	}
	http.DefaultClient.CloseIdleConnections()
	if err := server.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if log.Len() == 0 {
		t.Error("nothing was logged")
	}
	for _, secret := range []string{"447700900123", "harbor", testKey, sign(testKey, ack(1))} {
		if strings.Contains(log.String(), secret) {
			t.Errorf("the log shows %q:\n%s", secret, log.String())
		}
	}
	if got := strings.Count(log.String(), "refused webhook deliveries"); got != 1 {
		t.Errorf("two forged deliveries were logged %d times, want once a minute:\n%s", got, log.String())
	}
}
