package sandbox

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// jobsListed is the phone's job list.
func (b *bundle) jobsListed() []statusBody {
	b.t.Helper()
	var jobs []statusBody
	b.call(http.StatusOK, phoneA, http.MethodPost, "/v1/message/queues", "{}").into(b.t, &jobs)
	return jobs
}

func (b *bundle) chatListed(chat string) []messageBody {
	b.t.Helper()
	var page messagePage
	b.call(http.StatusOK, phoneA, http.MethodGet, "/v1/chats/"+chat+"/messages", "").into(b.t, &page)
	return page.Messages
}

func TestLateCommit(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		faults string
		status int // 0 is a broken connection
	}{
		"bad gateway": {`{"kind":"commit_late","delay":"3s","next":1}`, 502},
		"500":         {`{"kind":"commit_late","delay":"3s","next":1,"status":500}`, 500},
		"hang":        {`[{"kind":"commit_late","delay":"3s","next":1},{"kind":"hang","delay":"10ms","when":"after","next":1}]`, 504},
		"reset":       {`[{"kind":"reset","when":"after","next":1},{"kind":"commit_late","delay":"3s","next":1}]`, 0},
		"refused":     {`[{"kind":"commit_late","delay":"3s","next":1},{"kind":"status","status":503,"next":1}]`, 503},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			journal := journalPath(t)
			b := setup(t, Config{Instant: true, Journal: journal})
			b.arm(test.faults)
			r, err := b.try(phoneA, http.MethodPost, "/v1/message/send", sendBody(fictional(1), "x"))
			if (err != nil) != (test.status == 0) || r.status != test.status {
				t.Fatalf("status %d, %v, want %d", r.status, err, test.status)
			}
			log := b.Acceptances()
			if name == "refused" {
				if len(log) != 0 {
					t.Errorf("%d messages accepted", len(log))
				}
				return
			}
			if len(log) != 1 {
				t.Fatalf("%d messages accepted, want 1", len(log))
			}
			visible := func(want bool) {
				t.Helper()
				status := http.StatusNotFound
				if want {
					status = http.StatusOK
				}
				b.call(status, phoneA, http.MethodGet, "/v1/message/"+log[0].UniqueID+"/status", "")
				b.call(status, phoneA, http.MethodGet, "/v1/message/"+log[0].QueueID, "")
				if jobs, messages := len(b.jobsListed()), len(b.chatListed(fictional(1))); (jobs == 1) != want || (messages == 1) != want {
					t.Errorf("%d jobs, %d messages; visible should be %v", jobs, messages, want)
				}
			}
			b.clock.add(2 * time.Second)
			visible(false)
			b.clock.add(time.Second)
			visible(true)
			b.send(fictional(2), "x") // the fault is used up
		})
	}
}

// TestLateCommitOutlivesTheProcess: what is not visible yet is not visible
// after a restart either.
func TestLateCommitOutlivesTheProcess(t *testing.T) {
	t.Parallel()
	clock, journal := newClock(), journalPath(t)
	first := setup(t, Config{Instant: true, Journal: journal, Clock: clock.now})
	first.arm(`{"kind":"commit_late","delay":"1m"}`)
	first.call(http.StatusBadGateway, phoneA, http.MethodPost, "/v1/message/send", sendBody(fictional(1), "x"))
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	second := setup(t, Config{Instant: true, Journal: journal, Clock: clock.now})
	if n := len(second.jobsListed()); n != 0 {
		t.Errorf("%d jobs are visible too early", n)
	}
	clock.add(time.Minute)
	if n := len(second.jobsListed()); n != 1 {
		t.Errorf("%d jobs, want the late one", n)
	}
}

func TestRewrittenText(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{Instant: true})
	b.arm(`{"kind":"rewrite","numbers":["` + fictional(1) + `"]}`)
	one, two := b.send(fictional(1), "Hi *Asha*"), b.send(fictional(2), "Hi *Asha*")
	for _, job := range b.jobsListed() {
		if rewritten := job.Message.Body != "Hi *Asha*"; rewritten != (job.QueueID == one.QueueID) {
			t.Errorf("job to %s says %q", job.ChatID, job.Message.Body)
		}
	}
	if got := b.chatListed(fictional(1))[0].Body; got == "Hi *Asha*" || !strings.HasPrefix(got, "Hi *Asha*") {
		t.Errorf("message says %q", got)
	}
	if got := b.chatListed(fictional(2))[0].Body; got != "Hi *Asha*" {
		t.Errorf("message of another says %q", got)
	}
	for _, path := range []string{"/v1/message/" + one.UniqueID + "/status", "/v1/message/" + one.QueueID, "/v1/queue/jobs?queue_id=" + one.QueueID} {
		if r := b.call(http.StatusOK, phoneA, http.MethodGet, path, ""); !strings.Contains(r.body, "Sent from the sandbox") {
			t.Errorf("%s shows the text as it was", path)
		}
	}
	if r := b.call(http.StatusOK, phoneA, http.MethodGet, "/v1/message/"+two.UniqueID+"/status", ""); strings.Contains(r.body, "sandbox_") {
		t.Errorf("another's status is rewritten: %s", r.body)
	}
	if got := b.Acceptances()[0].Body; got != "Hi *Asha*" {
		t.Errorf("the log must keep what was sent, and has %q", got)
	}
}

