package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/herald-campaigns/herald/internal/app"
)

func (t *terminal) checkCommand(load loader) *cobra.Command {
	var skipInvalid bool
	command := &cobra.Command{
		Use:   "check FILE",
		Short: "Read and render every row; send nothing, change nothing",
		Long: `Read the campaign file and every row of its recipients, render every message,
and say what a run would do: who would get one, who would not and why, what the
first messages look like, and how long it would take. Nothing is sent and
nothing is changed. Exits with 3 if the campaign could not run.`,
		Example: `  herald check campaign.yaml
  herald check campaign.yaml --json | jq .recipients`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := load(cmd)
			if err != nil {
				return err
			}
			checked, err := app.Check(cmd.Context(), cfg, args[0], t.in, skipInvalid)
			if err != nil {
				return err
			}
			if t.json {
				if err := t.printJSON(checked); err != nil {
					return err
				}
				return checked.Err()
			}
			t.checked(checked)
			return checked.Err()
		},
	}
	command.Flags().BoolVar(&skipInvalid, "skip-invalid", false, "accept more than 5 % bad rows")
	return command
}

// checked prints what a check found, the parts in the order one asks for them.
func (t *terminal) checked(c *app.Checked) {
	r := c.Recipients
	t.print("%s  %s (%s message)\n\n", strings.ToUpper(string(c.Mode)), c.Name, c.Kind)
	t.print("%s: %s, addresses in column %q%s\n", r.File, r.Dialect, r.AddressColumn, guessed(r.Guessed))
	get := "will get a message"
	if c.Existing != nil { // some have it
		get = "get a message in all"
	}
	t.print("%10s rows\n%10s %s\n", comma(r.Rows), comma(r.Sendable), get)
	for _, v := range c.Variants {
		t.print("%10s   of them variant %s (weight %d, %s)\n", comma(v.Rows), v.Name, v.Weight, v.Kind)
	}
	t.leftOut(c)
	for _, group := range c.Problems {
		t.print("%10s %s\n", comma(group.Count), skippedRows(group))
		for _, p := range group.First[1:] {
			t.print("           also line %d: %s%s\n", p.Line, quoted(p.Value), p.What)
		}
	}
	if len(c.Variables) > 0 {
		t.print("\nColumns used:\n")
		for _, v := range c.Variables {
			t.print("  %-24s %s\n", v.Name, blanks(v))
		}
	}
	for _, w := range c.Warnings {
		t.print("\nwarning: %s: %s (%s)\n", w.Field, w.What, w.Code)
		if w.Fix != "" {
			t.print("  fix: %s\n", w.Fix)
		}
	}
	for i, sample := range c.Samples {
		t.print("\nMessage %d, line %d, to %s%s\n%s\n", i+1, sample.Line, sample.To, ofVariant(sample), t.drawn(sample))
	}
	t.print("\n")
	for _, sender := range c.Senders {
		t.print("From %s at %s\n", sender.Sender, pace(sender))
	}
	if c.Plan.Messages > 0 && c.OK {
		t.print("Would send %s in about %s\n", plural(c.Plan.Messages, "message"), course(c.Plan))
	}
	if e := c.Existing; e != nil {
		t.print("\nThe data folder has this campaign: %s, %s, %s still to send.\n", e.ID, e.State, plural(e.ToSend, "message"))
	}
	switch e := c.Existing; {
	case !c.OK:
		t.print("\n")
	case e != nil && e.ToSend == 0:
		t.print("\nNothing is left to send. What became of it: %s\n", t.next("status", c.Name))
	case e != nil:
		t.print("\nNothing was sent now. To send the rest: %s\n", t.next("run", c.File))
	default:
		t.print("\nNothing was sent. To send: %s\n", t.next("run", c.File))
	}
}

// leftOut prints who gets no message although nothing is wrong with the row.
func (t *terminal) leftOut(c *app.Checked) {
	left := app.LeftOutOf(c.Skipped)
	if left.HeldOut > 0 || c.Holdout > 0 {
		t.print("%10s held out: they get no message, to compare with (%.4g %% asked for)\n", comma(left.HeldOut), 100*c.Holdout)
	}
	if left.OptedOut > 0 {
		t.print("%10s opted out: they get no message\n", comma(left.OptedOut))
	}
	if o := c.Only; o != nil {
		t.print("%10s left out: not among the %s of %q (%s) with %q\n",
			comma(o.Excluded), plural(o.There, "recipient"), o.Name, o.CampaignID, o.Where)
	}
}

// drawn is a message about as WhatsApp shows it.
func (t *terminal) drawn(s app.Sample) string {
	return strings.TrimRight(s.Terminal(t.width(t.out), t.color(t.out)), "\n")
}

func guessed(is bool) string {
	if is {
		return " (guessed from its name; recipients.phone sets it)"
	}
	return ""
}

func quoted(value string) string {
	if value == "" {
		return ""
	}
	return fmt.Sprintf("%q: ", value)
}

func blanks(v app.VariableUse) string {
	switch {
	case v.Blank == 0:
		return "filled in every row"
	case v.Gap:
		return fmt.Sprintf("blank in %s, and leaves a gap there (add a default)", plural(v.Blank, "row"))
	default:
		return fmt.Sprintf("blank in %s: its default stands there", plural(v.Blank, "row"))
	}
}

// pace is a sender's pace in words.
func pace(s app.SenderPace) string {
	words := []string{s.Pace.Rate.String()}
	if s.Pace.Jitter > 0 {
		words = append(words, fmt.Sprintf("gaps spread by %.0f %%", s.Pace.Jitter*100))
	}
	if s.Pace.Hourly > 0 {
		words = append(words, fmt.Sprintf("at most %s an hour", comma(int64(s.Pace.Hourly))))
	}
	if s.Pace.Daily > 0 {
		words = append(words, fmt.Sprintf("at most %s a day", comma(int64(s.Pace.Daily))))
	}
	if s.Pace.InFlight > 1 {
		words = append(words, fmt.Sprintf("%d calls at once", s.Pace.InFlight))
	}
	return strings.Join(words, ", ")
}
