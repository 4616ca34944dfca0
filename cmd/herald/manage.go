package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/herald-campaigns/herald/internal/app"
)

func (t *terminal) pauseCommand(load loader) *cobra.Command {
	return &cobra.Command{
		Use:   "pause CAMPAIGN",
		Short: "Stop sending a campaign until it is resumed",
		Long: `Pause a campaign that a service sends (` + "`herald serve`" + `). Nobody is lost: calls
under way come to their end, everybody else waits. A campaign that ` + "`herald run`" + `
sends in another terminal is paused there, with p or Ctrl-C.`,
		Example: `  herald pause "My first campaign"
  herald resume "My first campaign"`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return t.managing(cmd, load, func(m app.Manager) (app.CampaignView, error) {
				return m.PauseCampaign(cmd.Context(), args[0])
			})
		},
	}
}

func (t *terminal) cancelCommand(load loader) *cobra.Command {
	var yes bool
	command := &cobra.Command{
		Use:   "cancel CAMPAIGN",
		Short: "End a campaign for good; what was not sent never is",
		Long: `Cancel a campaign: rows that wait are never sent, and it cannot go on. What
Periskope took already may still arrive, and is followed. Asks for the number of
rows that wait; scripts use --yes.`,
		Example: `  herald cancel "My first campaign"`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return t.managed(cmd, load, func(with through) error { return t.cancel(cmd.Context(), with, args[0], yes) })
		},
	}
	command.Flags().BoolVar(&yes, "yes", false, "do not ask for the number of waiting rows")
	return command
}

func (t *terminal) cancel(ctx context.Context, with through, name string, yes bool) error {
	view, err := with.Campaign(ctx, name)
	if err != nil {
		return err
	}
	if !yes && view.Waiting() > 0 && !view.State.Over() {
		if err := t.confirmCount(ctx, view.Waiting(), "Type the number of rows that wait, and will never be sent, to go on"); err != nil {
			return err
		}
	}
	view, canceled, err := with.CancelCampaign(ctx, string(view.ID))
	if err != nil {
		return err
	}
	t.say("Canceled. %s will not be sent.", plural(canceled, "row"))
	return t.showStatus(view)
}

// confirmCount asks a person for a number, as a question that cannot be
// answered without reading it.
func (t *terminal) confirmCount(ctx context.Context, n int64, question string) error {
	if !t.interactive() {
		return app.Unconfirmed("this needs a confirmation, and nobody is at this terminal", "nothing was changed; add --yes")
	}
	t.write(t.err, "%s (%s): ", question, comma(n))
	answer, err := t.answer(ctx)
	if ctx.Err() != nil {
		t.say("")
		t.say("Nothing was changed.")
		return ctx.Err()
	}
	if plainWords(answer) != plainWords(comma(n)) || err != nil && answer == "" {
		return app.Unconfirmed("not confirmed", "nothing was changed; the number asked for was "+comma(n))
	}
	return nil
}

// managing runs a command that changes one campaign, and shows where it stands
// then.
func (t *terminal) managing(cmd *cobra.Command, load loader, do func(app.Manager) (app.CampaignView, error)) error {
	return t.managed(cmd, load, func(with through) error {
		view, err := do(with)
		if err != nil {
			return err
		}
		return t.showStatus(view)
	})
}

// managed runs a command that works through the service, or here.
func (t *terminal) managed(cmd *cobra.Command, load loader, do func(through) error) error {
	cfg, err := load(cmd)
	if err != nil {
		return err
	}
	with, err := t.open(cmd.Context(), cfg, func(ctx context.Context) (*app.App, error) {
		return app.OpenToDecide(ctx, cfg, t.logger(cfg))
	})
	if err != nil {
		return err
	}
	return errors.Join(do(with), with.Close())
}
