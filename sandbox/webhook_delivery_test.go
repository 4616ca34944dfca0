package sandbox

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/herald-campaigns/herald/periskope"
)

const signingKey = "whsec-test-1"

// receiver takes webhooks and remembers them. refuse may turn one away; it is
// told how often this body came before.
type receiver struct {
	*httptest.Server
	refuse func(before int, body []byte) int

	mu     sync.Mutex
	events []received
	seen   map[string]int
}

type received struct {
	periskope.Event
	raw    []byte
	signed error // nil: with the signing key
	header http.Header
}

func newReceiver(tb testing.TB) *receiver {
	tb.Helper()
	r := &receiver{seen: map[string]int{}}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		raw, err := io.ReadAll(req.Body)
		if err != nil {
			tb.Errorf("read webhook: %v", err)
		}
		e, err := periskope.ParseEvent(raw)
		if err != nil {
			tb.Errorf("parse %s: %v", raw, err)
		}
		got := received{
			Event: e, raw: raw, header: req.Header,
			signed: periskope.VerifySignature(raw, req.Header.Get(periskope.SignatureHeader), signingKey),
		}
		r.mu.Lock()
		before := r.seen[string(raw)]
		r.seen[string(raw)]++
		r.events = append(r.events, got)
		r.mu.Unlock()
		if r.refuse != nil {
			if status := r.refuse(before, raw); status != 0 {
				w.Header().Set("Location", "/elsewhere") // means something with a redirect only
				w.WriteHeader(status)
			}
		}
	}))
	tb.Cleanup(r.Close)
	return r
}

// newReceiverFunc takes webhooks and calls f for each.
func newReceiverFunc(tb testing.TB, f func()) *httptest.Server {
	tb.Helper()
	r := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
		_, _ = io.Copy(io.Discard, req.Body)
		f()
	}))
	tb.Cleanup(r.Close)
	return r
}

// all is what came so far, in order of arrival.
func (r *receiver) all() []received {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.events)
}

// told is what came so far, each as one line, sorted.
func (r *receiver) told() []string {
	var out []string
	for _, e := range r.all() {
		out = append(out, tell(e))
	}
	slices.Sort(out)
	return out
}

func tell(e received) string {
	switch {
	case e.Job != nil:
		return fmt.Sprintf("%s %s %s", e.Name, e.Message.ChatID, e.Job.Status)
	case e.Message != nil:
		return fmt.Sprintf("%s %s %d", e.Name, e.Message.ChatID, e.Message.Ack.V)
	}
	return e.Name
}

// hook subscribes the receiver to events.
func (b *bundle) hook(url string, names ...string) {
	b.t.Helper()
	body, err := json.Marshal(map[string]any{"hookUrl": url, "integrationName": names})
	if err != nil {
		b.t.Fatal(err)
	}
	b.call(http.StatusCreated, "", http.MethodPost, "/v1/webhooks", string(body))
}

// quiet waits until nothing more will be delivered by itself.
func (b *bundle) quiet() WebhookCounts {
	b.t.Helper()
	deadline, tick := time.After(30*time.Second), time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		counts := b.WebhookCounts()
		if counts.Planned == 0 && counts.Pending == 0 {
			return counts
		}
		select {
		case <-tick.C:
		case <-deadline:
			b.t.Fatalf("webhooks are still at work: %+v", counts)
		}
	}
}

// hurried is a server in the caller's time, at which hours are a second.
func hurried(tb testing.TB, cfg Config) *bundle {
	tb.Helper()
	cfg.Clock, cfg.Speed = time.Now, cmp.Or(cfg.Speed, 10_000)
	cfg.Webhooks.Key = signingKey
	if cfg.Outcomes == nil {
		cfg.Outcomes = &Outcomes{Read: 1}
	}
	return setup(tb, cfg)
}

