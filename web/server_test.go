package web_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/web"
)

func TestMain(m *testing.M) {
	if runChild() {
		return
	}
	goleak.VerifyTestMain(m)
}

func TestUnsafeAddressesAreRefused(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		address string
		change  func(*web.Config)
		want    string // in the error; "" starts
	}{
		"loopback":                {"127.0.0.1:0", nil, ""},
		"loopback without a key":  {"127.0.0.1:0", func(c *web.Config) { c.Verify = nil }, ""},
		"by name":                 {"localhost:0", nil, ""},
		"open, with a key":        {"0.0.0.0:0", nil, ""},
		"open without a key":      {"0.0.0.0:0", func(c *web.Config) { c.Verify = nil }, "signing key"},
		"everywhere, no key":      {":0", func(c *web.Config) { c.Verify = nil }, "signing key"},
		"open with a control API": {"0.0.0.0:0", func(c *web.Config) { c.Local = http.NotFoundHandler() }, "control API"},
		"no address":              {"harbor", nil, "listen at"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := config(new(memory))
			if test.change != nil {
				test.change(&cfg)
			}
			server := web.New(cfg)
			err := server.Start(test.address)
			defer server.Close(context.Background())
			switch {
			case test.want == "" && err != nil:
				t.Fatalf("Start: %v", err)
			case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want) || campaign.CodeOf(err) != campaign.CodeInvalid):
				t.Fatalf("Start: %v, want an invalid address with %q", err, test.want)
			case (server.Addr() != "") != (err == nil):
				t.Errorf("Addr %q after %v", server.Addr(), err)
			}
		})
	}
}

