package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/herald-campaigns/herald/internal/app"
)

func (t *terminal) reportCommand(load loader) *cobra.Command {
	var format, output string
	command := &cobra.Command{
		Use:   "report CAMPAIGN",
		Short: "The whole report: text, HTML, XLSX, JSON, your own CSV back",
		Long: `Write the report of a campaign, in any state; it says whether it is provisional.

  text         for a terminal
  html         one file with charts, to forward and to print (docs/report.md)
  xlsx         a workbook: the numbers, and every row with what became of it
  json         the same numbers for a program (docs/cli-json.md)
  csv          your own file back: same rows, same order, same columns, plus what
               became of each (docs/csv.md)
  failed-csv   the rows that failed, to mend and import again
  replies-csv  every message people wrote back
  poll-csv     the votes, split by the columns the campaign names

Without --format the name of the file decides: .html, .xlsx, .json and .csv are
written as such, everything else as text.

Exits with 1, and names the rows, if the books do not account for every row.`,
		Example: `  herald report "My first campaign"
  herald report "My first campaign" -o report.html
  herald report "My first campaign" -o results.csv`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case t.json:
				format = "json"
			case !cmd.Flags().Changed("format"):
				format = formatOf(output)
			}
			// Before a file is opened: it would be emptied.
			if !slices.Contains(reportFormats(), format) {
				return &usageError{err: fmt.Errorf("--format %q is not possible", format), hint: "it is " + listed(reportFormats())}
			}
			return t.reading(cmd, load, func(a *app.App) error {
				view, err := a.Campaign(cmd.Context(), args[0])
				if err != nil {
					return err
				}
				return t.toOutput(output, func(w io.Writer) error {
					return t.writeReport(cmd.Context(), a, view, format, w)
				})
			})
		},
	}
	command.Flags().StringVar(&format, "format", "text", listed(reportFormats()))
	command.Flags().StringVarP(&output, "output", "o", "", "write to this `file` instead of standard output")
	return command
}

// formatOf is the format that the name of a file asks for.
func formatOf(path string) string {
	switch extension := strings.ToLower(filepath.Ext(path)); extension {
	case ".html", ".xlsx", ".json", ".csv":
		return extension[1:]
	case ".htm":
		return "html"
	default:
		return "text"
	}
}

func reportFormats() []string {
	return []string{"text", "html", "xlsx", "json", "csv", "failed-csv", "replies-csv", "poll-csv"}
}

// listed is "a, b or c".
func listed(words []string) string {
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

func (t *terminal) writeReport(ctx context.Context, a *app.App, view app.CampaignView, format string, w io.Writer) error {
	bom := w != t.out // a program that reads standard output wants none
	switch format {
	case "csv":
		return a.ResultsCSV(ctx, w, view.ID, bom)
	case "failed-csv":
		return a.FailedCSV(ctx, w, view.ID, bom)
	case "replies-csv":
		return a.RepliesCSV(ctx, w, view.ID, bom)
	}
	if format == "xlsx" && isTerminal(w) {
		return &usageError{err: errors.New("a workbook is nothing for a terminal: name a file with -o")}
	}
	r, err := a.Report(ctx, view.ID, false)
	if err != nil {
		return err
	}
	switch format {
	case "json":
		err = r.JSON(w)
	case "html":
		err = r.HTML(w)
	case "xlsx":
		err = a.Workbook(ctx, w, r)
	case "poll-csv":
		err = r.PollCSV(w, bom)
	default:
		err = r.Text(w, t.width(w), w == t.out && t.color(w))
	}
	if err == nil && !r.Balanced() {
		err = app.Unbalanced(view.ID)
	}
	return err
}

// toOutput lets write write to the file, or to standard output without one.
func (t *terminal) toOutput(path string, write func(io.Writer) error) error {
	if path == "" || path == "-" {
		return write(t.out)
	}
	f, err := app.CreateOutput(path)
	if err != nil {
		return err
	}
	return errors.Join(write(f), f.Close())
}
