package campaign

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// TestSomeAreLeftOut: who opted out, is none of those the campaign is for, or is
// held out gets a line in the ledger with the reason, is no bad row, and is not
// among the rejects, where nothing could be mended about it.
func TestSomeAreLeftOut(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	text.WriteString("phone\n")
	for i := range 60 {
		fmt.Fprintf(&text, "+1201555%04d\n", 100+i)
	}
	text.WriteString("+12015550100\nn/a\n") // again, and a bad one
	split := Split{Seed: "Left out", Variants: []Variant{{Name: "A"}, {Name: "B"}}, Holdout: 0.25}
	out := map[ChatID]LeftOut{
		PersonChat("12015550100"): {SkipOptedOut, "opted out"},
		PersonChat("12015550101"): {SkipExcluded, "not in Spring"},
	}
	asked := 0
	got := importText(t, text.String(), Source{Phone: "phone"}, ImportOptions{
		Senders: []SenderID{"a", "b"}, Split: split, BatchRows: 7,
		Screen: func(_ context.Context, chats []ChatID) (map[ChatID]LeftOut, error) {
			asked += len(chats)
			return out, nil
		},
		Examine: func(r *Recipient) (*Problem, error) {
			if _, left := out[r.Chat]; left || split.HeldOut(r.Chat) || r.Variant != split.Variant(r.Chat) {
				t.Errorf("row %d is examined with the variant %q", r.Seq, r.Variant)
			}
			return nil, nil
		},
	})
	if asked != 61 {
		t.Errorf("asked about %d chats, want those of the 61 rows with a number", asked)
	}
	counts := map[SkipReason]int64{}
	var good int64
	for _, r := range got.rows {
		counts[r.SkipReason]++
		switch {
		case r.Status == StatusPending:
			good++
			if r.Variant == "" || r.Sender == "" {
				t.Errorf("row %d has variant %q, sender %q", r.Seq, r.Variant, r.Sender)
			}
		case r.SkipReason == SkipHoldout && !split.HeldOut(r.Chat), r.Variant != "" || r.Sender != "" || r.Detail == "":
			t.Errorf("row %d: %+v", r.Seq, r)
		}
	}
	s := got.summary
	if diff := cmp.Diff(counts[SkipHoldout], s.Skipped[SkipHoldout]); diff != "" || s.Skipped[SkipHoldout] < 5 {
		t.Errorf("held out: %v, in the summary %v", counts, s.Skipped)
	}
	if counts[SkipOptedOut] != 1 || counts[SkipExcluded] != 1 || counts[SkipDuplicate] != 1 || s.Bad() != 1 || good != s.Good {
		t.Errorf("counts %v, summary %+v", counts, s)
	}
	if s.LeftOut() != counts[SkipHoldout]+2 {
		t.Errorf("left out %d", s.LeftOut())
	}
	if lines := strings.Count(got.rejects, "\n"); lines != 2 {
		t.Errorf("rejects, want a header and the bad row:\n%s", got.rejects)
	}
	if s.Rows != int64(len(got.rows)) {
		t.Errorf("%d of %d rows are in the ledger", len(got.rows), s.Rows)
	}
}

func TestNobodyIsLeftToWriteTo(t *testing.T) {
	t.Parallel()
	s := ImportSummary{Number: 1, Rows: 5, Skipped: map[SkipReason]int64{SkipExcluded: 4, SkipOptedOut: 1}}
	err := s.TooBad(true)
	var bad *InputError
	one := ImportSummary{Number: 1, Rows: 3, Skipped: map[SkipReason]int64{SkipExcluded: 2, SkipInvalidPhone: 1}}
	var mixed *InputError
	if !errors.As(one.TooBad(true), &mixed) || mixed.Problems[0].Code != csvNobodyLeft || !strings.Contains(mixed.Problems[0].What, "2 excluded, 1 bad") {
		t.Errorf("one bad row beside those left out: %v", mixed)
	}
	if !errors.As(err, &bad) || bad.Problems[0].Code != csvNobodyLeft || !strings.Contains(bad.Problems[0].What, "none of the 5 rows gets a message: 4 excluded, 1 opted_out") {
		t.Errorf("%v", err)
	}
}

func TestScreenThatFailsEndsTheImport(t *testing.T) {
	t.Parallel()
	r := mustOpen(t, "phone\n+12015550100\n", Source{Phone: "phone"})
	broken := errors.New("no ledger")
	_, err := ImportRecipients(t.Context(), r, mustParser(t, "", AddressPhone), func([]Recipient) error { return nil }, ImportOptions{
		Screen: func(context.Context, []ChatID) (map[ChatID]LeftOut, error) { return nil, broken },
	})
	if !errors.Is(err, broken) {
		t.Errorf("%v", err)
	}
}

// TestChatSet holds the set against a map.
func TestChatSet(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		chat := rapid.Custom(func(t *rapid.T) ChatID {
			if rapid.Bool().Draw(t, "group") {
				return ChatID(fmt.Sprintf("12036304%d@g.us", rapid.IntRange(0, 9).Draw(t, "group")))
			}
			return PersonChat(fmt.Sprint(12015550000 + rapid.IntRange(0, 3000).Draw(t, "number")))
		})
		set, model := NewChatSet(), map[ChatID]bool{}
		for _, c := range rapid.SliceOfN(chat, 0, 2000).Draw(t, "chats") {
			set.Add(c)
			model[c] = true
		}
		probe := chat.Draw(t, "probe")
		if set.Has(probe) != model[probe] || set.Len() != len(model) {
			t.Fatalf("%d chats, want %d; has %s: %t", set.Len(), len(model), probe, set.Has(probe))
		}
	})
}

func TestCheckSegments(t *testing.T) {
	t.Parallel()
	header, slugs := []string{"Phone", "City", "Plan (new)", "_line"}, []string{"phone", "city", "plan_new", ""}
	if err := CheckSegments([]string{"city", "Plan (new)", "plan_new"}, header, slugs); err != nil {
		t.Error(err)
	}
	err := CheckSegments([]string{"Citty", "_line", "city"}, header, slugs)
	var bad *InputError
	if !errors.As(err, &bad) || len(bad.Problems) != 2 || bad.Problems[0].Fix != `did you mean "City"?` || bad.Problems[0].Field != "segments" {
		t.Errorf("%+v", err)
	}
}
