package sandbox

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestLifeOfAMessage(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{Service: 3 * time.Second})
	s := b.send("12015550001", "hello")

	if v := b.status(s); v.Status != "queued" || v.Attempts != 0 || v.Ack != nil || v.MessageID != "" {
		t.Errorf("right after sending: %+v", v)
	}
	b.clock.add(100 * time.Millisecond)
	if v := b.status(s); v.Status != "sending" || v.Attempts != 1 {
		t.Errorf("after the pickup: %+v", v)
	}
	b.clock.add(3900 * time.Millisecond) // the slowest text takes 3 s and 30 %
	v := b.status(s)
	if v.Status != "sent" || v.Description != "Successfully submitted." || v.Ack == nil || *v.Ack < 1 || *v.Ack > 2 ||
		v.MessageID != "true_12015550001@c.us_"+s.UniqueID || v.Timeline["sent_at"] == "" {
		t.Errorf("after sending: %+v", v)
	}
	b.clock.add(2 * time.Second)
	if v := b.status(s); v.Status != "delivered" || *v.Ack != 3 || *v.Delivered != 1 || *v.Read != 0 {
		t.Errorf("two seconds later: %+v", v)
	}
	b.clock.add(3 * time.Second)
	if v := b.status(s); v.Status != "read" || v.Description != "Read by recipient." || *v.Ack != 4 || *v.Read != 1 {
		t.Errorf("five seconds later: %+v", v)
	}
	want := []string{"queued", "sending", "sent", "sent", "delivered", "read"}
	var got []string
	last := time.Time{}
	for _, c := range b.Trace(s.QueueID) {
		if c.At.Before(last) {
			t.Errorf("%s at %s is before what precedes it", c.Status, c.At)
		}
		got, last = append(got, c.Status), c.At
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("trace (-want +got):\n%s", diff)
	}
}

func TestAckOnlyGrows(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{})
	var all []sent
	for i := range 20 {
		all = append(all, b.send(many(i), "x"))
	}
	last := make([]int, len(all))
	for range 200 {
		b.clock.add(time.Second)
		for i, s := range all {
			b.engine.look(s.QueueID, func(j *job, now int64) {
				if ack := j.ack(now); ack < last[i] {
					t.Errorf("message %d: ack went from %d to %d", i, last[i], ack)
				} else {
					last[i] = ack
				}
			})
		}
	}
	if last[0] < 2 {
		t.Errorf("first message has ack %d after 200 s", last[0])
	}
}

func TestOneLinePerPhone(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{})
	for i := range 5 {
		if s := b.send(many(i), "x"); string(s.Position) != fmt.Sprint(i) {
			t.Errorf("position of message %d is %s", i, s.Position)
		}
	}
	if s := b.sendAs(phoneB, many(9), "x"); string(s.Position) != "0" {
		t.Errorf("the other phone's first message is at %s", s.Position)
	}
	// Never more than one active, and each starts when the one before ends.
	for range 400 {
		h := b.health(phoneA)
		if h.Active > 1 || h.Waiting+h.Active+h.Completed != 5 {
			t.Fatalf("health does not add up: %+v", h)
		}
		b.clock.add(50 * time.Millisecond)
	}
	if h := b.health(phoneA); h.Completed != 5 {
		t.Errorf("after 20 s: %+v, want all five done", h)
	}
	last := time.Time{}
	for _, a := range b.Acceptances()[:5] {
		trace := b.Trace(a.QueueID)
		if trace[1].At.Before(last) {
			t.Errorf("%s began before the one ahead had ended", a.ChatID)
		}
		last = trace[2].At
	}
}

func TestRetryWaitsWhileOthersPass(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{Service: time.Second, RetryWait: 2 * time.Second})
	flaky := b.send("12015550555", "flaky")
	next := b.send(fictional(1), "next")
	b.clock.add(1500 * time.Millisecond) // pickup and the longest service
	if v := b.status(flaky); v.Status != "queued" || v.Attempts != 1 {
		t.Errorf("after the first attempt: %+v, want queued with 1 attempt", v)
	}
	if h := b.health(phoneA); h.Delayed != 1 || h.Active != 1 {
		t.Errorf("health %+v, want the flaky one delayed and the next active", h)
	}
	b.clock.add(1500 * time.Millisecond)
	if v := b.status(next); v.Status != "sent" && v.Status != "delivered" {
		t.Errorf("the next one is %s, want sent while the retry waits", v.Status)
	}
	b.clock.add(3 * time.Second)
	if v := b.status(flaky); v.Attempts != 2 || v.Timeline["sent_at"] == "" {
		t.Errorf("after the retry: %+v, want sent with 2 attempts", v)
	}
}

