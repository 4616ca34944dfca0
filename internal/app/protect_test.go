package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mattn/go-sqlite3"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/sandbox"
)

const secondSender = "12015550124"

// twoSenders is text with a second sender.
func (th *theater) twoSenders(n int, more string) string {
	th.t.Helper()
	file := th.text(n, more)
	content, err := os.ReadFile(file)
	check(th.t, err)
	return th.write("campaign.yaml", strings.Replace(string(content), `"`+testSender+`"`, `"`+testSender+`", "`+secondSender+`"`, 1))
}

// lines are the lines of the log with the level and the words.
func (l *logBook) lines(level slog.Level, words string) int {
	n := 0
	for line := range strings.Lines(l.String()) {
		var entry struct {
			Level slog.Level `json:"level"`
			Msg   string     `json:"msg"`
		}
		if json.Unmarshal([]byte(line), &entry) == nil && entry.Level == level && strings.Contains(entry.Msg, words) {
			n++
		}
	}
	return n
}

// heldEvents are the lines of the timeline about holds for the reason.
func heldEvents(t *testing.T, a *App, id campaign.ID, reason campaign.PauseReason) []string {
	t.Helper()
	events, err := a.store.Timeline(t.Context(), id)
	check(t, err)
	var details []string
	for _, e := range events {
		if (e.Kind == campaign.EventHeld || e.Kind == campaign.EventReleased) && e.Reason == reason {
			details = append(details, e.Detail)
		}
	}
	return details
}

// TestDiskFullHoldsAndGoesOn: below the mark nothing is sent, it is said once,
// and it goes on alone.
func TestDiskFullHoldsAndGoesOn(t *testing.T) {
	t.Parallel()
	th := newTheater(t, nil)
	var free atomic.Uint64
	free.Store(10 << 30)
	th.tuning.free = func(string) (uint64, uint64, error) { return free.Load(), 100 << 30, nil }
	th.tuning.diskEvery = 10 * time.Millisecond
	var full, quiet bool
	var calls int
	ticks := 0
	var a *App
	progress := func(p Progress) {
		switch {
		case !full && p.Accepted() > 50:
			full = true
			free.Store(diskStop - 1)
		case full && !quiet && len(p.Holds) > 0 && p.Totals.ByStatus[campaign.StatusSubmitting] == 0:
			if ticks++; ticks == 1 {
				calls = len(th.api.sentBodies())
			}
			if ticks == 5 {
				quiet = true
				if n := len(th.api.sentBodies()) - calls; n > 0 {
					t.Errorf("%d messages were sent on a full disk", n)
				}
				if p.Campaign.State != campaign.StateRunning || len(p.Holds) != 1 || p.Holds[0].Reason != campaign.PauseDiskFull || p.Holds[0].Detail == "" || p.Silent > 0 {
					t.Errorf("the campaign is %s, held: %+v", p.Campaign.State, p.Holds)
				}
				seenFromOutside(t, a, p.Campaign.ID)
				free.Store(diskStop + 1<<20) // not yet enough to start again
				time.AfterFunc(200*time.Millisecond, func() { free.Store(diskStop * 2) })
			}
		}
	}
	a = th.open()
	result, err := runIn(t.Context(), a, th.text(400, "pace: { rate: 200/s, in_flight: 4 }\n"), PrepareOptions{}, RunOptions{Progress: progress})
	check(t, err)
	if !quiet {
		t.Fatal("the disk was never full")
	}
	wantTotals(t, result.Totals, map[campaign.Status]int64{campaign.StatusQueued: 400})
	if n := th.log.lines(slog.LevelError, "disk full"); n != 1 {
		t.Errorf("a full disk was told %d times", n)
	}
	if n := th.log.lines(slog.LevelWarn, "runs low"); n != 1 {
		t.Errorf("a disk that runs low was told %d times", n)
	}
	if events := heldEvents(t, a, result.Campaign.ID, campaign.PauseDiskFull); len(events) != 2 || !strings.Contains(events[0], "left") || !strings.Contains(events[1], "goes on") {
		t.Errorf("timeline: %q", events)
	}
	if view, err := a.Campaign(t.Context(), string(result.Campaign.ID)); err != nil || len(view.Held) > 0 {
		t.Errorf("held although it is over: %+v, %v", view.Held, err)
	}
	th.audit(a)
	check(t, a.Close())
}

// seenFromOutside: who only looks at the ledger sees that nothing is sent.
func seenFromOutside(t *testing.T, a *App, id campaign.ID) {
	t.Helper()
	view, err := a.Campaign(t.Context(), string(id))
	check(t, err)
	if len(view.Held) != 1 || view.Held[0].Reason != campaign.PauseDiskFull || view.Held[0].Since.IsZero() || !view.HeldAll() {
		t.Errorf("seen from outside: held %+v", view.Held)
	}
	written, err := a.Report(t.Context(), id, true)
	check(t, err)
	var text strings.Builder
	check(t, written.Text(&text, 120, false))
	if !strings.Contains(text.String(), "it is held: the disk is full since ") || strings.Contains(text.String(), "it is being sent") {
		t.Errorf("the report says:\n%s", text.String())
	}
}

