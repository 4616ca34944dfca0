package status_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/internal/gateway"
	"github.com/herald-campaigns/herald/periskope"
	"github.com/herald-campaigns/herald/ratelimit"
	"github.com/herald-campaigns/herald/sandbox"
	"github.com/herald-campaigns/herald/status"
)

// wire is a network in memory: HTTP as it is, in virtual time.
type wire struct {
	conns chan net.Conn
	done  chan struct{}
}

func (w *wire) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case w.conns <- server:
		return client, nil
	case <-w.done:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (w *wire) Accept() (net.Conn, error) {
	select {
	case conn := <-w.conns:
		return conn, nil
	case <-w.done:
		return nil, net.ErrClosed
	}
}

func (w *wire) Close() error {
	select {
	case <-w.done:
	default:
		close(w.done)
	}
	return nil
}

func (w *wire) Addr() net.Addr { return &net.TCPAddr{} }

// street is a reconciler whose provider is the sandbox, through the client and
// the gateway.
type street struct {
	t    *testing.T
	sim  *sandbox.Server
	gate *gateway.Gateway
	cfg  status.ReconcilerConfig
	*book
	log  strings.Builder
	r    *status.Reconciler
	sent map[int64]campaign.Task
}

var streetSender = campaign.Sender{ID: "snd_1", Phone: "12015550100"}

// onStreet runs a test against a sandbox in virtual time.
func onStreet(t *testing.T, config sandbox.Config, test func(*street)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		config.AnyPhone, config.Seed = true, 5
		sim, err := sandbox.New(config)
		check(t, err)
		network := &wire{conns: make(chan net.Conn), done: make(chan struct{})}
		server := &http.Server{Handler: sim.Handler(), ReadHeaderTimeout: time.Hour}
		served := make(chan struct{})
		go func() {
			defer close(served)
			_ = server.Serve(network)
		}()
		transport := &http.Transport{DialContext: network.dial}
		t.Cleanup(func() {
			check(t, sim.Close())
			check(t, server.Close())
			transport.CloseIdleConnections()
			<-served
		})
		client, err := periskope.New(periskope.Config{BaseURL: "http://127.0.0.1/v1", Token: "a-token", Transport: transport})
		check(t, err)
		s := &street{t: t, sim: sim, gate: gateway.New(client, nil, gateway.Config{}), book: newBook(), sent: map[int64]campaign.Task{}}
		s.measured = false
		s.cfg.Attention = map[campaign.ID]status.Attention{"cmp_1": {}, "cmp_2": {}}
		test(s)
	})
}

func (s *street) arm(fault string) {
	s.t.Helper()
	f, err := sandbox.ParseFault([]byte(fault))
	check(s.t, err)
	check(s.t, s.sim.AddFault(f))
}

// run lets the reconciler work for so long.
func (s *street) run(d time.Duration) {
	s.t.Helper()
	s.reconciler()
	ctx, cancel := context.WithTimeout(s.t.Context(), d)
	defer cancel()
	s.r.Run(ctx)
	if strings.Contains(s.log.String(), "120155") || strings.Contains(s.log.String(), "Hi ") {
		s.t.Errorf("the log says too much:\n%s", s.log.String())
	}
}

func (s *street) reconciler() {
	if s.r == nil {
		s.r = status.NewReconciler(s.book, s.gate, s.book, ratelimit.New(ratelimit.Config{PerSecond: 100}), slog.New(slog.NewTextHandler(&s.log, nil)), s.cfg)
	}
}

func (s *street) task(seq int64, chat campaign.ChatID, message campaign.Message) campaign.Task {
	task := campaign.Task{Campaign: "cmp_1", Seq: seq, Gen: 1, Sender: streetSender.ID, Chat: chat, Message: message, BodyHash: message.Hash()}
	s.sent[seq] = task
	return task
}

// accept sends a message that the provider takes and says so.
func (s *street) accept(seq int64) {
	s.t.Helper()
	s.reconciler()
	chat := campaign.PersonChat(fmt.Sprintf("1201555%04d", 3000+seq))
	outcome := s.gate.Send(s.t.Context(), streetSender, s.task(seq, chat, campaign.Message{Text: "Hi"}), nil)
	if outcome.Kind != campaign.OutcomeAccepted {
		s.t.Fatalf("send: %s, %s", outcome.Kind, outcome.Detail)
	}
	m := campaign.Tracked{
		Campaign: "cmp_1", Seq: seq, Sender: streetSender, Chat: chat, QueueID: outcome.QueueID, UniqueID: outcome.UniqueID,
		Status: campaign.StatusQueued, QueuedAt: time.Now(),
	}
	s.witnesses = append(s.witnesses, m)
	s.bound[chat] = append(s.bound[chat], m.QueueID, m.UniqueID)
	s.r.Accepted(m)
}

