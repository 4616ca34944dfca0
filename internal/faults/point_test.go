package faults

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// childEnv makes the test binary a process to be struck.
const childEnv = "HERALD_TEST_STRUCK"

func TestMain(m *testing.M) {
	if os.Getenv(childEnv) == "" {
		os.Exit(m.Run()) //nolint:forbidigo // this is a main function
	}
	crash, err := Planned()
	if err != nil {
		os.Exit(3) //nolint:forbidigo // this is a main function
	}
	for range 5 {
		crash.Pass(BeforeIntent)
		crash.Pass(AfterIntent)
		_, _ = os.Stdout.WriteString("passed\n")
	}
	if os.Getenv(childEnv) == "stay" {
		<-time.After(time.Hour)
	}
}

func struck(t *testing.T, mode string, plan Plan) *exec.Cmd {
	t.Helper()
	command := exec.CommandContext(t.Context(), os.Args[0])
	command.Env = append(os.Environ(), childEnv+"="+mode, Env+"="+plan.String())
	return command
}

func TestPlanRoundTrip(t *testing.T) {
	t.Parallel()
	for _, plan := range []Plan{
		{},
		{Point: AfterIntent, Pass: 17},
		{Point: HalfWritten, Pass: 2, Bytes: 57},
		{Point: AfterIntent, Pass: 5, Act: ActFreeze},
		{Point: InsideListRead, Pass: 1},
	} {
		got, err := ParsePlan(plan.String())
		if diff := cmp.Diff(plan, got); err != nil || diff != "" {
			t.Errorf("%s: %v (-want +got):\n%s", plan, err, diff)
		}
	}
	for _, text := range []string{"K2", "K2:", "K2:0", "K2:-1", "K99:1", "K2:1@5", "K3:1@x", "K3:1@-1", "K2:1/sleep"} {
		if plan, err := ParsePlan(text); err == nil {
			t.Errorf("%q was read as %s", text, plan)
		}
	}
}

// TestCrashStrikesOnce: only the planned pass of the planned point counts.
func TestCrashStrikesOnce(t *testing.T) {
	t.Parallel()
	var acts []Act
	crash := NewCrash(Plan{Point: AfterIntent, Pass: 3})
	crash.strike = func(a Act) { acts = append(acts, a) }
	for range 10 {
		crash.Pass(BeforeIntent)
		crash.Pass(AfterIntent)
	}
	if len(acts) != 1 {
		t.Errorf("struck %d times", len(acts))
	}
	(*Crash)(nil).Pass(AfterIntent) // does nothing
}

// TestDies: the third pass is the last thing the process does.
func TestDies(t *testing.T) {
	t.Parallel()
	out, err := struck(t, "end", Plan{Point: AfterIntent, Pass: 3}).Output()
	exit, ok := errors.AsType[*exec.ExitError](err)
	if !ok || exit.Success() || exit.ExitCode() == 3 {
		t.Fatalf("the process ended with %v", err)
	}
	if n := strings.Count(string(out), "passed"); n != 2 {
		t.Errorf("%d rounds were whole, want 2", n)
	}
}

func TestKillerEndsWhatWorks(t *testing.T) {
	t.Parallel()
	working := make(chan struct{})
	close(working)
	killer := NewKiller(1)
	command := struck(t, "stay", Plan{})
	ended, err := killer.Strike(t.Context(), command, Strike{Working: working, Within: 10 * time.Millisecond})
	if ended || err != nil || command.ProcessState == nil || command.ProcessState.Success() {
		t.Errorf("ended %t, %v, %v", ended, err, command.ProcessState)
	}
}

func TestKillerNoticesWhatEnds(t *testing.T) {
	t.Parallel()
	ended, err := NewKiller(1).Strike(t.Context(), struck(t, "end", Plan{}), Strike{Working: make(chan struct{})})
	if !ended || err != nil {
		t.Errorf("ended %t, %v", ended, err)
	}
	ended, err = NewKiller(1).Strike(t.Context(), struck(t, "end", Plan{Point: BeforeIntent, Pass: 1}), Strike{Working: make(chan struct{})})
	if !ended || err == nil {
		t.Errorf("a process that dies by itself: ended %t, %v", ended, err)
	}
}

func TestKillerLosesPatience(t *testing.T) {
	t.Parallel()
	command := struck(t, "stay", Plan{})
	_, err := NewKiller(1).Strike(t.Context(), command, Strike{Working: make(chan struct{}), Patience: 50 * time.Millisecond})
	if !errors.Is(err, ErrIdle) || command.ProcessState == nil {
		t.Errorf("%v, %v", err, command.ProcessState)
	}
}

func TestKillerDrawsAlike(t *testing.T) {
	t.Parallel()
	a, b := NewKiller(42), NewKiller(42)
	for range 100 {
		if x, y := a.Below(time.Second), b.Below(time.Second); x != y {
			t.Fatalf("the same seed drew %s and %s", x, y)
		}
	}
	if one, other := NewKiller(0), NewKiller(0); one.String() == other.String() {
		t.Error("a seed of 0 draws the same seed twice")
	}
}
