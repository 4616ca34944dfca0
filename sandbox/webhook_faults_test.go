package sandbox

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/herald-campaigns/herald/periskope"
)

// crowd sends to n ordinary people, each of whom reads: n echoes and 3n acks.
func (b *bundle) crowd(n int) {
	b.t.Helper()
	for i := range n {
		b.send(many(i), "Hi")
	}
}

func TestLossIsSeededAndCounted(t *testing.T) {
	t.Parallel()
	run := func(loss float64, seed uint64) (WebhookCounts, []string) {
		b, r := hurried(t, Config{Seed: seed, Instant: true, WebhookFaults: WebhookFaults{Loss: loss}}), newReceiver(t)
		b.hook(r.URL, "message.created", "message.ack.updated")
		b.crowd(100)
		return b.quiet(), r.told()
	}
	half, told := run(0.5, 11)
	if half.Events != 400 || half.Lost+half.Delivered != 400 || int(half.Delivered) != len(told) {
		t.Errorf("400 events: %+v, %d arrived", half, len(told))
	}
	if share := float64(half.Lost) / 400; math.Abs(share-0.5) > 0.1 {
		t.Errorf("%d of 400 are lost at 50 %%", half.Lost)
	}
	_, again := run(0.5, 11)
	if diff := gocmp.Diff(told, again); diff != "" {
		t.Errorf("the same seed lost others:\n%s", diff)
	}
	if _, other := run(0.5, 12); slices.Equal(told, other) {
		t.Error("another seed lost the same")
	}
	more, fewer := run(0.7, 11)
	if more.Lost <= half.Lost {
		t.Errorf("%d lost at 70 %%, %d at 50 %%", more.Lost, half.Lost)
	}
	for _, line := range fewer {
		if _, had := slices.BinarySearch(told, line); !had {
			t.Errorf("%s is lost at 50 %% and not at 70 %%", line)
		}
	}
	if all, none := run(1, 11); all.Lost != 400 || len(none) != 0 || all.Attempts != 0 {
		t.Errorf("at 100 %%: %+v, %d arrived", all, len(none))
	}
}

func TestDuplicatesAreTheSameBytes(t *testing.T) {
	t.Parallel()
	b, r := hurried(t, Config{Instant: true, WebhookFaults: WebhookFaults{Duplicate: 0.25}}), newReceiver(t)
	b.hook(r.URL, "message.ack.updated")
	b.crowd(100)
	counts := b.quiet()
	if counts.Events != 300 || counts.Duplicated < 40 || counts.Duplicated > 110 || counts.Delivered != 300+counts.Duplicated {
		t.Errorf("counts %+v", counts)
	}
	times := map[string]int{}
	for _, e := range r.all() {
		times[e.Key]++
	}
	twice := 0
	for key, n := range times {
		if n == 2 {
			twice++
		} else if n != 1 {
			t.Errorf("event %s came %d times", key, n)
		}
	}
	if len(times) != 300 || uint64(twice) != counts.Duplicated {
		t.Errorf("%d events, %d of them twice, want 300 and %d", len(times), twice, counts.Duplicated)
	}
}

func TestRetriesUntilTheReceiverSaysYes(t *testing.T) {
	t.Parallel()
	b, r := hurried(t, Config{Instant: true}), newReceiver(t)
	r.refuse = func(before int, _ []byte) int { // each body is refused three times
		if before < 3 {
			return http.StatusServiceUnavailable
		}
		return 0
	}
	b.hook(r.URL, "message.ack.updated")
	b.send("12015550003", "x") // ack 2 and nothing more
	counts := b.quiet()
	if counts.Attempts != 4 || counts.Delivered != 1 || counts.GaveUp != 0 {
		t.Errorf("counts %+v", counts)
	}
	var log []string
	for _, d := range b.Deliveries() {
		log = append(log, fmt.Sprintf("%d %d %s", d.Attempt, d.Status, d.Result))
	}
	want := []string{"1 503 retry", "2 503 retry", "3 503 retry", "4 200 delivered"}
	if diff := gocmp.Diff(want, log); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
	bodies := r.all()
	for _, e := range bodies {
		if string(e.raw) != string(bodies[0].raw) || e.signed != nil {
			t.Error("a retry is not the same delivery again")
		}
	}
}

