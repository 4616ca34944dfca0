package periskope

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	maxSendAnswer = 64 << 10 // bytes of a send answer that are read
	maxRaw        = 4 << 10  // bytes of an error answer that are kept
)

// UploadRate is the slowest upload a file may have before it is given up, in
// bytes per second on top of Config.Timeout.
const UploadRate = 256 << 10

// Client calls the Periskope REST API. It is safe for concurrent use and never
// prints its token.
type Client struct {
	base      *url.URL
	sendURL   *url.URL
	transport http.RoundTripper
	// traced says that the transport is known to report every connection it
	// gets through httptrace.
	traced  bool
	timeout time.Duration
	maxList int64
	begin   time.Duration       // beginTimeout; tests shorten it
	auth    func() *credentials // a function, so that fmt cannot print it, whatever the verb
	agent   []string

	encoders *sync.Pool // of *encoder
	answers  *sync.Pool // of *bytes.Buffer
}

type credentials struct {
	token  string
	header []string // "Bearer …", shared by all requests; the transport only reads it
}

var (
	acceptHeader      = []string{"application/json"}
	contentTypeHeader = []string{"application/json"}
)

// New checks the configuration, field by field. It opens no connection.
func New(config Config) (*Client, error) {
	config = config.withDefaults()
	base, err := config.validate()
	if err != nil {
		return nil, fmt.Errorf("periskope: %w", err)
	}
	auth := &credentials{token: string(config.Token), header: []string{"Bearer " + string(config.Token)}}
	c := &Client{
		base:      base,
		transport: config.Transport,
		timeout:   config.Timeout,
		maxList:   config.MaxListAnswer,
		begin:     beginTimeout,
		auth:      func() *credentials { return auth },
		agent:     []string{config.UserAgent},
		encoders:  &sync.Pool{New: func() any { return newEncoder() }},
		answers:   &sync.Pool{New: func() any { return new(bytes.Buffer) }},
	}
	if c.transport == nil {
		c.transport = newTransport(config)
	}
	_, c.traced = c.transport.(*http.Transport)
	c.sendURL = c.url(nil, "message", "send")
	return c, nil
}

// Host is the host, and port if any, of the base URL.
func (c *Client) Host() string { return c.base.Host }

// Timeout bounds a call that carries no file; whoever reconciles lost answers
// must wait longer than it.
func (c *Client) Timeout() time.Duration { return c.timeout }

// CloseIdleConnections closes what is not in use.
func (c *Client) CloseIdleConnections() {
	if closer, ok := c.transport.(interface{ CloseIdleConnections() }); ok {
		closer.CloseIdleConnections()
	}
}

// String names the API's host.
func (c *Client) String() string { return "periskope client of " + c.Host() }

// GoString keeps %#v from printing the token.
func (c *Client) GoString() string { return c.String() }

// LogValue keeps structured logs from carrying the token.
func (c *Client) LogValue() slog.Value { return slog.StringValue(c.String()) }

// url appends the segments to the base URL.
func (c *Client) url(query url.Values, segments ...string) *url.URL {
	u := *c.base
	path, raw := u.Path, u.EscapedPath()
	for _, segment := range segments {
		path += "/" + segment
		raw += "/" + url.PathEscape(segment)
	}
	u.Path, u.RawPath, u.RawQuery = path, raw, query.Encode()
	return &u
}

// call is one request to make.
type call struct {
	op     string
	method string
	url    *url.URL
	phone  string // x-phone; "" sends none
	body   []byte // JSON; nil for none
	upload *upload
	begin  func() error // see SendRequest.Begin; nil asks nobody
	limit  int64        // bytes of the answer that are read
	own    []string     // texts of the request that no error may repeat

	// stream, if not nil, reads the body of a 2xx answer as it comes.
	stream func(io.Reader) error
}

// answer is what came back with a 2xx status. Its body belongs to the pool
// and is valid until release.
type answer struct {
	Meta

	body *bytes.Buffer // of one that was streamed, the beginning
	odd  error         // what call.stream made of it
	html bool
	cut  *TransportError // the body ended before its end; nil if whole
	long bool            // the body is longer than the limit
}

