package app

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/herald-campaigns/herald/campaign"
)

// Retry are the failed rows of a campaign that trying again can help
// (docs/cli-json.md). Rows whose outcome is unknown are none of them.
type Retry struct {
	SchemaVersion int            `json:"schema_version"`
	CampaignID    campaign.ID    `json:"campaign_id"`
	Name          string         `json:"name"`
	Mode          campaign.Mode  `json:"mode"`
	State         campaign.State `json:"state"`
	Failed        int64          `json:"failed"` // failed rows in all
	Rows          int64          `json:"rows"`   // of them, those that can be retried
	Reasons       []RetryReason  `json:"reasons"`
	DryRun        bool           `json:"dry_run"`
	Retried       int64          `json:"retried"` // rows that wait again
	Sending       bool           `json:"sending"` // a service sends them

	served   bool // a service has the campaign
	campaign campaign.Campaign
	asOf     time.Time
}

// RetryReason is why some of them failed.
type RetryReason struct {
	Why  string `json:"why"` // for people: the kind of failure and the provider's words
	Rows int64  `json:"rows"`
}

// File is the campaign file, as a person in the working directory would write it.
func (r *Retry) File() string { return fileOf(r.campaign.Spec.Path) }

// Paused says that a service has the campaign, which is paused: the rows wait
// with all others.
func (r *Retry) Paused() bool { return r.served && !r.Sending }

// Live says whether real people are concerned.
func (r *Retry) Live() bool { return r.Mode == campaign.ModeLive }

// Retryable counts the rows of a campaign that can be retried, the most
// frequent reason first. Nothing is changed.
func (a *App) Retryable(ctx context.Context, idOrName string) (*Retry, error) {
	c, err := a.find(ctx, idOrName)
	if err != nil {
		return nil, err
	}
	r := &Retry{
		SchemaVersion: 1, CampaignID: c.ID, Name: c.Name, Mode: c.Mode, State: c.State, Reasons: []RetryReason{},
		campaign: c, asOf: time.Now(),
	}
	totals, err := a.store.Totals(ctx, c.ID)
	if err != nil {
		return nil, err
	}
	r.Failed = totals.ByStatus[campaign.StatusFailed]
	reasons, err := a.store.Retryable(ctx, c.ID)
	if err != nil {
		return nil, err
	}
	for why, rows := range reasons {
		r.Rows += rows
		r.Reasons = append(r.Reasons, RetryReason{Why: why, Rows: rows})
	}
	slices.SortFunc(r.Reasons, func(x, y RetryReason) int {
		return cmp.Or(cmp.Compare(y.Rows, x.Rows), cmp.Compare(x.Why, y.Why))
	})
	return r, nil
}

// Retry puts the rows back among those that wait. Rows that failed after they
// were counted are left alone: nobody agreed to them.
func (a *App) Retry(ctx context.Context, r *Retry) error {
	if err := r.possible(); err != nil {
		return err
	}
	var err error
	r.Retried, err = a.store.Retry(ctx, r.CampaignID, r.asOf)
	return err
}

// possible refuses a campaign that nothing is sent of any more.
func (r *Retry) possible() error {
	if r.State != campaign.StateCanceled {
		return nil
	}
	return &campaign.Error{
		Code: campaign.CodeConflict, What: fmt.Sprintf("campaign %q was canceled: nothing of it is sent any more", r.Name),
		Hint: "write a new campaign with `herald followup`; nothing was changed",
	}
}
