package app

import (
	"context"
	"time"

	"github.com/herald-campaigns/herald/campaign"
)

// lateStart is how late a campaign may start by itself. Whoever set the time
// meant that time; after this a person decides (reliability page, P14).
const lateStart = 15 * time.Minute

// HoldMissed pauses a campaign that waited for its start while nobody was there
// to start it, and returns the error that says so; nil when its start is not
// missed. A campaign that is new, or had started, has missed nothing.
func (a *App) HoldMissed(ctx context.Context, p *Prepared) error {
	waits := p.Campaign.State == campaign.StateScheduled || p.Campaign.State == campaign.StatePaused && p.Campaign.StartedAt.IsZero()
	if !p.Resumed || !waits || !startMissed(p.Campaign.StartAt, time.Now()) {
		return nil
	}
	return a.holdMissed(ctx, p)
}

func (a *App) holdMissed(ctx context.Context, p *Prepared) error {
	due := p.Campaign.StartAt.Format("2006-01-02 15:04 -07:00")
	c, err := a.store.Transition(ctx, p.Campaign.ID, campaign.StatePaused, campaign.PauseMissedStart, "it was to start "+due)
	if err != nil {
		return err
	}
	p.Campaign.State, p.Campaign.Reason, p.Campaign.Detail = c.State, c.Reason, c.Detail
	return pausedError(c)
}

// startMissed says whether a start is over for too long; no start never is.
func startMissed(start, now time.Time) bool { return !start.IsZero() && now.Sub(start) > lateStart }

// StartOver says that a new campaign starts at once because its start is over;
// "" when it does not. One that was there before has missed it (HoldMissed), or
// has started.
func (p *Prepared) StartOver() string {
	if p.Resumed {
		return ""
	}
	return startOver(p.Campaign.Spec.Schedule, time.Now())
}

// startOver names the time in the zone that the file names.
func startOver(s campaign.Schedule, now time.Time) string {
	if s.Start.IsZero() || s.Start.After(now) {
		return ""
	}
	start := s.Start.Local()
	if zone, err := time.LoadLocation(s.Timezone); err == nil && s.Timezone != "" {
		start = s.Start.In(zone)
	}
	return start.Format("2006-01-02 15:04 MST") + " is over: it starts at once"
}

// awaitStart counts down to the scheduled start. A machine that slept through it
// has missed it.
func (r *run) awaitStart(ctx context.Context) error {
	c := &r.prepared.Campaign
	if r.opts.Now || c.StartAt.IsZero() || !time.Now().Before(c.StartAt) {
		return nil
	}
	if c.State == campaign.StateDraft || c.State == campaign.StatePaused && c.StartedAt.IsZero() {
		if err := r.transition(ctx, campaign.StateScheduled); err != nil {
			return err
		}
		if r.started != nil {
			r.started() // it waits, which is what it is to do
		}
	}
	tick := time.NewTicker(progressEvery)
	defer tick.Stop()
	for time.Now().Before(c.StartAt) {
		totals, err := r.app.store.Totals(ctx, c.ID)
		if err != nil {
			return err
		}
		if err := r.stillScheduled(ctx); err != nil {
			return err
		}
		r.opts.Progress(r.progress(totals))
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
	if err := r.stillScheduled(ctx); err != nil {
		return err
	}
	if c.State == campaign.StateScheduled && startMissed(c.StartAt, time.Now()) {
		return r.app.holdMissed(ctx, r.prepared)
	}
	return nil
}

// stillScheduled ends the countdown of a campaign that was paused or canceled
// meanwhile: its time comes, and it must not start.
func (r *run) stillScheduled(ctx context.Context) error {
	now, err := r.app.store.Campaign(ctx, r.prepared.Campaign.ID)
	if err != nil || now.State == r.prepared.Campaign.State {
		return err
	}
	r.prepared.Campaign = now
	if now.State == campaign.StatePaused {
		return pausedError(now)
	}
	return errNotScheduled
}

// errNotScheduled ends the run of a campaign that somebody else moved on.
var errNotScheduled = &campaign.Error{
	Code: campaign.CodeConflict, What: "the campaign is not scheduled any more", Hint: "`herald status` shows where it stands",
}
