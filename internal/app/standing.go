package app

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/storage"
)

// inUse says whether a process works on the data directory, this one included.
func (a *App) inUse() (bool, error) {
	if a.lock != nil {
		return true, nil
	}
	return storage.DirHeld(a.dir)
}

// attended says whether another process works on the data directory.
func (a *App) attended() (bool, error) {
	if a.lock != nil {
		return false, nil
	}
	return storage.DirHeld(a.dir)
}

// hasAddress says whether a service left its address in the data directory. One
// that is gone without a word leaves it behind.
func (a *App) hasAddress() bool {
	_, err := os.Stat(filepath.Join(a.dir, addressFile))
	return err == nil
}

// stoppedFile is the mark of a service that was stopped in order. What is gone
// without a word leaves none.
const stoppedFile = "stopped.json"

// stopMark says when a service was stopped, and which campaigns it would have
// gone on with. Those that somebody has gone on with since are not in it.
type stopMark struct {
	At        time.Time     `json:"at"`
	Campaigns []campaign.ID `json:"campaigns"`
}

// markStopped leaves the mark. It is a hint for people, so that it cannot be had
// (a full disk) is no trouble.
func (a *App) markStopped(ctx context.Context) {
	all, err := a.store.Campaigns(ctx)
	mark := stopMark{At: time.Now().UTC()}
	for _, c := range all {
		if c.State == campaign.StateRunning || c.State == campaign.StateScheduled {
			mark.Campaigns = append(mark.Campaigns, c.ID)
		}
	}
	if err == nil && len(mark.Campaigns) > 0 {
		err = a.writeStopMark(mark)
	}
	if err != nil {
		a.log.DebugContext(ctx, "the clean stop is not marked", "err", err)
	}
}

func (a *App) writeStopMark(mark stopMark) error {
	return writeJSON(filepath.Join(a.dir, stoppedFile), mark)
}

// unmarkStopped takes the campaign out of the mark: whoever goes on with it may
// be gone without a word. A service goes on with everything: it takes the mark
// away.
func (a *App) unmarkStopped(id campaign.ID) error {
	mark, err := a.readStopMark()
	if err != nil || !slices.Contains(mark.Campaigns, id) {
		return nil //nolint:nilerr // nothing is said of it
	}
	mark.Campaigns = slices.DeleteFunc(mark.Campaigns, func(left campaign.ID) bool { return left == id })
	return a.writeStopMark(mark)
}

func (a *App) removeStopMark() error {
	err := os.Remove(filepath.Join(a.dir, stoppedFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func (a *App) readStopMark() (stopMark, error) {
	return readJSON[stopMark](filepath.Join(a.dir, stoppedFile))
}

// stoppedAt is when the service that had the campaign was stopped in order; zero
// when that is not what happened to it.
func (a *App) stoppedAt(id campaign.ID) time.Time {
	mark, err := a.readStopMark()
	if err != nil || !slices.Contains(mark.Campaigns, id) {
		return time.Time{}
	}
	return mark.At
}

// interrupted says whether a campaign that should be running is run by nobody:
// the process was killed, or the machine went down. The state is read again
// once nobody is seen to hold the directory: a run that ended between the two
// looks has left another one.
func (a *App) interrupted(ctx context.Context, c campaign.Campaign) (bool, error) {
	if c.State != campaign.StateRunning && c.State != campaign.StateScheduled {
		return false, nil
	}
	busy, err := a.inUse()
	if err != nil || busy {
		return false, err
	}
	now, err := a.store.Campaign(ctx, c.ID)
	return now.State == c.State, err
}

// holdsOf are the holds that the timeline tells of, as long as somebody sends
// the campaign: the run itself knows them, this process is another.
func (a *App) holdsOf(ctx context.Context, c campaign.Campaign, interrupted bool) ([]HoldView, error) {
	holds := []HoldView{}
	if c.State != campaign.StateRunning || interrupted {
		return holds, nil
	}
	timeline, err := a.store.Timeline(ctx, c.ID)
	for _, held := range campaign.OpenHolds(timeline) {
		holds = append(holds, HoldView{Reason: held.Reason, Detail: held.Detail, Since: held.At.UTC()})
	}
	return holds, err
}

// HeldAll says whether no sender of the campaign begins calls.
func (v CampaignView) HeldAll() bool {
	phones := 0
	for _, held := range v.Held {
		if held.Reason != campaign.PauseDisconnected {
			return true // of the disk or the whole machine: every sender's
		}
		phones++
	}
	return phones > 0 && phones >= v.senders
}
