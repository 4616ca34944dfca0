package app

import (
	"context"
	"fmt"

	"github.com/herald-campaigns/herald/campaign"
)

// Manager is what a person can do to a campaign that is in the ledger, by a
// service's hand or, without one, in the ledger itself.
type Manager interface {
	// PauseCampaign stops it until it is resumed; nobody is lost.
	PauseCampaign(ctx context.Context, idOrName string) (CampaignView, error)
	// ResumeCampaign lets it go on. Without a service it cannot: running its
	// file does.
	ResumeCampaign(ctx context.Context, idOrName string) (CampaignView, error)
	// CancelCampaign ends it for good, and says how many rows will not be sent.
	CancelCampaign(ctx context.Context, idOrName string) (CampaignView, int64, error)
}

// PauseCampaign pauses a campaign that no process sends.
func (a *App) PauseCampaign(ctx context.Context, idOrName string) (CampaignView, error) {
	c, err := a.find(ctx, idOrName)
	if err != nil {
		return CampaignView{}, err
	}
	err = a.pause(ctx, c.ID, func(ctx context.Context, detail string) error {
		_, err := a.store.Transition(ctx, c.ID, campaign.StatePaused, campaign.PauseOperator, detail)
		return err
	})
	if err != nil {
		return CampaignView{}, err
	}
	return a.Campaign(ctx, string(c.ID))
}

// pause does what do does for a campaign that can be paused.
func (a *App) pause(ctx context.Context, id campaign.ID, do func(ctx context.Context, detail string) error) error {
	c, err := a.store.Campaign(ctx, id)
	if err != nil {
		return err
	}
	switch c.State {
	case campaign.StateRunning, campaign.StateScheduled:
		return do(ctx, "by "+operator())
	case campaign.StatePaused:
		return nil
	default:
		return &campaign.Error{
			Code: campaign.CodeConflict, What: fmt.Sprintf("campaign %q is %s: there is nothing to pause", c.Name, c.State),
			Hint: "`herald status " + string(id) + "` shows where it stands; nothing was changed",
		}
	}
}

// ResumeCampaign refuses: only what sends can resume.
func (a *App) ResumeCampaign(ctx context.Context, idOrName string) (CampaignView, error) {
	c, err := a.find(ctx, idOrName)
	if err != nil {
		return CampaignView{}, err
	}
	return CampaignView{}, &campaign.Error{
		Code: campaign.CodeConflict, What: fmt.Sprintf("campaign %q: nobody is sending from this data directory", c.Name),
		Hint: fmt.Sprintf("`herald run %s` goes on with it here, or start `herald serve` first", fileOf(c.Spec.Path)),
	}
}

// CancelCampaign cancels a campaign that no process sends.
func (a *App) CancelCampaign(ctx context.Context, idOrName string) (CampaignView, int64, error) {
	c, err := a.find(ctx, idOrName)
	if err != nil {
		return CampaignView{}, 0, err
	}
	canceled, err := a.cancel(ctx, c.ID)
	if err != nil {
		return CampaignView{}, canceled, err
	}
	v, err := a.Campaign(ctx, string(c.ID))
	return v, canceled, err
}

// cancel ends a campaign: from the first write on no row of it can be claimed.
func (a *App) cancel(ctx context.Context, id campaign.ID) (int64, error) {
	c, err := a.store.Campaign(ctx, id)
	if err != nil {
		return 0, err
	}
	totals, err := a.store.Totals(ctx, id)
	if err != nil {
		return 0, err
	}
	if c.State == campaign.StateCompleted || c.State == campaign.StateTracking && totals.Unsubmitted() == 0 {
		return 0, &campaign.Error{
			Code: campaign.CodeConflict, What: fmt.Sprintf("everything of campaign %q is sent: there is nothing left to cancel", c.Name),
			Hint: "nothing was changed",
		}
	}
	if _, err := a.store.Transition(ctx, id, campaign.StateCanceled, "", "by "+operator()); err != nil {
		return 0, err
	}
	return a.store.Cancel(ctx, id)
}
