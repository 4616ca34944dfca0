package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/herald-campaigns/herald/internal/app"
)

func (t *terminal) pauseCommand(load loader) *cobra.Command {
	return &cobra.Command{
		Use:   "pause CAMPAIGN",
		Short: "Stop sending a campaign until it is resumed",
		Long: `Pause a campaign that a service sends (` + "`herald serve`" + `). Nobody is lost: calls
under way come to their end, everybody else waits. What Periskope has taken and
not sent yet is in its queue, and still goes out: this says how many messages that
are. Only ` + "`herald cancel`" + ` takes them out of there. A campaign that ` + "`herald run`" + `
sends in another terminal is paused there, with p or Ctrl-C.`,
		Example: `  herald pause "My first campaign"
  herald resume "My first campaign"`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return t.managing(cmd, load, app.ChangePause, args[0], func(m app.Manager, id string) (app.CampaignView, error) {
				view, err := m.PauseCampaign(cmd.Context(), id)
				if n := view.InQueue(); err == nil && n > 0 {
					t.say("%s in Periskope's queue already, and still %s out; only `herald cancel` takes %s out of there.",
						agree(n, "message is", "messages are"), agreeWord(n, "goes", "go"), agreeWord(n, "it", "them"))
				}
				return view, err
			})
		},
	}
}

func (t *terminal) cancelCommand(load loader) *cobra.Command {
	var yes bool
	command := &cobra.Command{
		Use:   "cancel CAMPAIGN",
		Short: "End a campaign for good; what was not sent never is",
		Long: `Cancel a campaign: rows that wait are never sent, and it cannot go on. What is
in Periskope's queue is taken out of there, message by message; what has left it
may still arrive, and is followed. Asks for the number of rows that have not gone
out; scripts use --yes.`,
		Example: `  herald cancel "My first campaign"`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return t.managed(cmd, load, app.ChangeCancel, args[0], func(with through, id string) error {
				return t.cancel(cmd.Context(), with, id, yes)
			})
		},
	}
	command.Flags().BoolVar(&yes, "yes", false, "do not ask for the number of waiting rows")
	return command
}

func (t *terminal) cancel(ctx context.Context, with through, id string, yes bool) error {
	view, err := with.Campaign(ctx, id)
	if err != nil {
		return err
	}
	if n := view.Waiting() + view.InQueue(); !yes && n > 0 && !view.State.Over() {
		if err := t.confirmCount(ctx, n, "Type the number of rows that have not gone out, and then never will, to go on"); err != nil {
			return err
		}
	}
	view, canceled, err := with.CancelCampaign(ctx, string(view.ID))
	if err != nil {
		return err
	}
	t.canceled(canceled)
	return t.showStatus(view)
}

// canceled says what canceling came to. That the provider says of a message that
// it took it out of its queue is no proof.
func (t *terminal) canceled(c app.Canceled) {
	t.say("Canceled. %s will not be sent.", plural(c.Waiting, "waiting row"))
	if c.Unclear > 0 {
		t.say("%s went unanswered: Periskope may have taken %s. `herald serve` finds that out, and takes out what is in its queue.",
			plural(c.Unclear, "call"), agreeWord(c.Unclear, "the message", "the messages"))
	}
	left := c.Queued - c.TakenOut - c.GoneOut
	switch {
	case c.Queued == 0:
		return
	case c.Purging:
		t.say("%s in Periskope's queue; Herald takes %s out of there.", agree(c.Queued, "message is", "messages are"), agreeWord(c.Queued, "it", "them"))
		return
	}
	words := fmt.Sprintf("Of %s in Periskope's queue %s taken out", plural(c.Queued, "message"), agree(c.TakenOut, "was", "were"))
	if c.GoneOut > 0 {
		words += fmt.Sprintf(", %s had gone out", comma(c.GoneOut))
	}
	if left > 0 {
		words += fmt.Sprintf(", %s may still arrive", comma(left))
	}
	t.say("%s.", words)
	t.say("One that was on its way may arrive all the same: `herald serve`, or running any campaign here, finds that out.")
	if c.Trouble != nil {
		t.say("  %s", c.Trouble)
		t.say("  `herald serve` takes out what is still there.")
	}
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
func (t *terminal) managing(
	cmd *cobra.Command, load loader, change app.Change, name string, do func(m app.Manager, id string) (app.CampaignView, error),
) error {
	return t.managed(cmd, load, change, name, func(with through, id string) error {
		view, err := do(with, id)
		if err != nil {
			return err
		}
		return t.showStatus(view)
	})
}

// managed runs a command that changes the campaign of an id or a name, through the
// service or here.
func (t *terminal) managed(cmd *cobra.Command, load loader, change app.Change, name string, do func(with through, id string) error) error {
	cfg, err := load(cmd)
	if err != nil {
		return err
	}
	with, err := t.open(cmd.Context(), cfg, func(ctx context.Context) (*app.App, error) {
		a, err := app.OpenToDecide(ctx, cfg, t.logger(cfg))
		return a, change.Beside(err)
	})
	if err != nil {
		return err
	}
	id, err := with.ToChange(cmd.Context(), change, name)
	if err == nil {
		err = do(with, string(id))
	}
	return errors.Join(err, with.Close())
}
