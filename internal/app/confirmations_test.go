package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/dispatcher"
	"github.com/herald-campaigns/herald/internal/oracle"
	"github.com/herald-campaigns/herald/sandbox"
	"github.com/herald-campaigns/herald/web"
)

const confirmationText = "You get nothing more from us."

// TestEveryOptOutIsConfirmedOnce: 20 people say STOP while the phone is not
// connected. Each is answered once, when it is again, one after the other.
func TestEveryOptOutIsConfirmedOnce(t *testing.T) {
	t.Parallel()
	const people, every = 20, 50 * time.Millisecond
	th := newTheater(t, func(c *sandbox.Config) { c.OnDisconnected = sandbox.DisconnectedHold })
	th.cfg.OptOuts.Confirmation, th.cfg.Periskope.WebhookKey = confirmationText, testWebhookKey
	th.tuning.phoneEvery, th.tuning.phoneGiveUp, th.tuning.confirmEvery = 20*time.Millisecond, time.Minute, every
	s := th.serve()
	id := s.start(th.campaign("stopped", 1, people+40, "pace: { rate: 20/s, in_flight: 1 }\n"))
	s.until(id, func(v CampaignView) bool { return v.Waiting() < people+40 })
	check(t, th.sim.Disconnect(testSender))
	s.until(id, func(v CampaignView) bool { return len(v.Held) == 1 })
	for i := range people {
		body := fmt.Appendf(nil, `{"event":"message.created","data":{"message_id":"false_%[1]s@c.us_3AST%[2]d","unique_id":"3AST%[2]d",`+
			`"chat_id":"%[1]s@c.us","org_phone":"%[3]s@c.us","from_me":false,"message_type":"chat","body":"STOP","timestamp":%[4]q}}`,
			number(i+1), i, testSender, time.Now().UTC().Format(time.RFC3339))
		for range 2 {
			if status, err := deliver(t.Context(), s.info.URL+web.WebhookPath, body, testWebhookKey); status != http.StatusOK || err != nil {
				t.Fatalf("status %d, %v", status, err)
			}
		}
	}
	s.until(id, func(CampaignView) bool { return len(mustList(t, s.remote.OptOuts())) == people })
	<-time.After(5 * every) // for one that does not wait
	before := len(confirmed(th))
	check(t, th.sim.Connect(testSender))
	s.until(id, func(CampaignView) bool { return len(confirmed(th)) >= people })
	s.until(id, isIn(campaign.StateCompleted))
	if before > 0 {
		t.Errorf("%d confirmations were sent while the phone was not connected", before)
	}
	list, times := confirmed(th), map[string]int{}
	for _, b := range list {
		times[b.ChatID]++
	}
	for i := range people {
		if n := times[string(campaign.PersonChat(number(i+1)))]; n != 1 {
			t.Errorf("person %d got %d confirmations", i+1, n)
		}
	}
	// The first call may have taken long to arrive, so that some of it is lost.
	if took := list[len(list)-1].at.Sub(list[0].at); len(list) != people || took < people/2*every {
		t.Errorf("%d confirmations within %s", len(list), took)
	}
	check(t, s.remote.Close())
	s.stop()
	check(t, <-s.ended)
	ofRows := slices.DeleteFunc(th.sim.Acceptances(), func(a sandbox.Acceptance) bool { return a.Body == confirmationText })
	found, err := oracle.Judge(context.WithoutCancel(t.Context()), oracle.Case{Ledger: s.app.store, Acceptances: slices.Values(ofRows)})
	check(t, errors.Join(err, found.Err(), s.app.Close()))
}

// confirmed is the confirmations that were sent, as they came.
func confirmed(th *theater) (list []sent) {
	for _, b := range th.api.sentBodies() {
		if b.Message == confirmationText {
			list = append(list, b)
		}
	}
	return list
}

// confirming is a worker in a bubble, with two senders.
type confirming struct {
	*confirmations
	log     logBook
	gates   map[campaign.SenderID]*dispatcher.Hold
	began   time.Time
	calls   []string // sender, chat and second of each
	outcome func() campaign.Outcome
}

