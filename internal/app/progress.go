package app

import (
	"time"

	"github.com/herald-campaigns/herald/campaign"
)

// Progress is where a running campaign stands.
type Progress struct {
	Campaign   campaign.Campaign
	Rows       int64
	Totals     campaign.Totals
	RateNow    float64       // accepted a second over the last seconds
	RateMean   float64       // accepted a second since this run began
	Remaining  time.Duration // to the last submission; negative while unknown
	Finish     time.Time     // zero while unknown
	Elapsed    time.Duration
	InFlight   int
	StartsIn   time.Duration // scheduled: until the start
	Submitting bool          // false once everything is submitted
	Senders    int           // that the campaign sends from
	Holds      []Hold        // senders that begin no calls for now
	Unclear    int64         // unknown rows that are being looked for in the provider's lists
	// Silent is for how long nothing was accepted although much longer than the
	// pace explains; zero while things go as planned.
	Silent time.Duration
}

func (r *run) progress(totals campaign.Totals) Progress {
	now := time.Now()
	c := r.prepared.Campaign
	p := Progress{
		Campaign: c, Rows: c.Rows(), Totals: totals,
		RateNow: r.speed.now(), RateMean: r.speed.mean(),
		Elapsed: now.Sub(r.began), Remaining: -1,
		Submitting: r.submitted.IsZero(), Senders: len(r.prepared.senders), Unclear: r.unclear(totals),
	}
	if c.State == campaign.StateScheduled {
		p.StartsIn = c.StartAt.Sub(now)
	}
	if c.State == campaign.StateRunning && p.Submitting {
		p.Holds = r.engine.holds(r.lane)
	}
	if c.State == campaign.StateRunning && p.Submitting && len(p.Holds) == 0 {
		p.Silent = r.silent(now)
	}
	switch left := totals.Unsubmitted(); {
	case left == 0:
		p.Remaining = 0
	case c.State == campaign.StateRunning && p.Silent == 0 && len(p.Holds) == 0: // else nobody can tell
		p.Remaining, p.Finish = r.remaining(now, left)
	}
	return p
}

// silent is how long the API has taken nothing, once that is too long to be a
// gap between messages.
func (r *run) silent(now time.Time) time.Duration {
	const patience, gaps = 10 * time.Second, 5
	since := r.speed.moved
	if since.IsZero() {
		since = r.began
	}
	limit := patience
	for _, pace := range r.prepared.paces {
		if rate := pace.Rate.PerSecond(); rate > 0 {
			limit = max(limit, time.Duration(gaps/rate*float64(time.Second)))
		}
	}
	if quiet := now.Sub(since); quiet > limit {
		return quiet
	}
	return 0
}

// remaining estimates the rest from the plan's limits and the speed seen: a
// cap that will bite is in the plan, a slow API only in the speed.
func (r *run) remaining(now time.Time, left int64) (time.Duration, time.Time) {
	if !r.speed.settled() {
		return -1, time.Time{}
	}
	loads := make([]campaign.SenderLoad, len(r.prepared.paces))
	for i, pace := range r.prepared.paces {
		loads[i] = campaign.SenderLoad{Messages: (left + int64(len(loads)-i) - 1) / int64(len(loads)), Pace: pace}
	}
	rest := campaign.MakePlan(loads, now).Duration
	// A few messages at a slow pace say nothing about speed yet.
	if speed := max(r.speed.now(), r.speed.mean()); r.speed.count >= enoughToTell {
		rest = max(rest, time.Duration(float64(left)/speed*float64(time.Second)))
	}
	return rest, now.Add(rest)
}

// speedometer turns a growing count into a speed that does not jump about.
type speedometer struct {
	began   time.Time
	last    time.Time
	moved   time.Time // when the count last grew
	count   int64
	ewma    float64
	samples int
}

const (
	speedSmoothing = 0.1 // of each sample; about two seconds of memory
	speedSamples   = 10  // before the speed says anything
	enoughToTell   = 5   // messages
)

func (s *speedometer) observe(at time.Time, count int64) {
	if s.began.IsZero() {
		s.began, s.last, s.count = at, at, count
		return
	}
	elapsed := at.Sub(s.last).Seconds()
	if elapsed <= 0 {
		return
	}
	if count > s.count {
		s.moved = at
	}
	rate := float64(count-s.count) / elapsed
	if s.samples == 0 {
		s.ewma = rate
	}
	s.ewma += speedSmoothing * (rate - s.ewma)
	s.last, s.count = at, count
	s.samples++
}

func (s *speedometer) now() float64  { return s.ewma }
func (s *speedometer) settled() bool { return s.samples >= speedSamples }

func (s *speedometer) mean() float64 {
	elapsed := s.last.Sub(s.began).Seconds()
	if elapsed <= 0 {
		return 0
	}
	return float64(s.count) / elapsed
}
