package periskope

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

var errTooLate = errors.New("too late")

// eavesdropper is a raw server: it answers every request that is whole, and
// keeps what came over each connection.
type eavesdropper struct {
	listener net.Listener

	mu    sync.Mutex
	heard []*bytes.Buffer // by connection
	ended sync.WaitGroup
}

func newEavesdropper(t *testing.T) *eavesdropper {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	e := &eavesdropper{listener: listener}
	e.ended.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			heard := new(bytes.Buffer)
			e.mu.Lock()
			e.heard = append(e.heard, heard)
			e.mu.Unlock()
			e.ended.Go(func() { e.serve(conn, heard) })
		}
	})
	return e
}

func (e *eavesdropper) serve(conn net.Conn, heard *bytes.Buffer) {
	defer func() { _ = conn.Close() }()
	chunk := make([]byte, 64<<10)
	for {
		n, err := conn.Read(chunk)
		if err != nil {
			return
		}
		heard.Write(chunk[:n])
		if bytes.HasSuffix(heard.Bytes(), []byte("}")) { // the end of the JSON
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 17\r\n\r\n"+`{"queue_id":"q1"}`)
		}
	}
}

// all is what came, by connection, when the client has closed them all.
func (e *eavesdropper) all(client *Client) []string {
	client.CloseIdleConnections()
	_ = e.listener.Close()
	e.ended.Wait()
	var all []string
	for _, heard := range e.heard {
		all = append(all, heard.String())
	}
	return all
}

// bodies counts the bytes behind the headers of the requests.
func bodies(heard string) int {
	n := 0
	for part := range strings.SplitSeq(heard, "POST ") {
		_, body, _ := strings.Cut(part, "\r\n\r\n")
		n += len(body)
	}
	return n
}

func requestsToGate() map[string]func() SendRequest {
	return map[string]func() SendRequest{
		"text": func() SendRequest { return SendRequest{ChatID: "447700900123", Message: "secret"} },
		"long text": func() SendRequest {
			return SendRequest{ChatID: "447700900123", Message: strings.Repeat("secret ", 10_000)}
		},
		"file": func() SendRequest {
			file := strings.Repeat("secret ", 10_000)
			return SendRequest{ChatID: "447700900123", Media: &Media{
				Type: MediaImage, File: io.NopCloser(strings.NewReader(file)), Size: int64(len(file)), Filename: "a.png", MIMEType: "image/png",
			}}
		},
	}
}

func wantRefused(t *testing.T, err error) {
	t.Helper()
	var failed *TransportError
	if !errors.As(err, &failed) || failed.Stage != StageNotSent || !errors.Is(err, errTooLate) {
		t.Errorf("Send: %v, want certainly not sent, because it is too late", err)
	}
}

// TestRefusedSendLeavesNothing: when Begin refuses, a raw server sees no byte
// of any message, on a new connection and on a kept one. The connection is not
// used again: half a request is on it.
func TestRefusedSendLeavesNothing(t *testing.T) {
	t.Parallel()
	for name, request := range requestsToGate() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := newEavesdropper(t)
			client := newInner(t, Config{BaseURL: "http://" + server.listener.Addr().String(), MaxConns: 1})
			asked := 0
			send := func(refusal error) error {
				r := request()
				r.Begin = func() error { asked++; return refusal }
				_, err := client.Send(t.Context(), "12015550100", r)
				return err
			}
			wantRefused(t, send(errTooLate)) // its own connection
			for range 2 {                    // both over the next one
				if err := send(nil); err != nil {
					t.Fatalf("Send: %v", err)
				}
			}
			wantRefused(t, send(errTooLate))
			if asked != 4 {
				t.Errorf("Begin was asked %d times for 4 calls", asked)
			}
			all := server.all(client)
			if len(all) != 2 {
				t.Fatalf("%d connections, want 2", len(all))
			}
			if n := bodies(all[0]); n != 0 || strings.Count(all[0], "POST ") > 1 {
				t.Errorf("a refused send left %d bytes of its message", n)
			}
			if posts := strings.Count(all[1], "POST "); posts != 3 {
				t.Errorf("%d requests on the second connection, want the last without its message", posts)
			}
			if !strings.HasSuffix(all[1], "\r\n\r\n") {
				t.Errorf("the refused send left something of its message behind: …%q", all[1][max(0, len(all[1])-40):])
			}
		})
	}
}

