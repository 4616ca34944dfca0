package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/sandbox"
)

// The child of TestKilledAgainAndAgain is this binary, told by the environment
// to run a campaign until it is killed.
const (
	childFile = "HERALD_TEST_RUN"
	childDir  = "HERALD_TEST_DIR"
	childURL  = "HERALD_TEST_URL"
)

// runChild is the child. It says whether this process is one.
func runChild() bool {
	file := os.Getenv(childFile)
	if file == "" {
		return false
	}
	if err := runUntilKilled(file); err != nil {
		fmt.Fprintln(os.Stderr, "child:", err)
		os.Exit(1) //nolint:forbidigo // this is a main function
	}
	return true
}

func runUntilKilled(file string) error {
	ctx := context.Background()
	cfg, err := LoadConfig(ConfigSource{File: os.DevNull, Flags: map[string]any{
		"mode": "live", "data_dir": os.Getenv(childDir), "periskope.base_url": os.Getenv(childURL), "periskope.token": testToken,
		"poll.per_second": 50.0,
	}})
	if err != nil {
		return err
	}
	a, err := Open(ctx, cfg, slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})))
	if err != nil {
		return err
	}
	a.tuning.reconciler = quick()
	_, err = runIn(ctx, a, file, PrepareOptions{}, RunOptions{})
	return errors.Join(err, a.Close())
}

// TestKilledAgainAndAgain kills a process that sends, at random instants, while
// the provider misbehaves. The provider's own log is the judge: nobody is lost,
// nobody gets two messages, and what nobody can know is no more than the calls
// that were under way.
func TestKilledAgainAndAgain(t *testing.T) {
	t.Parallel()
	const recipients, inFlight, kills = 2000, 8, 12
	th := newTheater(t, func(c *sandbox.Config) {
		c.Faults = []sandbox.Fault{
			{Kind: sandbox.FaultReset, When: sandbox.FaultAfter, Rate: 0.02},
			{Kind: sandbox.FaultStatus, Status: 502, When: sandbox.FaultAfter, Rate: 0.01},
			{Kind: sandbox.FaultStatus, Status: 500, When: sandbox.FaultBefore, Rate: 0.01},
			// Each one slows the sender for seconds, and with it the test.
			{Kind: sandbox.FaultStatus, Status: 429, RetryAfter: "0.05", RateLimitReset: "0", Rate: 0.02, Next: 6},
		}
	})
	// Slow enough that the last child still has something to send.
	file := th.text(recipients, "pace: { rate: 600/s, in_flight: 8 }\n")
	for range kills {
		th.killChild(file)
	}
	result := th.mustRun(file, PrepareOptions{})

	unclear := th.api.answered(0, 500, 502)
	unknown := result.Totals.ByStatus[campaign.StatusUnknown]
	accepted := len(th.sim.Acceptances())
	t.Logf("%d rows, %d kills: %d accepted by the provider, %d known as such, %d unknown (%d unclear answers, %d throttled)",
		recipients, kills, accepted, result.Totals.Accepted(), unknown, unclear, th.api.answered(429))
	if got := result.Totals.Accepted() + unknown; got != recipients {
		t.Errorf("%d of %d rows are accepted or unknown: %v", got, recipients, result.Totals.ByStatus)
	}
	if most := int64(kills*inFlight + unclear); unknown > most {
		t.Errorf("%d unknown rows, at most %d are excusable", unknown, most)
	}
	if int64(accepted) < result.Totals.Accepted() {
		t.Errorf("the ledger knows of %d acceptances, the provider of %d", result.Totals.Accepted(), accepted)
	}
}

// killChild starts a process that runs the campaign, and kills it up to 200 ms
// after its first send.
func (th *theater) killChild(file string) {
	th.t.Helper()
	select {
	case <-th.api.sends: // of the process before
	default:
	}
	child := exec.CommandContext(th.t.Context(), os.Args[0], "-test.run=^$")
	child.Env = append(os.Environ(), childFile+"="+file, childDir+"="+th.cfg.DataDir, childURL+"="+th.api.url())
	child.Stderr = os.Stderr
	check(th.t, child.Start())
	select {
	case <-th.api.sends:
	case <-time.After(2 * time.Minute):
		th.t.Error("the child sends nothing")
	}
	<-time.After(rand.N(200 * time.Millisecond))
	check(th.t, child.Process.Kill())
	if err := child.Wait(); err == nil {
		th.t.Error("the child was done before it was killed: the campaign is too short")
	}
}

// TestInterruptedAgainAndAgain stops a run the way SIGINT does, at random
// moments. A clean drain leaves nothing unknown.
func TestInterruptedAgainAndAgain(t *testing.T) {
	t.Parallel()
	const recipients = 600
	th := newTheater(t, func(c *sandbox.Config) { c.Latency = sandbox.Range{Max: 5 * time.Millisecond} })
	file := th.text(recipients, "pace: { rate: 500/s, in_flight: 8 }\n")
	interrupted := 0
	for round := range 20 {
		ctx, cancel := context.WithCancel(t.Context())
		stop := func() { time.AfterFunc(rand.N(80*time.Millisecond), cancel) }
		select {
		case <-th.api.sends: // of the run before
		default:
		}
		if round%4 == 0 {
			stop() // also before anything is sent
		}
		go func() {
			select {
			case <-th.api.sends:
				stop()
			case <-ctx.Done():
			}
		}()
		result, err := th.run(ctx, file, PrepareOptions{}, RunOptions{})
		cancel()
		if err != nil && !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		if result.Interrupted {
			interrupted++
			if s := result.Campaign.State; s == campaign.StateRunning || result.Totals.ByStatus[campaign.StatusSubmitting]+result.Totals.ByStatus[campaign.StatusStaged] > 0 {
				t.Errorf("after a drain the campaign is %s with %v", s, result.Totals.ByStatus)
			}
		}
	}
	result := th.mustRun(file, PrepareOptions{})
	t.Logf("%d clean interruptions, %v", interrupted, result.Totals.ByStatus)
	wantTotals(t, result.Totals, map[campaign.Status]int64{campaign.StatusQueued: recipients})
	if interrupted < 5 {
		t.Errorf("only %d of 20 runs were interrupted", interrupted)
	}
}
