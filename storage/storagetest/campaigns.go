package storagetest

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/storage"
)

func testCampaignRoundTrip(t *testing.T, s *storage.Store) {
	at := time.Date(2026, 11, 28, 4, 30, 0, 0, time.UTC)
	preview := false
	want := campaign.Campaign{
		ID: campaign.NewID(), Name: "दिवाली? 100% 🪔 'quoted'", Mode: campaign.ModeLive, State: campaign.StateDraft,
		Spec: campaign.Spec{
			Name: "दिवाली", Senders: []string{string(Phone)},
			Message: campaign.Template{Text: "नमस्ते {{ name }}?\n\u0000", LinkPreview: &preview},
			Pace:    campaign.Pace{Rate: campaign.Rate{Count: 20, Per: time.Minute}, Daily: 500},
		},
		PollID: "poll-1", MessageHash: "aa", SourceHash: "bb", CreatedAt: at, StartAt: at.Add(time.Hour),
	}
	must(t, s.CreateCampaign(t.Context(), want))
	got, err := s.Campaign(t.Context(), want.ID)
	must(t, err)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("read back (-want +got):\n%s", diff)
	}
	wantCode(t, s.CreateCampaign(t.Context(), want), campaign.CodeConflict)
	if _, err := s.Campaign(t.Context(), campaign.NewID()); !errors.Is(err, campaign.ErrNotFound) {
		t.Errorf("a campaign that is not there: %v", err)
	}
}

func testCampaignLists(t *testing.T, s *storage.Store) {
	var ids []campaign.ID
	for _, name := range []string{"a", "b", "a"} {
		c := campaign.Campaign{ID: campaign.NewID(), Name: name, Mode: campaign.ModeSandbox, State: campaign.StateDraft}
		must(t, s.CreateCampaign(t.Context(), c))
		ids = append([]campaign.ID{c.ID}, ids...)
	}
	all, err := s.Campaigns(t.Context())
	must(t, err)
	var got []campaign.ID
	for _, c := range all {
		got = append(got, c.ID)
	}
	if diff := cmp.Diff(ids, got); diff != "" {
		t.Errorf("newest first (-want +got):\n%s", diff)
	}
	named, err := s.CampaignNamed(t.Context(), "a")
	must(t, err)
	if named.ID != ids[0] {
		t.Errorf("the newest campaign named a is %s, want %s", named.ID, ids[0])
	}
	if _, err := s.CampaignNamed(t.Context(), "A"); !errors.Is(err, campaign.ErrNotFound) {
		t.Errorf("another name: %v", err)
	}
}

func testTransitions(t *testing.T, s *storage.Store) {
	ctx := t.Context()
	seeded := SeedDraft(t, s, 1)
	_, err := s.Transition(ctx, seeded.ID, campaign.StateTracking, "", "")
	wantCode(t, err, campaign.CodeConflict)

	running, err := s.Transition(ctx, seeded.ID, campaign.StateRunning, "", "")
	must(t, err)
	if running.State != campaign.StateRunning || running.StartedAt.IsZero() {
		t.Errorf("started: %s at %v", running.State, running.StartedAt)
	}
	if _, err := s.Transition(ctx, seeded.ID, campaign.StatePaused, "", ""); err == nil {
		t.Error("paused without a reason")
	}
	paused, err := s.Transition(ctx, seeded.ID, campaign.StatePaused, campaign.PauseOperator, "asked to")
	must(t, err)
	if paused.Reason != campaign.PauseOperator || paused.Detail != "asked to" {
		t.Errorf("paused: %q, %q", paused.Reason, paused.Detail)
	}
	again, err := s.Transition(ctx, seeded.ID, campaign.StatePaused, campaign.PauseDisconnected, "")
	must(t, err)
	if again.Reason != campaign.PauseDisconnected {
		t.Errorf("a new reason was not kept: %q", again.Reason)
	}
	if _, err := s.Transition(ctx, seeded.ID, campaign.StatePaused, campaign.PauseDisconnected, ""); err != nil {
		t.Errorf("the same state again: %v", err)
	}
	resumed, err := s.Transition(ctx, seeded.ID, campaign.StateRunning, campaign.PauseOperator, "")
	must(t, err)
	if resumed.Reason != "" || !resumed.StartedAt.Equal(running.StartedAt) {
		t.Errorf("resumed with reason %q, started %v (first %v)", resumed.Reason, resumed.StartedAt, running.StartedAt)
	}
	canceled, err := s.Transition(ctx, seeded.ID, campaign.StateCanceled, "", "")
	must(t, err)
	if canceled.FinishedAt.IsZero() {
		t.Error("canceled without a time")
	}
	_, err = s.Transition(ctx, seeded.ID, campaign.StateRunning, "", "")
	wantCode(t, err, campaign.CodeConflict)
	_, err = s.Transition(ctx, campaign.NewID(), campaign.StateRunning, "", "")
	wantCode(t, err, campaign.CodeNotFound)

	timeline, err := s.Timeline(ctx, seeded.ID)
	must(t, err)
	var got []string
	for _, e := range timeline {
		got = append(got, string(e.Kind)+" "+string(e.From)+">"+string(e.To)+" "+string(e.Reason))
	}
	want := []string{
		"created >draft ", "imported > ", "state draft>running ", "state running>paused operator",
		"state paused>paused sender_disconnected", "state paused>running ", "state running>canceled ",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("timeline (-want +got):\n%s", diff)
	}
}

