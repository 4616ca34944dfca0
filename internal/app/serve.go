package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
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
	// closeTimeout bounds how long requests under way may take at the end. One
	// that cancels a campaign waits for its calls under way, which take half a
	// minute at most.
	closeTimeout = 45 * time.Second
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
	ready := false
	defer func() {
		ctx := context.WithoutCancel(ctx)
		err = errors.Join(err, s.close(ctx))
		if ready {
			a.markStopped(ctx)
		}
	}()
	engine.run(context.WithoutCancel(ctx))

	local := newLocal(s)
	doors, err := a.openDoors(ctx, engine, local, a.cfg.Listen)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, doors.close(ctx)) }()
	withdraw, err := local.publish(doors.localURL())
	if err != nil {
		return fmt.Errorf("leave the address for commands: %w", err)
	}
	defer withdraw()
	if err := provider.deliverTo(ctx, doors.simulatorURL()); err != nil {
		return err
	}
	engine.answers.catchUp(ctx)
	if err := a.removeStopMark(); err != nil {
		a.log.DebugContext(ctx, "the mark of the last stop stays", "err", err)
	}
	taken, err := s.takeUp(ctx)
	if err != nil {
		return err
	}
	if o.Ready != nil {
		o.Ready(ServiceInfo{URL: doors.url(), Mode: a.cfg.Mode, DataDir: a.dir, Campaigns: taken, Webhooks: len(a.webhookKeys()) > 0})
	}
	ready = true
	s.keepReports(ctx)
	if o.Stopping != nil {
		o.Stopping()
	}
	a.log.InfoContext(ctx, "stopping", slog.Int("campaigns", s.count()))
	return nil
}

// NotServed refuses a data directory that has a service.
func NotServed(ctx context.Context, cfg Config, log *slog.Logger) error {
	there, err := Through(ctx, cfg, log)
	switch {
	case campaign.CodeOf(err) == campaign.CodeConflict:
		return err
	case err != nil || there == nil:
		// An address that cannot be read, or at which something else is, was left
		// by a service that is gone. Whether one is there, the lock knows.
		return ctx.Err()
	}
	url, _, _ := strings.Cut(there.at.URL, web.LocalPath)
	err = &campaign.Error{
		Code: campaign.CodeConflict, What: fmt.Sprintf("%s is served already, by pid %d at %s", cfg.DataDir, there.at.PID, url),
		Hint: "commands here work through it; another data directory needs another port too (HERALD_LISTEN)",
	}
	return errors.Join(err, there.Close()) //nolint:contextcheck // closing is never canceled
}

// CanListen says whether a service can listen at its address.
func CanListen(ctx context.Context, cfg Config) error {
	if _, err := web.Outside(cfg.Listen); err != nil {
		return err
	}
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
