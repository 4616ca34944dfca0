package app

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/report"
)

// TestReportsAreRefreshed: the files follow what happens after the last
// message was sent, and are left alone while nothing does.
func TestReportsAreRefreshed(t *testing.T) {
	t.Parallel()
	th := newTheater(t, nil)
	id := th.mustRun(th.text(5, ""), PrepareOptions{}).Campaign.ID
	a := th.open()
	defer func() { check(t, a.Close()) }()

	refreshed := func(want bool) {
		t.Helper()
		if got, err := a.RefreshReports(t.Context(), id); err != nil || got != want {
			t.Errorf("refreshed %t, %v, want %t", got, err, want)
		}
	}
	refreshed(true)
	for _, name := range []string{"report.txt", "report.json", "report.html", "results.csv", "results.xlsx"} {
		info, err := os.Stat(filepath.Join(a.folder(id), name))
		if err != nil || info.Size() == 0 || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
	refreshed(false)
	check(t, a.store.Note(t.Context(), id, campaign.Event{Kind: campaign.EventResolved, Detail: "late proof <b>"}))
	refreshed(true)
	page, err := os.ReadFile(filepath.Join(a.folder(id), "report.html"))
	check(t, err)
	if !strings.Contains(string(page), "late proof &lt;b&gt;") || strings.Contains(string(page), "marzipan") {
		t.Error("the page is not of now, or holds the message")
	}
	refreshed(false)
	check(t, os.WriteFile(filepath.Join(a.folder(id), "report.json"), []byte("{"), 0o600))
	refreshed(true)
	refreshed(false)
}

func TestEarlierCampaigns(t *testing.T) {
	t.Parallel()
	th := newTheater(t, nil)
	a := th.open()
	defer func() { check(t, a.Close()) }()
	create := func(name, sum string, started bool) campaign.Campaign {
		t.Helper()
		c := campaign.Campaign{ID: campaign.NewID(), Name: name, Mode: campaign.ModeSandbox, State: campaign.StateDraft}
		check(t, a.store.CreateCampaign(t.Context(), c))
		if sum != "" {
			n, err := a.store.BeginImport(t.Context(), c.ID, campaign.Import{File: "people.csv", SHA256: sum, Header: []string{"phone"}, Slugs: []string{"phone"}})
			check(t, err)
			check(t, a.store.FinishImport(t.Context(), c.ID, campaign.Import{Number: n, File: "people.csv", SHA256: sum, Header: []string{"phone"}, Slugs: []string{"phone"}}))
		}
		if started {
			_, err := a.store.Transition(t.Context(), c.ID, campaign.StateRunning, "", "")
			check(t, err)
		}
		c, err := a.store.Campaign(t.Context(), c.ID)
		check(t, err)
		return c
	}
	create("Offer 1", "", true)
	create("Other", "b", true)
	create("Listed", "a", true)
	create("Offer draft", "a", false) // it was never sent
	create("Offer 2", "", true)
	create("Offer 3", "", true)
	now := create("Offer 4", "a", true)
	now.CreatedAt = now.CreatedAt.Add(time.Second)
	earlier, err := reportLedger{a.store}.Earlier(t.Context(), now, 3)
	check(t, err)
	var names []string
	for _, c := range earlier {
		names = append(names, c.Name)
	}
	slices.Sort(names)
	if want := []string{"Listed", "Offer 2", "Offer 3"}; !slices.Equal(names, want) {
		t.Errorf("%v, want %v", names, want)
	}
	var _ report.Earlier = reportLedger{}
}