func TestWebhooksTellTheLifeOfAMessage(t *testing.T) {
	t.Parallel()
	read, fails := "12015550001", "12015550404"
	ack := []string{
		"message.ack.updated 12015550001@c.us 2", "message.ack.updated 12015550001@c.us 3",
		"message.ack.updated 12015550001@c.us 4", "message.ack.updated 12015550404@c.us -1",
	}
	spec := []string{
		"message.delivered 12015550001@c.us delivered", "message.failed 12015550404@c.us failed",
		"message.read 12015550001@c.us read", "message.sent 12015550001@c.us sent",
	}
	echo := "message.created 12015550001@c.us 1"
	for _, test := range []struct {
		name string
		with Webhooks
		want []string
	}{
		{"acks", Webhooks{}, append(slices.Clone(ack), echo)},
		{"four names", Webhooks{Names: NamesSpec}, append(slices.Clone(spec), echo)},
		{"both, documented envelope", Webhooks{Names: NamesBoth, Envelope: EnvelopeDocs}, slices.Concat(ack, spec, []string{echo})},
		{"pretty, prefixed", Webhooks{Pretty: true, Prefix: true}, append(slices.Clone(ack), echo)},
	} {
		for _, instant := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, instant %v", test.name, instant), func(t *testing.T) {
				t.Parallel()
				b, r := hurried(t, Config{Webhooks: test.with, Instant: instant}), newReceiver(t)
				b.hook(r.URL, "message.created", "message.ack.updated", "message.updated",
					"message.sent", "message.delivered", "message.read", "message.failed")
				one, two := b.send(read, "Hi *Asha* & <co>"), b.send(fails, "Hi")
				b.quiet()
				if diff := gocmp.Diff(slices.Sorted(slices.Values(test.want)), r.told()); diff != "" {
					t.Errorf("told (-want +got):\n%s", diff)
				}
				for _, e := range r.all() {
					if e.signed != nil {
						t.Errorf("%s: %v", e.Name, e.signed)
					}
					queueID := one.QueueID
					if e.Message.ChatID != read+"@c.us" {
						queueID = two.QueueID
					}
					if e.Message.SentMessageID != queueID && (e.Job == nil || e.Job.QueueID != queueID) {
						t.Errorf("%s leads to no message of ours: %s", e.Name, e.raw)
					}
					if e.OrgPhone() != phoneA+"@c.us" || (e.Job == nil && (!e.Message.FromMe || e.Message.PerformedBy != "api")) {
						t.Errorf("%s is not about our phone and message: %s", e.Name, e.raw)
					}
				}
			})
		}
	}
}

// TestEnvelopes looks at the bytes, which ParseEvent is too kind about.
func TestEnvelopes(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		with Webhooks
		keys []string
		ack  string
	}{
		{Webhooks{}, []string{"data", "event_type", "id", "org_id", "previous_attributes"}, `"ack":"2"`},
		{Webhooks{Envelope: EnvelopeDocs}, []string{"data", "event", "org_id", "timestamp"}, `"ack":"2"`},
		{Webhooks{Pretty: true}, []string{"data", "event_type", "id", "org_id", "previous_attributes"}, `"ack": "2"`},
	} {
		b, r := hurried(t, Config{Webhooks: test.with, Instant: true}), newReceiver(t)
		b.hook(r.URL, "message.ack.updated")
		b.send("12015550003", "x")
		b.quiet()
		e := r.all()[0]
		var top map[string]json.RawMessage
		if err := json.Unmarshal(e.raw, &top); err != nil {
			t.Fatal(err)
		}
		var keys []string
		for k := range top {
			keys = append(keys, k)
		}
		slices.Sort(keys)
		if diff := gocmp.Diff(test.keys, keys); diff != "" {
			t.Errorf("%+v: envelope (-want +got):\n%s", test.with, diff)
		}
		if !bytes.Contains(e.raw, []byte(test.ack)) {
			t.Errorf("%+v: the ack of a message object is a string: %s", test.with, e.raw)
		}
		if signature := e.header.Get(periskope.SignatureHeader); signature != strings.ToLower(signature) || len(signature) != 64 {
			t.Errorf("signature %q is not 64 lower-case hex digits", signature)
		}
	}
}