// TestRefusedStreamIsReset: over HTTP/2 the server sees a request whose body
// breaks off before its first byte, and the connection goes on.
func TestRefusedStreamIsReset(t *testing.T) {
	t.Parallel()
	type arrival struct {
		body string
		err  error
	}
	arrivals := make(chan arrival, 10)
	var connections atomic.Int32
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		arrivals <- arrival{string(body), err}
		_, _ = io.WriteString(w, `{"queue_id":"q1"}`)
	}))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
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
	for name, request := range requestsToGate() {
		for _, refusal := range []error{nil, errTooLate, nil} {
			r := request()
			r.Begin = func() error { return refusal }
			_, err := client.Send(t.Context(), "12015550100", r)
			got := <-arrivals
			if refusal == nil {
				if err != nil || got.err != nil || got.body == "" {
					t.Errorf("%s: Send: %v; the server read %d bytes, %v", name, err, len(got.body), got.err)
				}
				continue
			}
			wantRefused(t, err)
			if got.err == nil || got.body != "" {
				t.Errorf("%s: the server read %d bytes, %v", name, len(got.body), got.err)
			}
		}
	}
	if n := connections.Load(); n != 1 {
		t.Errorf("%d connections, want 1", n)
	}
}

// TestSlowDialServesTheNextCall: a call that has no connection in time is not
// sent and does not ask Begin; the dial goes on, and the next call finds it
// done. Otherwise a slow network would make every call late for ever.
func TestSlowDialServesTheNextCall(t *testing.T) {
	t.Parallel()
	server := newEavesdropper(t)
	client := newInner(t, Config{BaseURL: "http://" + server.listener.Addr().String(), MaxConns: 1})
	client.begin = 10 * time.Millisecond
	release, dialed := make(chan struct{}), make(chan struct{})
	transport, ok := client.transport.(*http.Transport)
	if !ok {
		t.Fatal("the default transport is no *http.Transport")
	}
	dial := transport.DialContext
	transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		defer close(dialed) // a second dial panics
		<-release
		return dial(ctx, network, address)
	}
	asked := 0
	request := SendRequest{ChatID: "447700900123", Message: "x", Begin: func() error { asked++; return nil }}
	_, err := client.Send(t.Context(), "12015550100", request)
	var failed *TransportError
	if !errors.As(err, &failed) || failed.Stage != StageNotSent || !errors.Is(err, errNotBegun) || asked > 0 {
		t.Errorf("first Send: %v, asked %d times; want not sent", err, asked)
	}
	close(release)
	<-dialed
	client.begin = time.Minute
	if _, err := client.Send(t.Context(), "12015550100", request); err != nil || asked != 1 {
		t.Errorf("second Send: %v, asked %d times", err, asked)
	}
	if all := server.all(client); len(all) != 1 || strings.Count(all[0], "POST ") != 1 {
		t.Errorf("the server heard %q", all)
	}
}

// TestFailureBeforeTheMessageIsNotSent: a connection was had and the call
// failed, but nobody had asked for the message yet. It never leaves after that.
func TestFailureBeforeTheMessageIsNotSent(t *testing.T) {
	t.Parallel()
	var body io.Reader
	client := newInner(t, Config{Transport: roundTripFunc(func(r *http.Request) (*http.Response, error) {
		httptrace.ContextClientTrace(r.Context()).GotConn(httptrace.GotConnInfo{})
		body = r.Body
		return nil, errTooLate
	})})
	asked := 0
	_, err := client.Send(t.Context(), "12015550100", SendRequest{
		ChatID: "447700900123", Message: "x", Begin: func() error { asked++; return nil },
	})
	wantRefused(t, err)
	if n, err := io.Copy(io.Discard, body); n > 0 || !errors.Is(err, errTooLate) || asked > 0 {
		t.Errorf("%d bytes could be read later, %v; asked %d times", n, err, asked)
	}
}

// TestAnswerToTheHeadersAlone: whatever a server says to a request whose
// message was held back, nothing was sent.
func TestAnswerToTheHeadersAlone(t *testing.T) {
	t.Parallel()
	client := newInner(t, Config{Transport: roundTripFunc(func(r *http.Request) (*http.Response, error) {
		_, _ = io.Copy(io.Discard, r.Body)
		return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(`{"queue_id":"q1"}`))}, nil
	})})
	_, err := client.Send(t.Context(), "12015550100", SendRequest{
		ChatID: "447700900123", Message: "x", Begin: func() error { return errTooLate },
	})
	wantRefused(t, err)
}