func TestRetriesEnd(t *testing.T) {
	t.Parallel()
	b, r := hurried(t, Config{Instant: true, Webhooks: Webhooks{Tries: 3, Timeout: 3 * time.Second}}), newReceiver(t)
	release := make(chan struct{})
	t.Cleanup(func() { close(release) }) // before the receiver closes, which waits for its requests
	r.refuse = func(before int, _ []byte) int {
		switch before {
		case 0:
			<-release // longer than the timeout
		case 1:
			return http.StatusFound // a redirect is not followed, and no yes
		case 3:
			return http.StatusOK // the redelivery
		}
		return http.StatusInternalServerError
	}
	b.hook(r.URL, "message.ack.updated")
	b.send("12015550003", "x")
	counts := b.quiet()
	if counts.Attempts != 3 || counts.GaveUp != 1 || counts.Delivered != 0 {
		t.Errorf("counts %+v", counts)
	}
	log := b.Deliveries()
	if len(log) != 3 || log[0].Status != 0 || log[0].Error == "" || log[1].Status != http.StatusFound || log[2].Result != "gave_up" {
		t.Errorf("log %+v", log)
	}

	if err := b.Redeliver(log[2].ID); err != nil {
		t.Fatal(err)
	}
	if counts = b.quiet(); counts.Delivered != 1 {
		t.Errorf("after redelivery: %+v", counts)
	}
	if got := r.all(); string(got[len(got)-1].raw) != string(got[0].raw) || got[len(got)-1].signed != nil {
		t.Error("the redelivered event is another one")
	}
	if err := b.Redeliver("nothing"); err == nil {
		t.Error("an event that never was is redelivered")
	}
}

// TestOrder proves that the events of a chat keep their order unless they are
// told not to.
func TestOrder(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		faults  WebhookFaults
		ordered bool
	}{
		{"usual", WebhookFaults{}, true},
		{"reordered", WebhookFaults{Reorder: 0.5, ReorderBy: 100 * time.Millisecond}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			b, r := hurried(t, Config{Instant: true, WebhookFaults: test.faults, Webhooks: Webhooks{Parallel: 8}}), newReceiver(t)
			b.hook(r.URL, "message.ack.updated")
			b.crowd(100)
			counts := b.quiet()
			last, ordered := map[string]int64{}, true
			for _, e := range r.all() {
				ordered = ordered && e.Message.Ack.V > last[e.Message.ChatID]
				last[e.Message.ChatID] = e.Message.Ack.V
			}
			if counts.Delivered != 300 || ordered != test.ordered || (counts.Reordered > 0) == test.ordered {
				t.Errorf("in order %v, counts %+v", ordered, counts)
			}
		})
	}
}

func TestHoldAndRelease(t *testing.T) {
	t.Parallel()
	b, r := hurried(t, Config{Instant: true, WebhookFaults: WebhookFaults{Hold: true}}), newReceiver(t)
	b.hook(r.URL, "message.ack.updated")
	b.crowd(50)
	if counts := b.WebhookCounts(); counts.Pending != 150 || counts.Attempts != 0 || len(r.all()) != 0 {
		t.Errorf("held: %+v", counts)
	}
	if err := b.SetWebhookFaults(WebhookFaults{}); err != nil {
		t.Fatal(err)
	}
	if counts := b.quiet(); counts.Delivered != 150 {
		t.Errorf("released: %+v", counts)
	}
}

