package app

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/internal/faults"
	"github.com/herald-campaigns/herald/sandbox"
	"github.com/herald-campaigns/herald/status"
	"github.com/herald-campaigns/herald/web"
)

// serveChild is a child process that is a service, until it is killed.
func serveChild(ctx context.Context, a *App) error {
	a.cfg.Listen, a.cfg.Periskope.WebhookKey = "127.0.0.1:0", testWebhookKey
	listenSoon(&a.tuning)
	var subscribed error
	err := a.Serve(ctx, ServeOptions{Ready: func(info ServiceInfo) { subscribed = a.subscribe(ctx, info.URL) }})
	return errors.Join(err, subscribed)
}

// listenSoon looks through the provider's lists for what no webhook told.
func listenSoon(t *tuning) {
	t.sweepsPerSecond = 50
	t.sweeper = status.SweeperConfig{
		Every: 300 * time.Millisecond, Overlap: time.Hour, Idle: 50 * time.Millisecond,
		Votes: []time.Duration{200 * time.Millisecond, 500 * time.Millisecond, time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second},
	}
}

// subscribe has the provider deliver its webhooks to this service, and to none
// that was killed.
func (a *App) subscribe(ctx context.Context, service string) error {
	p, err := a.connect(4)
	if err != nil {
		return err
	}
	defer func() { _ = p.close() }()
	url := service + web.WebhookPath
	hooks, err := p.gateway.Webhooks(ctx)
	if err != nil {
		return err
	}
	for _, hook := range hooks {
		if hook.URL == url {
			continue
		}
		if _, err := p.client.DeleteHook(ctx, hook.ID); err != nil {
			return err
		}
	}
	_, err = p.gateway.EnsureWebhooks(ctx, url)
	return err
}

// crowd is people who answer, with ordinary ones between them.
func crowd(between int) string {
	var b strings.Builder
	head, people, _ := strings.Cut(answering(), "\n")
	b.WriteString(head + "\n")
	next := 0
	for person := range strings.Lines(people) {
		b.WriteString(person)
		for range between {
			next++
			fmt.Fprintf(&b, "+%s,Person %d\n", number(next), next)
		}
	}
	return b.String()
}

// serviceThatDies runs a poll for a crowd in services that are killed so often,
// and returns what the ledger knows in the end. want is what it should; nil when
// nobody knows.
func serviceThatDies(t *testing.T, kills int, want map[string]known) map[string]known {
	t.Helper()
	th := hooked(t, func(c *sandbox.Config) { c.Instant, c.Speed = false, 2000 })
	hasten(&th.tuning)
	listenSoon(&th.tuning)
	// Enough ordinary people that the share of opt-outs stays far below
	// mostOptOuts: replies are heard at once, but what a killed process sent is
	// known as sent only when it has been asked for.
	th.write("people.csv", crowd(14))
	file := th.write("poll.yaml", "name: poll\nmessage: { poll: { question: \"Coming, {{ name }}?\", options: [\"Yes\", \"No\"], multiple: true } }\n"+
		"recipients: { csv: people.csv, phone: phone }\nsenders: [\""+testSender+"\"]\npace: { rate: 160/s, in_flight: 4 }\n")
	s := th.serve()
	check(t, s.app.subscribe(t.Context(), s.info.URL))
	begun := th.api.after(1)
	id := s.start(file)
	<-begun
	if kills > 0 {
		s.end()
		killer := newKiller(t)
		for range kills {
			th.killChild(killer, part{}, faults.Strike{Working: th.api.after(1), Within: 500 * time.Millisecond})
		}
		s = th.serve()
		check(t, s.app.subscribe(t.Context(), s.info.URL))
	}
	s.until(id, func(v CampaignView) bool { return v.Rows > 0 && v.Waiting() == 0 })
	all := s.settleTo(want, []campaign.ID{id})
	found := th.audit(s.app)
	t.Logf("%d kills: %s; webhooks: %+v", kills, found, th.sim.WebhookCounts())
	if found.Unknown > 0 || found.Lost > 0 || found.Duplicated > 0 || found.Accepted != found.Rows {
		t.Errorf("not everybody got one message: %s", found)
	}
	s.end()
	return all
}

// TestServiceKilledAgainAndAgain while it sends, and replies, votes and opt-outs
// come in: after the last start it knows what a service knows that lived.
func TestServiceKilledAgainAndAgain(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("skipped with -short: two campaigns with people who take their time")
	}
	var want map[string]known
	t.Run("that lives", func(t *testing.T) { //nolint:paralleltest // the other one compares with it
		want = serviceThatDies(t, 0, nil)
	})
	t.Run("killed five times", func(t *testing.T) { //nolint:paralleltest // it compares
		got := serviceThatDies(t, 5, want)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("the ledger differs (-without kills +with)\n%s", diff)
		}
	})
}