func TestAlwaysTransientFailsAfterThreeRetries(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{Service: time.Second, RetryWait: 2 * time.Second})
	s := b.send("12015550556", "x")
	// Four attempts of at least 0.7 s and waits of 2, 4 and 8 s.
	b.clock.add(14 * time.Second)
	if v := b.status(s); v.Status == "failed" {
		t.Errorf("failed after 14 s, before all retries: %+v", v)
	}
	b.clock.add(6 * time.Second)
	v := b.status(s)
	if v.Status != "failed" || v.Attempts != 4 || *v.Ack != -1 || v.Description == "" || v.Timeline["failed_at"] == "" {
		t.Errorf("after 20 s: %+v, want failed after 4 attempts", v)
	}
	if h := b.health(phoneA); h.Failed != 1 || h.Waiting+h.Active+h.Delayed != 0 {
		t.Errorf("health %+v", h)
	}
}

// trace plays a fixed script and returns everything that can be observed.
func script(t *testing.T, seed uint64, order []int) map[string][]Change {
	t.Helper()
	c := newClock()
	s, err := New(Config{Seed: seed, Clock: c.now, Outcomes: &Outcomes{Read: 0.5, Offline: 0.1, Transient: 0.2, Unregistered: 0.1}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	for _, i := range order {
		if w := direct(s.Handler(), phoneA, []byte(sendBody(many(i), "x"))); w.Code != http.StatusOK {
			t.Fatalf("send: %d", w.Code)
		}
	}
	c.add(24 * time.Hour)
	out := map[string][]Change{}
	for _, a := range s.Acceptances() {
		out[a.ChatID+" "+a.QueueID] = s.Trace(a.QueueID)
	}
	return out
}

func TestSameSeedSameTrace(t *testing.T) {
	t.Parallel()
	order := make([]int, 60)
	for i := range order {
		order[i] = i
	}
	one := script(t, 42, order)
	if diff := cmp.Diff(one, script(t, 42, order)); diff != "" {
		t.Errorf("same seed, different trace:\n%s", diff)
	}
	if cmp.Equal(one, script(t, 43, order)) {
		t.Error("another seed gave the same trace")
	}
}

func TestFateDoesNotDependOnTheOrderOfRequests(t *testing.T) {
	t.Parallel()
	cfg := Config{Seed: 5, Outcomes: &Outcomes{Read: 0.5, Transient: 0.3}}.withDefaults()
	fates := func(order []string) map[string]fate {
		out := map[string]fate{}
		for _, chat := range order {
			out[chat] = drawFate(&cfg, phoneA, chat, 0, 0)
		}
		return out
	}
	a := fates([]string{"12015550101@c.us", "12015550102@c.us", "12015550103@c.us"})
	b := fates([]string{"12015550103@c.us", "12015550101@c.us", "12015550102@c.us"})
	if diff := cmp.Diff(a, b); diff != "" {
		t.Errorf("fates differ:\n%s", diff)
	}
	if cmp.Equal(drawFate(&cfg, phoneA, "12015550101@c.us", 0, 0), drawFate(&cfg, phoneA, "12015550101@c.us", 1, 0)) {
		t.Error("the second message to a number has the fate of the first")
	}
}

func TestDisconnectHoldsAndReconnectSendsInOrder(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{Service: time.Second})
	var all []sent
	for i := range 3 {
		all = append(all, b.send(many(i), "x"))
	}
	b.clock.add(300 * time.Millisecond) // the first is being sent
	b.call(http.StatusNoContent, "", http.MethodPost, "/_sim/phones/"+phoneA+"/disconnect", "")
	all = append(all, b.send(many(3), "x"))
	b.clock.add(time.Hour)
	for i, s := range all {
		if v := b.status(s); v.Status != "queued" {
			t.Errorf("message %d is %s while the phone is away", i, v.Status)
		}
	}
	var p phoneBody
	b.call(http.StatusOK, phoneA, http.MethodGet, "/v1/phones", "").into(t, &p)
	if p.WAState != "DISCONNECTED" || p.IsReady || p.QueueStatus.IsRunning {
		t.Errorf("phone %+v, want it disconnected", p)
	}
	b.call(http.StatusNoContent, "", http.MethodPost, "/_sim/phones/"+phoneA+"/connect", "")
	b.clock.add(6 * time.Second)
	last := time.Time{}
	for i, s := range all {
		trace := b.Trace(s.QueueID)
		if len(trace) < 3 || trace[1].At.Before(last) {
			t.Fatalf("message %d: trace %v, want it sent after %s", i, trace, last)
		}
		last = trace[2].At
	}
}

func TestSendThroughADisconnectedPhone(t *testing.T) {
	t.Parallel()
	away := []Phone{{Number: phoneA, Disconnected: true}}
	t.Run("fail", func(t *testing.T) {
		t.Parallel()
		b := setup(t, Config{Phones: away, OnDisconnected: DisconnectedFail})
		s := b.send(fictional(1), "x")
		if v := b.status(s); v.Status != "failed" || *v.Ack != -1 {
			t.Errorf("%+v, want failed at once", v)
		}
		if h := b.health(phoneA); h.Failed != 1 || h.Waiting != 0 {
			t.Errorf("health %+v", h)
		}
	})
	t.Run("reject", func(t *testing.T) {
		t.Parallel()
		b := setup(t, Config{Phones: away, OnDisconnected: DisconnectedReject, DisconnectedStatus: 409})
		b.call(409, phoneA, http.MethodPost, "/v1/message/send", sendBody(fictional(1), "x"))
		if n := len(b.Acceptances()); n != 0 {
			t.Errorf("%d acceptances, want none", n)
		}
	})
}

func TestPhoneThatCannotComeBack(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{})
	b.call(http.StatusNoContent, "", http.MethodPost, "/_sim/phones/"+phoneA+"/disconnect", `{"reason":"logged_out"}`)
	b.call(http.StatusOK, phoneA, http.MethodGet, "/v1/phones/qr", "")
	b.call(http.StatusNoContent, phoneA, http.MethodPost, "/v1/phones/restart", "")
	if st := b.State().Phones[0].State; st != "logged_out" {
		t.Errorf("a restart made it %s, want logged_out still", st)
	}
	b.call(http.StatusNoContent, "", http.MethodPost, "/_sim/phones/"+phoneA+"/connect", "")
	b.call(http.StatusNotFound, phoneA, http.MethodGet, "/v1/phones/qr", "")
	b.call(http.StatusNoContent, "", http.MethodPost, "/_sim/phones/"+phoneA+"/disconnect", `{"reason":"banned"}`)
	b.call(http.StatusConflict, "", http.MethodPost, "/_sim/phones/"+phoneA+"/connect", "")
	if err := b.Connect(phoneA); err == nil {
		t.Error("Connect brought a banned phone back")
	}
}

