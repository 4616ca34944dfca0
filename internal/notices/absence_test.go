package notices

import (
	"context"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/herald-campaigns/herald/campaign"
)

// TestHangingReceiverStarvesNobody: a thousand notices wait for a receiver that
// never answers. Another one, also on the same host, gets its own at once.
func TestHangingReceiverStarvesNobody(t *testing.T) {
	t.Parallel()
	hang := newReceiver(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/good" {
			taken(w, r)
			return
		}
		select {
		case <-time.After(attemptTimeout):
		case <-r.Context().Done():
		}
	})
	good := newReceiver(t, taken)
	box := new(outbox)
	for i := range 1000 {
		box.add(notice("c1", i, campaign.NoticeMessage, hang.URL))
	}
	box.add(notice("c2", 1, campaign.NoticeCampaign, good.URL), notice("c2", 2, campaign.NoticeMessage, good.URL))
	for i := range 10 {
		box.add(notice("c3", i, campaign.NoticeMessage, hang.URL+"/good"))
	}
	s := newSender(t, Config{Outbox: box, Marks: box})
	stop := running(t, s)
	eventually(t, "the healthy receivers have theirs", func() bool { return len(box.marks()) >= 12 })
	if called := len(hang.seen()); called > 10+4 {
		t.Errorf("the hanging receiver was called %d times meanwhile", called-10)
	}
	stop()
	if got := words(good.seen()); got != "msg_c2_1 msg_c2_2" {
		t.Errorf("the healthy receiver got %s", got)
	}
}

// TestAwayHostIsLeftAlone through an hour in which it hangs: it is tried about
// once a minute, nobody else waits, and all arrive when it is back.
func TestAwayHostIsLeftAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		box := new(outbox)
		for n := range 1000 {
			box.add(notice("a", n, campaign.NoticeMessage, "https://away.example/"))
		}
		s := newSender(t, Config{Outbox: box, Marks: box})
		var attempts, delivered, quick atomic.Int64
		var back atomic.Bool
		s.post = func(_ context.Context, n campaign.Notice) campaign.Delivered {
			switch {
			case n.Campaign == "b":
				quick.Add(1)
			case !back.Load():
				attempts.Add(1)
				time.Sleep(attemptTimeout) //nolint:forbidigo // the bubble's clock
				return campaign.Delivered{ID: n.ID, Failed: "no answer", Next: time.Now().Add(5 * time.Minute)}
			default:
				delivered.Add(1)
			}
			return campaign.Delivered{ID: n.ID, Done: true}
		}
		stop := running(t, s)
		for n := range 60 {
			box.add(notice("b", n, campaign.NoticeMessage, "https://quick.example/"))
			s.Poke()
			synctest.Wait()
			if quick.Load() != int64(n+1) {
				t.Fatalf("minute %d: the quick receiver has %d notices, want %d", n, quick.Load(), n+1)
			}
			time.Sleep(time.Minute) //nolint:forbidigo // the bubble's clock
		}
		if n := attempts.Load(); n < 40 || n > 70 {
			t.Errorf("%d attempts in an hour, want about one in 70 s", n)
		}
		begun := time.Now()
		if s.Drain(t.Context(), 10*time.Second) || time.Since(begun) > attemptTimeout {
			t.Errorf("Drain took %s for a receiver that is away", time.Since(begun))
		}
		back.Store(true)
		time.Sleep(7 * time.Minute) //nolint:forbidigo // the bubble's clock
		stop()
		if delivered.Load() != 1000 {
			t.Errorf("%d of 1000 delivered after it was back", delivered.Load())
		}
	})
}

func TestAbsence(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const host = "https://example.com/"
		a, n := make(absences), notice("a", 1, campaign.NoticeMessage, host)
		failed, gone := campaign.Delivered{Failed: "no"}, campaign.Delivered{Failed: "410", Done: true}
		for _, want := range []time.Duration{0, 1, 2, 4, 8, 16, 32, 60, 60} {
			for range 4 { // under way together
				if want > 0 || len(a) == 0 {
					a.learn(n, failed, 1)
				}
			}
			at := a[hostOf(host)]
			if alone := max(0, time.Until(at.until)); alone != want*time.Second {
				t.Fatalf("left alone for %s, want %d s", alone, want)
			}
			if room := at.room(4); want > 0 && room != 1 || want == 0 && room != 4 {
				t.Errorf("room for %d after %d failures", room, at.failures)
			}
			time.Sleep(want * time.Second) //nolint:forbidigo // the bubble's clock
		}
		for _, alive := range []campaign.Delivered{{Done: true}, gone} {
			a.learn(n, failed, 1)
			a.learn(n, alive, 1)
			if len(a) > 0 {
				t.Errorf("still away after %+v", alive)
			}
		}
		n.Attempts = len(schedule())
		a.learn(n, gone, 1000) // given up
		a.learn(n, gone, 1000)
		if alone := time.Until(a[hostOf(host)].until); alone != time.Millisecond {
			t.Errorf("left alone for %s at a thousand times the speed", alone)
		}
	})
}
