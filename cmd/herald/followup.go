package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/herald-campaigns/herald/internal/app"
)

// followUpFlags say for whom a follow-up is, and where it is written.
type followUpFlags struct {
	where  string
	output string
	dryRun bool
}

func (t *terminal) followUpCommand(load loader) *cobra.Command {
	var f followUpFlags
	command := &cobra.Command{
		Use:   "followup CAMPAIGN --where EXPRESSION",
		Short: "Write a campaign file for those with a certain outcome",
		Long: `Count the recipients of a campaign with a certain outcome, and write a campaign
file for them: its message, senders and pace as a starting point, its recipients
narrowed by "only". Nothing is sent, and no file is overwritten. Change the
message, then check and run the file like any other.

The expression joins words by and, or, not and parentheses: accepted, sent,
delivered, read, failed, retryable, replied, voted, voted 'an option', opted
out, unknown, skipped, skipped 'a reason', canceled, waiting, variant 'a name',
holdout. Whoever has read a message has it delivered, too.

The recipients are taken from the campaign's own file if it is still there,
unchanged; else they are written beside the campaign file.`,
		Example: `  herald followup "Spring news" --where "delivered and not read"
  herald followup "Spring news" --where "sent and not replied" -o again.yaml
  herald followup "Spring news" --where replied --dry-run`,
		Args: cobra.ArbitraryArgs, // a name without quotes is told what it needs
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := oneCampaign(args); err != nil {
				return err
			}
			if f.where == "" {
				return &usageError{
					err: errors.New("which of its recipients?"), hint: `say it with --where, for instance --where "delivered and not read"`,
				}
			}
			return t.reading(cmd, load, func(a *app.App) error { return t.followUp(cmd.Context(), a, args[0], f) })
		},
	}
	flags := command.Flags()
	flags.StringVar(&f.where, "where", "", "what became of their message (an `expression`)")
	flags.StringVarP(&f.output, "output", "o", "", "the `file` to write (default: after the campaign's name, in the working directory)")
	flags.BoolVar(&f.dryRun, "dry-run", false, "only count")
	return command
}

func (t *terminal) followUp(ctx context.Context, a *app.App, name string, f followUpFlags) error {
	followUp, err := a.FollowUp(ctx, name, f.where)
	if err != nil {
		return badFlag(err)
	}
	t.say("%s of %s in %q: %s", plural(followUp.Recipients, "recipient"), plural(followUp.Of, "row"), followUp.Earlier, followUp.Where)
	if !f.dryRun {
		if err := a.WriteFollowUp(ctx, followUp, f.output); err != nil {
			return err
		}
	}
	if t.json {
		return t.printJSON(followUp)
	}
	if f.dryRun {
		t.say("Nothing was written.")
		return nil
	}
	if followUp.Exported {
		t.sayBelow("", "Wrote "+followUp.File+" and its recipients, "+followUp.RecipientsFile+
			": the file they came from is not what it was.")
	} else {
		t.say("Wrote %s; its recipients are in %s.", followUp.File, followUp.RecipientsFile)
	}
	t.say("Change the message in it, then:")
	t.say("  %s", t.next("check", followUp.File))
	t.say("  %s", t.next("run", followUp.File))
	return nil
}