func TestPurge(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{Service: time.Second})
	var all []sent
	for i := range 4 {
		all = append(all, b.send(many(i), "x"))
	}
	other := b.sendAs(phoneB, many(9), "x")
	b.clock.add(300 * time.Millisecond) // the first of each phone is being sent
	r := b.call(http.StatusOK, phoneA, http.MethodPost, "/v1/message/queues/purge", `{"queue_ids":["`+all[1].QueueID+`"]}`)
	want := `{"purged":true,"mode":"queue_ids","queue_ids":["` + all[1].QueueID + `"]}`
	if r.body != want {
		t.Errorf("purge answered %s, want %s", r.body, want)
	}
	b.call(http.StatusNotFound, phoneA, http.MethodGet, "/v1/message/"+all[1].UniqueID+"/status", "")
	if h := b.health(phoneA); h.Waiting != 2 || h.Active != 1 {
		t.Errorf("health %+v after purging one", h)
	}
	b.sendAs(phoneB, many(10), "x")
	b.call(http.StatusOK, phoneA, http.MethodPost, "/v1/message/queues/purge", `{"queue_id":"misspelled key"}`)
	if h := b.health(phoneA); h.Waiting != 0 || h.Active != 1 {
		t.Errorf("health %+v after purging all: the active one stays", h)
	}
	if h := b.health(phoneB); h.Waiting != 0 || h.Active != 1 {
		t.Errorf("health of the other phone %+v: its queue is purged, too", h)
	}
	b.clock.add(2 * time.Second)
	if v := b.status(all[0]); v.Status != "sent" && v.Status != "delivered" {
		t.Errorf("the active one is %s", v.Status)
	}
	_ = other
	purged := 0
	for _, a := range b.Acceptances() {
		if a.Purged {
			purged++
		}
	}
	if purged != 4 {
		t.Errorf("%d acceptances are marked purged, want 4", purged)
	}
}

func TestPurgeOfForeignIDsIsNotPurgeOfAll(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{})
	b.send(many(1), "x")
	b.call(http.StatusOK, phoneA, http.MethodPost, "/v1/message/queues/purge", `{"queue_ids":["ba3273cb-12be-48d4-90e0-0cbc0b427ef1"]}`)
	if h := b.health(phoneA); h.Waiting != 1 {
		t.Errorf("health %+v, want the message still there", h)
	}
}

