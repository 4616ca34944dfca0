package gateway

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/periskope"
)

// rawServer accepts connections and hands each to serve.
func rawServer(t *testing.T, serve func(conn *net.TCPConn)) string {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = conn.Close() }()
				if tcp, ok := conn.(*net.TCPConn); ok {
					serve(tcp)
				}
			}()
		}
	}()
	return "http://" + listener.Addr().String()
}

func readRequest(conn net.Conn) {
	req, err := http.ReadRequest(bufio.NewReader(conn))
	if err == nil {
		_, _ = io.Copy(io.Discard, req.Body)
	}
}

// untilClosed waits for the client to hang up.
func untilClosed(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) }

// closedPort is an address nobody listens at.
func closedPort(t *testing.T) string {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = listener.Close()
	return "http://" + listener.Addr().String()
}

const okHead = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"

// TestTransportFaults makes each fault with a real socket (reliability §3.4).
func TestTransportFaults(t *testing.T) {
	t.Parallel()
	whole := okHead + "Content-Length: " + strconv.Itoa(len(acceptance)) + "\r\n\r\n" + acceptance
	for name, test := range map[string]struct {
		config func(t *testing.T) periskope.Config
		want   campaign.OutcomeKind
		status int
		detail string // part of it
	}{
		"port refused": {
			func(t *testing.T) periskope.Config { t.Helper(); return periskope.Config{BaseURL: closedPort(t)} },
			campaign.OutcomeUnavailable, 0, "not sent",
		},
		"no such host": {
			func(*testing.T) periskope.Config { return periskope.Config{BaseURL: "https://api.herald.invalid/v1"} },
			campaign.OutcomeUnavailable, 0, "not sent",
		},
		"certificate of nobody": {
			func(t *testing.T) periskope.Config {
				t.Helper()
				server := httptest.NewUnstartedServer(answer(200, acceptance))
				server.Config.ErrorLog = log.New(io.Discard, "", 0)
				server.StartTLS()
				t.Cleanup(server.Close)
				return periskope.Config{BaseURL: server.URL}
			},
			campaign.OutcomeUnavailable, 0, "certificate",
		},
		"no TLS there": {
			func(t *testing.T) periskope.Config {
				t.Helper()
				url := rawServer(t, func(conn *net.TCPConn) { _, _ = io.WriteString(conn, "hello, this is no TLS\r\n\r\n") })
				return periskope.Config{BaseURL: strings.Replace(url, "http:", "https:", 1)}
			},
			campaign.OutcomeUnavailable, 0, "not sent",
		},
		"reset before the request": {raw(func(conn *net.TCPConn) { _ = conn.SetLinger(0) }), campaign.OutcomeUnknown, 0, ""},
		"reset amid the request": {raw(func(conn *net.TCPConn) {
			_, _ = io.ReadFull(conn, make([]byte, 40))
			_ = conn.SetLinger(0)
		}), campaign.OutcomeUnknown, 0, ""},
		"reset after the request": {raw(func(conn *net.TCPConn) {
			readRequest(conn)
			_ = conn.SetLinger(0)
		}), campaign.OutcomeUnknown, 0, ""},
		"closed without an answer": {raw(say("")), campaign.OutcomeUnknown, 0, ""},
		"no HTTP":                  {raw(say("+OK ready\r\n")), campaign.OutcomeUnknown, 0, ""},
		"endless 1xx":              {raw(say(strings.Repeat("HTTP/1.1 150 Wait\r\n\r\n", 10))), campaign.OutcomeUnknown, 0, ""},
		"switching protocols":      {raw(say("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")), campaign.OutcomeUnknown, 0, ""},
		"length too long, body whole": {
			// A whole acceptance is one, whatever the connection did after it.
			raw(say(okHead + "Content-Length: 5000\r\n\r\n" + acceptance)), campaign.OutcomeAccepted, 200, "",
		},
		"length too short":   {raw(say(okHead + "Content-Length: 20\r\n\r\n" + acceptance)), campaign.OutcomeUnknown, 200, "malformed"},
		"negative length":    {raw(say(okHead + "Content-Length: -1\r\n\r\n" + acceptance)), campaign.OutcomeUnknown, 0, ""},
		"wrong chunks":       {raw(say(okHead + "Transfer-Encoding: chunked\r\n\r\nzz\r\n")), campaign.OutcomeUnknown, 200, "cut short"},
		"cut 401":            {raw(say("HTTP/1.1 401 Unauthorized\r\nContent-Length: 500\r\n\r\n{")), campaign.OutcomeRefused, 401, ""},
		"cut 422":            {raw(say("HTTP/1.1 422 Unprocessable\r\nContent-Length: 500\r\n\r\n{\"code\":\"VALID")), campaign.OutcomeUnknown, 422, ""},
		"whole":              {raw(say(whole)), campaign.OutcomeAccepted, 200, ""},
		"no headers in time": {slow(func(conn *net.TCPConn) { readRequest(conn); untilClosed(conn) }), campaign.OutcomeUnknown, 0, ""},
		"slow body":          {slow(func(conn *net.TCPConn) { say(okHead + "Content-Length: 500\r\n\r\n{")(conn) }), campaign.OutcomeUnknown, 200, "cut short"},
		"dripping header":    {slow(func(conn *net.TCPConn) { readRequest(conn); _, _ = io.WriteString(conn, "HTTP/1."); untilClosed(conn) }), campaign.OutcomeUnknown, 0, ""},
		"endless header": {raw(func(conn *net.TCPConn) {
			readRequest(conn)
			endless(conn, okHead, "X-Pad: "+strings.Repeat("a", 1000)+"\r\n")
		}), campaign.OutcomeUnknown, 0, ""},
		"10 GB body": {raw(func(conn *net.TCPConn) {
			readRequest(conn)
			endless(conn, okHead+"Content-Length: 10737418240\r\n\r\n", strings.Repeat(" ", 1000))
		}), campaign.OutcomeUnknown, 200, "oversize"},
		"10 GB body of a 500": {raw(func(conn *net.TCPConn) {
			readRequest(conn)
			endless(conn, "HTTP/1.1 500 Oh\r\nContent-Length: 10737418240\r\n\r\n", strings.Repeat("a", 1000))
		}), campaign.OutcomeUnknown, 500, ""},
		"10 GB of chunks": {raw(func(conn *net.TCPConn) {
			readRequest(conn)
			endless(conn, okHead+"Transfer-Encoding: chunked\r\n\r\n", "3e8\r\n"+strings.Repeat("{", 1000)+"\r\n")
		}), campaign.OutcomeUnknown, 200, "oversize"},
		"10 GB body of a 422": {raw(func(conn *net.TCPConn) {
			readRequest(conn)
			endless(conn, "HTTP/1.1 422 Oh\r\nContent-Length: 10737418240\r\n\r\n"+envelope, strings.Repeat(" ", 1000))
		}), campaign.OutcomeUnknown, 422, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := newGateway(t, test.config(t)).Send(t.Context(), testSender, testTask, nil)
			if name == "reset before the request" && strings.Contains(got.Detail, "dial") {
				test.want = campaign.OutcomeUnavailable // the reset came before the connection was had
			}
			if got.Kind != test.want || got.HTTPStatus != test.status && name != "switching protocols" {
				t.Errorf("outcome %s, status %d (%s), want %s, %d", got.Kind, got.HTTPStatus, got.Detail, test.want, test.status)
			}
			if !strings.Contains(got.Detail, test.detail) {
				t.Errorf("detail %q, want it to hold %q", got.Detail, test.detail)
			}
		})
	}
}

