package notices

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/herald-campaigns/herald/campaign"
)

// TestDelivery delivers to a receiver that checks as the library of Standard
// Webhooks tells it to.
func TestDelivery(t *testing.T) {
	t.Parallel()
	verifier, err := standardwebhooks.NewWebhook(string(testSecret))
	if err != nil {
		t.Fatal(err)
	}
	faults := make(chan error, 10)
	there := newReceiver(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err == nil {
			err = verifier.Verify(body, r.Header)
		}
		if err == nil && (string(body) != `{"type":"campaign.state_changed"}` || r.Header.Get("Content-Type") != "application/json" || r.Method != http.MethodPost) {
			err = errors.New("something else arrived: " + r.Method + " " + string(body))
		}
		faults <- err
		w.WriteHeader(http.StatusCreated)
	})
	box := new(outbox)
	n := notice("c1", 1, campaign.NoticeCampaign, there.URL+"/hook?key=k")
	n.Body = []byte(`{"type":"campaign.state_changed"}`)
	s := newSender(t, Config{Outbox: box, Marks: box})
	running(t, s)
	box.add(n)
	s.Poke()
	if err := <-faults; err != nil {
		t.Error(err)
	}
	if !s.Drain(t.Context(), 20*time.Second) {
		t.Error("Drain: something is left")
	}
	if got := box.marks(); len(got) != 1 || !got[0].Done || got[0].Failed != "" || got[0].ID != n.ID {
		t.Errorf("written down: %+v", got)
	}
}

// TestRetries follows one notice that is never taken through its three days.
func TestRetries(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		box := new(outbox)
		s := newSender(t, Config{Outbox: box, Marks: box})
		c := &courier{speed: 1}
		var times []time.Time
		s.post = func(_ context.Context, n campaign.Notice) campaign.Delivered {
			times = append(times, time.Now())
			return c.judge(n, http.StatusInternalServerError, nil)
		}
		stop := running(t, s)
		box.add(notice("c1", 1, campaign.NoticeCampaign, "https://example.com/"))
		s.Poke()
		time.Sleep(100 * time.Hour) //nolint:forbidigo // the bubble's clock
		stop()
		if len(times) != 10 {
			t.Fatalf("%d attempts, want 10", len(times))
		}
		for i, most := range schedule() {
			// The sender looks a moment late at most.
			if waited := times[i+1].Sub(times[i]); waited < 0 || waited > most+lookEvery {
				t.Errorf("waited %s after attempt %d, want at most %s", waited, i+1, most)
			}
		}
		if total := times[9].Sub(times[0]); total < 10*time.Hour {
			t.Errorf("gave up after %s", total)
		}
		marks := box.marks()
		if last := marks[9]; !last.Done || last.Failed != "given up after 10 attempts: the receiver answered 500" {
			t.Errorf("at the end: %+v", last)
		}
		for i, mark := range marks[:9] {
			if mark.Done || mark.Failed != "the receiver answered 500" {
				t.Errorf("attempt %d: %+v", i+1, mark)
			}
		}
	})
}

func TestSpeedShortensWaits(t *testing.T) {
	t.Parallel()
	var longest time.Duration
	for range 1000 {
		wait, ok := after(9, 1000)
		if !ok || wait < 0 || wait > 24*time.Hour/1000 {
			t.Fatalf("wait %s, %v", wait, ok)
		}
		longest = max(longest, wait)
	}
	if longest < 12*time.Hour/1000 {
		t.Errorf("the longest of 1,000 waits is %s: it is not spread", longest)
	}
	if _, ok := after(10, 1); ok {
		t.Error("there is an eleventh attempt")
	}
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]struct {
		done   bool
		failed string
	}{
		200: {true, ""}, 202: {true, ""}, 299: {true, ""},
		410: {true, "given up: the receiver answered 410 Gone"},
		302: {false, "the receiver answered 302"}, 400: {false, "the receiver answered 400"},
		401: {false, "the receiver answered 401"}, 429: {false, "the receiver answered 429"}, 503: {false, "the receiver answered 503"},
	} {
		t.Run(strconv.Itoa(status), func(t *testing.T) {
			t.Parallel()
			there := newReceiver(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Location", "/elsewhere")
				w.WriteHeader(status)
			})
			box := new(outbox)
			s := newSender(t, Config{Outbox: box, Marks: box})
			box.add(notice("c1", 1, campaign.NoticeMessage, there.URL))
			stop := running(t, s)
			eventually(t, "an attempt is written down", func() bool { return len(box.marks()) > 0 })
			stop()
			got := box.marks()[0]
			if got.Done != want.done || got.Failed != want.failed || got.Next.IsZero() != want.done {
				t.Errorf("written down %+v, want done %v, failed %q", got, want.done, want.failed)
			}
			if want.done && len(there.seen()) != 1 {
				t.Errorf("called %d times, want once", len(there.seen()))
			}
		})
	}
}

