package app

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/ratelimit"
	"github.com/herald-campaigns/herald/status"
	"github.com/herald-campaigns/herald/storage"
)

// Manager is what a person can do to a campaign that is in the ledger, by a
// service's hand or, without one, in the ledger itself.
type Manager interface {
	// ToChange is the one campaign of a name that a change can be for.
	ToChange(ctx context.Context, change Change, idOrName string) (campaign.ID, error)
	// PauseCampaign stops it until it is resumed; nobody is lost.
	PauseCampaign(ctx context.Context, idOrName string) (CampaignView, error)
	// ResumeCampaign lets it go on. Without a service it cannot: running its
	// file does.
	ResumeCampaign(ctx context.Context, idOrName string) (CampaignView, error)
	// CancelCampaign ends it for good.
	CancelCampaign(ctx context.Context, idOrName string) (CampaignView, Canceled, error)
}

// inUseError says that another process has the data directory.
type inUseError struct{ error }

func (e inUseError) Unwrap() error { return e.error }

// Beside tells whoever wants the change beside a process that has the data
// directory, and is no service, how it is made there. Other errors are returned
// as they are.
func (c Change) Beside(err error) error {
	held, is := errors.AsType[inUseError](err)
	if !is {
		return err
	}
	hint := "stop it with Ctrl-C where it runs (nothing is lost), then try again; `herald status` works beside it"
	switch c {
	case ChangePause:
		hint = "if it sends this campaign, press p or Ctrl-C where it runs; else wait for its end"
	case ChangeResume:
		hint = "if it sends this campaign, press r where it runs; else wait for its end, then run this campaign's file"
	case ChangeCancel:
		hint = "stop it with Ctrl-C where it runs (nothing is lost), then cancel; `herald status` works beside it"
	default:
	}
	return &campaign.Error{Code: campaign.CodeConflict, What: held.Error(), Hint: hint}
}

