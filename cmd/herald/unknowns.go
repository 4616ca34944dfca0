package main

import (
	"context"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/herald-campaigns/herald/internal/app"
)

// unknownFlags are what unknowns needs to know to change something.
type unknownFlags struct {
	assumeSent bool
	resend     bool
	choice     app.UnknownChoice
	full       bool
	yes        bool
	dryRun     bool
}

func (t *terminal) unknownsCommand(load loader) *cobra.Command {
	var f unknownFlags
	command := &cobra.Command{
		Use:   "unknowns CAMPAIGN",
		Short: "Rows that may have been sent; say what became of them",
		Long: `List the rows of a campaign that may have been sent: the call was made, and
nothing has proved yet whether it was taken. While the campaign is run, Herald
looks for them in the provider's lists; after 24 hours without proof they are
unresolved, and it is for you to look into the chat.

Numbers are masked; --full shows them whole, to find the chats.

Is the message there, --assume-sent says so: it counts as dealt with and is
never sent again. Is it not, --resend puts it back among those that wait, and
running the file again sends it. Who got it already gets it twice then. Proof
that comes late settles a row whatever was said.

Listing works beside a run. --assume-sent and --resend need it stopped first
(Ctrl-C is safe); run the file again afterwards.`,
		Example: `  herald unknowns "My first campaign" --full
  herald unknowns "My first campaign" --assume-sent --row 2 --row 3
  herald unknowns "My first campaign" --resend --phone "+1 201 555 0163"
  herald unknowns "My first campaign" --assume-sent --all --dry-run`,
		Args: cobra.ArbitraryArgs, // a name without quotes is told what it needs
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := oneCampaign(args); err != nil {
				return err
			}
			if err := f.check(); err != nil {
				return err
			}
			if !f.assumeSent && !f.resend {
				return t.reading(cmd, load, func(a *app.App) error { return t.listUnknowns(cmd.Context(), a, args[0], f.full) })
			}
			return t.managed(cmd, load, app.ChangeUnknowns, args[0], func(with through, id string) error {
				return t.resolve(cmd.Context(), with, id, f)
			})
		},
	}
	flags := command.Flags()
	flags.BoolVar(&f.assumeSent, "assume-sent", false, "count these rows as sent; never send them again")
	flags.BoolVar(&f.resend, "resend", false, "send these rows again at the next run; who has it already gets it twice")
	flags.BoolVar(&f.choice.All, "all", false, "every row that nobody has decided about yet")
	flags.Var(numbers{of: "row", list: &f.choice.Rows}, "row", "the row of this `number` (repeatable)")
	flags.Var(numbers{of: "line", list: &f.choice.Lines}, "line", "the row at this `line` of the recipients file (repeatable)")
	flags.StringArrayVar(&f.choice.Phones, "phone", nil, "the row of this phone `number` or chat id (repeatable)")
	flags.BoolVar(&f.full, "full", false, "show whole numbers")
	flags.BoolVar(&f.yes, "yes", false, "do not ask (live mode asks for the number of rows)")
	flags.BoolVar(&f.dryRun, "dry-run", false, "say which rows it would be, and change nothing")
	return command
}

// decider notes what a person decides about unknown rows.
type decider interface {
	Unknowns(ctx context.Context, name string) (*app.Unknowns, error)
	Resolve(ctx context.Context, u *app.Unknowns, rows []app.UnknownView, decision app.Resolving, dryRun bool) (*app.Resolved, error)
}

func (t *terminal) listUnknowns(ctx context.Context, a *app.App, name string, full bool) error {
	u, err := a.Unknowns(ctx, name)
	if err != nil {
		return err
	}
	if full {
		u.Reveal()
	}
	if t.json {
		return t.printJSON(u)
	}
	if err := t.unknownTable(u.Rows); err != nil {
		return err
	}
	t.whatToDo(u)
	return nil
}

// unknownTable is aligned for a person and tab-separated for a program.
func (t *terminal) unknownTable(rows []app.UnknownView) error {
	const format = "%d\t%d\t%s\t%s\t%s\t%s\n"
	if !isTerminal(t.out) {
		for _, v := range rows {
			if _, err := fmt.Fprintf(t.out, format, v.Row, v.Line, v.Chat, v.Since.Format(time.RFC3339), v.State, v.Detail); err != nil {
				return err
			}
		}
		return nil
	}
	if len(rows) == 0 {
		return nil
	}
	aligned := tabwriter.NewWriter(t.out, 0, 0, 2, ' ', 0)
	t.write(aligned, "ROW\tLINE\tTO\tCALLED AT\tSTATE\tWHY\n")
	for _, v := range rows {
		t.write(aligned, format, v.Row, v.Line, v.Chat, v.Since.Local().Format(time.DateTime), v.Word(), v.Detail)
	}
	return aligned.Flush()
}

// whatToDo says what to do about each kind of unknown rows there is.
func (t *terminal) whatToDo(u *app.Unknowns) {
	if u.Total == 0 {
		t.say("No row of %s is unknown.", u.Name)
	}
	for _, kind := range u.Kinds() {
		t.say("")
		t.sayBelow("", fmt.Sprintf("%s %s: %s. What to do: %s.", plural(kind.Rows, "row"), kind.Word, kind.Meaning, kind.Advice))
	}
	switch {
	case u.Stranded() > 0:
		t.say("")
		t.stranded(u)
	case u.Searching > 0 && !u.InUse && !u.Canceled():
		t.say("")
		t.say("To have them looked for, run the same file again:")
		t.say("  %s", t.next("run", u.File()))
	}
	if row := u.FirstUnresolved(); row > 0 {
		t.say("")
		t.say("To decide about an unresolved one, once you have looked into the chat, for instance:")
		t.say("  %s --assume-sent --row %d", t.next("unknowns", string(u.CampaignID)), row)
	}
}