func newConfirming(t *testing.T) *confirming {
	t.Helper()
	c := &confirming{
		gates: map[campaign.SenderID]*dispatcher.Hold{"a": dispatcher.NewHold(), "b": dispatcher.NewHold()}, began: time.Now(),
		outcome: func() campaign.Outcome { return campaign.Outcome{Kind: campaign.OutcomeAccepted} },
	}
	send := func(_ context.Context, sender campaign.Sender, chat campaign.ChatID) campaign.Outcome {
		c.calls = append(c.calls, fmt.Sprintf("%s %s %.0f", sender.ID, string(chat), time.Since(c.began).Seconds()))
		return c.outcome()
	}
	open := func(sender campaign.Sender) bool { return c.gates[sender.ID].Open() }
	c.confirmations = newConfirmations(send, open, confirmEvery, slog.New(slog.NewJSONHandler(&c.log, nil)))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); c.run(ctx) }()
	t.Cleanup(func() { cancel(); <-ended })
	return c
}

// ask has opt-outs confirmed, each as its sender and chat.
func (c *confirming) ask(list ...string) {
	for _, one := range list {
		sender, chat, _ := strings.Cut(one, " ")
		c.add(context.Background(), campaign.Sender{ID: campaign.SenderID(sender)}, campaign.ChatID(chat))
	}
}

// came waits, then compares all calls so far.
func (c *confirming) came(t *testing.T, after time.Duration, want ...string) {
	t.Helper()
	<-time.After(after)
	synctest.Wait()
	if got := strings.Join(c.calls, ", "); got != strings.Join(want, ", ") {
		t.Errorf("calls %s, want %s", got, strings.Join(want, ", "))
	}
}

func TestConfirmationsKeepTheirPace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newConfirming(t)
		c.gates["b"].Set(campaign.PauseDisconnected, "")
		c.ask("b 1", "a 1", "a 2", "a 3", "b 2", "b 3")
		c.came(t, 19500*time.Millisecond, "a 1 0", "a 2 3", "a 3 6")
		c.gates["b"].Clear(campaign.PauseDisconnected)
		c.came(t, time.Minute, "a 1 0", "a 2 3", "a 3 6", "b 1 20", "b 2 23", "b 3 26")
	})
}

func TestLateConfirmationsAreDropped(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newConfirming(t)
		c.gates["a"].Set(campaign.PauseDisconnected, "")
		c.ask("a 1")
		c.came(t, 5*time.Minute)
		c.ask("a 2")
		c.came(t, 6*time.Minute)
		c.gates["a"].Clear(campaign.PauseDisconnected)
		c.came(t, time.Minute, "a 2 661")
		if n := c.log.lines(slog.LevelWarn, "in time"); n != 1 {
			t.Errorf("told %d times", n)
		}
	})
}

func TestThrottledConfirmationIsTriedOnceMore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newConfirming(t)
		c.outcome = func() campaign.Outcome {
			if len(c.calls) > 2 {
				return campaign.Outcome{Kind: campaign.OutcomeAccepted}
			}
			return campaign.Outcome{Kind: campaign.OutcomeThrottled, RetryAfter: 30 * time.Second}
		}
		c.ask("a 1", "a 2")
		c.came(t, 2*time.Minute, "a 1 0", "a 1 30", "a 2 60")
		if n := c.log.lines(slog.LevelWarn, "not confirmed"); n != 1 {
			t.Errorf("told %d times", n)
		}
	})
}

func TestTooManyConfirmations(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newConfirming(t)
		c.gates["a"].Set(campaign.PauseDisconnected, "")
		for i := range confirmWaiting + 50 {
			c.ask(fmt.Sprintf("a %d", i))
		}
		if len(c.waiting) != confirmWaiting || c.log.lines(slog.LevelWarn, "too many") != 1 {
			t.Errorf("%d wait, told %d times", len(c.waiting), c.log.lines(slog.LevelWarn, "too many"))
		}
	})
}