func TestReplies(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		number string
		texts  []string
		quoted func(unique, chat string) string
	}{
		{"12015551001", []string{"Thanks, got it!"}, nil},
		{"12015551002", []string{"Yes, please"}, func(unique, _ string) string { return unique }},
		{"12015551003", []string{"Yes, please"}, func(unique, chat string) string { return "true_" + chat + "_" + unique }},
		{"12015551004", []string{"Who is this?"}, nil},
		{"12015551010", []string{"STOP"}, nil},
		{"12015551011", []string{"stop."}, nil},
		{"12015551012", []string{"Stop please"}, nil},
		{"12015551013", []string{"बंद करो"}, nil},
		{"12015551014", []string{"रोको"}, nil},
		{"12015551015", []string{"STOP", "START"}, nil},
	} {
		t.Run(test.number, func(t *testing.T) {
			t.Parallel()
			b, r := hurried(t, Config{}), newReceiver(t)
			b.hook(r.URL, "message.created")
			s := b.send(test.number, "Hi")
			b.quiet()
			quoted := ""
			if test.quoted != nil {
				quoted = test.quoted(s.UniqueID, test.number+"@c.us")
			}
			var texts []string
			for _, e := range r.all() {
				if m := e.Message; !m.FromMe {
					texts = append(texts, m.Body)
					if m.QuotedID != quoted || m.ChatID != test.number+"@c.us" || m.SenderPhone != m.ChatID || m.Type != "chat" {
						t.Errorf("reply %s", e.raw)
					}
				}
			}
			if diff := gocmp.Diff(test.texts, texts); diff != "" {
				t.Errorf("replies by webhook (-want +got):\n%s", diff)
			}
			// The sweep finds the same without webhooks.
			var swept []string
			for _, m := range b.page("/v1/chats/messages").Messages {
				if !m.FromMe {
					swept = append(swept, m.Body)
				}
			}
			slices.Reverse(swept) // newest first
			if diff := gocmp.Diff(test.texts, swept); diff != "" {
				t.Errorf("replies by list (-want +got):\n%s", diff)
			}
		})
	}
}

func (b *bundle) page(path string) messagePage {
	b.t.Helper()
	var p messagePage
	b.call(http.StatusOK, phoneA, http.MethodGet, path, "").into(b.t, &p)
	return p
}

const pollBody = `{"chat_id":"%s","poll":{"pollName":"Coming?","pollOptions":["Yes","No","Maybe"],"options":{"allowMultipleAnswers":%v,"pollId":"p1"}}}`

func (b *bundle) poll(chat string, multiple bool) sent {
	b.t.Helper()
	var s sent
	b.call(http.StatusOK, phoneA, http.MethodPost, "/v1/message/send", fmt.Sprintf(pollBody, chat, multiple)).into(b.t, &s)
	return s
}

// chosen reads the votes the way our client does.
func (b *bundle) chosen(id string) []string {
	b.t.Helper()
	var m periskope.Message
	b.call(http.StatusOK, phoneA, http.MethodGet, "/v1/message/"+id, "").into(b.t, &m)
	return options(b.t, m)
}

func options(tb testing.TB, m periskope.Message) []string {
	tb.Helper()
	votes, known := periskope.PollResults(m)
	if !known {
		tb.Error("the message says nothing of votes")
	}
	out := []string{}
	for _, v := range votes {
		out = append(out, v.Option)
	}
	return out
}

func TestVotes(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		number   string
		multiple bool
		want     [][]string // after each event
	}{
		{"12015551021", false, [][]string{{"Yes"}}},
		{"12015551022", false, [][]string{{"No"}}},
		{"12015551023", true, [][]string{{"No", "Yes"}}},
		{"12015551023", false, [][]string{{"Yes"}}},
		{"12015551024", false, [][]string{{"Yes"}, {"No"}}},
		{"12015551025", false, [][]string{{"Yes"}, {}}},
	} {
		for _, wire := range []Wire{{}, {PollsByVoter: true}, {PollsSilent: true}} {
			t.Run(fmt.Sprintf("%s %v %+v", test.number, test.multiple, wire), func(t *testing.T) {
				t.Parallel()
				b, r := hurried(t, Config{Wire: wire}), newReceiver(t)
				b.hook(r.URL, "message.updated")
				s := b.poll(test.number, test.multiple)
				b.quiet()
				var told [][]string
				for _, e := range r.all() {
					told = append(told, options(t, *e.Message))
					if !bytes.Contains(e.raw, []byte(`"updated_at":"`)) {
						t.Errorf("no updated_at in %s", e.raw)
					}
				}
				want := test.want
				if wire.PollsSilent {
					want = nil
				}
				if diff := gocmp.Diff(want, told); diff != "" {
					t.Errorf("votes by webhook (-want +got):\n%s", diff)
				}
				if diff := gocmp.Diff(test.want[len(test.want)-1], b.chosen(s.UniqueID)); diff != "" {
					t.Errorf("votes by asking (-want +got):\n%s", diff)
				}
			})
		}
	}
}

func TestReadFirst(t *testing.T) {
	t.Parallel()
	b, r := hurried(t, Config{}), newReceiver(t)
	b.hook(r.URL, "message.ack.updated")
	b.send("12015551005", "Hi")
	b.quiet()
	var acks []int64
	for _, e := range r.all() {
		acks = append(acks, e.Message.Ack.V)
	}
	if diff := gocmp.Diff([]int64{2, 4, 3}, acks); diff != "" {
		t.Errorf("acks (-want +got):\n%s", diff)
	}
}