func TestListsThatForget(t *testing.T) {
	t.Parallel()
	t.Run("short", func(t *testing.T) {
		t.Parallel()
		b := setup(t, Config{Instant: true})
		b.arm(`{"kind":"list_short","size":3}`)
		sends := make([]sent, 5)
		for i := range sends {
			sends[i] = b.send(fictional(i), "x")
		}
		jobs := b.jobsListed()
		if len(jobs) != 3 || jobs[0].QueueID != sends[2].QueueID {
			t.Errorf("%d jobs, want the newest three", len(jobs))
		}
		if r := b.call(http.StatusOK, phoneA, http.MethodPost, "/v1/message/queues", `{"queue_id":"`+sends[0].QueueID+`"}`); r.body == "[]" {
			t.Error("a job must still be found by id")
		}
	})
	t.Run("gone", func(t *testing.T) {
		t.Parallel()
		b := setup(t, Config{Instant: true})
		b.arm(`{"kind":"list_gone","delay":"1m"}`)
		b.send(fictional(1), "x")
		b.clock.add(59 * time.Second)
		if n := len(b.jobsListed()); n != 1 {
			t.Errorf("%d jobs before the time", n)
		}
		b.clock.add(time.Second)
		if n := len(b.jobsListed()); n != 0 {
			t.Errorf("%d jobs after the time", n)
		}
		if n := len(b.chatListed(fictional(1))); n != 1 {
			t.Errorf("%d messages; only the job list forgets", n)
		}
	})
}

func TestWrongBody(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{})
	b.arm(`{"kind":"wrong_body","next":1}`)
	if r := b.call(http.StatusOK, phoneA, http.MethodPost, "/v1/message/send", sendBody(fictional(1), "x")); strings.Contains(r.body, "queue_id") || !strings.HasPrefix(r.body, "{") {
		t.Errorf("answer %s", r.body)
	}
	if n := len(b.Acceptances()); n != 1 {
		t.Errorf("%d accepted, want 1", n)
	}
	b.arm(`{"kind":"wrong_body","html":true,"route":"queues"}`)
	if r := b.call(http.StatusOK, phoneA, http.MethodPost, "/v1/message/queues", "{}"); !strings.HasPrefix(r.header.Get("Content-Type"), "text/html") {
		t.Errorf("answer %s", r.body)
	}
}

// TestListRoutesThatFail: status faults reach the list routes, and only them.
func TestListRoutesThatFail(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{Instant: true})
	b.send(fictional(1), "x")
	b.arm(`[{"kind":"status","status":404,"route":"queues"},{"kind":"status","status":503,"html":true,"route":"messages"}]`)
	b.call(http.StatusNotFound, phoneA, http.MethodPost, "/v1/message/queues", "{}")
	b.call(http.StatusNotFound, phoneA, http.MethodGet, "/v1/queue/jobs", "")
	b.call(http.StatusServiceUnavailable, phoneA, http.MethodGet, "/v1/chats/"+fictional(1)+"/messages", "")
	b.send(fictional(2), "x")
}

func TestListFaultText(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{
		`{"kind":"commit_late","when":"before"}`, `{"kind":"commit_late","route":"queues"}`, `{"kind":"commit_late","status":200}`,
		`{"kind":"list_short","rate":0.5}`, `{"kind":"list_short","next":1}`, `{"kind":"rewrite","next":1}`, `{"kind":"list_gone","next":2}`,
	} {
		if _, err := ParseFault([]byte(bad)); err == nil {
			t.Errorf("%s was taken for a fault", bad)
		}
	}
	f, err := ParseFault([]byte(`{"kind":"commit_late"}`))
	if err != nil || f.Status != 502 || f.Delay != 5*time.Second || f.When != FaultAfter {
		t.Errorf("defaults %+v, %v", f, err)
	}
}

// TestChatsByTheirOwnIDOnly: a number that WhatsApp knows as another one has no
// chat by the id that it was sent to.
func TestChatsByTheirOwnIDOnly(t *testing.T) {
	t.Parallel()
	for _, only := range []bool{false, true} {
		b := setup(t, Config{Instant: true, Wire: Wire{CanonicalChatsOnly: only}})
		given := "12015550521@c.us"
		b.send(given, "x")
		if n := len(b.chatListed(canonicalChat(given))); n != 1 || canonicalChat(given) == given {
			t.Errorf("%d messages by WhatsApp's id %s", n, canonicalChat(given))
		}
		want := http.StatusOK
		if only {
			want = http.StatusNotFound
		}
		b.call(want, phoneA, http.MethodGet, "/v1/chats/"+given+"/messages", "")
	}
}
