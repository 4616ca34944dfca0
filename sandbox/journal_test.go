package sandbox

import (
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestJournalReplay(t *testing.T) {
	t.Parallel()
	path, c := journalPath(t), newClock()
	cfg := Config{Journal: path, Clock: c.now, Seed: 3, Service: time.Second, Outcomes: &Outcomes{Read: 0.5, Transient: 0.3}}
	first := setup(t, cfg)
	first.clock = c
	for i := range 30 {
		first.send(many(i), "before")
		c.add(400 * time.Millisecond)
	}
	body := `{"chat_id":"12015550101","message":"cap","media":{"type":"image","url":"https://cdn.example/a.png","filename":"a.png","mimetype":"image/png"}}`
	first.call(http.StatusOK, phoneA, http.MethodPost, "/v1/message/send", body)
	if err := first.Disconnect(phoneB); err != nil {
		t.Fatal(err)
	}
	held := first.sendAs(phoneB, fictional(2), "held")
	first.call(http.StatusOK, phoneA, http.MethodPost, "/v1/message/queues/purge", `{"queue_ids":["`+first.Acceptances()[29].QueueID+`"]}`)
	first.call(http.StatusCreated, "", http.MethodPost, "/v1/webhooks", `{"hookUrl":"https://example.com/hook","integrationName":"message.created"}`)
	if err := first.Advance(time.Hour); err != nil {
		t.Fatal(err)
	}
	c.add(5 * time.Second)
	want, traces := first.Acceptances(), map[string][]Change{}
	for _, a := range want {
		traces[a.QueueID] = first.Trace(a.QueueID)
	}
	state := first.State()
	// The first server is not closed: a killed one would not be, either.

	cfg.Seed, cfg.Speed = 99, 1000 // what was accepted keeps its fate
	second := setup(t, cfg)
	second.clock = c
	if diff := cmp.Diff(want, second.Acceptances()); diff != "" {
		t.Errorf("acceptances (-before +after):\n%s", diff)
	}
	for id, trace := range traces {
		if diff := cmp.Diff(trace, second.Trace(id)); diff != "" {
			t.Errorf("trace of %s (-before +after):\n%s", id, diff)
		}
	}
	if diff := cmp.Diff(state.Phones, second.State().Phones); diff != "" {
		t.Errorf("phones (-before +after):\n%s", diff)
	}
	if got := second.State(); got.Webhooks != 1 || got.Accepted != state.Accepted {
		t.Errorf("state %+v", got)
	}
	fresh := second.send(fictional(3), "after")
	for _, a := range want {
		if a.QueueID == fresh.QueueID {
			t.Error("a queue_id was given out twice")
		}
	}
	if err := second.Connect(phoneB); err != nil {
		t.Fatal(err)
	}
	c.add(time.Minute)
	if trace := second.Trace(held.QueueID); len(trace) < 3 {
		t.Errorf("the held message was not sent after the restart: %v", trace)
	}
}

func TestJournalTornTail(t *testing.T) {
	t.Parallel()
	path := journalPath(t)
	b := setup(t, Config{Journal: path, Instant: true})
	b.send(fictional(1), "one")
	b.send(fictional(2), "two")
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	start := strings.LastIndex(strings.TrimSuffix(string(whole), "\n"), "\n") + 1
	for cut := start; cut < len(whole); cut += 7 {
		torn := journalPath(t)
		if err := os.WriteFile(torn, whole[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		after := setup(t, Config{Journal: torn, Instant: true})
		if n := len(after.Acceptances()); n != 1 {
			t.Errorf("cut at %d: %d messages, want the whole one", cut, n)
		}
		after.send(fictional(3), "three")
		again := setup(t, Config{Journal: torn, Instant: true})
		if n := len(again.Acceptances()); n != 2 {
			t.Errorf("cut at %d: %d messages after appending, want 2", cut, n)
		}
	}
}

func TestJournalDamageIsNotSwallowed(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"not json":        "{\"op\":\"open\",\"key\":\"7\"}\nnonsense\n{\"op\":\"reset\"}\n",
		"unknown":         "{\"op\":\"dance\"}\n",
		"gap":             "{\"op\":\"open\",\"key\":\"7\"}\n{\"op\":\"accept\",\"seq\":5,\"fate\":{}}\n",
		"no fate":         "{\"op\":\"accept\"}\n",
		"hook without it": "{\"op\":\"hook\"}\n",
		"bad key":         "{\"op\":\"open\",\"key\":\"zz\"}\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := journalPath(t)
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			s, err := New(Config{Journal: path})
			if err == nil {
				_ = s.Close()
				t.Fatal("a damaged journal was accepted")
			}
			if !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "line ") {
				t.Errorf("error %q names neither file nor line", err)
			}
		})
	}
}

func TestJournalReset(t *testing.T) {
	t.Parallel()
	path := journalPath(t)
	b := setup(t, Config{Journal: path, Instant: true})
	old := b.send(fictional(1), "x")
	b.call(http.StatusNoContent, "", http.MethodPost, "/_sim/reset", "")
	b.call(http.StatusNotFound, phoneA, http.MethodGet, "/v1/message/"+old.UniqueID+"/status", "")
	s := b.send(fictional(1), "x")
	if s.QueueID == old.QueueID {
		t.Error("a reset gave the same queue_id out again")
	}
	after := setup(t, Config{Journal: path, Instant: true})
	if diff := cmp.Diff(b.Acceptances(), after.Acceptances()); diff != "" || len(after.Acceptances()) != 1 {
		t.Errorf("acceptances (-before +after):\n%s", diff)
	}
}