// do makes the request, once. Any answer other than 2xx is an *APIError, none
// at all a *TransportError. The caller must release the answer.
func (c *Client) do(ctx context.Context, call call) (*answer, error) {
	timeout := c.timeout
	if call.upload != nil {
		timeout += time.Duration(call.upload.length/UploadRate) * time.Second
	}
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, timeoutError(timeout))
	defer cancel()

	var reach reach
	if ctx.Err() != nil {
		call.upload.abandon()
		return nil, c.transportError(call, StageNotSent, Meta{}, context.Cause(ctx))
	}
	gate := newGate(call.begin)
	if gate != nil {
		var giveUp context.CancelCauseFunc
		ctx, giveUp = context.WithCancelCause(ctx)
		defer time.AfterFunc(c.begin, func() {
			if gate.shut(errNotBegun) {
				giveUp(errNotBegun)
			}
		}).Stop()
		defer giveUp(nil)
	}
	req := c.newRequest(httptrace.WithClientTrace(ctx, reach.trace()), call)
	if gate != nil {
		req.Body = gated{req.Body, gate}
	}
	// The transport is called without an http.Client around it: there is then
	// nothing that follows a redirect, with or without the token.
	resp, err := c.transport.RoundTrip(req)
	if refusal := gate.refused(); refusal != nil && err == nil {
		_ = resp.Body.Close() // an answer to the headers alone
		err = refusal
	}
	// Whatever failed, the gate knows whether the message had begun: a process
	// that stood still finds its call timed out before the body was asked for.
	if err != nil && gate.shut(err) {
		return nil, c.transportError(call, StageNotSent, Meta{}, gate.refused())
	}
	if err != nil {
		return nil, c.transportError(call, reach.stage(c.traced), Meta{}, err)
	}
	defer func() { _ = resp.Body.Close() }()

	a := &answer{Meta: parseMeta(resp.StatusCode, resp.Header, time.Now())}
	a.body, _ = c.answers.Get().(*bytes.Buffer)
	a.body.Reset()
	a.html = strings.HasPrefix(resp.Header.Get("Content-Type"), "text/html")
	if err := a.read(resp.Body, call); err != nil {
		a.cut = c.transportError(call, StageMaybeSent, a.Meta, err)
	}
	if resp.StatusCode/100 != 2 {
		defer c.release(a)
		return nil, c.apiError(call, a)
	}
	return a, nil
}

// read takes the body, and says what kept it from coming whole. Reading one byte
// past the limit tells a long answer from one that just fits, and reading to
// the end lets the connection be used again.
func (a *answer) read(body io.Reader, call call) error {
	in := &meter{Reader: io.LimitReader(body, call.limit+1)}
	if call.stream != nil && a.HTTPStatus/100 == 2 {
		a.odd = call.stream(io.TeeReader(in, &head{a.body}))
		_, _ = io.Copy(io.Discard, in)
	} else {
		_, _ = io.Copy(a.body, in)
	}
	a.long = in.n > call.limit
	return in.err
}

// meter counts what is read, and keeps the error that ended it.
type meter struct {
	io.Reader

	n   int64
	err error // nil for the end
}

func (m *meter) Read(p []byte) (int, error) {
	n, err := m.Reader.Read(p)
	m.n += int64(n)
	if err != nil && !errors.Is(err, io.EOF) {
		m.err = err
	}
	return n, err
}

// head keeps as much of what is written as tells what kind of answer it is.
type head struct{ kept *bytes.Buffer }

func (h *head) Write(p []byte) (int, error) {
	h.kept.Write(p[:min(len(p), max(0, maxRaw-h.kept.Len()))])
	return len(p), nil
}

// release gives the answer's body back. A very large one is left to the
// garbage collector.
func (c *Client) release(a *answer) {
	if a.body.Cap() <= 2*maxSendAnswer {
		c.answers.Put(a.body)
	}
	a.body = nil
}

// newRequest builds the request so that Go's transport cannot replay it.
//
// net/http resends a request on its own when a kept-alive connection breaks
// under it and Request.isReplayable says so: when there is no body or a
// GetBody, and the method is GET, HEAD, OPTIONS or TRACE or the header has
// Idempotency-Key or X-Idempotency-Key. It also resends one with GetBody when
// it believes that nothing was written (shouldRetryRequest), and HTTP/2 does
// after a refused stream. So a POST must have a body, must not have GetBody,
// which http.NewRequest would set, and must not have those headers.
func (c *Client) newRequest(ctx context.Context, call call) *http.Request {
	header := make(http.Header, 6)
	header["Authorization"] = c.auth().header
	header["Accept"] = acceptHeader
	header["User-Agent"] = c.agent
	if call.phone != "" {
		header["X-Phone"] = []string{call.phone}
	}
	req := &http.Request{Method: call.method, URL: call.url, Header: header, Host: call.url.Host}
	switch {
	case call.upload != nil:
		header["Content-Type"] = contentTypeHeader
		req.Body, req.ContentLength = call.upload, call.upload.length
	case call.body != nil:
		header["Content-Type"] = contentTypeHeader
		// The transport may still read the body after it returned, so body is
		// never reused. NopCloser around a bytes.Reader is a type it knows to
		// be in memory; with any other, as one behind a gate, it writes the
		// headers in a packet of their own.
		req.Body, req.ContentLength = io.NopCloser(bytes.NewReader(call.body)), int64(len(call.body))
	}
	return req.WithContext(ctx)
}

// reach records how far a request got. The transport's hooks run on its own
// goroutines, possibly after RoundTrip has returned.
type reach struct {
	asked     atomic.Bool // the transport looks for a connection, and reports it
	connected atomic.Bool // it has one; from here on bytes may have been written
}

func (r *reach) trace() *httptrace.ClientTrace {
	return &httptrace.ClientTrace{
		GetConn: func(string) { r.asked.Store(true) },
		GotConn: func(httptrace.GotConnInfo) { r.connected.Store(true) },
	}
}

