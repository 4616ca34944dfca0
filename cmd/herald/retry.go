package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/herald-campaigns/herald/internal/app"
)

func (t *terminal) retryCommand(load loader) *cobra.Command {
	var yes, dryRun bool
	command := &cobra.Command{
		Use:   "retry CAMPAIGN",
		Short: "Send the failures again that may pass now",
		Long: `Put the failed rows of a campaign back among those that wait, if trying again can
help: the phone was disconnected, the provider was overloaded. Running the file
again sends them. Numbers without WhatsApp and other failures for good are left
alone, and so is every row whose outcome is unknown: it may have been sent
(herald unknowns).

The rows are counted first, by reason. Proof that comes late settles a row
whatever was decided.

Counting with --dry-run works beside a run. Retrying needs it stopped first
(Ctrl-C is safe); a service (herald serve) sends the rows by itself.`,
		Example: `  herald retry "Spring news" --dry-run
  herald retry "Spring news"`,
		Args: cobra.ArbitraryArgs, // a name without quotes is told what it needs
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := oneCampaign(args); err != nil {
				return err
			}
			if dryRun {
				return t.reading(cmd, load, func(a *app.App) error { return t.retry(cmd.Context(), a, args[0], true, false) })
			}
			return t.managed(cmd, load, app.ChangeRetry, args[0], func(with through, id string) error {
				return t.retry(cmd.Context(), with, id, false, yes)
			})
		},
	}
	command.Flags().BoolVar(&yes, "yes", false, "do not ask (live mode asks for the number of rows)")
	command.Flags().BoolVar(&dryRun, "dry-run", false, "only count")
	return command
}

// retrier puts failed rows back.
type retrier interface {
	Retryable(ctx context.Context, idOrName string) (*app.Retry, error)
	Retry(ctx context.Context, r *app.Retry) error
}

func (t *terminal) retry(ctx context.Context, a retrier, name string, dryRun, yes bool) error {
	r, err := a.Retryable(ctx, name)
	if err != nil {
		return err
	}
	r.DryRun = dryRun
	t.retryable(r)
	if r.Rows > 0 && !dryRun {
		if err := t.confirmRetry(ctx, r, yes); err != nil {
			return err
		}
		if err := a.Retry(ctx, r); err != nil {
			return err
		}
	}
	if t.json {
		return t.printJSON(r)
	}
	if r.Retried == 0 {
		t.say("Nothing was changed.")
		return nil
	}
	if r.Sending {
		t.say("%s again; the service sends.", waits(r.Retried))
		return nil
	}
	if r.Paused() {
		t.say("%s again. The campaign is paused, and stays so; to go on with all of it:", waits(r.Retried))
		t.say("  %s", t.next("resume", r.Name))
		return nil
	}
	t.say("%s again. To send:", waits(r.Retried))
	t.say("  %s", t.next("run", r.File()))
	return nil
}

// retryable says what there is to retry.
func (t *terminal) retryable(r *app.Retry) {
	if r.Rows == 0 {
		t.say("No failed row of %s can be retried (%s failed).", r.Name, comma(r.Failed))
		return
	}
	t.say("%s of %s failed and can be retried (%s failed in all):", plural(r.Rows, "row"), r.Name, comma(r.Failed))
	for _, reason := range r.Reasons {
		t.say("%10s  %s", comma(reason.Rows), reason.Why)
	}
}

// confirmRetry asks before people are written to.
func (t *terminal) confirmRetry(ctx context.Context, r *app.Retry, yes bool) error {
	if yes || !r.Live() {
		return nil
	}
	if !t.interactive() {
		return app.Unconfirmed("this needs a confirmation, and nobody is at this terminal", "nothing was changed; add --yes")
	}
	t.write(t.err, "Type the number of rows to go on: ")
	answer, err := t.answer(ctx)
	if ctx.Err() != nil {
		t.say("")
		t.say("Nothing was changed.")
		return ctx.Err()
	}
	if wanted := comma(r.Rows); plainWords(answer) != plainWords(wanted) || err != nil && answer == "" {
		return app.Unconfirmed("not confirmed", "nothing was changed; what was asked for is "+wanted)
	}
	return nil
}
