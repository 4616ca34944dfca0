package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/web"
)

// ServeOptions say how a service runs.
type ServeOptions struct {
	// Ready is told once, when everything works; may be nil.
	Ready func(ServiceInfo)
	// Stopping is told when ctx has ended; may be nil.
	Stopping func()
}

// ServiceInfo is what a service says when it is ready (docs/cli-json.md).
type ServiceInfo struct {
	URL       string        `json:"url"`
	Mode      campaign.Mode `json:"mode"`
	DataDir   string        `json:"data_dir"`
	Campaigns int           `json:"campaigns"` // taken up from the last time
	Webhooks  bool          `json:"webhooks"`  // there is a key to verify them with
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
	server := web.New(a.endpoint(engine, local))
	if err := server.Start(a.cfg.Listen); err != nil { //nolint:contextcheck // it listens until it is closed
		return err
	}
	defer func() { err = errors.Join(err, closeServer(ctx, server)) }()
	withdraw, err := local.publish("http://" + server.Addr() + web.LocalPath + "v1/")
	if err != nil {
		return fmt.Errorf("leave the address for commands: %w", err)
	}
	defer withdraw()
	if err := provider.deliverTo(ctx, "http://"+server.Addr()+web.WebhookPath); err != nil {
		return err
	}
	engine.answers.catchUp(ctx)
	taken, err := s.takeUp(ctx)
	if err != nil {
		return err
	}
	if o.Ready != nil {
		o.Ready(ServiceInfo{URL: "http://" + server.Addr(), Mode: a.cfg.Mode, DataDir: a.dir, Campaigns: taken, Webhooks: len(a.webhookKeys()) > 0})
	}
	s.keepReports(ctx)
	if o.Stopping != nil {
		o.Stopping()
	}
	a.log.InfoContext(ctx, "stopping", slog.Int("campaigns", s.count()))
	return nil
}

// CanListen says whether a service can listen at its address.
func CanListen(ctx context.Context, cfg Config) error {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", cfg.Listen)
	if err != nil {
		return &campaign.Error{
			Code: campaign.CodeUnavailable, What: "listen at " + cfg.Listen,
			Hint: "another process, perhaps another service, may have the port; HERALD_LISTEN names another one, port 0 takes any that is free", Err: err,
		}
	}
	return listener.Close()
}

func closeServer(ctx context.Context, server *web.Server) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	return server.Close(ctx)
}
