package app

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/internal/natsd"
	"github.com/herald-campaigns/herald/sandbox"
)

// office is the other system that a campaign reports to. It verifies with the
// library of Standard Webhooks and nothing of ours.
type office struct {
	*httptest.Server
	t        *testing.T
	verifier *standardwebhooks.Webhook

	mu      sync.Mutex
	refuse  int  // so many are answered 500
	away    bool // nobody answers at all
	refused int
	taken   map[string]string // body by webhook-id
	repeats int               // came again after they were taken
}

func newOffice(t *testing.T, cfg Config, refuse int) *office {
	t.Helper()
	secret, err := NoticeSecret(cfg)
	check(t, err)
	o := &office{t: t, refuse: refuse, taken: map[string]string{}}
	o.verifier, err = standardwebhooks.NewWebhook(secret)
	check(t, err)
	o.Server = httptest.NewServer(o)
	t.Cleanup(o.Close)
	return o
}

func (o *office) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // cut off with the process
	}
	if err := o.verifier.Verify(body, r.Header); err != nil {
		o.t.Errorf("a notice that is not genuine: %v", err)
	}
	id := r.Header.Get(standardwebhooks.HeaderWebhookID)
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.away {
		o.mu.Unlock()
		<-r.Context().Done()
		o.mu.Lock()
		return
	}
	if o.refuse > 0 {
		o.refuse--
		o.refused++
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	if before, again := o.taken[id]; again {
		o.repeats++
		if before != string(body) {
			o.t.Errorf("notice %s came with two bodies", id)
		}
	}
	o.taken[id] = string(body)
	w.WriteHeader(http.StatusNoContent)
}

func (o *office) setAway(away bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.away = away
}

// heard is what an office was told of one campaign, in words that do not depend
// on times and ids.
type heard struct {
	Notices   int
	States    []string // from → to, in the order of their timestamps
	Messages  []string // line and status
	Replies   []string // line and text
	OptOuts   []string // line
	refused   int
	repeats   int
	campaigns []string
}

func (o *office) heard() heard {
	o.t.Helper()
	o.mu.Lock()
	defer o.mu.Unlock()
	h := heard{Notices: len(o.taken), refused: o.refused, repeats: o.repeats}
	type move struct {
		at   time.Time
		what string
	}
	var moves []move
	for _, body := range o.taken {
		var n struct {
			Type      campaign.NoticeKind
			Timestamp time.Time
			Data      struct {
				From, To     campaign.State
				Line         int64
				Status       campaign.Status
				Text         string
				CampaignName string `json:"campaign_name"`
			}
		}
		check(o.t, json.Unmarshal([]byte(body), &n))
		switch n.Type {
		case campaign.NoticeCampaign:
			moves = append(moves, move{n.Timestamp, fmt.Sprintf("%s → %s", n.Data.From, n.Data.To)})
		case campaign.NoticeMessage:
			h.Messages = append(h.Messages, fmt.Sprintf("%d %s", n.Data.Line, n.Data.Status))
		case campaign.NoticeReply:
			h.Replies = append(h.Replies, fmt.Sprintf("%d %s", n.Data.Line, n.Data.Text))
		case campaign.NoticeOptOut:
			h.OptOuts = append(h.OptOuts, fmt.Sprint(n.Data.Line))
		default:
			o.t.Errorf("a notice of the type %q", n.Type)
		}
		h.campaigns = append(h.campaigns, n.Data.CampaignName)
	}
	slices.SortFunc(moves, func(a, b move) int { return a.at.Compare(b.at) })
	for _, m := range moves {
		h.States = append(h.States, m.what)
	}
	slices.Sort(h.Messages)
	slices.Sort(h.Replies)
	slices.Sort(h.OptOuts)
	return h
}

// until waits until enough was heard.
func (o *office) until(what string, enough func(heard) bool) {
	o.t.Helper()
	deadline := time.Now().Add(patience)
	for {
		h := o.heard()
		if enough(h) {
			return
		}
		if time.Now().After(deadline) {
			o.t.Fatalf("waited in vain for %s: %+v", what, h)
		}
		<-time.After(10 * time.Millisecond)
	}
}

// simulated has the theater's installation run in sandbox mode, in which time
// runs faster: also that between two attempts.
func (th *theater) simulated(speed float64, people *sandbox.Outcomes) {
	th.t.Helper()
	th.cfg.Mode = campaign.ModeSandbox
	th.cfg.Sandbox.Speed, th.cfg.Sandbox.Seed = speed, 7
	th.cfg.Poll.PerSecond = 0
	th.tuning.sandbox = func(c *sandbox.Config) { c.Outcomes = people }
	th.tuning.started = func(_ *natsd.Server, sim *sandbox.Server) { th.sim = sim }
}

// untilKnown waits until the rows of a campaign are as wanted.
func (s *serving) untilKnown(id campaign.ID, want func([]known) bool) {
	s.th.t.Helper()
	deadline := time.Now().Add(patience)
	for {
		all := slices.Collect(maps.Values(s.knows([]campaign.ID{id})))
		if want(all) {
			return
		}
		if time.Now().After(deadline) {
			s.th.t.Fatalf("the rows are %+v", all)
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case err := <-s.ended:
			s.th.t.Fatalf("the service ended: %v", err)
		}
	}
}

