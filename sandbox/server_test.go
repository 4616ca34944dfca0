package sandbox

import (
	"encoding/json"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestConfigIsChecked(t *testing.T) {
	t.Parallel()
	for field, cfg := range map[string]Config{
		"Speed":                  {Speed: -1},
		"Service":                {Service: -1},
		"RateLimit.PerWindow":    {RateLimit: RateLimit{PerWindow: -1}},
		"DisconnectedStatus":     {DisconnectedStatus: 500},
		"OnDisconnected":         {OnDisconnected: "shrug"},
		"Wire.UniqueID":          {Wire: Wire{UniqueID: "medium"}},
		"Outcomes.Read":          {Outcomes: &Outcomes{Read: 2}},
		"Phones[0].Number":       {Phones: []Phone{{Number: "+1"}}},
		"Phones[0].ID":           {Phones: []Phone{{Number: phoneA, ID: "phone-1"}}},
		"Phones[1]":              {Phones: []Phone{{Number: phoneA}, {Number: phoneA}}},
		"Tokens[0]":              {Tokens: []string{""}},
		"Faults[0]: kind":        {Faults: []Fault{{}}},
		"Latency.Min":            {Latency: Range{Min: -1}},
		"MaxJobs":                {MaxJobs: -1},
		"RateLimit.Window":       {RateLimit: RateLimit{Window: -1}},
		"sandbox journal /dev/n": {Journal: "/dev/null/x"},
	} {
		s, err := New(cfg)
		if err == nil {
			_ = s.Close()
			t.Errorf("%s: accepted", field)
		} else if !strings.Contains(err.Error(), field) && !strings.Contains(err.Error(), "journal") {
			t.Errorf("error %q does not name %s", err, field)
		}
	}
}

func TestSeedIsDrawnWhenNotGiven(t *testing.T) {
	t.Parallel()
	one, err1 := New(Config{})
	two, err2 := New(Config{})
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	if one.Seed() == 0 || one.Seed() == two.Seed() {
		t.Errorf("seeds %d and %d", one.Seed(), two.Seed())
	}
	for _, s := range []*Server{one, two} {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestListening(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{})
	if err := b.Start(""); err == nil {
		t.Error("a second Start was accepted")
	}
	other, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Start(b.Addr()); err == nil || !strings.Contains(err.Error(), "taken") {
		t.Errorf("error %v, want the taken port named", err)
	}
	if other.Addr() != "" || other.BaseURL() != "" {
		t.Error("an address without a listener")
	}
	if err := other.Start("localhost:0"); err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(other.Addr())
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for _, host := range []string{"127.0.0.1", "::1"} {
		if host == "::1" && !hasIPv6() {
			continue
		}
		resp, err := client.Get("http://" + net.JoinHostPort(host, port) + "/v1/phones/all")
		if err != nil {
			t.Errorf("%s: %v", host, err)
			continue
		}
		_ = resp.Body.Close()
	}
	for range 2 {
		if err := other.Close(); err != nil {
			t.Error(err)
		}
	}
}

func hasIPv6() bool {
	l, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		return false
	}
	return l.Close() == nil
}

func TestControlIsOffUnlessAskedFor(t *testing.T) {
	t.Parallel()
	s, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	if err := s.Start(""); err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get("http://" + s.Addr() + "/_sim/state")
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusNotFound {
		t.Errorf("status %d, want 404", resp.StatusCode)
	}
}

func TestControl(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{Service: time.Second})
	b.send("12015550001", "<b>&")
	b.send(fictional(1), "x")
	r := b.call(http.StatusOK, "", http.MethodGet, "/_sim/acceptances", "")
	var got []Acceptance
	for line := range strings.Lines(r.body) {
		var a Acceptance
		if err := json.Unmarshal([]byte(line), &a); err != nil {
			t.Fatal(err)
		}
		got = append(got, a)
	}
	if diff := cmp.Diff(b.Acceptances(), got); diff != "" {
		t.Errorf("log over HTTP (-method +http):\n%s", diff)
	}
	before := b.Now()
	b.call(http.StatusOK, "", http.MethodPost, "/_sim/clock/advance", `{"by":"90m"}`)
	if d := b.Now().Sub(before); d != 90*time.Minute {
		t.Errorf("the clock moved by %s", d)
	}
	var st State
	b.call(http.StatusOK, "", http.MethodGet, "/_sim/state", "").into(t, &st)
	if st.Accepted != 2 || st.Kept != 2 || st.Chats != 2 || st.Seed != 7 || st.Phones[0].Completed != 2 || st.Requests != 2 {
		t.Errorf("state %+v", st)
	}
	var magic []MagicNumber
	b.call(http.StatusOK, "", http.MethodGet, "/_sim/magic", "").into(t, &magic)
	if len(magic) != len(MagicNumbers()) {
		t.Errorf("%d magic numbers", len(magic))
	}
	for _, bad := range []struct {
		path, body string
		want       int
	}{
		{"/_sim/clock/advance", `{"by":"-1s"}`, 422},
		{"/_sim/clock/advance", `x`, 400},
		{"/_sim/phones/123/connect", ``, 404},
		{"/_sim/phones/" + phoneA + "/disconnect", `{"reason":"tired"}`, 422},
		{"/_sim/phones/" + phoneA + "/disconnect", `x`, 400},
		{"/_sim/faults", `x`, 422},
	} {
		b.call(bad.want, "", http.MethodPost, bad.path, bad.body)
	}
	if err := b.Advance(-time.Second); err == nil {
		t.Error("time went backwards")
	}
	if err := b.AddFault(Fault{Kind: "x"}); err == nil {
		t.Error("a nonsense fault was armed")
	}
	if err := b.Disconnect("nobody"); err == nil || strings.Contains(err.Error(), "nobody") {
		t.Errorf("error %v for an unknown phone", err)
	}
}

func TestConcurrentSendsAreAllKept(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{Instant: true})
	const workers, each = 8, 200
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := range each {
				phone := []string{phoneA, phoneB}[i%2]
				if r := direct(b.Handler(), phone, []byte(sendBody(many(w*each+i), "x"))); r.Code != http.StatusOK {
					t.Errorf("status %d", r.Code)
				}
			}
		})
	}
	wg.Wait()
	seen := map[string]bool{}
	for _, a := range b.Acceptances() {
		seen[a.ChatID], seen[a.QueueID] = true, true
	}
	if len(seen) != 2*workers*each {
		t.Errorf("%d chats and queue ids, want %d", len(seen), 2*workers*each)
	}
	if a, c := b.health(phoneA), b.health(phoneB); a.Completed+c.Completed != workers*each {
		t.Errorf("completed %d and %d", a.Completed, c.Completed)
	}
}

func TestLatencyIsAdded(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{Latency: Range{Min: 30 * time.Millisecond, Max: 40 * time.Millisecond}})
	start := time.Now()
	b.send(fictional(1), "x")
	if took := time.Since(start); took < 30*time.Millisecond {
		t.Errorf("answered after %s, want at least 30ms", took)
	}
}
