package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/herald-campaigns/herald/internal/app"
)

func (t *terminal) reportCommand(load loader) *cobra.Command {
	var format, output string
	command := &cobra.Command{
		Use:   "report CAMPAIGN",
		Short: "The whole report; as text, JSON, or your own CSV back",
		Long: `Write the report of a campaign, in any state; it says whether it is provisional.

  text   for a terminal
  json   the same numbers for a program (docs/cli-json.md)
  csv    your own file back: same rows, same order, same columns, plus what
         became of each (docs/csv.md)

Exits with 1, and names the rows, if the books do not account for every row.`,
		Example: `  herald report "My first campaign"
  herald report "My first campaign" --format csv -o results.csv`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if t.json {
				format = "json"
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
	command.Flags().StringVar(&format, "format", "text", "text, json or csv")
	command.Flags().StringVarP(&output, "output", "o", "", "write to this `file` instead of standard output")
	return command
}

func (t *terminal) writeReport(ctx context.Context, a *app.App, view app.CampaignView, format string, w io.Writer) error {
	if format == "csv" {
		return a.ResultsCSV(ctx, w, view.ID, w != t.out)
	}
	r, err := a.Report(ctx, view.ID, false)
	if err != nil {
		return err
	}
	switch format {
	case "json":
		err = r.JSON(w)
	case "text":
		err = r.Text(w, t.width(w), w == t.out && t.color(w))
	default:
		return &usageError{err: fmt.Errorf("--format %s: it is text, json or csv", format)}
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
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(write(f), f.Close())
}
