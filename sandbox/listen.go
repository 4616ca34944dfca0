package sandbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"syscall"
	"time"
)

// listening is a running HTTP server and its sockets.
type listening struct {
	server *http.Server
	addr   net.Addr
	done   sync.WaitGroup
}

// Start listens on addr and serves in the background until Close. Empty means
// 127.0.0.1 and a free port. The host "localhost" listens on 127.0.0.1 and,
// where there is IPv6, on ::1, because clients differ in which they try first.
func (s *Server) Start(addr string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listening != nil {
		return errors.New("the sandbox is already listening")
	}
	sockets, err := listen(addr)
	if err != nil {
		return err
	}
	l := &listening{
		addr: sockets[0].Addr(),
		server: &http.Server{
			Handler: s.handler, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute,
			// A fault that cuts connections is not worth a line each.
			ErrorLog: slog.NewLogLogger(s.cfg.Logger.Handler(), slog.LevelDebug),
		},
	}
	for _, socket := range sockets {
		l.done.Go(func() {
			if err := l.server.Serve(socket); !errors.Is(err, http.ErrServerClosed) {
				s.cfg.Logger.Error("sandbox stopped serving", slog.Any("err", err))
			}
		})
	}
	s.listening = l
	return nil
}

// Addr is the host and port Start listens on, or "" before Start.
func (s *Server) Addr() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listening == nil {
		return ""
	}
	return s.listening.addr.String()
}

// BaseURL is what a client needs as its base URL, or "" before Start.
func (s *Server) BaseURL() string {
	if addr := s.Addr(); addr != "" {
		return "http://" + addr + "/v1"
	}
	return ""
}

func (s *Server) stop() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listening == nil {
		return nil
	}
	err := s.listening.server.Close()
	s.listening.done.Wait()
	s.listening = nil
	if err != nil {
		return fmt.Errorf("close sandbox: %w", err)
	}
	return nil
}

func listen(addr string) ([]net.Listener, error) {
	if addr == "" {
		addr = "127.0.0.1:0"
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("listen on %q: want host:port", addr)
	}
	if host != "localhost" {
		socket, err := listenOne(addr)
		return []net.Listener{socket}, err
	}
	v4, err := listenOne(net.JoinHostPort("127.0.0.1", port))
	if err != nil {
		return nil, err
	}
	_, port, _ = net.SplitHostPort(v4.Addr().String()) // port 0 is known now
	v6, err := listenOne(net.JoinHostPort("::1", port))
	switch {
	case err == nil:
		return []net.Listener{v4, v6}, nil
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, errors.Join(err, v4.Close())
	}
	return []net.Listener{v4}, nil // no IPv6 on this machine
}

func listenOne(addr string) (net.Listener, error) {
	var lc net.ListenConfig
	socket, err := lc.Listen(context.Background(), "tcp", addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("listen on %s: the port is taken by another program; stop it or choose another port: %w", addr, err)
	}
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", addr, err)
	}
	return socket, nil
}
