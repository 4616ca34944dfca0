package app

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/internal/gateway"
	"github.com/herald-campaigns/herald/periskope"
	"github.com/herald-campaigns/herald/web"
)

// WebhookView is one subscription at the provider.
type WebhookView struct {
	ID    string `json:"id"`
	URL   string `json:"url"`
	Event string `json:"event"`
	On    bool   `json:"on"` // false: switched off there
}

// WebhookRegistration is what registering a URL came to; events by their names.
type WebhookRegistration struct {
	URL     string   `json:"url"`
	Kept    []string `json:"kept"`    // were there
	Made    []string `json:"made"`    // are new
	Resumed []string `json:"resumed"` // had been switched off
	Refused []string `json:"refused"` // unknown to the provider; nothing is lacking
	Key     bool     `json:"key"`     // there is a signing key to verify deliveries with
}

// hookKeeper is the provider's list of subscriptions.
type hookKeeper interface {
	Webhooks(ctx context.Context) ([]gateway.Webhook, error)
	EnsureWebhooks(ctx context.Context, hookURL string) (gateway.Registration, error)
}

// Webhooks lists every subscription of the organization.
func Webhooks(ctx context.Context, cfg Config) ([]WebhookView, error) {
	keeper, done, err := hooksOf(cfg)
	if err != nil {
		return nil, err
	}
	defer done()
	hooks, err := keeper.Webhooks(ctx)
	list := make([]WebhookView, 0, len(hooks))
	for _, h := range hooks {
		list = append(list, WebhookView{ID: h.ID, URL: h.URL, Event: h.Event, On: h.On})
	}
	return list, err
}

// RegisterWebhooks subscribes a URL to what Herald has to hear of, and to
// nothing twice. With an error the answer says what was done until then.
func RegisterWebhooks(ctx context.Context, cfg Config, hookURL string) (WebhookRegistration, error) {
	keeper, done, err := hooksOf(cfg)
	if err != nil {
		return WebhookRegistration{}, err
	}
	defer done()
	r, err := keeper.EnsureWebhooks(ctx, hookURL)
	list := func(events []string) []string { return append([]string{}, events...) }
	return WebhookRegistration{
		URL: hookURL, Kept: list(r.Kept), Made: list(r.Made), Resumed: list(r.Resumed), Refused: list(r.Refused),
		Key: cfg.hasWebhookKey(),
	}, err
}

// hooksOf opens the way to the provider without a data directory.
func hooksOf(cfg Config) (keeper hookKeeper, done func(), err error) {
	if cfg.Mode == campaign.ModeSandbox {
		return nil, nil, &campaign.Error{
			Code: campaign.CodeInvalid, What: "the built-in simulator has no list of webhooks: there is one in each run",
			Hint: "--mode live asks the API; `herald help sandbox` says how to set one simulator up for all",
		}
	}
	if err := cfg.canSend(); err != nil {
		return nil, nil, err
	}
	client, err := periskope.New(periskope.Config{
		BaseURL: cfg.Periskope.BaseURL, Token: cfg.Periskope.Token, UserAgent: "herald/" + Version(),
	})
	if err != nil {
		return nil, nil, &campaign.Error{Code: campaign.CodeInvalid, What: "connect to the API", Hint: "check periskope.base_url and the token", Err: err}
	}
	return gateway.New(client, nil, gateway.Config{}), client.CloseIdleConnections, nil
}

// WebhookProbe is how an endpoint answered two deliveries of an event that
// nobody follows: one signed with the key, one with another.
type WebhookProbe struct {
	URL     string `json:"url"`
	Genuine int    `json:"genuine"` // HTTP status; should be 200
	Forged  int    `json:"forged"`  // should be 401
	OK      bool   `json:"ok"`
}

// probeTimeout is how long an endpoint has to answer one delivery.
const probeTimeout = 10 * time.Second

