package dispatcher

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/herald-campaigns/herald/campaign"
)

func accept(_ time.Time, row int64, _ int) campaign.Outcome {
	return campaign.Outcome{Kind: campaign.OutcomeAccepted, HTTPStatus: 200, QueueID: fmt.Sprint(row)}
}

// pace20 is twenty a second, eight under way.
var pace20 = campaign.Pace{Rate: campaign.Rate{Count: 20, Per: time.Second}, InFlight: 8} //nolint:gochecknoglobals // a value

// TestBurstOfErrorsCostsFewRequests is ten minutes of answers that make no
// sense, in the middle of a campaign: the breaker lets single probes through,
// nobody is called twice, and it goes on by itself (reliability page §3.4, P10).
func TestBurstOfErrorsCostsFewRequests(t *testing.T) {
	t.Parallel()
	for name, bad := range map[string]campaign.Outcome{
		"5xx":       {Kind: campaign.OutcomeUnknown, HTTPStatus: 503, Detail: "HTTP 503"},
		"malformed": {Kind: campaign.OutcomeUnknown, HTTPStatus: 200, Detail: "no JSON"},
		"no answer": {Kind: campaign.OutcomeUnknown, Detail: "timeout"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				from, to := began.Add(time.Minute), began.Add(11*time.Minute)
				w := newWorld(t, 100_000, func(at time.Time, row int64, attempt int) campaign.Outcome {
					if !at.Before(from) && at.Before(to) {
						return bad
					}
					return accept(at, row, attempt)
				})
				w.run(14*time.Minute, Config{Pace: pace20, GiveUp: time.Hour})
				// 5 open it, up to 7 more are under way, then a probe each
				// 1, 2, 4 … 60 s less jitter of a half.
				requests := w.sent(from, to)
				if requests < 10 || requests > 40 {
					t.Errorf("%d requests in ten bad minutes", requests)
				}
				if before := w.sent(began, from); before < 1150 {
					t.Errorf("%d requests in the minute before: this test is none", before)
				}
				if after := w.sent(to, to.Add(3*time.Minute)); after < 2*1150 {
					t.Errorf("%d requests in the three minutes after: it does not go on by itself", after)
				}
				if extra, most := w.repeats(); extra > 0 || most > 1 {
					t.Errorf("%d requests repeated a call that may have been taken", extra)
				}
				if unknown := w.in(campaign.StatusUnknown); len(unknown) != requests {
					t.Errorf("%d rows are unknown after %d bad answers", len(unknown), requests)
				}
				if w.paused != "" || len(w.in(campaign.StatusFailed)) > 0 {
					t.Errorf("paused %q, failed %v", w.paused, w.in(campaign.StatusFailed))
				}
			})
		})
	}
}

// TestAtMostThreeAttempts: only calls that certainly were not sent are
// repeated, and the third one in vain pauses the campaign instead of failing
// the person (P10, P11).
func TestAtMostThreeAttempts(t *testing.T) {
	t.Parallel()
	for _, kind := range campaign.OutcomeKinds() {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 200, func(_ time.Time, row int64, _ int) campaign.Outcome {
					return campaign.Outcome{Kind: kind, RetryAfter: time.Second, Pause: campaign.PauseRefused, QueueID: fmt.Sprint(row), Detail: fmt.Sprint("as ", row)}
				})
				w.run(time.Hour, Config{Pace: pace20, GiveUp: 24 * time.Hour})
				_, most := w.repeats()
				want := 1
				if kind == campaign.OutcomeUnavailable {
					want = campaign.MaxAttempts
				}
				// Throttled calls were not taken and cost no attempt: they come
				// again for as long as the API says so, at the sender's expense.
				if kind != campaign.OutcomeThrottled && most > want {
					t.Errorf("a row was called %d times, want at most %d", most, want)
				}
				for row, n := range w.attempts {
					if n > campaign.MaxAttempts {
						t.Errorf("row %d used %d attempts", row, n)
					}
				}
				if kind == campaign.OutcomeUnavailable && (w.paused != campaign.PauseUnavailable || len(w.in(campaign.StatusFailed)) > 0) {
					t.Errorf("paused %q, failed %v", w.paused, w.in(campaign.StatusFailed))
				}
			})
		})
	}
}

