package app

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/herald-campaigns/herald/campaign"
)

// smallDisk is set in the child of TestRealDiskFull: a folder that is a disk of
// its own, of 48 MiB.
const smallDisk = "HERALD_TEST_SMALL_DISK"

// TestRealDiskFull fills a real disk in the middle of a campaign: with nothing
// left to write intents to nothing is sent, it is said once, and it goes on by
// itself when the space is back, with the books right. Both storages of the
// stream; the file one hangs on a full disk (M5).
func TestRealDiskFull(t *testing.T) {
	t.Parallel()
	if disk := os.Getenv(smallDisk); disk != "" {
		for _, stream := range []string{"memory", "file"} {
			t.Run(stream, func(t *testing.T) { fillDisk(t, filepath.Join(disk, stream), stream) })
		}
		return
	}
	if os.Geteuid() != 0 {
		t.Skip("mounting a small disk takes root")
	}
	disk := t.TempDir()
	const script = `mount -t tmpfs -o size=48m tmpfs "$HERALD_TEST_SMALL_DISK" || exit 77; exec "$@"`
	cmd := exec.CommandContext(t.Context(), "unshare", "-m", "sh", "-c", script, "sh", os.Args[0], "-test.run=^TestRealDiskFull$", "-test.v", "-test.timeout=3m")
	cmd.Env = append(os.Environ(), smallDisk+"="+disk)
	out, err := cmd.CombinedOutput()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.ExitCode() == 77 || errors.Is(err, exec.ErrNotFound) {
		t.Skipf("no small disk can be had here: %s", out)
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

func fillDisk(t *testing.T, dir, stream string) {
	t.Helper()
	th := newTheater(t, nil)
	th.cfg.DataDir, th.cfg.NATS.Storage = dir, stream
	th.tuning.diskEvery = 200 * time.Millisecond
	th.tuning.leaseTTL = 3 * time.Second
	ballast := filepath.Join(filepath.Dir(dir), "ballast")
	var filled, freed time.Time
	var before int
	progress := func(p Progress) {
		switch {
		case filled.IsZero() && p.Accepted() > 100:
			filled = time.Now()
			fill(t, ballast)
		case !filled.IsZero() && freed.IsZero() && time.Since(filled) > 2*time.Second && before == 0:
			before = len(th.api.sentBodies())
		case before > 0 && freed.IsZero() && time.Since(filled) > 8*time.Second:
			freed = time.Now()
			if n := len(th.api.sentBodies()) - before; n > 0 {
				t.Errorf("%d messages were sent on a full disk", n)
			}
			if len(p.Holds) != 1 || p.Holds[0].Reason != campaign.PauseDiskFull || p.Campaign.State != campaign.StateRunning {
				t.Errorf("the campaign is %s, held: %+v", p.Campaign.State, p.Holds)
			}
			check(t, os.Remove(ballast))
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	result, err := th.run(ctx, th.text(600, "pace: { rate: 100/s, in_flight: 4 }\n"), PrepareOptions{}, RunOptions{Progress: progress})
	check(t, err)
	if freed.IsZero() {
		t.Fatal("the disk was never full")
	}
	wantTotals(t, result.Totals, map[campaign.Status]int64{campaign.StatusQueued: 600})
	if n := th.log.lines(slog.LevelError, ""); n > 5 {
		t.Errorf("a full disk was told in %d lines of level error", n)
	}
	if n := th.log.lines(slog.LevelWarn, ""); n > 15 {
		t.Errorf("a full disk was told in %d lines of level warning", n)
	}
	if t.Failed() {
		t.Log(th.log.String())
	}
}

// fill writes until the disk is full.
func fill(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	check(t, err)
	block := make([]byte, 64<<10)
	for err == nil {
		_, err = f.Write(block)
		if err != nil && len(block) > 512 { // the last corner, too
			block, err = block[:len(block)/2], nil
		}
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("fill the disk: %v", err)
	}
	check(t, f.Close())
}
