package campaign_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/herald-campaigns/herald/campaign"
)

func mustWhere(tb testing.TB, text string) campaign.Where {
	tb.Helper()
	where, err := campaign.ParseWhere(text)
	if err != nil {
		tb.Fatal(err)
	}
	return where
}

// TestFollowUpReadsBack: whatever an earlier campaign file says, the one that
// follows it up can be read, and says the same but for what it is to change.
func TestFollowUpReadsBack(t *testing.T) {
	t.Parallel()
	for _, path := range corpus(t, "valid") {
		spec, err := campaign.ParseFile(path)
		if err != nil {
			t.Fatal(err)
		}
		followUp := campaign.FollowUp{
			Earlier: campaign.Campaign{ID: campaign.NewID(), Name: spec.Name, Spec: spec}, Name: campaign.FollowUpName(spec.Name, 2),
			Recipients: spec.Recipients, Where: mustWhere(t, "voted 'It''s \"ok\": yes' and not read"), Count: 12, File: "next.yaml",
		}
		text, err := followUp.YAML()
		if err != nil {
			t.Fatal(err)
		}
		got, err := campaign.Parse(strings.NewReader(string(text)), "next.yaml")
		if err != nil {
			t.Errorf("%s: %v\n%s", filepath.Base(path), err, text)
			continue
		}
		want := spec
		want.Name, want.Path, want.Holdout, want.Schedule = followUp.Name, "", 0, campaign.Schedule{Timezone: spec.Schedule.Timezone}
		want.Only = &campaign.Only{Campaign: string(followUp.Earlier.ID), Where: followUp.Where.String()}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s\n%s", filepath.Base(path), diff, text)
		}
	}
}

// TestFollowUpKeepsTexts: any text a campaign can have survives.
func TestFollowUpKeepsTexts(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		word := rapid.StringOf(rapid.OneOf(rapid.RuneFrom([]rune(" \n\t:#-{}'\"|>&*!%@`\\,[]?~=\u00a0\u2028🙂é")), rapid.Rune()))
		text := strings.Map(func(r rune) rune {
			if r < ' ' && r != '\n' && r != '\t' || r == 0x7f || r == '\ufeff' || r >= 0x80 && r < 0xa0 || r == '\ufffe' || r == '\uffff' {
				return -1
			}
			return r
		}, word.Draw(t, "text")) + "x"
		spec := campaign.Spec{
			Name: "News", Recipients: campaign.Source{CSV: "a.csv"}, Senders: []string{"12015550123"}, Message: campaign.Template{Text: text},
		}
		followUp := campaign.FollowUp{Earlier: campaign.Campaign{Name: "News", Spec: spec}, Name: "Next", Recipients: spec.Recipients, Where: campaign.Where{}}
		where, err := campaign.ParseWhere("read")
		if err != nil {
			t.Fatal(err)
		}
		followUp.Where, followUp.Earlier.ID = where, "cmp_1"
		written, err := followUp.YAML()
		if err != nil {
			t.Fatal(err)
		}
		got, err := campaign.Parse(strings.NewReader(string(written)), "next.yaml")
		if err != nil {
			t.Fatalf("%q: %v\n%s", text, err, written)
		}
		if got.Message.Text != text {
			t.Fatalf("%q became %q\n%s", text, got.Message.Text, written)
		}
	})
}

func TestFollowUpFindsAttachments(t *testing.T) {
	t.Parallel()
	spec := specWithVariants()
	followUp := campaign.FollowUp{
		Earlier: campaign.Campaign{ID: "cmp_1", Name: "News", Spec: spec}, Name: "Next", Recipients: spec.Recipients,
		Where: mustWhere(t, "read"), Folder: "../spring",
	}
	text, err := followUp.YAML()
	if err != nil {
		t.Fatal(err)
	}
	got, err := campaign.Parse(strings.NewReader(string(text)), "next.yaml")
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	if file := got.Variants[0].Message.Media.File; file != "../spring/img/a.png" {
		t.Errorf("attachment %q", file)
	}
}

func TestFollowUpName(t *testing.T) {
	t.Parallel()
	if got := campaign.FollowUpName("News", 1); got != "News – follow-up" {
		t.Error(got)
	}
	long := campaign.FollowUpName(strings.Repeat("ä", 200), 12)
	if len([]rune(long)) > 200 || !strings.HasSuffix(long, " – follow-up 12") {
		t.Error(long)
	}
}
