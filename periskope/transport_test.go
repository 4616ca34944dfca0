package periskope

import (
	"bufio"
	"context"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

const innerToken = "sk-canary-inner"

func newInner(t *testing.T, config Config) *Client {
	t.Helper()
	config.Token = innerToken
	client, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.CloseIdleConnections)
	return client
}

// keepAliveBreaker is a server that answers the first request of every
// connection, reads the second one whole, and hangs up on it: the race of a
// kept-alive connection that net/http papers over by resending.
type keepAliveBreaker struct {
	listener net.Listener
	bodies   chan string
}

func newKeepAliveBreaker(t *testing.T) *keepAliveBreaker {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &keepAliveBreaker{listener: listener, bodies: make(chan string, 100)}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go b.serve(conn)
		}
	}()
	return b
}

func (b *keepAliveBreaker) serve(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	r := bufio.NewReader(conn)
	for n := range 2 {
		req, err := http.ReadRequest(r)
		if err != nil {
			return
		}
		body, err := io.ReadAll(req.Body)
		if err != nil {
			return
		}
		b.bodies <- string(body)
		if n == 0 {
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 17\r\n\r\n"+`{"queue_id":"q1"}`)
		}
	}
}

// count is how often the server got a body holding text.
func (b *keepAliveBreaker) count(text string) int {
	n := 0
	for {
		select {
		case body := <-b.bodies:
			if strings.Contains(body, text) {
				n++
			}
		default:
			return n
		}
	}
}

// TestSendIsNeverReplayed is reliability M1. The second half shows that the
// test bites: the same server gets a POST that net/http holds for replayable
// twice, and the caller is told of success.
func TestSendIsNeverReplayed(t *testing.T) {
	t.Parallel()
	t.Run("by Send", func(t *testing.T) {
		t.Parallel()
		server := newKeepAliveBreaker(t)
		client := newInner(t, Config{BaseURL: "http://" + server.listener.Addr().String(), MaxConns: 1})
		if _, err := client.Send(t.Context(), "12015550100", SendRequest{ChatID: "447700900123", Message: "first"}); err != nil {
			t.Fatalf("first Send: %v", err)
		}
		_, err := client.Send(t.Context(), "12015550100", SendRequest{ChatID: "447700900123", Message: "second"})
		var transport *TransportError
		if !errors.As(err, &transport) || transport.Stage != StageMaybeSent {
			t.Fatalf("second Send: %v, want a TransportError that may have been sent", err)
		}
		// Whatever a replay did, it did before Send returned.
		if n := server.count("second"); n != 1 {
			t.Errorf("the server got the request %d times, want 1", n)
		}
	})
	t.Run("but by net/http with an idempotency key", func(t *testing.T) {
		t.Parallel()
		server := newKeepAliveBreaker(t)
		transport := newTransport(Config{MaxConns: 1}.withDefaults())
		t.Cleanup(transport.CloseIdleConnections)
		post := func(text string) error {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+server.listener.Addr().String(), strings.NewReader(text))
			if err != nil {
				return err
			}
			req.Header.Set("Idempotency-Key", "k")
			resp, err := transport.RoundTrip(req)
			if err != nil {
				return err
			}
			_, err = io.Copy(io.Discard, resp.Body)
			return errors.Join(err, resp.Body.Close())
		}
		if err := errors.Join(post("first"), post("second")); err != nil {
			t.Fatal(err)
		}
		if n := server.count("second"); n != 2 {
			t.Errorf("the server got the request %d times, want 2: does this test still bite?", n)
		}
	})
}

// TestRequestIsNotReplayable checks the conditions of Request.isReplayable and
// shouldRetryRequest themselves, for each call that changes something.
func TestRequestIsNotReplayable(t *testing.T) {
	t.Parallel()
	var seen []*http.Request
	client := newInner(t, Config{Transport: roundTripFunc(func(r *http.Request) (*http.Response, error) {
		seen = append(seen, r)
		return nil, errors.New("none")
	})})
	file := io.NopCloser(strings.NewReader("abc"))
	media := &Media{Type: MediaImage, File: file, Size: 3, Filename: "a", MIMEType: "b"}
	_, _ = client.Send(t.Context(), "1", SendRequest{ChatID: "447700900123", Message: "x"})
	_, _ = client.Send(t.Context(), "1", SendRequest{ChatID: "447700900123", Media: media})
	_, _ = client.PurgeQueue(t.Context(), "1", []string{"a"})
	if len(seen) != 3 {
		t.Fatalf("%d requests, want 3", len(seen))
	}
	for _, r := range seen {
		if r.Method != http.MethodPost || r.Body == nil || r.Body == http.NoBody || r.GetBody != nil || r.ContentLength <= 0 {
			t.Errorf("%s: body %v, GetBody set %t, length %d", r.URL.Path, r.Body, r.GetBody != nil, r.ContentLength)
		}
		for _, name := range []string{"Idempotency-Key", "X-Idempotency-Key"} {
			if r.Header.Get(name) != "" {
				t.Errorf("%s has the header %s", r.URL.Path, name)
			}
		}
	}
}

