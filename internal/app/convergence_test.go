package app

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/sandbox"
	"github.com/herald-campaigns/herald/status"
	"github.com/herald-campaigns/herald/storage"
)

// known is what the ledger knows of one recipient, without the times, which
// differ from run to run.
type known struct {
	Status    campaign.Status
	Skip      campaign.SkipReason
	Replies   int
	Reply     string
	Vote      string
	Voted     bool
	OptedOut  bool
	Delivered bool
	Read      bool
}

// answering are people with a behavior, each in two area codes: fewer than
// optOutSample, so that a campaign to them never pauses for their opt-outs.
func answering() string {
	var b strings.Builder
	b.WriteString("phone,name\n")
	for _, area := range []string{"201", "202"} {
		for _, suffix := range []string{
			"0001", "0002", "0003", "0404", "1001", "1002", "1003", "1004", "1005", "1010", "1011", "1012", "1013",
			"1021", "1022", "1023", "1024", "1025",
		} {
			fmt.Fprintf(&b, "+1%s555%s,Person %s\n", area, suffix, suffix)
		}
	}
	return b.String()
}

// converge sends a text and a poll to people who answer, with webhooks that are
// lost, doubled or out of order, and returns what the ledger knows in the end.
// want is what it should; nil when nobody knows.
func converge(t *testing.T, faults sandbox.WebhookFaults, names sandbox.EventNames, envelope sandbox.Envelope, want map[string]known) map[string]known {
	t.Helper()
	th := newTheater(t, func(c *sandbox.Config) {
		c.Instant, c.Speed = false, 2000
		c.Webhooks = sandbox.Webhooks{Key: testWebhookKey, Names: names, Envelope: envelope}
	})
	th.cfg.Periskope.WebhookKey = testWebhookKey
	th.tuning.sweepsPerSecond = 50
	th.tuning.sweeper = status.SweeperConfig{
		Every: 300 * time.Millisecond, Overlap: time.Hour, Idle: 50 * time.Millisecond,
		Votes: []time.Duration{200 * time.Millisecond, 500 * time.Millisecond, time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second},
	}
	check(t, th.sim.SetWebhookFaults(faults))
	th.write("people.csv", answering())
	head := "recipients: { csv: people.csv, phone: phone }\nsenders: [\"" + testSender + "\"]\npace: { rate: unlimited, in_flight: 8 }\n"
	text := th.write("text.yaml", "name: text\nmessage: { text: \"Hi {{ name }}\" }\n"+head)
	poll := th.write("poll.yaml", "name: poll\nmessage: { poll: { question: \"Coming, {{ name }}?\", options: [\"Yes\", \"No\"], multiple: true } }\n"+head)
	s := th.serve()
	defer s.end()
	check(t, s.registered())
	ids := []campaign.ID{s.start(text)}
	s.until(ids[0], func(v CampaignView) bool { return v.Waiting() == 0 })
	// Whoever opted out of the first must be left out of the second, and until
	// then everybody must have been heard.
	first := maps.Clone(want)
	maps.DeleteFunc(first, func(name string, _ known) bool { return !strings.HasPrefix(name, "text ") })
	s.settleTo(first, ids)
	ids = append(ids, s.start(poll))
	s.until(ids[1], func(v CampaignView) bool { return v.Waiting() == 0 })
	return s.settleTo(want, ids)
}

// registered has the provider deliver its webhooks to the service.
func (s *serving) registered() error {
	p, err := s.app.connect(4)
	if err != nil {
		return err
	}
	_, err = p.gateway.EnsureWebhooks(s.th.t.Context(), s.info.URL+"/webhooks/periskope")
	return err
}

// settle waits until the simulator is done with everything it plans and nothing
// has changed for a while since, and returns what is known then.
func (s *serving) settle(ids []campaign.ID) map[string]known {
	s.th.t.Helper()
	// In looks, not in time: a machine that stands still lets nothing come to rest.
	const enough = 25
	deadline := time.Now().Add(patience)
	last := s.knows(ids)
	for quiet := 0; quiet < enough; quiet++ {
		if time.Now().After(deadline) {
			s.th.t.Fatalf("it does not come to rest; webhooks: %+v", s.th.sim.WebhookCounts())
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case err := <-s.ended:
			s.th.t.Fatalf("the service ended: %v", err)
		}
		if now := s.knows(ids); s.busy() || !maps.Equal(now, last) {
			last, quiet = now, 0
		}
	}
	return last
}

