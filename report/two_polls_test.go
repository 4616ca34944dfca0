package report_test

import (
	"encoding/csv"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/report"
)

// twoPolls is a campaign of two variants that are different polls, with opposite
// winners and an option each that the other has not; a third variant, gone from the
// file since, was a poll, too. One group got the second.
func twoPolls() *ledger {
	l := variantLedger(46, "Sommerfest",
		campaign.Variant{Name: "kurz", Weight: 1, Message: campaign.Template{Poll: &campaign.PollTemplate{Question: "SECRET BODY?", Options: []string{"Freitag", "Samstag", "Stop"}}}},
		campaign.Variant{Name: "lang", Weight: 1, Message: campaign.Template{Poll: &campaign.PollTemplate{Question: "SECRET BODY?", Options: []string{"Samstag", "Freitag", "Keiner"}, Multiple: true}}},
	)
	add := func(variant string, n int, status campaign.Status, vote ...string) {
		for range n {
			l.add(status, func(r *campaign.Recipient) {
				r.Variant, r.Record[2] = variant, []string{"Köln", "Bonn"}[r.Seq%2]
				if len(vote) > 0 {
					r.Vote, r.VotedAt = vote, r.QueuedAt.Add(time.Hour)
				}
			})
		}
	}
	add("kurz", 8, campaign.StatusRead, "Freitag")
	add("kurz", 3, campaign.StatusRead, "Samstag")
	add("kurz", 1, campaign.StatusRead, "Stop")
	add("kurz", 6, campaign.StatusDelivered)
	add("lang", 2, campaign.StatusRead, "Freitag")
	add("lang", 5, campaign.StatusRead, "Samstag")
	add("lang", 2, campaign.StatusRead, "Samstag", "Keiner")
	add("lang", 9, campaign.StatusDelivered)
	add("alt", 3, campaign.StatusRead, "Sonntag")
	add("alt", 2, campaign.StatusDelivered)
	add("tell", 4, campaign.StatusDelivered) // gone as well, but no poll as far as anybody knows
	l.rows[8].VoteMoves, l.rows[12].VoteMoves = 1, 2
	l.add(campaign.StatusDelivered, func(r *campaign.Recipient) {
		r.Chat, r.Variant, r.Record[2] = "120363040000000001@g.us", "lang", "Bonn"
		l.ballots = []campaign.LocatedBallots{{Campaign: testID, Seq: r.Seq, Ballots: campaign.Ballots{Votes: []campaign.Ballot{
			{Voter: "919999990001@c.us", Options: []string{"Keiner"}},
			{Voter: "919999990002@c.us", Options: []string{"Samstag", "Keiner"}},
		}}}}
	})
	return l
}

// tallied is a poll as its options and votes.
func tallied(options []report.PollOption) string {
	var words []string
	for _, o := range options {
		words = append(words, fmt.Sprintf("%s %d", o.Option, o.Votes))
	}
	return strings.Join(words, ", ")
}