// TestRepeatedWithSameID ends a sender between the delivery and its mark. The
// next one delivers again, with the same id.
func TestRepeatedWithSameID(t *testing.T) {
	t.Parallel()
	there := newReceiver(t, taken)
	box := new(outbox)
	box.setBroken(true)
	box.add(notice("c1", 1, campaign.NoticeCampaign, there.URL))
	first := newSender(t, Config{Outbox: box, Marks: box})
	stop := running(t, first)
	eventually(t, "it was delivered", func() bool { return len(there.seen()) == 1 })
	first.Poke()
	first.Poke()
	stop()
	if got := there.seen(); len(got) != 1 {
		t.Errorf("delivered %d times while only the mark was lacking", len(got))
	}
	box.setBroken(false)
	second := newSender(t, Config{Outbox: box, Marks: box})
	running(t, second)
	if !second.Drain(t.Context(), 20*time.Second) {
		t.Error("Drain: something is left")
	}
	if got := words(there.seen()); got != "msg_c1_1 msg_c1_1" {
		t.Errorf("delivered %s, want the same id twice", got)
	}
}

// TestMarkIsTriedAgain delivers while nothing can be written, then it can.
func TestMarkIsTriedAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		box := new(outbox)
		box.setBroken(true)
		box.add(notice("c1", 1, campaign.NoticeCampaign, "https://example.com/"))
		s := newSender(t, Config{Outbox: box, Marks: box})
		calls := 0
		s.post = func(_ context.Context, n campaign.Notice) campaign.Delivered {
			calls++
			return campaign.Delivered{ID: n.ID, Done: true}
		}
		stop := running(t, s)
		time.Sleep(time.Minute) //nolint:forbidigo // the bubble's clock
		box.setBroken(false)
		if !s.Drain(t.Context(), time.Minute) {
			t.Error("Drain: something is left")
		}
		stop()
		if calls != 1 || len(box.marks()) != 1 {
			t.Errorf("%d calls, %d marks; want one of each", calls, len(box.marks()))
		}
	})
}

// TestOrder holds each answer: a state change goes alone within its campaign,
// and other campaigns go on beside it.
func TestOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		box := new(outbox)
		const url = "https://example.com/"
		box.add(
			notice("a", 1, campaign.NoticeCampaign, url), notice("a", 2, campaign.NoticeMessage, url), notice("a", 3, campaign.NoticeReply, url),
			notice("a", 4, campaign.NoticeCampaign, url), notice("a", 5, campaign.NoticeMessage, url), notice("b", 1, campaign.NoticeCampaign, url),
		)
		s := newSender(t, Config{Outbox: box, Marks: box})
		begun, answer := make(chan string, 10), make(chan struct{})
		s.post = func(_ context.Context, n campaign.Notice) campaign.Delivered {
			begun <- n.ID
			<-answer
			return campaign.Delivered{ID: n.ID, Done: true}
		}
		stop := running(t, s)
		for _, want := range []struct {
			begun   string
			answers int
		}{
			{"msg_a_1 msg_b_1", 2}, {"msg_a_2 msg_a_3", 2}, {"msg_a_4", 1}, {"msg_a_5", 1},
		} {
			synctest.Wait()
			var got []string
			for len(begun) > 0 {
				got = append(got, <-begun)
			}
			slices.Sort(got)
			if words(got) != want.begun {
				t.Errorf("under way at one time: %s, want %s", words(got), want.begun)
			}
			for range want.answers {
				answer <- struct{}{}
			}
		}
		synctest.Wait()
		stop()
		if len(box.marks()) != 6 {
			t.Errorf("%d marks, want 6", len(box.marks()))
		}
	})
}

