package notices

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/herald-campaigns/herald/campaign"
)

// attemptTimeout is how long a receiver has to take a notice.
const attemptTimeout = 10 * time.Second

// courier makes single attempts.
type courier struct {
	signer       *standardwebhooks.Webhook
	allowPrivate bool
	speed        float64
	clients      map[reach]*http.Client
}

func newCourier(cfg Config) (*courier, error) {
	if err := cfg.Secret.validate(); err != nil {
		return nil, &campaign.Error{Code: campaign.CodeInvalid, What: "the secret of notices " + err.Error()}
	}
	signer, err := standardwebhooks.NewWebhook(string(cfg.Secret))
	if err != nil {
		return nil, err
	}
	c := &courier{signer: signer, allowPrivate: cfg.AllowPrivate, speed: cfg.Speed, clients: make(map[reach]*http.Client)}
	for _, r := range []reach{reachPublic, reachSelf, reachAll} {
		c.clients[r] = &http.Client{
			Transport: r.transport(cfg.resolver), Timeout: attemptTimeout,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}
	}
	return c, nil
}

// deliver makes one attempt and says what it came to.
func (c *courier) deliver(ctx context.Context, n campaign.Notice) campaign.Delivered {
	status, err := c.post(ctx, n)
	return c.judge(n, status, err)
}

// judge says what an answer, or its lack, means for the notice.
func (c *courier) judge(n campaign.Notice, status int, err error) campaign.Delivered {
	reason := ""
	switch {
	case err != nil:
		reason = wording(err)
	case status >= 200 && status <= 299:
		return campaign.Delivered{ID: n.ID, Done: true}
	default:
		reason = fmt.Sprintf("the receiver answered %d", status)
	}
	if status == http.StatusGone {
		return campaign.Delivered{ID: n.ID, Done: true, Failed: "given up: " + reason + " Gone"}
	}
	wait, again := after(n.Attempts+1, c.speed)
	if !again {
		return campaign.Delivered{ID: n.ID, Done: true, Failed: cut(fmt.Sprintf("given up after %d attempts: %s", n.Attempts+1, reason))}
	}
	return campaign.Delivered{ID: n.ID, Failed: cut(reason), Next: time.Now().Add(wait)}
}

func (c *courier) post(ctx context.Context, n campaign.Notice) (status int, err error) {
	u, err := url.Parse(n.URL)
	if err != nil {
		return 0, errors.New("the URL cannot be read")
	}
	r, err := reachOf(u, c.allowPrivate)
	if err != nil {
		return 0, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), bytes.NewReader(n.Body))
	if err != nil {
		return 0, errors.New("the URL cannot be called")
	}
	now := time.Now()
	signature, err := c.signer.Sign(n.ID, now, n.Body)
	if err != nil {
		return 0, err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", "Herald")
	request.Header.Set(standardwebhooks.HeaderWebhookID, n.ID)
	request.Header.Set(standardwebhooks.HeaderWebhookTimestamp, strconv.FormatInt(now.Unix(), 10))
	request.Header.Set(standardwebhooks.HeaderWebhookSignature, signature)
	response, err := c.clients[r].Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close() //nolint:errcheck // nothing of the answer is used
	_, _ = io.CopyN(io.Discard, response.Body, 4<<10)
	return response.StatusCode, nil
}

// close gives up the connections.
func (c *courier) close() {
	for _, client := range c.clients {
		client.CloseIdleConnections()
	}
}

// wording says what went wrong, without the URL: its path may be a secret.
func wording(err error) string {
	if forbidden, ok := errors.AsType[*forbiddenError](err); ok {
		return forbidden.Error()
	}
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		return "no answer within 10 s"
	}
	if inURL, ok := errors.AsType[*url.Error](err); ok {
		err = inURL.Err
	}
	if name, ok := errors.AsType[*net.DNSError](err); ok {
		return "the name cannot be looked up: " + name.Err
	}
	return err.Error()
}

// cut keeps a reason within the 200 bytes that the ledger has for it.
func cut(reason string) string {
	if len(reason) > 200 {
		reason = string(bytes.ToValidUTF8([]byte(reason[:197]), nil)) + "…"
	}
	return reason
}
