package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/herald-campaigns/herald/internal/app"
)

func (t *terminal) recipientsCommand(load loader) *cobra.Command {
	var filter app.RecipientFilter
	var full bool
	command := &cobra.Command{
		Use:   "recipients CAMPAIGN",
		Short: "What became of each row",
		Long: `List the rows of a campaign with what became of each: row, line in the file,
number, status, why. Numbers are masked unless --full; --json has them whole,
one object a line.`,
		Example: `  herald recipients "My first campaign" --status failed
  herald recipients "My first campaign" --json | jq .chat_id`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return t.reading(cmd, load, func(a *app.App) error {
				view, err := a.Campaign(cmd.Context(), args[0])
				if err != nil {
					return err
				}
				rows, err := a.Recipients(cmd.Context(), view.ID, filter)
				if err != nil {
					return badFlag(err)
				}
				for row, err := range rows {
					if err != nil {
						return err
					}
					if err := t.recipient(row, full); err != nil {
						return err
					}
				}
				return nil
			})
		},
	}
	flags := command.Flags()
	flags.StringSliceVar(&filter.Statuses, "status", nil, "only rows with this `status` (waiting, sent, failed, …; repeatable)")
	flags.Int64Var(&filter.After, "after", 0, "only rows after this `row`")
	flags.IntVar(&filter.Limit, "limit", 0, "at most `n` rows")
	flags.BoolVar(&full, "full", false, "show whole numbers")
	return command
}

func (t *terminal) recipient(row app.RecipientView, full bool) error {
	if t.json {
		return t.printLine(row)
	}
	chat := row.Masked()
	if full {
		chat = row.Chat
	}
	format := "%d\t%d\t%s\t%s\t%s\n"
	if isTerminal(t.out) {
		format = "%7d  line %-7d %-24s %-12s %s\n"
	}
	_, err := fmt.Fprintf(t.out, format, row.Row, row.Line, chat, row.Word(), row.Why())
	return err
}