// neighbors accepts some messages, and lets time pass until the lag is
// measured.
func (s *street) neighbors() {
	s.t.Helper()
	for seq := range int64(3) {
		s.accept(100 + seq)
	}
	s.run(10 * time.Second)
}

// lose sends a message whose answer tells nothing.
func (s *street) lose(seq int64, chat campaign.ChatID, message campaign.Message) {
	s.t.Helper()
	claimed, task := time.Now(), s.task(seq, chat, message)
	outcome := s.gate.Send(s.t.Context(), streetSender, task, nil)
	if outcome.Kind != campaign.OutcomeUnknown {
		s.t.Fatalf("send: %s, %s", outcome.Kind, outcome.Detail)
	}
	s.put(campaign.UnknownRow{
		Campaign: task.Campaign, Seq: seq, Gen: 1, Attempt: 1, Sender: streetSender, Chat: chat, BodyHash: task.BodyHash,
		ClaimedAt: claimed, EndedAt: time.Now(), Detail: outcome.Detail,
	}, message)
}

// want checks how many rows were found, returned and assumed sent, and that
// none is open.
// What was returned is then sent, as the dispatcher would, and each chat must
// have had as many messages as were meant for it.
func (s *street) want(found, returned, assumed int, acceptances ...int) {
	s.t.Helper()
	got := [4]int{len(s.found), len(s.returned), len(s.assumed), s.open(s.r)}
	if want := [4]int{found, returned, assumed, 0}; got != want {
		s.t.Errorf("found, returned, assumed sent, open: %v, want %v\n%s", got, want, s.log.String())
	}
	s.sim.ClearFaults()
	for _, e := range s.returned {
		if outcome := s.gate.Send(s.t.Context(), streetSender, s.sent[e.seq], nil); outcome.Kind != campaign.OutcomeAccepted {
			s.t.Errorf("send again: %s", outcome.Detail)
		}
	}
	n := 0
	for _, a := range s.sim.Acceptances() {
		if a.ChatID == string(s.sent[1].Chat) {
			n++
		}
	}
	if want := append(acceptances, 1)[0]; n != want {
		s.t.Errorf("the recipient got %d messages, want %d\n%s", n, want, s.log.String())
	}
}

var hiAsha = campaign.Message{Text: "Hi *Asha*,\nit is *4 pm*"}

// TestSandboxLostAnswers: accepted, and the answer says nothing. Each is found,
// whatever form the lists have.
func TestSandboxLostAnswers(t *testing.T) {
	t.Parallel()
	faults := map[string]string{
		"502": `{"kind":"status","status":502,"when":"after","html":true}`, "reset": `{"kind":"reset","when":"after"}`,
		"hang": `{"kind":"hang","when":"after"}`, "empty": `{"kind":"empty"}`, "half": `{"kind":"malformed"}`, "cut": `{"kind":"cut_body","size":20}`,
		"no id": `{"kind":"no_queue_id"}`, "wrong body": `{"kind":"wrong_body"}`, "page": `{"kind":"wrong_body","html":true}`,
		"slow body": `{"kind":"slow_body","delay":"5s"}`, "huge body": `{"kind":"huge_body","size":200000}`,
	}
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onStreet(t, sandbox.Config{}, func(s *street) {
				s.arm(fault)
				s.lose(1, asha, hiAsha)
				s.sim.ClearFaults()
				s.run(5 * time.Second)
				s.want(1, 0, 0)
				if o := s.found[0]; o.QueueID != s.sim.Acceptances()[0].QueueID || o.Source != campaign.EvidenceJobs {
					t.Errorf("found %+v", o.Observation)
				}
			})
		})
	}
	for name, wire := range map[string]sandbox.Wire{
		"deprecated list": {OldQueuesOnly: true}, "long ids": {UniqueID: sandbox.UniqueIDLong}, "another word": {ProcessingWord: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onStreet(t, sandbox.Config{Wire: wire}, func(s *street) {
				s.arm(faults["502"])
				s.lose(1, asha, hiAsha)
				s.run(5 * time.Second)
				s.want(1, 0, 0)
			})
		})
	}
	for name, message := range map[string]campaign.Message{
		"file": {Text: "Look", Media: &campaign.Media{Type: campaign.MediaImage, URL: "https://example.com/a.png", Filename: "a.png", MIME: "image/png"}},
		"poll": {Poll: &campaign.Poll{Question: "Coming?", Options: []string{"Yes", "No"}, PollID: "p"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onStreet(t, sandbox.Config{Instant: true}, func(s *street) {
				s.arm(faults["502"])
				s.lose(1, asha, message)
				s.run(5 * time.Second)
				s.want(1, 0, 0)
			})
		})
	}
}

