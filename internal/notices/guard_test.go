package notices

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/herald-campaigns/herald/campaign"
)

func TestReach(t *testing.T) {
	t.Parallel()
	for address, want := range map[string][2]string{ // without and with private networks
		"https://example.com/hook":         {"public", "all"},
		"https://10.0.0.5/":                {"public", "all"}, // the dialer refuses it
		"http://example.com/":              {"", ""},
		"http://10.0.0.5/":                 {"", ""},
		"http://localhost:8080/":           {"self", "self"},
		"https://LOCALHOST/":               {"self", "self"},
		"http://127.0.0.1/":                {"self", "self"},
		"http://[::1]:9/":                  {"self", "self"},
		"http://localhost.example.com/":    {"", ""},
		"http://127.0.0.1.example.com/":    {"", ""},
		"ftp://example.com/":               {"", ""},
		"https:///":                        {"", ""},
		"example.com":                      {"", ""},
		"https://0x7f000001/":              {"public", "all"},
		"https://[::ffff:127.0.0.1]/":      {"self", "self"},
		"https://[fe80::1%25eth0]/":        {"public", "all"},
		"http://user@127.0.0.1:80@host/":   {"", ""},
		"http://169.254.169.254/meta-data": {"", ""},
	} {
		u, err := url.Parse(address)
		if err != nil {
			t.Fatalf("%s: %v", address, err)
		}
		for i, allow := range []bool{false, true} {
			r, err := reachOf(u, allow)
			got := map[reach]string{reachPublic: "public", reachSelf: "self", reachAll: "all"}[r]
			if err != nil {
				got = ""
			}
			if got != want[i] {
				t.Errorf("%s, private networks %v: reach %q, want %q", address, allow, got, want[i])
			}
		}
	}
}

func TestPermittedAddresses(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{ // which reaches permit it
		"8.8.8.8": "public all", "2606:4700::1111": "public all", "::ffff:8.8.8.8": "public all",
		"127.0.0.1": "self all", "127.8.8.8": "self all", "::1": "self all", "::ffff:127.0.0.1": "self all",
		"10.0.0.5": "all", "172.16.0.1": "all", "192.168.1.1": "all", "fd00::1": "all", "::ffff:10.0.0.5": "all",
		"169.254.169.254": "", "fe80::1": "", "::ffff:169.254.169.254": "", "0.0.0.0": "", "::": "", "0.1.2.3": "",
		"100.64.0.1": "", "198.18.0.1": "", "224.0.0.1": "", "ff02::1": "", "255.255.255.255": "", "240.0.0.1": "",
		"64:ff9b::a00:5": "", "64:ff9b:1::a00:5": "", "2002:a00:5::1": "", "2001::1": "", "2001:db8::1": "", "::7f00:1": "", "fec0::1": "",
		"192.0.2.1": "", "198.51.100.1": "", "203.0.113.1": "",
	} {
		var got []string
		for _, r := range []struct {
			name  string
			reach reach
		}{{"public", reachPublic}, {"self", reachSelf}, {"all", reachAll}} {
			if r.reach.permits(netip.MustParseAddr(address)) {
				got = append(got, r.name)
			}
		}
		if words(got) != want {
			t.Errorf("%s is permitted to %q, want %q", address, words(got), want)
		}
	}
}

// TestNamesThatLeadInside lets a name server say where a receiver is. What leads
// inside is refused without a connection.
func TestNamesThatLeadInside(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		url       string
		answer    string
		allow     bool
		failed    string
		connected bool
	}{
		"to this machine":             {"https://receiver.example:PORT", "127.0.0.1", false, "private network", false},
		"to a private one":            {"https://receiver.example", "10.0.0.5", false, "private network", false},
		"to the cloud's own":          {"https://receiver.example", "169.254.169.254", false, "private network", false},
		"to the cloud's own, allowed": {"https://receiver.example", "169.254.169.254", true, "no receiver has", false},
		"to this machine, allowed":    {"https://receiver.example:PORT", "127.0.0.1", true, "", true},
		"without a name":              {"https://10.0.0.5", "127.0.0.1", false, "private network", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			port, connected := counting(t)
			courier, err := newCourier(Config{
				Secret: testSecret, AllowPrivate: test.allow, Speed: 1, resolver: nameServer(t, netip.MustParseAddr(test.answer)),
			})
			if err != nil {
				t.Fatal(err)
			}
			defer courier.close()
			target := strings.Replace(test.url, "PORT", port, 1)
			got := courier.deliver(t.Context(), notice("c1", 1, campaign.NoticeCampaign, target+"/hook"))
			if got.Done || got.Failed == "" || !strings.Contains(got.Failed, test.failed) {
				t.Errorf("got %+v, want a failure with %q", got, test.failed)
			}
			if was := connected.Load() > 0; was != test.connected {
				t.Errorf("connected: %v, want %v", was, test.connected)
			}
		})
	}
}

// counting is a port of this machine that counts who connects, and says nothing.
func counting(t *testing.T) (port string, connected *atomic.Int64) {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	connected = new(atomic.Int64)
	over := make(chan struct{})
	go func() {
		defer close(over)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			connected.Add(1)
			conn.Close()
		}
	}()
	t.Cleanup(func() { listener.Close(); <-over })
	_, port, _ = net.SplitHostPort(listener.Addr().String())
	return port, connected
}

// TestRedirectIsNotFollowed lets a receiver send us to another of this machine.
func TestRedirectIsNotFollowed(t *testing.T) {
	t.Parallel()
	target := newReceiver(t, taken)
	there := newReceiver(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, target.URL, http.StatusTemporaryRedirect)
	})
	courier, err := newCourier(Config{Secret: testSecret, Speed: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer courier.close()
	got := courier.deliver(t.Context(), notice("c1", 1, campaign.NoticeCampaign, there.URL))
	if got.Done || got.Failed != "the receiver answered 307" || len(target.seen()) != 0 {
		t.Errorf("got %+v, the target was called %d times", got, len(target.seen()))
	}
}

// nobody is a resolver that reaches no name server.
func nobody() *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		return nil, net.ErrClosed
	}}
}

// nameServer answers every question for an IPv4 address with the same one.
func nameServer(t *testing.T, address netip.Addr) *net.Resolver {
	t.Helper()
	conn, err := new(net.ListenConfig).ListenPacket(t.Context(), "udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	over := make(chan struct{})
	go func() {
		defer close(over)
		buffer := make([]byte, 1500)
		for {
			n, from, err := conn.ReadFrom(buffer)
			if err != nil {
				return
			}
			var question dnsmessage.Message
			if question.Unpack(buffer[:n]) != nil || len(question.Questions) != 1 {
				continue
			}
			answer := dnsmessage.Message{
				Header:    dnsmessage.Header{ID: question.ID, Response: true, RecursionAvailable: true},
				Questions: question.Questions,
			}
			if asked := question.Questions[0]; asked.Type == dnsmessage.TypeA {
				answer.Answers = []dnsmessage.Resource{{
					Header: dnsmessage.ResourceHeader{Name: asked.Name, Type: asked.Type, Class: asked.Class, TTL: 1},
					Body:   &dnsmessage.AResource{A: address.As4()},
				}}
			}
			if packed, err := answer.Pack(); err == nil {
				conn.WriteTo(packed, from)
			}
		}
	}()
	t.Cleanup(func() { conn.Close(); <-over })
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		dialer := net.Dialer{Timeout: 5 * time.Second}
		return dialer.DialContext(ctx, "udp", conn.LocalAddr().String())
	}}
}
