package app

import (
	"log/slog"
	"testing"
	"time"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/sandbox"
)

// views are the senders as `herald senders` shows them beside a service.
func (s *serving) views() map[string]SenderView {
	s.th.t.Helper()
	list, err := s.remote.Senders(s.th.t.Context(), nil)
	check(s.th.t, err)
	found := map[string]SenderView{}
	for _, v := range list {
		found[v.Sender] = v
	}
	return found
}

// untilViews waits until the senders look as wanted.
func (s *serving) untilViews(want func(map[string]SenderView) bool) map[string]SenderView {
	s.th.t.Helper()
	deadline := time.Now().Add(patience)
	for {
		v := s.views()
		if want(v) {
			return v
		}
		if time.Now().After(deadline) {
			s.th.t.Fatalf("the senders are %+v; the log:\n%s", v, s.th.log)
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case err := <-s.ended:
			s.th.t.Fatalf("the service ended: %v", err)
		}
	}
}

// TestSendersTellOfADisconnectedPhone and of nothing else: which phone it is,
// since when, and that the other one sends.
func TestSendersTellOfADisconnectedPhone(t *testing.T) {
	t.Parallel()
	th := newTheater(t, func(c *sandbox.Config) { c.OnDisconnected = sandbox.DisconnectedHold })
	th.tuning.phoneEvery, th.tuning.phoneGiveUp = 20*time.Millisecond, time.Minute
	th.cfg.Senders = map[string]campaign.Pace{testSender: {Hourly: 1000}}
	file := th.twoSenders(400, "pace: { rate: 40/s, in_flight: 2 }\n")
	s := th.serve()
	defer s.end()
	id := s.start(file)
	mine, other := campaign.Phone(testSender).String(), campaign.Phone(secondSender).String()
	s.until(id, func(v CampaignView) bool { return v.Waiting() < 390 })
	check(t, th.sim.Disconnect(testSender))
	views := s.untilViews(func(v map[string]SenderView) bool {
		return len(v[mine].Held) > 0 && v[other].Phone.State == "connected"
	})
	down := views[mine]
	if down.Phone.State != "disconnected" || down.Held[0].Reason != campaign.PauseDisconnected || len(views[other].Held) != 0 {
		t.Errorf("cut off: %+v\nthe other: %+v", down, views[other])
	}
	if len(down.Campaigns) != 1 || down.Campaigns[0].ID != id || down.Pace.Rate.String() != "40/s" || down.LeftHour == nil || down.LeftDay != nil {
		t.Errorf("its campaigns and pace: %+v", down)
	}
	if down.UsedHour == 0 || *down.LeftHour != 1000-down.UsedHour || down.LastDay.Accepted == 0 {
		t.Errorf("its use: %+v", down)
	}
	// It is looked at fifty times a second, and written down once.
	sent := views[other].UsedHour
	later := s.untilViews(func(v map[string]SenderView) bool { return v[other].UsedHour > sent+20 })[mine]
	if !later.Phone.Seen.Equal(down.Phone.Seen) || !later.Phone.Since.Equal(down.Phone.Since) {
		t.Errorf("a phone that is as it was is written down again: %+v, then %+v", down.Phone, later.Phone)
	}
	check(t, th.sim.Connect(testSender))
	up := s.untilViews(func(v map[string]SenderView) bool {
		return v[mine].Phone.State == "connected" && len(v[mine].Held) == 0
	})[mine]
	if !up.Phone.Since.After(down.Phone.Since) {
		t.Errorf("connected since %s, disconnected since %s", up.Phone.Since, down.Phone.Since)
	}
	_, _, err := s.remote.CancelCampaign(t.Context(), string(id))
	check(t, err)
}

