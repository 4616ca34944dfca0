package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/herald-campaigns/herald/internal/app"
)

func (t *terminal) optOutsImport(load loader) *cobra.Command {
	var in app.OptOutImport
	command := &cobra.Command{
		Use:   "import FILE",
		Short: "Keep that everybody in a CSV or XLSX file must not be written to",
		Long: `Read people who must not be written to from a CSV or XLSX file, or from standard
input with -. It is read as a recipients file is (docs/csv.md). Columns: the
phone number (or chat_id, which export writes), and if you like reason and date;
--reason-column and --date-column name them where they are called otherwise.

Every row that can be read counts, whatever is wrong with the others. Those are
listed and put into optouts-rejects.csv in the data directory, to be mended and
imported; the exit code is 3 then. Importing a file again does no harm.`,
		Example: `  herald optouts import unsubscribed.csv --country IN
  herald optouts import list.csv --phone "Mobile no." --date-column Left --dry-run`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			in.File, in.Stdin = args[0], t.in
			read := func(o *app.OptOuts) error {
				r, err := o.Import(cmd.Context(), in)
				if r == nil {
					return err
				}
				if shown := t.imported(r, in); err == nil {
					err = shown
				}
				return err
			}
			if in.DryRun {
				return t.reading(cmd, load, func(a *app.App) error { return read(a.OptOuts()) })
			}
			return t.optOuts(cmd, load, true, read)
		},
	}
	flags := command.Flags()
	flags.StringVar(&in.Column, "phone", "", "the `column` with the numbers (default: found by its name)")
	flags.StringVar(&in.Reason, "reason-column", "", "the `column` with the reasons (default: reason)")
	flags.StringVar(&in.Date, "date-column", "", "the `column` with the dates (default: date)")
	flags.StringVar(&in.Country, "country", "", "`country` of numbers without a country code, such as IN")
	flags.BoolVar(&in.DryRun, "dry-run", false, "say what it would come to, and change nothing")
	return command
}

// imported says what an import came to.
func (t *terminal) imported(r *app.OptOutsImported, in app.OptOutImport) error {
	if t.json {
		if err := t.printJSON(r); err != nil {
			return err
		}
	} else {
		t.sayImported(r, in)
	}
	if !r.Clean() {
		return &exitError{exitInput}
	}
	return nil
}

func (t *terminal) sayImported(r *app.OptOutsImported, in app.OptOutImport) {
	t.say("%s: %s, numbers in column %q", r.File, r.Dialect, r.Column)
	t.unusedColumns(r)
	line := func(n int64, words string) {
		if n > 0 {
			t.say("%10s %s", comma(n), words)
		}
	}
	line(r.Rows, agreeWord(r.Rows, "row", "rows"))
	if r.DryRun {
		line(r.Added, agreeWord(r.Added, "person would be opted out", "people would be opted out"))
		line(r.Already, agreeWord(r.Already, "is already", "are already"))
	} else {
		line(r.Added, agreeWord(r.Added, "person is opted out now", "people are opted out now"))
		line(r.Already, agreeWord(r.Already, "was before", "were before"))
	}
	line(r.Repeated, agreeWord(r.Repeated, "stands higher up in the file, too", "stand higher up in the file, too"))
	line(r.Overruled, strings.TrimPrefix(overruled(r.Overruled), comma(r.Overruled)+" "))
	line(r.Bad, "bad, and left out")
	for _, group := range r.Problems {
		for i, p := range group.First {
			t.say("  %s: %s%s", p.Position(), quoted(p.Value), p.What)
			if i == len(group.First)-1 && p.Fix != "" {
				t.say("    fix: %s", p.Fix)
			}
		}
		more := ""
		if n := int64(len(group.First)); group.Count > n {
			more = fmt.Sprintf(", %s in all", comma(group.Count))
		}
		t.say("    (%s%s)", group.Code, more)
	}
	if r.DryRun {
		t.say("Nothing was changed.")
		return
	}
	t.effect(r.Skipped, r.Queued, r.Purging)
	if r.RejectsFile != nil {
		t.say("The bad rows are in %s. Mend them there and import that file:", *r.RejectsFile)
		t.say("  %s", t.next("optouts import", *r.RejectsFile)+importFlags(in))
	}
}

// unusedColumns says which columns nothing was read from, and how to name those
// that are looked for.
func (t *terminal) unusedColumns(r *app.OptOutsImported) {
	if len(r.Unused) == 0 {
		return
	}
	const most = 12
	var names []string
	for i, name := range r.Unused {
		if i == most {
			names = append(names, fmt.Sprintf("and %d more", len(r.Unused)-most))
			break
		}
		names = append(names, strconv.Quote(name))
	}
	var ways []string
	if r.Reason == "" {
		ways = append(ways, `reasons are read from "reason", or the column that --reason-column names`)
	}
	if r.Date == "" {
		ways = append(ways, `dates from "date", or the column that --date-column names`)
	}
	t.sayBelow("  ", "not used: "+strings.Join(append([]string{strings.Join(names, ", ")}, ways...), "; "))
}