// TestRejectionsAlikePauseTheCampaign: the message is at fault, so nobody is
// tried after the twenty-first rejection with the same words.
func TestRejectionsAlikePauseTheCampaign(t *testing.T) {
	t.Parallel()
	reject := func(status int, words string, row int64) campaign.Outcome {
		return campaign.Outcome{Kind: campaign.OutcomeRejected, HTTPStatus: status, Detail: fmt.Sprintf("%s, not 91******%04d", words, row)}
	}
	for name, test := range map[string]struct {
		answer   func(row int64) campaign.Outcome
		inFlight int
		paused   bool
		requests int // 0: all of them
	}{
		"all alike, one at a time": {func(row int64) campaign.Outcome { return reject(400, "Invalid body", row) }, 1, true, MostAlike + 1},
		"all alike, eight at once": {func(row int64) campaign.Outcome { return reject(400, "Invalid body", row) }, 8, true, MostAlike + 8},
		"one accepted in between": {func(row int64) campaign.Outcome {
			if row%20 == 0 {
				return accept(time.Time{}, row, 1)
			}
			return reject(400, "Invalid body", row)
		}, 1, false, 0},
		"another status in between": {func(row int64) campaign.Outcome { return reject(400+4*int(row/15%2), "No", row) }, 1, false, 0},
		"other words in between": {func(row int64) campaign.Outcome {
			return reject(400, strings.Repeat("no ", int(row/15%2)+1), row)
		}, 1, false, 0},
		"a lost answer in between is no answer": {func(row int64) campaign.Outcome {
			if row == 10 {
				return campaign.Outcome{Kind: campaign.OutcomeUnknown, HTTPStatus: 503}
			}
			return reject(422, "Invalid poll", row)
		}, 1, true, MostAlike + 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 100, func(_ time.Time, row int64, _ int) campaign.Outcome {
					pause(t.Context(), 400*time.Millisecond)
					return test.answer(row)
				})
				pace := pace20
				pace.InFlight = test.inFlight
				w.run(5*time.Minute, Config{Pace: pace})
				most := test.requests
				if most == 0 {
					most = 100
				}
				if n := len(w.requests); n > most || n < most-test.inFlight+1 {
					t.Errorf("%d requests, want %d", n, most)
				}
				if (w.paused == campaign.PauseFailureRate) != test.paused || (w.paused != "") != test.paused {
					t.Fatalf("paused for %q: %s", w.paused, w.detail)
				}
				for _, words := range []string{"Invalid", "bad template, not bad people", "marked failed"} {
					if test.paused && !strings.Contains(w.detail, words) {
						t.Errorf("the pause says %q, want %q in it", w.detail, words)
					}
				}
			})
		})
	}
}

// TestRejectionsAlikeCountOverAllSenders: two dispatchers share the streak.
func TestRejectionsAlikeCountOverAllSenders(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 200, func(time.Time, int64, int) campaign.Outcome {
			return campaign.Outcome{Kind: campaign.OutcomeRejected, HTTPStatus: 400, Detail: "Invalid body"}
		})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		second := w.dispatcher(Config{Pace: campaign.Pace{InFlight: 1}})
		done := make(chan error, 1)
		go func() { done <- second.Run(ctx, campaign.Lease{Epoch: 1}, func() bool { return true }) }()
		w.run(time.Minute, Config{Pace: campaign.Pace{InFlight: 1}})
		if err := <-done; err != nil {
			t.Error(err)
		}
		if n := len(w.requests); n < MostAlike+1 || n > MostAlike+2 || w.paused != campaign.PauseFailureRate {
			t.Errorf("%d requests over both senders, paused for %q", n, w.paused)
		}
	})
}

// failing is a world in which the first pauses cannot be written.
type failing struct {
	*world
	left *int
}

func (f failing) Pause(ctx context.Context, id campaign.ID, reason campaign.PauseReason, detail string) error {
	f.mu.Lock()
	fails := *f.left > 0
	*f.left--
	f.mu.Unlock()
	if fails {
		return errors.New("the ledger is busy")
	}
	return f.world.Pause(ctx, id, reason, detail)
}

