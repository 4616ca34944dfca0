package app

import (
	"context"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/internal/natsd"
	"github.com/herald-campaigns/herald/sandbox"
)

const (
	// demoSpeed makes half an hour, the longest that somebody takes to answer, less
	// than a second.
	demoSpeed = 2000

	// demoPause lies between the campaigns: Herald counts a reply to the latest
	// message, and grants clocks that disagree 5 s.
	demoPause = 3500 * time.Millisecond
	// demoPatience is for those who answer last.
	demoPatience = 2 * time.Second

	demoPhoneEvery  = 500 * time.Millisecond // how often the phone is looked after
	demoOut         = 2 * time.Second        // how long it is away, as Herald sees it
	demoMost        = 10 * time.Second       // and if Herald does not see it
	demoDisconnects = 60                     // messages after which it goes
	demoWrites      = 30                     // messages after which Siân writes

	// demoWriter is in the second row of the recipients, and does not say STOP
	// as a machine likes it.
	demoWriter     = "447700900812"
	demoWriterSays = "Please stop, I have moved house"
)

// demoPeople is what the invented people do with a message.
func demoPeople() sandbox.People { return sandbox.People{Reply: 0.08, Stop: 0.02, Vote: 0.45} }

// Demo is an open data directory whose campaigns get answers: people reply, opt
// out and vote, which Herald hears of by webhook, and once the phone loses its
// connection for a moment.
type Demo struct {
	*App

	ran []campaign.ID

	mu    sync.Mutex
	sim   *sandbox.Server // of the campaign that runs
	phone string
	wrote bool
	out   time.Time // since when the phone is away; zero: it is not
	back  bool      // it was away, and is not any more
}

// OpenDemo opens the data directory of a demo as Open does.
func OpenDemo(ctx context.Context, cfg Config, log *slog.Logger) (*Demo, error) {
	a, err := Open(ctx, cfg, log)
	if err != nil {
		return nil, err
	}
	d := &Demo{App: a}
	a.tuning.phoneEvery = demoPhoneEvery
	a.tuning.sandbox = func(c *sandbox.Config) { c.People = demoPeople() }
	a.tuning.started = func(_ *natsd.Server, sim *sandbox.Server) {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.sim = sim
	}
	return d, nil
}

// Run sends a prepared campaign as App.Run does, receives webhooks, and has
// things happen on the way.
func (d *Demo) Run(ctx context.Context, p *Prepared, opts RunOptions) (RunResult, error) {
	d.ran = append(d.ran, p.Campaign.ID)
	d.phone = string(p.senders[0].Phone)
	opts.Webhooks = "127.0.0.1:0"
	show := opts.Progress
	opts.Progress = func(progress Progress) {
		d.happen(ctx, progress)
		if show != nil {
			show(progress)
		}
	}
	// Or it would be away for good in this folder.
	defer context.AfterFunc(ctx, func() { d.reconnect(context.WithoutCancel(ctx)) })()
	return d.App.Run(ctx, p, opts)
}

// happen does what is due at this point of a campaign. A demo in which it
// cannot is only less of one.
func (d *Demo) happen(ctx context.Context, p Progress) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.sim == nil || !p.Submitting {
		return
	}
	accepted := p.Totals.Accepted()
	if !d.wrote && accepted >= demoWrites {
		d.wrote = true
		if _, err := d.sim.Reply(d.phone, demoWriter, demoWriterSays, sandbox.ReplyOptions{}); err != nil {
			d.log.WarnContext(ctx, "nobody could write in the demo", "err", err)
		}
	}
	switch {
	case d.back:
	case d.out.IsZero() && accepted >= demoDisconnects:
		d.out = time.Now()
		if err := d.sim.Disconnect(d.phone); err != nil {
			d.log.WarnContext(ctx, "the phone of the demo could not be disconnected", "err", err)
		}
	case !d.out.IsZero() && (waited(p) >= demoOut || time.Since(d.out) >= demoMost):
		d.connect(ctx)
	}
}

func (d *Demo) reconnect(ctx context.Context) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.out.IsZero() && !d.back {
		d.connect(ctx)
	}
}

// waited is for how long the sending has waited for the phone.
func waited(p Progress) time.Duration {
	for _, hold := range p.Holds {
		if hold.Reason == campaign.PauseDisconnected {
			return time.Since(hold.Since)
		}
	}
	return 0
}

// connect brings the phone back; d.mu must be held.
func (d *Demo) connect(ctx context.Context) {
	d.back = true
	if err := d.sim.Connect(d.phone); err != nil {
		d.log.WarnContext(ctx, "the phone of the demo could not be connected", "err", err)
	}
}

// DemoOutcome is what came back of one of the demo's campaigns.
type DemoOutcome struct {
	Replied, OptedOut, Voted int64
	LeftOut                  int64         // had opted out before
	Away                     time.Duration // how long sending waited for the phone
	Sound                    bool          // every row is accounted for, nobody was sent to twice
	HTMLFile, Workbook       string        // its reports
}

// Outcomes tells what came back, of each campaign in the order they were run,
// and how many messages wait for a person to decide whether they mean STOP.
func (d *Demo) Outcomes(ctx context.Context) (all []DemoOutcome, toReview int, err error) {
	for _, id := range d.ran {
		written, err := d.report(ctx, id, false, "")
		if err != nil {
			return nil, 0, err
		}
		totals, err := d.store.Totals(ctx, id)
		if err != nil {
			return nil, 0, err
		}
		outcome := DemoOutcome{
			Replied: totals.Replied, OptedOut: totals.OptedOut, Voted: totals.Voted, LeftOut: totals.Skipped[campaign.SkipOptedOut],
			Sound:    written.Balanced() && written.value.Safety != nil && written.value.Safety.DuplicateSends == 0,
			HTMLFile: filepath.Join(d.folder(id), reportHTML), Workbook: filepath.Join(d.folder(id), resultsXLS),
		}
		for _, wait := range written.value.Waits {
			if wait.Reason == campaign.PauseDisconnected {
				outcome.Away += time.Duration(wait.TotalMS) * time.Millisecond
			}
		}
		all = append(all, outcome)
	}
	reviews, err := d.store.Reviews(ctx)
	return all, len(reviews), err
}