// TestFailedWriteHoldsAtOnce: a quota refuses writes although statfs sees
// room. It goes on when a write worked, and more carefully each time.
func TestFailedWriteHoldsAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var notes, holds, releases atomic.Int64
		log := &logBook{}
		w := &diskWatch{
			dir: "data", log: slog.New(slog.NewJSONHandler(log, nil)), every: 2 * time.Second, look: make(chan struct{}, 1),
			free:    func(string) (uint64, uint64, error) { return 10 << 30, 100 << 30, nil },
			hold:    func(string) { holds.Add(1) },
			release: func() { releases.Add(1) },
			note:    func(context.Context, campaign.EventKind, string) error { notes.Add(1); return nil },
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); w.run(ctx) }()
		noRoom := &campaign.Error{Code: campaign.CodeUnavailable, Err: sqlite3.Error{Code: sqlite3.ErrFull}}
		w.wrote(errors.New("something else"))
		w.wrote(nil)
		if w.isFull() {
			t.Fatal("held for nothing")
		}
		for range 100 { // one task after the other finds the disk full
			w.wrote(noRoom)
		}
		if !w.isFull() || holds.Load() != 1 {
			t.Fatalf("held %d times", holds.Load())
		}
		advance := func(d time.Duration) { <-time.After(d); synctest.Wait() }
		advance(time.Minute)
		if !w.isFull() {
			t.Error("let go before a write worked")
		}
		w.wrote(nil)
		advance(3 * time.Second)
		if w.isFull() || releases.Load() != 1 || notes.Load() != 2 {
			t.Errorf("full %t, let go %d times, %d lines in the timeline", w.isFull(), releases.Load(), notes.Load())
		}
		// A disk on the edge: full again whenever there is work.
		began := holds.Load()
		for range 30 * 60 {
			w.wrote(noRoom)
			w.wrote(nil)
			advance(time.Second)
			if w.isFull() {
				advance(0)
				continue
			}
		}
		if n := holds.Load() - began; n > 40 {
			t.Errorf("held %d times in half an hour on the edge", n)
		}
		if n := log.lines(slog.LevelError, "disk full"); int64(n) != holds.Load() {
			t.Errorf("%d lines for %d holds", n, holds.Load())
		}
		cancel()
		<-done
	})
}

// TestSmallDiskHasASmallMark: a twentieth of a small disk is enough.
func TestSmallDiskHasASmallMark(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		free, total uint64
		full        bool
	}{
		{60 << 20, 100 << 30, true}, {65 << 20, 100 << 30, false}, {20 << 20, 48 << 20, false}, {2 << 20, 48 << 20, true},
	} {
		w := &diskWatch{
			log: slog.New(slog.DiscardHandler), hold: func(string) {}, release: func() {},
			free: func(string) (uint64, uint64, error) { return test.free, test.total, nil },
		}
		w.inspect(t.Context())
		if w.isFull() != test.full {
			t.Errorf("%d of %d bytes free: full %t", test.free, test.total, w.isFull())
		}
	}
	if free, total, err := freeSpace(t.TempDir()); err != nil || total == 0 || free > total {
		t.Errorf("freeSpace = %d of %d, %v", free, total, err)
	}
}