func raw(serve func(*net.TCPConn)) func(*testing.T) periskope.Config {
	return func(t *testing.T) periskope.Config {
		t.Helper()
		return periskope.Config{BaseURL: rawServer(t, serve)}
	}
}

func slow(serve func(*net.TCPConn)) func(*testing.T) periskope.Config {
	return func(t *testing.T) periskope.Config {
		t.Helper()
		return periskope.Config{BaseURL: rawServer(t, func(conn *net.TCPConn) { serve(conn); untilClosed(conn) }), Timeout: 3 * time.Second}
	}
}

// say answers one request with the bytes and hangs up the sending side.
func say(text string) func(*net.TCPConn) {
	return func(conn *net.TCPConn) {
		readRequest(conn)
		_, _ = io.WriteString(conn, text)
	}
}

// endless writes until the client hangs up.
func endless(conn net.Conn, head, piece string) {
	if _, err := io.WriteString(conn, head); err != nil {
		return
	}
	for {
		if _, err := io.WriteString(conn, piece); err != nil {
			return
		}
	}
}

// TestCutAtEveryByte closes the connection after each possible number of bytes
// of the answer: it is an acceptance only once all of it came.
func TestCutAtEveryByte(t *testing.T) {
	t.Parallel()
	whole := okHead + "Content-Length: " + strconv.Itoa(len(acceptance)) + "\r\n\r\n" + acceptance
	var n atomic.Int64
	url := rawServer(t, func(conn *net.TCPConn) {
		readRequest(conn)
		_, _ = io.WriteString(conn, whole[:n.Load()])
	})
	gateway := newGateway(t, periskope.Config{BaseURL: url, MaxConns: 1})
	for i := range len(whole) + 1 {
		n.Store(int64(i))
		want := campaign.OutcomeUnknown
		if i == len(whole) {
			want = campaign.OutcomeAccepted
		}
		if got := gateway.Send(t.Context(), testSender, testTask, nil); got.Kind != want {
			t.Fatalf("cut after %d of %d bytes: %s (%s), want %s", i, len(whole), got.Kind, got.Detail, want)
		}
	}
}

