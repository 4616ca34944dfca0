package app

import (
	"fmt"
	"strings"
	"testing"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/sandbox"
)

// someWithout are n people, of whom each tenth is not on WhatsApp.
func someWithout(n int) string {
	var b strings.Builder
	b.WriteString("phone,name\n")
	for i := range n {
		suffix := "0001"
		if i%10 == 3 {
			suffix = "0404"
		}
		fmt.Fprintf(&b, "+1%d555%s,Person %d\n", 201+i, suffix, i)
	}
	return b.String()
}

// TestContactsAreChecked before anything is sent: who is not on WhatsApp is
// skipped, and the provider never sees a message for them. There are more people
// than one question takes.
func TestContactsAreChecked(t *testing.T) {
	t.Parallel()
	th := newTheater(t, nil)
	th.simulated(10_000, nil)
	th.write("people.csv", someWithout(120))
	file := th.write("checked.yaml", "name: checked\nrecipients: { csv: people.csv, phone: phone }\nmessage: { text: \"Hi {{ name }}\" }\n"+
		"senders: [\""+testSender+"\"]\npace: { rate: unlimited, in_flight: 8 }\ncontact_check: true\n")
	result := th.mustRun(file, PrepareOptions{})
	wantTotals(t, result.Totals, map[campaign.Status]int64{campaign.StatusQueued: 108, campaign.StatusSkipped: 12})
	if n := result.Totals.Skipped[campaign.SkipNotOnWhatsApp]; n != 12 {
		t.Errorf("%d are skipped as not on WhatsApp, want 12: %v", n, result.Totals.Skipped)
	}
	for _, a := range th.sim.Acceptances() {
		if strings.HasSuffix(a.ChatID, "5550404@c.us") {
			t.Errorf("%s was sent to", a.ChatID)
		}
	}
	if n := len(th.sim.Acceptances()); n != 108 {
		t.Errorf("%d messages were taken, want 108", n)
	}
}

// TestContactsThatCannotBeChecked hold nobody up: an account without that API
// sends unchecked, and the log says so once.
func TestContactsThatCannotBeChecked(t *testing.T) {
	t.Parallel()
	th := newTheater(t, func(c *sandbox.Config) {
		c.Faults = []sandbox.Fault{{Kind: sandbox.FaultStatus, Status: 404, Route: sandbox.RouteContacts}}
	})
	th.write("people.csv", someWithout(120))
	file := th.write("unchecked.yaml", "name: unchecked\nrecipients: { csv: people.csv, phone: phone }\nmessage: { text: \"Hi {{ name }}\" }\n"+
		"senders: [\""+testSender+"\"]\npace: { rate: unlimited, in_flight: 8 }\ncontact_check: true\n")
	result := th.mustRun(file, PrepareOptions{})
	if n := len(th.sim.Acceptances()); n != 120 || result.Totals.ByStatus[campaign.StatusSkipped] != 0 {
		t.Errorf("%d messages were taken, want all 120: %v", n, result.Totals.ByStatus)
	}
	if n := strings.Count(th.log.String(), "numbers cannot be checked with this account"); n != 1 {
		t.Errorf("the log says %d times that numbers are not checked", n)
	}
}
