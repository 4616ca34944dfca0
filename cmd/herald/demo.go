package main

import (
	"context"
	"errors"
	"fmt"
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
simulator: a personal text with each person's own invoice, then a poll. Some of
them reply, some say STOP, some vote, and the phone loses its connection once.
No account, no network, no configuration; everything happens in a temporary
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
	engine, err := app.OpenDemo(ctx, cfg, t.logger(cfg))
	if err != nil {
		return err
	}
	outcomes, err := t.demoCampaigns(ctx, engine, campaigns)
	if err = errors.Join(err, engine.Close()); err != nil { //nolint:contextcheck // closing is never canceled
		return err
	}
	t.demoNext(cfg, dir, campaigns, outcomes)
	return nil
}

// demoCampaigns sends them one after the other, and tells what came back.
func (t *terminal) demoCampaigns(ctx context.Context, engine *app.Demo, campaigns []app.DemoCampaign) ([]app.DemoOutcome, error) {
	for i, c := range campaigns {
		t.say("")
		t.say("—— %d of %d: herald run %s", i+1, len(campaigns), filepath.Base(c.File))
		t.say("")
		err := t.send(ctx, engine, c.File, sendFlags{expect: anyNumber, wait: string(app.WaitDelivered), waitTimeout: c.Patience, maxFailed: math.MaxInt64, demo: true})
		var exit *exitError
		if missed := errors.As(err, &exit) && exit.code == exitPartial; err != nil && !missed {
			return nil, err
		}
	}
	outcomes, toReview, err := engine.Outcomes(context.WithoutCancel(ctx))
	if err == nil {
		t.demoStory(outcomes[0], outcomes[1], int64(toReview))
	}
	return outcomes, err
}

// demoStory says in a few lines what came back.
func (t *terminal) demoStory(first, poll app.DemoOutcome, toReview int64) {
	t.say("")
	t.say("—— What came back, by webhook")
	t.say("")
	t.sayBelow("  ", fmt.Sprintf("%s to the first campaign, %s to the poll; %s.",
		agree(first.Replied, "person replied", "people replied"), comma(poll.Replied), agree(poll.Voted, "vote stands", "votes stand")))
	t.sayBelow("  ", fmt.Sprintf("%s STOP to the first, in their own languages; the poll left out %s.",
		agree(first.OptedOut, "of them said", "of them said"), comma(poll.LeftOut)))
	if toReview > 0 {
		t.sayBelow("  ", fmt.Sprintf("%s like STOP and may not mean it. Herald does not guess: a person decides.",
			agree(toReview, "message sounds", "messages sound")))
	}
	if first.Away > 0 {
		t.sayBelow("  ", fmt.Sprintf("The phone lost its connection on the way. Sending waited %.1f s for it, then went on.", first.Away.Seconds()))
	}
	if first.Sound && poll.Sound {
		t.sayBelow("  ", "Every row is accounted for, and nobody was sent anything twice.")
	}
}

// demoNext says what to try next.
func (t *terminal) demoNext(cfg app.Config, dir string, campaigns []app.DemoCampaign, outcomes []app.DemoOutcome) {
	t.say("")
	t.say("That was the demo: nobody got anything. What to try next:")
	herald, data := ownName(), " --data-dir "+shellWord(cfg.DataDir)
	first, poll := campaigns[0], campaigns[1]
	t.say("  # the reports, to open in a browser and in a spreadsheet program")
	for _, outcome := range outcomes {
		t.say("  %s", outcome.HTMLFile)
		t.say("  %s", outcome.Workbook)
	}
	for _, next := range []struct{ what, command string }{
		{"who said STOP, and what may have been meant so", herald + " optouts list" + data},
		{"", herald + " optouts review" + data},
		{"a campaign file for those who have not read it yet", herald + " followup" + data + " " + shellWord(first.Name) + " --where 'delivered and not read'"},
		{"the votes as a table, split by city", herald + " report" + data + " " + shellWord(poll.Name) + " --format poll-csv"},
		{"the file it was sent to, untidy on purpose, and the rows that were skipped", "less " + shellWord(filepath.Join(dir, "recipients.csv"))},
		{"", herald + " recipients" + data + " " + shellWord(first.Name) + " --status skipped"},
		{"what one of them got", herald + " preview " + shellWord(first.File) + " --row 5"},
		{"a campaign of your own to start from", herald + " init"},
	} {
		if next.what != "" {
			t.say("  # %s", next.what)
		}
		t.say("  %s", next.command)
	}
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
