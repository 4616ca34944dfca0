package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/herald-campaigns/herald/internal/app"
)

func (t *terminal) listenCommand(load loader) *cobra.Command {
	var o app.ListenOptions
	var format string
	var printSecret bool
	command := &cobra.Command{
		Use:   "listen",
		Short: "Print the notices of campaigns as they arrive (for development)",
		Long: `Be the other end of ` + "`notify`" + ` while you write your own: listen on this machine,
verify each notice with the secret of the data directory, print it (-->) and
pass it on as it came (<-- and the answer, which Herald gets too: what your
program refuses is delivered again).

Put the address it prints under notify.url of a campaign file. Numbers are
masked and texts left out in the lines for people; --format json has the whole
notice, one per line.`,
		Example: `  herald listen
  herald listen --addr 127.0.0.1:8486 --forward-to http://127.0.0.1:3000/herald
  herald listen --format json | jq .notice.data
  herald listen --print-secret`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if format != "text" && format != "json" {
				return &usageError{err: fmt.Errorf("--format %q is not possible", format), hint: "it is text or json"}
			}
			cfg, err := load(cmd)
			if err != nil {
				return err
			}
			if printSecret {
				secret, err := app.NoticeSecret(cfg)
				if err == nil {
					t.print("%s\n", secret)
				}
				return err
			}
			return t.listen(cmd.Context(), cfg, o, format == "json" || t.json)
		},
	}
	flags := command.Flags()
	flags.StringVar(&o.Listen, "addr", "127.0.0.1:0", "`address` to listen at; loopback only, port 0 is any free one")
	flags.StringVar(&o.Forward, "forward-to", "", "pass each notice on to this `URL`")
	flags.StringVar(&format, "format", "text", "`text` or json, which is one line for each notice and each answer")
	flags.BoolVar(&printSecret, "print-secret", false, "print the secret that notices are signed with, and end")
	return command
}

// listen prints what arrives until the context ends.
func (t *terminal) listen(ctx context.Context, cfg app.Config, o app.ListenOptions, asJSON bool) error {
	listener, err := app.StartListener(ctx, cfg, t.logger(cfg), o, func(event app.ListenEvent) {
		if !asJSON {
			t.print("%s\n", event)
			return
		}
		_ = t.printLine(event) // whoever read it is gone; the sender is answered all the same
	})
	if err != nil {
		return badFlag(err)
	}
	if asJSON {
		if err := t.printLine(map[string]string{"event": "listening", "url": listener.URL()}); err != nil {
			return err
		}
	}
	t.say("Listening at %s for the notices of %s. Ctrl-C ends it.", listener.URL(), cfg.DataDir)
	if o.Forward != "" {
		t.say("Each is passed on to %s.", o.Forward)
	}
	<-ctx.Done()
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	return listener.Close(ending)
}
