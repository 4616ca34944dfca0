package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/web"
)

// ServeOptions say how a service runs.
type ServeOptions struct {
	// Ready is told once, when everything works; may be nil.
	Ready func(ServiceInfo)
}

// ServiceInfo is what a service says when it is ready (docs/cli-json.md).
type ServiceInfo struct {
	URL       string        `json:"url"`
	Mode      campaign.Mode `json:"mode"`
	DataDir   string        `json:"data_dir"`
	Campaigns int           `json:"campaigns"` // taken up from the last time
	Webhooks  string        `json:"webhooks,omitempty"`
}

const (
	// serviceInFlight is how many calls all senders of a service may have under
	// way at once.
	serviceInFlight = 512
	// closeTimeout bounds how long requests under way may take at the end.
	closeTimeout = 10 * time.Second
)

// Serve runs a service until ctx ends, and drains it then: calls under way come
// to their end, what they came to is written, and the campaigns stay in their
// states for the next time.
func (a *App) Serve(ctx context.Context, o ServeOptions) (err error) {
	provider, err := a.connect(serviceInFlight + pollersInFlight) //nolint:contextcheck // the simulator listens until it is closed
	if err != nil {
		return err
	}
	defer func() { _ = provider.close() }() // the journal of a simulator; the ledger has all that counts
	engine, err := a.startEngine(ctx, provider)
	if err != nil {
		return err
	}
	s := &Service{app: a, provider: provider, engine: engine, sendings: map[campaign.ID]*sending{}}
	// Draining must not be cut short by the very signal that asked for it.
	defer func() { err = errors.Join(err, s.close(context.WithoutCancel(ctx))) }()
	engine.run(context.WithoutCancel(ctx))

	local := newLocal(s)
	server := web.New(a.webConfig(engine, local))
	if err := server.Start(a.cfg.Listen); err != nil { //nolint:contextcheck // it listens until it is closed
		return err
	}
	defer func() { err = errors.Join(err, closeServer(ctx, server)) }()
	withdraw, err := local.publish("http://" + server.Addr() + web.LocalPath + "v1/")
	if err != nil {
		return fmt.Errorf("leave the address for commands: %w", err)
	}
	defer withdraw()
	taken, err := s.takeUp(ctx)
	if err != nil {
		return err
	}
	if o.Ready != nil {
		o.Ready(ServiceInfo{URL: "http://" + server.Addr(), Mode: a.cfg.Mode, DataDir: a.dir, Campaigns: taken})
	}
	<-ctx.Done()
	a.log.InfoContext(ctx, "stopping", slog.Int("campaigns", s.count()))
	return nil
}

// webConfig is what the HTTP side works with.
func (a *App) webConfig(e *engine, local *local) web.Config {
	return web.Config{
		Local: local, Logger: a.log,
		Checks: map[string]func(context.Context) error{
			"ledger": func(ctx context.Context) error { _, err := a.store.Campaigns(ctx); return err },
			"stream": e.conn.Healthy,
			"disk": func(context.Context) error {
				if detail, full := e.disk.fullness(); full {
					return errors.New(detail)
				}
				return nil
			},
		},
	}
}

func closeServer(ctx context.Context, server *web.Server) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	return server.Close(ctx)
}