// Canceled is what canceling a campaign came to.
type Canceled struct {
	Waiting  int64 // rows that waited, and will not be sent
	Queued   int64 // messages that were in the provider's queue
	TakenOut int64 // those of them that were taken out of there, as far as is known
	GoneOut  int64 // those that had gone out
	Unclear  int64 // rows of which nobody knows whether the provider took them
	Purging  bool  // a service takes them out
	Trouble  error `json:"-"` // why some may not have been taken out
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

// CancelCampaign cancels a campaign that no process sends, and takes what it can
// out of the provider's queue.
func (a *App) CancelCampaign(ctx context.Context, idOrName string) (CampaignView, Canceled, error) {
	c, err := a.find(ctx, idOrName)
	if err != nil {
		return CampaignView{}, Canceled{}, err
	}
	c, before, err := a.endForGood(ctx, c.ID)
	if err != nil {
		return CampaignView{}, Canceled{}, err
	}
	out := Canceled{Queued: inQueue(before), Unclear: unclear(before)}
	following := a.followQueued(ctx, c.ID, before)
	var taking sync.WaitGroup
	if out.Queued > 0 { // it goes out meanwhile: it does not wait for a million rows
		taking.Go(func() { out.Trouble = a.takeOut(ctx, c.ID) })
	}
	// Also when whoever asked for it hangs up: a canceled campaign of which rows wait
	// would say so for ever.
	out.Waiting, err = a.store.Cancel(context.WithoutCancel(ctx), c.ID)
	taking.Wait()
	if err = halfCanceled(c, following, err); err != nil {
		return CampaignView{}, out, err
	}
	if _, err := a.RefreshReports(ctx, c.ID); err != nil {
		a.log.WarnContext(ctx, "reports not written", "campaign_id", c.ID, "err", err)
	}
	v, err := a.Campaign(ctx, string(c.ID))
	// Nobody else changes the ledger. What went out may also have been taken back
	// by an earlier command.
	left := max(0, out.Queued-v.InQueue())
	out.GoneOut = min(left, max(0, v.AtLeastSent()-before.AtLeastSent()))
	out.TakenOut = left - out.GoneOut
	return v, out, err
}

// endForGood makes a campaign canceled, so that no row of it can be claimed, and
// says what it was before. What waits is still to be canceled.
func (a *App) endForGood(ctx context.Context, id campaign.ID) (c campaign.Campaign, before campaign.Totals, err error) {
	if c, err = a.store.Campaign(ctx, id); err != nil {
		return c, before, err
	}
	if before, err = a.store.Totals(ctx, id); err != nil {
		return c, before, err
	}
	if c.State == campaign.StateCompleted || c.State == campaign.StateTracking && before.Unsubmitted()+inQueue(before) == 0 {
		return c, before, &campaign.Error{
			Code: campaign.CodeConflict, What: fmt.Sprintf("everything of campaign %q is sent: there is nothing left to cancel", c.Name),
			Hint: "nothing was changed",
		}
	}
	_, err = a.store.Transition(ctx, id, campaign.StateCanceled, "", "by "+operator())
	return c, before, err
}

// followQueued has what was given up, in the queue of a phone that is away, taken
// out of there as well.
func (a *App) followQueued(ctx context.Context, id campaign.ID, before campaign.Totals) error {
	if inQueue(before) == 0 {
		return nil
	}
	return a.store.FollowQueued(ctx, id, time.Now().Add(unheardOf))
}

// unheardOf is how long messages that were given up have to be taken out of the
// queue before they are asked for and given up again.
const unheardOf = 72 * time.Hour

// halfCanceled says of a campaign that cannot go on what is left to do.
func halfCanceled(c campaign.Campaign, failures ...error) error {
	err := errors.Join(failures...)
	if err == nil {
		return nil
	}
	return &campaign.Error{
		Code: campaign.CodeOf(err), What: fmt.Sprintf("campaign %q is canceled, and sends nothing more; not all of its rows say so yet", c.Name),
		Hint: fmt.Sprintf("`herald cancel %s` again comes to the end of it", c.ID), Err: err,
	}
}

// inQueue counts the messages that the provider has taken and not sent.
func inQueue(t campaign.Totals) int64 {
	return t.ByStatus[campaign.StatusQueued] + t.ByStatus[campaign.StatusProcessing]
}

// unclear counts the rows that the provider may have taken.
func unclear(t campaign.Totals) int64 {
	return t.ByStatus[campaign.StatusUnknown] + t.ByStatus[campaign.StatusSubmitting]
}

const (
	takeOutTries = 3                // of a job that the provider does not echo
	takeOutFor   = 15 * time.Second // at most
	askFor       = 15 * time.Second // at most, after that
)

// takeOut takes the jobs of canceled campaigns out of the provider's queue, as
// far as that can be done at once, and asks what became of those of one campaign:
// the provider says of a job that is gone, too, that it took it out. What is left
// of both is done by whatever sends next from this data directory.
func (a *App) takeOut(ctx context.Context, id campaign.ID) (err error) {
	if err := errors.Join(a.cfg.canSend(), a.store.BindMode(ctx, a.cfg.Mode)); err != nil {
		return err
	}
	provider, err := a.connect(pollersInFlight) //nolint:contextcheck // the simulator listens until it is closed
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, provider.close()) }()
	purging, cancel := context.WithTimeout(ctx, takeOutFor)
	defer cancel()
	err = status.NewWithdrawals(a.store, provider.gateway, a.log).Drain(purging, takeOutTries)
	asking, cancel := context.WithTimeout(ctx, askFor)
	defer cancel()
	return errors.Join(err, a.askAfter(asking, provider, id))
}

// askAfter asks once for the status of each message of a campaign that was taken
// out, as far as there is time.
func (a *App) askAfter(ctx context.Context, provider *provider, id campaign.ID) error {
	budget := ratelimit.New(ratelimit.Config{PerSecond: a.cfg.pollsPerSecond(), Burst: 1})
	poller := status.New(takenOut{a.store, id}, provider.gateway, budget, a.log, status.Config{Schedule: a.schedule()})
	for {
		asked, err := poller.Round(ctx)
		if asked == 0 || err != nil || ctx.Err() != nil {
			return err
		}
	}
}

// takenOut is the ledger as somebody sees it who asks only for messages of a
// campaign that were taken out.
type takenOut struct {
	*storage.Store

	id campaign.ID
}

// DuePolls is those of them that are due.
func (t takenOut) DuePolls(ctx context.Context, now time.Time, limit int, _ ...campaign.ID) ([]campaign.Tracked, error) {
	return t.DueTakenBack(ctx, now, limit, t.id)
}
