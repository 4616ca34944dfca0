package natsd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// readyTimeout bounds the wait for a starting server. It is ready within
// 30 ms, unless it has to recover large files first, or the machine is busy.
const readyTimeout = time.Minute

// ErrClosed is returned by a server that was closed.
var ErrClosed = errors.New("embedded nats-server is closed")

// ErrNotReady is returned when the server does not come up in time.
var ErrNotReady = errors.New("embedded nats-server did not become ready")

// Config says where the server keeps its files and how much it may use.
type Config struct {
	// StoreDir is the directory of JetStream's files; required, made when
	// missing. One server per directory: two of them start without an error
	// and lose messages.
	StoreDir string

	// MaxMemory bounds all memory streams together, in bytes. 0 means 1 GiB.
	MaxMemory int64

	// File allows streams in files. The default is memory only, because the
	// contents can be rebuilt.
	File bool

	// MaxStore bounds all file streams together, in bytes; without File it is
	// ignored. 0 means 4 GiB.
	MaxStore int64

	// Logger takes the server's own log. nil discards it.
	Logger *slog.Logger
}

func (c Config) withDefaults() Config {
	if c.MaxMemory == 0 {
		c.MaxMemory = 1 << 30
	}
	if c.MaxStore == 0 {
		c.MaxStore = 4 << 30
	}
	if !c.File {
		// 0 would mean three quarters of the disk; a memory-only server keeps
		// no more than its own identity there.
		c.MaxStore = 1 << 20
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

func (c Config) validate() error {
	switch {
	case c.StoreDir == "":
		return errors.New("natsd: StoreDir is empty")
	case c.MaxMemory < 0:
		return fmt.Errorf("natsd: MaxMemory is %d, want ≥ 0", c.MaxMemory)
	case c.MaxStore < 0:
		return fmt.Errorf("natsd: MaxStore is %d, want ≥ 0", c.MaxStore)
	}
	return nil
}

// Server is one embedded nats-server. Its methods may be called from any
// goroutine.
type Server struct {
	cfg Config

	mu     sync.Mutex
	inner  *server.Server // nil while stopped
	closed bool
}

// Start runs a server and returns when it takes connections. An error leaves
// nothing behind. The context bounds the start only.
func Start(ctx context.Context, cfg Config) (*Server, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	s := &Server{cfg: cfg.withDefaults()}
	inner, err := s.launch(ctx)
	if err != nil {
		return nil, err
	}
	s.inner = inner
	return s, nil
}

// InProcessConn is a new connection to the server, through memory. It has the
// form that clients of NATS expect of an in-process server, and fails with
// ErrClosed while there is none; clients then try again.
func (s *Server) InProcessConn() (net.Conn, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.inner == nil {
		return nil, ErrClosed
	}
	conn, err := s.inner.InProcessConn()
	if err != nil {
		return nil, fmt.Errorf("connect to embedded nats-server: %w", err)
	}
	return conn, nil
}

// Restart replaces the running server by a new one on the same directory.
// That is the only cure for a file store that met a full disk: it goes on
// hanging after space is free again. Memory streams are gone afterwards.
// Clients see a lost connection and reconnect. When the new server does not
// come up, Restart may be called again.
func (s *Server) Restart(ctx context.Context) error {
	return s.restart(ctx, func() error { return nil })
}

// RestartEmpty is Restart with an empty directory. A server can hang for ever
// over damaged files (docs/adr/0011).
func (s *Server) RestartEmpty(ctx context.Context) error {
	return s.restart(ctx, func() error {
		if err := os.RemoveAll(s.cfg.StoreDir); err != nil {
			return fmt.Errorf("empty nats store directory: %w", err)
		}
		return nil
	})
}

// Stop halts the server until it is restarted: clients lose their connection
// and go on trying.
func (s *Server) Stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stop()
}

// restart runs between while there is no server.
func (s *Server) restart(ctx context.Context, between func() error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrClosed
	}
	s.stop()
	if err := between(); err != nil {
		return err
	}
	inner, err := s.launch(ctx)
	if err != nil {
		return err
	}
	s.inner = inner
	return nil
}

// Close shuts the server down and returns when it is down. Clients should
// have drained before. Closing twice is harmless.
func (s *Server) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.stop()
}

// stop must be called with the lock held.
func (s *Server) stop() {
	if s.inner == nil {
		return
	}
	s.inner.Shutdown()
	s.inner.WaitForShutdown()
	s.inner = nil
}

func (s *Server) launch(ctx context.Context) (*server.Server, error) {
	// The server would make it readable to the group.
	if err := os.MkdirAll(s.cfg.StoreDir, 0o700); err != nil {
		return nil, fmt.Errorf("make nats store directory: %w", err)
	}
	inner, err := server.NewServer(&server.Options{
		ServerName:             "herald",
		DontListen:             true,
		NoSigs:                 true, // or it eats Ctrl-C
		JetStream:              true,
		StoreDir:               s.cfg.StoreDir,
		JetStreamMaxMemory:     s.cfg.MaxMemory,
		JetStreamMaxStore:      s.cfg.MaxStore,
		DisableJetStreamBanner: true,
	})
	if err != nil {
		return nil, fmt.Errorf("set up embedded nats-server: %w", err)
	}
	inner.SetLoggerV2(bridge{log: s.cfg.Logger}, false, false, false)
	inner.Start()

	wait := readyTimeout
	if deadline, ok := ctx.Deadline(); ok {
		wait = min(wait, time.Until(deadline))
	}
	if ctx.Err() == nil && inner.ReadyForConnections(wait) && inner.JetStreamEnabled() {
		return inner, nil
	}
	inner.Shutdown()
	inner.WaitForShutdown()
	if ctx.Err() != nil {
		return nil, fmt.Errorf("start embedded nats-server: %w", context.Cause(ctx))
	}
	return nil, fmt.Errorf("%w (store directory %s)", ErrNotReady, s.cfg.StoreDir)
}
