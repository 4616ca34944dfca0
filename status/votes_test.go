package status_test

import (
	"fmt"
	"log/slog"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/internal/gateway"
	"github.com/herald-campaigns/herald/periskope"
	"github.com/herald-campaigns/herald/status"
	"github.com/herald-campaigns/herald/storage/storagetest"
)

// clockwork adds the Date header to what the provider answers, as every HTTP
// server does: the only time that a poll without one has.
type clockwork struct{ *mailroom }

func (c clockwork) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := c.mailroom.RoundTrip(r)
	resp.Header.Set("Date", c.now.UTC().Format(http.TimeFormat))
	return resp, err
}

// dateAnswers makes the sweeper anew, with a provider that dates its answers.
func (m *mailroom) dateAnswers() {
	m.t.Helper()
	client, err := periskope.New(periskope.Config{BaseURL: "http://127.0.0.1/v1", Token: "a-token", Transport: clockwork{m}})
	check(m.t, err)
	logger := slog.New(slog.NewTextHandler(m.log, nil))
	desk, err := status.NewDesk(m.ledger, m, logger, m.desk)
	check(m.t, err)
	m.sweeping.Clock = func() time.Time { return m.now }
	m.sweeper = status.NewSweeper(m.ledger, gateway.New(client, nil, gateway.Config{}), m, desk, free{}, logger, m.sweeping)
}

// undated is our poll of a row with a vote whose time the provider does not tell.
func (m *mailroom) undated(seq int64, option string) map[string]any {
	results := map[string]any{}
	if option != "" {
		results[string(storagetest.Chat(seq))] = []string{option}
	}
	return with(m.voted(seq, mailTime, ""), map[string]any{"updated_at": nil, "poll_results": results})
}

// wantWishes compares what was decided about row 1, the latest first, each with
// the time since the message.
func (m *mailroom) wantWishes(want ...string) {
	m.t.Helper()
	history, err := m.ledger.ConsentOf(m.t.Context(), storagetest.Chat(1))
	check(m.t, err)
	var got []string
	for _, c := range history {
		got = append(got, fmt.Sprintf("%s %s", c.Wish, c.At.Sub(mailTime)))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		m.t.Errorf("decided %s after the message (-want +got):\n%s", m.now.Sub(mailTime), diff)
	}
	if out := m.suppressed(storagetest.Chat(1)); len(want) > 0 && out != (history[0].Wish == campaign.WishOut) {
		m.t.Errorf("%s after the message: opted out %v", m.now.Sub(mailTime), out)
	}
}

// wantOptOutNotices says how often others were told that somebody opted out.
func (m *mailroom) wantOptOutNotices(want int) {
	m.t.Helper()
	due, err := m.ledger.DueNotices(m.t.Context(), "https://example.com/hook", mailTime.Add(time.Hour), 100)
	check(m.t, err)
	n := 0
	for _, notice := range due {
		if notice.Kind == campaign.NoticeOptOut {
			n++
		}
	}
	if n != want {
		m.t.Errorf("told %d times of an opt-out, want %d", n, want)
	}
}

// openPoll is a campaign that reports to others, whose message to row 1 is a
// poll.
func openPoll(t *testing.T) *mailroom {
	t.Helper()
	m := openMail(t, 1)
	c, err := m.ledger.Campaign(t.Context(), m.seeded.ID)
	check(t, err)
	c.Spec.Notify = &campaign.Notify{URL: "https://example.com/hook", Messages: true}
	check(t, m.ledger.UpdatePlan(t.Context(), m.seeded.ID, c.Spec, c.StartAt))
	m.send(1)
	m.watch(1)
	m.dateAnswers()
	return m
}

// at lets the sweeper look so long after the message, with the poll as it is then.
func (m *mailroom) at(since time.Duration, option string) {
	m.t.Helper()
	m.now = mailTime.Add(since)
	m.messages = []map[string]any{m.undated(1, option)}
	m.sweep()
}

// start lets the person of row 1 write START so long after the message.
func (m *mailroom) start(since time.Duration) {
	m.t.Helper()
	m.now = mailTime.Add(since)
	m.deliver("message.created", theirs(1, fmt.Sprint("START-", since), "START", m.now, nil))
	m.sort()
}

// event lets a webhook bring the poll as it is so long after the message.
func (m *mailroom) event(name string, since time.Duration, option string) {
	m.t.Helper()
	m.now = mailTime.Add(since)
	m.deliverAs(map[string]any{
		"id": fmt.Sprint(name, since), "event_type": name, "data": m.undated(1, option), "org_id": "2997dd64", "timestamp": stampOf(m.now),
	})
	m.sort()
}

// TestAVoteWithoutATimeCountsOnce: looks and receipts that show it again decide
// nothing anew, so that a START after it holds.
func TestAVoteWithoutATimeCountsOnce(t *testing.T) {
	t.Parallel()
	m := openPoll(t)
	m.at(70*time.Second, "Stop")
	m.wantWishes("opt_out 1m10s")
	m.start(10 * time.Minute)
	m.wantWishes("opt_in 10m0s", "opt_out 1m10s")
	for hour := range 5 {
		m.at(time.Duration(hour+1)*time.Hour+10*time.Minute, "Stop")
		m.wantWishes("opt_in 10m0s", "opt_out 1m10s")
	}
	m.event("message.ack.updated", 6*time.Hour, "Stop")
	m.event("message.updated", 90*time.Second, "Stop") // of before the START, and late
	m.wantWishes("opt_in 10m0s", "opt_out 1m10s")
	m.wantOptOutNotices(1)
	if n := m.row(1).VoteMoves; n != 0 {
		t.Errorf("the vote was moved %d times", n)
	}
}

// TestAVoteWithoutATimeIsGivenAgain: who changes a vote and then changes it back
// to the one for stopping has opted out again.
func TestAVoteWithoutATimeIsGivenAgain(t *testing.T) {
	t.Parallel()
	m := openPoll(t)
	m.event("message.updated", time.Minute, "Stop")
	m.start(10 * time.Minute)
	m.event("message.updated", 20*time.Minute, "Yes")
	m.wantWishes("opt_in 10m0s", "opt_out 1m0s")
	m.event("message.updated", 30*time.Minute, "Stop")
	m.at(2*time.Hour, "Stop")
	m.wantWishes("opt_out 30m0s", "opt_in 10m0s", "opt_out 1m0s")
	m.wantOptOutNotices(2)
}
