package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/herald-campaigns/herald/internal/app"
)

// progressView shows a running campaign: redrawn in place for a person, one
// plain line now and then in a pipe, one JSON object a change for a program.
type progressView interface {
	show(p app.Progress)
	close()
}

// shownProgress is a view and the wishes it takes from the keyboard.
type shownProgress struct {
	progressView
	control <-chan app.Control
}

func (t *terminal) newProgressView(quiet bool) shownProgress {
	switch {
	case quiet:
		return shownProgress{progressView: silent{}}
	case t.json:
		return shownProgress{progressView: &jsonLines{t: t, every: time.Second}}
	case t.live():
		view := newLiveView(t)
		return shownProgress{progressView: view, control: view.control}
	default:
		return shownProgress{progressView: &plainLines{t: t, every: 10 * time.Second}}
	}
}

type silent struct{}

func (silent) show(app.Progress) {}
func (silent) close()            {}

// plainLines writes a line every ten seconds and on each change of state.
type plainLines struct {
	t     *terminal
	every time.Duration
	last  time.Time
	state string
}

func (v *plainLines) show(p app.Progress) {
	state := phase(p)
	if state == v.state && time.Since(v.last) < v.every {
		return
	}
	v.state, v.last = state, time.Now()
	v.t.say("%s  %s  %s", time.Now().Format(time.TimeOnly), headline(p), strings.Join(figures(p), "  "))
}

func (v *plainLines) close() {}

// jsonLines writes one object on each change, at most one a second.
type jsonLines struct {
	t     *terminal
	every time.Duration
	last  time.Time
	state string
	line  string
}

func (v *jsonLines) show(p app.Progress) {
	held, _ := p.Held()
	state := string(p.Campaign.State) + held
	if state == v.state && time.Since(v.last) < v.every {
		return
	}
	event := p.Event()
	line := fmt.Sprint(event.Balance, state)
	if line == v.line {
		return
	}
	v.state, v.last, v.line = state, time.Now(), line
	// A reader that went away is noticed when the summary is written.
	_ = v.t.printLine(event)
}

func (v *jsonLines) close() {}

// phase is the headline without what counts in it: it changes when something
// else happens.
func phase(p app.Progress) string {
	p.StartsIn, p.Unclear = min(p.StartsIn, 1), min(p.Unclear, 1)
	return headline(p)
}

// headline says in words what the campaign does right now.
func headline(p app.Progress) string {
	held, all := p.Held()
	switch {
	case p.StartsIn > 0:
		return "starts in " + clock(p.StartsIn)
	case p.Campaign.Reason != "":
		return "paused: " + strings.ReplaceAll(string(p.Campaign.Reason), "_", " ")
	case p.Totals.Sum() > 0 && p.Totals.Unsubmitted() == 0 && p.Unclear > 0:
		return fmt.Sprintf("looking for %s unclear in Periskope's lists", comma(p.Unclear))
	case p.Totals.Sum() > 0 && p.Totals.Unsubmitted() == 0:
		return "following" // nothing is left to send, whatever the run is about to notice
	case held != "" && all:
		return "waiting: " + held
	case p.Silent > 0:
		return "waiting for the API"
	case p.Submitting:
		return "sending"
	default:
		return "following"
	}
}

// figures are the numbers of a progress line.
func figures(p app.Progress) []string {
	accepted := p.Accepted()
	all := []string{fmt.Sprintf("%s/%s accepted", comma(accepted), comma(p.Sendable()))}
	if p.Submitting && p.RateMean > 0 && p.Campaign.Reason == "" { // before the first acceptance there is no speed
		all = append(all, rate(p.RateMean))
	}
	all = append(all,
		comma(p.Totals.AtLeastSent())+" sent", comma(p.Totals.AtLeastDelivered())+" delivered")
	if failed := p.FailedCount(); failed > 0 {
		all = append(all, comma(failed)+" failed")
	}
	if held, everyone := p.Held(); held != "" && !everyone {
		all = append(all, held)
	}
	if unknown := p.UnknownCount(); unknown > 0 {
		all = append(all, comma(unknown)+" unknown")
	}
	if p.Submitting && p.Remaining > 0 {
		all = append(all, fmt.Sprintf("about %s left, done %s", clock(p.Remaining), at(p.Finish)))
	}
	return all
}

// rate is a speed in the unit that reads best.
func rate(perSecond float64) string {
	switch {
	case perSecond >= 10:
		return fmt.Sprintf("%.0f/s", perSecond)
	case perSecond >= 1:
		return fmt.Sprintf("%.1f/s", perSecond)
	default:
		return fmt.Sprintf("%.1f/m", perSecond*60)
	}
}

// clock is a duration as people read it: 0:42, 12:05, 3:20:00.
func clock(d time.Duration) string {
	seconds := int64(d.Round(time.Second) / time.Second)
	if hours := seconds / 3600; hours > 0 {
		return fmt.Sprintf("%d:%02d:%02d", hours, seconds/60%60, seconds%60)
	}
	return fmt.Sprintf("%d:%02d", seconds/60, seconds%60)
}

// at is a time of day, with the day when it is not today.
func at(moment time.Time) string {
	moment = moment.Local()
	if now := time.Now(); moment.YearDay() == now.YearDay() && moment.Year() == now.Year() {
		return moment.Format("15:04")
	}
	return moment.Format("Mon 2 Jan 15:04")
}
