package natsd

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

func start(t *testing.T, cfg Config) *Server {
	t.Helper()
	if cfg.StoreDir == "" {
		cfg.StoreDir = filepath.Join(t.TempDir(), "nats")
	}
	s, err := Start(t.Context(), cfg)
	if err != nil {
		t.Fatalf("start: %v", err)
	}
	t.Cleanup(s.Close)
	return s
}

// ping speaks the protocol's first words, which need no client library.
func ping(t *testing.T, conn net.Conn) string {
	t.Helper()
	r := bufio.NewReader(conn)
	info, err := r.ReadString('\n')
	if err != nil {
		t.Fatalf("read INFO: %v", err)
	}
	if _, err := conn.Write([]byte("CONNECT {\"verbose\":false}\r\nPING\r\n")); err != nil {
		t.Fatalf("write PING: %v", err)
	}
	pong, err := r.ReadString('\n')
	if err != nil || strings.TrimSpace(pong) != "PONG" {
		t.Fatalf("answer to PING is %q, %v", pong, err)
	}
	return info
}

func TestServesInProcessOnly(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "nats")
	s := start(t, Config{StoreDir: dir})

	conn, err := s.InProcessConn()
	if err != nil {
		t.Fatalf("connect: %v", err)
	}
	defer func() { _ = conn.Close() }()
	if info := ping(t, conn); !strings.Contains(info, `"jetstream":true`) {
		t.Errorf("INFO does not announce JetStream: %s", info)
	}

	for name, addr := range map[string]net.Addr{
		"client":  s.inner.Addr(),
		"cluster": addrOrNil(s.inner.ClusterAddr()),
		"monitor": addrOrNil(s.inner.MonitorAddr()),
	} {
		if addr != nil {
			t.Errorf("the server listens for %s connections on %s", name, addr)
		}
	}
	if st, err := os.Stat(dir); err != nil || st.Mode().Perm() != 0o700 {
		t.Errorf("store directory: %v, %v, want mode 0700", st, err)
	}
}

func addrOrNil(a *net.TCPAddr) net.Addr {
	if a == nil {
		return nil
	}
	return a
}

func TestRestartKeepsTheServerReachable(t *testing.T) {
	t.Parallel()
	s := start(t, Config{File: true})
	before := s.inner.ID()
	if err := s.Restart(t.Context()); err != nil {
		t.Fatalf("restart: %v", err)
	}
	if s.inner.ID() == before {
		t.Error("the server was not replaced")
	}
	conn, err := s.InProcessConn()
	if err != nil {
		t.Fatalf("connect after restart: %v", err)
	}
	defer func() { _ = conn.Close() }()
	ping(t, conn)
}

func TestRestartEmptyForgetsTheFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := start(t, Config{StoreDir: dir, File: true})
	left := filepath.Join(dir, "damaged")
	if err := os.WriteFile(left, []byte("?"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.Stop()
	if _, err := s.InProcessConn(); !errors.Is(err, ErrClosed) {
		t.Errorf("InProcessConn while stopped: %v, want ErrClosed", err)
	}
	if err := s.RestartEmpty(t.Context()); err != nil {
		t.Fatalf("restart: %v", err)
	}
	if _, err := os.Stat(left); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("an old file is there: %v", err)
	}
	conn, err := s.InProcessConn()
	if err != nil {
		t.Fatalf("connect after restart: %v", err)
	}
	defer func() { _ = conn.Close() }()
	ping(t, conn)
}

func TestCloseIsFinalAndRepeatable(t *testing.T) {
	t.Parallel()
	s := start(t, Config{})
	s.Close()
	s.Close()
	if _, err := s.InProcessConn(); !errors.Is(err, ErrClosed) {
		t.Errorf("InProcessConn after Close: %v, want ErrClosed", err)
	}
	if err := s.Restart(t.Context()); !errors.Is(err, ErrClosed) {
		t.Errorf("Restart after Close: %v, want ErrClosed", err)
	}
}

func TestStartRefuses(t *testing.T) {
	t.Parallel()
	canceled, cancel := context.WithCancelCause(t.Context())
	stop := errors.New("stopped by the test")
	cancel(stop)

	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		ctx  context.Context //nolint:containedctx // a table of calls
		cfg  Config
		want string
	}{
		"no directory":      {t.Context(), Config{}, "StoreDir"},
		"negative memory":   {t.Context(), Config{StoreDir: t.TempDir(), MaxMemory: -1}, "MaxMemory"},
		"negative store":    {t.Context(), Config{StoreDir: t.TempDir(), MaxStore: -1}, "MaxStore"},
		"directory is file": {t.Context(), Config{StoreDir: file}, "store directory"},
		"canceled":          {canceled, Config{StoreDir: t.TempDir()}, stop.Error()},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := Start(tc.ctx, tc.cfg)
			if err == nil {
				s.Close()
				t.Fatal("started")
			}
			if !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %q does not say %q", err, tc.want)
			}
		})
	}
}

func TestLogGoesThroughSlog(t *testing.T) {
	t.Parallel()
	var buf syncBuffer
	log := slog.New(slog.NewTextHandler(&buf, &slog.HandlerOptions{Level: slog.LevelDebug}))
	s := start(t, Config{Logger: log})
	s.Close()
	out := buf.String()
	if !strings.Contains(out, serverSays) || !strings.Contains(out, "Server is ready") {
		t.Errorf("the start is not in the log:\n%s", out)
	}
	if strings.Contains(out, "level=ERROR") {
		t.Errorf("a plain start and stop logs errors:\n%s", out)
	}
}

type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