// stranded tells of calls that no list has yet.
func (t *terminal) stranded(u *app.Unknowns) {
	t.sayBelow("", plural(u.Stranded(), "more call")+" may have been under way when the last run ended. Running the file again adds them here:")
	t.say("  %s", t.next("run", u.File()))
}

func (t *terminal) resolve(ctx context.Context, a decider, name string, f unknownFlags) error {
	u, err := a.Unknowns(ctx, name)
	if err != nil {
		return err
	}
	if f.full {
		u.Reveal()
	}
	rows, err := u.Choose(f.choice)
	if err != nil {
		return badFlag(err)
	}
	decision := app.ResolveAssumeSent
	if f.resend {
		decision = app.ResolveResend
	}
	changes := decision.Changes(rows)
	t.stillSearched(changes)
	if len(changes) > 0 && !f.dryRun {
		if err := t.confirmDecision(ctx, u, changes, f); err != nil {
			return err
		}
	}
	result, err := a.Resolve(ctx, u, rows, decision, f.dryRun)
	if err != nil {
		return err
	}
	if t.json {
		return t.printJSON(result)
	}
	t.decided(u, changes, result, f)
	if f.dryRun {
		return t.unknownTable(changes)
	}
	return nil
}

// stillSearched says which decisions may be early: proof is better.
func (t *terminal) stillSearched(rows []app.UnknownView) {
	var n int64
	for _, v := range rows {
		if v.Searching() {
			n++
		}
	}
	if n > 0 {
		t.sayBelow("", fmt.Sprintf("%s of %s still being looked for: running the file may settle %s without a decision.",
			comma(n), agree(int64(len(rows)), "row is", "rows are"), agreeWord(n, "it", "them")))
	}
}

// confirmDecision asks before something is done that cannot be undone: a
// message sent twice, or one never sent.
func (t *terminal) confirmDecision(ctx context.Context, u *app.Unknowns, rows []app.UnknownView, f unknownFlags) error {
	n := int64(len(rows))
	if f.resend {
		t.sayBelow("", fmt.Sprintf("This sends %s again. Whoever has it already gets it twice: up to %s.", plural(n, "message"), agree(n, "person", "people")))
	} else {
		t.sayBelow("", fmt.Sprintf("This counts %s as sent. Whoever did not get it never will: up to %s.", plural(n, "message"), agree(n, "person", "people")))
	}
	if f.yes || !u.Live() {
		return nil
	}
	t.nameRows(rows)
	wanted := comma(n)
	question := "Type the number of rows to go on: "
	if f.resend { // the word, too: a number alone is typed too easily
		wanted = "resend " + wanted
		question = fmt.Sprintf("Type %q to go on: ", wanted)
	}
	if !t.interactive() {
		return app.Unconfirmed("this needs a confirmation, and nobody is at this terminal", "nothing was changed; add --yes")
	}
	t.write(t.err, "%s", question)
	answer, err := t.answer(ctx)
	if ctx.Err() != nil {
		t.say("")
		t.say("Nothing was changed.")
		return ctx.Err()
	}
	if plainWords(answer) != plainWords(wanted) || err != nil && answer == "" {
		return app.Unconfirmed("not confirmed", "nothing was changed; what was asked for is "+wanted)
	}
	return nil
}

// plainWords is what was typed without what does not matter.
func plainWords(text string) string {
	return strings.Join(strings.Fields(strings.ReplaceAll(strings.ToLower(text), ",", "")), " ")
}

// decided says what was done, about which rows, and what comes next.
func (t *terminal) decided(u *app.Unknowns, rows []app.UnknownView, r *app.Resolved, f unknownFlags) {
	switch {
	case r.DryRun:
		t.say("Nothing was changed. It would be %s:", plural(r.Rows, "row"))
	case r.Rows == 0:
		t.say("Nothing was changed.")
	case f.resend:
		t.say("%s again:", waits(r.Rows))
		t.nameRows(rows)
		if r.Sending {
			t.say("The service sends.")
			break
		}
		t.say("To send:")
		t.say("  %s", t.next("run", u.File()))
	default:
		t.say("%s as sent:", counts(r.Rows))
		t.nameRows(rows)
	}
	if r.Already > 0 {
		t.sayBelow("", fmt.Sprintf("%s assumed sent already and %s so; --resend sends %s again.",
			was(r.Already), agreeWord(r.Already, "stays", "stay"), agreeWord(r.Already, "it", "them")))
	}
	if r.Settled > 0 {
		t.say("%s settled meanwhile and left alone.", was(r.Settled))
	}
	if f.choice.All && len(rows) == 0 {
		t.say("%s", openLeft(u))
	}
	if u.Stranded() > 0 {
		t.stranded(u)
	}
}

// openLeft says why --all found nothing.
func openLeft(u *app.Unknowns) string {
	if u.AssumedSent > 0 {
		return fmt.Sprintf("There is nothing left to decide: %s assumed sent already. To send one again all the same, name it with --resend --row.", were(u.AssumedSent))
	}
	return fmt.Sprintf("No row of %s is listed as unknown.", u.Name)
}

func waits(n int64) string { return agree(n, "row waits", "rows wait") }

func counts(n int64) string { return agree(n, "row counts", "rows count") }

func was(n int64) string { return agree(n, "row was", "rows were") }

func were(n int64) string { return agree(n, "row is", "rows are") }

// agreeWord is the form that goes with a number, without it.
func agreeWord(n int64, one, more string) string {
	if n == 1 {
		return one
	}
	return more
}

// agree is a number with what follows it in the right form.
func agree(n int64, one, more string) string {
	if n == 1 {
		return "1 " + one
	}
	return comma(n) + " " + more
}
