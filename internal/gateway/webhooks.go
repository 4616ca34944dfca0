package gateway

import (
	"context"
	"errors"
	"net/url"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/periskope"
)

// neededEvents are what Herald has to hear of.
func neededEvents() []periskope.EventKind {
	return []periskope.EventKind{
		periskope.EventMessageCreated, periskope.EventMessageUpdated, periskope.EventAckUpdated,
		periskope.EventPhoneConnected, periskope.EventPhoneDisconnected, periskope.EventPhoneUpdated, periskope.EventPhoneQR,
	}
}

// welcomeEvents are named only by the page that documents sending; an API that
// does not know them refuses them, and nothing is lacking (dossier §10.2).
func welcomeEvents() []periskope.EventKind {
	return []periskope.EventKind{periskope.EventSent, periskope.EventDelivered, periskope.EventRead, periskope.EventFailed}
}

// Webhook is one subscription to one event.
type Webhook struct {
	ID    string
	URL   string
	Event string
	On    bool // false: switched off at the provider
}

// Registration is what registering a URL came to, events by their names.
type Registration struct {
	Kept    []string // were subscribed already
	Made    []string // are subscribed now
	Resumed []string // had been switched off, and are on again
	Refused []string // the provider does not know them; nothing is lacking without them
}

// Webhooks lists every webhook subscription of the organization. Errors carry a
// campaign.Code, as Status gives it.
func (g *Gateway) Webhooks(ctx context.Context) ([]Webhook, error) {
	hooks, _, err := g.client.Hooks(ctx, "")
	if err != nil {
		return nil, g.explain("list webhooks", campaign.Sender{}, err)
	}
	list := make([]Webhook, len(hooks))
	for i, h := range hooks {
		list[i] = Webhook{ID: h.ID, URL: h.URL, Event: h.Event, On: h.Subscribed}
	}
	return list, nil
}

// EnsureWebhooks subscribes hookURL to what Herald has to hear of, and to
// nothing twice: it may be called at every start. With an error, the answer
// says what was done until then. Errors carry a campaign.Code, as Status gives
// it; CodeInvalid also when hookURL is none that the provider could call.
func (g *Gateway) EnsureWebhooks(ctx context.Context, hookURL string) (Registration, error) {
	var done Registration
	if u, err := url.Parse(hookURL); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return done, &campaign.Error{
			Code: campaign.CodeInvalid, What: "the webhook URL is not one that can be called",
			Hint: "give the public address of this server, like https://example.com/webhooks/periskope",
		}
	}
	hooks, _, err := g.client.Hooks(ctx, hookURL)
	if err != nil {
		return done, g.explain("list webhooks", campaign.Sender{}, err)
	}
	byEvent := map[string]periskope.Hook{}
	for _, h := range hooks {
		if kept, ok := byEvent[h.Event]; !ok || !kept.Subscribed {
			byEvent[h.Event] = h
		}
	}
	for _, event := range neededEvents() {
		if err := g.ensure(ctx, &done, byEvent, hookURL, string(event)); err != nil {
			return done, g.explain("register webhooks", campaign.Sender{}, err)
		}
	}
	for _, event := range welcomeEvents() {
		err := g.ensure(ctx, &done, byEvent, hookURL, string(event))
		switch {
		case refusedEvent(err):
			done.Refused = append(done.Refused, string(event))
		case err != nil:
			return done, g.explain("register webhooks", campaign.Sender{}, err)
		}
	}
	return done, nil
}

// ensure subscribes to one event, unless it is subscribed.
func (g *Gateway) ensure(ctx context.Context, done *Registration, byEvent map[string]periskope.Hook, hookURL, event string) error {
	hook, there := byEvent[event]
	switch {
	case there && hook.Subscribed:
		done.Kept = append(done.Kept, event)
		return nil
	case there:
		if _, _, err := g.client.SubscribeHook(ctx, hook.ID, true); err != nil {
			return err
		}
		done.Resumed = append(done.Resumed, event)
		return nil
	}
	if _, _, err := g.client.CreateHook(ctx, hookURL, event); err != nil {
		return err
	}
	done.Made = append(done.Made, event)
	return nil
}

// refusedEvent is the provider's own word that it does not take the request.
// One about who asks, or how often, is none.
func refusedEvent(err error) bool {
	var api *periskope.APIError
	if !errors.As(err, &api) {
		return false
	}
	return api.Status == 400 || api.Status == 404 || api.Status == 409 || api.Status == 422
}