func TestDelayAndBurst(t *testing.T) {
	t.Parallel()
	const by = 80 * time.Millisecond
	for _, test := range []struct {
		faults WebhookFaults
		least  func(sent time.Time) time.Time
	}{
		{WebhookFaults{Delay: by}, func(sent time.Time) time.Time { return sent.Add(by) }},
		{WebhookFaults{Burst: by}, func(sent time.Time) time.Time { return sent.Truncate(by).Add(by) }},
	} {
		b, r := hurried(t, Config{Instant: true, WebhookFaults: test.faults}), newReceiver(t)
		b.hook(r.URL, "message.ack.updated")
		least := test.least(time.Now())
		b.crowd(5)
		if counts := b.quiet(); counts.Delivered != 15 {
			t.Errorf("%+v: %+v", test.faults, counts)
		}
		for _, d := range b.Deliveries() {
			if d.At.Before(least) {
				t.Errorf("%+v: an event was delivered at %s, before %s", test.faults, d.At, least)
			}
		}
	}
}

func TestForgeriesComeBesideTheEvent(t *testing.T) {
	t.Parallel()
	b, r := hurried(t, Config{Instant: true, WebhookFaults: WebhookFaults{BadSignature: 0.4, NoSignature: 0.4, Unknown: 0.4}}), newReceiver(t)
	b.hook(r.URL, "message.ack.updated")
	b.crowd(50)
	counts := b.quiet()
	var forged, unsigned, unknown, genuine uint64
	ids := map[string]bool{}
	for _, e := range r.all() {
		var fault *periskope.WebhookError
		switch {
		case e.Kind == periskope.EventOther && e.signed == nil:
			unknown++
		case e.signed == nil:
			genuine++
			if ids[e.ID] {
				t.Errorf("event %s came twice", e.ID)
			}
			ids[e.ID] = true
		default:
			fault, _ = e.signed.(*periskope.WebhookError) //nolint:errorlint // VerifySignature returns it unwrapped
			switch fault.Fault {                          //nolint:exhaustive // the counts tell of any other
			case periskope.FaultForged:
				forged++
			case periskope.FaultUnsigned:
				unsigned++
			}
		}
	}
	if genuine != 150 || forged+unsigned != counts.Forged || forged < 30 || unsigned < 30 || unknown != counts.Unknown || unknown < 30 {
		t.Errorf("%d genuine, %d forged, %d unsigned, %d unknown; counts %+v", genuine, forged, unsigned, unknown, counts)
	}
}

func TestWithoutAKeyNothingIsSigned(t *testing.T) {
	t.Parallel()
	b, r := setup(t, Config{Instant: true, Clock: time.Now}), newReceiver(t)
	b.hook(r.URL, "message.ack.updated")
	b.send("12015550003", "x")
	b.quiet()
	if e := r.all()[0]; e.header.Get(periskope.SignatureHeader) != "" {
		t.Errorf("signature %q without a key", e.header.Get(periskope.SignatureHeader))
	}
}

// TestNothingLeavesTheMachine registers what looks like elsewhere.
func TestNothingLeavesTheMachine(t *testing.T) {
	t.Parallel()
	b := hurried(t, Config{Instant: true})
	elsewhere := []string{
		"https://example.com/hook", "http://192.0.2.1:9/hook", "http://127.0.0.1.example.com/", "http://localhost.example.com/",
		"http://[::ffff:192.0.2.1]/", "http://0.0.0.0:9/",
	}
	for _, url := range elsewhere {
		b.hook(url, "message.ack.updated")
	}
	b.send("12015550003", "x")
	counts := b.quiet()
	if counts.Refused != uint64(len(elsewhere)) || counts.Attempts != 0 {
		t.Errorf("counts %+v", counts)
	}
	for _, d := range b.Deliveries() {
		if d.Result != "refused" || d.Attempt != 0 {
			t.Errorf("log %+v", d)
		}
	}
	for _, address := range []string{"192.0.2.1:80", "[2001:db8::1]:80", "0.0.0.0:80", "x"} {
		if loopbackControl(t.Context(), "tcp", address, nil) == nil {
			t.Errorf("a connection to %s is allowed", address)
		}
	}
	for _, address := range []string{"127.0.0.1:80", "127.8.8.8:80", "[::1]:80", "[::ffff:127.0.0.1]:80"} {
		if err := loopbackControl(t.Context(), "tcp", address, nil); err != nil {
			t.Errorf("%s: %v", address, err)
		}
	}
}

