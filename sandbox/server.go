package sandbox

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// Server is one simulated provider. It is safe for concurrent use.
type Server struct {
	cfg     Config
	engine  *engine
	faults  *faults
	limiter *limiter
	handler http.Handler
	org     string
	tokens  atomic.Pointer[map[string]bool]
	stats   stats
	// same keeps web pages from elsewhere, open in somebody's browser, out of
	// the control API, which asks nobody who they are.
	same *http.CrossOriginProtection

	courier    *courier
	announcer  *announcer
	ownClock   bool           // the clock is the caller's
	watching   bool           // guarded by the engine's lock
	background sync.WaitGroup // the watch

	life context.Context //nolint:containedctx // ends hanging requests on Close, has no other use
	end  context.CancelFunc

	mu        sync.Mutex // guards listening
	listening *listening
}

// stats counts requests to the API. They are for people, not for tests.
type stats struct{ requests, limited, faulted, refused atomic.Uint64 }

// New makes a server and replays its journal, if it has one. It listens
// nowhere yet: mount Handler, or call Start.
func New(cfg Config) (*Server, error) {
	ownClock := cfg.Clock != nil
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	s := &Server{
		cfg: cfg, faults: newFaults(cfg.Seed, cfg.Faults), limiter: newLimiter(cfg.RateLimit),
		org: newUUID(newDraws(0, "org", "", "", 0)), ownClock: ownClock,
		same: http.NewCrossOriginProtection(),
	}
	if err := s.SetTokens(cfg.Tokens...); err != nil {
		return nil, err
	}
	var err error
	if s.engine, err = newEngine(&s.cfg); err != nil {
		return nil, err
	}
	s.life, s.end = context.WithCancel(context.Background())
	s.courier = newCourier(s.life, &s.cfg, s.org)
	s.announcer = &announcer{e: s.engine, courier: s.courier, org: s.org, wake: make(chan struct{}, 1)}
	s.courier.render = s.announcer.render
	s.announce()
	s.handler = s.routes()
	return s, nil
}

// announce begins to deliver webhooks, those of the journal first.
func (s *Server) announce() {
	e := s.engine
	e.mu.Lock()
	defer e.mu.Unlock()
	e.onHooks = s.hooksChanged
	if len(e.hooks) > 0 {
		s.hooksChanged()
	}
}

// Handler serves the API under /v1 and, if configured, the control API under
// /_sim.
func (s *Server) Handler() http.Handler { return s.handler }

// Seed is the seed in use, drawn if Config had none.
func (s *Server) Seed() uint64 { return s.cfg.Seed }

// Now is the simulated time.
func (s *Server) Now() time.Time { return s.engine.time() }

// Close ends what Start began, all hanging requests and webhook deliveries,
// and closes the journal. It may be called more than once.
func (s *Server) Close() error {
	s.end()
	err := s.stop()
	s.background.Wait()
	s.courier.wait()
	s.engine.mu.Lock()
	defer s.engine.mu.Unlock()
	if s.engine.journal != nil {
		if cerr := s.engine.journal.close(); cerr != nil && err == nil {
			err = fmt.Errorf("close sandbox journal: %w", cerr)
		}
		s.engine.journal = nil
	}
	return err
}

// Advance moves the simulated clock forward.
func (s *Server) Advance(by time.Duration) error {
	if by < 0 {
		return fmt.Errorf("advance the clock by %s: time only moves forward", by)
	}
	_, err := s.advance(by)
	return err
}

// advance moves the clock and lets the watch look anew: what it waits for is
// nearer now.
func (s *Server) advance(by time.Duration) (time.Time, error) {
	now, err := s.engine.advance(by)
	s.announcer.poke()
	return now, err
}

// Disconnect cuts a phone's connection to WhatsApp: what is not yet sent waits.
func (s *Server) Disconnect(phone string) error { return s.connection(phone, disconnected) }

// Connect restores a phone's connection: what waited is sent in order.
func (s *Server) Connect(phone string) error { return s.connection(phone, connected) }

func (s *Server) connection(phone string, to connection) error {
	l, ok := s.engine.find(phone)
	if !ok {
		return fmt.Errorf("the sandbox has no such phone (%d digits)", len(phone))
	}
	done, err := s.engine.setPhone(l, to)
	if err == nil && !done {
		err = fmt.Errorf("phone %s is banned and cannot be connected", l.phone.ID)
	}
	return err
}

// SetTokens replaces the accepted bearer tokens: all others are revoked, and
// get 401 from their next request on. None accepts any that is not empty. An
// empty token is an error, and changes nothing.
func (s *Server) SetTokens(tokens ...string) error {
	accepted := make(map[string]bool, len(tokens))
	for i, t := range tokens {
		if t == "" {
			return fmt.Errorf("token %d is empty", i)
		}
		accepted[t] = true
	}
	s.tokens.Store(&accepted)
	return nil
}

// AddFault arms a fault.
func (s *Server) AddFault(f Fault) error {
	f = f.withDefaults()
	if err := f.validate(); err != nil {
		return fmt.Errorf("fault: %w", err)
	}
	s.faults.add(f)
	return nil
}

// ClearFaults disarms all faults.
func (s *Server) ClearFaults() { s.faults.clear() }

// Reset forgets all messages, webhooks, deliveries, phone states and added
// faults. Ids are
// not given out again.
func (s *Server) Reset() error {
	s.faults.reset()
	if err := s.engine.reset(); err != nil {
		return err
	}
	s.courier.reset()
	return nil
}

// trace makes the id of a request's answer.
func (s *Server) trace() string {
	n := s.stats.requests.Add(1)
	return newUUID(draws{state: mix(s.cfg.Seed ^ n*0x9e3779b97f4a7c15)})
}

// pause waits for d, or less if the caller or the server goes away.
func (s *Server) pause(r *http.Request, d time.Duration) {
	if d <= 0 {
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-r.Context().Done():
	case <-s.life.Done():
	}
}

func itoa(n int) string { return strconv.Itoa(n) }
