package app

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/internal/natsd"
	"github.com/herald-campaigns/herald/sandbox"
)

const (
	// requireNS=1 makes a machine without mount namespaces a failure.
	requireNS = "HERALD_REQUIRE_NS"
	// insideNS is set in the process that has a namespace of its own.
	insideNS = "HERALD_TEST_NS"
)

// TestFullDisk fills the disk under the data directory in the middle of a
// campaign, for longer than a lease lives, and frees it again: sending stops
// while it is full, that is said once, and it goes on by itself; nobody is lost
// and nobody gets two messages (reliability page §3.2). Both storages of the
// stream; the file one hangs on a full disk (M5).
func TestFullDisk(t *testing.T) {
	t.Parallel()
	if os.Getenv(insideNS) == "" {
		inNamespace(t)
		return
	}
	for _, stream := range []string{"memory", "file"} {
		t.Run(stream, func(t *testing.T) {
			t.Parallel()
			fillDisk(t, stream)
		})
	}
}

func fillDisk(t *testing.T, stream string) {
	t.Helper()
	const (
		recipients, inFlight = 1200, 4
		ttl                  = 900 * time.Millisecond
		underWay             = 2 * time.Second // for what had begun when the disk was full
		full                 = 6 * time.Second // after that: leases end, the stream is restarted
	)
	th := newTheater(t, nil)
	hasten(&th.tuning)
	th.cfg.NATS.Storage = stream
	th.tuning.leaseTTL, th.tuning.diskEvery = ttl, 200*time.Millisecond
	th.mountSmall(48 << 20)
	file := th.text(recipients, "pace: { rate: 300/s, in_flight: 4 }\n")
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	a := th.open()
	var shown atomic.Pointer[Progress]
	done := make(chan error, 1)
	go func() {
		_, err := runIn(ctx, a, file, PrepareOptions{}, RunOptions{Progress: func(p Progress) { shown.Store(&p) }})
		done <- err
	}()
	<-th.api.after(100)
	th.fill()
	<-time.After(underWay)
	stopped := th.api.count()
	<-time.After(full)
	sent := th.api.count() - stopped
	if sent > 0 {
		t.Errorf("%d calls were made while the disk was full", sent)
	}
	if stopped > recipients/2 {
		t.Errorf("%d of %d calls were made before the disk was full: it never was", stopped, recipients)
	}
	select {
	case err := <-done:
		t.Fatalf("the run ended when the disk was full: %v", err)
	default:
	}
	if p := shown.Load(); p == nil || len(p.Holds) != 1 || p.Holds[0].Reason != campaign.PauseDiskFull || p.Campaign.State != campaign.StateRunning {
		t.Errorf("with the disk full this was shown: %+v", p)
	}
	th.free()
	freed := time.Now()
	<-th.api.after(1)
	resumed := time.Since(freed)
	check(t, <-done)
	found := th.audit(a)
	wantOnce(t, found)
	if found.Unknown > inFlight {
		t.Errorf("%d rows are unknown, %d calls were under way: %s", found.Unknown, inFlight, found)
	}
	all, err := a.store.Campaigns(t.Context())
	check(t, err)
	if s := all[0].State; s != campaign.StateTracking && s != campaign.StateCompleted {
		t.Errorf("the campaign is %s", s)
	}
	totals, err := a.store.Totals(t.Context(), all[0].ID)
	check(t, err)
	wantTotals(t, totals, map[campaign.Status]int64{campaign.StatusQueued: recipients})
	if n := th.log.lines(slog.LevelError, ""); n > 5 {
		t.Errorf("a full disk was told in %d lines of level error", n)
	}
	if n := th.log.lines(slog.LevelWarn, ""); n > 15 {
		t.Errorf("a full disk was told in %d lines of level warning", n)
	}
	check(t, a.Close())
	t.Logf("stopped after %d calls, %d while full, the next one %s after there was room; %s", stopped, sent, resumed.Round(time.Millisecond), found)
	if t.Failed() {
		t.Log(th.log.String())
	}
}

