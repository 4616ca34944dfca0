package sandbox

import (
	"bytes"
	"encoding/json"
	"errors"
	"hash/fnv"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// maxBody is the largest request read: a 100 MiB document in base64.
const maxBody = 140 << 20

// maxLimit is the largest page of a list.
const maxLimit = 2000

// call is one request to the API on its way through the server.
type call struct {
	s     *Server
	w     http.ResponseWriter
	r     *http.Request
	route Route
	line  *line // nil where no phone is needed
	trace string
	quota quota
	now   time.Time
}

// answer is what a handler wants said. A status of 0: it was said already, or
// never will be.
type answer struct {
	status    int
	body      []byte
	mime      string // default JSON
	header    map[string]string
	orgHeader string // default x-periskope-org-id
}

// scope tells whether an endpoint belongs to a phone.
type scope bool

const (
	ofPhone scope = true
	ofOrg   scope = false
)

func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	add := func(pattern string, route Route, of scope, handle func(*call) answer) {
		method, path, _ := strings.Cut(pattern, " ")
		mux.HandleFunc(strings.TrimSpace(method+" /v1"+path), func(w http.ResponseWriter, r *http.Request) {
			s.serve(w, r, route, of, handle)
		})
	}
	add("POST /message/send", RouteSend, ofPhone, send)
	add("POST /message/broadcast", RouteOther, ofPhone, broadcast)
	add("GET /message/{id}/status", RouteStatus, ofPhone, messageStatus)
	add("GET /messages/{id}/status", RouteStatus, ofPhone, messageStatus)
	add("GET /message/{id}", RouteMessages, ofPhone, getMessage)
	add("GET /chats/{chat}/messages", RouteMessages, ofPhone, chatMessages)
	add("GET /chats/messages", RouteMessages, ofPhone, phoneMessages)

	add("POST /message/queues", RouteQueues, ofPhone, listQueue)
	add("GET /message/queues/health", RouteQueues, ofPhone, queueHealth)
	add("POST /message/queues/purge", RouteQueues, ofPhone, purgeQueues)
	add("GET /queue/jobs", RouteQueues, ofPhone, oldJobs)
	add("GET /queue", RouteQueues, ofPhone, oldHealth)
	add("GET /queue/broadcast", RouteOther, ofPhone, broadcastStatus)
	add("DELETE /queue/purge", RouteQueues, ofPhone, oldPurge)

	add("GET /phones/all", RoutePhones, ofOrg, listPhones)
	add("GET /phones", RoutePhones, ofPhone, getPhone)
	add("GET /phones/qr", RoutePhones, ofPhone, getQR)
	add("POST /phones/restart", RoutePhones, ofPhone, restartPhone)
	add("POST /phones/reset", RoutePhones, ofPhone, resetPhone)
	add("POST /contacts/check", RouteContacts, ofPhone, checkContacts)

	add("POST /webhooks", RouteWebhooks, ofOrg, createHook)
	add("GET /webhooks", RouteWebhooks, ofOrg, listHooks)
	add("GET /webhooks/{id}", RouteWebhooks, ofOrg, getHook)
	add("PATCH /webhooks/{id}", RouteWebhooks, ofOrg, patchHook)
	add("DELETE /webhooks/{id}", RouteWebhooks, ofOrg, deleteHook)

	add(" /", RouteOther, ofOrg, func(*call) answer { return notFound("Route not found") })
	if s.cfg.Control {
		s.controlRoutes(mux)
	}
	return mux
}

