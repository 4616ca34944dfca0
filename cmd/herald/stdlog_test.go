package main

import (
	"bufio"
	"bytes"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
)

// TestUnaskedWordsOfAServerAreNotLogged lets a server send more than it was
// asked for, which net/http quotes in the standard log.
//
//nolint:paralleltest // it changes the standard log and the arguments of the process
func TestUnaskedWordsOfAServerAreNotLogged(t *testing.T) {
	before, args := log.Writer(), os.Args
	t.Cleanup(func() {
		log.SetOutput(before)
		os.Args = args
	})
	said := &lockedBuffer{}
	log.SetOutput(said)
	askTalkativeServer(t)
	if !strings.Contains(said.String(), "marzipan") {
		t.Fatalf("net/http no longer quotes unasked words: %q", said.String())
	}

	os.Args = []string{"herald", "version"}
	if code := realMain(); code != 0 {
		t.Fatalf("herald version = %d", code)
	}
	if log.Writer() != io.Discard {
		t.Error("after the start of herald the standard log still goes somewhere")
	}
}

// askTalkativeServer makes one request, whose answer is followed by more, and
// returns when the client has hung up on that.
func askTalkativeServer(t *testing.T) {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	answered, hungUp := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(hungUp)
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer func() { _ = conn.Close() }()
		if _, err := http.ReadRequest(bufio.NewReader(conn)); err != nil {
			return
		}
		_, _ = io.WriteString(conn, "HTTP/1.1 204 No Content\r\n\r\n")
		<-answered
		_, _ = io.WriteString(conn, "the secret word is marzipan\r\n")
		_, _ = io.Copy(io.Discard, conn)
	}()
	transport := &http.Transport{}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+listener.Addr().String(), nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := transport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	if err := response.Body.Close(); err != nil {
		t.Fatal(err)
	}
	close(answered)
	<-hungUp
	_ = listener.Close()
	transport.CloseIdleConnections()
}

type lockedBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}
