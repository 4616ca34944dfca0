package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/herald-campaigns/herald/internal/app"
)

func (t *terminal) sendersCommand(load loader) *cobra.Command {
	var check bool
	command := &cobra.Command{
		Use:   "senders",
		Short: "How the phones do that messages are sent from",
		Long: `Show every phone that a campaign of the data directory was sent from: whether it
is connected, the pace it keeps and how much of its caps is used, what came of
its messages in the last 24 hours, and what keeps it from sending now.

It works beside a run, which looks after the phones it sends from. --check asks
Periskope about all of them, and for the depth of its queues, when nothing else
uses the data directory.`,
		Example: `  herald senders
  herald senders --check
  herald senders --json | jq '.[].last_day.failure_rate'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if check {
				done, err := t.checkSenders(cmd, load)
				if done || err != nil {
					return err
				}
			}
			err := t.reading(cmd, load, func(a *app.App) error { return t.showSenders(cmd.Context(), a, false) })
			if app.ExitCode(err) != exitNotFound {
				return err
			}
			if t.json {
				return t.printJSON([]app.SenderView{})
			}
			return t.senderTable(nil)
		},
	}
	command.Flags().BoolVar(&check, "check", false, "ask Periskope about the phones and its queues now")
	return command
}

// checkSenders shows the senders as the provider sees them, unless another
// process looks after them.
func (t *terminal) checkSenders(cmd *cobra.Command, load loader) (done bool, err error) {
	cfg, err := load(cmd)
	if err != nil {
		return false, err
	}
	a, busy, err := app.OpenToCheck(cmd.Context(), cfg, t.logger(cfg))
	if err != nil {
		return false, err
	}
	if busy {
		t.say("Another herald uses %s and looks after the phones it sends from; this is what it has seen.", cfg.DataDir)
		return false, nil
	}
	return true, errors.Join(t.showSenders(cmd.Context(), a, true), a.Close())
}

func (t *terminal) showSenders(ctx context.Context, a *app.App, check bool) error {
	var depths map[app.SenderID]int64
	if check {
		var err error
		if depths, err = a.CheckSenders(ctx); err != nil {
			return err
		}
	}
	views, err := a.Senders(ctx, depths)
	if err != nil {
		return err
	}
	if t.json {
		return t.printJSON(views)
	}
	return t.senderTable(views)
}

// senderTable is aligned for a person, with a line below for what keeps a
// sender from sending, and tab-separated for a program.
func (t *terminal) senderTable(views []app.SenderView) error {
	const format = "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n"
	if len(views) == 0 {
		t.say("No campaign was sent from any phone yet.")
		return nil
	}
	if !isTerminal(t.out) {
		for _, v := range views {
			seen := ""
			if !v.Phone.Seen.IsZero() {
				seen = v.Phone.Seen.Format(time.RFC3339)
			}
			_, err := fmt.Fprintf(t.out, format, v.Sender, v.Phone.Word(), seen, rateOf(v), capUse(v.UsedHour, v.LeftHour), capUse(v.UsedDay, v.LeftDay),
				percent(v.LastDay.Failure), percent(v.LastDay.OptOut), depth(v.Queue), kept(v))
			if err != nil {
				return err
			}
		}
		return nil
	}
	aligned := tabwriter.NewWriter(t.out, 0, 0, 2, ' ', 0)
	t.write(aligned, format, "SENDER", "PHONE", "SEEN", "RATE", "LAST HOUR", "LAST DAY", "FAILED", "OPTED OUT", "QUEUE", "CAMPAIGNS")
	for _, v := range views {
		seen := "never"
		if !v.Phone.Seen.IsZero() {
			seen = long(time.Since(v.Phone.Seen)) + " ago"
		}
		t.write(aligned, format, v.Sender, v.Phone.Word(), seen, rateOf(v), capUse(v.UsedHour, v.LeftHour), capUse(v.UsedDay, v.LeftDay),
			percent(v.LastDay.Failure), percent(v.LastDay.OptOut), depth(v.Queue), campaignsOf(v))
	}
	if err := aligned.Flush(); err != nil {
		return err
	}
	for _, v := range views {
		if why := kept(v); why != "" {
			t.print("%s sends nothing now: %s\n", v.Sender, why)
		}
		if v.LastDay.Unknown > 0 {
			t.print("%s: of %s in the last 24 hours nobody knew at first what came of them\n", v.Sender, plural(v.LastDay.Unknown, "call"))
		}
	}
	return nil
}

// capUse is how much of a cap is used: "37 of 150", or "37" without one.
func capUse(used int64, left *int64) string {
	if left == nil {
		return comma(used)
	}
	return comma(used) + ", " + comma(*left) + " left"
}

func percent(share *float64) string {
	if share == nil {
		return "-"
	}
	return fmt.Sprintf("%.1f %%", *share*100)
}

func depth(n *int64) string {
	if n == nil {
		return "-"
	}
	return comma(*n)
}

func campaignsOf(v app.SenderView) string {
	words := make([]string, len(v.Campaigns))
	for i, c := range v.Campaigns {
		words[i] = fmt.Sprintf("%s (%s)", c.Name, c.State)
	}
	return strings.Join(words, ", ")
}

// kept says what keeps a sender from sending now; "" when nothing does.
func kept(v app.SenderView) string {
	var words []string
	for _, held := range v.Held {
		words = append(words, held.Word())
	}
	if !v.BlockedUntil.IsZero() {
		words = append(words, "Periskope asked to wait until "+v.BlockedUntil.Local().Format(time.TimeOnly))
	}
	if v.LeftHour != nil && *v.LeftHour == 0 {
		words = append(words, "its hourly cap is used up")
	}
	if v.LeftDay != nil && *v.LeftDay == 0 {
		words = append(words, "its daily cap is used up")
	}
	return strings.Join(words, "; ")
}

// rateOf is the pace a sender has; "-" while no campaign gives it one.
func rateOf(v app.SenderView) string { return cmp.Or(v.Pace.Rate.String(), "-") }
