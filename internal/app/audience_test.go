package app

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/herald-campaigns/herald/campaign"
)

const variantsFile = `
name: Split
recipients: { csv: people.csv, phone: phone }
variants:
  - { name: A, weight: 1, text: "A for {{ name }}" }
  - { name: ask, weight: 1, poll: { question: "{{ name }}, when?", options: ["{{ day }}", "Never"] } }
holdout: 20%
senders: ["12015550100"]
pace: { rate: 1000/s, in_flight: 4 }
`

// TestEverybodyGetsTheirVariant sends to everybody the message of the variant
// that the lot has drawn, and to those held out none; who opted out before is
// left out. Polls have an id of their own for each variant.
func TestEverybodyGetsTheirVariant(t *testing.T) {
	t.Parallel()
	th := newTheater(t, nil)
	const people = 120
	var csv strings.Builder
	csv.WriteString("phone,name,day\n")
	for i := range people {
		fmt.Fprintf(&csv, "+%s,Person %d,Friday\n", number(i), i)
	}
	th.write("people.csv", csv.String())
	file := th.write("split.yaml", variantsFile)

	a := th.open()
	t.Cleanup(func() { check(t, a.Close()) })
	stopped := campaign.PersonChat(number(7))
	_, err := a.store.Decide(t.Context(), []campaign.Consent{
		{Chat: stopped, Wish: campaign.WishOut, At: time.Now(), Source: campaign.ConsentOperator, Reason: "asked by phone"},
	})
	check(t, err)
	checked, err := Check(t.Context(), th.cfg, file, nil, false)
	check(t, err)
	result, err := runIn(t.Context(), a, file, PrepareOptions{}, RunOptions{Wait: WaitAccepted})
	check(t, err)

	spec, err := campaign.ParseFile(file)
	check(t, err)
	split, want := spec.Split(), map[string]int64{}
	wanted := map[string]string{}
	for i := range people {
		chat := campaign.PersonChat(number(i))
		switch {
		case chat == stopped:
			want["opted_out"]++
		case split.HeldOut(chat):
			want["holdout"]++
		default:
			variant := split.Variant(chat)
			want[variant]++
			wanted[string(chat)] = fmt.Sprintf("A for Person %d", i)
			if variant == "ask" {
				wanted[string(chat)] = string(result.Campaign.ID) + ":ask"
			}
		}
	}
	if want["A"] < 20 || want["ask"] < 20 || want["holdout"] < 5 {
		t.Fatalf("the lot is no good for this test: %v", want)
	}
	if left := LeftOutOf(checked.Skipped); left.HeldOut != want["holdout"] || left.OptedOut != 1 || checked.Variants[0].Rows != want["A"] || checked.Variants[1].Rows != want["ask"] {
		t.Errorf("check says %+v, skipped %v; want %v", checked.Variants, checked.Skipped, want)
	}
	if skipped := result.Totals.Skipped; skipped[campaign.SkipHoldout] != want["holdout"] || skipped[campaign.SkipOptedOut] != 1 {
		t.Errorf("skipped %v, want %v", skipped, want)
	}
	if !result.Totals.Balanced(people) {
		t.Errorf("totals %+v", result.Totals)
	}
	bodies := th.api.sentBodies()
	if len(bodies) != len(wanted) {
		t.Errorf("%d messages, want %d", len(bodies), len(wanted))
	}
	for _, body := range bodies {
		got := body.Message
		if body.Poll.PollName != "" {
			got = fmt.Sprint(body.Poll.Options["pollId"])
		}
		if got != wanted[body.ChatID] {
			t.Errorf("somebody got %q, want %q", got, wanted[body.ChatID])
		}
	}
	for r, err := range a.rows(t.Context(), result.Campaign.ID) {
		check(t, err)
		if r.Status != campaign.StatusSkipped && r.Variant != split.Variant(r.Chat) {
			t.Errorf("row %d has variant %q", r.Seq, r.Variant)
		}
	}

	// The books of those who come again, in other company, are as before.
	again := th.write("more.csv", csv.String()+fmt.Sprintf("+%s,Newcomer,Friday\n", number(people)))
	more, err := runIn(t.Context(), a, file, PrepareOptions{Delta: again}, RunOptions{Wait: WaitAccepted})
	check(t, err)
	newcomer := campaign.PersonChat(number(people))
	if split.HeldOut(newcomer) {
		t.Fatal("the lot is no good for this test: the newcomer is held out")
	}
	if sent := len(th.api.sentBodies()); sent != len(wanted)+1 {
		t.Errorf("%d messages after a delta with one newcomer, before %d", sent, len(wanted))
	}
	// Nobody counts twice among those to compare with.
	if more.Totals.Skipped[campaign.SkipHoldout] != want["holdout"] {
		t.Errorf("held out: %d, want %d", more.Totals.Skipped[campaign.SkipHoldout], want["holdout"])
	}
}

// TestOnlyMeansTheEarlierOne: a campaign of the same name as the one it narrows
// itself to does not find itself.
func TestOnlyMeansTheEarlierOne(t *testing.T) {
	t.Parallel()
	th := newTheater(t, nil)
	file := th.text(10, "")
	first := th.mustRun(file, PrepareOptions{})
	a := th.open()
	t.Cleanup(func() { check(t, a.Close()) })
	spec, err := campaign.ParseFile(file)
	check(t, err)
	again := th.text(10, fmt.Sprintf("only: { campaign: %q, where: accepted }\n", spec.Name))
	second, err := runIn(t.Context(), a, again, PrepareOptions{AsNew: true}, RunOptions{Wait: WaitAccepted})
	check(t, err)
	if second.Campaign.ID == first.Campaign.ID || second.Totals.ByStatus[campaign.StatusQueued] != 10 {
		t.Errorf("%s: %+v", second.Campaign.ID, second.Totals)
	}
}
