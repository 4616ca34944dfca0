package sandbox

import (
	"bytes"
	"cmp"
	"fmt"
	"net/http"
	"time"
)

// misbehave answers as the fault says. honest is what would have been said.
func (c *call) misbehave(f *Fault, honest answer) {
	c.s.stats.faulted.Add(1)
	switch f.Kind {
	case FaultStatus, FaultCommitLate:
		c.write(c.errorStatus(f))
	case FaultWrongBody:
		c.write(wrong(f))
	case FaultReset:
		c.abort()
	case FaultHang:
		c.s.pause(c.r, cmp.Or(f.Delay, c.s.cfg.Hang))
		c.write(gateway(http.StatusGatewayTimeout))
	case FaultMalformed:
		honest.status, honest.body = http.StatusOK, half(honest.body)
		c.write(honest)
	case FaultEmpty:
		c.write(answer{status: http.StatusOK})
	case FaultSlowBody:
		c.drip(honest, f.Delay)
	case FaultHugeBody:
		c.flood(f.Size)
	case FaultCutBody:
		c.cut(honest, f.Size)
	case FaultLatency, FaultNoQueueID, FaultRepeatQueueID, FaultStatusLate, FaultListLate, FaultListGone, FaultListShort, FaultRewrite:
		c.write(honest) // done elsewhere: they change what is said, not how
	}
}

func (c *call) errorStatus(f *Fault) answer {
	a := failure(f.Status, statusCode(f.Status), http.StatusText(f.Status), http.StatusText(f.Status))
	switch {
	case f.HTML:
		a = gateway(f.Status)
	case f.Status == http.StatusUnauthorized:
		a = unauthorized()
	case f.Status == http.StatusTooManyRequests:
		a = tooMany(false)
		c.quota.remaining = 0
	}
	a.header = map[string]string{}
	if f.RetryAfter != "" {
		a.header["Retry-After"] = f.RetryAfter
	}
	switch in := cmp.Or(f.Delay, 10*time.Second); f.RateLimitReset {
	case "":
	case "epoch":
		a.header["X-Ratelimit-Reset"] = c.reset(in, false)
	case "delta":
		a.header["X-Ratelimit-Reset"] = c.reset(in, true)
	default:
		a.header["X-Ratelimit-Reset"] = f.RateLimitReset
	}
	return a
}

// drip sends the body a byte at a time.
func (c *call) drip(a answer, every time.Duration) {
	if a.status == 0 {
		return
	}
	c.writeHeader(a, len(a.body))
	out := http.NewResponseController(c.w)
	for i := range a.body {
		c.s.pause(c.r, every)
		if _, err := c.w.Write(a.body[i : i+1]); err != nil || c.r.Context().Err() != nil || out.Flush() != nil {
			return
		}
	}
}

// flood sends a well-formed document of the given size.
func (c *call) flood(size int64) {
	const head, tail = `{"status":"queued","padding":"`, `"}`
	padding := max(0, size-int64(len(head)+len(tail)))
	c.writeHeader(answer{status: http.StatusOK}, int(padding)+len(head)+len(tail))
	if _, err := c.w.Write([]byte(head)); err != nil {
		return
	}
	block := bytes.Repeat([]byte{'x'}, 1<<16)
	for padding > 0 && c.s.life.Err() == nil {
		n, err := c.w.Write(block[:min(padding, int64(len(block)))])
		if err != nil {
			return
		}
		padding -= int64(n)
	}
	_, _ = c.w.Write([]byte(tail))
}

// cut promises the whole body, sends a part, and resets the connection.
func (c *call) cut(a answer, size int64) {
	if a.status == 0 {
		return
	}
	c.writeHeader(a, max(1, len(a.body)))
	size = min(size, int64(len(a.body)-1))
	if size > 0 {
		_, _ = c.w.Write(a.body[:size])
	}
	_ = http.NewResponseController(c.w).Flush()
	c.abort()
}

// gateway is the page of a proxy in front of the API.
func gateway(status int) answer {
	text := http.StatusText(status)
	return answer{
		status: status, mime: "text/html",
		body: fmt.Appendf(nil, "<html>\r\n<head><title>%d %s</title></head>\r\n<body>\r\n<center><h1>%d %s</h1></center>\r\n"+
			"<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n", status, text, status, text),
	}
}

// wrong is a 200 that is not about what was asked.
func wrong(f *Fault) answer {
	if f.HTML {
		a := gateway(http.StatusOK)
		a.body = []byte("<!doctype html><title>Sign in</title><p>Please sign in to the network.</p>")
		return a
	}
	return reply(http.StatusOK, map[string]any{"ok": true, "version": "1.0.3"})
}

func half(body []byte) []byte {
	if len(body) < 2 {
		return []byte("{")
	}
	return body[:len(body)/2]
}

// statusCode is an error code in the manner of the documented ones.
func statusCode(status int) string {
	switch status {
	case http.StatusForbidden:
		return "FORBIDDEN_ERROR"
	case http.StatusUnprocessableEntity:
		return "VALIDATION_ERROR"
	case http.StatusNotFound:
		return "NOT_FOUND_ERROR"
	case http.StatusServiceUnavailable:
		return "SERVICE_UNAVAILABLE_ERROR"
	}
	if status < 500 {
		return "BAD_REQUEST_ERROR"
	}
	return "INTERNAL_SERVER_ERROR"
}
