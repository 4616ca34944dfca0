package sandbox

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// arm sets a fault through the control API.
func (b *bundle) arm(fault string) {
	b.t.Helper()
	b.call(http.StatusOK, "", http.MethodPost, "/_sim/faults", fault)
}

func TestFaultsOnSend(t *testing.T) {
	t.Parallel()
	status := func(want int, substring string) func(*bundle, response, error) string {
		return func(_ *bundle, r response, err error) string {
			if err != nil || r.status != want || !strings.Contains(r.body, substring) {
				return "want " + strconv.Itoa(want) + " with " + substring
			}
			return ""
		}
	}
	broken := func(_ *bundle, _ response, err error) string {
		if err == nil {
			return "want a broken connection"
		}
		return ""
	}
	reset := func(_ *bundle, _ response, err error) string {
		if !errors.Is(err, syscall.ECONNRESET) {
			return "want a connection reset"
		}
		return ""
	}
	invalidJSON := func(_ *bundle, r response, err error) string {
		if err != nil || r.status != 200 || json.Valid([]byte(r.body)) {
			return "want 200 without valid JSON"
		}
		return ""
	}
	tests := map[string]struct {
		fault    string
		accepted int
		check    func(*bundle, response, error) string
	}{
		"500":             {`{"kind":"status"}`, 0, status(500, "INTERNAL_SERVER_ERROR")},
		"503 html":        {`{"kind":"status","status":503,"html":true}`, 0, status(503, "<html>")},
		"502 after":       {`{"kind":"status","status":502,"when":"after"}`, 1, status(502, "INTERNAL")},
		"504 after html":  {`{"kind":"status","status":504,"when":"after","html":true}`, 1, status(504, "Gateway Timeout")},
		"401":             {`{"kind":"status","status":401}`, 0, status(401, "Invalid bearer auth token")},
		"403":             {`{"kind":"status","status":403}`, 0, status(403, "FORBIDDEN")},
		"reset before":    {`{"kind":"reset"}`, 0, reset},
		"reset after":     {`{"kind":"reset","when":"after"}`, 1, reset},
		"hang before":     {`{"kind":"hang","delay":"20ms"}`, 0, status(504, "<html>")},
		"hang after":      {`{"kind":"hang","delay":"20ms","when":"after"}`, 1, status(504, "<html>")},
		"malformed":       {`{"kind":"malformed"}`, 1, invalidJSON},
		"empty":           {`{"kind":"empty"}`, 1, invalidJSON},
		"empty before":    {`{"kind":"empty","when":"before"}`, 0, invalidJSON},
		"cut body":        {`{"kind":"cut_body","size":10}`, 1, broken},
		"cut before body": {`{"kind":"cut_body"}`, 1, broken},
		"no queue id": {`{"kind":"no_queue_id"}`, 1, func(_ *bundle, r response, err error) string {
			var s map[string]any
			if err != nil || json.Unmarshal([]byte(r.body), &s) != nil || s["queue_id"] != nil || s["status"] != "queued" {
				return "want a queued answer without queue_id"
			}
			return ""
		}},
		"slow body": {`{"kind":"slow_body","delay":"10us"}`, 1, status(200, `"queue_id"`)},
		"huge body": {`{"kind":"huge_body","size":3000000}`, 1, func(_ *bundle, r response, err error) string {
			if err != nil || len(r.body) != 3_000_000 || !json.Valid([]byte(r.body)) {
				return "want three million bytes of JSON"
			}
			return ""
		}},
		"latency": {`{"kind":"latency","delay":"5ms"}`, 1, status(200, "queue_id")},
		"429 with header": {
			`{"kind":"status","status":429,"retry_after":"3","rate_limit_reset":"delta","delay":"7s"}`, 0,
			func(_ *bundle, r response, err error) string {
				if err != nil || r.status != 429 || r.header.Get("Retry-After") != "3" || r.header.Get("X-RateLimit-Reset") != "7" || r.header.Get("X-RateLimit-Remaining") != "0" {
					return "want 429 with Retry-After 3 and a reset in 7"
				}
				return ""
			},
		},
		"429 epoch": {`{"kind":"status","status":429,"rate_limit_reset":"epoch"}`, 0, func(b *bundle, r response, _ error) string {
			if r.header.Get("X-RateLimit-Reset") != strconv.FormatInt(b.clock.now().Add(10*time.Second).Unix(), 10) || r.header.Get("Retry-After") != "" {
				return "want the reset as Unix time and no Retry-After"
			}
			return ""
		}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, Config{})
			b.arm(tt.fault)
			r, err := b.try(phoneA, http.MethodPost, "/v1/message/send", sendBody(fictional(1), "x"))
			if complaint := tt.check(b, r, err); complaint != "" {
				t.Errorf("status %d, %d bytes, headers %v, error %v: %s", r.status, len(r.body), r.header, err, complaint)
			}
			if n := len(b.Acceptances()); n != tt.accepted {
				t.Errorf("%d accepted, want %d", n, tt.accepted)
			}
			b.call(http.StatusNoContent, "", http.MethodDelete, "/_sim/faults", "")
			b.send(fictional(2), "all is well again")
		})
	}
}