// TestPauseThatFailedIsAskedForAgain: a ledger that was busy for a moment does
// not leave a campaign that may send nothing running for ever.
func TestPauseThatFailedIsAskedForAgain(t *testing.T) {
	t.Parallel()
	for _, failures := range []int{1, 30} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, 100, func(time.Time, int64, int) campaign.Outcome {
				return campaign.Outcome{Kind: campaign.OutcomeRejected, HTTPStatus: 400, Detail: "Invalid body"}
			})
			var text bytes.Buffer
			w.log = slog.New(slog.NewTextHandler(&text, nil))
			d, left := w.dispatcher(Config{Pace: campaign.Pace{InFlight: 1}}), failures
			d.Pauser = failing{w, &left}
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
			defer cancel()
			if err := d.Run(ctx, campaign.Lease{Epoch: 1}, func() bool { return true }); err != nil {
				t.Error(err)
			}
			if w.paused != campaign.PauseFailureRate || !strings.Contains(w.detail, "bad template, not bad people") {
				t.Errorf("paused for %q: %s", w.paused, w.detail)
			}
			if n := len(w.requests); n != MostAlike+1 {
				t.Errorf("%d requests, want %d", n, MostAlike+1)
			}
			if n := strings.Count(text.String(), "not paused yet"); n != 1 {
				t.Errorf("told %d times:\n%s", n, text.String())
			}
		})
	}
}

// TestHeldSenderBeginsNoCall: not one call begins while there is a reason, the
// sender goes on by itself, and does not catch up.
func TestHeldSenderBeginsNoCall(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 100_000, accept)
		began := time.Now()
		var held, free time.Time
		go func() {
			pause(t.Context(), 10*time.Second+10*time.Millisecond) // in the middle of a gap
			if !w.hold.Set(campaign.PauseDiskFull, "no room") || w.hold.Set(campaign.PauseDiskFull, "again") {
				t.Error("a reason is new once")
			}
			held = time.Now()
			w.hold.Set(campaign.PauseDisconnected, "")
			pause(t.Context(), time.Minute)
			w.hold.Clear(campaign.PauseDiskFull) // one reason is left
			pause(t.Context(), time.Minute)
			free = time.Now()
			if !w.hold.Clear(campaign.PauseDisconnected) || w.hold.Clear(campaign.PauseDisconnected) {
				t.Error("a reason is taken away once")
			}
		}()
		w.run(3*time.Minute, Config{Pace: pace20})
		if n := w.sent(held, free); n > 0 {
			t.Errorf("%d calls began while the sender was held", n)
		}
		if n := w.sent(began, held); n < 190 {
			t.Errorf("%d calls before: this test is none", n)
		}
		if n := w.sent(free, free.Add(time.Second)); n < 15 || n > 21 {
			t.Errorf("%d calls in the second after, at 20 a second", n)
		}
	})
}

// TestHoldTellsSinceWhenTheTroubleLasts: a check that says all is well, and a
// call that is refused right after, are one trouble and not two.
func TestHoldTellsSinceWhenTheTroubleLasts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h, began := NewHold(), time.Now()
		h.Set(campaign.PauseDisconnected, "first")
		pause(t.Context(), time.Minute)
		h.Clear(campaign.PauseDisconnected)
		if _, doubted := h.Doubted(campaign.PauseDisconnected); doubted {
			t.Error("the first time, whoever takes the reason away is believed")
		}
		pause(t.Context(), time.Minute)
		h.Set(campaign.PauseDisconnected, "second")
		if held := h.Held(); len(held) != 1 || !held[0].Since.Equal(began) || held[0].Detail != "second" {
			t.Errorf("held: %+v", held)
		}
		if _, doubted := h.Doubted(campaign.PauseDisconnected); doubted {
			t.Error("what holds is in no doubt")
		}
		h.Clear(campaign.PauseDisconnected)
		if held, doubted := h.Doubted(campaign.PauseDisconnected); !doubted || !held.Since.Equal(began) {
			t.Errorf("let go for the second time without a call that worked: doubted %t, %+v", doubted, held)
		}
		h.Proven()
		if _, doubted := h.Doubted(campaign.PauseDisconnected); doubted {
			t.Error("a call worked, and it is in doubt still")
		}
		h.Set(campaign.PauseDisconnected, "third")
		if held := h.Held(); len(held) != 1 || !held[0].Since.Equal(time.Now()) {
			t.Errorf("after an acceptance: %+v", held)
		}
	})
}