// serve is what every request to the API goes through, in this order: token,
// limit, phone, latency, faults, and at last what it asked for. A send meets
// its faults later, when its recipient is known.
func (s *Server) serve(w http.ResponseWriter, r *http.Request, route Route, of scope, handle func(*call) answer) {
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	c := &call{s: s, w: w, r: r, route: route, trace: s.trace(), now: s.engine.time()}
	if !s.authorized(r) {
		c.quota = quota{limit: s.cfg.RateLimit.PerWindow, remaining: s.cfg.RateLimit.PerWindow, reset: time.Second}
		c.write(unauthorized())
		return
	}
	var ok bool
	if c.quota, ok = s.limiter.take(c.now.UnixNano()); !ok {
		s.stats.limited.Add(1)
		c.write(c.throttled())
		return
	}
	if of == ofPhone {
		if c.line, ok = s.engine.find(r.Header.Get("X-Phone")); !ok {
			c.write(missingPhone(r.Header.Get("X-Phone")))
			return
		}
	} else if x := r.Header.Get("X-Phone"); x != "" {
		c.line, _ = s.engine.find(x) // only to name it in the answer
	}
	if c.lag(); route == RouteSend {
		c.write(handle(c))
		return
	}
	struck := s.faults.pick(route, "")
	hit := struck.hit
	s.pause(r, struck.lag)
	if hit != nil && hit.When == FaultBefore {
		c.misbehave(hit, answer{status: http.StatusOK, body: []byte("{}")})
		return
	}
	a := handle(c)
	if hit != nil {
		c.misbehave(hit, a)
		return
	}
	c.write(a)
}

func (s *Server) authorized(r *http.Request) bool {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	token = strings.TrimSpace(token)
	if !ok || token == "" {
		return false
	}
	accepted := *s.tokens.Load()
	return len(accepted) == 0 || accepted[token]
}

// lag waits for the configured latency.
func (c *call) lag() {
	span := c.s.cfg.Latency
	if span.Max == 0 {
		return
	}
	d := newDraws(c.s.cfg.Seed, "latency", c.trace, "", 0)
	c.s.pause(c.r, span.Min+time.Duration(d.unit()*float64(span.Max-span.Min)))
}

// decode reads the JSON body into v. An empty body leaves v as it is.
func (c *call) decode(v any) (answer, bool) {
	text, err := io.ReadAll(c.r.Body)
	if _, tooBig := errors.AsType[*http.MaxBytesError](err); tooBig {
		return failure(http.StatusRequestEntityTooLarge, "PAYLOAD_TOO_LARGE", "Payload Too Large", "Request entity too large"), false
	}
	if err != nil {
		return answer{}, false // the caller is gone
	}
	if len(bytes.TrimSpace(text)) == 0 {
		return answer{}, true
	}
	err = json.Unmarshal(text, v)
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return invalid("Invalid body. Wrong type: "+wrong.Field, fields{wrong.Field: {Message: wrong.Field + " has the wrong type"}}), false
	}
	if err != nil {
		return failure(http.StatusBadRequest, "BAD_REQUEST_ERROR", "Bad Request", "Invalid JSON body"), false
	}
	return answer{}, true
}

// write says a, with the headers that every answer carries.
func (c *call) write(a answer) {
	if a.status == 0 {
		return
	}
	c.writeHeader(a, len(a.body))
	if a.status != http.StatusNoContent {
		_, _ = c.w.Write(a.body) // the caller may be gone; that is its right
	}
}

func (c *call) writeHeader(a answer, length int) {
	h := c.w.Header()
	if a.mime == "" {
		a.mime = "application/json; charset=utf-8"
	}
	if a.status != http.StatusNoContent {
		h["Content-Type"] = []string{a.mime}
		h["Content-Length"] = []string{itoa(length)}
		h["Etag"] = []string{etag(a.body)}
	}
	org := a.orgHeader
	if org == "" {
		org = "X-Periskope-Org-Id"
	}
	h[org] = []string{c.s.org}
	if c.line != nil {
		h["X-Periskope-Phone-Id"] = []string{c.line.phone.ID}
	}
	h["X-Periskope-Trace-Id"] = []string{c.trace}
	h["X-Powered-By"] = []string{"Express"}
	h["Access-Control-Allow-Origin"] = []string{"*"}
	h["Connection"] = []string{"keep-alive"}
	h["Keep-Alive"] = []string{"timeout=120"}
	h["Date"] = []string{c.now.Format(http.TimeFormat)}
	h["X-Ratelimit-Limit"] = []string{itoa(c.quota.limit)}
	h["X-Ratelimit-Remaining"] = []string{itoa(c.quota.remaining)}
	h["X-Ratelimit-Reset"] = []string{c.reset(c.quota.reset, c.s.cfg.RateLimit.ResetDelta)}
	for k, v := range a.header {
		h.Set(k, v)
	}
	c.w.WriteHeader(a.status)
}

