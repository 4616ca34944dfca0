package periskope

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"time"
)

// Hook is one webhook subscription: one URL and one event (dossier §10.1). It
// does not print its URL, which may hold a secret of its owner.
type Hook struct {
	ID           string
	URL          string
	Event        string // the provider's name: "message.created" …
	Subscribed   bool   // false: switched off, nothing is delivered
	SubscribedAt time.Time
}

// String says which subscription it is, never its URL.
func (h Hook) String() string {
	return fmt.Sprintf("webhook %s (%s, subscribed %t)", cut(h.ID, 128), cut(h.Event, 64), h.Subscribed)
}

// GoString keeps %#v from printing the URL.
func (h Hook) GoString() string { return h.String() }

// LogValue keeps structured logs from carrying the URL.
func (h Hook) LogValue() slog.Value { return slog.StringValue(h.String()) }

// UnmarshalJSON reads a subscription as the API shows it.
func (h *Hook) UnmarshalJSON(b []byte) error {
	var w struct {
		ID           string   `json:"id"`
		HookURL      string   `json:"hook_url"`
		Event        string   `json:"integration_name"`
		IsSubscribed flexBool `json:"is_subscribed"`
		SubscribedAt FlexTime `json:"subscribed_at"`
	}
	if err := decode(b, &w); err != nil {
		return err
	}
	*h = Hook{ID: w.ID, URL: w.HookURL, Event: w.Event, Subscribed: bool(w.IsSubscribed), SubscribedAt: w.SubscribedAt.Time}
	return nil
}

// Hooks lists the webhook subscriptions of the organization to hookURL, or all
// of them when it is empty (GET /webhooks).
func (c *Client) Hooks(ctx context.Context, hookURL string) ([]Hook, Meta, error) {
	query := url.Values{}
	if hookURL != "" {
		query.Set("hook_url", hookURL)
	}
	request := call{op: "list webhooks", method: http.MethodGet, url: c.url(query, "webhooks"), own: []string{hookURL}}
	hooks, meta, err := get(ctx, c, request, decodeList[Hook])
	if err != nil {
		return nil, meta, err
	}
	kept := hooks[:0]
	for _, h := range hooks { // an API that knows no such filter shows them all
		if h.ID != "" && (hookURL == "" || h.URL == hookURL) {
			kept = append(kept, h)
		}
	}
	return kept, meta, nil
}

// CreateHook subscribes hookURL to one event (POST /webhooks). The API makes a
// second subscription of one that is there already.
func (c *Client) CreateHook(ctx context.Context, hookURL, event string) (Hook, Meta, error) {
	const op = "create webhook"
	switch {
	case hookURL == "":
		return Hook{}, Meta{}, &ArgumentError{Op: op, Name: "hookUrl", What: "is empty"}
	case !isCode(event):
		return Hook{}, Meta{}, &ArgumentError{Op: op, Name: "integrationName", What: "is no event's name"}
	}
	body, err := json.Marshal(map[string]string{"hookUrl": hookURL, "integrationName": event, "integrationType": "webhook", "type": "webhook"})
	if err != nil {
		return Hook{}, Meta{}, &ArgumentError{Op: op, Name: "hookUrl", What: "cannot be written as JSON"}
	}
	request := call{op: op, method: http.MethodPost, url: c.url(nil, "webhooks"), body: body, own: []string{hookURL}}
	return get(ctx, c, request, oneHook)
}

// SubscribeHook switches a subscription on or off (PATCH /webhooks/{id}).
func (c *Client) SubscribeHook(ctx context.Context, id string, on bool) (Hook, Meta, error) {
	const op = "update webhook"
	if err := checkID(op, "id", id); err != nil {
		return Hook{}, Meta{}, err
	}
	body, err := json.Marshal(map[string]bool{"isSubscribed": on})
	if err != nil {
		return Hook{}, Meta{}, &ArgumentError{Op: op, Name: "isSubscribed", What: "cannot be written as JSON"}
	}
	return get(ctx, c, call{op: op, method: http.MethodPatch, url: c.url(nil, "webhooks", id), body: body}, oneHook)
}

// DeleteHook ends a subscription (DELETE /webhooks/{id}).
func (c *Client) DeleteHook(ctx context.Context, id string) (Meta, error) {
	const op = "delete webhook"
	if err := checkID(op, "id", id); err != nil {
		return Meta{}, err
	}
	request := call{op: op, method: http.MethodDelete, url: c.url(nil, "webhooks", id)}
	_, meta, err := get(ctx, c, request, func([]byte) (struct{}, error) { return struct{}{}, nil })
	return meta, err
}

// oneHook reads the answer about one subscription, which comes as an object or
// as an array of one.
func oneHook(b []byte) (Hook, error) {
	hooks, err := decodeList[Hook](b)
	if err != nil {
		return Hook{}, err
	}
	if len(hooks) != 1 || hooks[0].ID == "" {
		return Hook{}, errNothing
	}
	return hooks[0], nil
}
