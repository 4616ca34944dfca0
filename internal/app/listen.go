package app

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"sync"
	"time"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/internal/notices"
)

// NoticeSecret is what notices of this data directory are signed with. It is
// drawn if there is none.
func NoticeSecret(cfg Config) (string, error) {
	if err := os.MkdirAll(cfg.DataDir, 0o700); err != nil {
		return "", &campaign.Error{Code: campaign.CodeUnavailable, What: "make the data directory", Err: err}
	}
	secret, err := notices.LoadSecret(cfg.DataDir)
	return string(secret), err
}

// ListenOptions are the flags of `herald listen`.
type ListenOptions struct {
	Listen  string // loopback only
	Forward string // URL; "": nowhere
}

// ListenEvent is a notice that came in, or what became of passing it on. It is
// one line of JSON; String is the line for people, in which numbers are masked
// and texts are left out.
type ListenEvent struct {
	Event   string          `json:"event"` // received, refused or forwarded
	At      time.Time       `json:"at"`
	ID      string          `json:"id,omitempty"`
	Type    string          `json:"type,omitempty"`
	Reason  string          `json:"reason,omitempty"`  // refused; forwarded in vain
	Notice  json.RawMessage `json:"notice,omitempty"`  // received: the whole body
	URL     string          `json:"url,omitempty"`     // forwarded
	Status  int             `json:"status,omitempty"`  // forwarded: the answer
	TookMS  int64           `json:"took_ms,omitempty"` // forwarded
	summary string
}

// The events of listening.
const (
	listenReceived  = "received"
	listenRefused   = "refused"
	listenForwarded = "forwarded"
)

func (e ListenEvent) String() string {
	at := e.At.Local().Format(time.TimeOnly)
	switch {
	case e.Event == listenReceived:
		return fmt.Sprintf("%s --> %s [%s] %s", at, cmp.Or(e.Type, "notice"), e.ID, e.summary)
	case e.Event == listenRefused:
		return fmt.Sprintf("%s --> refused [%s]: %s", at, e.ID, e.Reason)
	case e.Reason != "":
		return fmt.Sprintf("%s <-- [%s] not passed on: %s", at, e.ID, e.Reason)
	}
	return fmt.Sprintf("%s <-- %d [%s] in %d ms", at, e.Status, e.ID, e.TookMS)
}

// Listener is the receiving end of notices, for development.
type Listener struct {
	server   *http.Server
	listener net.Listener
	served   chan struct{}
	client   *http.Client
	forward  string

	mu   sync.Mutex // one line at a time
	tell func(ListenEvent)
}

