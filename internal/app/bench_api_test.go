//go:build unix

package app_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// The benchmarks send to a lean HTTP server in a process of its own, so that
// neither its CPU time nor its garbage counts as Herald's. It takes every
// message after a latency and notes when each arrived.

const (
	envAPI = "HERALD_BENCH_API" // set in the child: "<min latency> <max latency>"

	// apiMessages is how many arrivals it can note.
	apiMessages = 4_000_000
)

// TestBenchAPI is the child process of the benchmarks, not a test.
func TestBenchAPI(t *testing.T) { //nolint:paralleltest // the whole process is the server
	setting := os.Getenv(envAPI)
	if setting == "" {
		t.Skip("runs only as the benchmarks' API")
	}
	var s leanServer
	least, most, _ := strings.Cut(setting, " ")
	s.least, _ = time.ParseDuration(least)
	s.most, _ = time.ParseDuration(most)
	s.arrivals = make([]int64, apiMessages)
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(os.Stdout, "\nhttp://%s\n", listener.Addr())
	go func() {
		// The parent holds the other end of standard input as long as it lives.
		_, _ = io.Copy(io.Discard, os.Stdin)
		listener.Close()
	}()
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		go s.serve(conn)
	}
}

// leanServer speaks as much HTTP/1.1 as a keep-alive client needs.
type leanServer struct {
	least, most time.Duration
	arrivals    []int64 // ns of Unix time
	count       atomic.Int64
}

func (s *leanServer) serve(conn net.Conn) {
	defer conn.Close()
	in, out := bufio.NewReaderSize(conn, 8<<10), bufio.NewWriterSize(conn, 4<<10)
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		length, err := contentLength(in)
		if err != nil {
			return
		}
		if _, err := in.Discard(length); err != nil {
			return
		}
		s.answer(out, line)
		if out.Flush() != nil {
			return
		}
	}
}

// contentLength reads the header to its end.
func contentLength(in *bufio.Reader) (int, error) {
	const name = "Content-Length: "
	length := 0
	for {
		line, err := in.ReadSlice('\n')
		if err != nil || len(line) <= 2 {
			return length, err
		}
		if bytes.HasPrefix(line, []byte(name)) {
			if length, err = strconv.Atoi(strings.TrimSpace(string(line[len(name):]))); err != nil {
				return 0, err
			}
		}
	}
}

func (s *leanServer) answer(out *bufio.Writer, request string) {
	reply := func(status, body string) {
		fmt.Fprintf(out, "HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", status, len(body), body)
	}
	switch {
	case strings.HasPrefix(request, "POST /message/send "):
		now := time.Now().UnixNano()
		n := s.count.Add(1)
		s.arrivals[n-1] = now
		if s.most > 0 {
			time.Sleep(s.least + rand.N(s.most-s.least+1)) //nolint:forbidigo // the latency is the point
		}
		reply("200 OK", `{"status":"queued","queue_id":"`+queueID()+`","unique_id":"u-1","queue_position":3}`)
	case strings.HasPrefix(request, "GET /phones "):
		reply("200 OK", `[{"org_phone":"`+benchSender+`@c.us","phone_id":"phone-1","wa_state":"CONNECTED","is_ready":true}]`)
	case strings.HasPrefix(request, "GET /bench/count "):
		reply("200 OK", strconv.FormatInt(s.count.Load(), 10))
	case strings.HasPrefix(request, "GET /bench/arrivals "):
		var b strings.Builder
		for _, at := range s.arrivals[:s.count.Load()] {
			b.WriteString(strconv.FormatInt(at, 10))
			b.WriteByte('\n')
		}
		reply("200 OK", b.String())
	case strings.HasPrefix(request, "GET /bench/reset "):
		s.count.Store(0)
		reply("200 OK", "")
	default: // statuses
		reply("404 Not Found", `{"code":"NOT_FOUND","message":"no such message"}`)
	}
}

