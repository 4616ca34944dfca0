package report_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/report"
)

// plain is a text campaign in two variants that nobody could vote on.
func plain() *ledger {
	l := newLedger(20)
	l.campaign.Spec.Variants = []campaign.Variant{
		{Name: "A", Weight: 1, Message: campaign.Template{Text: "one"}}, {Name: "B", Weight: 1, Message: campaign.Template{Text: "two"}},
	}
	for i := range 20 {
		l.add(campaign.StatusRead, func(r *campaign.Recipient) { r.Variant = string(rune('A' + i%2)) })
	}
	return l
}

// forms is a report as people read it.
func forms(t *testing.T, l *ledger, change ...func(*report.Options)) map[string]string {
	t.Helper()
	r := build(t, l, change...)
	return map[string]string{
		"text": text(t, r, report.TextOptions{Width: 120}),
		"html": string(export(t, l, r, "report.html")),
		"xlsx": string(cells(t, export(t, l, r, "report.xlsx"))),
	}
}

// Where failed rows were sent again, no form claims that one call was enough,
// nor that nothing was sent a second time.
func TestRowsThatWereRetried(t *testing.T) {
	t.Parallel()
	retried := func(attempts int) *ledger {
		l := newLedger(2)
		l.add(campaign.StatusDelivered)
		l.add(campaign.StatusDelivered, func(r *campaign.Recipient) { r.Attempt = attempts })
		l.timeline = append(l.timeline, campaign.Event{
			At: start.Add(time.Hour), Kind: campaign.EventRetried, Detail: "1 row that failed waits again (row 2)",
		})
		return l
	}
	const put = "failed rows were put back to be sent again once"
	for _, c := range []struct {
		attempts int
		want     string
	}{{2, "for 1 recipient; each after a refusal"}, {1, "none is counted so far; " + put}} {
		r := build(t, retried(c.attempts))
		if s := r.Safety; s.Resent != 1 || s.Retries != int64(c.attempts-1) || s.DuplicateSends != 0 {
			t.Errorf("%d attempts: %+v", c.attempts, s)
		}
		for form, out := range forms(t, retried(c.attempts)) {
			out = strings.Join(strings.Fields(out), " ")
			if !strings.Contains(out, c.want) || !strings.Contains(out, put) {
				t.Errorf("%d attempts, %s: %q or %q is missing in\n%s", c.attempts, form, c.want, put, out)
			}
			if strings.Contains(out, "enough for everybody") {
				t.Errorf("%d attempts, %s: one call was enough", c.attempts, form)
			}
			if form != "xlsx" && !strings.Contains(out, "but for failed rows that were sent again at a person") {
				t.Errorf("%d attempts, %s: nobody was sent to again\n%s", c.attempts, form, out)
			}
		}
	}
	for form, out := range forms(t, plain()) {
		if !strings.Contains(out, "one call of the API was enough for everybody") {
			t.Errorf("%s: does not say that one call was enough", form)
		}
	}
}

// Where unknown rows were sent again without proof, no form claims more than is
// known.
func TestRowsThatWereSentAgainWithoutProof(t *testing.T) {
	t.Parallel()
	l := newLedger(2)
	l.add(campaign.StatusDelivered)
	l.add(campaign.StatusDelivered, func(r *campaign.Recipient) { r.Attempt = 2 })
	l.timeline = append(l.timeline, campaign.Event{
		At: start.Add(time.Hour), Kind: campaign.EventResent, Detail: "1 row waits again: to be sent again, decided by maya (row 2)",
	})
	if s := build(t, l).Safety; s.Unproven != 1 || s.Resent != 0 || s.DuplicateSends != 0 {
		t.Errorf("%+v", s)
	}
	for form, out := range forms(t, l) {
		out = strings.Join(strings.Fields(out), " ")
		want := "but for unknown rows that were sent again without proof, and may have it twice"
		if form == "xlsx" {
			want = "unknown rows were put back without proof once"
		}
		if !strings.Contains(out, want) {
			t.Errorf("%s: %q is missing in\n%s", form, want, out)
		}
	}
}