// TestRedirectIsNotFollowed: neither the message nor the token goes to where a
// redirect points.
func TestRedirectIsNotFollowed(t *testing.T) {
	t.Parallel()
	var elsewhere atomic.Int64
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) }))
	t.Cleanup(other.Close)
	for _, status := range []int{301, 302, 303, 307, 308} {
		gateway := serve(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, other.URL, status) })
		if got := gateway.Send(t.Context(), testSender, testTask, nil); got.Kind != campaign.OutcomeUnknown || got.HTTPStatus != status {
			t.Errorf("HTTP %d: outcome %+v", status, got)
		}
		if _, err := gateway.Status(t.Context(), testSender, campaign.Tracked{UniqueID: "x"}); err == nil {
			t.Errorf("HTTP %d: status gave no error", status)
		}
	}
	if n := elsewhere.Load(); n != 0 {
		t.Errorf("the other server got %d requests", n)
	}
}

func TestCanceledBeforeIsUnavailable(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var requests atomic.Int64
	gateway := serve(t, func(http.ResponseWriter, *http.Request) { requests.Add(1) })
	if got := gateway.Send(ctx, testSender, testTask, nil); got.Kind != campaign.OutcomeUnavailable || requests.Load() != 0 {
		t.Errorf("outcome %+v after %d requests", got, requests.Load())
	}
}

func TestWrongArgumentsAreNotSent(t *testing.T) {
	t.Parallel()
	var requests atomic.Int64
	gateway := serve(t, func(http.ResponseWriter, *http.Request) { requests.Add(1) })
	lid := testTask
	lid.Chat = "1@lid"
	if got := gateway.Send(t.Context(), testSender, lid, nil); got.Kind != campaign.OutcomeRejected {
		t.Errorf("lid: outcome %+v", got)
	}
	if got := gateway.Send(t.Context(), campaign.Sender{Phone: "+1 201"}, testTask, nil); got.Kind != campaign.OutcomeRefused || got.Pause != campaign.PauseDisconnected {
		t.Errorf("sender: outcome %+v", got)
	}
	if n := requests.Load(); n != 0 {
		t.Errorf("%d requests were made", n)
	}
}

// memory is a media store that does not tell sizes.
type memory map[string]string

func (m memory) OpenMedia(hash string) (io.ReadCloser, error) {
	text, ok := m[hash]
	if !ok {
		return nil, fmt.Errorf("no file %s for %s", hash, testNumber)
	}
	return io.NopCloser(strings.NewReader(text)), nil
}

// folder is a media store of files.
type folder string

func newFolder(t *testing.T, dir, hash, text string) folder {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, hash), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return folder(dir)
}

func (f folder) OpenMedia(hash string) (io.ReadCloser, error) {
	return os.Open(filepath.Join(string(f), hash))
}

func TestMedia(t *testing.T) {
	t.Parallel()
	bodies := make(chan string, 10)
	gateway := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		bodies <- string(body)
		_, _ = io.WriteString(w, acceptance)
	})
	task := testTask
	task.Message = campaign.Message{Text: "caption", HidePreview: true, ReplyTo: "m1", Media: &campaign.Media{
		Type: campaign.MediaImage, Hash: "abc", Filename: "a.png", MIME: "image/png", Size: 1,
	}}
	if got := gateway.Send(t.Context(), testSender, task, nil); got.Kind != campaign.OutcomeRefused || got.Pause != campaign.PauseMedia {
		t.Errorf("without a store: outcome %+v", got)
	}
	dir := t.TempDir()
	const want = `{"chat_id":"` + testNumber + `@c.us","message":"caption","reply_to":"m1","options":{"hide_url_preview":true},` +
		`"media":{"type":"image","filename":"a.png","mimetype":"image/png","filedata":"aGVsbG8="}}`
	for name, store := range map[string]MediaOpener{"stream": memory{"abc": "hello"}, "file": newFolder(t, dir, "abc", "hello")} {
		gateway.media = store
		if got := gateway.Send(t.Context(), testSender, task, nil); got.Kind != campaign.OutcomeAccepted {
			t.Fatalf("%s: outcome %+v", name, got)
		}
		if got := <-bodies; got != want {
			t.Errorf("%s: body\n%s\nwant\n%s", name, got, want)
		}
	}
	gateway.media = memory{}
	got := gateway.Send(t.Context(), testSender, task, nil)
	if got.Kind != campaign.OutcomeRefused || got.Pause != campaign.PauseMedia || strings.Contains(got.Detail, testNumber) || len(bodies) != 0 {
		t.Errorf("missing file: outcome %+v", got)
	}
	task.Message = campaign.Message{Poll: &campaign.Poll{Question: "Friday?", Options: []string{"Yes", "No"}, Multiple: true, PollID: "p1"}}
	if got := gateway.Send(t.Context(), testSender, task, nil); got.Kind != campaign.OutcomeAccepted {
		t.Fatalf("poll: outcome %+v", got)
	}
	if got := <-bodies; !strings.Contains(got, `"pollName":"Friday?","pollOptions":["Yes","No"],"options":{"allowMultipleAnswers":true,"pollId":"p1"}`) {
		t.Errorf("poll: body %s", got)
	}
}