func answered(all []known) (n int) {
	for _, k := range all {
		n += k.Replies
	}
	return n
}

func optedOut(all []known) (n int) {
	for _, k := range all {
		if k.OptedOut {
			n++
		}
	}
	return n
}

// TestNoticesTellEverything to a receiver that refuses at first, and is away when
// the service stops: it has each change in the end, and none twice.
func TestNoticesTellEverything(t *testing.T) {
	t.Parallel()
	th := newTheater(t, nil)
	th.simulated(10_000, &sandbox.Outcomes{Read: 1})
	o := newOffice(t, th.cfg, 5)
	th.write("people.csv", "phone\n+12015550001\n+12015550403\n+12015551001\n+12015551010\n+12015550422\n")
	file := th.write("told.yaml", "name: told\nrecipients: { csv: people.csv, phone: phone }\nmessage: { text: \"Hi\" }\n"+
		"senders: [\""+testSender+"\"]\npace: { rate: unlimited }\nnotify: { url: \""+o.URL+"\", messages: true }\n")
	s := th.serve()
	id := s.start(file)
	o.until("the first refusals to be over", func(h heard) bool { return h.refused == 5 && h.Notices > 0 })
	o.setAway(true)
	s.until(id, isIn(campaign.StateCompleted))
	s.untilKnown(id, func(all []known) bool { return answered(all) == 2 && optedOut(all) == 1 })
	s.end()
	counts := noticesOf(th, id)
	before := o.heard()
	if counts.Waiting == 0 || counts.GivenUp > 0 {
		t.Errorf("while the receiver was away: %+v, and it has %d", counts, before.Notices)
	}

	o.setAway(false)
	s = th.serve()
	o.until("the rest", func(heard) bool {
		counts, err := s.app.store.Notices(t.Context(), id)
		check(t, err)
		return counts.Waiting == 0
	})
	s.end()
	counts = noticesOf(th, id)
	got := o.heard()
	want := heard{
		Notices: int(counts.Delivered),
		States:  []string{"draft → running", "running → tracking", "tracking → completed"},
		Messages: []string{
			"2 read", "3 failed", "4 read", "5 read", "6 failed",
		},
		Replies: []string{"4 Thanks, got it!", "5 STOP"},
		OptOuts: []string{"5"},
	}
	// How many of the steps between are told depends on when somebody looked.
	got.Messages = steps(got.Messages)
	if diff := cmp.Diff(want, got, cmp.FilterPath(func(p cmp.Path) bool {
		name := p.Last().String()
		return name == ".refused" || name == ".repeats" || name == ".campaigns"
	}, cmp.Ignore())); diff != "" {
		t.Errorf("the receiver was told (-want +got)\n%s", diff)
	}
	if counts.Waiting != 0 || counts.GivenUp != 0 || got.repeats > 0 {
		t.Errorf("%+v; %d came again after they were taken", counts, got.repeats)
	}
}

// steps leaves out statuses that another one follows, and checks that none is
// told twice.
func steps(messages []string) []string {
	last := map[string]string{}
	for i, m := range messages {
		line, status, _ := strings.Cut(m, " ")
		if i > 0 && messages[i-1] == m {
			last[line] = "twice " + status
			continue
		}
		order := []string{"queued", "sent", "delivered", "read", "failed"}
		if slices.Index(order, status) >= slices.Index(order, last[line]) {
			last[line] = status
		}
	}
	var list []string
	for line, status := range last {
		list = append(list, line+" "+status)
	}
	return slices.Sorted(slices.Values(list))
}

// noticesOf is where the notices of a campaign stand, for nobody at work.
func noticesOf(th *theater, id campaign.ID) campaign.NoticeCounts {
	th.t.Helper()
	a := th.open()
	defer func() { check(th.t, a.Close()) }()
	counts, err := a.store.Notices(th.t.Context(), id)
	check(th.t, err)
	return counts
}

// TestRunDeliversItsNotices before it returns, also those that were refused once
// while it sent.
func TestRunDeliversItsNotices(t *testing.T) {
	t.Parallel()
	th := newTheater(t, nil)
	th.simulated(10_000, &sandbox.Outcomes{Read: 1})
	o := newOffice(t, th.cfg, 3)
	file := th.text(10, "notify: { url: \""+o.URL+"\", messages: true }\npace: { rate: unlimited }\n")
	result, err := th.run(t.Context(), file, PrepareOptions{}, RunOptions{Wait: WaitSettled, Webhooks: "127.0.0.1:0"})
	check(t, err)
	got, counts := o.heard(), noticesOf(th, result.Campaign.ID)
	if counts.Waiting != 0 || counts.GivenUp != 0 || int(counts.Delivered) != got.Notices || got.refused != 3 || got.repeats > 0 {
		t.Errorf("%+v; the receiver has %d, refused %d, and got %d again", counts, got.Notices, got.refused, got.repeats)
	}
	if want := []string{"draft → running", "running → tracking", "tracking → completed"}; !slices.Equal(got.States, want) {
		t.Errorf("told of %v, want %v", got.States, want)
	}
	read := 0
	for _, m := range steps(got.Messages) {
		if strings.HasSuffix(m, " read") {
			read++
		}
	}
	if read != 10 {
		t.Errorf("told of %d read messages, want 10: %v", read, got.Messages)
	}
}