// queueID is random like the provider's, which is the worst order for the
// ledger's index.
func queueID() string {
	a, b := rand.Uint64(), rand.Uint64()
	return fmt.Sprintf("%08x-%04x-%04x-%04x-%012x", uint32(a), uint16(a>>32), uint16(a>>48), uint16(b), b>>16)
}

// api is the parent's end of the server.
type api struct{ url string }

func startAPI(tb testing.TB, least, most time.Duration) *api {
	tb.Helper()
	child := exec.CommandContext(context.WithoutCancel(tb.Context()), os.Args[0], "-test.run=^TestBenchAPI$", "-test.count=1")
	child.Env = append(os.Environ(), fmt.Sprintf("%s=%s %s", envAPI, least, most))
	child.Stderr = os.Stderr
	stdin, err := child.StdinPipe()
	if err != nil {
		tb.Fatal(err)
	}
	stdout, err := child.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := child.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		_ = stdin.Close()
		_ = child.Process.Kill()
		_ = child.Wait() // killed
	})
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		if url := lines.Text(); strings.HasPrefix(url, "http://") {
			return &api{url: url}
		}
	}
	tb.Fatal("the benchmark's API did not start")
	return nil
}

func (a *api) get(tb testing.TB, path string) string {
	tb.Helper()
	request, err := http.NewRequestWithContext(context.WithoutCancel(tb.Context()), http.MethodGet, a.url+path, nil)
	if err != nil {
		tb.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		tb.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		tb.Fatal(err)
	}
	return string(body)
}

// take is when the messages since the last take arrived, in order.
func (a *api) take(tb testing.TB) []time.Time {
	tb.Helper()
	var times []time.Time
	for line := range strings.Lines(a.get(tb, "/bench/arrivals")) {
		ns, err := strconv.ParseInt(strings.TrimSpace(line), 10, 64)
		if err != nil {
			tb.Fatal(err)
		}
		times = append(times, time.Unix(0, ns))
	}
	a.get(tb, "/bench/reset")
	slices.SortFunc(times, time.Time.Compare)
	return times
}

func (a *api) count(tb testing.TB) int {
	tb.Helper()
	n, err := strconv.Atoi(a.get(tb, "/bench/count"))
	if err != nil {
		tb.Fatal(err)
	}
	return n
}

// perSecond is the mean rate of arrivals.
func perSecond(times []time.Time) float64 {
	if len(times) < 2 {
		return 0
	}
	return float64(len(times)-1) / times[len(times)-1].Sub(times[0]).Seconds()
}

// densest is the most arrivals in any stretch of time of that length.
func densest(times []time.Time, span time.Duration) int {
	most, from := 0, 0
	for to, at := range times {
		for at.Sub(times[from]) >= span {
			from++
		}
		most = max(most, to-from+1)
	}
	return most
}

// sendRaw posts n messages with plain net/http, workers at a time: what the
// machine and the API allow.
func (a *api) sendRaw(tb testing.TB, n, workers int, body []byte) {
	tb.Helper()
	transport := &http.Transport{MaxIdleConns: workers, MaxIdleConnsPerHost: workers, MaxConnsPerHost: workers, DisableCompression: true}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	var left atomic.Int64
	left.Store(int64(n))
	var working sync.WaitGroup
	for range workers {
		working.Go(func() {
			for left.Add(-1) >= 0 {
				request, err := http.NewRequestWithContext(tb.Context(), http.MethodPost, a.url+"/message/send", bytes.NewReader(body))
				if err != nil {
					tb.Error(err)
					return
				}
				request.Header.Set("Content-Type", "application/json")
				request.Header.Set("Authorization", "Bearer token")
				request.Header.Set("x-phone", benchSender)
				answer, err := client.Do(request)
				if err != nil {
					tb.Error(err)
					return
				}
				_, _ = io.Copy(io.Discard, answer.Body)
				_ = answer.Body.Close()
			}
		})
	}
	working.Wait()
}
