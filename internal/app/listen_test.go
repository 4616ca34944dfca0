package app

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/internal/notices"
)

// oneNotice is an outbox of one.
type oneNotice struct {
	campaign.Notice
	marks chan campaign.Delivered
	done  atomic.Bool
}

func (o *oneNotice) DueNotices(context.Context, string, time.Time, int) ([]campaign.Notice, error) {
	if o.done.Load() {
		return nil, nil
	}
	return []campaign.Notice{o.Notice}, nil
}

func (o *oneNotice) NoticeQueues(context.Context) ([]campaign.NoticeQueue, error) {
	if o.done.Load() {
		return nil, nil
	}
	return []campaign.NoticeQueue{{URL: o.URL, Next: time.Now()}}, nil
}

func (o *oneNotice) NoticesDelivered(_ context.Context, list []campaign.Delivered) error {
	o.done.Store(true)
	o.marks <- list[0]
	return nil
}

// TestListen sends notices to `herald listen` as a campaign does: they are
// verified, shown without numbers and texts, passed on as they came, and
// answered as there.
func TestListen(t *testing.T) {
	t.Parallel()
	cfg := Config{DataDir: t.TempDir()}
	secret, err := NoticeSecret(cfg)
	check(t, err)
	body, err := json.Marshal(campaign.NoticeBody{Type: campaign.NoticeReply, Timestamp: time.Now(), Data: campaign.ReplyNotice{
		RowNotice: campaign.RowNotice{CampaignName: "Spring sale", Seq: 3, Line: 4, Chat: "447700900123@c.us"}, Text: "canary", Kind: "chat",
	}})
	check(t, err)
	for name, test := range map[string]struct {
		status int // of the program behind; 0: none
		done   bool
		lines  string
	}{
		"alone":           {0, true, `--> message.replied [msg_1] "Spring sale" line 4, 44******0123@c.us`},
		"passed on":       {http.StatusAccepted, true, `--> message.replied [msg_1] "Spring sale" line 4, 44******0123@c.us|<-- 202 [msg_1]`},
		"refused there":   {http.StatusInternalServerError, false, `--> message.replied [msg_1] "Spring sale" line 4, 44******0123@c.us|<-- 500 [msg_1]`},
		"nobody is there": {-1, false, `--> message.replied [msg_1] "Spring sale" line 4, 44******0123@c.us|<-- [msg_1] not passed on: `},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			options := ListenOptions{Listen: "127.0.0.1:0"}
			if test.status > 0 {
				again, err := notices.NewListener(notices.Secret(secret), func(h notices.Heard) int {
					if h.Fault != "" || string(h.Body) != string(body) {
						t.Errorf("passed on as %q, fault %q", h.Body, h.Fault)
					}
					return test.status
				})
				check(t, err)
				behind := httptest.NewServer(again)
				t.Cleanup(behind.Close)
				options.Forward = behind.URL
			} else if test.status < 0 {
				options.Forward = "http://127.0.0.1:1/"
			}
			events := make(chan ListenEvent, 4)
			listener, err := StartListener(t.Context(), cfg, quiet(), options, func(e ListenEvent) { events <- e })
			check(t, err)
			outbox := &oneNotice{marks: make(chan campaign.Delivered, 1), Notice: campaign.Notice{
				ID: "msg_1", Campaign: "c1", URL: listener.URL(), Kind: campaign.NoticeReply, Body: body,
			}}
			sender, err := notices.New(notices.Config{Outbox: outbox, Marks: outbox, Secret: notices.Secret(secret)})
			check(t, err)
			ctx, cancel := context.WithCancel(context.Background())
			over := make(chan struct{})
			go func() {
				defer close(over)
				sender.Run(ctx)
			}()
			got := <-outbox.marks
			cancel()
			<-over
			check(t, listener.Close(context.Background()))
			if got.Done != test.done {
				t.Errorf("the sender noted %+v, want done %v", got, test.done)
			}
			close(events)
			var lines []string
			for e := range events {
				_, line, _ := strings.Cut(e.String(), " ")
				lines = append(lines, line)
				encoded, err := json.Marshal(e)
				check(t, err)
				if e.Event == listenReceived && !strings.Contains(string(encoded), "447700900123@c.us") {
					t.Errorf("the line for programs lacks the notice: %s", encoded)
				}
			}
			wants := strings.Split(test.lines, "|")
			if len(lines) != len(wants) {
				t.Fatalf("lines %q, want %q", lines, wants)
			}
			for i, want := range wants {
				if !strings.HasPrefix(lines[i], want) || strings.Contains(lines[i], "canary") {
					t.Errorf("line %q, want %q", lines[i], want)
				}
			}
		})
	}
}

