package app

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/sandbox"
)

// hanging is the row whose message is taken, and whose call hangs for many
// rounds of the reconciler before it ends in an answer that tells nothing.
const hanging = 5

// hangs is a theater with that call in it, and more faults.
func hangs(t *testing.T, configure func(*sandbox.Config), faults ...sandbox.Fault) *theater {
	t.Helper()
	return newTheater(t, func(c *sandbox.Config) {
		c.Faults = append([]sandbox.Fault{{
			Kind: sandbox.FaultHang, When: sandbox.FaultAfter, Delay: 10 * time.Second, Numbers: []string{number(hanging)}, Next: 1,
		}}, faults...)
		if configure != nil {
			configure(c)
		}
	})
}

// unhurried is a provider that has not begun to send what it took when a test is
// over: of a message that is being sent it says that it was taken out, and it is
// not.
func unhurried(c *sandbox.Config) { c.Instant, c.Speed = false, 0.001 }

// untilItHangs waits until the call is under way.
func (s *serving) untilItHangs(id campaign.ID) {
	s.th.t.Helper()
	s.until(id, func(CampaignView) bool { return s.th.callsTo(hanging) > 0 })
}

// callsTo is how many sends to person i were seen.
func (th *theater) callsTo(i int) int {
	n := 0
	for _, body := range th.api.sentBodies() {
		if body.ChatID == number(i)+"@c.us" {
			n++
		}
	}
	return n
}

// ended says that no call is under way, and nobody wonders about one that was.
func ended(v CampaignView) bool {
	return v.Balance[campaign.StatusSubmitting]+v.Balance[campaign.StatusUnknown] == 0
}

// row is where the row that hung stands.
func (s *serving) row(id campaign.ID) campaign.Recipient {
	s.th.t.Helper()
	r, err := s.app.store.Recipient(s.th.t.Context(), id, hanging)
	check(s.th.t, err)
	return r
}

// TestCanceledWhileACallHangs: what came of the call is found out all the same,
// by the process that canceled the campaign.
func TestCanceledWhileACallHangs(t *testing.T) {
	t.Parallel()
	th := hangs(t, nil)
	s := th.serve()
	defer s.end()
	id := s.start(th.campaign("hangs", 1, 12, "pace: { rate: 20/s, in_flight: 1 }\n"))
	s.untilItHangs(id)
	_, _, err := s.remote.CancelCampaign(t.Context(), string(id))
	check(t, err)
	v := s.until(id, ended)
	if r := s.row(id); v.State != campaign.StateCanceled || !r.Status.Evident() || r.QueueID == "" {
		t.Errorf("the campaign is %s, the row %s with queue id %q", v.State, r.Status, r.QueueID)
	}
	if n := len(th.sim.Acceptances()); n != hanging {
		t.Errorf("%d messages were taken, want %d", n, hanging)
	}
}

// TestCanceledCallIsTakenOutOfTheQueue: its message was taken and waits in the
// provider's queue. It is found there and taken out, whether the sender stops
// with the campaign, and waits for the call, or goes on for another one.
func TestCanceledCallIsTakenOutOfTheQueue(t *testing.T) {
	t.Parallel()
	for _, shared := range []bool{false, true} {
		t.Run(map[bool]string{false: "alone", true: "shared line"}[shared], func(t *testing.T) {
			t.Parallel()
			th := hangs(t, unhurried)
			s := th.serve()
			defer s.end()
			// Another pace would have the line start anew, after its calls.
			const pace = "pace: { rate: 20/s, in_flight: 2 }\n"
			var other campaign.ID
			if shared {
				other = s.start(th.campaign("other", 1001, 2000, pace))
			}
			id := s.start(th.campaign("hangs", 1, 40, pace))
			s.untilItHangs(id)
			_, _, err := s.remote.CancelCampaign(t.Context(), string(id))
			check(t, err)
			if r := s.row(id); shared && r.Status != campaign.StatusSubmitting {
				t.Errorf("the campaign is off the line, and the row %s: its call was waited for", r.Status)
			}
			s.until(id, func(v CampaignView) bool { return ended(v) && s.row(id).Status == campaign.StatusCanceled })
			taken := slices.DeleteFunc(th.sim.Acceptances(), func(a sandbox.Acceptance) bool { return a.ChatID != number(hanging)+"@c.us" })
			if len(taken) != 1 || !taken[0].Purged {
				t.Errorf("of the message was taken: %+v", taken)
			}
			if !shared {
				return
			}
			if v := s.until(other, func(CampaignView) bool { return true }); v.State != campaign.StateRunning {
				t.Errorf("the other campaign is %s", v.State)
			}
		})
	}
}