// ProbeWebhooks delivers to the endpoint at hookURL as the provider does. An
// error without a status in the answer says that it cannot be reached; with
// them, what is wrong there.
func ProbeWebhooks(ctx context.Context, cfg Config, hookURL string) (WebhookProbe, error) {
	probe := WebhookProbe{URL: hookURL}
	if cfg.Periskope.WebhookKey == "" {
		return probe, &campaign.Error{
			Code: campaign.CodeUnauthorized, What: "there is no signing key to sign a test with",
			Hint: "set HERALD_PERISKOPE_WEBHOOK_KEY (or periskope.webhook_key_file) to the key of the Periskope console",
		}
	}
	if u, err := url.Parse(hookURL); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return probe, &campaign.Error{
			Code: campaign.CodeInvalid, What: "--url is not one that can be called", Hint: "give the whole address: https://example.com" + web.WebhookPath,
		}
	}
	body, err := sampleEvent()
	if err == nil {
		probe.Genuine, err = deliver(ctx, hookURL, body, cfg.Periskope.WebhookKey)
	}
	if err == nil {
		probe.Forged, err = deliver(ctx, hookURL, body, periskope.Token(rand.Text()))
	}
	if err != nil {
		return probe, &campaign.Error{
			Code: campaign.CodeUnavailable, What: "the endpoint does not answer",
			Hint: "is `herald serve` (or `herald run --webhooks`) running there, and does the proxy or tunnel pass " + web.WebhookPath + " on?", Err: err,
		}
	}
	probe.OK = probe.Genuine == http.StatusOK && probe.Forged == http.StatusUnauthorized
	return probe, probe.verdict()
}

// verdict says what is wrong with the endpoint, and what to do.
func (p WebhookProbe) verdict() error {
	fault := func(code campaign.Code, what, hint string) error {
		return &campaign.Error{Code: code, What: what, Hint: hint}
	}
	switch {
	case p.OK:
		return nil
	case p.Genuine == http.StatusUnauthorized:
		return fault(campaign.CodeUnauthorized, "the endpoint refuses what is signed with this key",
			"its HERALD_PERISKOPE_WEBHOOK_KEY is another one, or a proxy on the way changes bodies")
	case p.Genuine == http.StatusServiceUnavailable:
		return fault(campaign.CodeUnavailable, "the endpoint takes nothing: it has no signing key, or cannot keep up",
			"set HERALD_PERISKOPE_WEBHOOK_KEY there; its log says more")
	case p.Genuine == http.StatusNotFound || p.Genuine == http.StatusMethodNotAllowed:
		return fault(campaign.CodeUnavailable, fmt.Sprintf("there is no webhook endpoint at this address (%d)", p.Genuine),
			"its path is "+web.WebhookPath)
	case p.Genuine != http.StatusOK:
		return fault(campaign.CodeUnavailable, fmt.Sprintf("the endpoint answers %d to a correctly signed delivery, not 200", p.Genuine),
			"something before Herald answers: a login page, a redirect, a proxy without a server behind it")
	default:
		return fault(campaign.CodeUnavailable, fmt.Sprintf("the endpoint answers %d to a forged delivery, not 401: it is not Herald's, or believes anybody", p.Forged),
			"do not register it before it refuses what is not signed")
	}
}

// sampleEvent is a delivery in the form of real ones, of an event that nobody
// follows: it is answered and counted, and changes nothing.
func sampleEvent() ([]byte, error) {
	return json.Marshal(map[string]any{
		"id": rand.Text(), "event_type": "herald.test", "org_id": "herald", "data": map[string]string{"sent_at": time.Now().UTC().Format(time.RFC3339)},
	})
}

// deliver posts a body, signed as the provider signs.
func deliver(ctx context.Context, hookURL string, body []byte, key periskope.Token) (status int, err error) {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, hookURL, bytes.NewReader(body))
	if err != nil {
		return 0, errors.New("the address cannot be called")
	}
	mac := hmac.New(sha256.New, []byte(string(key)))
	_, _ = mac.Write(body) // a hash never fails
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", "herald/"+Version())
	request.Header.Set(periskope.SignatureHeader, hex.EncodeToString(mac.Sum(nil)))
	response, err := oneCall().Do(request)
	if err != nil {
		return 0, withoutURL(err)
	}
	return response.StatusCode, response.Body.Close()
}

// oneCall is a client that follows no redirect and keeps no connection.
func oneCall() *http.Client {
	return &http.Client{
		Transport:     &http.Transport{Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// withoutURL is the cause of a failed call: the address may hold a secret.
func withoutURL(err error) error {
	if inURL, ok := errors.AsType[*url.Error](err); ok {
		return inURL.Err
	}
	return err
}
