package storagetest

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/storage"
)

func testPollWatches(t *testing.T, s *storage.Store) {
	ctx := t.Context()
	seeded := Seed(t, s, 4)
	for seq := int64(1); seq <= 3; seq++ {
		send(t, s, seeded, seq)
	}
	fold(t, s, campaign.Folding{Observation: observation(seeded, 2, campaign.StatusFailed, newsTime)})
	if got, err := s.PollWatches(ctx, seeded.ID, 0, 10); err != nil || len(got) != 0 {
		t.Errorf("a campaign without a poll: %v (%v)", got, err)
	}
	c, err := s.Campaign(ctx, seeded.ID)
	must(t, err)
	c.Spec.Message = campaign.Template{Poll: &campaign.PollTemplate{Question: "Coming?", Options: []string{"Yes", "No"}}}
	must(t, s.UpdatePlan(ctx, seeded.ID, c.Spec, time.Time{}))
	for _, test := range []struct {
		after int64
		limit int
		want  []int64
	}{{0, 10, []int64{1, 3}}, {0, 1, []int64{1}}, {1, 10, []int64{3}}, {3, 10, nil}} {
		list, err := s.PollWatches(ctx, seeded.ID, test.after, test.limit)
		must(t, err)
		var got []int64
		for _, w := range list {
			got = append(got, w.Seq)
			if !slices.Equal(w.Options, []string{"Yes", "No"}) || w.UniqueID == "" || w.Campaign != seeded.ID {
				t.Errorf("poll to watch: %+v", w)
			}
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("at most %d behind row %d: %v, want %v", test.limit, test.after, got, test.want)
		}
	}
}

func testSweeps(t *testing.T, s *storage.Store) {
	ctx := t.Context()
	sender, err := s.EnsureSender(ctx, Phone)
	must(t, err)
	never, err := s.Sweep(ctx, sender.ID, campaign.SweepReplies, "")
	must(t, err)
	if diff := cmp.Diff(campaign.Sweep{Sender: sender, Kind: campaign.SweepReplies}, never); diff != "" {
		t.Errorf("a look that was never made (-want +got):\n%s", diff)
	}
	later := campaign.Sweep{Sender: sender, Kind: campaign.SweepVotes, Key: "cmp_1", Mark: newsTime, Next: newsTime.Add(time.Hour), Times: 1}
	sooner := campaign.Sweep{Sender: sender, Kind: campaign.SweepReplies, Mark: newsTime, Next: newsTime.Add(time.Minute), Times: 7}
	must(t, s.PutSweep(ctx, sooner))
	sooner.Times++
	must(t, s.PutSweep(ctx, sooner))
	must(t, s.PutSweep(ctx, later))
	beside := sooner // of the same kind, under another key
	beside.Key, beside.Next = "settling", newsTime.Add(30*time.Minute)
	must(t, s.PutSweep(ctx, beside))
	for at, want := range map[time.Duration][]campaign.Sweep{0: {}, time.Minute: {sooner}, time.Hour: {sooner, beside, later}} {
		got, err := s.Sweeps(ctx, newsTime.Add(at))
		must(t, err)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("due after %v (-want +got):\n%s", at, diff)
		}
	}
	if got, err := s.Sweep(ctx, sender.ID, campaign.SweepVotes, "cmp_1"); err != nil || got != later {
		t.Errorf("read back %+v, want %+v (%v)", got, later, err)
	}
}

func testContacts(t *testing.T, s *storage.Store) {
	ctx := t.Context()
	there := campaign.ContactCheck{Chat: Chat(1), Exists: true, Canonical: "alias@c.us", At: newsTime}
	gone := campaign.ContactCheck{Chat: Chat(2), At: newsTime}
	older := campaign.ContactCheck{Chat: Chat(1), At: newsTime.Add(-time.Hour)}
	must(t, s.PutContacts(ctx, []campaign.ContactCheck{there, gone, older}))
	got, err := s.Contacts(ctx, []campaign.ChatID{Chat(1), Chat(2), Chat(3)})
	must(t, err)
	if diff := cmp.Diff(map[campaign.ChatID]campaign.ContactCheck{Chat(1): there, Chat(2): gone}, got); diff != "" {
		t.Errorf("contacts (-want +got):\n%s", diff)
	}
	back := campaign.ContactCheck{Chat: Chat(2), Exists: true, At: newsTime.Add(time.Hour)}
	must(t, s.PutContacts(ctx, []campaign.ContactCheck{back}))
	if got, err = s.Contacts(ctx, []campaign.ChatID{Chat(2)}); err != nil || got[Chat(2)] != back {
		t.Errorf("after a newer answer: %+v (%v)", got, err)
	}
}

func testPhones(t *testing.T, s *storage.Store) {
	ctx := t.Context()
	sender, err := s.EnsureSender(ctx, Phone)
	must(t, err)
	for _, step := range []struct {
		state       campaign.PhoneState
		at          int // minutes
		want        campaign.PhoneState
		since, seen int
	}{
		{"connected", 1, "connected", 1, 1},
		{"connected", 5, "connected", 1, 5},
		{"disconnected", 3, "connected", 1, 5}, // late
		{"qr", 6, "qr", 6, 6},
	} {
		at := func(minute int) time.Time { return newsTime.Add(time.Duration(minute) * time.Minute) }
		must(t, s.PutPhone(ctx, sender.ID, step.state, at(step.at)))
		got, err := s.PhoneStates(ctx)
		must(t, err)
		want := []storage.PhoneRecord{{Sender: sender, State: step.want, Since: at(step.since), Seen: at(step.seen)}}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("after %s (-want +got):\n%s", step.state, diff)
		}
	}
	wantCode(t, s.PutPhone(ctx, "snd_nobody", "qr", newsTime), campaign.CodeNotFound)
}

func testSenderActivity(t *testing.T, s *storage.Store) {
	ctx := t.Context()
	since := time.Now().Add(-time.Minute)
	seeded := Seed(t, s, 6)
	send(t, s, seeded, 1)
	send(t, s, seeded, 2)
	lose(t, s, seeded, 3)
	failed := stage(t, s, seeded, 4)[0]
	st := settlement(seeded, failed, claim(t, s, seeded, failed), campaign.OutcomeRejected, campaign.StatusFailed)
	st.FailReason, st.FailClass = campaign.FailRejected, campaign.FailPermanent
	settle(t, s, st)
	back := stage(t, s, seeded, 5)[0]
	claim(t, s, seeded, back)
	must(t, s.GiveBack(ctx, seeded.Task(back), seeded.Lease.Epoch))
	stop := consent(seeded, 2, campaign.WishOut, newsTime)
	for range 2 {
		fold(t, s, campaign.Folding{Observation: observation(seeded, 1, campaign.StatusFailed, newsTime)}, campaign.Folding{Consent: &stop})
	}
	idle, err := s.EnsureSender(ctx, "12015550199")
	must(t, err)
	got, err := s.SenderActivity(ctx, since)
	must(t, err)
	want := []storage.SenderActivity{
		{Sender: seeded.Sender, Calls: 4, Accepted: 2, Failed: 2, Unknown: 1, OptedOut: 1, Hour: 4, Day: 4}, {Sender: idle},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("activity (-want +got):\n%s", diff)
	}
	if got, err = s.SenderActivity(ctx, time.Now().Add(time.Hour)); err != nil || got[0].Calls != 0 || got[0].Accepted != 0 || got[0].Hour != 4 {
		t.Errorf("activity from now on: %+v (%v)", got, err)
	}
}
