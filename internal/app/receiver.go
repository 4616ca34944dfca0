package app

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/periskope"
	"github.com/herald-campaigns/herald/web"
)

// webhookKeys are the keys that deliveries may be signed with; none: webhooks
// are off. The built-in simulator, where it runs, has one of its own.
func (a *App) webhookKeys() []periskope.Token {
	var keys []periskope.Token
	for _, key := range []periskope.Token{a.cfg.Periskope.WebhookKey, a.cfg.Periskope.WebhookKeyOld, a.simKey} {
		if key != "" {
			keys = append(keys, key)
		}
	}
	return keys
}

// hasWebhookKey says whether there is a key that real deliveries are signed with.
func (c Config) hasWebhookKey() bool {
	return c.Periskope.WebhookKey != "" || c.Periskope.WebhookKeyOld != ""
}

// receiver is the HTTP side of this data directory: deliveries go into its
// ledger, and received is called when something new is in it.
func (a *App) receiver(received func()) web.Config {
	cfg := web.Config{
		Inbox: a.store, Read: readWebhook, SignatureHeader: periskope.SignatureHeader, Received: received, Logger: a.log,
		Checks: map[string]func(context.Context) error{
			"ledger": func(ctx context.Context) error { _, _, err := a.store.DeliveryBacklog(ctx); return err },
		},
	}
	if keys := a.webhookKeys(); len(keys) > 0 {
		cfg.Verify = func(raw []byte, signature string) error { return periskope.VerifySignature(raw, signature, keys...) }
	}
	return cfg
}

// endpoint is the HTTP side of an engine; local may be nil.
func (a *App) endpoint(e *engine, local http.Handler) web.Config {
	cfg := a.receiver(e.answers.inbox.Poke)
	cfg.Local = local
	cfg.Checks["stream"] = e.conn.Healthy
	cfg.Checks["disk"] = func(context.Context) error {
		if detail, full := e.disk.fullness(); full {
			return errors.New(detail)
		}
		return nil
	}
	return cfg
}

func readWebhook(raw []byte) (web.Event, error) {
	e, err := periskope.ParseEvent(raw)
	return web.Event{Key: e.Key, Name: e.Name, Followed: e.Kind != periskope.EventOther}, err
}

// receive listens for webhooks at the address until deaf is called; nowhere
// without an address.
func (a *App) receive(ctx context.Context, e *engine, address string) (deaf func(context.Context) error, err error) {
	if address == "" {
		return func(context.Context) error { return nil }, e.provider.deliverTo(ctx, "")
	}
	if len(a.webhookKeys()) == 0 {
		return nil, &campaign.Error{
			Code: campaign.CodeInvalid, What: "webhooks need a signing key, to tell who sends them",
			Hint: "make one in the Periskope console (Settings, Integrations, Webhooks) and set HERALD_PERISKOPE_WEBHOOK_KEY",
		}
	}
	doors, err := a.openDoors(ctx, e, nil, address)
	if err != nil {
		return nil, err
	}
	if err := e.provider.deliverTo(ctx, doors.simulatorURL()); err != nil {
		return nil, errors.Join(err, doors.close(ctx))
	}
	return doors.close, nil
}

// deliverTo has the built-in simulator deliver its webhooks to this process, and
// to none that was there before; to nobody without a URL. The real API is told with `herald webhooks
// register`: it needs the public address.
func (p *provider) deliverTo(ctx context.Context, url string) error {
	if p.sim == nil {
		return nil
	}
	hooks, err := p.gateway.Webhooks(ctx)
	if err != nil {
		return fmt.Errorf("connect the simulator's webhooks: %w", err)
	}
	for _, hook := range hooks {
		if hook.URL == url {
			continue
		}
		if _, err := p.client.DeleteHook(ctx, hook.ID); err != nil {
			return fmt.Errorf("connect the simulator's webhooks: %w", err)
		}
	}
	if url == "" {
		return nil
	}
	_, err = p.gateway.EnsureWebhooks(ctx, url)
	return err
}
