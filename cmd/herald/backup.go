package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"github.com/herald-campaigns/herald/internal/app"
)

func (t *terminal) backupCommand(load loader) *cobra.Command {
	return &cobra.Command{
		Use:   "backup PATH",
		Short: "Copy the data directory, also while it is in use",
		Long: `Make a copy of the data directory, also while a campaign is being sent: the
ledger as of one instant, the media files and the rejected rows. PATH must not
exist yet, or be an empty folder; folders above it are created. The copy is
verified, and appears under its name only when it is whole. Reports are left
out: they are made from the ledger.

A copy of the folder made by other means while Herald runs may be broken.

To restore, put the copy where the data directory was, or name it with
--data-dir. It sends nothing until herald resume --after-restore was asked, for
it does not know what was sent after it was made.`,
		Example: `  herald backup backups/monday
  herald backup backups/tuesday --json | jq .waiting`,
		Args: cobra.ArbitraryArgs, // whoever names none, or two, is told what is missing
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := onePath(args); err != nil {
				return err
			}
			cfg, err := load(cmd)
			if err != nil {
				return err
			}
			b, err := app.Backup(cmd.Context(), cfg, t.logger(cfg), args[0])
			if err != nil {
				return err
			}
			if t.json {
				return t.printJSON(b)
			}
			t.backedUp(b)
			return nil
		},
	}
}

func onePath(args []string) error {
	switch {
	case len(args) == 0 || len(args) == 1 && args[0] == "":
		return &usageError{err: errors.New("where to?"), hint: "name a folder that does not exist yet: `herald backup backups/monday`"}
	case len(args) > 1:
		return &usageError{
			err:  fmt.Errorf("a backup has one path, not %q", args),
			hint: "name the data directory with --data-dir; put quotes around a path with blanks",
		}
	}
	return nil
}

func (t *terminal) backedUp(b *app.Backed) {
	took := (time.Duration(b.DurationMS) * time.Millisecond).Round(100 * time.Millisecond)
	t.print("%s: %s, %s (%s waiting), %s, %s in %s, verified\n", b.Path, plural(int64(b.Campaigns), "campaign"),
		plural(b.Rows, "row"), comma(b.Waiting), plural(int64(b.MediaFiles), "media file"), humanize.IBytes(uint64(max(b.Bytes, 0))), took)
	t.say("To restore: stop herald, put this folder in place of the data directory, then herald resume --after-restore")
}
