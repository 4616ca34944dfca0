package app

import (
	"context"
	"errors"
	"net/http"

	"github.com/herald-campaigns/herald/web"
)

// innerAddress is where the inner door is, beside an outer one.
const innerAddress = "127.0.0.1:0"

// doors are where an engine answers: the outer one at the address that was
// asked for, and the inner one for this machine alone, with the control API and
// for the built-in simulator. They are the same as long as no other machine
// reaches the address.
type doors struct {
	outer, inner *web.Server
}

// openDoors listens at the address; local, which may be nil, is served at the
// inner door only. An address that other machines reach is refused unless there
// is a key that real deliveries are signed with; the simulator's own is none.
func (a *App) openDoors(ctx context.Context, e *engine, local http.Handler, address string) (doors, error) {
	outside, err := web.Outside(address)
	if err != nil {
		return doors{}, err
	}
	if !outside {
		server := web.New(a.endpoint(e, local))
		return doors{server, server}, server.Start(address) //nolint:contextcheck // it listens until it is closed
	}
	cfg := a.endpoint(e, nil)
	if !a.cfg.hasWebhookKey() {
		cfg.Verify = nil
	}
	d := doors{outer: web.New(cfg), inner: web.New(a.endpoint(e, local))}
	if err := d.outer.Start(address); err != nil { //nolint:contextcheck // it listens until it is closed
		return doors{}, err
	}
	if err := d.inner.Start(innerAddress); err != nil { //nolint:contextcheck // it listens until it is closed
		return doors{}, errors.Join(err, closeServer(ctx, d.outer))
	}
	return d, nil
}

// url is what the outer door is called with.
func (d doors) url() string { return "http://" + d.outer.Addr() }

// localURL is what commands of this machine call.
func (d doors) localURL() string { return "http://" + d.inner.Addr() + web.LocalPath + "v1/" }

// simulatorURL is where the built-in simulator delivers, which reaches nothing
// but this machine.
func (d doors) simulatorURL() string { return "http://" + d.inner.Addr() + web.WebhookPath }

// close answers what is under way, and closes both.
func (d doors) close(ctx context.Context) error {
	if d.inner == d.outer {
		return closeServer(ctx, d.outer)
	}
	return errors.Join(closeServer(ctx, d.outer), closeServer(ctx, d.inner))
}