func TestRepeatedQueueID(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{})
	first := b.send(fictional(1), "x")
	b.arm(`{"kind":"repeat_queue_id","next":1}`)
	if again := b.send(fictional(2), "x"); again.QueueID != first.QueueID {
		t.Errorf("queue_id %s, want the first one's again", again.QueueID)
	}
	if got := b.Acceptances(); len(got) != 2 || got[0].QueueID == got[1].QueueID {
		t.Error("the log itself must know two different jobs")
	}
}

func TestFaultSelection(t *testing.T) {
	t.Parallel()
	fails := func(b *bundle, n int) (out []bool) {
		for i := range n {
			w := direct(b.Handler(), phoneA, []byte(sendBody(many(i), "x")))
			out = append(out, w.Code != http.StatusOK)
		}
		return out
	}
	t.Run("next", func(t *testing.T) {
		t.Parallel()
		b := setup(t, Config{Faults: []Fault{{Kind: FaultStatus, Next: 2}}})
		if diff := cmp.Diff([]bool{true, true, false, false}, fails(b, 4)); diff != "" {
			t.Errorf("failed (-want +got):\n%s", diff)
		}
		if left := b.State().Faults; len(left) != 0 {
			t.Errorf("still armed: %+v", left)
		}
		b.call(http.StatusNoContent, "", http.MethodPost, "/_sim/reset", "")
		if diff := cmp.Diff([]bool{true, true, false}, fails(b, 3)); diff != "" {
			t.Errorf("after a reset (-want +got):\n%s", diff)
		}
	})
	t.Run("numbers", func(t *testing.T) {
		t.Parallel()
		b := setup(t, Config{Faults: []Fault{{Kind: FaultStatus, Numbers: []string{"0002", many(3)}}}})
		if diff := cmp.Diff([]bool{false, false, true, true, false}, fails(b, 5)); diff != "" {
			t.Errorf("failed (-want +got):\n%s", diff)
		}
	})
	t.Run("rate repeats with the seed", func(t *testing.T) {
		t.Parallel()
		cfg := Config{Instant: true, Faults: []Fault{{Kind: FaultStatus, Rate: 0.3}}}
		one, two := fails(setup(t, cfg), 200), fails(setup(t, cfg), 200)
		if diff := cmp.Diff(one, two); diff != "" {
			t.Errorf("two runs of one seed differ:\n%s", diff)
		}
		hits := 0
		for _, failed := range one {
			if failed {
				hits++
			}
		}
		if hits < 30 || hits > 90 {
			t.Errorf("%d of 200 failed at a rate of 0.3", hits)
		}
	})
	t.Run("route", func(t *testing.T) {
		t.Parallel()
		b := setup(t, Config{Faults: []Fault{{Kind: FaultStatus, Route: RouteStatus, Status: 503}}})
		s := b.send(fictional(1), "x")
		b.call(http.StatusServiceUnavailable, phoneA, http.MethodGet, "/v1/message/"+s.UniqueID+"/status", "")
		b.call(http.StatusOK, phoneA, http.MethodPost, "/v1/message/queues", "{}")
		b.ClearFaults()
		b.arm(`{"kind":"status","status":401,"route":"any"}`)
		b.call(http.StatusUnauthorized, phoneA, http.MethodGet, "/v1/phones", "")
		b.call(http.StatusUnauthorized, phoneA, http.MethodPost, "/v1/message/send", sendBody(fictional(1), "x"))
	})
}

