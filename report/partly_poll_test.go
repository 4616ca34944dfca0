package report_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/report"
)

// partlyPoll is a campaign of two variants of which one asks and one tells: the
// poll was delivered to 23 people, 12 of whom voted, the text to 29.
func partlyPoll() *ledger {
	l := variantLedger(60, "Autumn meeting",
		campaign.Variant{Name: "ask", Weight: 1, Message: campaign.Template{Poll: &campaign.PollTemplate{Question: "SECRET BODY?", Options: []string{"Yes", "No"}}}},
		campaign.Variant{Name: "tell", Weight: 1, Message: campaign.Template{Text: "SECRET BODY"}},
	)
	cities := []string{"Pune", "Kochi"}
	add := func(variant string, n int, status campaign.Status, change ...func(*campaign.Recipient)) {
		for range n {
			l.add(status, append(change, func(r *campaign.Recipient) {
				r.Variant = variant
				r.Record[2] = cities[r.Seq%2]
			})...)
		}
	}
	vote := func(option string) func(*campaign.Recipient) {
		return func(r *campaign.Recipient) { r.Vote, r.VotedAt = []string{option}, r.QueuedAt.Add(time.Hour) }
	}
	refused := failed(campaign.FailRejected, campaign.FailPermanent, "number 919999990032 is not on WhatsApp (131026)")
	exhausted := failed(campaign.FailExhausted, campaign.FailTransient, "HTTP 503 three times")
	add("ask", 8, campaign.StatusRead, vote("Yes"))
	add("ask", 4, campaign.StatusRead, vote("No"))
	add("ask", 8, campaign.StatusRead)
	add("ask", 3, campaign.StatusDelivered)
	add("ask", 2, campaign.StatusSent)
	add("ask", 1, campaign.StatusFailed, exhausted)
	add("ask", 1, campaign.StatusFailed, refused)
	add("tell", 8, campaign.StatusRead)
	add("tell", 21, campaign.StatusDelivered)
	add("tell", 2, campaign.StatusSent)
	add("tell", 2, campaign.StatusFailed, exhausted)
	return l
}

// variantLedger is an empty campaign of several messages, split by city.
func variantLedger(rows int64, name string, variants ...campaign.Variant) *ledger {
	l := newLedger(rows)
	l.campaign.Name = name
	l.campaign.Spec.Message, l.campaign.Spec.Variants = campaign.Template{}, variants
	l.campaign.Spec.Segments = []string{"city"}
	imp := &l.campaign.Imports[0]
	imp.Header, imp.Slugs = []string{"Name", "Mobile", "City"}, []string{"name", "mobile", "city"}
	return l
}

// Who got no poll could not vote: turnout is of those to whom one was delivered,
// in every form, and it is the share of voters of the variant that asks.
func TestTurnoutIsOfThoseWhoWereAsked(t *testing.T) {
	t.Parallel()
	l := partlyPoll()
	r := build(t, l)
	if got := r.Poll.Turnout; got.Count != 12 || got.Of != 23 {
		t.Errorf("turnout %d of %d, want 12 of 23", got.Count, got.Of)
	}
	if diff := cmp.Diff(r.Variants.Rows[0].Rates[report.MeasureVoted], r.Poll.Turnout); diff != "" {
		t.Errorf("turnout beside the variant's (-variant +poll):\n%s", diff)
	}
	if want := "12 voted (52.2 % of those who got a poll), 52 of 60 delivered"; !strings.HasPrefix(r.Verdict, want) {
		t.Errorf("verdict %s", r.Verdict)
	}
	for form, out := range forms(t, l) {
		if strings.Contains(out, "23.1 %") || form != "xlsx" && !strings.Contains(out, "52.2 % of those who got a poll") {
			t.Errorf("%s: turnout is not of those who were asked\n%s", form, out)
		}
		if form == "xlsx" && !strings.Contains(out, "people whose vote stands, of those who got a poll") {
			t.Errorf("%s: does not say what turnout is of\n%s", form, out)
		}
	}
	for form, out := range forms(t, answered()) { // where everybody was asked
		if strings.Contains(out, "who got a poll") {
			t.Errorf("%s tells those who got a poll from those delivered", form)
		}
	}
}

