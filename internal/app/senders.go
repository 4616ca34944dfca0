package app

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/internal/gateway"
	"github.com/herald-campaigns/herald/storage"
)

// SenderView is a line of `herald senders` (docs/cli-json.md).
type SenderView struct {
	Sender    string           `json:"sender"` // masked; a phone id as it is
	Phone     PhoneView        `json:"phone"`
	Campaigns []SenderCampaign `json:"campaigns"` // that are not over, the newest first
	// Pace is the strictest of the campaigns that are running and the
	// configuration; while none runs, what a campaign gets that sets none.
	Pace     campaign.Pace `json:"pace"`
	UsedHour int64         `json:"used_hour"` // calls in the last 60 minutes, as the caps count
	UsedDay  int64         `json:"used_day"`
	LeftHour *int64        `json:"left_hour"` // of the caps; null: there is none
	LeftDay  *int64        `json:"left_day"`
	LastDay  SenderDay     `json:"last_day"`
	Held     []HoldView    `json:"held"` // what keeps it from sending now
	// BlockedUntil is until when the API asked it to wait; zero when it does not.
	BlockedUntil time.Time `json:"blocked_until,omitzero"`
	Queue        *int64    `json:"queue_depth"` // messages the provider has yet to send; null: it was not asked
}

// PhoneView is what was last seen of a phone.
type PhoneView struct {
	State campaign.PhoneState `json:"state"`          // in the provider's words; "" when it was never looked at
	Since time.Time           `json:"since,omitzero"` // in that state
	Seen  time.Time           `json:"seen,omitzero"`  // looked at last
}

// Word is the state as people say it.
func (v PhoneView) Word() string { return cmp.Or(string(v.State), "not looked at yet") }

// SenderCampaign is a campaign a sender is in.
type SenderCampaign struct {
	ID    campaign.ID    `json:"id"`
	Name  string         `json:"name"`
	State campaign.State `json:"state"`
}

// SenderDay is what a sender did in the last 24 hours. The rates are null as
// long as there is nothing to divide by.
type SenderDay struct {
	Calls    int64    `json:"calls"`
	Accepted int64    `json:"accepted"`
	Failed   int64    `json:"failed"`    // rejected, or given up by the provider
	Unknown  int64    `json:"unknown"`   // nobody knew what came of the call; some are settled since
	OptedOut int64    `json:"opted_out"` // people, in answer to its messages
	Failure  *float64 `json:"failure_rate"`
	OptOut   *float64 `json:"opt_out_rate"`
}

// OpenToCheck opens the data directory to ask the provider about its senders.
// busy says that another process holds it, which looks after the phones itself.
func OpenToCheck(ctx context.Context, cfg Config, log *slog.Logger) (a *App, busy bool, err error) {
	if err := mustExist(cfg); err != nil {
		return nil, false, err
	}
	held, err := storage.DirHeld(cfg.DataDir)
	if held || err != nil {
		return nil, held, err
	}
	a, err = Open(ctx, cfg, log)
	return a, false, err
}

// CheckSenders asks the provider about every sender's phone, and keeps what it
// said. The answer is how many messages each has in the provider's queue; a
// phone that is not known there has none.
func (a *App) CheckSenders(ctx context.Context) (_ map[campaign.SenderID]int64, err error) {
	provider, err := a.connect(1) //nolint:contextcheck // the simulator listens until it is closed
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, provider.close()) }()
	senders, err := a.store.Senders(ctx)
	if err != nil {
		return nil, err
	}
	depths := map[campaign.SenderID]int64{}
	for _, sender := range senders {
		state := gateway.PhoneConnected
		err := provider.gateway.Check(ctx, sender)
		if disconnected, is := errors.AsType[*gateway.DisconnectedError](err); is {
			state, err = disconnected.State, nil
		}
		if err == nil {
			err = a.store.PutPhone(ctx, sender.ID, state, time.Time{})
		}
		if err == nil && state != gateway.PhoneMissing {
			depths[sender.ID], err = provider.gateway.Backlog(ctx, sender)
		}
		if err != nil {
			return nil, err
		}
	}
	return depths, nil
}