type roundTripFunc func(*http.Request) (*http.Response, error)

func (f roundTripFunc) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestUnknownTransportProvesNothing: a transport that does not report its
// connections may have sent what it failed at.
func TestUnknownTransportProvesNothing(t *testing.T) {
	t.Parallel()
	client := newInner(t, Config{Transport: roundTripFunc(func(*http.Request) (*http.Response, error) {
		return nil, errors.New("lost after sending")
	})})
	_, err := client.Send(t.Context(), "1", SendRequest{ChatID: "447700900123", Message: "x"})
	var transport *TransportError
	if !errors.As(err, &transport) || transport.Stage != StageMaybeSent {
		t.Errorf("Send: %v, want maybe sent", err)
	}
}

// TestHTTP2IsUsedAndNotReplayed: with HTTP/2 offered, the transport takes it,
// and a stream reset by the server is not sent again.
func TestHTTP2IsUsedAndNotReplayed(t *testing.T) {
	t.Parallel()
	protos := make(chan string, 10)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		protos <- r.Proto
		if strings.Contains(string(body), "reset") {
			panic(http.ErrAbortHandler)
		}
		_, _ = io.WriteString(w, `{"queue_id":"q1"}`)
	}))
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	client := newInner(t, Config{BaseURL: server.URL})
	transport, ok := client.transport.(*http.Transport)
	if !ok {
		t.Fatal("the default transport is no *http.Transport")
	}
	transport.TLSClientConfig.RootCAs = x509.NewCertPool()
	transport.TLSClientConfig.RootCAs.AddCert(server.Certificate())

	if _, err := client.Send(t.Context(), "1", SendRequest{ChatID: "447700900123", Message: "fine"}); err != nil {
		t.Fatalf("Send: %v", err)
	}
	_, err := client.Send(t.Context(), "1", SendRequest{ChatID: "447700900123", Message: "reset"})
	var failed *TransportError
	if !errors.As(err, &failed) || failed.Stage != StageMaybeSent {
		t.Fatalf("Send: %v, want maybe sent", err)
	}
	if len(protos) != 2 {
		t.Fatalf("%d requests, want 2", len(protos))
	}
	if first, second := <-protos, <-protos; first != "HTTP/2.0" || second != "HTTP/2.0" {
		t.Errorf("protocols %s, %s", first, second)
	}
}

// TestWaitingForAConnectionIsNotSent: with every connection taken, a call that
// runs out of time has sent nothing.
func TestWaitingForAConnectionIsNotSent(t *testing.T) {
	t.Parallel()
	arrived, release := make(chan struct{}), make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		arrived <- struct{}{}
		<-release
		_, _ = io.WriteString(w, `{"queue_id":"q1"}`)
	}))
	t.Cleanup(server.Close)
	client := newInner(t, Config{BaseURL: server.URL, MaxConns: 1})
	request := SendRequest{ChatID: "447700900123", Message: "x"}
	first := make(chan error, 1)
	go func() {
		_, err := client.Send(t.Context(), "1", request)
		first <- err
	}()
	<-arrived
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err := client.Send(ctx, "1", request)
	var failed *TransportError
	if !errors.As(err, &failed) || failed.Stage != StageNotSent || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("second Send: %v, want not sent by the deadline", err)
	}
	close(release)
	if err := <-first; err != nil {
		t.Errorf("first Send: %v", err)
	}
}

// TestTimeoutNamesItself: the error says that it was the client's own timeout.
func TestTimeoutNamesItself(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	}))
	t.Cleanup(server.Close)
	client := newInner(t, Config{BaseURL: server.URL, Timeout: 30 * time.Millisecond})
	_, err := client.Send(t.Context(), "1", SendRequest{ChatID: "447700900123", Message: "x"})
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "30ms") {
		t.Errorf("Send: %v", err)
	}
}

func TestDefaultTransportIsTuned(t *testing.T) {
	t.Parallel()
	config := Config{MaxConns: 7}.withDefaults()
	transport := newTransport(config)
	if transport.MaxConnsPerHost != 7 || transport.MaxIdleConnsPerHost != 7 || !transport.DisableCompression ||
		!transport.ForceAttemptHTTP2 || transport.TLSClientConfig.MinVersion < 0x0303 || transport.Proxy == nil ||
		transport.TLSClientConfig.InsecureSkipVerify || transport.ResponseHeaderTimeout != 15*time.Second {
		t.Errorf("transport %+v", transport)
	}
}