// What to do follows from what the provider said, not only from who said it.
func TestAdviceGoesByTheDetail(t *testing.T) {
	t.Parallel()
	const alike = "so many alike are the message"
	for _, c := range []struct {
		reason campaign.FailReason
		detail string
		times  int
		want   string
	}{
		{campaign.FailProvider, "The recipient has blocked this number.", 1, "wants no messages"},
		{campaign.FailProvider, "The phone number is not registered on WhatsApp.", 1, "no WhatsApp account"},
		{campaign.FailRejected, "number 919999990032 is not on WhatsApp (131026)", 1, "no WhatsApp account"},
		{campaign.FailRejected, "The phone number is not registered on WhatsApp.", 30, "no WhatsApp account"},
		{campaign.FailProvider, "Too many messages from this number (131056)", 1, "lower the rate"},
		{campaign.FailProvider, "Phone is disconnected.", 1, "connect it"},
		{campaign.FailProvider, "Invalid chat_id.", 1, "no such chat"},
		{campaign.FailProvider, "Failed.", 1, report.FailWord(campaign.FailProvider).Advice},
		{campaign.FailExhausted, "Too many requests", 1, report.FailWord(campaign.FailExhausted).Advice},
		{campaign.FailRejected, "Too many options", 1, report.FailWord(campaign.FailRejected).Advice},
		{campaign.FailRejected, "Invalid body", 30, alike},
	} {
		l := newLedger(int64(c.times))
		for range c.times {
			l.add(campaign.StatusFailed, failed(c.reason, campaign.ClassifyFailure(c.detail), c.detail))
		}
		r := build(t, l)
		if got := r.Failures.Groups[0].Advice; !strings.Contains(got, c.want) {
			t.Errorf("%s, %q, %d times: %s", c.reason, c.detail, c.times, got)
		}
	}
}

// A report that is sent to somebody names its zone so that they know it.
func TestZoneIsNamed(t *testing.T) {
	t.Parallel()
	kolkata, err := time.LoadLocation("Asia/Kolkata")
	if err != nil {
		t.Fatal(err)
	}
	for want, zone := range map[string]*time.Location{
		"UTC": time.UTC, "Asia/Kolkata": kolkata, "UTC+05:30": time.FixedZone("IST", 19800), "UTC-03:30": time.FixedZone("", -12600),
	} {
		change := func(o *report.Options) { o.Location = zone }
		if got := build(t, mixed(), change).TimeZone; got != want {
			t.Errorf("%s is named %q, want %q", zone, got, want)
		}
		for form, out := range forms(t, mixed(), change) {
			if regexp.MustCompile(`\bLocal\b`).MatchString(out) || form != "text" && !strings.Contains(strings.ReplaceAll(out, "&#43;", "+"), want) {
				t.Errorf("%s: the zone is not %s", form, want)
			}
		}
	}
}

// A zone without a name whose clocks are changed has both its offsets.
func TestZoneInSummer(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{"EST5EDT": "UTC-05:00, in summer UTC-04:00", "NZ": "UTC+12:00, in summer UTC+13:00", "GB": "UTC, in summer UTC+01:00"} {
		zone, err := time.LoadLocation(name)
		if err != nil {
			t.Skipf("this machine has no zone %s: %v", name, err)
		}
		if got := build(t, mixed(), func(o *report.Options) { o.Location = zone }).TimeZone; got != want {
			t.Errorf("%s is named %q, want %q", name, got, want)
		}
	}
}

// What a person reads has the words of people in every form.
func TestEveryFormHasTheSameWords(t *testing.T) {
	t.Parallel()
	for form, out := range forms(t, running()) {
		if form == "xlsx" {
			out, _, _ = strings.Cut(out, "== Recipients") // the rows have the codes of the CSV
		}
		for _, code := range []string{"pending", "staged", "submitting"} {
			if strings.Contains(out, code) {
				t.Errorf("%s says %q", form, code)
			}
		}
		for _, s := range []campaign.Status{campaign.StatusPending, campaign.StatusSubmitting} {
			if label := report.StatusWord(s).Label; !strings.Contains(out, label) {
				t.Errorf("%s does not say %q", form, label)
			}
		}
	}
}