// TestDisconnectedPhoneHoldsItsSenderOnly: the refusal pauses no campaign, and
// nobody is failed for it.
func TestDisconnectedPhoneHoldsItsSenderOnly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 100, func(at time.Time, row int64, attempt int) campaign.Outcome {
			if row == 11 && attempt == 1 && at.Before(time.Unix(1<<60, 0)) {
				return campaign.Outcome{Kind: campaign.OutcomeRefused, Pause: campaign.PauseDisconnected, Detail: "phone is disconnected"}
			}
			return accept(at, row, attempt)
		})
		w.run(time.Minute, Config{Pace: campaign.Pace{InFlight: 1, Rate: pace20.Rate}})
		if n := len(w.requests); n != 11 || w.paused != "" || w.hold.Open() {
			t.Errorf("%d requests, paused for %q, held: %v", n, w.paused, w.hold.Held())
		}
		if failed := w.in(campaign.StatusFailed); len(failed) > 0 || w.attempts[11] != 0 {
			t.Errorf("failed: %v; row 11 used %d attempts", failed, w.attempts[11])
		}
	})
}

// TestSlowLedgerStillSends: intents that take seconds to write are no reason to
// give rows back for ever; beyond the deadline they are.
func TestSlowLedgerStillSends(t *testing.T) {
	t.Parallel()
	for takes, sends := range map[time.Duration]bool{3 * time.Second: true, 4900 * time.Millisecond: true, 6 * time.Second: false} {
		t.Run(takes.String(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 3, accept)
				var asked []time.Time
				w.claims = func(campaign.Intent) error {
					asked = append(asked, time.Now())
					pause(t.Context(), takes)
					return nil
				}
				var text bytes.Buffer
				w.log = slog.New(slog.NewTextHandler(&text, nil))
				w.run(time.Minute, Config{Pace: campaign.Pace{InFlight: 1}})
				if (len(w.requests) == 3) != sends || (w.gaveBack == 0) != sends {
					t.Errorf("%d sent, %d given back", len(w.requests), w.gaveBack)
				}
				for i, r := range w.requests {
					if late := r.at.Sub(asked[i]); late > sendDeadline {
						t.Errorf("a call began %s after its intent was asked for", late)
					}
				}
				if n := strings.Count(text.String(), "writing an intent takes long"); n != 1 {
					t.Errorf("told %d times that the ledger is slow:\n%s", n, text.String())
				}
			})
		})
	}
}

// TestFrozenProcessGivesTheRowBack: between the intent and the call the process
// stood still for ten minutes, by either clock.
func TestFrozenProcessGivesTheRowBack(t *testing.T) {
	t.Parallel()
	for name, thaw := range map[string]func(time.Time) time.Time{
		"both clocks": func(now time.Time) time.Time { return now.Add(10 * time.Minute) },
		"the monotonic clock stood still": func(now time.Time) time.Time {
			return now.Round(0).Add(10 * time.Minute)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 1, accept)
				frozen := false
				w.claims = func(campaign.Intent) error { frozen = w.gaveBack == 0; return nil }
				clock := func() time.Time {
					if frozen {
						return thaw(time.Now())
					}
					return time.Now()
				}
				w.run(30*time.Second, Config{Pace: campaign.Pace{InFlight: 1}, Clock: clock})
				if w.gaveBack != 1 || len(w.requests) != 1 {
					t.Errorf("%d given back, %d sent; want the first try given back and the second sent", w.gaveBack, len(w.requests))
				}
			})
		})
	}
}

