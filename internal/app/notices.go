package app

import (
	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/internal/notices"
)

// noticeSender delivers the notices of this data directory: Run it beside the
// engine, Poke it when something has changed, Drain it at the end of a run. In
// the sandbox it repeats as much faster as the simulator lives.
func (a *App) noticeSender() (*notices.Sender, error) {
	secret, err := notices.LoadSecret(a.dir)
	if err != nil {
		return nil, err
	}
	config := notices.Config{
		Outbox: a.store, Marks: a.store, Secret: secret, AllowPrivate: a.cfg.Notify.AllowPrivate, Logger: a.log,
	}
	if a.cfg.Mode == campaign.ModeSandbox {
		config.Speed = a.cfg.Sandbox.Speed
	}
	return notices.New(config)
}
