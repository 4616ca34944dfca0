package main

import (
	"github.com/spf13/cobra"

	"github.com/herald-campaigns/herald/internal/app"
)

func (t *terminal) schemaCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON Schema of the campaign file, for editors",
		Long: `Print the JSON Schema of the campaign file. With it an editor completes keys
and marks mistakes; for editors that use the YAML language server, put this
line first in the campaign file:

  # yaml-language-server: $schema=campaign.schema.json`,
		Example: `  herald schema > campaign.schema.json`,
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := t.out.Write(app.Schema())
			return err
		},
	}
}