// The polls of different variants are different polls: nobody's share is of people
// who were never offered the option, and each winner is its own.
func TestPollsOfDifferentVariants(t *testing.T) {
	t.Parallel()
	p := build(t, twoPolls()).Poll
	if p.Turnout.Count != 24 || p.Turnout.Of != 41 || p.Several != 2 || p.Changed != 1 || p.Withdrawn != 1 || !p.Multiple {
		t.Errorf("over all: %+v", p)
	}
	if len(p.Options)+len(p.Splits) > 0 || p.Groups != nil {
		t.Errorf("votes are added up: %+v", p)
	}
	var got []string
	for _, one := range p.ByVariant {
		got = append(got, fmt.Sprintf("%s, %d of %d, multiple %v, several %d: %s", one.Variant, one.Turnout.Count, one.Turnout.Of, one.Multiple, one.Several, tallied(one.Options)))
		for _, s := range one.Splits {
			for _, row := range s.Rows {
				if len(row.Votes) != len(one.Options) {
					t.Errorf("%s, %s: %d votes for %d options", one.Variant, row.Value, len(row.Votes), len(one.Options))
				}
			}
		}
		if g := one.Groups; (g != nil) != (one.Variant == "lang") || g != nil && (g.Voters != 2 || tallied(g.Options) != "Samstag 1, Freitag 0, Keiner 2") {
			t.Errorf("%s: groups %+v", one.Variant, g)
		}
	}
	want := []string{
		"kurz, 12 of 18, multiple false, several 0: Freitag 8, Samstag 3, Stop 1",
		"lang, 9 of 18, multiple true, several 2: Samstag 7, Freitag 2, Keiner 2",
		"alt, 3 of 5, multiple false, several 0: Sonntag 3",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// Every form shows each poll under the name of its variant.
func TestEveryFormNamesThePolls(t *testing.T) {
	t.Parallel()
	l := twoPolls()
	r := build(t, l)
	if want := "24 voted (58.5 % of those who got a poll), 2 more in 1 group, "; !strings.HasPrefix(r.Verdict, want) {
		t.Errorf("verdict %s", r.Verdict)
	}
	out := forms(t, l)
	out["csv"] = string(export(t, l, r, "poll.csv"))
	for form, rows := range map[string][]string{
		"text": {`Polls: 24 voters`, `kurz: 12 voters \(66\.7 % of those who got it\)\n  Freitag +8 .* 66\.7 %`, `lang: 9 voters \(50\.0 % of those who got it\)\n  Samstag +7 .* 77\.8 %`, `alt: 3 voters`},
		"html": {`<h3>kurz: 12 voters</h3>`, `<caption>lang: Votes by option</caption>`, `<caption>alt: Votes by city, as a share of the voters</caption>`, `<caption>lang: In 1 group, 2 voters`},
		"xlsx": {`(?m)^variant \| split by \|`, `(?m)^kurz \|  \|  \| Stop \| 1 \| 12 \|`, `(?m)^lang \| city \| Bonn \| Samstag \|`},
		"csv":  {`^variant,split_by,value,option,votes,voters,share_of_voters`, `(?m)^kurz,,,Stop,1,12,0\.0833`, `(?m)^lang,\(members of groups\),,Keiner,2,2,1\.0000`},
	} {
		for _, row := range rows {
			if !regexp.MustCompile(row).MatchString(out[form]) {
				t.Errorf("%s: %s is not in\n%s", form, row, out[form])
			}
		}
	}
	// What is marked twice cannot be told apart by ear, nor found.
	for _, pattern := range []string{` id="([^"]+)"`, `<caption>([^<]+)`, `aria-label="([^"]+)"`} {
		seen := map[string]bool{}
		for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(out["html"], -1) {
			if seen[m[1]] {
				t.Errorf("%q is there twice", m[0])
			}
			seen[m[1]] = true
		}
	}
	if brief := text(t, r, report.TextOptions{Brief: true}); !strings.Contains(brief, "kurz: 12 voters") || strings.Contains(brief, "by city") {
		t.Errorf("brief:\n%s", brief)
	}
}

// One poll looks as it always did, whatever else there is.
func TestOnePollHasNoVariants(t *testing.T) {
	t.Parallel()
	l := twoPolls()
	l.campaign.Spec.Message, l.campaign.Spec.Variants = l.campaign.Spec.Variants[0].Message, nil
	for i := range l.rows {
		l.rows[i].Variant = ""
	}
	for name, l := range map[string]*ledger{"no variants": l, "one that asks": partlyPoll()} {
		r := build(t, l)
		if r.Poll.ByVariant != nil || len(r.Poll.Options) == 0 || len(r.Poll.Splits) != 1 {
			t.Errorf("%s: %+v", name, r.Poll)
		}
		if table := string(export(t, l, r, "poll.csv")); !strings.HasPrefix(table, "split_by,") {
			t.Errorf("%s: %s", name, table)
		}
		for form, out := range forms(t, l) {
			if strings.Contains(out, "Polls") || strings.Contains(out, "different polls") {
				t.Errorf("%s, %s: speaks of several polls", name, form)
			}
		}
	}
	// The file's poll is none of its own where every row is of a variant that is gone.
	gone := twoPolls()
	gone.campaign.Spec.Message, gone.campaign.Spec.Variants = gone.campaign.Spec.Variants[0].Message, nil
	if polls := build(t, gone).Poll.ByVariant; len(polls) != 3 || polls[0].Variant != "alt" || polls[1].Variant != "kurz" || polls[2].Variant != "lang" {
		t.Errorf("%+v", polls)
	}
	// Rows from before there were variants are a poll of their own.
	early := twoPolls()
	for i := range early.rows[:12] {
		early.rows[i].Variant = ""
	}
	polls := build(t, early).Poll.ByVariant
	if i := slices.IndexFunc(polls, func(p report.VariantPoll) bool { return p.Variant == "" }); i < 0 || tallied(polls[i].Options) != "Freitag 8, Samstag 3, Stop 1" {
		t.Errorf("%+v", polls)
	}
	if out := text(t, build(t, early), report.TextOptions{}); !strings.Contains(out, "\n  (no variant): 12 voters") {
		t.Errorf("%s", out)
	}
}

// Ten polls of twelve options have more options than are kept of one.
func TestOptionsAreCountedByPoll(t *testing.T) {
	t.Parallel()
	l := twoPolls()
	l.campaign.Spec.Variants, l.ballots = nil, nil
	for n := range 10 {
		poll := &campaign.PollTemplate{Question: "?"}
		for o := range 12 {
			poll.Options = append(poll.Options, fmt.Sprintf("option %d of %d", o, n))
		}
		l.campaign.Spec.Variants = append(l.campaign.Spec.Variants, campaign.Variant{Name: fmt.Sprint(n), Weight: 1, Message: campaign.Template{Poll: poll}})
	}
	for i := range l.rows {
		l.rows[i].Variant, l.rows[i].Vote = fmt.Sprint(i%10), []string{fmt.Sprintf("option %d of %d", i%12, i%10)}
	}
	p := build(t, l).Poll
	for _, one := range p.ByVariant {
		if len(one.Options) != 12 || one.MoreOptions {
			t.Errorf("%s has %d options", one.Variant, len(one.Options))
		}
	}
	if p.MoreOptions {
		t.Error("there are more options")
	}
}

// Whatever was voted, on whatever variant: what the polls say is what the rows say.
func TestVotesByVariantAreThoseOfTheRows(t *testing.T) {
	t.Parallel()
	options := []string{"Freitag", "Samstag", "Stop", "Keiner", "=1+1"}
	names := []string{"kurz", "lang", "alt", "älter", ""}
	rapid.Check(t, func(rt *rapid.T) {
		l := twoPolls()
		l.campaign.Imports[0].Rows = int64(len(l.rows))
		type place struct{ variant, option string }
		want := map[place]int64{}
		voters, wantVoters := map[string]int64{}, int64(0)
		for i := range l.rows {
			r := &l.rows[i]
			r.Variant = rapid.SampledFrom(names).Draw(rt, "variant")
			r.Vote = nil
			for _, option := range options {
				if rapid.IntRange(0, 4).Draw(rt, option) == 0 {
					r.Vote = append(r.Vote, option)
				}
			}
			r.Record[2] = rapid.SampledFrom([]string{"Köln", "Bonn", ""}).Draw(rt, "city")
			if r.Chat.IsGroup() || len(r.Vote) == 0 {
				continue
			}
			voters[r.Variant]++
			wantVoters++
			for _, option := range r.Vote {
				want[place{r.Variant, option}]++
			}
		}
		l.ballots = nil
		p := build(t, l).Poll // two in the file ask, so there are several
		got, gotSplit, sum := map[place]int64{}, map[place]int64{}, int64(0)
		for _, one := range p.ByVariant {
			sum += one.Turnout.Count
			if one.Turnout.Count != voters[one.Variant] {
				rt.Fatalf("%q: %d voters, want %d", one.Variant, one.Turnout.Count, voters[one.Variant])
			}
			for _, o := range one.Options {
				if o.Votes > 0 {
					got[place{one.Variant, o.Option}] += o.Votes
				}
			}
			for _, row := range one.Splits[0].Rows {
				for i, n := range row.Votes {
					if n > 0 {
						gotSplit[place{one.Variant, one.Options[i].Option}] += n
					}
				}
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			rt.Fatalf("votes (-rows +polls):\n%s", diff)
		}
		if diff := cmp.Diff(want, gotSplit); diff != "" {
			rt.Fatalf("votes by city (-rows +polls):\n%s", diff)
		}
		if sum != wantVoters || p.Turnout.Count != wantVoters {
			rt.Fatalf("%d voters, %d over the polls, want %d", p.Turnout.Count, sum, wantVoters)
		}
		table, err := csv.NewReader(strings.NewReader(string(export(t, l, build(t, l), "poll.csv")))).ReadAll()
		if err != nil || slices.Index(table[0], "variant") != 0 {
			rt.Fatalf("%v, %v", table[0], err)
		}
	})
}

// The table of variants says how many voted where one of them is a poll, and no
// more than fits: what asks nothing has no share.
func TestVotersInTheTableOfVariants(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		l    func() *ledger
		want string
	}{"two": {twoPolls, `(?m)^  lang +19 .* 50\.0 % `}, "partly": {partlyPoll, `(?m)^  tell +33 .* 27\.6 % +0 % +- `}} {
		for _, width := range []int{60, 80, 120} {
			out := text(t, build(t, c.l()), report.TextOptions{Width: width})
			_, table, _ := strings.Cut(out, "\nVariants\n")
			table, _, _ = strings.Cut(table, "Shares:")
			if head, _, _ := strings.Cut(table, "\n"); !strings.HasSuffix(head, " replied   voted") && !strings.HasSuffix(head, " replied   voted  failed opted out") {
				t.Errorf("%s, %d: %q", name, width, head)
			}
			if !regexp.MustCompile(c.want).MatchString(strings.ReplaceAll(table, "\n", " \n")) {
				t.Errorf("%s, %d: no %s in\n%s", name, width, c.want, table)
			}
		}
	}
}