// TestDisconnectedPhoneHoldsItsSender: one of two phones is logged out in the
// middle. Its messages wait, the other's go on, nobody is failed or sent twice,
// and it goes on alone when it is connected again.
func TestDisconnectedPhoneHoldsItsSender(t *testing.T) {
	t.Parallel()
	for _, policy := range []sandbox.DisconnectedPolicy{sandbox.DisconnectedHold, sandbox.DisconnectedReject} {
		t.Run(string(policy), func(t *testing.T) {
			t.Parallel()
			th := newTheater(t, func(c *sandbox.Config) { c.OnDisconnected = policy })
			th.tuning.phoneEvery, th.tuning.phoneGiveUp = 20*time.Millisecond, time.Minute
			accepted := func(phone string) (n int) {
				for _, acceptance := range th.sim.Acceptances() {
					if acceptance.Phone == phone {
						n++
					}
				}
				return n
			}
			var cut, back bool
			var ticks, before int
			progress := func(p Progress) {
				switch {
				case !cut && p.Accepted() > 40:
					cut = true
					check(t, th.sim.Disconnect(testSender))
				case cut && !back && len(p.Holds) > 0:
					if ticks++; ticks == 2 { // what was under way has come back
						before = accepted(testSender)
					}
					if ticks > 4 && accepted(secondSender) == 150 {
						back = true
						if n := accepted(testSender) - before; n > 0 {
							t.Errorf("%d messages went to a phone that is not connected", n)
						}
						check(t, th.sim.Connect(testSender))
					}
				}
			}
			a := th.open()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			result, err := runIn(ctx, a, th.twoSenders(300, "pace: { rate: 100/s, in_flight: 2 }\n"), PrepareOptions{}, RunOptions{Progress: progress})
			check(t, err)
			if !back {
				t.Fatal("the phone was never cut off")
			}
			wantTotals(t, result.Totals, map[campaign.Status]int64{campaign.StatusQueued: 300})
			if n := th.log.lines(slog.LevelWarn, "not connected"); n != 1 {
				t.Errorf("told %d times that the phone is not connected", n)
			}
			if events := heldEvents(t, a, result.Campaign.ID, campaign.PauseDisconnected); len(events) < 1 || strings.Contains(strings.Join(events, ""), testSender) {
				t.Errorf("timeline: %q", events)
			}
			th.audit(a)
			check(t, a.Close())
		})
	}
}

// TestNoSenderConnectedGivesUp: with no phone left for too long the campaign
// pauses, so that whoever started it learns of it; then it goes on.
func TestNoSenderConnectedGivesUp(t *testing.T) {
	t.Parallel()
	th := newTheater(t, func(c *sandbox.Config) { c.OnDisconnected = sandbox.DisconnectedReject })
	th.tuning.phoneEvery, th.tuning.phoneGiveUp = 20*time.Millisecond, 400*time.Millisecond
	file := th.text(100, "pace: { rate: 100/s, in_flight: 2 }\n")
	a := th.open()
	progress := whenAccepted(20, func() { check(t, th.sim.Disconnect(testSender)) })
	_, err := runIn(t.Context(), a, file, PrepareOptions{}, RunOptions{Progress: progress})
	if ExitCode(err) != 4 {
		t.Fatalf("run = %v, exit code %d, want 4", err, ExitCode(err))
	}
	c, err := a.store.CampaignNamed(t.Context(), "A test")
	check(t, err)
	totals, err := a.store.Totals(t.Context(), c.ID)
	check(t, err)
	if c.Reason != campaign.PauseDisconnected || totals.ByStatus[campaign.StatusFailed]+totals.ByStatus[campaign.StatusUnknown] > 0 {
		t.Errorf("paused for %q, %v", c.Reason, totals.ByStatus)
	}
	th.audit(a)
	check(t, a.Close())
	check(t, th.sim.Connect(testSender))
	wantTotals(t, th.mustRun(file, PrepareOptions{}).Totals, map[campaign.Status]int64{campaign.StatusQueued: 100})
}

// TestPhoneThatIsSaidToBeConnectedGivesUp: the list of phones says connected,
// every send is told that the phone is not. The sender tries again after each
// look, and the campaign pauses as it would without the list, also when two
// senders are let go at different times.
func TestPhoneThatIsSaidToBeConnectedGivesUp(t *testing.T) {
	t.Parallel()
	for _, senders := range []int{1, 2} {
		t.Run(fmt.Sprint(senders), func(t *testing.T) {
			t.Parallel()
			th := newTheater(t, nil)
			var refusing atomic.Bool
			refusing.Store(true)
			inner := th.api.handler
			th.api.handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if !refusing.Load() || !strings.HasSuffix(r.URL.Path, "/message/send") {
					inner.ServeHTTP(w, r)
					return
				}
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(http.StatusBadRequest)
				_, _ = io.WriteString(w, notConnected)
			})
			th.tuning.phoneEvery, th.tuning.phoneGiveUp = 50*time.Millisecond, 600*time.Millisecond
			const pace = "pace: { rate: 40/s, in_flight: 1 }\n"
			file := th.text(100, pace)
			if senders == 2 {
				file = th.twoSenders(100, pace)
			}
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			result, err := th.run(ctx, file, PrepareOptions{}, RunOptions{})
			if ExitCode(err) != 4 || result.Interrupted || result.Campaign.Reason != campaign.PauseDisconnected {
				t.Fatalf("run = %v, interrupted %t, paused for %q", err, result.Interrupted, result.Campaign.Reason)
			}
			wantTotals(t, result.Totals, map[campaign.Status]int64{campaign.StatusPending: 100})
			if calls := th.api.count(); calls < 2*senders {
				t.Errorf("%d calls: nothing was tried again, the list was never believed", calls)
			}
			refusing.Store(false)
			wantTotals(t, th.mustRun(file, PrepareOptions{}).Totals, map[campaign.Status]int64{campaign.StatusQueued: 100})
		})
	}
}

