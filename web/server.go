package web

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/go-chi/chi/v5"
	"golang.org/x/net/netutil"

	"github.com/herald-campaigns/herald/campaign"
)

// Server is the HTTP side of one process. Its methods may be called from any
// goroutine; Start is called once, Close after it.
type Server struct {
	cfg      Config
	log      *slog.Logger
	figures  *figures
	intake   *intake
	probes   *probes
	http     *http.Server
	listener net.Listener
	served   chan struct{} // closed when the listener is done with
}

// New makes a server that does not listen yet.
func New(cfg Config) *Server {
	cfg.Limits = cfg.Limits.orDefaults()
	if cfg.SignatureHeader == "" {
		cfg.SignatureHeader = "X-Periskope-Signature"
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return &Server{
		cfg: cfg, log: cfg.Logger, figures: newFigures(),
		probes: &probes{checks: cfg.Checks}, served: make(chan struct{}),
	}
}

// Start listens at the address, host:port, and serves from then on. Port 0 takes
// any free one (Addr).
//
// An address that other machines can reach is refused without a signing key,
// and when there is a local control API: that asks nobody who they are.
func (s *Server) Start(address string) error {
	at, open, err := resolve(address)
	if err != nil {
		return err
	}
	switch {
	case open && s.cfg.Local != nil:
		return &campaign.Error{
			Code: campaign.CodeInvalid, What: fmt.Sprintf("listen at %s: other machines can reach it, and the control API is for this one only", address),
			Hint: "listen at 127.0.0.1, and let a proxy or a tunnel pass on " + WebhookPath,
		}
	case open && s.cfg.Verify == nil:
		return &campaign.Error{
			Code: campaign.CodeInvalid, What: fmt.Sprintf("listen at %s: other machines can reach it, and there is no signing key to tell who sends", address),
			Hint: "set HERALD_PERISKOPE_WEBHOOK_KEY, or listen at 127.0.0.1",
		}
	}
	listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp", at.String())
	if err != nil {
		return &campaign.Error{
			Code: campaign.CodeUnavailable, What: "listen at " + address, Hint: "another process may have the port; port 0 takes any free one", Err: err,
		}
	}
	s.listener = listener
	s.probes.terse = open
	s.intake = newIntake(s.cfg, s.figures, s.log)
	s.http = &http.Server{
		Handler:           s.routes(),
		ReadHeaderTimeout: s.cfg.Limits.Header,
		ReadTimeout:       s.cfg.Limits.Body,
		WriteTimeout:      s.cfg.Limits.Body + s.cfg.Limits.Commit + 10*time.Second,
		IdleTimeout:       90 * time.Second,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	go s.serve(netutil.LimitListener(listener, s.cfg.Limits.Connections))
	return nil
}

// Outside says whether other machines can reach a listener at the address,
// host:port. A campaign.CodeInvalid error says that it is no address.
func Outside(address string) (bool, error) {
	_, open, err := resolve(address)
	return open, err
}

func resolve(address string) (at *net.TCPAddr, open bool, err error) {
	at, err = net.ResolveTCPAddr("tcp", address)
	if err != nil {
		return nil, false, &campaign.Error{Code: campaign.CodeInvalid, What: fmt.Sprintf("listen at %q", address), Hint: "host:port, e.g. 127.0.0.1:8484", Err: err}
	}
	return at, !at.IP.IsLoopback(), nil
}

func (s *Server) serve(listener net.Listener) {
	defer close(s.served)
	if err := s.http.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		s.log.Error("no longer listening", slog.Any("err", err))
	}
}

// routes says what is answered where.
func (s *Server) routes() http.Handler {
	r := chi.NewRouter()
	r.NotFound(func(w http.ResponseWriter, _ *http.Request) {
		problem(w, http.StatusNotFound, "not_found", "there is nothing here")
	})
	r.MethodNotAllowed(func(w http.ResponseWriter, _ *http.Request) {
		problem(w, http.StatusMethodNotAllowed, "method_not_allowed", "not with this method")
	})
	r.Post(WebhookPath, s.receive)
	for _, path := range []string{"/livez", "/healthz"} {
		r.Get(path, s.probes.live)
	}
	r.Get("/readyz", s.probes.ready)
	if s.cfg.Local != nil {
		r.Handle(LocalPath+"*", localOnly(s.cfg.Local))
	}
	return r
}

// Addr is where the server listens, host:port; "" before Start.
func (s *Server) Addr() string {
	if s.listener == nil {
		return ""
	}
	return s.listener.Addr().String()
}

// Stats are the figures so far.
func (s *Server) Stats() Stats { return s.figures.stats() }

// Close takes nothing new, answers what is under way and returns when all that
// waited is committed. When the context ends first, connections are cut, and
// what is not committed was not answered 200 either.
func (s *Server) Close(ctx context.Context) error {
	if s.http == nil {
		return nil
	}
	s.probes.close()
	err := s.http.Shutdown(ctx)
	if err != nil {
		err = errors.Join(fmt.Errorf("end the requests under way: %w", err), s.http.Close())
	}
	<-s.served
	return errors.Join(err, s.intake.close(ctx))
}