// importFlags are the flags with which a file was read: its bad rows are read
// in the same way.
func importFlags(in app.OptOutImport) string {
	var words strings.Builder
	for _, flag := range []struct{ name, value string }{
		{"phone", in.Column}, {"reason-column", in.Reason}, {"date-column", in.Date}, {"country", in.Country},
	} {
		if flag.value != "" {
			words.WriteString(" --" + flag.name + " " + shellWord(flag.value))
		}
	}
	return words.String()
}

func (t *terminal) optOutsExport(load loader) *cobra.Command {
	var output string
	command := &cobra.Command{
		Use:   "export",
		Short: "Write the list as CSV, which import reads back",
		Long: `Write everybody who must not be written to as CSV: phone, date, reason, source,
campaign_id, chat_id. Numbers are whole: the file is for you. ` + "`herald optouts\nimport`" + ` reads it back exactly.`,
		Example: `  herald optouts export --output optouts.csv
  herald optouts export | wc -l`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return t.reading(cmd, load, func(a *app.App) error {
				if output == "" || output == "-" {
					_, err := a.OptOuts().Export(cmd.Context(), t.out)
					return err
				}
				n, err := a.OptOuts().ExportFile(cmd.Context(), output)
				if err == nil {
					t.say("%s written to %s.", agree(n, "person", "people"), output)
				}
				return err
			})
		},
	}
	command.Flags().StringVarP(&output, "output", "o", "", "`file` to write (default: standard output)")
	return command
}

func (t *terminal) optOutsReview(load loader) *cobra.Command {
	var optOut, keep, full bool
	command := &cobra.Command{
		Use:   "review [ID…]",
		Short: "Messages that may be meant as an opt-out; decide about them",
		Long: `List messages that sound like an opt-out and are none of the words for it, with
what they say. Look at them, and say for each whether it was meant so: with
--opt-out nobody writes to these people any more, with --keep they stay.`,
		Example: `  herald optouts review
  herald optouts review --opt-out 3EB0C431C26A1916E07E
  herald optouts review --keep 3EB0C431C26A1916E07A 3EB0C431C26A1916E07B`,
		RunE: func(cmd *cobra.Command, ids []string) error {
			switch {
			case optOut && keep:
				return &usageError{err: errors.New("--opt-out and --keep exclude each other"), hint: "decide about some first, then about the others"}
			case !optOut && !keep && len(ids) > 0:
				return &usageError{err: errors.New("what was meant with these messages?"), hint: "add --opt-out or --keep"}
			case (optOut || keep) && len(ids) == 0:
				return &usageError{err: errors.New("which messages?"), hint: "name them by their ids, which `herald optouts review` lists"}
			case len(ids) == 0:
				return t.reading(cmd, load, func(a *app.App) error {
					list, err := a.OptOuts().Reviews(cmd.Context())
					if err != nil {
						return err
					}
					return t.listReviews(list, full)
				})
			}
			return t.optOuts(cmd, load, false, func(o *app.OptOuts) error {
				d, err := o.Review(cmd.Context(), ids, optOut)
				if err != nil {
					return err
				}
				return t.reviewed(d, optOut)
			})
		},
	}
	flags := command.Flags()
	flags.BoolVar(&optOut, "opt-out", false, "these messages were meant as opt-outs")
	flags.BoolVar(&keep, "keep", false, "these messages were not meant so")
	flags.BoolVar(&full, "full", false, "show whole numbers")
	return command
}

// listReviews is aligned for a person and tab-separated for a program.
func (t *terminal) listReviews(list []app.ReviewView, full bool) error {
	if full {
		for i, v := range list {
			list[i] = v.Reveal()
		}
	}
	if t.json {
		return t.printJSON(list)
	}
	if len(list) == 0 {
		t.say("No message waits for a decision.")
		return nil
	}
	const format = "%s\t%s\t%s\t%s\t%s\n"
	if !isTerminal(t.out) {
		for _, v := range list {
			if _, err := fmt.Fprintf(t.out, format, v.ID, v.At.Format(time.RFC3339), v.Chat, v.Name, v.Line()); err != nil {
				return err
			}
		}
		return nil
	}
	aligned := tabwriter.NewWriter(t.out, 0, 0, 2, ' ', 0)
	t.write(aligned, format, "ID", "AT", "CHAT", "CAMPAIGN", "TEXT")
	for _, v := range list {
		t.write(aligned, format, v.ID, v.At.Local().Format(time.DateTime), v.Chat, v.Name, v.Line())
	}
	if err := aligned.Flush(); err != nil {
		return err
	}
	t.say("")
	t.say("Was it meant as an opt-out? For instance:")
	t.say("  %s", t.next("optouts review", list[0].ID)+" --opt-out")
	t.say("  %s", t.next("optouts review", list[0].ID)+" --keep")
	return nil
}

func (t *terminal) reviewed(d app.Decided, optOut bool) error {
	if t.json {
		return t.printJSON(d)
	}
	if !optOut {
		t.say("%s as no opt-out.", agree(d.Chats, "message counts", "messages count"))
		return nil
	}
	t.say("%s as an opt-out.", agree(d.Chats, "message counts", "messages count"))
	t.effect(d.Skipped, d.Queued, d.Purging)
	return nil
}

// jsonLine writes one line of JSON.
func jsonLine(w *bufio.Writer, v any) error {
	encoder := json.NewEncoder(io.Writer(w))
	encoder.SetEscapeHTML(false)
	return encoder.Encode(v)
}