// The rows are the same as a CSV and in the workbook, but for how times are
// written.
func TestRowsAreTheSameInCSVAndXLSX(t *testing.T) {
	t.Parallel()
	l := answered()
	inCSV := parse(t, asCSV(t, l, report.CSVOptions{NoBOM: true}))
	inXLSX, err := open(t, export(t, l, build(t, l), "report.xlsx")).GetRows("Recipients")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"status", "reason", "attempts", "replies", "vote", "variant", "resolution", "sender"} {
		a, b := slices.Index(inCSV[0], "herald_"+name), slices.Index(inXLSX[0], "herald_"+name)
		for i := range inCSV[1:] {
			got := ""
			if row := inXLSX[i+1]; b < len(row) { // empty cells at the end are not there
				got = row[b]
			}
			if want := inCSV[i+1][a]; got != want {
				t.Fatalf("row %d, herald_%s: %q in the workbook, %q in the CSV", i+1, name, got, want)
			}
		}
	}
}

// Whoever reads a share of the funnel reads of what.
func TestFunnelSaysOfWhich(t *testing.T) {
	t.Parallel()
	for form, out := range forms(t, answered()) {
		for _, step := range []string{"accepted", "sent", "delivered"} {
			if !regexp.MustCompile(`[\d.]+ % of ` + step + `\b`).MatchString(out) {
				t.Errorf("%s: nothing is a share of %s", form, step)
			}
		}
		if regexp.MustCompile(`[\d.]+ % of read\b`).MatchString(out) || strings.Contains(out, "of previous") {
			t.Errorf("%s: replies are a share of read", form)
		}
	}
}

// Where nobody can vote, nothing is said of votes.
func TestNoVotesWithoutAPoll(t *testing.T) {
	t.Parallel()
	voted := regexp.MustCompile(`(?i)\bvote[ds]?\b|\bvoters?\b`)
	for form, out := range forms(t, plain()) {
		if form == "xlsx" { // the rows have all columns of the CSV
			before, after, _ := strings.Cut(out, "== Recipients")
			_, after, _ = strings.Cut(after, "== Variants")
			out = before + after
		}
		if m := voted.FindString(out); m != "" {
			t.Errorf("%s says %q", form, m)
		}
	}
	// With a poll in one of two variants, the other has no share of votes.
	l := plain()
	l.campaign.Spec.Variants[1].Message = campaign.Template{Poll: &campaign.PollTemplate{Question: "?", Options: []string{"Yes", "No"}}}
	l.rows[1].Vote, l.rows[1].VotedAt = []string{"Yes"}, l.rows[1].ReadAt
	for form, out := range forms(t, l) {
		if form == "html" && !regexp.MustCompile(`<th scope="row">voted</th><td class="num">-</td><td class="num">10.0 %`).MatchString(out) {
			t.Errorf("%s: no votes, or votes on the text", form)
		}
		if strings.Contains(out, "told apart by their reads and votes") || strings.Contains(out, "voted: B beside A") {
			t.Errorf("%s: votes are compared with none", form)
		}
	}
}