// TestSubscribingLate tells what is still to come, once.
func TestSubscribingLate(t *testing.T) {
	t.Parallel()
	b, r := setup(t, Config{Service: time.Second}), newReceiver(t)
	b.send("12015550004", "x") // delivered after an hour
	b.clock.add(time.Minute)
	for range 3 { // each registration begins anew
		b.hook(r.URL, "message.ack.updated", "message.created")
		var hooks []hook
		b.call(http.StatusOK, "", http.MethodGet, "/v1/webhooks", "").into(t, &hooks)
		if len(r.all()) != 0 {
			t.Fatalf("what happened before the subscription is told: %s", r.all()[0].raw)
		}
		for _, h := range hooks {
			b.call(http.StatusNoContent, "", http.MethodDelete, "/v1/webhooks/"+h.ID, "")
		}
	}
	b.hook(r.URL, "message.ack.updated", "message.created")
	b.clock.add(2 * time.Hour)
	b.quiet()
	want := []string{"message.ack.updated 12015550004@c.us 3", "message.ack.updated 12015550004@c.us 4"}
	if diff := gocmp.Diff(want, r.told()); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
}

// TestAdvanceWakesTheWatch moves the clock to just before a delivery; nobody
// asks for anything afterwards.
func TestAdvanceWakesTheWatch(t *testing.T) {
	t.Parallel()
	r, came := newReceiver(t), make(chan struct{}, 8)
	r.refuse = func(int, []byte) int {
		came <- struct{}{}
		return 0
	}
	b := setup(t, Config{Clock: time.Now, Service: time.Millisecond})
	b.ownClock = false // as in a server whose Config has none
	b.hook(r.URL, "message.created", "message.ack.updated")
	wait := func(what string) {
		t.Helper()
		select {
		case <-came:
		case <-time.After(20 * time.Second):
			t.Fatalf("%s is not told", what)
		}
	}
	b.send("12015550004", "x")
	wait("sending")
	wait("the server's tick")
	if err := b.Advance(time.Hour - 2*time.Second); err != nil {
		t.Fatal(err)
	}
	wait("the delivery")
}

// TestTooManyEventsAreDropped bounds what waits for a receiver that is gone.
func TestTooManyEventsAreDropped(t *testing.T) {
	t.Parallel()
	b := hurried(t, Config{WebhookFaults: WebhookFaults{Hold: true}})
	b.hook("http://127.0.0.1:9/", "message.created")
	const more = 100
	for range pendingLimit + more {
		b.courier.announce(&event{id: "x", name: "message.created"})
	}
	if counts := b.WebhookCounts(); counts.Pending != pendingLimit || counts.Dropped != more {
		t.Errorf("%d wait and %d were dropped, want %d and %d", counts.Pending, counts.Dropped, pendingLimit, more)
	}
	if n := len(b.Deliveries()); n > logLimit {
		t.Errorf("the log has %d entries", n)
	}
}

// TestUnsubscribingForgetsWhatWaits must not leave the count of what waits
// behind, or nobody could tell when all is done.
func TestUnsubscribingForgetsWhatWaits(t *testing.T) {
	t.Parallel()
	b := hurried(t, Config{Instant: true, WebhookFaults: WebhookFaults{Hold: true}})
	b.hook("http://127.0.0.1:9/", "message.ack.updated")
	b.crowd(10)
	var hooks []hook
	b.call(http.StatusOK, "", http.MethodGet, "/v1/webhooks", "").into(t, &hooks)
	if n := b.WebhookCounts().Pending; n != 30 {
		t.Errorf("%d events wait, want 30", n)
	}
	b.call(http.StatusNoContent, "", http.MethodDelete, "/v1/webhooks/"+hooks[0].ID, "")
	if n := b.WebhookCounts().Pending; n != 0 {
		t.Errorf("%d events wait for nobody", n)
	}
}

