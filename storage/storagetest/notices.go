package storagetest

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/storage"
)

// reportTo makes a campaign report to a URL.
func reportTo(t *testing.T, s *storage.Store, seeded Seeded, notify *campaign.Notify) {
	t.Helper()
	c, err := s.Campaign(t.Context(), seeded.ID)
	must(t, err)
	c.Spec.Notify = notify
	must(t, s.UpdatePlan(t.Context(), seeded.ID, c.Spec, c.StartAt))
}

// told lists the notices that are due, each as its kind and the named fields of
// its data.
func told(t *testing.T, s *storage.Store, fields ...string) []string {
	t.Helper()
	queues, err := s.NoticeQueues(t.Context())
	must(t, err)
	var due []campaign.Notice
	for _, q := range queues {
		here, err := s.DueNotices(t.Context(), q.URL, time.Now().Add(time.Hour), 100)
		must(t, err)
		due = append(due, here...)
	}
	var list []string
	for _, n := range due {
		var body struct {
			Type      campaign.NoticeKind `json:"type"`
			Timestamp time.Time           `json:"timestamp"`
			Data      map[string]any      `json:"data"`
		}
		must(t, json.Unmarshal(n.Body, &body))
		if body.Type != n.Kind || body.Timestamp.IsZero() || body.Data["campaign_id"] != string(n.Campaign) || !strings.HasPrefix(n.ID, "msg_") {
			t.Errorf("notice %+v: %s", n, n.Body)
		}
		words := []string{string(n.Kind)}
		for _, field := range fields {
			if value, ok := body.Data[field]; ok {
				words = append(words, fmt.Sprint(value))
			}
		}
		list = append(list, strings.Join(words, " "))
	}
	slices.Sort(list)
	return list
}

