package faults

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Transport is an http.RoundTripper that misbehaves by rule. The first rule
// that strikes a call decides about it; a call that none strikes goes through.
// With the same seed and the same order of calls it misbehaves alike.
type Transport struct {
	next http.RoundTripper

	mu    sync.Mutex
	rules []*armed
	last  []byte // the last good answer to a send
}

// NewTransport makes a Transport before next, which is what reaches the
// provider.
func NewTransport(next http.RoundTripper, seed uint64, rules ...Rule) *Transport {
	t := &Transport{next: next}
	for i, rule := range rules {
		t.rules = append(t.rules, arm(rule, seed, i))
	}
	return t
}

// Hits is how many calls each rule has struck, in the order of the rules.
func (t *Transport) Hits() []int {
	t.mu.Lock()
	defer t.mu.Unlock()
	hits := make([]int, len(t.rules))
	for i, rule := range t.rules {
		hits[i] = rule.hits
	}
	return hits
}

// CloseIdleConnections closes what is not in use.
func (t *Transport) CloseIdleConnections() {
	if closer, ok := t.next.(interface{ CloseIdleConnections() }); ok {
		closer.CloseIdleConnections()
	}
}

// RoundTrip makes the call, or not.
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	rule := t.pick(r)
	if rule == nil {
		response, err := t.next.RoundTrip(r)
		return t.remember(r, response, err)
	}
	switch rule.Kind {
	case Refuse:
		discard(r)
		// As a real transport: it looked for a connection and got none.
		if trace := httptrace.ContextClientTrace(r.Context()); trace != nil && trace.GetConn != nil {
			trace.GetConn(r.URL.Host)
		}
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	case ResetBefore:
		connected(r)
		discard(r)
		return nil, reset("write")
	case Cut:
		return t.cut(r, rule.Bytes)
	case RefuseStatus:
		connected(r)
		discard(r)
		return answer(r, rule.Status, rule.Header, strings.NewReader(rule.Body), int64(len(rule.Body)), mime(rule.Body)), nil
	case Delay:
		response, err := t.next.RoundTrip(r)
		if !wait(r.Context(), rule.Wait) {
			return nil, errors.Join(context.Cause(r.Context()), drop(response))
		}
		return response, err
	default:
		return t.deliver(r, rule)
	}
}

// deliver lets the call reach the provider and spoils what comes back.
func (t *Transport) deliver(r *http.Request, rule *armed) (*http.Response, error) {
	response, err := t.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	if err := drop(response); err != nil {
		return nil, err
	}
	switch rule.Kind {
	case ResetAfter:
		return nil, reset("read")
	case Hang:
		<-r.Context().Done()
		return nil, context.Cause(r.Context())
	case Status:
		return answer(r, rule.Status, rule.Header, strings.NewReader(rule.Body), int64(len(rule.Body)), mime(rule.Body)), nil
	case WrongBody:
		return answer(r, http.StatusOK, nil, strings.NewReader(rule.Body), int64(len(rule.Body)), mime(rule.Body)), nil
	case HTML:
		return answer(r, http.StatusOK, nil, strings.NewReader(page), int64(len(page)), mime(page)), nil
	case HugeBody:
		return answer(r, http.StatusOK, nil, io.LimitReader(spaces{}, rule.Bytes), rule.Bytes, mime("{")), nil
	case RepeatID:
		t.mu.Lock()
		last := t.last
		t.mu.Unlock()
		return answer(r, http.StatusOK, nil, bytes.NewReader(last), int64(len(last)), mime("{")), nil
	default:
		return nil, fmt.Errorf("faults: no such kind as %q", rule.Kind)
	}
}

// cut sends the first bytes of the request on a connection of its own and
// breaks it. What a provider makes of them is its affair: the whole of a
// request may be within them.
func (t *Transport) cut(r *http.Request, size int64) (*http.Response, error) {
	conn, err := new(net.Dialer).DialContext(r.Context(), "tcp", r.URL.Host)
	if err != nil {
		return nil, err
	}
	connected(r)
	var whole bytes.Buffer
	if err := r.Write(&whole); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	_, err = io.CopyN(conn, &whole, min(size, int64(whole.Len())))
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // a reset, not an orderly end
	}
	return nil, errors.Join(reset("write"), err, conn.Close())
}

func (t *Transport) pick(r *http.Request) *armed {
	t.mu.Lock()
	defer t.mu.Unlock()
	var first *armed
	for _, rule := range t.rules {
		// Each rule counts every call, whichever strikes first.
		if rule.strikes(r) && first == nil {
			first = rule
		}
	}
	return first
}

// remember keeps the answer to a send, for RepeatID.
func (t *Transport) remember(r *http.Request, response *http.Response, err error) (*http.Response, error) {
	if err != nil || !Sends(r) || response.StatusCode != http.StatusOK {
		return response, err
	}
	body, err := io.ReadAll(response.Body)
	if err = errors.Join(err, response.Body.Close()); err != nil {
		return nil, err
	}
	t.mu.Lock()
	t.last = body
	t.mu.Unlock()
	response.Body = io.NopCloser(bytes.NewReader(body))
	return response, nil
}

// connected tells whoever traces the call that it got a connection: from here
// on bytes may have left.
func connected(r *http.Request) {
	if trace := httptrace.ContextClientTrace(r.Context()); trace != nil {
		if trace.GetConn != nil {
			trace.GetConn(r.URL.Host)
		}
		if trace.GotConn != nil {
			trace.GotConn(httptrace.GotConnInfo{})
		}
	}
}

func reset(op string) error { return &net.OpError{Op: op, Net: "tcp", Err: syscall.ECONNRESET} }

// discard closes the body of a request that is not sent, as a RoundTripper
// must.
func discard(r *http.Request) {
	if r.Body != nil {
		_ = r.Body.Close()
	}
}

// drop reads an answer that nobody shall see to its end.
func drop(response *http.Response) error {
	if response == nil {
		return nil
	}
	_, err := io.Copy(io.Discard, response.Body)
	return errors.Join(err, response.Body.Close())
}

func answer(r *http.Request, status int, header http.Header, body io.Reader, size int64, mime string) *http.Response {
	h := header.Clone()
	if h == nil {
		h = http.Header{}
	}
	if h.Get("Content-Type") == "" {
		h.Set("Content-Type", mime)
	}
	return &http.Response{
		Status: fmt.Sprintf("%d %s", status, http.StatusText(status)), StatusCode: status,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: h, Body: io.NopCloser(body), ContentLength: size, Request: r,
	}
}

// spaces is a body without an end.
type spaces struct{}

func (spaces) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

// wait says whether d passed before ctx ended.
func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