// stage is certain of "not sent" only if the transport is known to report its
// connections and reported none.
func (r *reach) stage(traced bool) Stage {
	if !r.connected.Load() && (traced || r.asked.Load()) {
		return StageNotSent
	}
	return StageMaybeSent
}

// timeoutError says whose timeout it was; it is a context.DeadlineExceeded.
type timeoutError time.Duration

func (e timeoutError) Error() string {
	return fmt.Sprintf("no whole answer within %s", time.Duration(e))
}

func (e timeoutError) Is(target error) bool { return target == context.DeadlineExceeded }

func (e timeoutError) Timeout() bool { return true }

func (c *Client) transportError(call call, stage Stage, meta Meta, err error) *TransportError {
	return &TransportError{Op: call.op, Stage: stage, Meta: meta, text: c.scrubber(call).scrub(err.Error()), err: err}
}

func (c *Client) scrubber(call call) scrubber {
	return scrubber{token: c.auth().token, own: call.own}
}

// wireError is the provider's error document (dossier §2); every field is
// optional.
type wireError struct {
	Code    string                     `json:"code"`
	Name    string                     `json:"name"`
	Message string                     `json:"message"`
	Fields  map[string]json.RawMessage `json:"fields"`
}

func (c *Client) apiError(call call, a *answer) *APIError {
	e := &APIError{Op: call.op, Status: a.HTTPStatus, Meta: a.Meta}
	e.raw = bytes.Clone(a.body.Bytes()[:min(a.body.Len(), maxRaw)])
	var wire wireError
	if a.long || decode(a.body.Bytes(), &wire) != nil {
		return e
	}
	sc := c.scrubber(call)
	if isCode(wire.Code) {
		e.Code = sc.scrub(wire.Code)
	}
	e.Name, e.Message = sc.scrub(wire.Name), sc.scrub(wire.Message)
	for name, raw := range wire.Fields {
		if e.Fields == nil {
			e.Fields = make(map[string]string)
		}
		var field struct {
			Message string `json:"message"`
		}
		if decode(raw, &field) != nil {
			_ = json.Unmarshal(raw, &field.Message) // a field may be a bare string
		}
		e.Fields[sc.scrub(name)] = sc.scrub(field.Message)
	}
	return e
}

// isCode says whether s looks like VALIDATION_ERROR: one word of a fixed set.
func isCode(s string) bool {
	return s != "" && len(s) <= 64 &&
		strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-.") == ""
}

// unusable is the error for a 2xx answer whose body is not what was expected.
// err is what decoding it said.
func (a *answer) unusable(op string, err error) error {
	body := bytes.TrimSpace(a.body.Bytes())
	e := &ResponseError{Op: op, Status: a.HTTPStatus, Reason: ReasonMalformed, Meta: a.Meta}
	switch {
	case a.long:
		e.Reason = ReasonOversize
	case a.cut != nil:
		return a.cut
	case err == nil:
		return nil
	case len(body) == 0:
		e.Reason = ReasonEmpty
	case a.html || body[0] == '<':
		e.Reason = ReasonHTML
	}
	return e
}

// get makes a call that is no send and reads its answer with the function given. A
// 2xx answer that cannot be used is a *ResponseError.
func get[T any](ctx context.Context, c *Client, call call, read func([]byte) (T, error)) (v T, meta Meta, err error) {
	call.limit = c.maxList
	a, err := c.do(ctx, call)
	if err != nil {
		return v, metaOf(err), err
	}
	defer c.release(a)
	v, err = read(a.body.Bytes())
	if err = a.unusable(call.op, err); err != nil {
		var zero T
		return zero, a.Meta, err
	}
	return v, a.Meta, nil
}

// stream is get for an answer that is not held. After an error, what read has
// made of it does not count.
func (c *Client) stream(ctx context.Context, call call, read func(io.Reader) error) (Meta, error) {
	call.limit, call.stream = c.maxList, read
	a, err := c.do(ctx, call)
	if err != nil {
		return metaOf(err), err
	}
	defer c.release(a)
	return a.Meta, a.unusable(call.op, a.odd)
}

func decodeOne[T any](b []byte) (v T, err error) {
	err = decode(b, &v)
	return v, err
}

// needPhone refuses a call that is scoped to a phone and has none, which the
// API would answer with 422, or one that cannot stand in the x-phone header.
func needPhone(op, phone string) error {
	switch {
	case phone == "":
		return &ArgumentError{Op: op, Name: "x-phone", What: "is needed for this call"}
	case len(phone) > 64 || strings.Trim(phone, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_") != "":
		return &ArgumentError{Op: op, Name: "x-phone", What: "must be digits with the country code, or a phone id like phone-…"}
	}
	return nil
}

// checkID refuses what cannot be a path segment of its own.
func checkID(op, name, id string) error {
	if id == "" || id == "." || id == ".." || len(id) > 512 {
		return &ArgumentError{Op: op, Name: name, What: "must not be empty, dots or longer than 512 bytes"}
	}
	return nil
}