// StartListener listens for notices signed with the secret of the data
// directory, and tells of each. With somewhere to forward to, they are passed on
// as they came, and the answer there is our answer: what is refused there is
// delivered again.
func StartListener(ctx context.Context, cfg Config, log *slog.Logger, o ListenOptions, tell func(ListenEvent)) (*Listener, error) {
	if err := listenable(o); err != nil {
		return nil, err
	}
	secret, err := NoticeSecret(cfg)
	if err != nil {
		return nil, err
	}
	l := &Listener{served: make(chan struct{}), client: oneCall(), forward: o.Forward, tell: tell}
	l.client.Timeout = 9 * time.Second // the sender waits for ten
	handler, err := notices.NewListener(notices.Secret(secret), l.heard)
	if err != nil {
		return nil, err
	}
	if l.listener, err = new(net.ListenConfig).Listen(ctx, "tcp", o.Listen); err != nil {
		return nil, &campaign.Error{
			Code: campaign.CodeUnavailable, What: "listen at " + o.Listen, Hint: "--addr 127.0.0.1:0 takes any free port", Err: err,
		}
	}
	l.server = &http.Server{
		Handler: handler, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, MaxHeaderBytes: 16 << 10,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	go func() {
		defer close(l.served)
		if err := l.server.Serve(l.listener); !errors.Is(err, http.ErrServerClosed) {
			log.Error("no longer listening", slog.Any("err", err))
		}
	}()
	return l, nil
}

func listenable(o ListenOptions) error {
	host, _, err := net.SplitHostPort(o.Listen)
	if err != nil {
		return &campaign.Error{Code: campaign.CodeInvalid, What: "--addr " + o.Listen, Hint: "host:port, e.g. 127.0.0.1:8486", Err: err}
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return &campaign.Error{
			Code: campaign.CodeInvalid, What: "--addr " + o.Listen + " is not a loopback address",
			Hint: "listen at 127.0.0.1: this is for development on one machine",
		}
	}
	if u, err := url.Parse(o.Forward); o.Forward != "" && (err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https") {
		return &campaign.Error{Code: campaign.CodeInvalid, What: "--forward-to is not a URL that can be called", Hint: "e.g. http://127.0.0.1:3000/herald"}
	}
	return nil
}

// URL is what to put under notify.url of a campaign file.
func (l *Listener) URL() string { return "http://" + l.listener.Addr().String() + "/" }

// Close answers what is under way and stops listening.
func (l *Listener) Close(ctx context.Context) error {
	err := l.server.Shutdown(ctx)
	if err != nil {
		err = errors.Join(err, l.server.Close())
	}
	<-l.served
	return err
}

// heard takes one notice and gives the status to answer with.
func (l *Listener) heard(h notices.Heard) int {
	if h.Fault != "" {
		l.say(ListenEvent{Event: listenRefused, At: h.At, ID: h.ID, Reason: h.Fault})
		return http.StatusUnauthorized
	}
	l.say(ListenEvent{Event: listenReceived, At: h.At, ID: h.ID, Type: string(h.Kind), Notice: compact(h.Body), summary: summarize(h.Body)})
	if l.forward == "" {
		return http.StatusNoContent
	}
	begun := time.Now()
	status, err := l.passOn(h)
	event := ListenEvent{Event: listenForwarded, At: time.Now(), ID: h.ID, URL: l.forward, Status: status, TookMS: time.Since(begun).Milliseconds()}
	if err != nil {
		event.Reason, status = withoutURL(err).Error(), http.StatusBadGateway
	}
	l.say(event)
	return status
}

// passOn posts the notice as it came.
func (l *Listener) passOn(h notices.Heard) (status int, err error) {
	request, err := http.NewRequestWithContext(context.Background(), http.MethodPost, l.forward, bytes.NewReader(h.Body))
	if err != nil {
		return 0, err
	}
	for _, name := range []string{"Content-Type", "User-Agent", "Webhook-Id", "Webhook-Timestamp", "Webhook-Signature"} {
		request.Header[name] = h.Header[name]
	}
	response, err := l.client.Do(request)
	if err != nil {
		return 0, err
	}
	_, _ = io.CopyN(io.Discard, response.Body, 4<<10)
	return response.StatusCode, response.Body.Close()
}

func (l *Listener) say(event ListenEvent) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tell(event)
}

// compact is the body as a JSON value on one line; null if it is none.
func compact(body []byte) json.RawMessage {
	var line bytes.Buffer
	if json.Compact(&line, body) != nil {
		return nil
	}
	return line.Bytes()
}

// summarize says in a few words what a notice tells.
func summarize(body []byte) string {
	var notice struct {
		Data struct {
			campaign.MessageNotice
			From campaign.State `json:"from"`
			To   campaign.State `json:"to"`
		} `json:"data"`
	}
	if json.Unmarshal(body, &notice) != nil {
		return ""
	}
	d := notice.Data
	switch {
	case d.To != "":
		return fmt.Sprintf("%q %s → %s", d.CampaignName, d.From, d.To) + suffix(d.Reason)
	case d.Chat != "":
		return fmt.Sprintf("%q line %d, %s", d.CampaignName, d.Line, d.Chat) + suffix(string(d.Status)) + suffix(d.Reason)
	}
	return ""
}

func suffix(word string) string {
	if word == "" {
		return ""
	}
	return " " + word
}
