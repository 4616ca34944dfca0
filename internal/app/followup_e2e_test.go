package app

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/sandbox"
)

// reached is to whom the provider took a message that begins so: the last four
// digits, one for each message.
func (th *theater) reached(beginning string) []string {
	var list []string
	for _, a := range th.sim.Acceptances() {
		if strings.HasPrefix(a.Body, beginning) {
			number, _, _ := strings.Cut(a.ChatID, "@")
			list = append(list, number[len(number)-4:])
		}
	}
	return slices.Sorted(slices.Values(list))
}

// TestFollowUpsReachWhomTheyAreFor: a poll goes to people who read it or do not,
// reply, vote, change their vote and opt out; campaigns for some of them reach
// exactly those, and none that opted out.
func TestFollowUpsReachWhomTheyAreFor(t *testing.T) {
	t.Parallel()
	th := hooked(t, func(c *sandbox.Config) { c.Instant, c.Speed = false, 20_000 })
	th.write("people.csv", "phone,name\n"+strings.Join([]string{
		"+12015550001,Reads", "+12015550002,Gets it", "+12015550003,Offline", "+12015550404,Nobody",
		"+12015551001,Replies", "+12015551002,Quotes", "+12015551010,Stops", "+12015551012,Nearly stops",
		"+12015551021,Yes", "+12015551022,No", "+12015551023,Both", "+12015551024,Changes", "+12015551025,Withdraws",
	}, "\n")+"\n")
	head := "recipients: { csv: people.csv, phone: phone }\nsenders: [\"" + testSender + "\"]\npace: { rate: unlimited, in_flight: 8 }\n"
	first := th.write("first.yaml", "name: first\nmessage: { poll: { question: \"Coming?\", options: [\"Yes\", \"No\"], multiple: true } }\n"+head)
	s := th.serve()
	defer s.end()
	check(t, s.registered())
	id := s.start(first)
	s.until(id, func(v CampaignView) bool { return v.Rows > 0 && v.Waiting() == 0 })
	known := s.settle([]campaign.ID{id})
	if len(known) != 13 {
		t.Fatalf("13 rows, not %d", len(known))
	}
	for number, test := range []struct {
		where string
		want  []string
	}{
		{"delivered and not read", []string{"0002"}},
		{"voted 'Yes'", []string{"1021", "1023"}},
		{"voted", []string{"1021", "1022", "1023", "1024"}},
		{"replied", []string{"1001", "1002", "1012"}}, // whoever wrote STOP is left alone
		{"failed", []string{"0404"}},
	} {
		name := fmt.Sprintf("follow%d", number)
		file := th.write(name+".yaml", "name: "+name+"\nmessage: { text: \""+name+" for {{ name }}\" }\n"+
			"only: { campaign: first, where: \""+test.where+"\" }\n"+head)
		next := s.start(file)
		s.until(next, func(v CampaignView) bool { return v.State != campaign.StateDraft && v.Waiting() == 0 })
		if diff := cmp.Diff(test.want, th.reached(name)); diff != "" {
			t.Errorf("%s (-want +got)\n%s", test.where, diff)
		}
	}

	// Whoever opted out is never a whole campaign.
	nobody := th.write("nobody.yaml", "name: nobody\nmessage: { text: \"nobody\" }\nonly: { campaign: first, where: opted out }\n"+head)
	if _, err := s.remote.Prepare(t.Context(), nobody, PrepareOptions{}); err == nil || !strings.Contains(err.Error(), "1 opted_out") {
		t.Errorf("a campaign for who opted out: %v", err)
	}

	// The command writes a file that can be run as it is.
	written, err := s.remote.FollowUp(t.Context(), "first", "voted 'No' and not voted 'Yes'")
	check(t, err)
	path := filepath.Join(th.dir, "again.yaml")
	check(t, s.remote.WriteFollowUp(t.Context(), written, path))
	if written.Recipients != 2 || written.Of != 13 {
		t.Errorf("it chooses %d of %d", written.Recipients, written.Of)
	}
	before := len(th.sim.Acceptances())
	next := s.start(path)
	s.until(next, func(v CampaignView) bool { return v.State != campaign.StateDraft && v.Waiting() == 0 })
	var again []string
	for _, a := range th.sim.Acceptances()[before:] {
		again = append(again, a.ChatID)
	}
	slices.Sort(again)
	if want := []string{"12015551022@c.us", "12015551024@c.us"}; !slices.Equal(again, want) {
		t.Errorf("the file that was written reached %v, want %v", again, want)
	}
}

// TestLateAnswersAreInTheReports of a service, long after the last message: the
// reply of somebody, and then the opt-out.
func TestLateAnswersAreInTheReports(t *testing.T) {
	t.Parallel()
	th := hooked(t, nil)
	th.tuning.reportsEvery = 20 * time.Millisecond
	file := th.text(5, "")
	s := th.serve()
	defer s.end()
	check(t, s.registered())
	id := s.start(file)
	s.until(id, isIn(campaign.StateCompleted))
	folder := s.app.folder(id)
	before := s.untilReports(folder, func(r reported) bool { return r.Fingerprint != "" })

	_, err := th.sim.Reply(testSender, number(3), "Late but here", sandbox.ReplyOptions{})
	check(t, err)
	replied := s.untilReports(folder, func(r reported) bool { return r.Engagement.Replied.Count == 1 })
	_, err = th.sim.Reply(testSender, number(4), "STOP", sandbox.ReplyOptions{})
	check(t, err)
	out := s.untilReports(folder, func(r reported) bool { return r.Engagement.OptedOut.Count == 1 })
	if before.Engagement.Replied.Count != 0 || out.Engagement.Replied.Count != 2 || replied.Fingerprint == before.Fingerprint || out.Fingerprint == replied.Fingerprint {
		t.Errorf("before %+v, replied %+v, opted out %+v", before, replied, out)
	}
	if v := s.until(id, func(CampaignView) bool { return true }); v.State != campaign.StateCompleted {
		t.Errorf("the campaign is %s", v.State)
	}
	page, err := os.ReadFile(filepath.Join(folder, "report.html"))
	check(t, err)
	rows, err := os.ReadFile(filepath.Join(folder, "results.csv"))
	check(t, err)
	for name, content := range map[string]string{"report.html": string(page), "results.csv": string(rows)} {
		if !strings.Contains(content, "Late but here") {
			t.Errorf("%s does not have the late reply", name)
		}
	}
}

// reported is what these tests read in report.json.
type reported struct {
	Fingerprint string
	Engagement  struct {
		Replied  struct{ Count int64 }
		OptedOut struct{ Count int64 } `json:"opted_out"`
	}
}

// untilReports waits until report.json is as wanted. It is written last.
func (s *serving) untilReports(folder string, want func(reported) bool) reported {
	s.th.t.Helper()
	deadline := time.Now().Add(patience)
	for {
		var r reported
		if content, err := os.ReadFile(filepath.Join(folder, reportJSON)); err == nil {
			check(s.th.t, json.Unmarshal(content, &r))
		}
		if want(r) {
			return r
		}
		if time.Now().After(deadline) {
			s.th.t.Fatalf("the report is %+v; the log:\n%s", r, s.th.log)
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case err := <-s.ended:
			s.th.t.Fatalf("the service ended: %v", err)
		}
	}
}
