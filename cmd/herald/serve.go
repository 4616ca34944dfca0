package main

import (
	"context"
	"errors"
	"strings"

	"github.com/spf13/cobra"

	"github.com/herald-campaigns/herald/internal/app"
)

func (t *terminal) serveCommand(load loader) *cobra.Command {
	command := &cobra.Command{
		Use:   "serve",
		Short: "Stay and send: scheduled and running campaigns, webhooks",
		Long: `Run the engine as a service. It goes on with what was being sent, starts
scheduled campaigns when their time has come, follows every message to its end
and receives webhooks. Campaigns that are paused wait for ` + "`herald resume`" + `.

Other commands on the same data directory work through it: ` + "`herald run FILE`" + `
has it send the file, and may be left with Ctrl-C while it goes on. Ctrl-C here
stops it cleanly; the next one goes on where it stopped.

  POST /webhooks/periskope   deliveries of Periskope, signed
  GET  /livez, /readyz       for whoever watches over it`,
		Example: `  herald serve
  herald run campaign.yaml            # in another terminal
  herald pause "My first campaign"`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := load(cmd)
			if err != nil {
				return err
			}
			if err := app.NotServed(cmd.Context(), cfg, t.logger(cfg)); err != nil { // which the port in use would hide
				return err
			}
			if err := app.CanListen(cmd.Context(), cfg); err != nil { // before a data directory is made for nothing
				return err
			}
			a, err := app.Open(cmd.Context(), cfg, t.logger(cfg))
			if err != nil {
				return err
			}
			err = a.Serve(cmd.Context(), app.ServeOptions{Ready: t.serving, Stopping: t.stopping})
			return errors.Join(err, a.Close())
		},
	}
	return command
}

// serving says that the service is ready.
func (t *terminal) serving(info app.ServiceInfo) {
	if t.json {
		_ = t.printLine(info) // nobody is left to tell
		return
	}
	t.say("%s  serving %s at %s. Ctrl-C stops it.", strings.ToUpper(string(info.Mode)), info.DataDir, info.URL)
	if info.Campaigns > 0 {
		t.say("Going on with %s.", plural(int64(info.Campaigns), "campaign"))
	}
}

// stopping says why it may take a while until the prompt is back.
func (t *terminal) stopping() {
	if !t.json {
		t.say("Stopping: calls under way come to their end. The next `herald serve` goes on.")
	}
}

// through is what runs and manages campaigns: the service on the data directory
// if there is one, else this process.
type through interface {
	sender
	app.Manager
	decider
	retrier
}

// open finds the service that runs on the data directory, or opens it here.
func (t *terminal) open(ctx context.Context, cfg app.Config, here func(context.Context) (*app.App, error)) (through, error) {
	remote, err := app.Through(ctx, cfg, t.logger(cfg))
	if remote != nil || err != nil {
		return remote, err
	}
	a, err := here(ctx)
	if err != nil {
		return nil, err
	}
	return a, nil
}
