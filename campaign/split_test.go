package campaign_test

import (
	"fmt"
	"math"
	"testing"

	"pgregory.net/rapid"

	"github.com/herald-campaigns/herald/campaign"
)

func person(i int) campaign.ChatID { return campaign.PersonChat(fmt.Sprintf("1201555%04d", i)) }

// TestSplitIsPinned is the promise that the same file gives the same choice, on
// every machine and with every version: a campaign that is mended with a delta
// years later must not send somebody the other message.
func TestSplitIsPinned(t *testing.T) {
	t.Parallel()
	split := campaign.Split{
		Seed: "Spring news", Holdout: 0.2,
		Variants: []campaign.Variant{{Name: "A", Weight: 2}, {Name: "B", Weight: 1}, {Name: "C", Weight: 1}},
	}
	got := ""
	for i := range 40 {
		if split.HeldOut(person(i)) {
			got += "-"
			continue
		}
		got += split.Variant(person(i))
	}
	if want := "-CA-ABBA-ACAABC-AACABC---AABABBAAAACAA--"; got != want {
		t.Errorf("the choices are %s, were %s", got, want)
	}
}

// TestSplitFollowsTheWeights holds the shares to what was asked for, and the
// two lots apart: no variant gets more of the holdout than another.
func TestSplitFollowsTheWeights(t *testing.T) {
	t.Parallel()
	const people = 60_000
	split := campaign.Split{
		Seed: "Weights", Holdout: 0.1,
		Variants: []campaign.Variant{{Name: "A", Weight: 1}, {Name: "B", Weight: 2}, {Name: "C"}},
	}
	all, held := map[string]float64{}, map[string]float64{}
	for i := range people {
		chat := campaign.PersonChat(fmt.Sprint(12015550000 + i))
		all[split.Variant(chat)]++
		if split.HeldOut(chat) {
			held[split.Variant(chat)]++
		}
	}
	for name, share := range map[string]float64{"A": 0.25, "B": 0.5, "C": 0.25} {
		near(t, "share of "+name, all[name]/people, share, share*(1-share)/people)
		near(t, "holdout of "+name, held[name]/all[name], 0.1, 0.09/all[name])
	}
}

// near allows for five standard deviations.
func near(t *testing.T, what string, got, want, variance float64) {
	t.Helper()
	if math.Abs(got-want) > 5*math.Sqrt(variance) {
		t.Errorf("%s is %.4f, want about %.4f", what, got, want)
	}
}

// TestSplitsAreIndependent: who got A of one campaign is no likelier to get A of
// the next.
func TestSplitsAreIndependent(t *testing.T) {
	t.Parallel()
	const people = 20_000
	variants := []campaign.Variant{{Name: "A"}, {Name: "B"}}
	both := 0.0
	for i := range people {
		if campaign.VariantFor("One", person(i), variants) == campaign.VariantFor("Two", person(i), variants) {
			both++
		}
	}
	near(t, "share with the same variant twice", both/people, 0.5, 0.25/people)
}

// TestVariantForIsOneOfThem for any weights, without any, too.
func TestVariantForIsOneOfThem(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		names := rapid.SliceOfNDistinct(rapid.StringMatching(`[A-Z]{1,3}`), 0, 10, rapid.ID).Draw(t, "names")
		var variants []campaign.Variant
		known := map[string]bool{"": len(names) == 0}
		for _, name := range names {
			variants = append(variants, campaign.Variant{Name: name, Weight: rapid.IntRange(0, 1000).Draw(t, "weight")})
			known[name] = true
		}
		got := campaign.VariantFor(rapid.String().Draw(t, "seed"), campaign.ChatID(rapid.String().Draw(t, "chat")), variants)
		if !known[got] {
			t.Fatalf("%q is none of %v", got, names)
		}
	})
}
