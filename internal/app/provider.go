package app

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/internal/gateway"
	"github.com/herald-campaigns/herald/periskope"
	"github.com/herald-campaigns/herald/sandbox"
)

// provider is what is at the other end: the built-in simulator or the real
// API. Past this file nothing knows which.
type provider struct {
	gateway *gateway.Gateway
	client  *periskope.Client
	sim     *sandbox.Server // nil in live mode
	url     string
	saw     func(context.Context, campaign.Sender, campaign.PhoneState) // keeps what is seen of a phone
}

// connect opens the way to the provider for calls of at most inFlight at once.
func (a *App) connect(inFlight int) (*provider, error) {
	p := &provider{url: a.cfg.Periskope.BaseURL, saw: a.sawPhone}
	token := a.cfg.Periskope.Token
	if a.cfg.Mode == campaign.ModeSandbox {
		sim, err := a.embedSandbox()
		if err != nil {
			return nil, err
		}
		p.sim, p.url, token = sim, sim.BaseURL(), "sandbox"
	}
	client, err := periskope.New(periskope.Config{
		BaseURL: p.url, Token: token, MaxConns: inFlight, UserAgent: "herald/" + Version(),
		Timeout: a.tuning.callTimeout, Transport: a.tuning.transport,
	})
	if err != nil {
		return nil, errors.Join(&campaign.Error{
			Code: campaign.CodeInvalid, What: "connect to the API", Hint: "check periskope.base_url and the token", Err: err,
		}, p.close())
	}
	p.client, p.gateway = client, gateway.New(client, a.media, gateway.Config{})
	return p, nil
}

// embedSandbox runs the simulator inside this process. Its journal lies in the
// data directory, so that a second run still finds the messages of the first.
func (a *App) embedSandbox() (*sandbox.Server, error) {
	a.simKey = periskope.Token(rand.Text())
	config := sandbox.Config{
		Seed: a.cfg.Sandbox.Seed, Speed: a.cfg.Sandbox.Speed, AnyPhone: true,
		Journal: filepath.Join(a.dir, "sandbox.jsonl"), Logger: a.log,
		Webhooks: sandbox.Webhooks{Key: string(a.simKey)},
	}
	if a.tuning.sandbox != nil {
		a.tuning.sandbox(&config)
	}
	sim, err := sandbox.New(config)
	if err != nil {
		return nil, fmt.Errorf("start the sandbox: %w", err)
	}
	if err := sim.Start("127.0.0.1:0"); err != nil {
		return nil, errors.Join(fmt.Errorf("start the sandbox: %w", err), sim.Close())
	}
	return sim, nil
}

// checkSenders asks whether each sender can send, before anything is promised,
// and keeps what it is told of their phones.
func (p *provider) checkSenders(ctx context.Context, senders []campaign.Sender) error {
	for _, sender := range senders {
		err := p.gateway.Check(ctx, sender)
		disconnected, is := errors.AsType[*gateway.DisconnectedError](err)
		switch {
		case is:
			p.saw(ctx, sender, disconnected.State)
		case err == nil:
			p.saw(ctx, sender, gateway.PhoneConnected)
		}
		if err != nil {
			return fmt.Errorf("sender %s: %w", sender.Phone, err)
		}
	}
	return nil
}

// sawPhone keeps the state of a phone for whoever asks. Nothing else depends on
// it, so a full disk keeps nobody from sending.
func (a *App) sawPhone(ctx context.Context, sender campaign.Sender, state campaign.PhoneState) {
	if err := a.store.PutPhone(ctx, sender.ID, state, time.Time{}); err != nil {
		a.log.DebugContext(ctx, "state of the phone not kept", "sender", sender.ID, "err", err)
	}
}

func (p *provider) close() error {
	if p.client != nil {
		p.client.CloseIdleConnections()
	}
	if p.sim == nil {
		return nil
	}
	return p.sim.Close()
}