func testDraftWaitsForImport(t *testing.T, s *storage.Store) {
	seeded := SeedDraft(t, s, 0)
	_, err := s.BeginImport(t.Context(), seeded.ID, campaign.Import{File: "more.csv"})
	must(t, err)
	_, err = s.Transition(t.Context(), seeded.ID, campaign.StateRunning, "", "")
	wantCode(t, err, campaign.CodeConflict)
	_, err = s.Transition(t.Context(), seeded.ID, campaign.StateCanceled, "", "")
	must(t, err)
}

func testCompletion(t *testing.T, s *storage.Store) {
	ctx := t.Context()
	seeded := Seed(t, s, 2)
	_, err := s.Transition(ctx, seeded.ID, campaign.StateTracking, "", "")
	must(t, err)
	_, err = s.Transition(ctx, seeded.ID, campaign.StateCompleted, "", "")
	wantCode(t, err, campaign.CodeConflict)
	_, err = s.Transition(ctx, seeded.ID, campaign.StateRunning, "", "")
	must(t, err)
	send(t, s, seeded, 1)
	send(t, s, seeded, 2)
	_, err = s.Transition(ctx, seeded.ID, campaign.StateTracking, "", "")
	must(t, err)
	done, err := s.Transition(ctx, seeded.ID, campaign.StateCompleted, "", "")
	must(t, err)
	if done.FinishedAt.IsZero() {
		t.Error("completed without a time")
	}
	reopened, err := s.Transition(ctx, seeded.ID, campaign.StateRunning, "", "")
	must(t, err)
	if !reopened.FinishedAt.IsZero() {
		t.Error("a reopened campaign has an end")
	}
}

func testDeleteDraft(t *testing.T, s *storage.Store) {
	draft := SeedDraft(t, s, 2500)
	must(t, s.DeleteDraft(t.Context(), draft.ID))
	if _, err := s.Campaign(t.Context(), draft.ID); !errors.Is(err, campaign.ErrNotFound) {
		t.Errorf("a deleted draft: %v", err)
	}
	if _, err := s.Totals(t.Context(), draft.ID); !errors.Is(err, campaign.ErrNotFound) {
		t.Errorf("totals of a deleted draft: %v", err)
	}
	running := Seed(t, s, 1)
	wantCode(t, s.DeleteDraft(t.Context(), running.ID), campaign.CodeConflict)
}

func testUpdatePlan(t *testing.T, s *storage.Store) {
	seeded := Seed(t, s, 1)
	before, err := s.Campaign(t.Context(), seeded.ID)
	must(t, err)
	spec := before.Spec
	spec.Pace.Daily = 7
	at := time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
	must(t, s.UpdatePlan(t.Context(), seeded.ID, spec, at))
	after, err := s.Campaign(t.Context(), seeded.ID)
	must(t, err)
	before.Spec, before.StartAt = spec, at
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("after the update (-want +got):\n%s", diff)
	}
	_, err = s.Transition(t.Context(), seeded.ID, campaign.StateCanceled, "", "")
	must(t, err)
	wantCode(t, s.UpdatePlan(t.Context(), seeded.ID, spec, at), campaign.CodeConflict)
}

func testBindMode(t *testing.T, s *storage.Store) {
	must(t, s.BindMode(t.Context(), campaign.ModeSandbox))
	must(t, s.BindMode(t.Context(), campaign.ModeSandbox))
	wantCode(t, s.BindMode(t.Context(), campaign.ModeLive), campaign.CodeConflict)
}
