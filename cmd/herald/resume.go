package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/herald-campaigns/herald/internal/app"
)

func (t *terminal) resumeCommand(load loader) *cobra.Command {
	var afterRestore, yes bool
	command := &cobra.Command{
		Use:   "resume CAMPAIGN | --after-restore",
		Short: "Let a paused campaign, or a restored copy, go on",
		Long: `With a campaign: let the service (` + "`herald serve`" + `) go on with it, whatever it was
paused for. Without a service, running its file again does the same.

With --after-restore: a data directory that was restored from a backup, or
copied, sends nothing. Whatever was sent after the copy was made still waits in
it, and would be sent again; campaigns and deltas that were begun later are not
in it at all. This command says so, says which campaigns wait and about how many
people may get a message twice, asks, and then lets them go on. Nothing is sent
by it: the campaigns stay paused until their files are run.`,
		Example: `  herald resume "My first campaign"
  herald resume --after-restore
  herald resume --after-restore --yes      # in a script`,
		Args: cobra.ArbitraryArgs, // whoever names a campaign or a folder is told what to do instead
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkResume(afterRestore, args); err != nil {
				return err
			}
			if !afterRestore {
				return t.managing(cmd, load, app.ChangeResume, args[0], func(m app.Manager, id string) (app.CampaignView, error) {
					view, err := m.ResumeCampaign(cmd.Context(), id)
					if err == nil && view.Scheduled() {
						t.say("Scheduled again: it starts %s.", startsAt(view))
					}
					return view, err
				})
			}
			cfg, err := load(cmd)
			if err != nil {
				return err
			}
			a, err := app.OpenRestored(cmd.Context(), cfg, t.logger(cfg))
			if err != nil {
				return err
			}
			return errors.Join(t.afterRestore(cmd.Context(), a, yes), a.Close())
		},
	}
	command.Flags().BoolVar(&afterRestore, "after-restore", false, "this data directory is a restored copy, and may send again")
	command.Flags().BoolVar(&yes, "yes", false, "do not ask for the number of waiting rows")
	return command
}

// checkResume refuses what would release another folder than the one in mind.
func checkResume(afterRestore bool, args []string) error {
	switch {
	case !afterRestore && len(args) != 1:
		return &usageError{
			err:  errors.New("resume needs the name of a campaign, or --after-restore for a restored data directory"),
			hint: "`herald campaigns` lists the campaigns; without a service, run the file again: `herald run FILE`",
		}
	case afterRestore && len(args) > 0:
		return &usageError{
			err:  fmt.Errorf("resume --after-restore takes no arguments, and got %q; nothing was changed", strings.Join(args, " ")),
			hint: "name the restored folder with --data-dir: `herald resume --after-restore --data-dir " + shellWord(args[0]) + "`",
		}
	}
	return nil
}

func (t *terminal) afterRestore(ctx context.Context, a *app.App, yes bool) error {
	r, err := a.Restored(ctx)
	if err != nil {
		return err
	}
	t.restored(r)
	if !yes {
		if err := t.confirmRestore(ctx, r); err != nil {
			return err
		}
	}
	if err := a.ConfirmRestored(ctx, r); err != nil {
		return err
	}
	if t.json {
		return t.printJSON(r)
	}
	if len(r.Campaigns) == 0 {
		t.say("Confirmed. Nothing was sent.")
		return nil
	}
	t.say("Confirmed. Nothing was sent; to go on:")
	for _, c := range r.Campaigns {
		t.say("  %s", t.next("run", c.File()))
	}
	return nil
}

// restored says what a restored copy holds back, and what would happen.
func (t *terminal) restored(r *app.Restored) {
	t.sayBelow("", fmt.Sprintf("%s is a restored copy: %s.", r.DataDir, r.Reason))
	since := "the copy was made"
	if !r.BackupAt.IsZero() {
		since = r.BackupAt.Local().Format("2006-01-02 15:04:05 MST")
		t.say("The backup was taken %s, %s ago.", since, long(time.Since(r.BackupAt)))
	}
	t.say("")
	for _, c := range r.Campaigns {
		t.say("  %s  %s waiting, about %s of them sent meanwhile at most", c.Name, plural(c.Waiting, "row"), comma(c.MayRepeat))
	}
	if len(r.Campaigns) == 0 {
		t.say("No row waits in this copy.")
	} else {
		t.say("")
		t.sayBelow("", "Rows that were sent after the copy was made are waiting in this copy, and would be sent again. "+
			"How many goes by the pace that the copy knows. Look in the Periskope console for the last message that went out before you go on; rows are sent in the order of the file.")
	}
	t.say("")
	t.sayBelow("", "Campaigns and deltas begun after "+since+" are not in this copy: "+
		"running their files would send to everybody in them again. Do not run those files.")
}

func (t *terminal) confirmRestore(ctx context.Context, r *app.Restored) error {
	if !t.interactive() {
		return app.Unconfirmed("a restored copy needs a confirmation, and nobody is at this terminal", "nothing was changed; add --yes")
	}
	t.write(t.err, "Type the number of rows that wait to go on (%s): ", comma(r.Waiting))
	answer, err := t.answer(ctx)
	if ctx.Err() != nil {
		t.say("")
		t.say("Nothing was changed.")
		return ctx.Err()
	}
	if plainWords(answer) != plainWords(comma(r.Waiting)) || err != nil && answer == "" {
		return app.Unconfirmed("not confirmed", "nothing was changed; the number asked for was "+comma(r.Waiting))
	}
	return nil
}
