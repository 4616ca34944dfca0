package main

import (
	"bufio"
	"errors"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

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
			// A folder that was named and is not there is a typing mistake.
			if dir := cmd.Flags().Lookup("data-dir"); dir.Changed && !app.IsFolder(dir.Value.String()) {
				return app.NoFolder(dir.Value.String())
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
	const format = "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n"
	w := bufio.NewWriter(t.out)
	var aligned *tabwriter.Writer
	if isTerminal(t.out) {
		aligned = tabwriter.NewWriter(t.out, 0, 0, 2, ' ', 0)
		w = bufio.NewWriter(aligned)
		t.write(w, format, "ID", "STATE", "ROWS", "WAITING", "SENT", "DELIVERED", "FAILED", "UNKNOWN", "NAME")
	}
	for _, v := range views {
		t.write(w, format, v.ID, stateWords(v), plain(v.Rows), plain(v.Waiting()), plain(v.AtLeastSent()), plain(v.AtLeastDelivered()),
			plain(v.FailedCount()), plain(v.UnknownCount()), v.Name)
	}
	if err := w.Flush(); err != nil || aligned == nil {
		return err
	}
	return aligned.Flush()
}

// stateWords is a campaign's state, and what more is to be known of it.
func stateWords(v app.CampaignView) string {
	more := ""
	switch {
	case v.HeldBack():
		more = "held back: restored copy"
	case v.Unattended():
		more = "nobody waits; was to start " + startsAt(v)
		if v.StartAt.After(time.Now()) {
			more = "nobody waits; starts " + startsAt(v)
		}
	case !v.StoppedAt.IsZero():
		more = "service stopped"
	case v.Interrupted:
		more = "interrupted"
	case v.Scheduled():
		more = "starts " + startsAt(v)
	case v.HeldAll():
		more = "held: " + v.Held[0].Word()
	case v.Reason != "":
		more = strings.ReplaceAll(string(v.Reason), "_", " ")
	default:
		return string(v.State)
	}
	return string(v.State) + " (" + more + ")"
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
	a.TellOfOthers(func(text string) { t.sayBelow("", text) })
	restored, err := a.RestoredCopy(cmd.Context())
	if err == nil && restored != "" {
		t.sayBelow("", restored+": nothing is sent until "+t.complete("`herald resume")+" --after-restore`")
	}
	return errors.Join(err, look(a), a.Close())
}
