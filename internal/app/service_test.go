package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/sandbox"
	"github.com/herald-campaigns/herald/status"
)

// serving is a service under test, with a command beside it.
type serving struct {
	th     *theater
	app    *App
	info   ServiceInfo
	remote *Remote
	stop   context.CancelFunc
	ended  chan error
}

// serve starts a service on the theater's data directory.
func (th *theater) serve() *serving {
	th.t.Helper()
	s := &serving{th: th, app: th.open(), ended: make(chan error, 1)}
	var ctx context.Context
	ctx, s.stop = context.WithCancel(th.t.Context())
	ready := make(chan ServiceInfo, 1)
	go func() { s.ended <- s.app.Serve(ctx, ServeOptions{Ready: func(info ServiceInfo) { ready <- info }}) }()
	select {
	case s.info = <-ready:
	case err := <-s.ended:
		th.t.Fatalf("serve: %v", err)
	}
	var err error
	s.remote, err = Through(th.t.Context(), th.cfg, slog.New(slog.DiscardHandler))
	check(th.t, err)
	if s.remote == nil {
		th.t.Fatal("a command does not find the service")
	}
	return s
}

// end stops the service, and checks the books.
func (s *serving) end() {
	s.th.t.Helper()
	s.finish(func() { s.th.audit(s.app) })
}

func (s *serving) finish(judge func()) {
	s.th.t.Helper()
	check(s.th.t, s.remote.Close())
	s.stop()
	check(s.th.t, <-s.ended)
	judge()
	check(s.th.t, s.app.Close())
}

// campaign writes the file of a campaign of its own, to these rows.
func (th *theater) campaign(name string, from, to int, more string) string {
	th.t.Helper()
	th.write(name+".csv", rows(from, to))
	return th.write(name+".yaml", fmt.Sprintf("name: %s\nrecipients: { csv: %s.csv, phone: phone }\n", name, name)+
		"message: { text: \"Hi {{ name }} from "+name+"\" }\nsenders: [\""+testSender+"\"]\n"+more)
}

// until waits for a campaign to be in a state.
func (s *serving) until(id campaign.ID, want func(CampaignView) bool) CampaignView {
	s.th.t.Helper()
	deadline := time.Now().Add(patience)
	for {
		v, err := s.remote.Campaign(s.th.t.Context(), string(id))
		check(s.th.t, err)
		if want(v) {
			return v
		}
		if time.Now().After(deadline) {
			s.th.t.Fatalf("campaign %s is %s (%s), %d waiting; the log:\n%s", v.Name, v.State, v.Detail, v.Waiting(), s.th.log)
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case err := <-s.ended:
			s.th.t.Fatalf("the service ended: %v", err)
		}
	}
}

func isIn(state campaign.State) func(CampaignView) bool {
	return func(v CampaignView) bool { return v.State == state }
}

// start has the service send a file, and does not wait for it.
func (s *serving) start(file string) campaign.ID {
	s.th.t.Helper()
	p, err := s.remote.Prepare(s.th.t.Context(), file, PrepareOptions{})
	check(s.th.t, err)
	_, err = ask[bool](s.th.t.Context(), s.remote, "start", starting{Campaign: p.Campaign.ID})
	check(s.th.t, err)
	return p.Campaign.ID
}

// TestServiceSendsSeveralCampaigns from one sender at once: they take turns,
// and nobody is lost or repeated.
func TestServiceSendsSeveralCampaigns(t *testing.T) {
	t.Parallel()
	th := newTheater(t, nil)
	// A window of 50 rows is in the stream at a time.
	slow := "pace: { rate: 10/s, in_flight: 2 }\n"
	first, second := th.campaign("first", 1, 80, slow), th.campaign("second", 81, 100, slow)
	s := th.serve()
	defer s.end()
	one, two := s.start(first), s.start(second)
	over := func(v CampaignView) bool { return v.State == campaign.StateCompleted }
	s.until(two, over)
	// Ledger order alone would have the second wait for all of the first.
	s.until(one, over)
	turns := 0
	last := ""
	for _, a := range th.sim.Acceptances() {
		_, name, _ := strings.Cut(a.Body, " from ")
		if name != last {
			turns++
			last = name
		}
	}
	if turns < 4 {
		t.Errorf("the campaigns took %d turns: one waited for the other", turns)
	}
}

// TestRunThroughAService is `herald run` beside `herald serve`.
func TestRunThroughAService(t *testing.T) {
	t.Parallel()
	th := newTheater(t, nil)
	file := th.text(50, "pace: { rate: 100/s, in_flight: 8 }\n")
	s := th.serve()
	defer s.end()
	shown := 0
	p, err := s.remote.Prepare(t.Context(), file, PrepareOptions{})
	check(t, err)
	if p.Plan.Messages != 50 || p.Imported == nil || p.Imported.Good != 50 || len(p.SenderNames()) != 1 {
		t.Fatalf("prepared %+v", p)
	}
	if p.Plan.Duration != 490*time.Millisecond {
		t.Errorf("the command was told that 50 messages at 100/s take %s", p.Plan.Duration)
	}
	result, err := s.remote.Run(t.Context(), p, RunOptions{Wait: WaitSent, Progress: func(Progress) { shown++ }})
	check(t, err)
	if result.Totals.AtLeastSent() != 50 || result.Accepted > 50 || shown == 0 {
		t.Errorf("sent %d, %d of them by this run, progress shown %d times", result.Totals.AtLeastSent(), result.Accepted, shown)
	}
	written, err := s.remote.WriteReports(t.Context(), p.Campaign.ID)
	check(t, err)
	if !written.Balanced() {
		t.Error("the report does not balance")
	}
	// Again: nobody gets anything twice (the books are checked at the end).
	again, err := s.remote.Prepare(t.Context(), file, PrepareOptions{})
	check(t, err)
	if !again.Resumed || again.Plan.Messages != 0 {
		t.Errorf("prepared again: resumed %t, %d to send", again.Resumed, again.Plan.Messages)
	}
	if _, err := s.remote.Run(t.Context(), again, RunOptions{Wait: WaitSent}); err != nil {
		t.Errorf("run again: %v", err)
	}
}

// TestServiceGivesBackWhatNobodyConfirmed: a question that was answered with no.
func TestServiceGivesBackWhatNobodyConfirmed(t *testing.T) {
	t.Parallel()
	th := newTheater(t, nil)
	file := th.text(5, "")
	s := th.serve()
	defer s.end()
	p, err := s.remote.Prepare(t.Context(), file, PrepareOptions{})
	check(t, err)
	if _, err := s.remote.Prepare(t.Context(), file, PrepareOptions{}); campaign.CodeOf(err) != campaign.CodeConflict {
		t.Errorf("a second terminal was told %v, want a conflict", err)
	}
	check(t, s.remote.Discard(t.Context(), p))
	if _, err := s.remote.Campaign(t.Context(), "A test"); campaign.CodeOf(err) != campaign.CodeNotFound {
		t.Errorf("the campaign is still there: %v", err)
	}
	if n := len(th.sim.Acceptances()); n != 0 {
		t.Errorf("%d messages were sent", n)
	}
}

// TestServicePausesResumesAndCancels campaigns, by the words of another
// process.
func TestServicePausesResumesAndCancels(t *testing.T) {
	t.Parallel()
	th := newTheater(t, nil)
	file := th.campaign("slow", 1, 400, "pace: { rate: 50/s, in_flight: 2 }\n")
	s := th.serve()
	defer s.end()
	id := s.start(file)
	s.until(id, func(v CampaignView) bool { return v.Waiting() < 395 })
	v, err := s.remote.PauseCampaign(t.Context(), "slow")
	check(t, err)
	if v.State != campaign.StatePaused || v.Reason != campaign.PauseOperator {
		t.Errorf("paused: %s, %s", v.State, v.Reason)
	}
	left := v.Waiting()
	if _, err := s.remote.ResumeCampaign(t.Context(), "slow"); err != nil {
		t.Fatal(err)
	}
	s.until(id, func(v CampaignView) bool { return v.Waiting() < left-5 })
	_, canceled, err := s.remote.CancelCampaign(t.Context(), string(id))
	check(t, err)
	v = s.until(id, isIn(campaign.StateCanceled))
	if canceled.Waiting == 0 || v.Waiting() != 0 {
		t.Errorf("canceled %+v, %d still wait", canceled, v.Waiting())
	}
	if _, err := s.remote.ResumeCampaign(t.Context(), string(id)); campaign.CodeOf(err) != campaign.CodeConflict {
		t.Errorf("a canceled campaign was resumed: %v", err)
	}
}

// inReality makes the provider send at the pace of a phone, five times over.
func inReality(c *sandbox.Config) { c.Instant, c.Speed = false, 5 }

// purged counts what was taken out of the provider's queue.
func (th *theater) purged() (n int64) {
	for _, a := range th.sim.Acceptances() {
		if a.Purged {
			n++
		}
	}
	return n
}

// TestCancelTakesOutWhatIsQueued: everything of a campaign is accepted, and what
// the provider has not sent of it is taken out of its queue, by the service;
// another campaign's messages stay.
func TestCancelTakesOutWhatIsQueued(t *testing.T) {
	t.Parallel()
	th := newTheater(t, inReality)
	wrong, right := th.campaign("wrong", 1, 12, "pace: { rate: unlimited }\n"), th.campaign("right", 13, 14, "pace: { rate: unlimited }\n")
	s := th.serve()
	defer s.end()
	one := s.start(wrong)
	s.until(one, func(v CampaignView) bool { return v.Waiting() == 0 })
	two := s.start(right)
	s.until(two, func(v CampaignView) bool { return v.Waiting() == 0 })
	_, canceled, err := s.remote.CancelCampaign(t.Context(), string(one))
	check(t, err)
	if canceled.Waiting != 0 || canceled.Queued < 5 || !canceled.Purging {
		t.Errorf("canceled: %+v", canceled)
	}
	// One was being sent. The provider says that it took that out, too, and asking
	// finds that it did not.
	v := s.until(one, func(v CampaignView) bool { return v.InQueue() == 0 && v.CanceledCount() == th.purged() })
	if v.State != campaign.StateCanceled || v.CanceledCount() < 5 || v.AtLeastSent() == 0 {
		t.Errorf("%s, %d rows canceled, %d sent", v.State, v.CanceledCount(), v.AtLeastSent())
	}
	if v := s.until(two, isIn(campaign.StateTracking)); v.CanceledCount() != 0 {
		t.Errorf("%d rows of the other campaign are canceled", v.CanceledCount())
	}
}

// TestCancelWithoutAService takes out what it can by itself; without a token the
// next service does.
func TestCancelWithoutAService(t *testing.T) {
	t.Parallel()
	// So slow that nothing has gone out of the provider's queue by the end.
	th := newTheater(t, func(c *sandbox.Config) { inReality(c); c.Speed = 0.02 })
	cancel := func(name string) Canceled {
		a, err := OpenToDecide(t.Context(), th.cfg, slog.New(slog.DiscardHandler))
		check(t, err)
		v, canceled, err := a.CancelCampaign(t.Context(), name)
		check(t, err)
		if again, err := a.RefreshReports(t.Context(), v.ID); err != nil || again {
			t.Errorf("the reports were not written when it was canceled (%v)", err)
		}
		check(t, a.Close())
		return canceled
	}
	th.mustRun(th.campaign("here", 1, 12, "pace: { rate: unlimited }\n"), PrepareOptions{})
	if c := cancel("here"); c.Queued < 5 || c.TakenOut != c.Queued || th.purged() < 5 || c.Trouble != nil {
		t.Errorf("canceled: %+v; %d taken out", c, th.purged())
	}
	th.mustRun(th.campaign("later", 13, 24, "pace: { rate: unlimited }\n"), PrepareOptions{})
	before, token := th.purged(), th.cfg.Periskope.Token
	th.cfg.Periskope.Token = ""
	if c := cancel("later"); c.Queued < 5 || c.TakenOut != 0 || campaign.CodeOf(c.Trouble) != campaign.CodeUnauthorized {
		t.Errorf("canceled without a token: %+v", c)
	}
	th.cfg.Periskope.Token = token
	s := th.serve()
	defer s.end()
	c, err := s.app.find(t.Context(), "later")
	check(t, err)
	s.until(c.ID, func(v CampaignView) bool { return v.InQueue() == 0 })
	if th.purged() < before+3 {
		t.Errorf("%d messages were taken out by the next service", th.purged()-before)
	}
}

// TestRunFollowsWhatWasTakenBack until it is known that it did not go out, and
// completes the campaign then.
func TestRunFollowsWhatWasTakenBack(t *testing.T) {
	t.Parallel()
	th := newTheater(t, func(c *sandbox.Config) { c.Instant, c.Speed = false, 0.02 })
	file := th.campaign("one", 1, 2, "pace: { rate: unlimited }\n")
	th.mustRun(file, PrepareOptions{})
	a := th.open()
	o := a.OptOuts()
	_, err := o.Add(t.Context(), mustChats(t, o, "+"+number(1), "+"+number(2)), "")
	check(t, errors.Join(err, a.Close()))
	th.tuning.schedule = status.Schedule{Speed: 20}
	result, err := th.run(t.Context(), file, PrepareOptions{}, RunOptions{Wait: WaitSettled})
	check(t, err)
	if result.Campaign.State != campaign.StateCompleted || result.Accepted != 0 || result.Totals.ByStatus[campaign.StatusCanceled] != 2 {
		t.Errorf("%s, %d accepted, %v", result.Campaign.State, result.Accepted, result.Totals.ByStatus)
	}
}

// TestServiceGoesOnAfterAStop with what it was sending, and leaves alone what a
// person paused.
func TestServiceGoesOnAfterAStop(t *testing.T) {
	t.Parallel()
	th := newTheater(t, nil)
	running := th.campaign("running", 1, 150, "pace: { rate: 50/s, in_flight: 2 }\n")
	paused := th.campaign("paused", 301, 450, "pace: { rate: 50/s, in_flight: 2 }\n")
	s := th.serve()
	one, two := s.start(running), s.start(paused)
	s.until(two, func(v CampaignView) bool { return v.Waiting() < 148 })
	_, err := s.remote.PauseCampaign(t.Context(), string(two))
	check(t, err)
	s.end()

	s = th.serve()
	if s.info.Campaigns != 1 {
		t.Errorf("took up %d campaigns, want the one that was not paused", s.info.Campaigns)
	}
	s.until(one, isIn(campaign.StateCompleted))
	if v := s.until(two, isIn(campaign.StatePaused)); v.Waiting() == 0 {
		t.Error("the paused campaign was sent")
	}
	check(t, func() error { _, err := s.remote.ResumeCampaign(t.Context(), string(two)); return err }())
	s.until(two, isIn(campaign.StateCompleted))
	s.end()
}

// TestServiceStartsWhenItsTimeHasCome and not before.
func TestServiceStartsWhenItsTimeHasCome(t *testing.T) {
	t.Parallel()
	th := newTheater(t, nil)
	s := th.serve()
	start := time.Now().Truncate(time.Second).Add(8 * time.Second)
	id := s.start(th.campaign("later", 1, 5, "schedule: { start: "+start.Format(time.RFC3339)+" }\npace: { rate: unlimited }\n"))
	s.until(id, isIn(campaign.StateScheduled))
	s.end() // a restart before the start loses nothing

	s = th.serve()
	defer s.end()
	s.until(id, isIn(campaign.StateCompleted))
	for _, a := range th.sim.Acceptances() {
		if a.At.Before(start) {
			t.Errorf("a message was sent %s too early", start.Sub(a.At))
		}
	}
}

// TestLinePaceIsTheStrictest of the campaigns that share a sender: promise P9.
func TestLinePaceIsTheStrictest(t *testing.T) {
	t.Parallel()
	th := newTheater(t, nil)
	th.cfg.Senders = map[string]campaign.Pace{testSender: {Rate: campaign.Rate{Count: 40, Per: time.Second}}}
	first := th.campaign("first", 1, 60, "pace: { rate: unlimited, in_flight: 8 }\n")
	second := th.campaign("second", 61, 120, "pace: { rate: unlimited, in_flight: 8 }\n")
	s := th.serve()
	defer s.end()
	one, two := s.start(first), s.start(second)
	s.until(one, isIn(campaign.StateCompleted))
	s.until(two, isIn(campaign.StateCompleted))
	accepted := th.sim.Acceptances()
	for i := range accepted {
		n := 0
		for _, b := range accepted[i:] {
			if b.At.Sub(accepted[i].At) < time.Second {
				n++
			}
		}
		// Two lines of their own would make 80. What is under way, 8 calls, may
		// arrive late on a busy machine, and crowd the next second.
		if n > 50 {
			t.Fatalf("%d messages in one second, and the sender's rate is 40", n)
		}
	}
}

// TestServiceIsForThisMachineAlone: without the key nobody gets an answer, and
// what a killed service left behind is not taken for one.
func TestServiceIsForThisMachineAlone(t *testing.T) {
	t.Parallel()
	th := newTheater(t, nil)
	s := th.serve()
	for _, header := range []string{"", "Bearer ", "Bearer wrong"} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.remote.at.URL+"hello", http.NoBody)
		check(t, err)
		request.Header.Set("Authorization", header)
		response, err := http.DefaultClient.Do(request)
		check(t, err)
		check(t, response.Body.Close())
		if response.StatusCode != http.StatusUnauthorized {
			t.Errorf("with %q the service answered %d", header, response.StatusCode)
		}
	}
	info, err := os.Stat(filepath.Join(th.cfg.DataDir, addressFile))
	check(t, err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("the key can be read with mode %v", info.Mode().Perm())
	}
	left, err := os.ReadFile(filepath.Join(th.cfg.DataDir, addressFile))
	check(t, err)
	s.end()
	if _, err := os.Stat(filepath.Join(th.cfg.DataDir, addressFile)); err == nil {
		t.Error("the service left its address behind")
	}
	check(t, os.WriteFile(filepath.Join(th.cfg.DataDir, addressFile), left, 0o600)) // as kill -9 does
	if gone, err := Through(t.Context(), th.cfg, slog.New(slog.DiscardHandler)); gone != nil || err != nil {
		t.Errorf("a service that is gone was found: %v, %v", gone, err)
	}
}

// TestServiceRefusesAFileWithItsProblems, the way it is refused without one.
func TestServiceRefusesAFileWithItsProblems(t *testing.T) {
	t.Parallel()
	th := newTheater(t, func(c *sandbox.Config) { c.Phones = nil })
	file := th.text(5, "")
	check(t, os.WriteFile(filepath.Join(th.dir, "recipients.csv"), []byte("phone,name\n9.19876E+11,Asha\n"), 0o600))
	s := th.serve()
	defer s.end()
	_, err := s.remote.Prepare(t.Context(), file, PrepareOptions{})
	if problems := Problems(err); problems == nil || !slices.ContainsFunc(problems.Problems, func(p campaign.Problem) bool { return p.Line == 2 }) {
		t.Errorf("refused with %v, want the line of the row", err)
	}
}

// TestServiceHearsOptOutsBeforeItSends: an opt-out that was received, and not
// folded in before the process ended, comes before the rows that wait.
func TestServiceHearsOptOutsBeforeItSends(t *testing.T) {
	t.Parallel()
	th := newTheater(t, nil)
	file := th.campaign("slow", 1, 40, "pace: { rate: 10/s, in_flight: 1 }\n")
	s := th.serve()
	id := s.start(file)
	s.until(id, func(v CampaignView) bool { return v.Waiting() < 38 })
	s.end()

	body := fmt.Sprintf(`{"id":"e1","event_type":"message.created","org_id":"o","data":{"message_id":"false_%[1]s@c.us_3A01","unique_id":"3A01",
		"org_phone":"%[2]s@c.us","chat_id":"%[1]s@c.us","from":"%[1]s@c.us","from_me":false,"message_type":"chat","body":"STOP","timestamp":"%[3]s"}}`,
		number(40), testSender, time.Now().UTC().Format(time.RFC3339))
	event, err := readWebhook([]byte(body))
	check(t, err)
	a := th.open()
	fresh, err := a.store.Receive(t.Context(), []campaign.Delivery{{Key: event.Key, Name: event.Name, Body: []byte(body), Received: time.Now()}})
	check(t, err)
	if fresh != 1 {
		t.Fatalf("kept %d deliveries", fresh)
	}
	check(t, a.Close())

	s = th.serve()
	defer s.end()
	v := s.until(id, isIn(campaign.StateCompleted))
	if v.Skipped[campaign.SkipOptedOut] != 1 {
		t.Errorf("skipped: %v, want one who opted out", v.Skipped)
	}
	for _, accepted := range th.sim.Acceptances() {
		if strings.HasPrefix(accepted.ChatID, number(40)) {
			t.Error("the person who opted out got the message")
		}
	}
}

// TestPausedBeforeItsStart: the time comes, and nothing is sent.
func TestPausedBeforeItsStart(t *testing.T) {
	t.Parallel()
	th := newTheater(t, nil)
	s := th.serve()
	defer s.end()
	start := time.Now().Truncate(time.Second).Add(8 * time.Second)
	id := s.start(th.campaign("later", 1, 5, "schedule: { start: "+start.Format(time.RFC3339)+" }\npace: { rate: unlimited }\n"))
	s.until(id, isIn(campaign.StateScheduled))
	_, err := s.remote.PauseCampaign(t.Context(), "later")
	check(t, err)
	s.until(id, func(CampaignView) bool { return time.Now().After(start.Add(time.Second)) })
	if v := s.until(id, isIn(campaign.StatePaused)); v.Waiting() != 5 || len(th.sim.Acceptances()) > 0 {
		t.Errorf("%d rows wait, %d messages were sent", v.Waiting(), len(th.sim.Acceptances()))
	}
	_, err = s.remote.ResumeCampaign(t.Context(), "later")
	check(t, err)
	s.until(id, isIn(campaign.StateCompleted))
}

// TestRetryDoesNotResume a campaign that somebody paused: more people than were
// agreed to would get it.
func TestRetryDoesNotResume(t *testing.T) {
	t.Parallel()
	th := newTheater(t, nil)
	th.write("slow.csv", "phone,name\n+12025550556,Fails\n"+strings.TrimPrefix(rows(2, 200), "phone,name\n"))
	file := th.write("slow.yaml", "name: slow\nrecipients: { csv: slow.csv, phone: phone }\nmessage: { text: \"Hi {{ name }}\" }\n"+
		"senders: [\""+testSender+"\"]\npace: { rate: 20/s, in_flight: 1 }\n")
	s := th.serve()
	// The judge takes a message that a person had sent again for a double.
	defer s.finish(func() {})
	id := s.start(file)
	s.until(id, func(v CampaignView) bool { return v.FailedCount() == 1 })
	_, err := s.remote.PauseCampaign(t.Context(), "slow")
	check(t, err)
	r, err := s.remote.Retryable(t.Context(), "slow")
	check(t, err)
	check(t, s.remote.Retry(t.Context(), r))
	if r.Retried != 1 || r.Sending || !r.Paused() {
		t.Errorf("retried %d rows, sending %t", r.Retried, r.Sending)
	}
	if v := s.until(id, isIn(campaign.StatePaused)); v.FailedCount() != 0 {
		t.Errorf("%d rows are still failed", v.FailedCount())
	}
	_, err = s.remote.ResumeCampaign(t.Context(), "slow")
	check(t, err)
	s.until(id, func(v CampaignView) bool { return v.State == campaign.StateRunning && v.Waiting() < 150 })
}

// TestManyResumesAreOne: four terminals at once leave one who sends, and the
// service still stops.
func TestManyResumesAreOne(t *testing.T) {
	t.Parallel()
	th := newTheater(t, nil)
	file := th.campaign("slow", 1, 60, "pace: { rate: 20/s, in_flight: 1 }\n")
	s := th.serve()
	id := s.start(file)
	s.until(id, func(v CampaignView) bool { return v.Waiting() < 58 })
	_, err := s.remote.PauseCampaign(t.Context(), "slow")
	check(t, err)
	answers := make(chan error, 4)
	for range 4 {
		go func() {
			_, err := s.remote.ResumeCampaign(t.Context(), "slow")
			answers <- err
		}()
	}
	for range 4 {
		check(t, <-answers)
	}
	s.until(id, isIn(campaign.StateCompleted))
	s.end()
}

// TestServiceTakesUpWhileTheAPIIsAway: it goes on by itself when it is back,
// with nobody there to start it again.
func TestServiceTakesUpWhileTheAPIIsAway(t *testing.T) {
	t.Parallel()
	th := newTheater(t, nil)
	file := th.campaign("slow", 1, 60, "pace: { rate: 20/s, in_flight: 1 }\n")
	s := th.serve()
	id := s.start(file)
	s.until(id, func(v CampaignView) bool { return v.Waiting() < 58 })
	s.end()
	th.api.down()
	s = th.serve()
	defer s.end()
	if s.info.Campaigns != 1 {
		t.Errorf("took up %d campaigns", s.info.Campaigns)
	}
	th.api.up()
	s.until(id, isIn(campaign.StateCompleted))
}

// TestWhyAServiceDoesNotAnswer: one that was stopped in order has taken its
// address away, one that was started anew has left another, one that is gone
// without a word has left its own.
func TestWhyAServiceDoesNotAnswer(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]struct {
		left           string // in the address file; "" for none
		stopped, anew  bool
		withoutAnyWord bool
	}{
		"stopped":         {stopped: true},
		"started anew":    {left: `{"key": "another"}`, anew: true},
		"gone":            {left: `{"key": "its own"}`, withoutAnyWord: true},
		"half an address": {left: `{`, withoutAnyWord: true},
	} {
		dir := t.TempDir()
		if want.left != "" {
			check(t, os.WriteFile(filepath.Join(dir, addressFile), []byte(want.left), 0o600))
		}
		w := watch{remote: &Remote{App: &App{dir: dir}, at: address{Key: "its own"}}}
		result, err := w.lost(Progress{}, &campaign.Error{Err: noAnswerError{io.ErrUnexpectedEOF}})
		if result.Left != want.stopped || result.Detached != want.anew || (err != nil) != want.withoutAnyWord {
			t.Errorf("%s: stopped %v, goes on %v, error %v", name, result.Left, result.Detached, err)
		}
		if err != nil && campaign.CodeOf(err) != campaign.CodeUnavailable {
			t.Errorf("%s: %v is %s", name, err, campaign.CodeOf(err))
		}
	}
	refused := &campaign.Error{Code: campaign.CodeUnavailable, What: "the API is away"}
	w := watch{remote: &Remote{App: &App{dir: t.TempDir()}}}
	if _, err := w.lost(Progress{}, refused); !errors.Is(err, refused) {
		t.Errorf("what the service answers came as %v", err)
	}
}

// TestWatchesUntilAnotherServiceHasThePort: a service that was started anew on
// the same address refuses the key of the one before it.
func TestWatchesUntilAnotherServiceHasThePort(t *testing.T) {
	t.Parallel()
	next := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) }))
	t.Cleanup(next.Close)
	dir := t.TempDir()
	check(t, os.WriteFile(filepath.Join(dir, addressFile), []byte(`{"key": "another"}`), 0o600))
	r := &Remote{App: &App{dir: dir}, at: address{URL: next.URL + "/", Key: "its own"}, client: next.Client()}
	result, err := r.WatchCampaign(t.Context(), "c", RunOptions{})
	if err != nil || !result.Detached {
		t.Errorf("goes on without this command: %v, %v", result.Detached, err)
	}
}

// TestServesAfterAServiceThatIsGone, whatever it left, and whoever has its port.
func TestServesAfterAServiceThatIsGone(t *testing.T) {
	t.Parallel()
	stranger := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "not here", http.StatusMethodNotAllowed)
	}))
	t.Cleanup(stranger.Close)
	for _, left := range []string{"", "{", fmt.Sprintf(`{"url":%q,"key":"k","pid":1}`, stranger.URL+"/")} {
		th := newTheater(t, nil)
		check(t, os.MkdirAll(th.cfg.DataDir, 0o700))
		check(t, os.WriteFile(filepath.Join(th.cfg.DataDir, addressFile), []byte(left), 0o600))
		if err := NotServed(t.Context(), th.cfg, slog.New(slog.DiscardHandler)); err != nil {
			t.Errorf("left %q: %v", left, err)
		}
	}
	th := newTheater(t, nil)
	s := th.serve()
	defer s.end()
	if err := NotServed(t.Context(), th.cfg, slog.New(slog.DiscardHandler)); campaign.CodeOf(err) != campaign.CodeConflict {
		t.Errorf("beside a service: %v", err)
	}
}

// TestCanceledAtOnce: a cancel that comes while the sending begins is an end
// that somebody asked for, and no trouble.
func TestCanceledAtOnce(t *testing.T) {
	t.Parallel()
	th := newTheater(t, nil)
	s := th.serve()
	for i := range 40 {
		id := s.start(th.campaign(fmt.Sprintf("slow %d", i), 1, 3, "pace: { rate: 1/s, in_flight: 1 }\n"))
		_, _, err := s.remote.CancelCampaign(t.Context(), string(id))
		check(t, err)
	}
	s.end()
	for line := range strings.Lines(th.log.String()) {
		if strings.Contains(line, "campaign stopped") {
			t.Error(line)
		}
	}
}