func TestPausedHookGetsNothing(t *testing.T) {
	t.Parallel()
	b, r := hurried(t, Config{Instant: true}), newReceiver(t)
	b.hook(r.URL, "message.ack.updated")
	var hooks []hook
	b.call(http.StatusOK, "", http.MethodGet, "/v1/webhooks", "").into(t, &hooks)
	b.call(http.StatusOK, "", http.MethodPatch, "/v1/webhooks/"+hooks[0].ID, `{"isSubscribed":false}`)
	b.send("12015550003", "x")
	b.quiet()
	if len(r.all()) != 0 {
		t.Error("an unsubscribed webhook was told")
	}
	b.call(http.StatusOK, "", http.MethodPatch, "/v1/webhooks/"+hooks[0].ID, `{"isSubscribed":true}`)
	b.send("12015550003", "x")
	b.quiet()
	if len(r.all()) != 1 {
		t.Errorf("%d events after subscribing again, want 1", len(r.all()))
	}
}

func TestPhoneEvents(t *testing.T) {
	t.Parallel()
	b, r := hurried(t, Config{}), newReceiver(t)
	b.hook(r.URL, "org.phone.connected", "org.phone.disconnected", "org.phone.qr", "org.phone.updated")
	for _, state := range []string{PhoneDisconnected, PhoneConnected, PhoneLoggedOut, PhoneBanned} {
		if err := b.SetPhone(phoneA, state); err != nil {
			t.Fatal(err)
		}
	}
	if b.SetPhone(phoneA, PhoneConnected) == nil || b.SetPhone(phoneA, "tired") == nil || b.SetPhone("1", PhoneConnected) == nil {
		t.Error("a phone took a state it cannot have")
	}
	b.quiet()
	var got []string
	for _, e := range r.all() {
		if e.OrgPhone() != phoneA+"@c.us" {
			t.Errorf("%s is about phone %s", e.Name, e.OrgPhone())
		}
		got = append(got, fmt.Sprintf("%s %v", e.Name, e.Phone.Connected()))
	}
	want := []string{
		"org.phone.disconnected false", "org.phone.updated false", "org.phone.connected true", "org.phone.updated true",
		"org.phone.disconnected false", "org.phone.qr false", "org.phone.updated false", "org.phone.disconnected false",
		"org.phone.updated false",
	}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
}

// TestJournalKeepsWhatPeopleDid replays replies, votes and webhooks.
func TestJournalKeepsWhatPeopleDid(t *testing.T) {
	t.Parallel()
	path, c := journalPath(t), newClock()
	cfg := Config{Journal: path, Clock: c.now, People: People{Reply: 0.5, Stop: 0.2, Vote: 1}, Outcomes: &Outcomes{Read: 1}}
	first := setup(t, cfg)
	first.clock = c
	for i := range 20 {
		first.send(many(i), "Hi")
	}
	group := "120363000000000001@g.us"
	votes := []sent{first.poll("12015551024", false), first.poll(many(1), true), first.poll(group, true)}
	first.send("12015551015", "Hi")
	c.add(time.Hour)
	act := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	act(first.Vote(phoneA, many(1), []string{"Yes", "Maybe"}, VoteOptions{}))
	_, err := first.Reply(phoneA, many(3), "by hand", ReplyOptions{Quote: QuoteFull})
	act(err)
	for i := range 20 {
		_, err = first.Reply(phoneA, many(i), "me too", ReplyOptions{})
		act(err)
	}
	_, err = first.Reply(phoneA, group, "in a group", ReplyOptions{Author: many(4), Type: "image"})
	act(err)
	act(first.Vote(phoneA, group, []string{"No"}, VoteOptions{Voter: many(5)}))
	act(first.Vote(phoneA, group, []string{"No"}, VoteOptions{Voter: many(6)}))
	act(first.Vote(phoneA, group, nil, VoteOptions{Voter: many(5)}))
	c.add(time.Minute)
	look := func(b *bundle) ([]messagePage, [][]string) {
		var chosen [][]string
		pages := []messagePage{b.page("/v1/chats/messages"), b.page("/v1/chats/" + group + "/messages")}
		for i := range 20 {
			pages = append(pages, b.page("/v1/chats/"+many(i)+"/messages"))
		}
		for _, s := range votes {
			chosen = append(chosen, b.chosen(s.UniqueID))
		}
		return pages, chosen
	}
	pages, chosen := look(first)
	if in := first.State().Inbound; in < 8 || pages[0].Count != 24+in {
		t.Fatalf("%d messages, %d of them from others", pages[0].Count, in)
	}
	if diff := gocmp.Diff([][]string{{"No"}, {"Maybe", "Yes"}, {"No"}}, chosen); diff != "" {
		t.Errorf("votes (-want +got):\n%s", diff)
	}

	cfg.Seed, cfg.People = 99, People{} // what people do was decided before
	second := setup(t, cfg)
	second.clock = c
	again, chosenAgain := look(second)
	if diff := gocmp.Diff(pages, again); diff != "" {
		t.Errorf("messages (-before +after):\n%s", diff)
	}
	if diff := gocmp.Diff(chosen, chosenAgain); diff != "" {
		t.Errorf("votes (-before +after):\n%s", diff)
	}
	id, err := second.Reply(phoneA, many(3), "after", ReplyOptions{})
	act(err)
	for _, m := range pages[0].Messages {
		if m.MessageID == id {
			t.Error("a message id was given out twice")
		}
	}
}