func testNotices(t *testing.T, s *storage.Store) {
	ctx := t.Context()
	quiet, seeded := Seed(t, s, 2), Seed(t, s, 6)
	quiet.Lease = seeded.Lease
	send(t, s, quiet, 1)
	if queues, err := s.NoticeQueues(ctx); err != nil || len(queues) > 0 {
		t.Errorf("a campaign without a receiver has notices: %v, %v", queues, err)
	}
	const url = "https://example.com/hook"
	reportTo(t, s, seeded, &campaign.Notify{URL: url})
	send(t, s, seeded, 6) // of messages it is not to be told yet
	_, err := s.Transition(ctx, seeded.ID, campaign.StatePaused, campaign.PauseOperator, "lunch")
	must(t, err)
	_, err = s.Transition(ctx, seeded.ID, campaign.StatePaused, campaign.PauseOperator, "long lunch")
	must(t, err)
	if diff := cmp.Diff([]string{"campaign.state_changed running paused operator lunch"}, told(t, s, "from", "to", "reason", "detail")); diff != "" {
		t.Errorf("after a pause (-want +got):\n%s", diff)
	}
	due, err := s.DueNotices(ctx, url, time.Now(), 1)
	must(t, err)
	later := time.Now().Add(time.Minute).Truncate(time.Millisecond).UTC()
	must(t, s.NoticesDelivered(ctx, []campaign.Delivered{{ID: due[0].ID, Failed: "503", Next: later}}))
	queues, err := s.NoticeQueues(ctx)
	must(t, err)
	if diff := cmp.Diff([]campaign.NoticeQueue{{URL: url, Next: later}}, queues); diff != "" {
		t.Errorf("who waits (-want +got):\n%s", diff)
	}
	again, err := s.DueNotices(ctx, url, later, 10)
	must(t, err)
	if len(again) != 1 || again[0].ID != due[0].ID || again[0].Attempts != 1 || again[0].URL != url {
		t.Errorf("after a failed attempt: %+v", again)
	}
	must(t, s.NoticesDelivered(ctx, []campaign.Delivered{{ID: due[0].ID, Done: true}}))
	must(t, s.NoticesDelivered(ctx, []campaign.Delivered{{ID: due[0].ID, Failed: "late answer", Next: later}, {ID: "msg_nobody", Done: true}}))

	_, err = s.Transition(ctx, seeded.ID, campaign.StateRunning, "", "")
	must(t, err)
	reportTo(t, s, seeded, &campaign.Notify{URL: url, Messages: true})
	send(t, s, seeded, 1)
	lose(t, s, seeded, 2)
	failed := stage(t, s, seeded, 3)[0]
	st := settlement(seeded, failed, claim(t, s, seeded, failed), campaign.OutcomeRejected, campaign.StatusFailed)
	st.FailReason, st.FailClass = campaign.FailRejected, campaign.FailPermanent
	settle(t, s, st)
	_, err = s.Skip(ctx, seeded.ID, []campaign.Skip{{Seq: 5, Reason: campaign.SkipExpired}})
	must(t, err)
	answer := reply(seeded, 1, "r", newsTime, "STOP it")
	stop := consent(seeded, 4, campaign.WishOut, newsTime)
	for range 2 { // repeats tell nothing new
		fold(t, s, answer, campaign.Folding{Consent: &stop},
			campaign.Folding{Observation: observation(seeded, 1, campaign.StatusProcessing, newsTime)},
			campaign.Folding{Observation: observation(seeded, 1, campaign.StatusDelivered, newsTime)})
	}
	for range 2 {
		_, err = s.Withdraw(ctx, seeded.ID, jobsOf(seeded, 6))
		must(t, err)
	}
	chat := string(Chat(1))
	want := []string{
		"campaign.state_changed",
		"message.replied 1 2 " + chat + " 2026-09-01T10:00:00Z STOP it",
		"message.status_changed 1 2 " + chat + " delivered 2026-09-01T10:00:00Z",
		"message.status_changed 1 2 " + chat + " queued",
		"message.status_changed 2 3 " + string(Chat(2)) + " unknown",
		"message.status_changed 3 4 " + string(Chat(3)) + " failed rejected",
		"message.status_changed 4 5 " + string(Chat(4)) + " skipped opted_out",
		"message.status_changed 6 7 " + string(Chat(6)) + " canceled",
		"recipient.opted_out 4 5 " + string(Chat(4)) + " STOP 2026-09-01T10:00:00Z",
	}
	got := told(t, s, "seq", "line", "chat", "status", "reason", "at", "text")
	for i, line := range got { // the ledger's own times
		for _, status := range []string{" queued", " unknown", " canceled", " failed rejected", " skipped opted_out"} {
			if before, at, ok := strings.Cut(line, status); ok && at != "" {
				got[i] = before + status
			}
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
	due, err = s.DueNotices(ctx, url, time.Now(), 1)
	must(t, err)
	must(t, s.NoticesDelivered(ctx, []campaign.Delivered{{ID: due[0].ID, Done: true, Failed: "410 Gone"}}))
	counts, err := s.Notices(ctx, seeded.ID)
	must(t, err)
	if counts != (campaign.NoticeCounts{Waiting: int64(len(want)) - 1, Delivered: 1, GivenUp: 1}) {
		t.Errorf("counts: %+v", counts)
	}
	testNoticeQueues(t, s, quiet, url)
}

// testNoticeQueues: each receiver has a queue of its own, whatever waits for
// another one.
func testNoticeQueues(t *testing.T, s *storage.Store, other Seeded, url string) {
	ctx := t.Context()
	const second = "https://example.org/hook"
	reportTo(t, s, other, &campaign.Notify{URL: second})
	before, err := s.NoticeQueues(ctx)
	must(t, err)
	_, err = s.Transition(ctx, other.ID, campaign.StatePaused, campaign.PauseOperator, "")
	must(t, err)
	queues, err := s.NoticeQueues(ctx)
	must(t, err)
	if len(before) != 1 || len(queues) != 2 || queues[0] != before[0] || queues[0].URL != url || queues[1].URL != second || queues[1].Next.IsZero() {
		t.Errorf("before the second receiver %v, then %v", before, queues)
	}
	due, err := s.DueNotices(ctx, second, time.Now(), 100)
	must(t, err)
	if len(due) != 1 || due[0].URL != second || due[0].Campaign != other.ID {
		t.Errorf("due to the second receiver: %+v", due)
	}
	must(t, s.NoticesDelivered(ctx, []campaign.Delivered{{ID: due[0].ID, Done: true}}))
	if queues, err = s.NoticeQueues(ctx); err != nil || len(queues) != 1 || queues[0] != before[0] {
		t.Errorf("after the delivery: %v, %v", queues, err)
	}
}
