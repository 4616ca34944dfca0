package faults

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// provider counts the requests that reach it whole and answers each with a
// number.
type provider struct {
	*httptest.Server
	mu    sync.Mutex
	whole int
}

func newProvider(t *testing.T) *provider {
	t.Helper()
	p := &provider{}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			return
		}
		p.mu.Lock()
		p.whole++
		n := p.whole
		p.mu.Unlock()
		_, _ = w.Write([]byte(`{"n":` + strings.Repeat("1", n) + `}`))
	}))
	t.Cleanup(p.Close)
	return p
}

func (p *provider) took() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.whole
}

// call sends one message and says what came back and how far it got.
func (p *provider) call(t *testing.T, through http.RoundTripper, patience time.Duration) (status int, body string, connected bool, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { connected = true }})
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, p.URL+"/v1/message/send", bytes.NewReader(make([]byte, 500)))
	if err != nil {
		t.Fatal(err)
	}
	response, err := through.RoundTrip(r)
	if err != nil {
		return 0, "", connected, err
	}
	content, err := io.ReadAll(response.Body)
	return response.StatusCode, string(content), connected, errors.Join(err, response.Body.Close())
}

func TestKinds(t *testing.T) {
	t.Parallel()
	refused := func(err error) bool { return errors.Is(err, syscall.ECONNREFUSED) }
	broken := func(err error) bool { return errors.Is(err, syscall.ECONNRESET) }
	for _, c := range []struct {
		name      string
		rule      Rule
		delivered int
		connected bool
		failed    func(error) bool // nil: no error
		status    int
		body      string // its beginning
	}{
		{"refuse", Rule{Kind: Refuse}, 0, false, refused, 0, ""},
		{"reset before", Rule{Kind: ResetBefore}, 0, true, broken, 0, ""},
		{"cut at 0", Rule{Kind: Cut, Bytes: 0}, 0, true, broken, 0, ""},
		{"cut in the header", Rule{Kind: Cut, Bytes: 40}, 0, true, broken, 0, ""},
		{"cut in the body", Rule{Kind: Cut, Bytes: 400}, 0, true, broken, 0, ""},
		{"reset after", Rule{Kind: ResetAfter}, 1, true, broken, 0, ""},
		{"status", Rule{Kind: Status, Status: 502, Body: page}, 1, true, nil, 502, "<!DOCTYPE"},
		{"refuse with", Rule{Kind: RefuseStatus, Status: 429, Body: "{}"}, 0, true, nil, 429, "{}"},
		{"wrong body", Rule{Kind: WrongBody, Body: "[]"}, 1, true, nil, 200, "[]"},
		{"html", Rule{Kind: HTML}, 1, true, nil, 200, "<!DOCTYPE"},
		{"huge", Rule{Kind: HugeBody, Bytes: 1 << 20}, 1, true, nil, 200, "    "},
		{"delay", Rule{Kind: Delay, Wait: 10 * time.Millisecond}, 1, true, nil, 200, `{"n":1}`},
		{"hang", Rule{Kind: Hang}, 1, true, func(err error) bool { return errors.Is(err, context.DeadlineExceeded) }, 0, ""},
		{"none", Rule{Kind: Refuse, Nth: []int{2}}, 1, true, nil, 200, `{"n":1}`},
		{"no list", Rule{Kind: Refuse, Match: Lists}, 1, true, nil, 200, `{"n":1}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := newProvider(t)
			inner := &http.Transport{}
			defer inner.CloseIdleConnections()
			patience := time.Minute
			if c.rule.Kind == Hang {
				patience = 5 * time.Second // it ends by nothing else
			}
			status, body, connected, err := p.call(t, NewTransport(inner, 1, c.rule), patience)
			if (err != nil) != (c.failed != nil) || c.failed != nil && !c.failed(err) {
				t.Errorf("error %v", err)
			}
			if status != c.status || !strings.HasPrefix(body, c.body) || connected != c.connected {
				t.Errorf("status %d, connected %t, body %.20q", status, connected, body)
			}
			if c.rule.Kind == HugeBody && len(body) != 1<<20 {
				t.Errorf("%d bytes", len(body))
			}
			if p.took() != c.delivered {
				t.Errorf("%d requests reached the provider, want %d", p.took(), c.delivered)
			}
		})
	}
}

// TestRepeatedID gives the answer of an earlier call a second time.
func TestRepeatedID(t *testing.T) {
	t.Parallel()
	p := newProvider(t)
	inner := &http.Transport{}
	defer inner.CloseIdleConnections()
	through := NewTransport(inner, 1, Rule{Kind: RepeatID, Nth: []int{2}})
	var bodies []string
	for range 3 {
		_, body, _, err := p.call(t, through, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		bodies = append(bodies, body)
	}
	if diff := cmp.Diff([]string{`{"n":1}`, `{"n":1}`, `{"n":111}`}, bodies); diff != "" {
		t.Errorf("answers (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]int{1}, through.Hits()); diff != "" {
		t.Errorf("hits (-want +got):\n%s", diff)
	}
}

// TestSeed: the same seed strikes the same calls, and another one others; about
// as many as its rate says.
func TestSeed(t *testing.T) {
	t.Parallel()
	struck := func(seed uint64) string {
		var hits strings.Builder
		rule := arm(Rule{Rate: 0.2, Match: Everything}, seed, 0)
		for range 1000 {
			if rule.strikes(nil) {
				hits.WriteByte('x')
			} else {
				hits.WriteByte('.')
			}
		}
		return hits.String()
	}
	if first := struck(1); first != struck(1) || first == struck(2) {
		t.Error("calls do not follow from the seed")
	}
	if n := strings.Count(struck(3), "x"); n < 130 || n > 270 {
		t.Errorf("%d of 1000 calls struck at a rate of 0.2", n)
	}
}

// TestWireCuts: exactly the planned bytes of the planned request arrive.
func TestWireCuts(t *testing.T) {
	t.Parallel()
	for _, size := range []int{0, 1, 60, 300} {
		near, far := net.Pipe()
		got := make(chan []byte)
		go func() {
			all, _ := io.ReadAll(far)
			got <- all
		}()
		died := 0
		crash := NewCrash(Plan{Point: HalfWritten, Pass: 2, Bytes: size})
		conn := &cutConn{Conn: near, crash: crash}
		crash.strike = func(Act) { died++; near.Close() }
		request := []byte("POST /v1/message/send HTTP/1.1\r\nHost: x\r\n\r\n" + strings.Repeat("b", 400))
		if _, err := conn.Write(request); err != nil {
			t.Fatal(err)
		}
		conn.answered.Store(true)
		if _, err := conn.Write([]byte("GET /v1/message/send HTTP/1.1\r\n\r\n")); err != nil {
			t.Fatal(err)
		}
		conn.answered.Store(true)
		if _, err := conn.Write(request[:40+size/2]); err == nil && died > 0 {
			t.Errorf("size %d: the write of a cut request succeeded", size)
		}
		_, _ = conn.Write(request[40+size/2:])
		want := len(request) + len("GET /v1/message/send HTTP/1.1\r\n\r\n") + size
		if all := <-got; len(all) != want || died != 1 {
			t.Errorf("size %d: %d bytes arrived, want %d; struck %d times", size, len(all), want, died)
		}
	}
}
