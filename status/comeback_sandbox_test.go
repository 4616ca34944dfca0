package status_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/internal/gateway"
	"github.com/herald-campaigns/herald/periskope"
	"github.com/herald-campaigns/herald/sandbox"
	"github.com/herald-campaigns/herald/status"
	"github.com/herald-campaigns/herald/storage"
	"github.com/herald-campaigns/herald/storage/storagetest"
)

const (
	webhookKey   = "whsec-test-1"
	campaignSize = 12
)

// plant is everything that takes what comes back, beside the real sandbox over
// real HTTP: only the receiver is made up here.
type plant struct {
	*mailroom

	sim  *sandbox.Server
	gate *gateway.Gateway
}

// newPlant starts the sandbox and registers the receiver with it.
func newPlant(t *testing.T, config sandbox.Config) *plant {
	t.Helper()
	p := &plant{mailroom: &mailroom{t: t, log: &strings.Builder{}, now: time.Now()}}
	store, err := storage.Open(t.Context(), storage.Config{Path: filepath.Join(t.TempDir(), "herald.db")})
	check(t, err)
	t.Cleanup(func() { check(t, store.Close()) })
	p.ledger, p.seeded = &shelfLedger{Store: store}, storagetest.Seed(t, store, campaignSize)

	config.AnyPhone, config.Seed, config.Webhooks.Key = true, 7, webhookKey
	p.sim, err = sandbox.New(config)
	check(t, err)
	api, receiver := httptest.NewServer(p.sim.Handler()), httptest.NewServer(http.HandlerFunc(p.receive))
	client, err := periskope.New(periskope.Config{BaseURL: api.URL + "/v1", Token: "a-token"})
	check(t, err)
	t.Cleanup(func() {
		check(t, p.sim.Close())
		client.CloseIdleConnections()
		receiver.Close()
		api.Close()
	})
	p.gate = gateway.New(client, nil, gateway.Config{})
	_, err = p.gate.EnsureWebhooks(t.Context(), receiver.URL+"/webhooks/periskope")
	check(t, err)

	log := slog.New(slog.NewTextHandler(p.log, nil))
	p.withdrawals = status.NewWithdrawals(p.ledger, p.gate, log)
	desk, err := status.NewDesk(p.ledger, p, log, status.DeskConfig{Withdrawals: p.withdrawals})
	check(t, err)
	clock := func() time.Time { return p.now }
	p.inbox = status.NewInbox(p.ledger, gateway.News, desk, p.gate, free{}, log, status.InboxConfig{Clock: clock})
	p.sweeper = status.NewSweeper(p.ledger, p.gate, p, desk, free{}, log, status.SweeperConfig{Clock: clock})
	return p
}