func TestHostsAreSpared(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		box := new(outbox)
		for n := range 20 {
			box.add(notice("a", n, campaign.NoticeMessage, "https://slow.example/"))
		}
		box.add(notice("b", 1, campaign.NoticeMessage, "https://quick.example/"))
		s := newSender(t, Config{Outbox: box, Marks: box, PerHost: 3})
		var flying, most, quick atomic.Int64
		s.post = func(_ context.Context, n campaign.Notice) campaign.Delivered {
			if n.Campaign == "b" {
				quick.Add(1)
				return campaign.Delivered{ID: n.ID, Done: true}
			}
			most.Store(max(most.Load(), flying.Add(1)))
			defer flying.Add(-1)
			time.Sleep(10 * time.Second) //nolint:forbidigo // the bubble's clock
			return campaign.Delivered{ID: n.ID, Done: true}
		}
		stop := running(t, s)
		synctest.Wait()
		if quick.Load() != 1 {
			t.Error("a slow host holds another one up")
		}
		if !s.Drain(t.Context(), 10*time.Minute) {
			t.Error("Drain: something is left")
		}
		stop()
		if most.Load() != 3 {
			t.Errorf("%d at one time, want 3", most.Load())
		}
	})
}

func TestDrainDoesNotWaitForLater(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		box := new(outbox)
		box.add(notice("a", 1, campaign.NoticeCampaign, "https://example.com/"))
		s := newSender(t, Config{Outbox: box, Marks: box})
		s.post = func(_ context.Context, n campaign.Notice) campaign.Delivered {
			return campaign.Delivered{ID: n.ID, Failed: "no", Next: time.Now().Add(time.Hour)}
		}
		stop := running(t, s)
		begun := time.Now()
		if s.Drain(t.Context(), 10*time.Second) {
			t.Error("Drain: says that nothing is left")
		}
		if waited := time.Since(begun); waited > lookAgain {
			t.Errorf("waited %s for what comes in an hour", waited)
		}
		stop()
		// Without a Run, the time is over some time.
		if s.Drain(t.Context(), time.Second) {
			t.Error("Drain: says that nothing is left, and nobody looked")
		}
	})
}

// TestEndCutsWhatHangs ends while a receiver takes its time: the attempt is not
// counted, and is made again by the next run.
func TestEndCutsWhatHangs(t *testing.T) {
	t.Parallel()
	called := make(chan struct{}, 2)
	there := newReceiver(t, func(_ http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body) // or the server does not see the caller go
		called <- struct{}{}
		<-r.Context().Done()
	})
	box := new(outbox)
	box.add(notice("c1", 1, campaign.NoticeCampaign, there.URL))
	s := newSender(t, Config{Outbox: box, Marks: box})
	stop := running(t, s)
	<-called
	stop()
	if got := box.marks(); len(got) != 0 {
		t.Errorf("written down: %+v", got)
	}
}

// TestLogsShowNothing fails in several ways and looks for what must not be said.
func TestLogsShowNothing(t *testing.T) {
	t.Parallel()
	there := newReceiver(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusTeapot)
		io.WriteString(w, "447700900123 canary")
	})
	box := new(outbox)
	for i, url := range []string{there.URL + "/canary?key=canary", "http://127.0.0.1:1/canary", "http://canary.example/", "https://canary.invalid/canary", "http://%zz-canary", "gopher://canary/"} {
		n := notice("c1", i, campaign.NoticeMessage, url)
		n.Body = []byte(`{"data":{"chat":"447700900123@c.us","text":"canary"}}`)
		box.add(n)
	}
	var log bytes.Buffer
	s := newSender(t, Config{
		Outbox: box, Marks: box, PerHost: 10, resolver: nobody(),
		Logger: slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	stop := running(t, s)
	eventually(t, "all have failed", func() bool { return len(box.marks()) >= 6 })
	stop()
	for _, mark := range box.marks() {
		if mark.Failed == "" || len(mark.Failed) > 200 {
			t.Errorf("%s: failed %q", mark.ID, mark.Failed)
		}
		log.WriteString(mark.Failed + "\n")
	}
	for _, secret := range []string{"canary", "447700900123", string(testSecret)} {
		if strings.Contains(log.String(), secret) {
			t.Errorf("%q is shown:\n%s", secret, log.String())
		}
	}
}
