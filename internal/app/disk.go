package app

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/storage"
)

const (
	diskEvery = 2 * time.Second
	// diskStop is the free space below which nothing is sent: outcomes of calls
	// under way, the log and the reports still need some. On a small disk it is
	// a twentieth of it.
	diskStop = 64 << 20
	// diskWarn is the free space below which somebody is told; a tenth of a
	// small disk.
	diskWarn = 1 << 30
	// mostDiskQuiet bounds how long after the latest failed write sending is
	// tried again, when it failed right after it was tried.
	mostDiskQuiet = time.Minute
	diskForget    = 10 * time.Minute
)

// diskWatch holds every sender while the disk with the data directory is full,
// and lets them go on when there is room: by the free space, and by what
// happens to writes of the ledger, which a quota may refuse with space left.
type diskWatch struct {
	dir     string
	log     *slog.Logger
	free    func(dir string) (free, total uint64, err error)
	every   time.Duration
	hold    func(detail string)
	release func()
	note    func(ctx context.Context, kind campaign.EventKind, detail string) error

	look chan struct{} // capacity 1: a write failed

	mu      sync.Mutex
	full    bool
	detail  string    // of full
	since   time.Time // of full
	broken  bool      // the latest write of the ledger found no room
	refused time.Time // when the latest one did
	flaps   int       // how often it was full again soon after it was not
	warned  bool
	blind   bool // the free space cannot be read; told once
}

// diskWatch makes the engine's, with the test's idea of a disk if it has one.
func (e *engine) newDiskWatch() *diskWatch {
	w := &diskWatch{
		dir: e.store.Dir(), log: e.log, free: freeSpace,
		hold:    func(detail string) { e.holdAll(campaign.PauseDiskFull, detail) },
		release: func() { e.releaseAll(campaign.PauseDiskFull) },
		note: func(ctx context.Context, kind campaign.EventKind, detail string) error {
			return e.note(ctx, e.allLanes(), kind, campaign.PauseDiskFull, detail)
		},
		look: make(chan struct{}, 1),
	}
	if e.tuning.free != nil {
		w.free = e.tuning.free
	}
	w.every = cmp.Or(e.tuning.diskEvery, diskEvery)
	return w
}

// run looks at the disk until ctx ends.
func (w *diskWatch) run(ctx context.Context) {
	tick := time.NewTicker(w.every)
	defer tick.Stop()
	told := false
	for {
		change, full := w.inspect(ctx), w.isFull()
		told = w.tell(ctx, told, full, change)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-w.look:
		}
	}
}

// tell adds a change to the timeline, and says whether a hold is told of in it
// now. What could not be written, on a full disk, is tried again.
func (w *diskWatch) tell(ctx context.Context, told, full bool, change string) bool {
	kind := campaign.EventHeld
	if !full {
		kind = campaign.EventReleased
	}
	switch {
	case told == full:
		return told
	case full:
		change = cmp.Or(change, "nothing is sent until there is room")
	default:
		change = cmp.Or(change, "it is over, sending goes on")
	}
	if err := w.note(ctx, kind, change); err != nil {
		return told
	}
	return full
}

// wrote is told of every write of the ledger.
func (w *diskWatch) wrote(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case err == nil:
		w.broken = false
	case storage.IsFull(err):
		if time.Since(w.refused) > diskForget {
			w.flaps = 0
		}
		w.broken, w.refused = true, time.Now()
		w.stop(fmt.Sprintf("no space left in %s", w.dir))
		select {
		case w.look <- struct{}{}:
		default:
		}
	}
}

// isFull says whether senders are held for the disk.
func (w *diskWatch) isFull() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.full
}

// fullness is why senders are held for the disk, and whether they are.
func (w *diskWatch) fullness() (detail string, full bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.detail, w.full
}