// TestSendersAreAskedAfter when nothing else runs: Periskope says how they are
// and how many messages wait there, and what it said is kept.
func TestSendersAreAskedAfter(t *testing.T) {
	t.Parallel()
	th := newTheater(t, nil)
	file := th.text(5, "pace: { rate: unlimited }\n")
	s := th.serve()
	id := s.start(file)
	s.until(id, isIn(campaign.StateCompleted))
	if _, busy, err := OpenToCheck(t.Context(), th.cfg, slog.New(slog.DiscardHandler)); !busy || err != nil {
		t.Errorf("beside a service: busy %t, %v", busy, err)
	}
	s.end()

	check(t, th.sim.Disconnect(testSender))
	a, busy, err := OpenToCheck(t.Context(), th.cfg, slog.New(slog.DiscardHandler))
	check(t, err)
	if busy {
		t.Fatal("nothing else runs")
	}
	depths, err := a.CheckSenders(t.Context())
	check(t, err)
	views, err := a.Senders(t.Context(), depths)
	check(t, err)
	if len(views) != 1 || views[0].Phone.State != "disconnected" || views[0].Queue == nil || *views[0].Queue != 0 {
		t.Errorf("asked: %+v", views)
	}
	if v := views[0]; v.LastDay.Calls != 5 || v.LastDay.Failure == nil || *v.LastDay.Failure != 0 || len(v.Campaigns) != 0 {
		t.Errorf("after the campaign: %+v", v)
	}
	// The API's request to wait outlives the process that heard it.
	senders, err := a.store.Senders(t.Context())
	check(t, err)
	lease, got, err := a.store.AcquireLease(t.Context(), senders[0].ID, "test", time.Minute)
	check(t, err)
	until := time.Now().Add(time.Hour).Truncate(time.Second)
	check(t, a.store.BlockSender(t.Context(), lease, until))
	views, err = a.Senders(t.Context(), nil)
	check(t, err)
	if !got || !views[0].BlockedUntil.Equal(until) || views[0].Queue != nil || views[0].Phone.State != "disconnected" {
		t.Errorf("blocked: %+v", views[0])
	}
	check(t, a.Close())

	// A ledger of real sends is not asked about in the sandbox.
	th.cfg.Mode = campaign.ModeSandbox
	if _, _, err := OpenToCheck(t.Context(), th.cfg, slog.New(slog.DiscardHandler)); campaign.CodeOf(err) != campaign.CodeConflict {
		t.Errorf("the sandbox was asked about live phones: %v", err)
	}
}

// TestSharesOfNothing are not told, and none is more than all.
func TestSharesOfNothing(t *testing.T) {
	t.Parallel()
	if s := share(3, 0); s != nil {
		t.Errorf("3 of 0 is %g", *s)
	}
	if s := share(3, 2); s == nil || *s != 1 {
		t.Errorf("3 of 2 is %v, want all", s)
	}
	if n := left(0, 7); n != nil {
		t.Errorf("no cap leaves %d", *n)
	}
	if n := left(5, 7); n == nil || *n != 0 {
		t.Errorf("a cap of 5 with 7 used leaves %v", n)
	}
}

// TestChecksBeforeTheStartAreKept asks nobody afterwards: a run and a service
// have seen the phones before they sent a thing.
func TestChecksBeforeTheStartAreKept(t *testing.T) {
	t.Parallel()
	for name, send := range map[string]func(*theater, string){
		"a run": func(th *theater, file string) {
			_, err := th.run(t.Context(), file, PrepareOptions{}, RunOptions{Wait: WaitAccepted})
			check(t, err)
		},
		"a service": func(th *theater, file string) {
			s := th.serve()
			defer s.end()
			s.until(s.start(file), isIn(campaign.StateCompleted))
		},
	} {
		th := newTheater(t, nil)
		send(th, th.campaign("offer", 1, 3, "pace: { rate: 100/s }\n"))
		a := th.open()
		list, err := a.Senders(t.Context(), nil)
		check(t, err)
		if len(list) != 1 || list[0].Phone.State != "connected" || list[0].Phone.Seen.IsZero() {
			t.Errorf("after %s: %+v", name, list)
		}
		check(t, a.Close())
	}
}
