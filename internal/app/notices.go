package app

import "github.com/herald-campaigns/herald/internal/notices"

// noticeSender delivers the notices of this data directory: Run it beside the
// engine, Poke it when something has changed, Drain it at the end of a run. In
// the sandbox it repeats as much faster as the simulator lives.
func (a *App) noticeSender() (*notices.Sender, error) {
	secret, err := notices.LoadSecret(a.dir)
	if err != nil {
		return nil, err
	}
	return notices.New(notices.Config{
		Outbox: a.store, Marks: a.store, Secret: secret, AllowPrivate: a.cfg.Notify.AllowPrivate, Speed: a.cfg.speed(), Logger: a.log,
	})
}