// inspect looks at the free space, and returns a change for the timeline.
func (w *diskWatch) inspect(ctx context.Context) string {
	free, total, err := w.free(w.dir)
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil {
		if !w.blind {
			w.log.WarnContext(ctx, "free disk space cannot be read; sending stops when the first write fails", "dir", w.dir, "err", err)
		}
		w.blind = true
		free, total = 1<<62, 1<<62
	} else {
		w.blind = false
	}
	mark := min(diskStop, total/20)
	left := humanize.IBytes(free)
	switch {
	case !w.full && free < mark:
		w.stop(fmt.Sprintf("%s left in %s", left, w.dir))
		return "nothing is sent until there is room: " + left + " left"
	case w.full && free >= mark+mark/2 && !w.broken && time.Since(w.refused) >= w.quiet():
		return w.resume(ctx, left)
	}
	if !w.full {
		w.warn(ctx, free, total)
	}
	return ""
}

// stop holds everybody; the caller holds mu.
func (w *diskWatch) stop(detail string) {
	if w.full {
		return
	}
	w.full, w.detail, w.since = true, detail, time.Now()
	w.hold(detail)
	w.log.Error("disk full: nothing is sent until there is room", "dir", w.dir, "detail", detail)
}

// resume lets everybody go on; the caller holds mu.
func (w *diskWatch) resume(ctx context.Context, left string) string {
	w.full = false
	w.flaps++
	w.release()
	w.log.InfoContext(ctx, "there is room on the disk again, sending goes on", "dir", w.dir, "free", left, "after", time.Since(w.since))
	return goesOn(w.since)
}

// quiet is how long no write may have failed before sending is tried again:
// longer each time it was in vain.
func (w *diskWatch) quiet() time.Duration {
	return min(w.every<<min(w.flaps, 10), mostDiskQuiet)
}

// warn says once that the space runs low; the caller holds mu.
func (w *diskWatch) warn(ctx context.Context, free, total uint64) {
	low := free < min(diskWarn, total/10)
	if low && !w.warned {
		w.log.WarnContext(ctx, "disk space runs low; sending stops by itself when it is used up", "dir", w.dir, "free", humanize.IBytes(free))
	}
	// Room for a while takes the warning back, not a file that comes and goes.
	if low || free > min(diskWarn, total/10)*5/4 {
		w.warned = low
	}
}

// ledger is the store as the send path uses it: the disk watch hears how its
// writes end.
type ledger struct {
	*storage.Store
	disk *diskWatch
}

func (l ledger) Claim(ctx context.Context, intent campaign.Intent) (campaign.Claim, error) {
	claim, err := l.Store.Claim(ctx, intent)
	l.disk.wrote(err)
	return claim, err
}

func (l ledger) GiveBack(ctx context.Context, task campaign.Task, epoch int64) error {
	err := l.Store.GiveBack(ctx, task, epoch)
	l.disk.wrote(err)
	return err
}

func (l ledger) Settle(ctx context.Context, s campaign.Settlement) (campaign.Status, error) {
	status, err := l.Store.Settle(ctx, s)
	l.disk.wrote(err)
	return status, err
}

func (l ledger) AcquireLease(ctx context.Context, sender campaign.SenderID, holder string, ttl time.Duration) (campaign.Lease, bool, error) {
	lease, ok, err := l.Store.AcquireLease(ctx, sender, holder, ttl)
	l.disk.wrote(err)
	return lease, ok, err
}

func (l ledger) RenewLease(ctx context.Context, lease campaign.Lease, ttl time.Duration) (campaign.Lease, bool, error) {
	renewed, ok, err := l.Store.RenewLease(ctx, lease, ttl)
	l.disk.wrote(err)
	return renewed, ok, err
}

func (l ledger) Stage(ctx context.Context, id campaign.ID, seqs []int64, now time.Time) ([]campaign.Staged, error) {
	staged, err := l.Store.Stage(ctx, id, seqs, now)
	l.disk.wrote(err)
	return staged, err
}