// reset renders X-RateLimit-Reset, rounded up to whole seconds.
func (c *call) reset(in time.Duration, delta bool) string {
	if delta {
		return strconv.FormatInt(ceilSeconds(in), 10)
	}
	return strconv.FormatInt(c.now.Add(in+time.Second-1).Unix(), 10)
}

func ceilSeconds(d time.Duration) int64 { return int64((d + time.Second - 1) / time.Second) }

// throttled is the answer to a request above the limit.
func (c *call) throttled() answer {
	cfg := c.s.cfg.RateLimit
	a := tooMany(cfg.PlainText)
	if cfg.RetryAfter {
		a.header = map[string]string{"Retry-After": strconv.FormatInt(max(1, ceilSeconds(c.quota.reset)), 10)}
	}
	return a
}

// abort cuts the connection with a TCP reset.
func (c *call) abort() {
	conn, _, err := http.NewResponseController(c.w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler) // HTTP/2 or a recorder: the nearest there is
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // without it Close would end the stream in good order
	}
	_ = conn.Close()
}

// reply is a JSON answer.
func reply(status int, v any) answer {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return failure(http.StatusInternalServerError, "INTERNAL_SERVER_ERROR", "Internal Server Error", err.Error())
	}
	return answer{status: status, body: bytes.TrimSuffix(b.Bytes(), []byte("\n"))}
}

// fields is the part of a validation error that names the fields.
type fields map[string]fieldError

type fieldError struct {
	Message string `json:"message"`
	Value   string `json:"value,omitempty"`
}

type errorBody struct {
	Code    string `json:"code"`
	Name    string `json:"name,omitempty"`
	Status  int    `json:"status,omitempty"`
	Message string `json:"message"`
	Fields  fields `json:"fields,omitempty"`
}

func failure(status int, code, name, message string) answer {
	return reply(status, errorBody{Code: code, Name: name, Status: status, Message: message})
}

func invalid(message string, f fields) answer {
	const status = http.StatusUnprocessableEntity
	return reply(status, errorBody{
		Code: "VALIDATION_ERROR", Name: "Validation Error", Status: status, Message: message, Fields: f,
	})
}

func notFound(message string) answer {
	return failure(http.StatusNotFound, "NOT_FOUND_ERROR", "Not Found", message)
}

func unauthorized() answer {
	return reply(http.StatusUnauthorized, errorBody{
		Code: "UNAUTHORIZED_ERROR", Status: http.StatusUnauthorized, Message: "Invalid bearer auth token",
	})
}

func missingPhone(given string) answer {
	a := invalid("Missing Header: {x-phone}", fields{"x-phone": {
		Message: "Please provide the number of the phone you want to call with this API in the header. " +
			"The number must be in country code + number format without any characters or spaces, e.g. 919876543210; " +
			"Alternatively, provide the phone_id (phone-xxxxxxxxxxxx) in the header.",
		Value: given,
	}})
	return a
}

// missing is the validation error for absent keys: all of them are required,
// or one of them is.
func missing(all bool, keys ...string) answer {
	which := "At least one of"
	if all {
		which = "All of"
	}
	f := fields{}
	for _, k := range keys {
		f[k] = fieldError{Message: k + " is missing"}
	}
	return invalid("Invalid body. "+which+" the following keys are required: "+strings.Join(keys, ", "), f)
}

func tooMany(plain bool) answer {
	if plain {
		return answer{
			status: http.StatusTooManyRequests, mime: "text/html; charset=utf-8",
			body: []byte("Too many requests, please try again later."),
		}
	}
	return failure(http.StatusTooManyRequests, "RATE_LIMIT_ERROR", "Rate Limit Error", "Too many requests, please try again later.")
}

// internal is the answer when the simulator itself fails, e.g. a full disk.
func (c *call) internal(err error) answer {
	c.s.cfg.Logger.Error("sandbox could not do as asked", slog.Any("err", err))
	return failure(http.StatusInternalServerError, "SANDBOX_ERROR", "Sandbox Error", "the sandbox could not write its journal; see its log")
}

// etag is a weak validator of the form Express gives.
func etag(body []byte) string {
	h := fnv.New64a()
	_, _ = h.Write(body) // never fails
	return `W/"` + strconv.FormatInt(int64(len(body)), 16) + "-" + strconv.FormatUint(h.Sum64(), 36) + `"`
}