// TestListenHearsACampaign lets `herald listen` hear a campaign of the data
// directory move.
func TestListenHearsACampaign(t *testing.T) {
	t.Parallel()
	th := newTheater(t, nil)
	a := th.open()
	defer func() { check(t, a.Close()) }()
	events := make(chan ListenEvent, 4)
	listener, err := StartListener(t.Context(), th.cfg, quiet(), ListenOptions{Listen: "127.0.0.1:0"}, func(e ListenEvent) { events <- e })
	check(t, err)
	defer func() { check(t, listener.Close(context.Background())) }()
	sender, err := a.noticeSender()
	check(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	over := make(chan struct{})
	go func() {
		defer close(over)
		sender.Run(ctx)
	}()
	id := campaign.NewID()
	check(t, a.store.CreateCampaign(ctx, campaign.Campaign{
		ID: id, Name: "Offer", Mode: campaign.ModeLive, State: campaign.StateDraft, Spec: campaign.Spec{
			Name: "Offer", Message: campaign.Template{Text: "Hi"}, Senders: []string{testSender}, Notify: &campaign.Notify{URL: listener.URL()},
		},
	}))
	_, err = a.store.Transition(ctx, id, campaign.StateCanceled, "", "")
	check(t, err)
	sender.Poke()
	if !sender.Drain(ctx, 20*time.Second) {
		t.Error("something is left")
	}
	cancel()
	<-over
	if e := <-events; e.summary != `"Offer" draft → canceled` || e.Type != string(campaign.NoticeCampaign) {
		t.Errorf("heard %q of %+v", e.summary, e)
	}
}

func TestListenerRefuses(t *testing.T) {
	t.Parallel()
	for _, options := range []ListenOptions{
		{Listen: "0.0.0.0:0"},
		{Listen: ":0"},
		{Listen: "192.0.2.1:80"},
		{Listen: "here"},
		{Listen: "127.0.0.1:0", Forward: "example.com"},
		{Listen: "127.0.0.1:0", Forward: "ftp://example.com/"},
	} {
		_, err := StartListener(t.Context(), Config{DataDir: t.TempDir()}, quiet(), options, nil)
		if campaign.CodeOf(err) != campaign.CodeInvalid {
			t.Errorf("%+v: %v", options, err)
		}
	}
	events := make(chan ListenEvent, 1)
	listener, err := StartListener(t.Context(), Config{DataDir: t.TempDir()}, quiet(), ListenOptions{Listen: "localhost:0"}, func(e ListenEvent) { events <- e })
	check(t, err)
	response, err := http.Post(listener.URL(), "application/json", io.LimitReader(strings.NewReader(`{"type":"x"}`), 100))
	check(t, err)
	check(t, response.Body.Close())
	if e := <-events; response.StatusCode != http.StatusUnauthorized || e.Event != listenRefused || e.Notice != nil {
		t.Errorf("unsigned: %s, %+v", response.Status, e)
	}
	http.DefaultClient.CloseIdleConnections()
	check(t, listener.Close(context.Background()))
	if _, err := os.Stat("herald-data"); err == nil {
		t.Error("a data directory was made where nobody asked for it")
	}
}