// TestLateFirstByteIsGivenBack: the call had begun in time, and then stood
// still or lost its lease before the first byte. That says nothing of the API:
// no attempt is counted and the breaker does not hear of it.
func TestLateFirstByteIsGivenBack(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		dial, frozen time.Duration
		lost         bool
		late         bool
	}{
		"in time":                         {dial: 4 * time.Second},
		"a connection took too long":      {dial: 6 * time.Second, late: true},
		"frozen, monotonic clock as well": {frozen: 10 * time.Minute, late: true},
		"the lease is over":               {lost: true, late: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				const rows = 12
				w := newWorld(t, rows, accept)
				var text bytes.Buffer
				w.log = slog.New(slog.NewTextHandler(&text, nil))
				var ahead time.Duration // of the wall clock only
				held, hurt := true, map[int64]bool{}
				var d *Dispatcher
				w.dials = func(row int64) {
					held = true
					d.breaker.mu.Lock()
					if n := d.breaker.failures; n > 0 {
						t.Errorf("the breaker counted %d failures", n)
					}
					d.breaker.mu.Unlock()
					if hurt[row] {
						return
					}
					hurt[row] = true
					pause(t.Context(), test.dial)
					ahead += test.frozen
					held = !test.lost
				}
				cfg := Config{
					Pace: campaign.Pace{InFlight: 1}, Streak: 2,
					Clock: func() time.Time { return time.Now().Round(0).Add(ahead) },
				}
				ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
				defer cancel()
				// The lease is back by the next claim: only the first byte met
				// its end.
				w.claims = func(campaign.Intent) error { held = true; return nil }
				d = w.dispatcher(cfg)
				if err := d.Run(ctx, campaign.Lease{Epoch: 1}, func() bool { return held }); err != nil {
					t.Errorf("Run = %v", err)
				}
				want := 0
				if test.late {
					want = rows
				}
				if w.gaveBack != want || len(w.requests) != rows || w.paused != "" {
					t.Errorf("%d given back, %d sent, paused %q; want %d, %d", w.gaveBack, len(w.requests), w.paused, want, rows)
				}
				for row, n := range w.attempts {
					if n != 1 {
						t.Errorf("row %d used %d attempts", row, n)
					}
				}
				if told := strings.Contains(text.String(), "row given back"); told != test.late {
					t.Errorf("told: %t\n%s", told, text.String())
				}
			})
		})
	}
}

// TestCallThatSleptIsGivenBack: the process stood still in the middle of a
// call, and the gateway gave it up before it asked. That was not the API.
func TestCallThatSleptIsGivenBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1, accept)
		var ahead time.Duration // of the wall clock
		d := w.dispatcher(Config{
			Pace:  campaign.Pace{InFlight: 1},
			Clock: func() time.Time { return time.Now().Round(0).Add(ahead) },
		})
		d.Gateway = gatewayFunc(func(task campaign.Task, begin func() error) campaign.Outcome {
			if ahead == 0 {
				ahead = 10 * time.Minute
				return campaign.Outcome{Kind: campaign.OutcomeUnavailable, Detail: "no answer within 30s"}
			}
			return w.Send(t.Context(), campaign.Sender{}, task, begin)
		})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := d.Run(ctx, campaign.Lease{Epoch: 1}, func() bool { return true }); err != nil {
			t.Errorf("Run = %v", err)
		}
		if w.gaveBack != 1 || w.attempts[1] != 1 || len(w.requests) != 1 {
			t.Errorf("%d given back, %d attempts, %d sent", w.gaveBack, w.attempts[1], len(w.requests))
		}
	})
}

// gatewayFunc is a gateway of the test's own.
type gatewayFunc func(task campaign.Task, begin func() error) campaign.Outcome

func (f gatewayFunc) Send(_ context.Context, _ campaign.Sender, task campaign.Task, begin func() error) campaign.Outcome {
	return f(task, begin)
}

// TestRefusedButDoubtfulIsNotGivenBack: a gateway that was told not to begin
// and yet cannot swear that nothing left makes the row unknown.
func TestRefusedButDoubtfulIsNotGivenBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1, nil)
		held := true
		d := w.dispatcher(Config{Pace: campaign.Pace{InFlight: 1}})
		d.Gateway = gatewayFunc(func(_ campaign.Task, begin func() error) campaign.Outcome {
			held = false
			_ = begin()
			return campaign.Outcome{Kind: campaign.OutcomeUnknown}
		})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := d.Run(ctx, campaign.Lease{Epoch: 1}, func() bool { return held }); err != nil {
			t.Errorf("Run = %v", err)
		}
		if w.gaveBack > 0 || w.status[1] != campaign.StatusUnknown {
			t.Errorf("%d given back, row is %s", w.gaveBack, w.status[1])
		}
	})
}