// Who sends a poll asks first how it went.
func TestPollComesFirst(t *testing.T) {
	t.Parallel()
	l := answered()
	r := build(t, l)
	if !strings.HasPrefix(r.Verdict, "196 voted (52.7 % of those delivered), 4 more in 2 groups, ") {
		t.Errorf("verdict %s", r.Verdict)
	}
	if quickly := build(t, l, quick).Verdict; !strings.HasPrefix(quickly, "196 voted, ") {
		t.Errorf("quick verdict %s", quickly)
	}
	page := string(export(t, l, r, "report.html"))
	if want := "<p class=\"verdict\" id=\"verdict\">196 voted (52.7\u00a0% of those delivered).</p>"; !strings.Contains(page, want) {
		t.Error("the headline is not the votes")
	}
	first := func(pattern string) string {
		m := regexp.MustCompile(pattern).FindStringSubmatch(page)
		if m == nil {
			t.Fatalf("no %s", pattern)
		}
		return m[1]
	}
	if got := first(`class="tile"><dt>([^<]+)`); got != "Voted" {
		t.Errorf("the first tile is %s", got)
	}
	if got := first(`<section aria-labelledby="([^"]+)`); got != "poll" {
		t.Errorf("the first section is %s", got)
	}
	out := text(t, r, report.TextOptions{})
	if at := strings.Index(out, "\nPolls: "); at < 0 || at > strings.Index(out, "\nBalance\n") {
		t.Error("on the terminal, the poll does not come first")
	}

	groups := newLedger(1)
	groups.campaign.Spec.Message = campaign.Template{Poll: &campaign.PollTemplate{Question: "?", Options: []string{"Yes", "No"}}}
	groups.add(campaign.StatusDelivered, func(r *campaign.Recipient) { r.Chat = "120363040000000001@g.us" })
	groups.ballots = []campaign.LocatedBallots{{Campaign: testID, Seq: 1, Ballots: campaign.Ballots{Votes: []campaign.Ballot{
		{Voter: "919999990001@c.us", Options: []string{"Yes"}},
	}}}}
	if got := build(t, groups).Verdict; !strings.HasPrefix(got, "1 voted in 1 group, 1 of 1 delivered") {
		t.Errorf("of groups only: %s", got)
	}
}

// Two or three moments make no curve.
func TestFewMomentsAreATable(t *testing.T) {
	t.Parallel()
	for moments, drawn := range map[int]bool{2: false, 3: false, 4: true, 9: true} {
		l := newLedger(int64(moments))
		for i := range moments {
			l.add(campaign.StatusQueued, func(r *campaign.Recipient) {
				r.ClaimedAt = start.Add(time.Duration(i) * time.Minute)
				r.QueuedAt = r.ClaimedAt
			})
		}
		page := string(export(t, l, build(t, l), "report.html"))
		if got := strings.Contains(page, `id="growth-title"`); got != drawn {
			t.Errorf("%d moments: drawn %v", moments, got)
		}
		_, table, found := strings.Cut(page, "<caption>How many by when</caption>")
		table, _, _ = strings.Cut(table, "</table>")
		if want := fmt.Sprintf(`<td class="num">%d</td>`, moments); !found || !strings.Contains(table, want) {
			t.Errorf("%d moments: the table does not come to all:\n%s", moments, table)
		}
		if rows := strings.Count(table, `scope="row"`); !drawn && rows != moments {
			t.Errorf("%d moments: %d rows", moments, rows)
		}
	}
}

// What says where to go on is a command that does so.
func TestReviewIsNamed(t *testing.T) {
	t.Parallel()
	for form, out := range forms(t, answered()) {
		if form != "xlsx" && !strings.Contains(out, "herald optouts review") {
			t.Errorf("%s does not name the command", form)
		}
	}
}

