package periskope

import (
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// MaxWait bounds every wait the provider asks for: what lies further away is
// rather a fault than a wish, and asking again after it costs one request.
const MaxWait = 15 * time.Minute

// Meta is what the headers of an answer said. It is had with every answer,
// good or bad.
type Meta struct {
	HTTPStatus int
	TraceID    string        // x-periskope-trace-id, for the provider's support
	RateLimit  *RateLimit    // nil without X-RateLimit-Remaining
	RetryAfter time.Duration // Retry-After, 0 without one, at most MaxWait
	Date       time.Time     // the provider's clock; zero when not told
}

// RateLimit is what the X-RateLimit-* headers said.
type RateLimit struct {
	Limit     int64     // requests per window; 0 when not told
	Remaining int64     // requests left in it
	Reset     time.Time // when the next one begins, on our clock; zero when not told, at most MaxWait away
}

func parseMeta(status int, h http.Header, now time.Time) Meta {
	m := Meta{HTTPStatus: status, TraceID: parseTraceID(h.Get("X-Periskope-Trace-Id"))}
	if t, err := http.ParseTime(h.Get("Date")); err == nil {
		m.Date = t
	}
	m.RetryAfter = ParseRetryAfter(h.Get("Retry-After"), m.clock(now))
	remaining, ok := parseNumber(h.Get("X-Ratelimit-Remaining"))
	if !ok {
		return m
	}
	limit, _ := parseNumber(h.Get("X-Ratelimit-Limit"))
	m.RateLimit = &RateLimit{Limit: max(0, int64(limit)), Remaining: max(0, int64(remaining))}
	if wait, ok := ParseReset(h.Get("X-Ratelimit-Reset"), m.clock(now)); ok {
		m.RateLimit.Reset = now.Add(wait)
	}
	return m
}

// clock is the time that the times in the headers are to be compared with: the
// provider's own where it tells it, so that a wrong clock on either side does
// not lengthen a wait.
func (m Meta) clock(now time.Time) time.Time {
	if m.Date.IsZero() {
		return now
	}
	return m.Date
}

// ParseRetryAfter is the wait a Retry-After header asks for (RFC 9110 §10.2.3:
// seconds or an HTTP date), 0 … MaxWait. What is negative, past or unreadable
// asks for none.
func ParseRetryAfter(value string, now time.Time) time.Duration {
	if value = strings.TrimSpace(value); value == "" {
		return 0
	}
	if seconds, ok := parseNumber(value); ok {
		return clampWait(seconds)
	}
	t, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	return clampWait(t.Sub(now).Seconds())
}

// ParseReset is the wait until the time an X-RateLimit-Reset header names,
// 0 … MaxWait: above 1e12 it is epoch milliseconds, above 1e9 epoch seconds,
// else seconds from now.
func ParseReset(value string, now time.Time) (wait time.Duration, ok bool) {
	n, ok := parseNumber(value)
	switch {
	case !ok:
		return 0, false
	case n > 1e12:
		n = (n - float64(now.UnixMilli())) / 1e3
	case n > 1e9:
		n -= float64(now.UnixMilli()) / 1e3
	}
	return clampWait(n), true
}

func clampWait(seconds float64) time.Duration {
	if !(seconds > 0) {
		return 0
	}
	if seconds >= MaxWait.Seconds() {
		return MaxWait
	}
	return time.Duration(math.Ceil(seconds*1e3)) * time.Millisecond
}

// parseNumber reads a finite decimal number whose whole part fits an int64
// with room to spare.
func parseNumber(s string) (float64, bool) {
	s = strings.TrimSpace(s)
	if s == "" || len(s) > 32 || strings.Trim(s, "0123456789.-") != "" {
		return 0, false
	}
	n, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return 0, false
	}
	return min(max(n, -1e18), 1e18), true
}

// parseTraceID keeps what may stand in a log line.
func parseTraceID(s string) string {
	s = cut(s, 128)
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f {
			return ""
		}
	}
	return s
}