// settleTo is settle for what should come to rest as wanted. Without webhooks a
// receipt is seen when its message is asked for next, and that may be longer
// than the quiet that settle waits for. Nil wants nothing.
func (s *serving) settleTo(want map[string]known, ids []campaign.ID) map[string]known {
	s.th.t.Helper()
	deadline := time.Now().Add(100 * time.Second)
	got := s.settle(ids)
	for want != nil && !maps.Equal(got, want) && time.Now().Before(deadline) {
		got = s.settle(ids)
	}
	return got
}

// busy says whether people still do something, or tell of it.
func (s *serving) busy() bool {
	counts := s.th.sim.WebhookCounts()
	return counts.Planned > 0 || counts.Pending > 0
}

func (s *serving) knows(ids []campaign.ID) map[string]known {
	s.th.t.Helper()
	all := map[string]known{}
	for _, id := range ids {
		c, err := s.app.store.Campaign(s.th.t.Context(), id)
		check(s.th.t, err)
		for r, err := range s.app.store.Recipients(context.WithoutCancel(s.th.t.Context()), id, storage.Filter{}) {
			check(s.th.t, err)
			vote := slices.Sorted(slices.Values(r.Vote))
			all[fmt.Sprintf("%s %03d …%s", c.Name, r.Seq, r.Chat.Number()[7:])] = known{
				Status: r.Status, Skip: r.SkipReason, Replies: r.Replies, Reply: r.Reply, Vote: strings.Join(vote, "+"), Voted: !r.VotedAt.IsZero(),
				OptedOut: !r.OptedOut.IsZero(), Delivered: !r.DeliveredAt.IsZero(), Read: !r.ReadAt.IsZero(),
			}
		}
	}
	return all
}

// TestConvergence: whatever happens to webhooks, the ledger comes to the same
// (promise P8; design §4, evidence in any order). The first one, without
// trouble, is looked at closely.
func TestConvergence(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("skipped with -short: five campaigns with people who take their time")
	}
	expected := converge(t, sandbox.WebhookFaults{}, sandbox.NamesAck, sandbox.EnvelopeReal, nil)
	t.Run("what is known", func(t *testing.T) {
		tally := map[string]int{}
		for name, k := range expected {
			which, _, _ := strings.Cut(name, " ")
			if k.Replies > 0 {
				tally[which+" replied"]++
			}
			if k.OptedOut {
				tally[which+" opted out"]++
			}
			if k.Voted {
				tally[which+" voted "+k.Vote]++
			}
			if k.Skip != "" {
				tally[which+" "+string(k.Skip)]++
			}
			if k.Status == campaign.StatusFailed {
				tally[which+" failed"]++
			}
		}
		// Of each of the two: 1001 to 1004 reply, 1010, 1011 and 1013 stop, 1012
		// nearly does; 0404 fails.
		want := map[string]int{
			"text replied": 16, "text opted out": 6, "text failed": 2,
			"poll replied": 10, "poll failed": 2, "poll opted_out": 6,
			"poll voted Yes": 2, "poll voted No": 4, "poll voted No+Yes": 2,
		}
		if diff := cmp.Diff(want, tally); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
	})
	for _, test := range []struct {
		name     string
		faults   sandbox.WebhookFaults
		names    sandbox.EventNames
		envelope sandbox.Envelope
	}{
		{"all lost", sandbox.WebhookFaults{Loss: 1}, sandbox.NamesAck, sandbox.EnvelopeReal},
		{"half lost, in the other vocabulary", sandbox.WebhookFaults{Loss: 0.5}, sandbox.NamesSpec, sandbox.EnvelopeDocs},
		{"all doubled, in both", sandbox.WebhookFaults{Duplicate: 1, Unknown: 0.1}, sandbox.NamesBoth, sandbox.EnvelopeReal},
		{"out of order, with forgeries", sandbox.WebhookFaults{Reorder: 1, ReorderBy: 2 * time.Second, BadSignature: 0.1, NoSignature: 0.1}, sandbox.NamesAck, sandbox.EnvelopeDocs},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got := converge(t, test.faults, test.names, test.envelope, expected)
			if diff := cmp.Diff(expected, got); diff != "" {
				t.Errorf("the ledger differs (-without trouble +with)\n%s", diff)
			}
		})
	}
}
