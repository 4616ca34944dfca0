package app

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/sandbox"
	"github.com/herald-campaigns/herald/web"
)

// hooked is a theater whose provider tells of everything by webhooks.
func hooked(t *testing.T, configure func(*sandbox.Config)) *theater {
	t.Helper()
	th := newTheater(t, func(c *sandbox.Config) {
		c.Webhooks = sandbox.Webhooks{Key: testWebhookKey}
		if configure != nil {
			configure(c)
		}
	})
	th.cfg.Periskope.WebhookKey = testWebhookKey
	return th
}

// TestPhoneByWebhook: nobody looks after the phone for an hour, so that only a
// webhook can tell that it is gone, and that it is back. The sender is held
// with the reason, and goes on by itself.
func TestPhoneByWebhook(t *testing.T) {
	t.Parallel()
	th := hooked(t, nil)
	th.tuning.phoneEvery = time.Hour
	file := th.campaign("cut", 1, 200, "pace: { rate: 50/s, in_flight: 2 }\n")
	s := th.serve()
	defer s.end()
	check(t, s.registered())
	id := s.start(file)
	s.until(id, func(v CampaignView) bool { return v.Waiting() < 190 })
	mine := campaign.Phone(testSender).String()

	cut := time.Now()
	check(t, th.sim.SetPhone(testSender, sandbox.PhoneDisconnected))
	down := s.untilViews(func(v map[string]SenderView) bool { return len(v[mine].Held) > 0 })[mine]
	if down.Phone.State != "disconnected" || down.Held[0].Reason != campaign.PauseDisconnected {
		t.Errorf("cut off: %+v", down)
	}
	// SQLite keeps milliseconds.
	if since := down.Phone.Since; since.Before(cut.Truncate(time.Millisecond)) || since.After(time.Now()) {
		t.Errorf("disconnected since %s, it was cut at %s", since, cut)
	}
	v := s.until(id, func(v CampaignView) bool { return len(v.Held) > 0 })
	if v.State != campaign.StateRunning || v.Held[0].Reason != campaign.PauseDisconnected || v.Waiting() == 0 {
		t.Errorf("the campaign is %s and held by %+v, %d wait", v.State, v.Held, v.Waiting())
	}
	// Calls that were under way come to their end; then there are no more.
	sent := th.api.count()
	for range 5 {
		s.nudge()
	}
	if more := th.api.count() - sent; more > 2 {
		t.Errorf("%d more messages were sent while the phone was cut off", more)
	}

	check(t, th.sim.SetPhone(testSender, sandbox.PhoneConnected))
	up := s.untilViews(func(v map[string]SenderView) bool {
		// That a hold is over is told a look later: the next call may prove it wrong.
		s.nudge()
		return len(v[mine].Held) == 0
	})[mine]
	if up.Phone.State != "connected" || !up.Phone.Since.After(down.Phone.Since) || len(up.Held) > 0 {
		t.Errorf("connected again: %+v", up)
	}
	s.until(id, isIn(campaign.StateCompleted))
	held, released := holdsIn(t, s.app, id)
	if len(held) != 1 || !strings.HasPrefix(held[0].Detail, mine+": ") {
		t.Errorf("held: %+v", held)
	}
	if len(released) != 1 || !strings.HasPrefix(released[0].Detail, mine+": ") || !strings.Contains(released[0].Detail, "after") {
		t.Errorf("released: %+v", released)
	}
}

// nudge delivers an event that says the phone is disconnected, true or not, and
// returns when the service has read it.
func (s *serving) nudge() {
	s.th.t.Helper()
	body := fmt.Appendf(nil, `{"id":%q,"event_type":"org.phone.updated","org_id":"o","data":{"org_phone":"%s@c.us","wa_state":"DISCONNECTED"}}`,
		rand.Text(), testSender)
	status, err := deliver(s.th.t.Context(), s.info.URL+web.WebhookPath, body, testWebhookKey)
	if err != nil || status != http.StatusOK {
		s.th.t.Fatalf("the event was answered %d, %v", status, err)
	}
	deadline := time.Now().Add(patience)
	for {
		fresh, _, err := s.app.store.DeliveryBacklog(s.th.t.Context())
		check(s.th.t, err)
		if fresh == 0 {
			return
		}
		if time.Now().After(deadline) {
			s.th.t.Fatalf("%d events are not read", fresh)
		}
		<-time.After(5 * time.Millisecond)
	}
}

// holdsIn is the holds in a campaign's timeline, and their ends.
func holdsIn(t *testing.T, a *App, id campaign.ID) (held, released []campaign.Event) {
	t.Helper()
	timeline, err := a.store.Timeline(t.Context(), id)
	check(t, err)
	for _, e := range timeline {
		switch e.Kind {
		case campaign.EventHeld:
			held = append(held, e)
		case campaign.EventReleased:
			released = append(released, e)
		default:
		}
	}
	return held, released
}