func TestSandboxFoundOnlyAmongMessages(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]string{"forgotten": `{"kind":"list_gone","delay":"1ms"}`, "no job list": `{"kind":"status","status":404,"route":"queues"}`} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onStreet(t, sandbox.Config{}, func(s *street) {
				s.arm(`{"kind":"status","status":502,"when":"after"}`)
				s.lose(1, asha, hiAsha)
				s.arm(fault)
				s.run(time.Minute)
				s.want(1, 0, 0)
				if source := s.found[0].Source; source != campaign.EvidenceMessages {
					t.Errorf("found among %s", source)
				}
			})
		})
	}
}

func TestSandboxAbsentIsSentOnce(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]string{"reset": `{"kind":"reset","next":1}`, "500": `{"kind":"status","next":1}`, "hang": `{"kind":"hang","next":1}`} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onStreet(t, sandbox.Config{}, func(s *street) {
				s.neighbors()
				s.arm(fault)
				s.lose(1, asha, hiAsha)
				lost := time.Now()
				s.run(5 * time.Minute)
				if len(s.returned) == 1 && s.returned[0].at.Sub(lost) < 90*time.Second {
					t.Errorf("returned %s after its call", s.returned[0].at.Sub(lost))
				}
				s.want(0, 1, 0)
			})
		})
	}
}

func TestSandboxLateCommit(t *testing.T) {
	t.Parallel()
	for _, delay := range []string{"800ms", "20s", "59s", "85s"} {
		for name, also := range map[string]string{"502": "", "hang": `{"kind":"hang","when":"after"}`, "reset": `{"kind":"reset","when":"after"}`} {
			t.Run(delay+" "+name, func(t *testing.T) {
				t.Parallel()
				onStreet(t, sandbox.Config{}, func(s *street) {
					s.neighbors()
					s.arm(`{"kind":"commit_late","delay":"` + delay + `"}`)
					if also != "" {
						s.arm(also)
					}
					s.lose(1, asha, hiAsha)
					s.run(10 * time.Minute)
					s.want(1, 0, 0)
				})
			})
		}
	}
}

// TestSandboxWithoutSettleWindow reproduces M3 with a real provider: the
// recipient gets the message twice.
func TestSandboxWithoutSettleWindow(t *testing.T) {
	t.Parallel()
	onStreet(t, sandbox.Config{}, func(s *street) {
		s.cfg.SettleFloor, s.cfg.CallTimeout, s.cfg.PassGap, s.cfg.Idle = 1, 1, 1, time.Millisecond
		s.neighbors()
		s.arm(`{"kind":"commit_late","delay":"800ms","next":1}`)
		s.lose(1, asha, hiAsha)
		<-time.After(time.Millisecond) // what comes later is later
		s.accept(200)
		s.run(time.Minute)
		s.want(0, 1, 0, 2)
	})
}

// TestSandboxHeld: nothing can be proved, so nothing is sent.
func TestSandboxHeld(t *testing.T) {
	t.Parallel()
	after := `{"kind":"status","status":502,"when":"after","next":1}`
	for name, test := range map[string]struct {
		chat  campaign.ChatID
		lists []string
	}{
		"rewritten":           {asha, []string{after, `{"kind":"rewrite"}`}},
		"known by another":    {"12015550521@c.us", []string{after}},
		"jobs absent":         {asha, []string{after, `{"kind":"status","status":404,"route":"queues"}`, `{"kind":"list_late","delay":"1000h"}`}},
		"messages absent":     {asha, []string{after, `{"kind":"status","status":404,"html":true,"route":"messages"}`, `{"kind":"list_late","delay":"1000h","numbers":["12015550101"]}`}},
		"nothing ever listed": {asha, []string{after, `{"kind":"list_late","delay":"1000h"}`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onStreet(t, sandbox.Config{}, func(s *street) {
				s.neighbors()
				for _, fault := range test.lists {
					s.arm(fault)
				}
				s.lose(1, test.chat, hiAsha)
				s.run(4 * time.Hour)
				s.want(0, 0, 0)
			})
		})
	}
}

// TestSandboxShortList: the row's job waits in the queue where the list does
// not reach. The next in the queue are seen, and that must not be enough.
func TestSandboxShortList(t *testing.T) {
	t.Parallel()
	onStreet(t, sandbox.Config{Service: time.Hour}, func(s *street) {
		s.neighbors()
		s.arm(`{"kind":"status","status":502,"when":"after","next":1}`)
		s.arm(`{"kind":"list_short","size":3}`)
		s.lose(1, asha, hiAsha)
		for seq := range int64(5) {
			s.accept(200 + seq)
		}
		s.run(2 * time.Hour)
		s.want(0, 0, 0)
	})
	// Nobody counts what waits, and the first row of a sender has nothing before
	// it: the list's newest five would do for a whole list.
	onStreet(t, sandbox.Config{Service: time.Hour}, func(s *street) {
		s.arm(`{"kind":"status","status":502,"when":"after","next":1}`)
		s.arm(`{"kind":"list_short","size":5}`)
		s.lose(1, asha, hiAsha)
		for seq := range int64(5) {
			s.accept(200 + seq)
		}
		s.run(2 * time.Hour)
		s.want(0, 0, 0)
	})
	// The queue has passed it, but the provider does not know the chat.
	onStreet(t, sandbox.Config{}, func(s *street) {
		s.neighbors()
		s.arm(`{"kind":"list_short","size":1}`)
		s.arm(`{"kind":"reset","next":1}`)
		s.lose(1, asha, hiAsha)
		s.run(time.Second)
		s.accept(200)
		s.run(time.Hour)
		s.want(0, 0, 0, 0)
	})
}