// TestFullDiskAroundARun fills the disk when a run is about to start, when an
// operator pauses, and when one stops it: each is done when there is room, or
// not needed, and none ends the run with an error.
func TestFullDiskAroundARun(t *testing.T) {
	t.Parallel()
	if os.Getenv(insideNS) == "" {
		inNamespace(t)
		return
	}
	th := newTheater(t, nil)
	hasten(&th.tuning)
	th.tuning.diskEvery = 50 * time.Millisecond
	th.tuning.started = func(*natsd.Server, *sandbox.Server) { th.fill() }
	th.mountSmall(48 << 20)
	file := th.text(300, "pace: { rate: 100/s, in_flight: 4 }\n")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	ctx, stop := context.WithCancel(ctx)
	controls := make(chan Control, 1)
	stage, ticks := "start", 0
	next := func(to string) { stage, ticks = to, 0 }
	progress := func(p Progress) {
		ticks++
		switch {
		case stage == "start" && ticks == 5: // it did not start, and did not end
			if p.Campaign.State != campaign.StateDraft {
				t.Errorf("the campaign is %s on a full disk", p.Campaign.State)
			}
			th.free()
			next("send")
		case stage == "send" && p.Accepted() > 20:
			th.fill()
			controls <- ControlPause
			next("pause")
		case stage == "pause" && ticks == 5:
			th.free()
			next("paused")
		case stage == "paused" && p.Campaign.State == campaign.StatePaused:
			controls <- ControlResume
			next("send more")
		case stage == "send more" && p.Accepted() > 100:
			th.fill()
			next("stop")
		case stage == "stop" && ticks == 3:
			stop()
		}
	}
	a := th.open()
	result, err := runIn(ctx, a, file, PrepareOptions{}, RunOptions{Progress: progress, Control: controls})
	if err != nil || !result.Interrupted || stage != "stop" {
		t.Errorf("the run ended at %q with %v, interrupted: %t", stage, err, result.Interrupted)
	}
	th.free()
	check(t, a.Close())
	th.tuning.started = nil
	done := th.mustRun(file, PrepareOptions{})
	if got := done.Totals.Accepted() + done.Totals.ByStatus[campaign.StatusUnknown]; got != 300 {
		t.Errorf("%d rows were accepted or are unknown, want 300: %v", got, done.Totals.ByStatus)
	}
}

// inNamespace runs this test again in a mount namespace of its own.
func inNamespace(t *testing.T) {
	t.Helper()
	for _, flags := range []string{"-m", "-rm"} { // the second where only users' own namespaces are allowed
		if exec.CommandContext(t.Context(), "unshare", flags, "true").Run() != nil {
			continue
		}
		command := exec.CommandContext(t.Context(), "unshare", flags, os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
		command.Env = append(os.Environ(), insideNS+"=1")
		out, err := command.CombinedOutput()
		t.Logf("in a namespace of its own:\n%s", out)
		if err != nil {
			t.Errorf("in a namespace of its own: %v", err)
		}
		return
	}
	if os.Getenv(requireNS) == "1" {
		t.Fatal("unshare is not permitted, and " + requireNS + "=1 requires it")
	}
	t.Skip("NOT RUN: unshare is not permitted here; " + requireNS + "=1 makes that a failure")
}

// mountSmall puts the data directory on a disk of its own.
func (th *theater) mountSmall(size int) {
	th.t.Helper()
	dir := th.cfg.DataDir
	check(th.t, os.MkdirAll(dir, 0o700))
	check(th.t, syscall.Mount("tmpfs", dir, "tmpfs", 0, "mode=0700,size="+strconv.Itoa(size)))
	th.t.Cleanup(func() { check(th.t, syscall.Unmount(dir, syscall.MNT_DETACH)) })
}

func (th *theater) ballast() string { return filepath.Join(th.cfg.DataDir, "ballast") }

// fill leaves no byte on the disk.
func (th *theater) fill() {
	th.t.Helper()
	f, err := os.Create(th.ballast())
	check(th.t, err)
	for size := 1 << 20; size > 0; {
		if _, err := f.Write(make([]byte, size)); errors.Is(err, syscall.ENOSPC) {
			size /= 2
		} else {
			check(th.t, err)
		}
	}
	check(th.t, f.Close())
}

func (th *theater) free() {
	th.t.Helper()
	check(th.t, os.Remove(th.ballast()))
}
