package main

import (
	"fmt"
	"time"

	"github.com/herald-campaigns/herald/internal/app"
)

// importSummary says what was read, in the numbers a person checks first.
func (t *terminal) importSummary(s *app.ImportSummary, rejects string) {
	t.say("%s: %s", s.File, s.Dialect)
	t.say("%10s rows, %s will get a message", comma(s.Rows), comma(s.Good))
	t.leftOutOf(app.LeftOutOf(s.Skipped))
	for _, group := range s.Problems {
		t.sayBelow(fmt.Sprintf("%10s ", comma(group.Count)), skippedRows(app.ProblemGroup(group)))
	}
	if rejects != "" {
		t.say("           listed, to be mended, in")
		t.say("           %s", rejects)
	}
}

// leftOutOf says who gets no message although nothing is wrong with the row.
func (t *terminal) leftOutOf(left app.LeftOut) {
	for _, part := range []struct {
		rows  int64
		words string
	}{
		{left.HeldOut, "held out: they get no message, to compare with"},
		{left.OptedOut, "opted out: they get no message"},
		{left.Excluded, "left out: the campaign is for others (`only`)"},
	} {
		if part.rows > 0 {
			t.say("%10s %s", comma(part.rows), part.words)
		}
	}
}

// skippedRows says why rows are skipped, by the first of them.
func skippedRows(group app.ProblemGroup) string {
	first := group.First[0]
	return fmt.Sprintf("skipped, e.g. line %d: %s%s (%s)", first.Line, quoted(first.Value), first.What, group.Code)
}

// plan says how long the rest takes and what decides that.
func (t *terminal) plan(p app.Plan) {
	t.say("Sending %s takes about %s", plural(p.Messages, "message"), course(p))
}

// warnOfStart warns of a start that is over.
func (t *terminal) warnOfStart(p *app.Prepared) {
	if over := p.StartOver(); over != "" {
		t.sayBelow("warning: ", "schedule.start: "+over)
	}
}

// course is how long a plan takes, why, and from when to when. The file may name
// another time zone than this machine's, so it says which one is meant.
func course(p app.Plan) string {
	start := "now"
	if time.Until(p.Start) > time.Second {
		start = at(p.Start)
	}
	zone := p.Finish.Local().Format("MST")
	return fmt.Sprintf("%s (%s): from %s to %s %s", long(p.Duration), p.BoundBy, start, at(p.Finish), zone)
}

func plural(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return comma(n) + " " + noun + "s"
}

// long is a duration in the words of a plan.
func long(d time.Duration) string {
	switch {
	case d < time.Second:
		return "1 s"
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Round(time.Second)/time.Second))
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min", int(d.Round(time.Minute)/time.Minute))
	case d < 48*time.Hour:
		return fmt.Sprintf("%.1f h", d.Hours())
	default:
		return fmt.Sprintf("%.1f days", d.Hours()/24)
	}
}