// A group is none who could have voted: of a poll that went to people and to
// groups, the variant's share of voters is of the people, as turnout is, in every
// form, whether the file still has the poll or not.
func TestVariantsVotersAreOfPeople(t *testing.T) {
	t.Parallel()
	l := partlyPoll()
	for range 7 {
		l.add(campaign.StatusDelivered, func(r *campaign.Recipient) {
			r.Chat, r.Variant, r.Record[2] = campaign.ChatID(fmt.Sprintf("12036301234567%04d@g.us", r.Seq)), "ask", "Pune"
		})
	}
	r := build(t, l)
	row := r.Variants.Rows[0]
	if of := row.Rates[report.MeasureVoted]; of.Count != 12 || of.Of != 23 || row.Delivered != 30 {
		t.Errorf("%d of %d voted, want 12 of the 23 people among the 30 delivered (%d)", of.Count, of.Of, row.Delivered)
	}
	if diff := cmp.Diff(row.Rates[report.MeasureVoted], r.Poll.Turnout); diff != "" {
		t.Errorf("turnout beside the variant's (-variant +poll):\n%s", diff)
	}
	for form, out := range forms(t, l) {
		if strings.Contains(out, "40.0 %") || strings.Contains(out, "ask | voted | 12 | 30") { // 12 of 30
			t.Errorf("%s: the variant's share of voters is of groups, too\n%s", form, out)
		}
		if got := strings.Contains(strings.Join(strings.Fields(out), " "), "Voted is of the people among them"); got != (form != "xlsx") {
			t.Errorf("%s: says of whom voted is a share: %v", form, got)
		}
	}
	l.campaign.Spec.Variants[0].Message = campaign.Template{Text: "SECRET BODY"}
	if of := build(t, l).Variants.Rows[0].Rates[report.MeasureVoted]; of.Count != 12 || of.Of != 23 {
		t.Errorf("without the poll in the file %d of %d voted, want 12 of 23", of.Count, of.Of)
	}
}

// A message that asks nothing has no share of voters, not one of none.
func TestNoShareOfVotersWithoutAPoll(t *testing.T) {
	t.Parallel()
	for name, scenario := range map[string]func() *ledger{"partly": partlyPoll, "none": plain, "all": answered} {
		var doc struct {
			Variants struct {
				Rows []struct {
					Name  string                     `json:"name"`
					Rates map[string]json.RawMessage `json:"rates"`
				} `json:"rows"`
			} `json:"variants"`
		}
		if err := json.Unmarshal(asJSON(t, build(t, scenario())), &doc); err != nil {
			t.Fatal(err)
		}
		for _, row := range doc.Variants.Rows {
			_, got := row.Rates["voted"]
			if want := name == "all" || row.Name == "ask"; got != want {
				t.Errorf("%s: variant %s has a share of voters: %v, want %v", name, row.Name, got, want)
			}
			if len(row.Rates) < 6 {
				t.Errorf("%s: variant %s has only the rates %v", name, row.Name, row.Rates)
			}
		}
	}
}

// A variant that is gone from the campaign file was a poll if somebody voted on
// it, for turnout as for its own share.
func TestTurnoutOfAVariantThatIsGone(t *testing.T) {
	t.Parallel()
	l := partlyPoll()
	for i := range 10 {
		r := &l.rows[i]
		r.Variant = fmt.Sprintf("gone %d", i%2)
		if i%2 == 1 {
			r.Vote = nil
		}
	}
	r := build(t, l)
	if got := r.Poll.Turnout; got.Count != 7 || got.Of != 18 { // without the 5 of whom none voted
		t.Errorf("turnout %d of %d, want 7 of 18", got.Count, got.Of)
	}
	for _, v := range r.Variants.Rows {
		if _, got := v.Rates[report.MeasureVoted]; got != (v.Voted > 0) {
			t.Errorf("variant %s with %d votes has a share of voters: %v", v.Name, v.Voted, got)
		}
	}
}