func TestJournalRefusesAVoteForNothing(t *testing.T) {
	t.Parallel()
	path := journalPath(t)
	b := setup(t, Config{Journal: path, Instant: true})
	b.poll("12015550001", false)
	if err := b.Vote(phoneA, "12015550001", []string{"Yes"}, VoteOptions{}); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{`"options":[9]`, `"options":[-1]`} {
		damaged := journalPath(t)
		if err := os.WriteFile(damaged, []byte(strings.Replace(string(text), `"options":[0]`, bad, 1)), 0o600); err != nil {
			t.Fatal(err)
		}
		if s, err := New(Config{Journal: damaged}); err == nil {
			t.Errorf("%s is taken", bad)
			_ = s.Close()
		}
	}
}

// TestHooksOfTheJournalAreDelivered starts anew with a receiver registered.
func TestHooksOfTheJournalAreDelivered(t *testing.T) {
	t.Parallel()
	path, r := journalPath(t), newReceiver(t)
	cfg := Config{Journal: path}
	first := hurried(t, cfg)
	first.hook(r.URL, "message.ack.updated")
	first.send("12015550003", "x")
	first.quiet()
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	before := len(r.all())
	second := hurried(t, cfg)
	second.send("12015550003", "y")
	second.quiet()
	if after := len(r.all()); before != 1 || after != 2 {
		t.Errorf("%d events before the restart and %d in all, want 1 and 2", before, after)
	}
}

// TestCloseEndsDeliveries leaves a receiver that never answers; goleak looks
// for what remains.
func TestCloseEndsDeliveries(t *testing.T) {
	t.Parallel()
	r, release := newReceiver(t), make(chan struct{})
	t.Cleanup(func() { close(release) })
	var arrived sync.Once
	came := make(chan struct{})
	r.refuse = func(int, []byte) int {
		arrived.Do(func() { close(came) })
		<-release
		return 0
	}
	b := hurried(t, Config{Instant: true})
	b.hook(r.URL, "message.ack.updated")
	b.crowd(20)
	<-came
	done := make(chan error, 1)
	go func() { done <- b.Close() }()
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(20 * time.Second):
		t.Error("Close waits for a receiver that does not answer")
	}
}

func TestResetForgetsDeliveries(t *testing.T) {
	t.Parallel()
	b, r := hurried(t, Config{Instant: true}), newReceiver(t)
	b.hook(r.URL, "message.ack.updated")
	if err := b.SetWebhookFaults(WebhookFaults{Hold: true}); err != nil {
		t.Fatal(err)
	}
	b.crowd(10)
	if err := b.Reset(); err != nil {
		t.Fatal(err)
	}
	if counts := b.quiet(); counts != (WebhookCounts{}) || len(b.Deliveries()) != 0 || b.WebhookFaults() != (WebhookFaults{}) {
		t.Errorf("after a reset: %+v", counts)
	}
	b.hook(r.URL, "message.ack.updated")
	b.send("12015550003", "x")
	if counts := b.quiet(); counts.Delivered != 1 || len(r.all()) != 1 {
		t.Errorf("after a new subscription: %+v, %d arrived", counts, len(r.all()))
	}
}

