package sandbox

import (
	"sync"
	"time"
)

// limiter is a sliding log: a request is let through when the one PerWindow
// requests earlier is at least a window old.
type limiter struct {
	cfg RateLimit

	mu   sync.Mutex
	log  []int64 // ring of the last PerWindow times
	at   int     // the oldest
	used int     // filled entries
}

func newLimiter(cfg RateLimit) *limiter {
	return &limiter{cfg: cfg, log: make([]int64, cfg.PerWindow)}
}

// quota is what the X-RateLimit headers say.
type quota struct {
	limit, remaining int
	reset            time.Duration // until a place is free, or the window is over
}

// unlimited is what the headers say without a limit: enough for any client
// that obeys them.
const unlimited = 1_000_000

// take spends one request at now, if there is one left.
func (l *limiter) take(now int64) (quota, bool) {
	if l.cfg.PerWindow == 0 {
		return quota{limit: unlimited, remaining: unlimited - 1, reset: time.Second}, true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.used > 0 && now-l.log[l.at] >= int64(l.cfg.Window) {
		l.at = (l.at + 1) % len(l.log)
		l.used--
	}
	ok := l.used < len(l.log)
	if ok {
		l.log[(l.at+l.used)%len(l.log)] = now
		l.used++
	}
	return quota{
		limit: len(l.log), remaining: len(l.log) - l.used,
		reset: time.Duration(l.log[l.at] + int64(l.cfg.Window) - now),
	}, ok
}