func TestInstant(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{Instant: true, Outcomes: &Outcomes{Read: 1}})
	for i := range 10 {
		s := b.send(many(i), "x")
		if string(s.Position) != "0" {
			t.Errorf("position %s", s.Position)
		}
		if v := b.status(s); v.Status != "read" {
			t.Errorf("message %d is %s, want read", i, v.Status)
		}
	}
	if v := b.status(b.send("12015550556", "x")); v.Status != "failed" || v.Attempts != 4 {
		t.Errorf("always transient: %+v", v)
	}
	if h := b.health(phoneA); h.Completed != 10 || h.Failed != 1 || h.Waiting+h.Active+h.Delayed != 0 {
		t.Errorf("health %+v", h)
	}
}

func TestSpeedDividesTime(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{Speed: 100})
	s := b.send("12015550001", "x")
	b.clock.add(100 * time.Millisecond) // 10 s
	if v := b.status(s); v.Status != "read" {
		t.Errorf("after 10 simulated seconds: %s", v.Status)
	}
}

func TestRetention(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{Instant: true, MaxJobs: chunkSize})
	first := b.send(many(0), "x")
	for i := range chunkSize {
		if w := direct(b.Handler(), phoneA, []byte(sendBody(many(i), "x"))); w.Code != http.StatusOK {
			t.Fatal(w.Code)
		}
	}
	b.call(http.StatusNotFound, phoneA, http.MethodGet, "/v1/message/"+first.UniqueID+"/status", "")
	if n := len(b.Acceptances()); n > chunkSize || n == 0 {
		t.Errorf("%d messages kept, want at most %d", n, chunkSize)
	}
	if st := b.State(); st.Accepted != chunkSize+1 {
		t.Errorf("%d accepted, want %d", st.Accepted, chunkSize+1)
	}
	var page messagePage
	b.call(http.StatusOK, phoneA, http.MethodGet, "/v1/chats/"+many(1023)+"/messages", "").into(t, &page)
	if page.Count != 1 {
		t.Errorf("the newest chat has %d messages", page.Count)
	}
}

// recorder hears of everything, like webhook delivery.
type recorder struct{ heard []string }

func (r *recorder) accepted(j *job) { r.heard = append(r.heard, "accepted "+j.chat) }
func (r *recorder) left(j *job)     { r.heard = append(r.heard, "left "+j.chat) }
func (r *recorder) said(m *inbound) { r.heard = append(r.heard, "said "+m.Chat) }
func (r *recorder) voted(j *job)    { r.heard = append(r.heard, "voted "+j.chat) }

func (r *recorder) ticked(j *job, what tick, _ int64) {
	r.heard = append(r.heard, fmt.Sprintf("ticked %d %s", what, j.chat))
}

func (r *recorder) phoneChanged(l *line) { r.heard = append(r.heard, "phone "+string(l.state)) }

func TestObserverHearsOfEverythingInOrder(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{Service: time.Second})
	r := &recorder{}
	b.engine.observer = r
	b.send(fictional(1), "x")
	b.send(fictional(2), "x")
	for range 2 {
		at, ok := b.engine.next()
		if !ok {
			t.Fatal("nothing is due")
		}
		b.clock.add(at.Sub(b.clock.now()))
		b.engine.settle()
	}
	if at, ok := b.engine.next(); ok {
		t.Errorf("something is due at %s although the queue is empty", at)
	}
	if err := b.Disconnect(phoneA); err != nil {
		t.Fatal(err)
	}
	one, two := fictional(1)+"@c.us", fictional(2)+"@c.us"
	want := []string{"accepted " + one, "accepted " + two, "left " + one, "left " + two, "phone disconnected"}
	if diff := cmp.Diff(want, r.heard); diff != "" {
		t.Errorf("heard (-want +got):\n%s", diff)
	}
}

func TestIDsAreReversible(t *testing.T) {
	t.Parallel()
	k := ids{key: 99}
	for _, n := range []uint64{0, 1, 2, 1023, 1 << 20, 1<<40 + 7} {
		if got, ok := k.queueSeq(k.queueID(n)); !ok || got != n {
			t.Errorf("queue id of %d leads to %d, %v", n, got, ok)
		}
		for _, long := range []bool{false, true} {
			id := k.uniqueID(n, long)
			if got, ok := k.uniqueSeq(id); !ok || got != n || id[:4] != "3EB0" {
				t.Errorf("unique id %s of %d leads to %d, %v", id, n, got, ok)
			}
		}
	}
	if _, ok := (ids{key: 98}).queueSeq(k.queueID(1)); ok {
		t.Error("an id of another key was taken for ours")
	}
	for _, id := range []string{"", "x", "3EB0", "ba3273cb-12be-48d4-90e0-0cbc0b427ef1", "3EB0ZZZZZZZZZZZZZZZZZZ", "true__"} {
		if n, ok := k.seq(id); ok {
			t.Errorf("%q was taken for job %d", id, n)
		}
	}
}
