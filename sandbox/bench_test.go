package sandbox

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"net/http"
	"runtime"
	"strconv"
	"sync/atomic"
	"testing"
)

// BenchmarkSend is one send through the handler, without the network.
func BenchmarkSend(b *testing.B) {
	s, err := New(Config{Seed: 1, Instant: true, MaxJobs: 1 << 16})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	h := s.Handler()
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		i++
		if w := direct(h, phoneA, fmt.Appendf(nil, `{"chat_id":"91999%07d","message":"Hi Asha, your order 4711 ships today."}`, i%1e7)); w.Code != http.StatusOK {
			b.Fatal(w.Code)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "sends/s")
}

// BenchmarkSendJournal is the same with a journal.
func BenchmarkSendJournal(b *testing.B) {
	s, err := New(Config{Seed: 1, Instant: true, MaxJobs: 1 << 16, Journal: journalPath(b)})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	h := s.Handler()
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		i++
		if w := direct(h, phoneA, fmt.Appendf(nil, `{"chat_id":"91999%07d","message":"Hi Asha, your order 4711 ships today."}`, i%1e7)); w.Code != http.StatusOK {
			b.Fatal(w.Code)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "sends/s")
}

// BenchmarkSendHTTP is one send over loopback, 16 at a time, by a client that
// does as little as possible: the figure is the server's.
func BenchmarkSendHTTP(b *testing.B) {
	s, err := New(Config{Seed: 1, Instant: true, MaxJobs: 1 << 16})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	if err := s.Start(""); err != nil {
		b.Fatal(err)
	}
	var senders atomic.Int64
	b.SetParallelism(16 / runtime.GOMAXPROCS(0))
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		conn, err := net.Dial("tcp", s.Addr())
		if err != nil {
			b.Error(err)
			return
		}
		defer func() { _ = conn.Close() }()
		in, first := bufio.NewReader(conn), senders.Add(1)*100_000
		var out []byte
		for pb.Next() {
			first++
			out = fmt.Appendf(out[:0], "POST /v1/message/send HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer test\r\nX-Phone: %s\r\n"+
				"Content-Length: 76\r\n\r\n"+`{"chat_id":"91999%07d","message":"Hi Asha, your order 4711 ships today."}`, phoneA, first)
			if _, err := conn.Write(out); err != nil {
				b.Error(err)
				return
			}
			if err := skipAnswer(in); err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "sends/s")
}

// skipAnswer reads one response and insists on 200.
func skipAnswer(in *bufio.Reader) error {
	line, err := in.ReadSlice('\n')
	if err != nil || !bytes.HasPrefix(line, []byte("HTTP/1.1 200")) {
		return fmt.Errorf("answer %q: %w", line, err)
	}
	length := 0
	for len(line) > 2 {
		if line, err = in.ReadSlice('\n'); err != nil {
			return err
		}
		if value, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
			length, _ = strconv.Atoi(string(bytes.TrimSpace(value)))
		}
	}
	_, err = in.Discard(length)
	return err
}

// BenchmarkMemoryPerJob reports what a kept message weighs.
func BenchmarkMemoryPerJob(b *testing.B) {
	for b.Loop() {
		cfg := Config{Seed: 1, Instant: true}.withDefaults()
		e, err := newEngine(&cfg)
		if err != nil {
			b.Fatal(err)
		}
		l, _ := e.find(phoneA)
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		const jobs = 200_000
		for i := range jobs {
			m := message{chat: fmt.Sprintf("91999%07d@c.us", i), body: fmt.Sprintf("Hi Asha, your order %07d ships today.", i)}
			if _, err := e.accept(l, m); err != nil {
				b.Fatal(err)
			}
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/jobs, "bytes/job")
		runtime.KeepAlive(e)
	}
}