// TestTaskWithoutAnOutcomeIsSetAside: the stream is rid of a task whose intent
// can never be written; its row stays, and is handed over anew by the sweep for
// lost rows (internal/app). That is told.
func TestTaskWithoutAnOutcomeIsSetAside(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1, accept)
		w.claims = func(campaign.Intent) error { return errors.New("the row is damaged") }
		var text bytes.Buffer
		w.log = slog.New(slog.NewTextHandler(&text, nil))
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		done := make(chan struct{})
		go func() {
			defer close(done)
			_ = w.dispatcher(Config{Pace: campaign.Pace{InFlight: 1}}).Run(ctx, campaign.Lease{}, func() bool { return true })
		}()
		for w.settled(campaign.VerdictDone) == 0 {
			pause(t.Context(), time.Second)
		}
		cancel()
		<-done
		if later := w.settled(campaign.VerdictLater); later < mostDeliveries-1 || len(w.requests) > 0 || w.status[1] != "" {
			t.Errorf("set aside after %d deliveries, %d requests, row is %q", later+1, len(w.requests), w.status[1])
		}
		if n := strings.Count(text.String(), "set aside"); n != 1 {
			t.Errorf("told %d times:\n%s", n, text.String())
		}
	})
}

// TestRowThatCannotBeClaimedEndsTheRun: a row whose intent can never be written,
// while the ledger takes everything else, is handed over three times. Then the
// campaign pauses and says which row it is; nobody is failed, and everybody else
// has got the message.
func TestRowThatCannotBeClaimedEndsTheRun(t *testing.T) {
	t.Parallel()
	for name, spoilt := range map[string]func(seq int64, gen int64) bool{
		"for good":           func(seq, _ int64) bool { return seq == 5 },
		"for two hand-overs": func(seq, gen int64) bool { return seq == 5 && gen < 3 },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 20, accept)
				w.anew = true
				w.claims = func(in campaign.Intent) error {
					if spoilt(in.Task.Seq, in.Task.Gen) {
						return errors.New("the row is damaged")
					}
					return nil
				}
				w.run(time.Hour, Config{Pace: campaign.Pace{InFlight: 1}})
				if len(w.in(campaign.StatusFailed)) > 0 || len(w.requests) < 19 {
					t.Errorf("%d requests, failed: %v", len(w.requests), w.in(campaign.StatusFailed))
				}
				if spoilt(5, 3) {
					if w.paused != campaign.PauseUnavailable || !strings.Contains(w.detail, "row 5 ") || w.gens[5] != mostRounds {
						t.Errorf("paused for %q after %d hand-overs: %s", w.paused, w.gens[5], w.detail)
					}
				} else if w.paused != "" || len(w.requests) != 20 {
					t.Errorf("paused for %q, %d requests", w.paused, len(w.requests))
				}
			})
		})
	}
}

// TestLedgerTroubleIsToldOnce: an hour of failing claims is a line when it
// begins, one when the first task is set aside, and one when it is over.
func TestLedgerTroubleIsToldOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 20, accept)
		began := time.Now()
		w.claims = func(campaign.Intent) error {
			if time.Since(began) < time.Hour {
				return errors.New("no space left")
			}
			return nil
		}
		var text bytes.Buffer
		w.log = slog.New(slog.NewTextHandler(&text, nil))
		w.run(2*time.Hour, Config{Pace: campaign.Pace{InFlight: 1}})
		if n := strings.Count(text.String(), "\n"); n != 3 || len(w.requests) != 20 {
			t.Errorf("%d sent, %d lines:\n%.2000s", len(w.requests), n, text.String())
		}
	})
}

// repeating is a world whose API answers with one queue id only.
type repeating struct{ *world }

func (r repeating) Settle(ctx context.Context, s campaign.Settlement) (campaign.Status, error) {
	s.To = campaign.StatusUnknown // the ledger knows the queue id
	return r.world.Settle(ctx, s)
}

// TestRepeatedQueueIDsOpenTheBreaker: an API that gives the same job to
// everybody makes no more sense than one that answers in HTML.
func TestRepeatedQueueIDsOpenTheBreaker(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1000, accept)
		d := w.dispatcher(Config{Pace: campaign.Pace{InFlight: 1}, GiveUp: time.Hour})
		d.Settlements = repeating{w}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
		defer cancel()
		if err := d.Run(ctx, campaign.Lease{}, func() bool { return true }); err != nil {
			t.Error(err)
		}
		if n := len(w.requests); n < 5 || n > 30 {
			t.Errorf("%d requests to an API that repeats itself", n)
		}
	})
}
