package main

import (
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/herald-campaigns/herald/internal/app"
)

func (t *terminal) initCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "init [FOLDER]",
		Short: "Write a campaign file and what it needs, to start from",
		Long: `Write three commented files to start from: campaign.yaml, recipients.csv and
herald.yaml. A file that exists already is left as it is.`,
		Example: `  herald init
  herald init offer     # into a folder of its own`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			dir := "."
			if len(args) == 1 {
				dir = args[0]
			}
			written, kept, err := app.WriteStarter(dir)
			if err != nil {
				return err
			}
			if t.json {
				return t.printJSON(map[string]any{"written": written, "kept": kept})
			}
			for _, name := range written {
				t.say("wrote  %s", name)
			}
			for _, name := range kept {
				t.say("kept   %s (it exists)", name)
			}
			t.say("")
			t.given = givenFlags(cmd)
			t.say("Next: %s", t.next("check", filepath.Join(dir, "campaign.yaml")))
			return nil
		},
	}
}
