package faults

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Wire is an http.RoundTripper with the points of one call: K2b when it has a
// connection, K3 in the middle of the request, K4 behind it, K5 before its
// answer is read, and K8 after an answer that reconciliation reads. It reports
// its connections through httptrace as *http.Transport does. K3 and K4 lie on
// the connection itself: httptrace calls a request written that may still be in
// a buffer.
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

// cutConn has K3, a request of which only the first bytes leave, and K4, all
// of it has left. HTTP/1.1 without pipelining: what is written after something
// was read begins a request.
type cutConn struct {
	net.Conn
	crash *Crash

	answered atomic.Bool // something was read since the last write
	mu       sync.Mutex
	started  bool
	cutting  bool // this request is the planned one
	written  int  // of this request
	length   int  // of this request if it is a send; 0 if not
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
		c.cutting, c.length = false, 0
		if isSend(method, path) {
			c.cutting, c.length = c.crash.due(HalfWritten), length(p)
		}
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
	whole := c.written < c.length && c.written+n >= c.length
	c.written += n
	if whole && err == nil {
		c.crash.Pass(Written)
	}
	return n, err
}

// length is that of a whole request, told by its header; 0 if the header is not
// whole or does not tell.
func length(begin []byte) int {
	header, _, whole := strings.Cut(string(begin), "\r\n\r\n")
	_, after, told := strings.Cut(strings.ToLower(header)+"\r\n", "\r\ncontent-length: ")
	body, _, _ := strings.Cut(after, "\r\n")
	n, err := strconv.Atoi(body)
	if !whole || !told || err != nil {
		return 0
	}
	return len(header) + len("\r\n\r\n") + n
}

// ReadFrom keeps io.Copy from going around Write.
func (c *cutConn) ReadFrom(r io.Reader) (int64, error) { return io.Copy(writeOnly{c}, r) }

type writeOnly struct{ io.Writer }