// Senders is what the ledger knows of every sender, the oldest first. depths is
// what CheckSenders found; nil when nobody asked.
func (a *App) Senders(ctx context.Context, depths map[campaign.SenderID]int64) ([]SenderView, error) {
	now := time.Now()
	activity, err := a.store.SenderActivity(ctx, now.Add(-24*time.Hour))
	if err != nil {
		return nil, err
	}
	phones, err := a.store.PhoneStates(ctx)
	if err != nil {
		return nil, err
	}
	leases, err := a.store.Leases(ctx)
	if err != nil {
		return nil, err
	}
	open, err := a.openCampaigns(ctx)
	if err != nil {
		return nil, err
	}
	views := make([]SenderView, len(activity))
	for i, did := range activity {
		v := a.senderView(did, open)
		for _, p := range phones {
			if p.Sender.ID == did.Sender.ID {
				v.Phone = PhoneView{State: p.State, Since: p.Since, Seen: p.Seen}
			}
		}
		for _, lease := range leases {
			if lease.Sender == did.Sender.ID && lease.BlockedUntil.After(now) {
				v.BlockedUntil = lease.BlockedUntil.UTC()
			}
		}
		if depth, asked := depths[did.Sender.ID]; asked {
			v.Queue = &depth
		}
		views[i] = v
	}
	return views, nil
}

// openCampaign is one that is not over, with the holds of its senders.
type openCampaign struct {
	campaign.Campaign
	holds []HoldView
}

// openCampaigns are those that are not over, the newest first.
func (a *App) openCampaigns(ctx context.Context) ([]openCampaign, error) {
	all, err := a.store.Campaigns(ctx)
	if err != nil {
		return nil, err
	}
	var open []openCampaign
	for _, c := range all {
		if c.State.Over() || c.State == campaign.StateDraft {
			continue
		}
		interrupted, err := a.interrupted(ctx, c)
		if err != nil {
			return nil, err
		}
		holds, err := a.holdsOf(ctx, c, interrupted)
		if err != nil {
			return nil, err
		}
		open = append(open, openCampaign{Campaign: c, holds: holds})
	}
	return open, nil
}

func (a *App) senderView(did storage.SenderActivity, open []openCampaign) SenderView {
	phone := did.Sender.Phone
	v := SenderView{
		Sender: phone.String(), Campaigns: []SenderCampaign{}, Held: []HoldView{}, UsedHour: did.Hour, UsedDay: did.Day,
		LastDay: SenderDay{
			Calls: did.Calls, Accepted: did.Accepted, Failed: did.Failed, Unknown: did.Unknown, OptedOut: did.OptedOut,
			Failure: share(did.Failed, did.Calls), OptOut: share(did.OptedOut, did.Accepted),
		},
	}
	configured := a.cfg.Senders[string(phone)]
	var running, waiting campaign.Pace
	for _, c := range open {
		if !slices.Contains(c.Spec.Senders, string(phone)) {
			continue
		}
		v.Campaigns = append(v.Campaigns, SenderCampaign{ID: c.ID, Name: c.Name, State: c.State})
		switch pace := c.Spec.Pace.ForSender(configured); c.State { //nolint:exhaustive // the others send nothing more
		case campaign.StateRunning:
			running = running.Within(pace)
		case campaign.StatePaused, campaign.StateScheduled:
			waiting = waiting.Within(pace)
		}
		for _, held := range c.holds {
			v.hold(held, phone)
		}
	}
	// Without a campaign that sends or is going to there is no pace but the limits
	// that are set for the number.
	v.Pace = cmp.Or(running, waiting, configured)
	v.LeftHour, v.LeftDay = left(v.Pace.Hourly, did.Hour), left(v.Pace.Daily, did.Day)
	return v
}

// hold adds what keeps this sender from sending, once.
func (v *SenderView) hold(held HoldView, phone campaign.Phone) {
	if held.Reason == campaign.PauseDisconnected && !strings.HasPrefix(held.Detail, phone.String()+": ") {
		return // another sender's
	}
	if !slices.ContainsFunc(v.Held, func(other HoldView) bool { return other.Reason == held.Reason }) {
		v.Held = append(v.Held, held)
	}
}

// share is a part of a whole, at most 1: what is learned today may be about
// calls of yesterday.
func share(part, of int64) *float64 {
	if of == 0 {
		return nil
	}
	s := min(float64(part)/float64(of), 1)
	return &s
}

// left is what a cap leaves; nil without one.
func left(limit int, used int64) *int64 {
	if limit == 0 {
		return nil
	}
	n := max(int64(limit)-used, 0)
	return &n
}
