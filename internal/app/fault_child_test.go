package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"time"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/dispatcher"
	"github.com/herald-campaigns/herald/internal/faults"
)

// childEnv makes the test binary a child: it holds a part, as JSON. Where the
// child dies is in faults.Env.
const childEnv = "HERALD_TEST_CHILD"

// part is what a child process plays: Herald, running one campaign or as a
// service.
type part struct {
	File string // the campaign; "": a service, with what is in the ledger
	Dir  string // the data directory
	URL  string // the provider

	ImportOnly bool          // read the recipients, send nothing, wait to be killed
	LeaseTTL   time.Duration // 0: as always
	Deadline   time.Duration // of a claim; 0: as always
	// Unbraked lets a 429 stop the sender for as long as it asks, but not slow
	// it for the minutes after: those belong to package ratelimit's tests.
	Unbraked bool

	// What must not be done. A test that stays green with it proves nothing.
	ResendUnknown bool // send unknown rows again at every start
	Hasty         bool // take a message for absent as soon as it is not seen
	LateIntents   bool // send while the intent is being written
	Announce      bool // write a line to standard error before each intent
}

// child is the command that starts the part.
func (th *theater) child(p part, plan faults.Plan) *exec.Cmd {
	th.t.Helper()
	p.Dir, p.URL = th.cfg.DataDir, th.api.url()
	text, err := json.Marshal(p)
	check(th.t, err)
	command := exec.CommandContext(th.t.Context(), os.Args[0], "-test.run=^$")
	command.Env = append(os.Environ(), childEnv+"="+string(text), faults.Env+"="+plan.String())
	command.Stderr = os.Stderr
	return command
}

// runChild is the child. It says whether this process is one.
func runChild() bool {
	text := os.Getenv(childEnv)
	if text == "" {
		return false
	}
	var p part
	err := json.Unmarshal([]byte(text), &p)
	if err == nil {
		err = p.play(context.Background())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "child:", err)
		os.Exit(1) //nolint:forbidigo // this is a main function
	}
	return true
}

func (p part) play(ctx context.Context) error {
	cfg, err := LoadConfig(ConfigSource{File: os.DevNull, Flags: map[string]any{
		"mode": "live", "data_dir": p.Dir, "periskope.base_url": p.URL, "periskope.token": testToken,
		"poll.per_second": 5000.0,
	}})
	if err != nil {
		return err
	}
	a, err := Open(ctx, cfg, slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError + 1})))
	if err != nil {
		return err
	}
	crash, err := faults.Planned()
	if err != nil {
		return err
	}
	a.tuning = tuning{
		leaseTTL: p.LeaseTTL, sendDeadline: p.Deadline, transport: faults.NewWire(crash, 64),
		added: func(add addRows) addRows { return faults.Adding(crash, add) },
		wrap:  func(deps *dispatcher.Deps) { p.wrap(deps, crash) },
	}
	hasten(&a.tuning)
	if p.Hasty {
		a.tuning.reconciler.SettleFloor, a.tuning.reconciler.CallTimeout, a.tuning.reconciler.PassGap = 1, 1, 1
		// It looks too soon for a witness, and must look again.
		a.tuning.reconciler.Slow = []time.Duration{20 * time.Millisecond}
	}
	if p.File == "" {
		return errors.Join(serveChild(ctx, a), a.Close())
	}
	if p.ImportOnly {
		if _, err := a.Prepare(ctx, p.File, PrepareOptions{}); err != nil {
			return err
		}
		<-time.After(time.Hour) // the kill comes
	}
	if p.ResendUnknown {
		if err := a.resendUnknown(ctx); err != nil {
			return err
		}
	}
	_, err = runIn(ctx, a, p.File, PrepareOptions{}, RunOptions{})
	return errors.Join(err, a.Close())
}

func (p part) wrap(deps *dispatcher.Deps, crash *faults.Crash) {
	if p.LateIntents {
		deps.Claims = lateIntents{deps.Claims}
	}
	if p.Announce {
		deps.Claims = announced{deps.Claims}
	}
	deps.Claims = faults.Claims{Intents: deps.Claims, Crash: crash}
	deps.Settlements = faults.Settlements{Outcomes: deps.Settlements, Crash: crash}
	if p.Unbraked {
		deps.Brake = unbraked{deps.Brake}
	}
}

// resendUnknown is what Herald must never do: nobody knows, so try again.
func (a *App) resendUnknown(ctx context.Context) error {
	if _, err := a.store.Recover(ctx, true); err != nil {
		return err
	}
	all, err := a.store.Campaigns(ctx)
	if err != nil {
		return err
	}
	for _, c := range all {
		unknown, err := a.store.UnknownRows(ctx, c.ID)
		if err != nil {
			return err
		}
		rows := make([]campaign.Staged, len(unknown))
		for i, row := range unknown {
			rows[i] = row.Handover()
		}
		if _, err := a.store.ReturnUnknown(ctx, c.ID, rows, time.Time{}, "tried again"); err != nil {
			return err
		}
	}
	return nil
}

// unbraked is a brake that lets go as soon as it may.
type unbraked struct{ dispatcher.Brake }

func (b unbraked) Throttled(retryAfter time.Duration) time.Time {
	until := time.Now().Add(retryAfter)
	b.BlockUntil(until)
	return until
}

// announced says on standard error that an intent is about to be written.
type announced struct{ dispatcher.Claims }

const announcement = "intent of row "

func (a announced) Claim(ctx context.Context, intent campaign.Intent) (campaign.Claim, error) {
	_, _ = fmt.Fprintf(os.Stderr, "%s%d\n", announcement, intent.Task.Seq) // one write
	return a.Claims.Claim(ctx, intent)
}

// lateIntents is what a ledger without fsync comes to: the call goes out while
// its intent is on the way to the disk.
type lateIntents struct{ dispatcher.Claims }

func (l lateIntents) Claim(ctx context.Context, intent campaign.Intent) (campaign.Claim, error) {
	go func() {
		<-time.After(time.Minute) // it is killed before
		_, _ = l.Claims.Claim(ctx, intent)
	}()
	return campaign.Claim{Attempt: 1, ClaimedAt: time.Now()}, nil
}