// Nothing is said of a moment that has not come: the last step over time ends
// when the report is made.
func TestOverTimeEndsWithTheReport(t *testing.T) {
	t.Parallel()
	const caption = "<caption>How many by when</caption>"
	for moments, steps := range map[int][]string{
		2: {"10:01:00", "10:01:05"},
		6: {"10:01:00", "10:02:00", "10:03:00", "10:04:00", "10:05:00", "10:05:05"},
	} {
		l := newLedger(int64(moments))
		l.campaign.State, l.campaign.FinishedAt = campaign.StateTracking, time.Time{}
		for i := range moments {
			l.add(campaign.StatusQueued, func(r *campaign.Recipient) {
				r.ClaimedAt = start.Add(time.Duration(i) * time.Minute)
				r.QueuedAt = r.ClaimedAt
			})
		}
		now := start.Add(time.Duration(moments-1)*time.Minute + 5*time.Second)
		page := string(export(t, l, build(t, l, func(o *report.Options) { o.Now = now }), "report.html"))
		_, table, _ := strings.Cut(page, caption)
		table, _, _ = strings.Cut(table, "</table>")
		var got []string
		for _, m := range regexp.MustCompile(`class="nowrap">2026-11-28 ([\d:]+) IST</th><td class="num">(\d+)`).FindAllStringSubmatch(table, -1) {
			got = append(got, m[1])
			if want := fmt.Sprint(len(got)); m[2] != want {
				t.Errorf("%d moments: %s accepted until %s, want %s", moments, m[2], m[1], want)
			}
		}
		if diff := cmp.Diff(steps, got); diff != "" {
			t.Errorf("%d moments (-want +got):\n%s", moments, diff)
		}
		for _, m := range regexp.MustCompile(`d="(M[^"]+)"`).FindAllStringSubmatch(page, -1) {
			for _, x := range regexp.MustCompile(`[ML]([\d.]+) `).FindAllStringSubmatch(m[1], -1) {
				if len(x[1]) > len("1000.0") || len(x[1]) == len("1000.0") && x[1] != "1000.0" {
					t.Errorf("%d moments: the line goes on to %s of 1000", moments, x[1])
				}
			}
		}
		if desc := "to 2026-11-28 10:05:05 IST: 6 accepted"; moments == 6 && !strings.Contains(page, desc) {
			t.Errorf("the chart does not end %q", desc)
		}
	}
}

// The reasons of failures are in one order: the most frequent first.
func TestFailuresByReasonAreInOrder(t *testing.T) {
	t.Parallel()
	l := newLedger(12)
	for range 5 {
		l.add(campaign.StatusFailed, failed(campaign.FailRejected, campaign.FailPermanent, "template refused"))
	}
	for range 6 {
		l.add(campaign.StatusFailed, failed(campaign.FailExhausted, campaign.FailTransient, "HTTP 503 three times"))
	}
	l.add(campaign.StatusFailed, failed(campaign.FailTooLarge, campaign.FailPermanent, ""))
	page := string(export(t, l, build(t, l), "report.html"))
	_, page, _ = strings.Cut(page, `<section aria-labelledby="failures">`)
	page, _, _ = strings.Cut(page, "</section>")
	quickly := text(t, build(t, l, quick), report.TextOptions{})
	_, quickly, _ = strings.Cut(quickly, "\nFailed: 12\n")
	for what, c := range map[string]struct{ in, pattern string }{
		"chart": {page, `<text x="0" y="\d+">([^<]+)</text>`},
		"table": {page, `<th scope="row">([^<]+)</th>`},
		"parts": {page, `<h3>\d+: ([^(<]+) \(`},
		"quick": {quickly, `(?m)^  (attempts used up|rejected|too large) `},
	} {
		var got []string
		for _, m := range regexp.MustCompile(c.pattern).FindAllStringSubmatch(c.in, -1) {
			got = append(got, m[1])
		}
		if diff := cmp.Diff([]string{"attempts used up", "rejected", "too large"}, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
}

// A variant is called what the campaign file calls it, at the beginning of a
// sentence, too.
func TestVariantsKeepTheirNames(t *testing.T) {
	t.Parallel()
	l := partlyPoll()
	for i := range l.rows[:2] {
		l.rows[i].Replies, l.rows[i].RepliedAt = 1, l.rows[i].QueuedAt.Add(time.Minute)
	}
	r := build(t, l)
	want := []string{
		`"tell" is read less often than "ask": 27.6 % against 87.0 %.`,
		`"ask" and "tell" cannot be told apart by their replies.`,
	}
	if diff := cmp.Diff(want, r.Variants.Summary); diff != "" {
		t.Error(diff)
	}
	for _, c := range r.Variants.Compared {
		if !strings.Contains(c.Words, `"ask"`) || !strings.Contains(c.Words, `"tell"`) {
			t.Errorf("%s", c.Words)
		}
	}
	for form, out := range forms(t, l) {
		if strings.Contains(out, "Tell") || strings.Contains(out, "Ask") {
			t.Errorf("%s gives a name a capital\n%s", form, out)
		}
	}
}
