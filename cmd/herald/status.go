package main

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/herald-campaigns/herald/internal/app"
)

func (t *terminal) statusCommand(load loader) *cobra.Command {
	var watch bool
	command := &cobra.Command{
		Use:   "status CAMPAIGN",
		Short: "Where a campaign stands, also while it is being sent",
		Long: `Say where a campaign stands. It only looks, so it works beside a run in another
terminal. A campaign is named by its id or its name.`,
		Example: `  herald status "My first campaign"
  herald status "My first campaign" --watch`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return t.reading(cmd, load, func(a *app.App) error {
				view, err := a.Campaign(cmd.Context(), args[0])
				if err != nil {
					return err
				}
				if err := t.showStatus(view); err != nil || !watch {
					return err
				}
				return t.watch(cmd.Context(), a, view)
			})
		},
	}
	command.Flags().BoolVar(&watch, "watch", false, "go on showing it until it is over")
	return command
}

// watch shows the campaign again whenever it has changed.
func (t *terminal) watch(ctx context.Context, a *app.App, view app.CampaignView) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	last := statusLine(view) + view.Why()
	for !view.State.Over() {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		var err error
		if view, err = a.Campaign(ctx, string(view.ID)); err != nil {
			return err
		}
		if line := statusLine(view) + view.Why(); line != last {
			last = line
			if err := t.showStatus(view); err != nil {
				return err
			}
		}
	}
	return nil
}

func (t *terminal) showStatus(v app.CampaignView) error {
	if t.json {
		return t.printLine(v)
	}
	if _, err := t.out.Write([]byte(statusLine(v) + "\n" + t.why(v))); err != nil {
		return err
	}
	if n := v.Unknown.Open(); n > 0 {
		t.say("%s: %s", agree(n, "row is unknown", "rows are unknown"), t.next("unknowns", v.Name))
	}
	return nil
}

// why is why the campaign does not go on, and the next step.
func (t *terminal) why(v app.CampaignView) string {
	if v.Why() == "" {
		return ""
	}
	why := t.below("  why:   ", v.Why())
	if v.Next() == "" {
		return why
	}
	return why + t.below("  next:  ", t.complete(v.Next()))
}

// below is text behind a prefix as it goes to standard output.
func (t *terminal) below(prefix, text string) string {
	width := 0
	if isTerminal(t.out) {
		width = t.width(t.out)
	}
	return hanging(prefix, text, width)
}

// heldWords is what keeps senders from sending, and since when.
func heldWords(v app.CampaignView) string {
	words := make([]string, len(v.Held))
	for i, held := range v.Held {
		words[i] = held.Word() + " since " + at(held.Since)
	}
	return strings.Join(words, ", ")
}

// startsAt is when a scheduled campaign starts, in this machine's zone.
func startsAt(v app.CampaignView) string {
	return at(v.StartAt) + " " + v.StartAt.Local().Format("MST")
}

// statusLine is a campaign in one line.
func statusLine(v app.CampaignView) string {
	state := string(v.State)
	if v.Reason != "" {
		state += ": " + strings.ReplaceAll(string(v.Reason), "_", " ")
	}
	switch {
	case v.HeldBack():
		state = "held back: this is a restored copy"
	case v.Unattended():
		state += ": nobody waits for its start"
	case !v.StoppedAt.IsZero():
		state = "stopped: nobody is sending"
	case v.Interrupted:
		state = "interrupted: nobody is sending"
	case v.Scheduled():
		state += ": starts " + startsAt(v)
	case v.HeldAll():
		state = "held: " + heldWords(v)
	case len(v.Held) > 0:
		state += ", some senders wait: " + heldWords(v)
	}
	words := []string{
		strings.ToUpper(string(v.Mode)), v.Name, state,
		comma(v.Rows) + " rows", comma(v.Waiting()) + " waiting", comma(v.AtLeastSent()) + " sent", comma(v.AtLeastDelivered()) + " delivered",
	}
	for _, count := range []struct {
		rows int64
		word string
	}{
		{v.OnTheWay(), "on the way"},
		{v.FailedCount(), "failed"},
		{v.UnknownCount(), "unknown"},
		{v.AssumedCount(), "assumed sent"},
		{v.SkippedCount(), "skipped"},
		{v.CanceledCount(), "canceled"},
	} {
		if count.rows > 0 {
			words = append(words, comma(count.rows)+" "+count.word)
		}
	}
	return strings.Join(words, "  ")
}