// receive is a webhook receiver: it keeps what is signed, and only then says so.
func (p *plant) receive(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err == nil {
		err = periskope.VerifySignature(body, r.Header.Get(periskope.SignatureHeader), webhookKey)
	}
	news, readErr := gateway.News(body)
	if err != nil || readErr != nil {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	if _, err := p.ledger.Receive(r.Context(), []campaign.Delivery{{Key: news.Key, Name: news.Name, Body: body}}); err != nil {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
}

// submit sends every row, those at the end as polls.
func (p *plant) submit() {
	p.t.Helper()
	for i := range int64(campaignSize) {
		row, claim := p.claim(i + 1)
		task := p.seeded.Task(row)
		if i >= campaignSize-4 {
			task.Message = campaign.Message{Poll: &campaign.Poll{Question: "Coming?", Options: []string{"Yes", "No", "Stop"}, PollID: "cmp:1"}}
		}
		outcome := p.gate.Send(p.t.Context(), p.seeded.Sender, task, nil)
		if outcome.Kind != campaign.OutcomeAccepted {
			p.t.Fatalf("row %d: %s", i+1, outcome.Detail)
		}
		settlement := p.seeded.Accepted(row, claim)
		settlement.Outcome = outcome
		_, err := p.ledger.Settle(p.t.Context(), settlement)
		check(p.t, err)
	}
}

// answer lets the people of the campaign write and vote.
func (p *plant) answer() {
	p.t.Helper()
	phone := string(storagetest.Phone)
	chat := func(seq int64) string { return string(storagetest.Chat(seq)) }
	for _, say := range []struct {
		seq   int64
		text  string
		quote sandbox.Quote
	}{{1, "Thanks!", sandbox.QuoteBare}, {1, "And when?", sandbox.QuoteNone}, {2, "STOP", sandbox.QuoteFull}, {3, "बंद करो", sandbox.QuoteNone}, {4, "please stop sending", sandbox.QuoteNone}, {5, "stop", sandbox.QuoteNone}, {5, "START", sandbox.QuoteNone}} {
		_, err := p.sim.Reply(phone, chat(say.seq), say.text, sandbox.ReplyOptions{Quote: say.quote})
		check(p.t, err)
		check(p.t, p.sim.Advance(time.Second))
	}
	for _, vote := range []struct {
		seq     int64
		options []string
	}{{9, []string{"Yes"}}, {9, []string{"No"}}, {10, []string{"Yes"}}, {10, nil}, {11, []string{"Stop"}}} {
		check(p.t, p.sim.Vote(phone, chat(vote.seq), vote.options, sandbox.VoteOptions{}))
		check(p.t, p.sim.Advance(time.Second))
	}
}

// settle waits until the sandbox has delivered what it is going to deliver.
func (p *plant) settle() {
	p.t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for {
		if counts := p.sim.WebhookCounts(); counts.Pending == 0 && counts.Planned == 0 {
			return
		} else if time.Now().After(deadline) {
			p.t.Fatalf("the sandbox comes to no end: %+v", counts)
		}
		// No further than needed: on a busy machine the campaign would be so long
		// ago that an answer is to nothing any more.
		if p.sim.WebhookCounts().Planned > 0 {
			check(p.t, p.sim.Advance(time.Hour))
		}
		rest, cancel := context.WithTimeout(p.t.Context(), 5*time.Millisecond)
		<-rest.Done()
		cancel()
	}
}

// catchUp looks for everything that no webhook brought.
func (p *plant) catchUp() {
	p.t.Helper()
	poller := status.New(p.ledger, p.gate, free{}, slog.New(slog.DiscardHandler), status.Config{
		Clock: func() time.Time { return p.now }, Schedule: status.Schedule{Waits: []time.Duration{time.Minute}, Window: 1000 * time.Hour},
	})
	for range 5 {
		p.now = p.now.Add(5 * time.Minute)
		p.sweep()
		p.sort()
		_, err := poller.Round(p.t.Context())
		check(p.t, err)
	}
}

// outcome is what the ledger says, without times and ids.
func (p *plant) outcome() []string {
	p.t.Helper()
	var lines []string
	for i := range int64(campaignSize) {
		r := p.row(i + 1)
		lines = append(lines, fmt.Sprintf("row %d %s %s; %d replies, first %q; voted %v %t; opted out %t, suppressed %t",
			r.Seq, r.Status, r.FailReason, r.Replies, r.Reply, r.Vote, r.VotedAt.IsZero(), !r.OptedOut.IsZero(), p.suppressed(r.Chat)))
	}
	return append(lines, p.replies()...)
}

// TestTheSandboxTellsTheSameInEveryWay: whichever form its webhooks have, and
// however many of them are lost, doubled, forged and late, the ledger ends the
// same as with none at all.
func TestTheSandboxTellsTheSameInEveryWay(t *testing.T) {
	t.Parallel()
	var want []string
	for _, test := range []struct {
		name   string
		config sandbox.Config
	}{
		{"all lost", sandbox.Config{WebhookFaults: sandbox.WebhookFaults{Loss: 1}}},
		{"real form", sandbox.Config{}},
		{"documented form", sandbox.Config{Webhooks: sandbox.Webhooks{Envelope: sandbox.EnvelopeDocs, Names: sandbox.NamesSpec}}},
		{"both vocabularies, indented", sandbox.Config{Webhooks: sandbox.Webhooks{Names: sandbox.NamesBoth, Pretty: true, Prefix: true}}},
		{"half lost, doubled, reordered, forged", sandbox.Config{WebhookFaults: sandbox.WebhookFaults{
			Loss: 0.5, Duplicate: 0.5, Reorder: 0.5, ReorderBy: 20 * time.Millisecond, BadSignature: 0.3, NoSignature: 0.3, Unknown: 0.3,
		}}},
	} {
		p := newPlant(t, test.config)
		p.submit()
		p.settle()
		p.answer()
		p.settle()
		p.sort()
		brought := p.inbox.Stats()
		if lossy := test.config.WebhookFaults.Loss > 0; !lossy {
			if brought.Replies != 7 || brought.Statuses == 0 || brought.Votes == 0 || brought.OptOuts < 4 {
				t.Errorf("%s: the webhooks brought %+v", test.name, brought)
			}
		} else if test.config.WebhookFaults.Loss == 1 && brought.Taken != 0 {
			t.Errorf("%s: %d deliveries came", test.name, brought.Taken)
		}
		p.catchUp()
		got := p.outcome()
		if want == nil {
			want = got
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s ends otherwise than with nothing delivered (-nothing +this):\n%s\n%s", test.name, diff, p.log)
		}
	}
	for _, line := range []string{
		`1 quote - Thanks!`, `1 recent - And when?`, `2 quote opt_out STOP`, `3 recent opt_out बंद करो`, `4 recent review please stop sending`,
	} {
		if !slices.Contains(want, line) {
			t.Errorf("the ledger does not say %q:\n%s", line, strings.Join(want, "\n"))
		}
	}
}
