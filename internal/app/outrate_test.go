package app

import (
	"fmt"
	"strings"
	"testing"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/sandbox"
)

// annoyed are rows of which the first are people who answer STOP.
func annoyed(stops, others int) string {
	var b strings.Builder
	b.WriteString("phone,name\n")
	for i := range stops {
		fmt.Fprintf(&b, "+1%d5551010,Annoyed %d\n", 201+i, i)
	}
	for i := range others {
		fmt.Fprintf(&b, "+%s,Person %d\n", number(i+1), i)
	}
	return b.String()
}

// TestTooManyOptOutsPause a campaign, with the reason; whoever resumes it has
// decided, and the same people do not pause it again.
func TestTooManyOptOutsPause(t *testing.T) {
	t.Parallel()
	const stops, others = 8, 260
	th := hooked(t, func(c *sandbox.Config) { c.Instant, c.Speed = false, 20_000 })
	th.write("people.csv", annoyed(stops, others))
	file := th.write("annoying.yaml", "name: annoying\nrecipients: { csv: people.csv, phone: phone }\nmessage: { text: \"Hi {{ name }}\" }\n"+
		"senders: [\""+testSender+"\"]\npace: { rate: 30/s, in_flight: 4 }\n")
	s := th.serve()
	defer s.end()
	check(t, s.registered())
	id := s.start(file)
	v := s.until(id, func(v CampaignView) bool { return v.State == campaign.StatePaused || v.Rows > 0 && v.Waiting() == 0 })
	if v.State != campaign.StatePaused || v.Reason != campaign.PauseOptOutRate || !strings.Contains(v.Detail, "opted out") {
		t.Fatalf("the campaign is %s, %s (%s)", v.State, v.Reason, v.Detail)
	}
	if v.Waiting() == 0 {
		t.Error("nothing was left to pause")
	}
	s.untilKnown(id, func(all []known) bool { return optedOut(all) == stops })
	sent := len(th.sim.Acceptances())
	if sent < optOutSample {
		t.Errorf("paused after %d messages with %d opt-outs", sent, stops)
	}
	_, err := s.remote.ResumeCampaign(t.Context(), string(id))
	check(t, err)
	s.until(id, func(v CampaignView) bool { return v.Waiting() == 0 })
	if n := len(th.sim.Acceptances()); n != stops+others {
		t.Errorf("%d messages were taken, want %d", n, stops+others)
	}
}

// TestFewOptOutsDoNotPause a campaign: some always say STOP.
func TestFewOptOutsDoNotPause(t *testing.T) {
	t.Parallel()
	th := hooked(t, func(c *sandbox.Config) { c.Instant, c.Speed = false, 20_000 })
	th.write("people.csv", annoyed(2, 118))
	file := th.write("bearable.yaml", "name: bearable\nrecipients: { csv: people.csv, phone: phone }\nmessage: { text: \"Hi {{ name }}\" }\n"+
		"senders: [\""+testSender+"\"]\npace: { rate: 200/s, in_flight: 4 }\n")
	s := th.serve()
	defer s.end()
	check(t, s.registered())
	id := s.start(file)
	s.untilKnown(id, func(all []known) bool { return optedOut(all) == 2 })
	s.until(id, func(v CampaignView) bool { return v.Waiting() == 0 })
	timeline, err := s.app.store.Timeline(t.Context(), id)
	check(t, err)
	for _, e := range timeline {
		if e.To == campaign.StatePaused {
			t.Errorf("paused: %+v", e)
		}
	}
}