// The share of those delivered is of those accepted, as the JSON form has it,
// wherever people read one in a table; and they are told of what it is.
func TestDeliveredIsOfThoseAccepted(t *testing.T) {
	t.Parallel()
	l := partlyPoll()
	l.earlier = []campaign.Campaign{{ID: "cmp_01KAM4N3T5V7X9ZBDFHKMPRT00", Name: "Spring meeting", StartedAt: start.AddDate(0, -6, 0), Imports: l.campaign.Imports}}
	r := build(t, l)
	of := r.Variants.Rows[0].Rates[report.MeasureDelivered]
	if of.Count != 23 || of.Of != 25 {
		t.Fatalf("ask: %d of %d delivered, want 23 of 25", of.Count, of.Of)
	}
	const shares = "failed of the recipients, delivered of those accepted, the others of those delivered."
	inTables := map[string]string{"Kochi": "30 92.9 % 53.8 %", "Pune": "30 92.9 % 53.8 %", "this one": "60 92.9 % 53.8 %"}
	for form, out := range forms(t, l) {
		if form == "xlsx" {
			continue // its tables have counts, and each rate with what it is of
		}
		out = strings.Join(strings.Fields(regexp.MustCompile(`<[^>]*>`).ReplaceAllString(out, " ")), " ")
		want := []string{"ask 27 92.0 % 87.0 %", "tell 33 93.5 % 27.6 %"}
		if form == "html" {
			want = []string{"delivered 92.0 % (75.0 % to 97.8 %) 93.5 % (79.3 % to 98.2 %)"}
		}
		for label, numbers := range inTables {
			want = append(want, label+" "+numbers)
		}
		for _, row := range want {
			if !strings.Contains(out, row) {
				t.Errorf("%s: %q is missing in\n%s", form, row, out)
			}
		}
		if got := strings.Count(out, shares); got != 3 { // variants, segments, earlier campaigns
			t.Errorf("%s: says %d times what the shares are of, want 3 in\n%s", form, got, out)
		}
	}
	// At the end of a run, too, where little is explained.
	if out := strings.Join(strings.Fields(text(t, r, report.TextOptions{Brief: true})), " "); strings.Count(out, shares) != 1 {
		t.Errorf("brief: does not say once what the shares are of\n%s", out)
	}
}

// Variants of several kinds are a mixed campaign for people, as in check; the
// JSON form has the kind of the first, as documented.
func TestMixedKindsAreSaidSo(t *testing.T) {
	t.Parallel()
	l := partlyPoll()
	if got := build(t, l).Header.Message.Kind; got != campaign.KindPoll {
		t.Errorf("JSON has the kind %s", got)
	}
	media := func(kind campaign.MediaType) campaign.Template {
		return campaign.Template{Media: &campaign.MediaTemplate{Type: kind, URL: "https://example.com/a"}}
	}
	asked := campaign.Template{Poll: &campaign.PollTemplate{Question: "?", Options: []string{"Yes", "No"}}}
	for _, c := range []struct {
		want     string
		messages []campaign.Template
	}{
		{"mixed (poll and text)", []campaign.Template{asked, {Text: "one"}}},
		{"mixed (text, image and poll)", []campaign.Template{{Text: "one"}, media(campaign.MediaImage), {Text: "two"}, asked}},
		{"media (image and video)", []campaign.Template{media(campaign.MediaImage), media(campaign.MediaVideo)}},
		{"media (image)", []campaign.Template{media(campaign.MediaImage), media(campaign.MediaImage)}},
		{"poll", []campaign.Template{asked, asked}},
	} {
		l.campaign.Spec.Variants = nil
		for i, message := range c.messages {
			l.campaign.Spec.Variants = append(l.campaign.Spec.Variants, campaign.Variant{Name: string(rune('A' + i)), Weight: 1, Message: message})
		}
		for form, out := range forms(t, l) {
			if !regexp.MustCompile(`\b` + regexp.QuoteMeta(c.want) + `, (?:template|SHA-256)`).MatchString(out) {
				t.Errorf("%s does not say %q", form, c.want)
			}
		}
	}
}

// A quick report says how many voted whichever variant is the poll.
func TestQuickVotesOfALaterVariant(t *testing.T) {
	t.Parallel()
	l := partlyPoll()
	v := l.campaign.Spec.Variants
	v[0], v[1] = v[1], v[0]
	if got := build(t, l, quick).Verdict; !strings.HasPrefix(got, "12 voted, 52 of 60 delivered") {
		t.Errorf("verdict %s", got)
	}
	if got := build(t, plain(), quick).Verdict; strings.Contains(got, "voted") {
		t.Errorf("of texts: %s", got)
	}
}
