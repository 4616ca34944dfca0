package app

import (
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/periskope"
)

// TestSandboxSignsWebhooks starts the simulator as its command does and
// receives what it delivers.
func TestSandboxSignsWebhooks(t *testing.T) {
	t.Parallel()
	const key = "5f1d-signing-key"
	file := filepath.Join(t.TempDir(), "webhook.key")
	if err := os.WriteFile(file, []byte(key+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	type delivery struct {
		signed error
		event  periskope.Event
	}
	got := make(chan delivery, 16)
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		raw, _ := io.ReadAll(r.Body)
		event, err := periskope.ParseEvent(raw)
		got <- delivery{errors.Join(err, periskope.VerifySignature(raw, r.Header.Get(periskope.SignatureHeader), key)), event}
	}))
	defer receiver.Close()
	sim, err := StartSandbox(Config{}, slog.New(slog.DiscardHandler), SandboxOptions{
		Listen: "127.0.0.1:0", Speed: 10_000, WebhookKeyFile: file, WebhookNames: "spec", Envelope: "docs",
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = sim.Close() }()
	post := func(path, body string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, sim.BaseURL()+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer t")
		req.Header.Set("X-Phone", "12015550123")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode > 299 {
			t.Fatalf("%s: %s", path, resp.Status)
		}
	}
	post("/webhooks", `{"hookUrl":"`+receiver.URL+`","integrationName":["message.sent"]}`)
	post("/message/send", `{"chat_id":"12015550001","message":"Hi"}`)
	select {
	case d := <-got:
		if d.signed != nil || d.event.Kind != periskope.EventSent || d.event.At.IsZero() {
			t.Errorf("event %s, signed: %v", d.event, d.signed)
		}
	case <-time.After(patience):
		t.Fatal("no webhook came")
	}
}

func TestSandboxRefusesWhatCannotBe(t *testing.T) {
	t.Parallel()
	empty := filepath.Join(t.TempDir(), "empty.key")
	if err := os.WriteFile(empty, []byte(" \n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for want, o := range map[string]SandboxOptions{
		"--webhook-names":                   {WebhookNames: "all"},
		"--envelope":                        {Envelope: "brown"},
		"--loss":                            {Loss: 50},
		"--duplicate":                       {Duplicate: -0.1},
		"read --webhook-key-file":           {WebhookKeyFile: filepath.Join(t.TempDir(), "none")},
		"--webhook-key-file holds no key":   {WebhookKeyFile: empty},
		"--listen 0.0.0.0:0 is not a loopb": {Listen: "0.0.0.0:0"},
	} {
		if o.Listen == "" {
			o.Listen = "127.0.0.1:0"
		}
		sim, err := StartSandbox(Config{}, slog.New(slog.DiscardHandler), o)
		if err == nil {
			_ = sim.Close()
			t.Errorf("%+v is taken", o)
			continue
		}
		if e, ok := errors.AsType[*campaign.Error](err); !ok || e.Code != campaign.CodeInvalid || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want an error about %s", o, err, want)
		}
	}
}
