package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/herald-campaigns/herald/internal/app"
)

func (t *terminal) previewCommand(load loader) *cobra.Command {
	var choice app.Choice
	var row int64
	var longest, shortest, blankest bool
	command := &cobra.Command{
		Use:   "preview FILE",
		Short: "Show one rendered message as WhatsApp would",
		Example: `  herald preview campaign.yaml                     the first row
  herald preview campaign.yaml --row 3
  herald preview campaign.yaml --phone +12015550142
  herald preview campaign.yaml --longest
  herald preview campaign.yaml --variant B         the first row that gets B
  herald preview campaign.yaml --row 3 --variant B  row 3, as B would be`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if _, err := load(cmd); err != nil {
				return err
			}
			if cmd.Flags().Changed("row") && row < 1 {
				return &usageError{err: errors.New("--row counts from 1")}
			}
			switch {
			case longest:
				choice.Extreme = "longest"
			case shortest:
				choice.Extreme = "shortest"
			case blankest:
				choice.Extreme = "blankest"
			case choice.Phone == "" && (choice.Variant == "" || cmd.Flags().Changed("row")):
				choice.Row = row
			}
			sample, err := app.Preview(cmd.Context(), args[0], t.in, choice)
			if err != nil {
				return err
			}
			if t.json {
				return t.printJSON(sample)
			}
			t.say("Row %d (line %d) to %s%s", sample.Row, sample.Line, sample.To, ofVariant(sample))
			if sample.HeldOut {
				t.say("This row is held out: it gets no message, to compare with.")
			}
			_, err = fmt.Fprintln(t.out, t.drawn(sample))
			return err
		},
	}
	flags := command.Flags()
	flags.Int64Var(&row, "row", 1, "the `n`th data row")
	flags.StringVar(&choice.Phone, "phone", "", "the row with this `number`")
	flags.StringVar(&choice.Variant, "variant", "", "the message of this variant (its `name`)")
	flags.BoolVar(&longest, "longest", false, "the longest message")
	flags.BoolVar(&shortest, "shortest", false, "the shortest message")
	flags.BoolVar(&blankest, "blankest", false, "the row with the most blank cells")
	command.MarkFlagsMutuallyExclusive("row", "phone", "longest", "shortest", "blankest")
	return command
}

// ofVariant names a sample's variant.
func ofVariant(s app.Sample) string {
	if s.Variant == "" {
		return ""
	}
	return ", variant " + s.Variant
}
