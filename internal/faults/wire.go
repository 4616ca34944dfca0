package faults

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Wire is an http.RoundTripper with the points of one call: K2b when it has a
// connection, K3 in the middle of the request, K4 behind it, K5 before its answer is read, and K8 after an
// answer that reconciliation reads. It reports its connections through
// httptrace as *http.Transport does.
type Wire struct {
	crash *Crash
	inner *http.Transport
}

// NewWire makes a Wire of at most maxConns connections.
func NewWire(crash *Crash, maxConns int) *Wire {
	w := &Wire{crash: crash}
	dialer := &net.Dialer{Timeout: 5 * time.Second}
	w.inner = &http.Transport{
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := dialer.DialContext(ctx, network, address)
			if err != nil {
				return nil, err
			}
			return &cutConn{Conn: conn, crash: crash}, nil
		},
		MaxIdleConns: maxConns, MaxIdleConnsPerHost: maxConns, MaxConnsPerHost: maxConns,
		// Below the production transport's, so that a test meets no race of its
		// own with a server that closes idle connections.
		IdleConnTimeout: 2 * time.Second, ResponseHeaderTimeout: 15 * time.Second, DisableCompression: true,
	}
	return w
}

// RoundTrip makes the call.
func (w *Wire) RoundTrip(request *http.Request) (*http.Response, error) {
	switch {
	case isSend(request.Method, request.URL.Path):
		request = request.WithContext(httptrace.WithClientTrace(request.Context(), &httptrace.ClientTrace{
			GotConn: func(httptrace.GotConnInfo) { w.crash.Pass(Connected) },
			WroteRequest: func(info httptrace.WroteRequestInfo) {
				if info.Err == nil {
					w.crash.Pass(Written)
				}
			},
		}))
		response, err := w.inner.RoundTrip(request)
		if err == nil {
			w.crash.Pass(AnswerLost)
		}
		return response, err
	case isList(request.URL.Path):
		response, err := w.inner.RoundTrip(request)
		if err == nil {
			w.crash.Pass(InsideListRead)
		}
		return response, err
	default:
		return w.inner.RoundTrip(request)
	}
}

// CloseIdleConnections closes what is not in use.
func (w *Wire) CloseIdleConnections() { w.inner.CloseIdleConnections() }

// isSend tells the send API's one route from all others.
func isSend(method, path string) bool {
	return method == http.MethodPost && strings.HasSuffix(path, "/message/send")
}

// isList says whether a path is one that unknown rows are looked for in.
func isList(path string) bool {
	return strings.HasSuffix(path, "/message/queues") || strings.HasSuffix(path, "/queue/jobs") ||
		strings.HasSuffix(path, "/chats/messages") || strings.Contains(path, "/chats/") && strings.HasSuffix(path, "/messages")
}

// cutConn has K3: a request of which only the first bytes leave. HTTP/1.1
// without pipelining: what is written after something was read begins a
// request.
type cutConn struct {
	net.Conn
	crash *Crash

	answered atomic.Bool // something was read since the last write
	mu       sync.Mutex
	started  bool
	cutting  bool // this request is the planned one
	written  int  // of this request
}

func (c *cutConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 {
		c.answered.Store(true)
	}
	return n, err
}

func (c *cutConn) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if first := c.answered.Swap(false) || !c.started; first {
		c.started, c.written = true, 0
		line, _, _ := strings.Cut(string(p[:min(len(p), 256)]), "\r\n")
		method, rest, _ := strings.Cut(line, " ")
		path, _, _ := strings.Cut(rest, " ")
		c.cutting = isSend(method, path) && c.crash.due(HalfWritten)
	}
	if c.cutting {
		if left := c.crash.plan.Bytes - c.written; left <= len(p) {
			n, err := c.Conn.Write(p[:max(left, 0)])
			c.crash.strike(c.crash.plan.Act)
			c.cutting = false
			more, err2 := c.Conn.Write(p[n:]) // after a freeze it goes on
			if err == nil {
				err = err2
			}
			return n + more, err
		}
	}
	n, err := c.Conn.Write(p)
	c.written += n
	return n, err
}

// ReadFrom keeps io.Copy from going around Write.
func (c *cutConn) ReadFrom(r io.Reader) (int64, error) { return io.Copy(writeOnly{c}, r) }

type writeOnly struct{ io.Writer }
