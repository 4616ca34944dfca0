package app

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/periskope"
	"github.com/herald-campaigns/herald/web"
)

const testWebhookKey = "pk-webhooks-of-the-test"

// endpoint is a receiver on a data directory of its own, as serve and run make
// it.
func endpoint(t *testing.T, change func(*Config)) (a *App, address string) {
	t.Helper()
	cfg, err := LoadConfig(ConfigSource{File: os.DevNull, Flags: map[string]any{
		"data_dir": t.TempDir(), "periskope.webhook_key": testWebhookKey,
	}})
	check(t, err)
	if change != nil {
		change(&cfg)
	}
	a, err = Open(t.Context(), cfg, quiet())
	check(t, err)
	server := web.New(a.receiver(nil))
	check(t, server.Start("127.0.0.1:0"))
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		check(t, server.Close(ctx))
		check(t, a.Close())
	})
	return a, "http://" + server.Addr() + web.WebhookPath
}

// TestProbe tells a good endpoint from all others.
func TestProbe(t *testing.T) {
	t.Parallel()
	answering := func(handler http.HandlerFunc) string {
		server := httptest.NewServer(handler)
		t.Cleanup(server.Close)
		return server.URL + web.WebhookPath
	}
	a, good := endpoint(t, nil)
	_, rotating := endpoint(t, func(cfg *Config) {
		cfg.Periskope.WebhookKey, cfg.Periskope.WebhookKeyOld = "pk-next", testWebhookKey
	})
	_, other := endpoint(t, func(cfg *Config) { cfg.Periskope.WebhookKey = "pk-other" })
	_, off := endpoint(t, func(cfg *Config) { cfg.Periskope.WebhookKey = "" })
	for name, test := range map[string]struct {
		url             string
		genuine, forged int
		code            campaign.Code
		says            string
	}{
		"ours":               {good, 200, 401, "", ""},
		"with the old key":   {rotating, 200, 401, "", ""},
		"with another key":   {other, 401, 401, campaign.CodeUnauthorized, "refuses what is signed with this key"},
		"without a key":      {off, 503, 503, campaign.CodeUnavailable, "takes nothing"},
		"on another path":    {strings.TrimSuffix(good, "periskope"), 404, 404, campaign.CodeUnavailable, "no webhook endpoint"},
		"that believes all":  {answering(func(http.ResponseWriter, *http.Request) {}), 200, 200, campaign.CodeUnavailable, "believes anybody"},
		"behind a login":     {answering(func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/login", http.StatusFound) }), 302, 302, campaign.CodeUnavailable, "302"},
		"of nobody":          {"http://127.0.0.1:1/", 0, 0, campaign.CodeUnavailable, "does not answer"},
		"that is no address": {"example.com", 0, 0, campaign.CodeInvalid, "--url"},
	} {
		cfg := Config{}
		cfg.Periskope.WebhookKey = testWebhookKey
		probe, err := ProbeWebhooks(t.Context(), cfg, test.url)
		want := WebhookProbe{URL: test.url, Genuine: test.genuine, Forged: test.forged, OK: test.code == ""}
		if diff := cmp.Diff(want, probe); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if campaign.CodeOf(err) != test.code || err != nil && !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %v, want %s with %q", name, err, test.code, test.says)
		}
	}
	if fresh, parked, err := a.store.DeliveryBacklog(t.Context()); fresh+parked != 0 || err != nil {
		t.Errorf("the tests left %d deliveries in the ledger, %v", fresh+parked, err)
	}
}

// TestDeliveriesReachTheLedger posts a real event to an endpoint as serve and
// run make it.
func TestDeliveriesReachTheLedger(t *testing.T) {
	t.Parallel()
	a, address := endpoint(t, nil)
	body := []byte(`{"event":"message.created","data":{"message_id":"false_447700900123@c.us_3A1F","unique_id":"3A1F",` +
		`"chat_id":"447700900123@c.us","org_phone":"12015550100@c.us","from_me":false,"message_type":"chat","body":"STOP"}}`)
	for range 2 {
		if status, err := deliver(t.Context(), address, body, testWebhookKey); status != http.StatusOK || err != nil {
			t.Fatalf("status %d, %v", status, err)
		}
	}
	list, err := a.store.Deliveries(t.Context(), 10)
	check(t, err)
	if len(list) != 1 || string(list[0].Body) != string(body) || list[0].Name != string(periskope.EventMessageCreated) || list[0].Received.IsZero() {
		t.Errorf("the ledger has %d deliveries: %+v", len(list), list)
	}
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }
