package app

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/internal/natsd"
	"github.com/herald-campaigns/herald/sandbox"
)

func TestEverybodyGetsTheirMessageOnce(t *testing.T) {
	t.Parallel()
	th := newTheater(t, nil)
	file := th.text(300, "")
	result := th.mustRun(file, PrepareOptions{})
	wantTotals(t, result.Totals, map[campaign.Status]int64{campaign.StatusQueued: 300})
	for _, body := range th.api.sentBodies() {
		if !strings.HasPrefix(body.Message, "Hi Person ") {
			t.Fatalf("a message says %q", body.Message)
		}
	}
	again := th.mustRun(file, PrepareOptions{})
	if again.Campaign.ID != result.Campaign.ID || again.Accepted != 0 || len(th.api.sentBodies()) != 300 {
		t.Errorf("the second run accepted %d messages of campaign %s", again.Accepted, again.Campaign.ID)
	}
}

// TestEmbeddedSandboxSettlesEverybody runs as a newcomer would, to the end of
// everything, and once more.
func TestEmbeddedSandboxSettlesEverybody(t *testing.T) {
	t.Parallel()
	th := newTheater(t, nil)
	th.cfg.Mode, th.cfg.Periskope.Token = campaign.ModeSandbox, ""
	th.cfg.Sandbox.Speed = 1000
	var sim *sandbox.Server
	th.tuning = tuning{
		sandbox: func(c *sandbox.Config) { c.Instant, c.Outcomes = true, &sandbox.Outcomes{Read: 1} },
		started: func(_ *natsd.Server, s *sandbox.Server) { sim = s },
	}
	file := th.text(120, "")
	a := th.open()
	result, err := runIn(t.Context(), a, file, PrepareOptions{}, RunOptions{Wait: WaitSettled})
	check(t, err)
	judge(t, a, sim, false)
	wantTotals(t, result.Totals, map[campaign.Status]int64{campaign.StatusRead: 120})
	if result.Campaign.State != campaign.StateCompleted {
		t.Errorf("a settled campaign is %s", result.Campaign.State)
	}
	again, err := runIn(t.Context(), a, file, PrepareOptions{}, RunOptions{})
	check(t, err)
	if again.Campaign.State != campaign.StateCompleted || !again.Campaign.FinishedAt.Equal(result.Campaign.FinishedAt) {
		t.Errorf("running a completed campaign again left it %s, finished at %s", again.Campaign.State, again.Campaign.FinishedAt)
	}
	delta := th.write("more.csv", rows(120, 130))
	more, err := runIn(t.Context(), a, file, PrepareOptions{Delta: delta}, RunOptions{Wait: WaitSettled})
	check(t, err)
	wantTotals(t, more.Totals, map[campaign.Status]int64{campaign.StatusRead: 130, campaign.StatusSkipped: 1})
	check(t, a.Close())
}

// TestStreamLostWhileSending takes the stream away in the middle: it is made
// anew and filled from the ledger.
func TestStreamLostWhileSending(t *testing.T) {
	t.Parallel()
	for name, lose := range map[string]func(ctx context.Context, broker *natsd.Server) error{
		"deleted": func(ctx context.Context, broker *natsd.Server) error {
			conn, err := nats.Connect("", nats.InProcessServer(broker))
			if err != nil {
				return err
			}
			defer conn.Close()
			js, err := jetstream.New(conn)
			if err != nil {
				return err
			}
			return js.DeleteStream(ctx, "HERALD")
		},
		"server restarted": func(ctx context.Context, broker *natsd.Server) error { return broker.Restart(ctx) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			th := newTheater(t, nil)
			var broker *natsd.Server
			th.tuning.started = func(b *natsd.Server, _ *sandbox.Server) { broker = b }
			file := th.text(400, "pace: { rate: 200/s, in_flight: 4 }\n")
			lost := make(chan error, 1)
			progress := whenAccepted(50, func() { lost <- lose(t.Context(), broker) })
			result, err := th.run(t.Context(), file, PrepareOptions{}, RunOptions{Progress: progress})
			check(t, err)
			select {
			case err := <-lost:
				check(t, err)
			default:
				t.Fatal("the stream was never lost")
			}
			wantTotals(t, result.Totals, map[campaign.Status]int64{campaign.StatusQueued: 400})
		})
	}
}

func TestPauseAndResumeAtTheTerminal(t *testing.T) {
	t.Parallel()
	th := newTheater(t, nil)
	file := th.text(200, "pace: { rate: 200/s, in_flight: 4 }\n")
	controls := make(chan Control, 1)
	var asked, resumed bool
	var quiet int
	var held int64
	underWay := func(p Progress) int64 { return p.Totals.ByStatus[campaign.StatusSubmitting] }
	result, err := th.run(t.Context(), file, PrepareOptions{}, RunOptions{Control: controls, Progress: func(p Progress) {
		switch {
		case !asked && p.Accepted() > 20:
			asked = true
			controls <- ControlPause
		case asked && !resumed && p.Campaign.State == campaign.StatePaused && underWay(p) == 0:
			if quiet++; quiet == 1 {
				held = p.Accepted()
			}
			if quiet == 4 {
				if p.Accepted() != held {
					t.Errorf("%d messages were accepted during the pause", p.Accepted()-held)
				}
				if p.Campaign.Reason != campaign.PauseOperator {
					t.Errorf("paused for %s", p.Campaign.Reason)
				}
				resumed = true
				controls <- ControlResume
			}
		}
	}})
	check(t, err)
	if !resumed {
		t.Error("it was never paused")
	}
	wantTotals(t, result.Totals, map[campaign.Status]int64{campaign.StatusQueued: 200})
}

// TestTokenRevokedWhileSending: in the middle of a campaign its token is
// revoked. That is the sender's fault: nobody is failed for it and nobody is
// lost, and with another token it goes on where it was (P11).
func TestTokenRevokedWhileSending(t *testing.T) {
	t.Parallel()
	const recipients, revokedAt, inFlight, another = 200, 20, 8, "planted-token-4712"
	th := newTheater(t, nil)
	file := th.text(recipients, "pace: { rate: 200/s, in_flight: 8 }\n")
	revoked := make(chan error, 1)
	reached := th.api.after(revokedAt)
	go func() {
		<-reached
		revoked <- th.sim.SetTokens(another)
	}()
	a := th.open()
	_, err := runIn(t.Context(), a, file, PrepareOptions{}, RunOptions{})
	if ExitCode(err) != 5 || strings.Contains(err.Error(), testToken) {
		t.Fatalf("run = %v, exit code %d, want 5", err, ExitCode(err))
	}
	check(t, <-revoked)
	c, err := a.store.CampaignNamed(t.Context(), "A test")
	check(t, err)
	totals, err := a.store.Totals(t.Context(), c.ID)
	check(t, err)
	if c.State != campaign.StatePaused || c.Reason != campaign.PauseRefused {
		t.Errorf("the campaign is %s for %s", c.State, c.Reason)
	}
	if totals.ByStatus[campaign.StatusFailed]+totals.ByStatus[campaign.StatusUnknown]+totals.ByStatus[campaign.StatusStaged] > 0 {
		t.Errorf("people answer for a token: %v", totals.ByStatus)
	}
	found := th.audit(a)
	if found.Lost+found.Duplicated > 0 || found.Accepted < revokedAt-inFlight || found.Waiting != recipients-found.Accepted {
		t.Errorf("revoked at message %d: %s", revokedAt, found)
	}
	if n := th.api.answered(401); n < 1 || n > 2*inFlight {
		t.Errorf("%d calls were made with a revoked token, %d may be under way", n, inFlight)
	}

	// With the token still bad nothing begins; with a good one it goes on.
	sent := len(th.api.sentBodies())
	if _, err := runIn(t.Context(), a, file, PrepareOptions{}, RunOptions{}); ExitCode(err) != 5 {
		t.Errorf("a second run with the bad token = %v", err)
	}
	if n := len(th.api.sentBodies()); n != sent {
		t.Errorf("%d messages were tried with a token known to be bad", n-sent)
	}
	check(t, a.Close())
	th.cfg.Periskope.Token = another
	wantOnce(t, th.finish(file))
}

func TestOutageThatEndsInTime(t *testing.T) {
	t.Parallel()
	th := newTheater(t, nil)
	th.tuning.giveUp, th.tuning.firstRetry = time.Minute, 3*time.Second
	file := th.text(300, "pace: { rate: 300/s, in_flight: 4 }\n")
	back := make(chan struct{})
	progress := whenAccepted(30, func() {
		th.api.down()
		time.AfterFunc(1500*time.Millisecond, func() {
			defer close(back)
			th.api.up()
		})
	})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	result, err := th.run(ctx, file, PrepareOptions{}, RunOptions{Progress: progress})
	<-back
	check(t, err)
	unknown := result.Totals.ByStatus[campaign.StatusUnknown]
	if result.Totals.Accepted()+unknown != 300 || unknown > 4 {
		t.Errorf("after an outage: %v", result.Totals.ByStatus)
	}
}

func TestOutageThatLasts(t *testing.T) {
	t.Parallel()
	th := newTheater(t, nil)
	th.tuning.giveUp, th.tuning.firstRetry = 300*time.Millisecond, 3*time.Second
	file := th.text(100, "pace: { rate: 100/s, in_flight: 2 }\n")
	a := th.open()
	_, err := runIn(t.Context(), a, file, PrepareOptions{}, RunOptions{Progress: whenAccepted(20, th.api.down)})
	if ExitCode(err) != 4 {
		t.Fatalf("run = %v, exit code %d, want 4", err, ExitCode(err))
	}
	c, err := a.store.CampaignNamed(t.Context(), "A test")
	check(t, err)
	if c.State != campaign.StatePaused || c.Reason != campaign.PauseUnavailable {
		t.Errorf("the campaign is %s for %s", c.State, c.Reason)
	}
	totals, err := a.store.Totals(t.Context(), c.ID)
	check(t, err)
	if totals.ByStatus[campaign.StatusFailed] > 0 {
		t.Errorf("people answer for an outage: %v", totals.ByStatus)
	}
	check(t, a.Close())
	th.api.up()
	th.tuning = tuning{firstRetry: time.Millisecond}
	result := th.mustRun(file, PrepareOptions{})
	if unknown := result.Totals.ByStatus[campaign.StatusUnknown]; result.Totals.Accepted()+unknown != 100 || unknown > 2 {
		t.Errorf("after the outage: %v", result.Totals.ByStatus)
	}
}

func TestChangedFileIsRefusedAndADeltaIsNot(t *testing.T) {
	t.Parallel()
	th := newTheater(t, nil)
	file := th.text(20, "")
	first := th.mustRun(file, PrepareOptions{})

	th.write("recipients.csv", rows(1, 30))
	if _, err := th.run(t.Context(), file, PrepareOptions{}, RunOptions{}); ExitCode(err) != 6 || !strings.Contains(fmt.Sprint(Hints(err)), "--delta") {
		t.Errorf("changed recipients: %v, hints %v", err, Hints(err))
	}
	delta := th.mustRun(file, PrepareOptions{Delta: filepath.Join(th.dir, "recipients.csv")})
	if delta.Campaign.ID != first.Campaign.ID || delta.Accepted != 10 {
		t.Errorf("the delta sent %d in campaign %s", delta.Accepted, delta.Campaign.ID)
	}
	wantTotals(t, delta.Totals, map[campaign.Status]int64{campaign.StatusQueued: 30, campaign.StatusSkipped: 20})

	content, err := os.ReadFile(file)
	check(t, err)
	th.write("recipients.csv", rows(1, 20))
	th.write("campaign.yaml", strings.Replace(string(content), "marzipan", "nougat", 1))
	if _, err := th.run(t.Context(), file, PrepareOptions{}, RunOptions{}); ExitCode(err) != 6 {
		t.Errorf("changed message: %v", err)
	}
	if n := len(th.api.sentBodies()); n != 30 {
		t.Errorf("%d messages were sent, want 30", n)
	}
	// As another campaign it goes to everybody again.
	result := th.mustRun(file, PrepareOptions{AsNew: true})
	if result.Campaign.ID == first.Campaign.ID || result.Accepted != 20 {
		t.Errorf("as new: %d accepted in %s", result.Accepted, result.Campaign.ID)
	}
}

// TestUnfinishedDeltaIsTakenBack: a process died in the middle of a delta.
func TestUnfinishedDeltaIsTakenBack(t *testing.T) {
	t.Parallel()
	th := newTheater(t, nil)
	file := th.text(10, "")
	first := th.mustRun(file, PrepareOptions{})
	a := th.open()
	imp := campaign.Import{File: "more.csv", Header: []string{"phone", "name"}, Slugs: []string{"phone", "name"}}
	n, err := a.store.BeginImport(t.Context(), first.Campaign.ID, imp)
	check(t, err)
	senders, err := a.store.Senders(t.Context())
	check(t, err)
	check(t, a.store.AddRecipients(t.Context(), first.Campaign.ID, []campaign.Recipient{{
		Seq: 11, Import: n, Line: 2, Record: []string{number(11), "Person 11"}, Chat: campaign.PersonChat(number(11)),
		Sender: senders[0].ID, Status: campaign.StatusPending,
	}}))
	check(t, a.Close())

	wantTotals(t, th.mustRun(file, PrepareOptions{}).Totals, map[campaign.Status]int64{campaign.StatusQueued: 10})
	delta := th.write("more.csv", rows(11, 12))
	wantTotals(t, th.mustRun(file, PrepareOptions{Delta: delta}).Totals, map[campaign.Status]int64{campaign.StatusQueued: 12})
}

func TestAbortedImportLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	th := newTheater(t, nil)
	file := th.text(2000, "")
	ctx, cancel := context.WithCancel(t.Context())
	a := th.open()
	timer := time.AfterFunc(5*time.Millisecond, cancel)
	_, err := a.Prepare(ctx, file, PrepareOptions{})
	timer.Stop()
	cancel()
	if err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("prepare = %v", err)
	}
	if all, err := a.Campaigns(t.Context()); err != nil || err == nil && len(all) > 1 {
		t.Errorf("%d campaigns after an aborted import (%v)", len(all), err)
	}
	// A draft that nobody confirmed gives way as well.
	prepared, err := a.Prepare(t.Context(), file, PrepareOptions{})
	check(t, err)
	again, err := a.Prepare(t.Context(), file, PrepareOptions{})
	check(t, err)
	if again.Campaign.ID == prepared.Campaign.ID || again.Resumed {
		t.Error("an unconfirmed draft was taken for a campaign")
	}
	check(t, a.Discard(t.Context(), again))
	all, err := a.Campaigns(t.Context())
	check(t, err)
	if len(all) != 0 {
		t.Errorf("%d campaigns are left", len(all))
	}
	check(t, a.Close())
}

func TestScheduledStart(t *testing.T) {
	t.Parallel()
	th := newTheater(t, nil)
	start := time.Now().Add(8 * time.Second).Truncate(time.Second)
	file := th.text(5, "schedule: { start: \""+start.Format(time.RFC3339)+"\" }\n")
	scheduled := false
	result, err := th.run(t.Context(), file, PrepareOptions{}, RunOptions{Progress: func(p Progress) {
		scheduled = scheduled || p.Campaign.State == campaign.StateScheduled && p.StartsIn > 0
	}})
	check(t, err)
	if !scheduled {
		t.Error("it was never scheduled")
	}
	for _, body := range th.api.sentBodies() {
		if body.at.Before(start) {
			t.Errorf("a message went %s before the start", start.Sub(body.at))
		}
	}
	wantTotals(t, result.Totals, map[campaign.Status]int64{campaign.StatusQueued: 5})
}

func TestLocalFileReachesTheProvider(t *testing.T) {
	t.Parallel()
	th := newTheater(t, nil)
	picture := append([]byte("\x89PNG\r\n\x1a\n"), []byte(strings.Repeat("not much of a picture ", 1000))...)
	th.write("flyer.png", string(picture))
	th.write("recipients.csv", rows(1, 3))
	file := th.write("campaign.yaml", "name: Flyer\nrecipients: { csv: recipients.csv, phone: phone }\n"+
		"message: { text: \"Hi {{ name }}\", media: { type: image, file: flyer.png } }\nsenders: [\""+testSender+"\"]\npace: { rate: 100/s }\n")
	th.mustRun(file, PrepareOptions{})
	want := sha256.Sum256(picture)
	for _, body := range th.api.sentBodies() {
		content, err := base64.StdEncoding.DecodeString(body.Media["filedata"])
		check(t, err)
		got := sha256.Sum256(content)
		if got != want || body.Media["filename"] != "flyer.png" || body.Media["mimetype"] != "image/png" || body.Media["type"] != "image" {
			t.Errorf("media: %s, %q, %q, %q", hex.EncodeToString(got[:4]), body.Media["filename"], body.Media["mimetype"], body.Media["type"])
		}
		if !strings.HasPrefix(body.Message, "Hi Person") {
			t.Errorf("the caption is %q", body.Message)
		}
	}
	if len(th.api.sentBodies()) != 3 {
		t.Errorf("%d sends", len(th.api.sentBodies()))
	}
}

func TestPollIsOnePoll(t *testing.T) {
	t.Parallel()
	th := newTheater(t, nil)
	th.write("recipients.csv", rows(1, 5))
	file := th.write("campaign.yaml", "name: Poll\nrecipients: { csv: recipients.csv, phone: phone }\n"+
		"message: { poll: { question: \"{{ name }}, when?\", options: [Friday, Saturday], multiple: true } }\nsenders: [\""+testSender+"\"]\npace: { rate: 100/s }\n")
	first := th.mustRun(file, PrepareOptions{})
	ids := map[string]bool{}
	for _, acceptance := range th.sim.Acceptances() {
		ids[acceptance.PollID] = true
		if acceptance.Type != "poll_creation" {
			t.Errorf("a %s was sent", acceptance.Type)
		}
	}
	if len(ids) != 1 || !ids[first.Campaign.PollID] || first.Campaign.PollID == "" {
		t.Errorf("poll ids %v, the campaign's is %q", ids, first.Campaign.PollID)
	}
	for _, body := range th.api.sentBodies() {
		if diff := cmp.Diff([]string{"Friday", "Saturday"}, body.Poll.PollOptions); diff != "" || !strings.HasSuffix(body.Poll.PollName, ", when?") {
			t.Errorf("poll %q (-want +got):\n%s", body.Poll.PollName, diff)
		}
	}
}

func TestGroupsRepliesAndPreviews(t *testing.T) {
	t.Parallel()
	th := newTheater(t, nil)
	th.write("groups.csv", "group,quote\n120363040000000001@g.us,true_120363040000000001@g.us_ABCDEF0123456789ABCD\n120363040000000002@g.us,true_120363040000000002@g.us_ABCDEF0123456789ABCE\n")
	file := th.write("campaign.yaml", "name: Groups\nrecipients: { csv: groups.csv, chat_id: group }\n"+
		"message: { text: \"see https://example.com\", reply_to: \"{{ quote }}\", link_preview: false }\nsenders: [\""+testSender+"\"]\npace: { rate: 100/s }\n")
	result := th.mustRun(file, PrepareOptions{})
	wantTotals(t, result.Totals, map[campaign.Status]int64{campaign.StatusQueued: 2})
	for _, body := range th.api.sentBodies() {
		if !strings.HasSuffix(body.ChatID, "@g.us") || !strings.Contains(body.ReplyTo, body.ChatID) || body.Options["hide_url_preview"] != true {
			t.Errorf("sent to %s, quoting %q, options %v", body.ChatID, body.ReplyTo, body.Options)
		}
	}
}

// TestThrottlingCostsNobodyAnything: every second call is refused with 429.
func TestThrottlingCostsNobodyAnything(t *testing.T) {
	t.Parallel()
	th := newTheater(t, func(c *sandbox.Config) {
		c.Faults = []sandbox.Fault{{Kind: sandbox.FaultStatus, Status: 429, RetryAfter: "0.02", RateLimitReset: "0", Rate: 0.5}}
	})
	// Its slowest is a sixteenth of this.
	file := th.text(60, "pace: { rate: 400/s, in_flight: 8 }\n")
	a := th.open()
	result, err := runIn(t.Context(), a, file, PrepareOptions{}, RunOptions{})
	check(t, err)
	wantTotals(t, result.Totals, map[campaign.Status]int64{campaign.StatusQueued: 60})
	if th.api.answered(429) < 8 {
		t.Errorf("only %d calls were throttled: this test is none", th.api.answered(429))
	}
	views, err := a.Recipients(t.Context(), result.Campaign.ID, RecipientFilter{})
	check(t, err)
	for view, err := range views {
		check(t, err)
		if view.Attempts != 1 {
			t.Errorf("row %d used %d attempts, throttled calls count none", view.Row, view.Attempts)
		}
	}
	th.audit(a)
	check(t, a.Close())
}

// TestThrottledSenderStaysBlockedAcrossARestart: what the API asked of the
// phone holds for whoever serves it next.
func TestThrottledSenderStaysBlockedAcrossARestart(t *testing.T) {
	t.Parallel()
	th := newTheater(t, func(c *sandbox.Config) {
		c.Faults = []sandbox.Fault{{Kind: sandbox.FaultStatus, Status: 429, RetryAfter: "3", Next: 1}}
	})
	file := th.text(3, "pace: { rate: 100/s, in_flight: 1 }\n")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		<-th.api.sends
		cancel()
	}()
	result, err := th.run(ctx, file, PrepareOptions{}, RunOptions{})
	check(t, err)
	if !result.Interrupted {
		t.Fatal("the run was not interrupted")
	}
	th.mustRun(file, PrepareOptions{})
	bodies := th.api.sentBodies()
	if len(bodies) != 4 {
		t.Fatalf("%d calls, want one throttled and three accepted", len(bodies))
	}
	if waited := bodies[1].at.Sub(bodies[0].at); waited < 2900*time.Millisecond {
		t.Errorf("the next process called %s after a 429 that asked for 3 s", waited)
	}
}

// TestUsedUpLimitIsNotOverrun: X-RateLimit-Remaining 0 stops the sender until
// the window is over, so that no call is wasted on a 429.
func TestUsedUpLimitIsNotOverrun(t *testing.T) {
	t.Parallel()
	th := newTheater(t, func(c *sandbox.Config) { c.RateLimit = sandbox.RateLimit{PerWindow: 6, Window: time.Second} })
	th.cfg.Poll.PerSecond = 0.001
	result := th.mustRun(th.text(20, "pace: { rate: unlimited, in_flight: 1 }\n"), PrepareOptions{})
	wantTotals(t, result.Totals, map[campaign.Status]int64{campaign.StatusQueued: 20})
	if n := th.api.answered(429); n > 1 {
		t.Errorf("%d calls overran a limit that the answers had announced", n)
	}
}

// TestCallsThatHang are found among the provider's jobs, and nobody is called
// twice.
func TestCallsThatHang(t *testing.T) {
	t.Parallel()
	th := newTheater(t, func(c *sandbox.Config) {
		c.Faults = []sandbox.Fault{{Kind: sandbox.FaultHang, When: sandbox.FaultAfter, Delay: 20 * time.Second, Next: 2}}
	})
	th.tuning.callTimeout = 300 * time.Millisecond
	result := th.mustRun(th.text(20, "pace: { rate: 100/s, in_flight: 4 }\n"), PrepareOptions{})
	wantTotals(t, result.Totals, map[campaign.Status]int64{campaign.StatusQueued: 20})
	if n := len(th.api.sentBodies()); n != 20 {
		t.Errorf("%d calls were made for 20 people", n)
	}
}

func TestTwoSendersShareTheWork(t *testing.T) {
	t.Parallel()
	th := newTheater(t, nil)
	file := th.text(100, "pace: { rate: 200/s, in_flight: 2 }\n")
	content, err := os.ReadFile(file)
	check(t, err)
	th.write("campaign.yaml", strings.Replace(string(content), `"`+testSender+`"`, `"`+testSender+`", "12015550124"`, 1))
	wantTotals(t, th.mustRun(file, PrepareOptions{}).Totals, map[campaign.Status]int64{campaign.StatusQueued: 100})
	by := map[string]int{}
	for _, acceptance := range th.sim.Acceptances() {
		by[acceptance.Phone]++
	}
	if diff := cmp.Diff(map[string]int{testSender: 50, "12015550124": 50}, by); diff != "" {
		t.Errorf("accepted by sender (-want +got):\n%s", diff)
	}
}

// TestLeaseLostWhileSending: somebody else takes the sender in the middle. The
// work under the old lease ends, and goes on when the lease can be had again.
func TestLeaseLostWhileSending(t *testing.T) {
	t.Parallel()
	th := newTheater(t, func(c *sandbox.Config) { c.Latency = sandbox.Range{Max: 10 * time.Millisecond} })
	th.tuning.leaseTTL = 900 * time.Millisecond
	a := th.open()
	var taken campaign.Lease
	progress := whenAccepted(30, func() {
		senders, err := a.store.Senders(t.Context())
		check(t, err)
		var ok bool
		taken, ok, err = a.store.AcquireLease(t.Context(), senders[0].ID, holder, time.Minute)
		if err != nil || !ok {
			t.Errorf("lease not taken: %v", err)
		}
	})
	result, err := runIn(t.Context(), a, th.text(300, "pace: { rate: 200/s, in_flight: 4 }\n"), PrepareOptions{}, RunOptions{Progress: progress})
	check(t, err)
	wantTotals(t, result.Totals, map[campaign.Status]int64{campaign.StatusQueued: 300})
	if taken.Epoch < 2 {
		t.Errorf("the lease was never lost (epoch %d)", taken.Epoch)
	}
	th.audit(a)
	check(t, a.Close())
}

func TestSecondProcessIsRefused(t *testing.T) {
	t.Parallel()
	th := newTheater(t, nil)
	a := th.open()
	second, err := Open(t.Context(), th.cfg, a.log)
	if err == nil {
		t.Error("two processes may send from one data directory")
		check(t, second.Close())
	}
	check(t, a.Close())
}
