package app

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/report"
	"github.com/herald-campaigns/herald/sandbox"
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

// TestReportOfWhatWasTakenBack: everything of a campaign was accepted and then
// taken back. Its report is provisional until the provider was asked about all of
// it, and the files are written again when it is final.
func TestReportOfWhatWasTakenBack(t *testing.T) {
	t.Parallel()
	th := newTheater(t, func(c *sandbox.Config) { c.Instant, c.Speed = false, 0.02 }) // minutes for a message
	th.mustRun(th.campaign("wrong", 1, 12, "pace: { rate: unlimited }\n"), PrepareOptions{})
	a := th.open()
	defer func() { check(t, a.Close()) }()
	v, canceled, err := a.CancelCampaign(t.Context(), "wrong")
	check(t, err)
	if canceled.TakenOut != 12 {
		t.Fatalf("canceled: %+v", canceled)
	}
	written := func(provisional bool) {
		t.Helper()
		doc, err := os.ReadFile(filepath.Join(a.folder(v.ID), "report.json"))
		check(t, err)
		var r struct {
			Provisional bool `json:"provisional"`
			Canceled    struct {
				Total     int64 `json:"total"`
				Withdrawn int64 `json:"withdrawn"`
			} `json:"canceled"`
			Funnel []struct {
				Count int64 `json:"count"`
			} `json:"funnel"`
			Series json.RawMessage `json:"series"`
			Timing json.RawMessage `json:"timing"`
		}
		check(t, json.Unmarshal(doc, &r))
		if r.Provisional != provisional || r.Canceled.Total != 12 || r.Canceled.Withdrawn != 12 {
			t.Errorf("provisional %t, want %t; canceled %+v", r.Provisional, provisional, r.Canceled)
		}
		if r.Funnel[0].Count != 0 || r.Series != nil || r.Timing != nil {
			t.Errorf("%d accepted, series %s, timing %s", r.Funnel[0].Count, r.Series, r.Timing)
		}
	}
	written(true)
	for _, quick := range []bool{true, false} {
		r, err := a.Report(t.Context(), v.ID, quick)
		check(t, err)
		if s := r.Summary(); !s.Provisional || s.AcceptedPerSecond != 0 {
			t.Errorf("quick %t: %+v", quick, s)
		}
	}

	// The last answers: none of them went out, and none is asked for again.
	due, err := a.store.DuePolls(t.Context(), time.Now().Add(time.Hour), 100, v.ID)
	check(t, err)
	if len(due) != 12 {
		t.Fatalf("%d rows are asked for", len(due))
	}
	for _, row := range due {
		check(t, a.store.Observe(t.Context(), []campaign.Observation{{
			Evidence: campaign.Evidence{Campaign: row.Campaign, Seq: row.Seq, Source: campaign.EvidencePoll}, AskedAs: row.Status,
		}}))
	}
	if again, err := a.RefreshReports(t.Context(), v.ID); err != nil || !again {
		t.Errorf("refreshed %t, %v", again, err)
	}
	written(false)
}

// TestReportOfACompletedOneThatIsAskedAbout: when somebody opts out after the
// tracking window, what is left of theirs in the provider's queue is taken back.
// The report is provisional until the provider was asked about that, as that of a
// canceled campaign is.
func TestReportOfACompletedOneThatIsAskedAbout(t *testing.T) {
	t.Parallel()
	th := newTheater(t, func(c *sandbox.Config) { c.Instant, c.Speed = false, 0.02 }) // minutes for a message
	id := th.mustRun(th.campaign("done", 1, 3, "pace: { rate: unlimited }\n"), PrepareOptions{}).Campaign.ID
	a := th.open()
	defer func() { check(t, a.Close()) }()
	ctx := t.Context()
	due, err := a.store.DuePolls(ctx, time.Now().Add(time.Hour), 100, id)
	check(t, err)
	if len(due) != 3 {
		t.Fatalf("%d rows are asked for", len(due))
	}
	asked := func(status campaign.Status, rows ...campaign.Tracked) {
		t.Helper()
		for _, row := range rows {
			check(t, a.store.Observe(ctx, []campaign.Observation{{
				Evidence: campaign.Evidence{Campaign: id, Seq: row.Seq, Source: campaign.EvidencePoll, Status: status}, AskedAs: row.Status,
			}}))
		}
	}
	asked(campaign.StatusRead, due[1:]...)
	asked("", due[0]) // in the queue for as long as it is followed
	_, err = a.store.Transition(ctx, id, campaign.StateCompleted, "", "")
	check(t, err)
	written := func(provisional bool) {
		t.Helper()
		if again, err := a.RefreshReports(ctx, id); err != nil || !again {
			t.Errorf("refreshed %t, %v", again, err)
		}
		doc, err := os.ReadFile(filepath.Join(a.folder(id), "report.json"))
		check(t, err)
		var r struct {
			Provisional bool `json:"provisional"`
		}
		check(t, json.Unmarshal(doc, &r))
		if r.Provisional != provisional {
			t.Errorf("provisional %t, want %t", r.Provisional, provisional)
		}
	}
	written(false)
	if n, err := a.store.Withdraw(ctx, id, []string{due[0].QueueID}); err != nil || n != 1 {
		t.Fatalf("%d taken back, %v", n, err)
	}
	written(true)
	due, err = a.store.DuePolls(ctx, time.Now().Add(time.Hour), 100, id)
	check(t, err)
	if len(due) != 1 {
		t.Fatalf("%d rows are asked for", len(due))
	}
	asked("", due...)
	written(false)
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