// TestCloseKeepsWhatWaits closes while deliveries wait for a held ledger: all of
// them are kept, and answered 200, before Close returns.
func TestCloseKeepsWhatWaits(t *testing.T) {
	t.Parallel()
	inbox := &memory{gate: make(chan struct{})}
	cfg := config(inbox)
	cfg.Limits.Commit = time.Minute
	cfg.Limits.Batch = 3
	server := web.New(cfg)
	if err := server.Start("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	const waiting = 10
	statuses := make(chan int, waiting)
	for n := range waiting {
		go func() {
			status, _, err := post(client, "http://"+server.Addr()+web.WebhookPath, ack(n), sign(testKey, ack(n)))
			if err != nil {
				t.Errorf("deliver: %v", err)
			}
			statuses <- status
		}()
	}
	eventually(t, "all are named", func() bool { return server.Stats().Names["message.ack.updated"] == waiting })
	closed := make(chan error, 1)
	go func() { closed <- server.Close(context.Background()) }()
	eventually(t, "nothing new is taken", func() bool {
		_, _, err := post(client, "http://"+server.Addr()+web.WebhookPath, nil, "")
		return err != nil
	})
	select {
	case err := <-closed:
		t.Fatalf("closed while %d deliveries waited: %v", waiting, err)
	default:
	}
	close(inbox.gate)
	if err := <-closed; err != nil {
		t.Errorf("Close: %v", err)
	}
	if inbox.len() != waiting {
		t.Errorf("the ledger has %d, want %d", inbox.len(), waiting)
	}
	for range waiting {
		if status := <-statuses; status != http.StatusOK {
			t.Errorf("status %d, want 200", status)
		}
	}
}

// TestCloseGivesUp ends although the ledger hangs, and says what it left.
func TestCloseGivesUp(t *testing.T) {
	t.Parallel()
	cfg := config(&memory{gate: make(chan struct{})})
	cfg.Limits.Commit = time.Hour
	server := web.New(cfg)
	if err := server.Start("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	failed := make(chan struct{})
	go func() {
		defer close(failed)
		status, _, err := post(&http.Client{Transport: &http.Transport{DisableKeepAlives: true}},
			"http://"+server.Addr()+web.WebhookPath, ack(1), sign(testKey, ack(1)))
		if err == nil && status == http.StatusOK {
			t.Error("answered 200 without having been kept")
		}
	}()
	eventually(t, "it waits", func() bool { return server.Stats().Names["message.ack.updated"] == 1 })
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := server.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Close: %v, want that the time was over", err)
	}
	<-failed
}

func TestReadiness(t *testing.T) {
	t.Parallel()
	broken := make(chan error, 1)
	cfg := config(new(memory))
	cfg.Checks = map[string]func(context.Context) error{
		"ledger": func(context.Context) error {
			select {
			case err := <-broken:
				return err
			default:
				return nil
			}
		},
		"disk": func(context.Context) error { return nil },
	}
	broken <- errors.New("the database is locked")
	server := start(t, cfg)
	if status, answer := server.get("/readyz"); status != http.StatusServiceUnavailable ||
		answer != `{"ready":false,"checks":{"disk":"ok","ledger":"the database is locked"}}` {
		t.Errorf("/readyz: %d %s", status, answer)
	}
	if status, _ := server.get("/livez"); status != http.StatusOK {
		t.Errorf("/livez: %d; what is not ready lives all the same", status)
	}
	eventually(t, "it is ready", func() bool {
		status, answer := server.get("/readyz")
		return status == http.StatusOK && answer == `{"ready":true,"checks":{"disk":"ok","ledger":"ok"}}`
	})
}

// TestReadinessTellsStrangersLittle asks on a listener that others can reach.
func TestReadinessTellsStrangersLittle(t *testing.T) {
	t.Parallel()
	cfg := config(new(memory))
	cfg.Checks = map[string]func(context.Context) error{
		"ledger": func(context.Context) error { return errors.New("/home/asha/herald-data is full") },
	}
	server := web.New(cfg)
	if err := server.Start("0.0.0.0:0"); err != nil {
		t.Fatal(err)
	}
	_, port, _ := strings.Cut(strings.TrimPrefix(server.Addr(), "[::]"), ":")
	asked := &running{Server: server, t: t, client: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}}
	response, err := asked.client.Get("http://127.0.0.1:" + port + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	buffer := make([]byte, 512)
	n, _ := response.Body.Read(buffer)
	if got := string(buffer[:n]); got != `{"ready":false,"checks":{"ledger":"failed"}}` {
		t.Errorf("/readyz: %s", got)
	}
	if err := server.Close(t.Context()); err != nil {
		t.Errorf("Close: %v", err)
	}
}

func TestControlAPIIsForThisMachine(t *testing.T) {
	t.Parallel()
	cfg := config(new(memory))
	cfg.Local = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.Write([]byte(r.URL.Path)) })
	server := start(t, cfg)
	for name, test := range map[string]struct {
		method string
		host   string
		header map[string]string
		want   int
	}{
		"as a program":             {http.MethodPost, "", nil, 200},
		"by name":                  {http.MethodPost, "localhost:8484", nil, 200},
		"by its IPv6 address":      {http.MethodGet, "[::1]:8484", nil, 200},
		"by a name that points us": {http.MethodGet, "rebound.example", nil, 403},
		"by a name like ours":      {http.MethodGet, "127.0.0.1.rebound.example", nil, 403},
		"through a proxy":          {http.MethodGet, "", map[string]string{"X-Forwarded-For": "203.0.113.7"}, 403},
		"by a page of another":     {http.MethodPost, "", map[string]string{"Origin": "https://example.com"}, 403},
		"by a browser, cross-site": {http.MethodPost, "", map[string]string{"Sec-Fetch-Site": "cross-site"}, 403},
	} {
		request, err := http.NewRequest(test.method, server.url("/local/campaigns"), nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Host = test.host
		for key, value := range test.header {
			request.Header.Set(key, value)
		}
		response, err := server.client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != test.want {
			t.Errorf("%s: status %d, want %d", name, response.StatusCode, test.want)
		}
	}
}

func TestNamesAreBounded(t *testing.T) {
	t.Parallel()
	server := start(t, config(new(memory)))
	for n := range 100 {
		body := fmt.Appendf(nil, `{"event":"made.up.%c%c","data":{}}`, 'a'+n/10, 'a'+n%10)
		server.deliver(body, sign(testKey, body))
	}
	got := server.Stats()
	if len(got.Names) != 65 || got.Names["other"] != 36 {
		t.Errorf("%d names, %d others; want 64 and 36 others", len(got.Names), got.Names["other"])
	}
}