func TestOrdinaryPeople(t *testing.T) {
	t.Parallel()
	b := hurried(t, Config{Instant: true, People: People{Reply: 0.3, Stop: 0.1, Vote: 0.5}})
	for i := range 300 {
		b.poll(many(i), false)
	}
	b.quiet()
	stops, voters := 0, 0
	for _, m := range b.page("/v1/chats/messages").Messages {
		if !m.FromMe && slices.Contains(stopWords, m.Body) {
			stops++
		}
		for _, by := range m.PollResults {
			voters += len(by)
		}
	}
	if replies := b.State().Inbound - stops; replies < 60 || replies > 120 || stops < 12 || stops > 55 || voters < 110 || voters > 190 {
		t.Errorf("of 300 people %d replied, %d opted out, %d voted; want about 90, 30, 150", replies, stops, voters)
	}
}

func TestSweepByTime(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{Instant: true})
	b.send(many(1), "one")
	b.clock.add(time.Minute)
	from := b.clock.now()
	for i := range 5 {
		if _, err := b.Reply(phoneA, many(1), fmt.Sprint("reply ", i), ReplyOptions{}); err != nil {
			t.Fatal(err)
		}
		b.clock.add(time.Minute)
	}
	b.send(many(1), "two")
	texts := func(path string) []string {
		var out []string
		for _, m := range b.page(path).Messages {
			out = append(out, m.Body)
		}
		return out
	}
	since := "start_time=" + from.Format(time.RFC3339)
	for path, want := range map[string][]string{
		"/v1/chats/messages":                        {"two", "reply 4", "reply 3", "reply 2", "reply 1", "reply 0", "one"},
		"/v1/chats/" + many(1) + "/messages":        {"two", "reply 4", "reply 3", "reply 2", "reply 1", "reply 0", "one"},
		"/v1/chats/messages?" + since + "&limit=2":  {"two", "reply 4"},
		"/v1/chats/messages?" + since + "&offset=4": {"reply 1", "reply 0"},
		"/v1/chats/messages?" + since + "&end_time=" + from.Add(time.Minute).Format(time.RFC3339): {"reply 1", "reply 0"},
		"/v1/chats/" + many(1) + "/messages?limit=2&offset=5":                                     {"reply 0", "one"},
		"/v1/chats/" + many(2) + "/messages":                                                      nil,
	} {
		if diff := gocmp.Diff(want, texts(path)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", path, diff)
		}
	}
	reply := b.page("/v1/chats/messages").Messages[1]
	for _, id := range []string{reply.UniqueID, reply.MessageID} {
		var m periskope.Message
		b.call(http.StatusOK, phoneA, http.MethodGet, "/v1/message/"+id, "").into(t, &m)
		if m.FromMe || m.Body != "reply 4" {
			t.Errorf("message %s is %+v", id, m)
		}
		b.call(http.StatusNotFound, phoneB, http.MethodGet, "/v1/message/"+id, "")
	}
}

