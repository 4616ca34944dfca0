package app

import (
	"context"
	"os"
	"path/filepath"

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

// served says whether a service works on the data directory.
func (a *App) served() (bool, error) {
	if _, err := os.Stat(filepath.Join(a.dir, addressFile)); err != nil {
		return false, nil //nolint:nilerr // there is none, as far as anybody can see
	}
	return a.inUse()
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
