package main

import (
	"bufio"
	"errors"
	"strconv"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/herald-campaigns/herald/internal/app"
)

func (t *terminal) campaignsCommand(load loader) *cobra.Command {
	return &cobra.Command{
		Use:   "campaigns",
		Short: "List the campaigns, the newest first",
		Example: `  herald campaigns
  herald campaigns --json | jq '.[0].balance'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			err := t.reading(cmd, load, func(a *app.App) error {
				views, err := a.Campaigns(cmd.Context())
				if err != nil {
					return err
				}
				if t.json {
					return t.printJSON(views)
				}
				return t.campaignTable(views)
			})
			if app.ExitCode(err) != exitNotFound {
				return err
			}
			// Nothing was ever sent from here: a list like any other, an empty one.
			if t.json {
				return t.printJSON([]app.CampaignView{})
			}
			return t.campaignTable(nil)
		},
	}
}

// campaignTable is aligned for a person and tab-separated for a program.
func (t *terminal) campaignTable(views []app.CampaignView) error {
	if len(views) == 0 {
		t.say("There are no campaigns yet: %s", t.complete("`herald run FILE` sends one."))
		return nil
	}
	const format = "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n"
	w := bufio.NewWriter(t.out)
	var aligned *tabwriter.Writer
	if isTerminal(t.out) {
		aligned = tabwriter.NewWriter(t.out, 0, 0, 2, ' ', 0)
		w = bufio.NewWriter(aligned)
		t.write(w, format, "ID", "STATE", "ROWS", "WAITING", "SENT", "DELIVERED", "MISSED", "NAME")
	}
	for _, v := range views {
		state := string(v.State)
		if v.Reason != "" {
			state += " (" + string(v.Reason) + ")"
		}
		switch {
		case v.Interrupted:
			state += " (interrupted)"
		case v.HeldAll():
			state += " (held: " + string(v.Held[0].Reason) + ")"
		}
		t.write(w, format, v.ID, state, plain(v.Rows), plain(v.Waiting()), plain(v.AtLeastSent()), plain(v.AtLeastDelivered()), plain(v.Missed()), v.Name)
	}
	if err := w.Flush(); err != nil || aligned == nil {
		return err
	}
	return aligned.Flush()
}

func plain(n int64) string { return strconv.FormatInt(n, 10) }

// reading runs a command that only looks at the data directory.
func (t *terminal) reading(cmd *cobra.Command, load loader, look func(*app.App) error) error {
	cfg, err := load(cmd)
	if err != nil {
		return err
	}
	a, err := app.OpenToRead(cmd.Context(), cfg, t.logger(cfg))
	if err != nil {
		return err
	}
	restored, err := a.RestoredCopy(cmd.Context())
	if err == nil && restored != "" {
		t.sayBelow("", restored+": nothing is sent until "+t.complete("`herald resume")+" --after-restore`")
	}
	return errors.Join(err, look(a), a.Close())
}