// TestInboxForgetsTheOldest keeps memory bounded.
func TestInboxForgetsTheOldest(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{Instant: true})
	first, err := b.Reply(phoneA, many(0), "first", ReplyOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range inboxLimit {
		if _, err := b.Reply(phoneA, many(i%50), "x", ReplyOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	b.call(http.StatusNotFound, phoneA, http.MethodGet, "/v1/message/"+first, "")
	if n := b.State().Inbound; n != inboxLimit || len(b.engine.byID) != inboxLimit {
		t.Errorf("%d messages kept and %d by id, want %d", n, len(b.engine.byID), inboxLimit)
	}
	last := b.page("/v1/chats/" + many(0) + "/messages?limit=2000")
	if last.Messages[len(last.Messages)-1].Body == "first" {
		t.Error("the first message is still in its chat")
	}
}

func TestWebhookFaultsInJSON(t *testing.T) {
	t.Parallel()
	f := WebhookFaults{
		Loss: 0.5, Duplicate: 0.1, Reorder: 0.2, ReorderBy: time.Second, Delay: 1500 * time.Millisecond, BadSignature: 0.3,
		NoSignature: 0.4, Unknown: 0.6, Hold: true, Burst: time.Minute,
	}
	text, err := json.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	again, err := ParseWebhookFaults(text)
	if diff := gocmp.Diff(f, again); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	for _, bad := range []string{`{"los":1}`, `{"loss":1.5}`, `{"loss":-1}`, `{"delay":"soon"}`, `{"delay":"-1s"}`, `{"burst":"48h"}`, `[]`, `{`} {
		if f, err := ParseWebhookFaults([]byte(bad)); err == nil {
			t.Errorf("%s is taken for %+v", bad, f)
		}
	}
	for _, bad := range []Config{
		{WebhookFaults: WebhookFaults{Loss: 2}},
		{Webhooks: Webhooks{Names: "all"}},
		{Webhooks: Webhooks{Envelope: "x"}},
		{Webhooks: Webhooks{Tries: 21}},
		{Webhooks: Webhooks{Parallel: -1}},
		{Webhooks: Webhooks{Timeout: -1}},
		{Webhooks: Webhooks{RetryWait: -1}},
		{People: People{Reply: 1.1}},
	} {
		if s, err := New(bad); err == nil {
			_ = s.Close()
			t.Errorf("%+v is taken", bad)
		}
	}
}

// BenchmarkWebhookBurst releases 10,000 held events at once, to a receiver
// that verifies and parses nothing.
func BenchmarkWebhookBurst(b *testing.B) {
	const events = 10_000
	var got atomic.Int64
	s, err := New(Config{Seed: 1, Instant: true, Outcomes: &Outcomes{Read: 1}, Webhooks: Webhooks{Key: signingKey}})
	if err != nil {
		b.Fatal(err)
	}
	if err := s.Start(""); err != nil {
		b.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	r := newReceiverFunc(b, func() { got.Add(1) })
	bundle := &bundle{Server: s, t: b, http: http.DefaultClient}
	bundle.hook(r.URL, "message.ack.updated", "message.created")
	h, n := s.Handler(), 0
	for b.Loop() {
		b.StopTimer()
		_ = s.SetWebhookFaults(WebhookFaults{Hold: true})
		got.Store(0)
		for range events / 4 {
			n++
			if w := direct(h, phoneA, fmt.Appendf(nil, `{"chat_id":"91999%07d","message":"Hi Asha, your order 4711 ships today."}`, n)); w.Code != http.StatusOK {
				b.Fatal(w.Code)
			}
		}
		b.StartTimer()
		_ = s.SetWebhookFaults(WebhookFaults{})
		bundle.quiet()
		if got.Load() != events {
			b.Fatalf("%d of %d events", got.Load(), events)
		}
	}
	b.ReportMetric(float64(b.N*events)/b.Elapsed().Seconds(), "events/s")
}

// BenchmarkSendHooked is BenchmarkSend with a receiver registered.
func BenchmarkSendHooked(b *testing.B) {
	s, err := New(Config{Seed: 1, Instant: true, MaxJobs: 1 << 16, WebhookFaults: WebhookFaults{Loss: 1}})
	if err != nil {
		b.Fatal(err)
	}
	if err := s.Start(""); err != nil {
		b.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	(&bundle{Server: s, t: b, http: http.DefaultClient}).hook("http://127.0.0.1:9/", "message.ack.updated", "message.created")
	h := s.Handler()
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		i++
		if w := direct(h, phoneA, fmt.Appendf(nil, `{"chat_id":"91999%07d","message":"Hi Asha, your order 4711 ships today."}`, i%1e7)); w.Code != http.StatusOK {
			b.Fatal(w.Code)
		}
	}
}
