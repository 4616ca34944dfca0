package web

import (
	"context"
	"net/http"
	"sync"
	"time"
)

// probes answer what a supervisor asks.
type probes struct {
	checks map[string]func(context.Context) error
	terse  bool // other machines can ask: say what is wrong, not why

	mu      sync.Mutex
	closing bool
	asked   time.Time // when last was found
	last    readiness
}

// readiness is the body of /readyz.
type readiness struct {
	Ready  bool              `json:"ready"`
	Checks map[string]string `json:"checks"` // "ok", or what is wrong
}

const (
	checkTimeout = 2 * time.Second
	// checkEvery keeps a caller in a hurry from making work.
	checkEvery = 500 * time.Millisecond
)

// live answers as long as the process does.
func (*probes) live(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, "application/json", map[string]bool{"live": true})
}

// ready answers 200 when every check passes, else 503.
func (p *probes) ready(w http.ResponseWriter, r *http.Request) {
	now := p.look(r.Context())
	status := http.StatusOK
	if !now.Ready {
		status = http.StatusServiceUnavailable
	}
	writeJSON(w, status, "application/json", now)
}

// look makes the checks, one caller at a time; the others get what it found.
func (p *probes) look(ctx context.Context) readiness {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closing {
		return readiness{Checks: map[string]string{"server": "closing"}}
	}
	if time.Since(p.asked) < checkEvery {
		return p.last
	}
	// A caller that goes away must not make the others see a failure.
	ctx = context.WithoutCancel(ctx)
	found := readiness{Ready: true, Checks: make(map[string]string, len(p.checks))}
	for name, check := range p.checks {
		found.Checks[name] = "ok"
		if err := attempt(ctx, check); err != nil {
			found.Ready = false
			found.Checks[name] = err.Error()
			if p.terse {
				found.Checks[name] = "failed"
			}
		}
	}
	p.last, p.asked = found, time.Now()
	return found
}

func attempt(ctx context.Context, check func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	return check(ctx)
}

// close makes a supervisor send nobody here any more.
func (p *probes) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closing = true
}
