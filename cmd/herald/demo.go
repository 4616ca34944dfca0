package main

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/herald-campaigns/herald/internal/app"
)

func (t *terminal) demoCommand(load loader) *cobra.Command {
	var keep string
	command := &cobra.Command{
		Use:   "demo",
		Short: "See it work on the built-in simulator; nothing to set up",
		Long: `Send two sample campaigns to about 200 invented people on the built-in
simulator: a personal text with each person's own invoice, then a poll. No
account, no network, no configuration; everything happens in a temporary
folder. The recipients file is messy on purpose.`,
		Example: `  herald demo
  herald demo --dir demo   and keep everything there`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := load(cmd)
			if err != nil {
				return err
			}
			return t.demo(cmd.Context(), cfg, keep)
		},
	}
	command.Flags().StringVar(&keep, "dir", "", "work in this `folder` instead of a temporary one")
	return command
}

func (t *terminal) demo(ctx context.Context, cfg app.Config, dir string) error {
	if dir == "" {
		temp, err := os.MkdirTemp("", "herald-demo-")
		if err != nil {
			return err
		}
		dir = temp
	}
	campaigns, err := app.UnpackDemo(dir)
	if err != nil {
		return err
	}
	cfg = cfg.ForDemo(filepath.Join(dir, "data"))
	t.given = " --data-dir " + shellWord(cfg.DataDir) + " --mode " + string(cfg.Mode)
	t.say("This is Herald on its built-in simulator: no message leaves this machine.")
	t.say("The campaigns, their recipients and all results are in %s", dir)
	for i, c := range campaigns {
		t.say("")
		t.say("—— %d of %d: herald run %s", i+1, len(campaigns), filepath.Base(c.File))
		t.say("")
		err := t.runCampaign(ctx, cfg, c.File, sendFlags{expect: anyNumber, wait: string(app.WaitDelivered), waitTimeout: app.DemoPatience, maxFailed: math.MaxInt64, demo: true})
		var exit *exitError
		if missed := errors.As(err, &exit) && exit.code == exitPartial; err != nil && !missed {
			return err
		}
	}
	t.say("")
	t.say("That was the demo: nobody got anything. What to try next:")
	herald := ownName()
	data := shellWord(cfg.DataDir)
	for _, next := range []struct{ what, command string }{
		{"the file it was sent to, untidy on purpose", "less " + shellWord(filepath.Join(dir, "recipients.csv"))},
		{"what one of them got", herald + " preview " + shellWord(campaigns[0].File) + " --row 5"},
		{"the rows that were skipped, and why", herald + " recipients --data-dir " + data + " " + shellWord(campaigns[0].Name) + " --status skipped"},
		{"the whole report", herald + " report --data-dir " + data + " " + shellWord(campaigns[0].Name)},
		{"a campaign of your own to start from", herald + " init"},
	} {
		t.say("  # %s", next.what)
		t.say("  %s", next.command)
	}
	return nil
}

// ownName is how this command was called, so that what is suggested works for
// whoever has not installed it: `go run` builds into a folder that is gone
// afterwards.
func ownName() string {
	path, err := os.Executable()
	if err == nil && strings.Contains(path, string(filepath.Separator)+"go-build") {
		return "go run ./cmd/herald"
	}
	if strings.ContainsRune(os.Args[0], filepath.Separator) {
		return shellWord(os.Args[0])
	}
	return "herald"
}
