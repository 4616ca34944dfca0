package app

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/herald-campaigns/herald/campaign"
)

// TestToChangeAsksWhichOne of several campaigns with a name it is, unless the
// change can be for one of them alone.
func TestToChangeAsksWhichOne(t *testing.T) {
	t.Parallel()
	th := newTheater(t, nil)
	a := th.open()
	defer func() { check(t, a.Close()) }()
	ids := map[string]campaign.ID{}
	add := func(name, of string, states ...campaign.State) {
		c := campaign.Campaign{
			ID: campaign.NewID(), Name: name, Mode: campaign.ModeSandbox, State: campaign.StateDraft, CreatedAt: time.Now(), MessageHash: "x", SourceHash: of,
		}
		check(t, a.store.CreateCampaign(t.Context(), c))
		for _, state := range states {
			var why campaign.PauseReason
			if state == campaign.StatePaused {
				why = campaign.PauseOperator
			}
			_, err := a.store.Transition(t.Context(), c.ID, state, why, "")
			check(t, err)
		}
		ids[of] = c.ID
	}
	add("Umfrage – follow-up", "done", campaign.StateRunning, campaign.StateTracking, campaign.StateCompleted)
	add("Umfrage – follow-up", "paused", campaign.StateRunning, campaign.StatePaused)
	add("Umfrage – follow-up", "running", campaign.StateRunning)
	add("Umfrage – follow-up", "tracking", campaign.StateRunning, campaign.StateTracking)
	add("Umfrage", "alone", campaign.StateRunning)
	for _, test := range []struct {
		change Change
		name   string
		want   string // "" for the question which
	}{
		{ChangePause, "Umfrage – follow-up", "running"},
		{ChangeResume, "Umfrage – follow-up", "paused"},
		{ChangeCancel, "Umfrage – follow-up", ""},
		{ChangeRetry, "Umfrage – follow-up", "tracking"}, // there is nothing to retry in any: the newest says so
		{ChangeUnknowns, "Umfrage – follow-up", "tracking"},
		{ChangePause, "Umfrage - follow-up", "running"},
		{ChangePause, " Umfrage  follow-up", "running"},
		{ChangeCancel, "Umfrage", "alone"},
		{ChangeCancel, string(ids["done"]), "done"},
	} {
		id, err := a.ToChange(t.Context(), test.change, test.name)
		if test.want != "" {
			if err != nil || id != ids[test.want] {
				t.Errorf("%s %q: %s, %v; want the one that is %s", test.change, test.name, id, err, test.want)
			}
			continue
		}
		if campaign.CodeOf(err) != campaign.CodeConflict {
			t.Fatalf("%s %q: %s, %v", test.change, test.name, id, err)
		}
		for _, of := range []string{"paused", "running", "tracking"} {
			if !strings.Contains(err.Error(), string(ids[of])+" ("+of+", made ") {
				t.Errorf("%s %q does not name the one that is %s: %v", test.change, test.name, of, err)
			}
		}
		if strings.Contains(err.Error(), string(ids["done"])) {
			t.Errorf("%s %q names one that is over: %v", test.change, test.name, err)
		}
	}
	_, err := a.ToChange(t.Context(), ChangePause, "umfrage")
	if campaign.CodeOf(err) != campaign.CodeNotFound || !strings.Contains(strings.Join(Hints(err), " "), `did you mean "Umfrage"?`) {
		t.Errorf("a name that is nearly one: %v, %q", err, Hints(err))
	}
	reader, err := OpenToRead(t.Context(), th.cfg, slog.New(slog.DiscardHandler))
	check(t, err)
	defer func() { check(t, reader.Close()) }()
	var told []string
	reader.TellOfOthers(func(text string) { told = append(told, text) })
	view, err := reader.Campaign(t.Context(), "Umfrage - follow-up")
	check(t, err)
	if view.ID != ids["tracking"] || len(told) != 1 || !strings.Contains(told[0], string(ids["done"])+" (completed, made ") {
		t.Errorf("looked at %s, told %q", view.ID, told)
	}
	if _, err = reader.Campaign(t.Context(), "Umfrage"); err != nil || len(told) != 1 {
		t.Errorf("one alone: %v, told %q", err, told)
	}
}