func TestAcceptedButNotVisibleYet(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{Service: 100 * time.Millisecond})
	b.arm(`[{"kind":"status_late","delay":"3s"},{"kind":"list_late","delay":"6s"}]`)
	s := b.send(fictional(1), "x")
	visible := func() (status, list, chat bool) {
		t.Helper()
		r, err := b.try(phoneA, http.MethodGet, "/v1/message/"+s.UniqueID+"/status", "")
		if err != nil {
			t.Fatal(err)
		}
		l := b.call(http.StatusOK, phoneA, http.MethodPost, "/v1/message/queues", "{}")
		c := b.call(http.StatusOK, phoneA, http.MethodGet, "/v1/chats/"+fictional(1)+"/messages", "")
		return r.status == 200, l.body != "[]", !strings.Contains(c.body, `"count":0`)
	}
	b.clock.add(2 * time.Second)
	if st, li, ch := visible(); st || li || ch {
		t.Errorf("after 2 s: status %v, list %v, chat %v; want nothing", st, li, ch)
	}
	b.clock.add(2 * time.Second)
	if st, li, ch := visible(); !st || li || ch {
		t.Errorf("after 4 s: status %v, list %v, chat %v; want the status only", st, li, ch)
	}
	b.clock.add(3 * time.Second)
	if st, li, ch := visible(); !st || !li || !ch {
		t.Errorf("after 7 s: status %v, list %v, chat %v; want everything", st, li, ch)
	}
}

func TestHangOutlastsAClientAndEndsWithClose(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{})
	b.arm(`{"kind":"hang","delay":"10m","when":"after"}`)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, b.BaseURL()+"/message/send", strings.NewReader(sendBody(fictional(1), "x")))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer test")
	req.Header.Set("X-Phone", phoneA)
	go func() {
		resp, err := b.http.Do(req)
		if err == nil {
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
		}
		done <- err
	}()
	for len(b.Acceptances()) == 0 {
		select {
		case err := <-done:
			t.Fatalf("answered before anything was accepted: %v", err)
		default:
		}
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want the client's own timeout", err)
	}
}

func TestFaultText(t *testing.T) {
	t.Parallel()
	f, err := ParseFault([]byte(`{"kind":"slow_body","rate":0.5,"delay":"1500ms","numbers":["0101"]}`))
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	again, err := ParseFault(text)
	if diff := cmp.Diff(f, again); diff != "" || err != nil {
		t.Errorf("%s reads back differently: %v\n%s", text, err, diff)
	}
	for _, bad := range []string{
		`{}`, `[]`, `{"kind":"status","status":200}`, `{"kind":"reset","rate":2}`, `{"kind":"hang","delay":"soon"}`,
		`{"kind":"reset","color":"red"}`, `{"kind":"no_queue_id","when":"before"}`, `{"kind":"list_late","next":1}`,
		`{"kind":"reset","route":"status","numbers":["1"]}`, `{"kind":"reset","when":"never"}`, `{"kind":"status","numbers":["x"]}`,
	} {
		if _, err := ParseFault([]byte(bad)); err == nil {
			t.Errorf("%s was taken for a fault", bad)
		}
	}
	b := setup(t, Config{})
	b.call(http.StatusUnprocessableEntity, "", http.MethodPost, "/_sim/faults", `[{"kind":"reset"},{"kind":"nonsense"}]`)
	if n := len(b.State().Faults); n != 0 {
		t.Errorf("%d faults armed from a list with an error", n)
	}
}