// TestSandboxFirstRow has nothing before it that could show how far back the
// list reaches; the provider's counters show that it lacks nothing.
func TestSandboxFirstRow(t *testing.T) {
	t.Parallel()
	onStreet(t, sandbox.Config{}, func(s *street) {
		s.arm(`{"kind":"reset","next":1}`)
		s.lose(1, asha, hiAsha)
		s.neighbors()
		s.run(10 * time.Minute)
		s.want(0, 1, 0)
	})
}

// TestSandboxChatUnderAnotherNumber: the job is done and gone, and the message
// is in a chat that the provider lists by the number that WhatsApp has only.
func TestSandboxChatUnderAnotherNumber(t *testing.T) {
	t.Parallel()
	onStreet(t, sandbox.Config{Instant: true, Wire: sandbox.Wire{CanonicalChatsOnly: true}}, func(s *street) {
		s.neighbors()
		s.arm(`{"kind":"status","status":502,"when":"after","next":1}`)
		s.lose(1, "12015550521@c.us", hiAsha)
		s.accept(200)
		s.arm(`{"kind":"list_gone","delay":"1s"}`)
		s.run(4 * time.Hour)
		s.want(0, 0, 0)
	})
}

func TestSandboxPhoneDisconnected(t *testing.T) {
	t.Parallel()
	onStreet(t, sandbox.Config{}, func(s *street) {
		s.neighbors()
		s.arm(`{"kind":"reset","next":1}`)
		s.lose(1, asha, hiAsha)
		check(t, s.sim.Disconnect(string(streetSender.Phone)))
		s.run(time.Hour)
		if len(s.returned) != 0 || s.open(s.r) != 1 {
			t.Errorf("returned %d, open %d while the phone is not connected", len(s.returned), s.open(s.r))
		}
		check(t, s.sim.Connect(string(streetSender.Phone)))
		s.run(5 * time.Minute)
		s.want(0, 1, 0)
	})
}

func TestSandboxTwoCampaignsOneText(t *testing.T) {
	t.Parallel()
	onStreet(t, sandbox.Config{}, func(s *street) {
		s.neighbors()
		s.arm(`{"kind":"status","status":502,"when":"after","next":1}`)
		s.lose(1, asha, hiAsha)
		s.arm(`{"kind":"reset","next":1}`)
		s.lose(2, asha, hiAsha)
		s.unknown[1].Campaign = "cmp_2"
		s.run(10 * time.Minute)
		s.want(1, 1, 0, 2)
		if s.found[0].seq == s.returned[0].seq {
			t.Error("both are one row")
		}
	})
}

func TestSandboxPolicies(t *testing.T) {
	t.Parallel()
	const lost, rewritten = `{"kind":"reset","next":1}`, `{"kind":"rewrite"}`
	const taken = `{"kind":"status","status":502,"when":"after","next":1}`
	for name, test := range map[string]struct {
		policy            campaign.UnknownPolicy
		faults            []string
		returned, assumed int
		messages          int
	}{
		"assume sent, lost":      {campaign.PolicyAssumeSent, []string{lost}, 1, 0, 1},
		"assume sent, rewritten": {campaign.PolicyAssumeSent, []string{taken, rewritten}, 0, 1, 1},
		"resend, lost":           {campaign.PolicyResend, []string{lost}, 1, 0, 1},
		"resend, rewritten":      {campaign.PolicyResend, []string{taken, rewritten}, 1, 0, 2}, // what the operator chose
		"resend, no list":        {campaign.PolicyResend, []string{lost, `{"kind":"status","status":404,"route":"queues"}`}, 1, 0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onStreet(t, sandbox.Config{}, func(s *street) {
				s.cfg.Attention["cmp_1"] = status.Attention{Policy: test.policy}
				s.neighbors()
				for _, fault := range test.faults {
					s.arm(fault)
				}
				s.lose(1, asha, hiAsha)
				s.run(10 * time.Minute)
				s.want(0, test.returned, test.assumed, test.messages)
			})
		})
	}
}