// TestPausedWhileACallHangs by trouble, which takes the campaign out of the
// service's hands: the row is settled, and not sent again when it goes on.
func TestPausedWhileACallHangs(t *testing.T) {
	t.Parallel()
	th := hangs(t, nil, sandbox.Fault{
		Kind: sandbox.FaultStatus, Status: 401, When: sandbox.FaultBefore, Numbers: []string{number(6), number(7), number(8)},
	})
	s := th.serve()
	defer s.end()
	id := s.start(th.campaign("hangs", 1, 12, "pace: { rate: 20/s, in_flight: 4 }\n"))
	s.until(id, isIn(campaign.StatePaused))
	v := s.until(id, ended)
	if r := s.row(id); v.State != campaign.StatePaused || v.Reason != campaign.PauseRefused || !r.Status.Evident() {
		t.Errorf("the campaign is %s (%s), the row %s", v.State, v.Reason, r.Status)
	}
	th.sim.ClearFaults()
	_, err := s.remote.ResumeCampaign(t.Context(), string(id))
	check(t, err)
	s.until(id, isIn(campaign.StateCompleted))
	if calls, n := th.callsTo(hanging), len(th.sim.Acceptances()); calls != 1 || n != 12 {
		t.Errorf("%d calls for the row, and %d messages taken, want 1 and 12", calls, n)
	}
}

// TestStoppedWhileACallHangsOfACanceledCampaign: the next service takes out what
// the last one had no time for.
func TestStoppedWhileACallHangsOfACanceledCampaign(t *testing.T) {
	t.Parallel()
	th := hangs(t, unhurried)
	s := th.serve()
	id := s.start(th.campaign("hangs", 1, 12, "pace: { rate: 20/s, in_flight: 1 }\n"))
	s.untilItHangs(id)
	canceled := make(chan error, 1)
	go func() {
		_, _, err := s.remote.CancelCampaign(t.Context(), string(id))
		canceled <- err
	}()
	s.until(id, isIn(campaign.StateCanceled))
	s.stop()
	<-canceled // an answer, or none for the service is gone
	s.end()
	s = th.serve()
	defer s.end()
	s.until(id, func(v CampaignView) bool { return ended(v) && s.row(id).Status == campaign.StatusCanceled })
	if n := th.purged(); n != hanging {
		t.Errorf("%d messages were taken out, want %d", n, hanging)
	}
}

// TestHungUpWhileCanceling: whoever asked a service to cancel and hangs up leaves
// nothing that waits for ever.
func TestHungUpWhileCanceling(t *testing.T) {
	t.Parallel()
	th := newTheater(t, nil)
	s := th.serve()
	defer s.end()
	const rows = 10_000
	id := s.start(th.campaign("large", 1, rows, "pace: { rate: 1/s, in_flight: 1 }\n"))
	ctx, hangUp := context.WithCancel(t.Context())
	defer hangUp()
	asked := make(chan error, 1)
	go func() {
		_, _, err := s.remote.CancelCampaign(ctx, string(id))
		asked <- err
	}()
	s.until(id, isIn(campaign.StateCanceled))
	hangUp()
	<-asked // whether it still heard the answer does not matter
	s.until(id, func(v CampaignView) bool { return v.Waiting() == 0 })
}