// notConnected is how the API refuses a send for a phone that is not connected.
const notConnected = `{"code":"VALIDATION_ERROR","name":"ValidationError","message":"Phone {x-phone} is not connected"}`

// TestPhoneCheckThatFailsIsNoVerdict: an API that does not answer about the
// phone says nothing about the phone.
func TestPhoneCheckThatFailsIsNoVerdict(t *testing.T) {
	t.Parallel()
	for _, status := range []int{401, 404, 429, 500, 503} {
		th := newTheater(t, nil)
		th.tuning.phoneEvery, th.tuning.phoneGiveUp = 10*time.Millisecond, 100*time.Millisecond
		progress := whenAccepted(1, func() {
			check(t, th.sim.AddFault(sandbox.Fault{Kind: sandbox.FaultStatus, Status: status, HTML: status == 404, RetryAfter: "0.01", Route: sandbox.RoutePhones}))
		})
		result, err := th.run(t.Context(), th.text(100, "pace: { rate: 100/s, in_flight: 2 }\n"), PrepareOptions{}, RunOptions{Progress: progress})
		check(t, err)
		wantTotals(t, result.Totals, map[campaign.Status]int64{campaign.StatusQueued: 100})
		if n := th.log.lines(slog.LevelWarn, "not connected"); n > 0 {
			t.Errorf("HTTP %d was taken for a disconnected phone", status)
		}
	}
}

// TestBadTemplatePausesTheCampaign: over all senders nobody is tried after the
// streak, and the error quotes the provider.
func TestBadTemplatePausesTheCampaign(t *testing.T) {
	t.Parallel()
	th := newTheater(t, nil)
	a := th.open()
	progress := whenAccepted(20, func() {
		check(t, th.sim.AddFault(sandbox.Fault{Kind: sandbox.FaultStatus, Status: 422}))
	})
	_, err := runIn(t.Context(), a, th.twoSenders(300, "pace: { rate: 100/s, in_flight: 2 }\n"), PrepareOptions{}, RunOptions{Progress: progress})
	if ExitCode(err) != 3 || !strings.Contains(err.Error(), "bad template, not bad people") || !strings.Contains(err.Error(), "422") {
		t.Fatalf("run = %v, exit code %d, want 3", err, ExitCode(err))
	}
	c, err := a.store.CampaignNamed(t.Context(), "A test")
	check(t, err)
	totals, err := a.store.Totals(t.Context(), c.ID)
	check(t, err)
	if failed := totals.ByStatus[campaign.StatusFailed]; c.Reason != campaign.PauseFailureRate || failed < 21 || failed > 24 || th.api.answered(422) != int(failed) {
		t.Errorf("paused for %q after %d rejections, %v", c.Reason, th.api.answered(422), totals.ByStatus)
	}
	th.audit(a)
	check(t, a.Close())
}

// TestMediaFileLostWhileSending: nobody's fault but the file's, and no outage.
func TestMediaFileLostWhileSending(t *testing.T) {
	t.Parallel()
	th := newTheater(t, nil)
	th.write("flyer.png", "\x89PNG\r\n\x1a\n"+strings.Repeat("not much of a picture ", 100))
	th.write("recipients.csv", rows(1, 100))
	file := th.write("campaign.yaml", "name: Flyer\nrecipients: { csv: recipients.csv, phone: phone }\n"+
		"message: { text: \"Hi {{ name }}\", media: { type: image, file: flyer.png } }\nsenders: [\""+testSender+"\"]\npace: { rate: 100/s }\n")
	media, away := filepath.Join(th.dir, "data", "media"), filepath.Join(th.dir, "away")
	a := th.open()
	_, err := runIn(t.Context(), a, file, PrepareOptions{}, RunOptions{Progress: whenAccepted(10, func() { check(t, os.Rename(media, away)) })})
	if ExitCode(err) != 3 || !strings.Contains(err.Error(), "media file") {
		t.Fatalf("run = %v, exit code %d, want 3", err, ExitCode(err))
	}
	c, err := a.store.CampaignNamed(t.Context(), "Flyer")
	check(t, err)
	totals, err := a.store.Totals(t.Context(), c.ID)
	check(t, err)
	if c.Reason != campaign.PauseMedia || totals.ByStatus[campaign.StatusFailed]+totals.ByStatus[campaign.StatusUnknown] > 0 {
		t.Errorf("paused for %q, %v", c.Reason, totals.ByStatus)
	}
	check(t, a.Close())
	check(t, os.RemoveAll(media)) // the second run makes its folder anew
	check(t, os.Rename(away, media))
	wantTotals(t, th.mustRun(file, PrepareOptions{}).Totals, map[campaign.Status]int64{campaign.StatusQueued: 100})
}
