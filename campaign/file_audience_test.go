package campaign_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/herald-campaigns/herald/campaign"
)

func specWithVariants() campaign.Spec {
	spec := specForDiff()
	spec.Variants = []campaign.Variant{
		{Name: "A", Weight: 2, Message: spec.Message},
		{Name: "B", Weight: 1, Message: campaign.Template{Text: "Hello"}},
	}
	spec.Message = campaign.Template{}
	spec.Holdout = 0.1
	spec.Only = &campaign.Only{Campaign: "Spring", Where: "read"}
	spec.Notify = &campaign.Notify{URL: "https://example.com/PLANTED"}
	spec.Segments = []string{"city"}
	return spec
}

func TestParseVariants(t *testing.T) {
	t.Parallel()
	spec, err := campaign.ParseFile("testdata/files/valid/variants.yaml")
	if err != nil {
		t.Fatal(err)
	}
	off := false
	want := []campaign.Variant{
		{Name: "A", Weight: 3, Message: campaign.Template{Text: "Hi {{ name }}\n"}},
		{Name: "B", Weight: 1, Message: campaign.Template{Text: "Hello {{ name }}", LinkPreview: &off}},
		{Name: "mit Bild 2", Weight: 1, Message: campaign.Template{
			Text: "Look", Media: &campaign.MediaTemplate{Type: campaign.MediaImage, File: "flyer.png"},
		}},
		{Name: "ask", Weight: 1, Message: campaign.Template{
			ReplyTo: "{{ last }}", Poll: &campaign.PollTemplate{Question: "Which?", Options: []string{"One", "Two"}},
		}},
	}
	if diff := cmp.Diff(want, spec.Variants); diff != "" {
		t.Errorf("variants (-want +got):\n%s", diff)
	}
	if spec.Holdout != 0.125 {
		t.Errorf("holdout %v", spec.Holdout)
	}
	if !cmp.Equal(spec.Message, campaign.Template{}) {
		t.Errorf("message %+v", spec.Message)
	}
}

func TestParseAudience(t *testing.T) {
	t.Parallel()
	spec, err := campaign.ParseFile("testdata/files/valid/audience.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(&campaign.Only{Campaign: "Spring news", Where: "delivered and not (read or voted 'No')"}, spec.Only); diff != "" {
		t.Errorf("only (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(&campaign.Notify{URL: "http://127.0.0.1:8080/hook", Messages: true}, spec.Notify); diff != "" {
		t.Errorf("notify (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"city", "Plan (new)"}, spec.Segments); diff != "" {
		t.Errorf("segments (-want +got):\n%s", diff)
	}
	if !spec.ContactCheck || spec.Holdout != 0.5 {
		t.Errorf("contact_check %t, holdout %v", spec.ContactCheck, spec.Holdout)
	}
}

// TestNotifyURLs: what tells of people goes encrypted, or does not leave the
// machine. The schema agrees with the parser.
func TestNotifyURLs(t *testing.T) {
	t.Parallel()
	schema := compiledSchema(t)
	for url, good := range map[string]bool{
		"https://example.com/hook?key=1": true, "https://example.com": true, "HTTPS://example.com:8443/": true,
		"http://localhost:8080/x": true, "http://127.0.0.1/": true, "http://127.8.9.1:1/": true, "http://[::1]:8080/x": true,
		"http://example.com": false, "http://10.0.0.1/": false, "http://localhost.example.com/": false, "http://127.0.0.1.example.com/": false,
		"ftp://example.com/": false, "example.com": false, "https://": false, "https:///hook": false,
		"https://me:secret@example.com/": false, "http://localhost@example.com/": false, "https://example.com/#x": false, "https://exa mple.com": false,
	} {
		content := `{"name": "News", "recipients": {"csv": "a.csv"}, "message": {"text": "Hi"}, "senders": ["12015550123"], "notify": {"url": ` + fmt.Sprintf("%q", url) + `}}`
		if _, problems := parse(t, content); (len(problems) == 0) != good {
			t.Errorf("%s: taken %t, want %t: %v", url, !good, good, problems)
		}
		var instance any
		if err := json.Unmarshal([]byte(content), &instance); err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(instance); (err == nil) != good {
			t.Errorf("%s: the schema takes it: %t, want %t", url, err == nil, good)
		}
	}
}

func TestVariantsSurviveJSON(t *testing.T) {
	t.Parallel()
	spec := specWithVariants()
	b, err := json.Marshal(spec)
	if err != nil {
		t.Fatal(err)
	}
	var back campaign.Spec
	if err := json.Unmarshal(b, &back); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(spec, back); diff != "" {
		t.Errorf("changed on its way (-before +after):\n%s", diff)
	}
	if strings.Contains(string(b), `"message"`) {
		t.Errorf("a campaign file with variants has no message: %s", b)
	}
}

func TestMessagesOfAPlainCampaign(t *testing.T) {
	t.Parallel()
	spec := specForDiff()
	if diff := cmp.Diff([]campaign.Variant{{Weight: 1, Message: spec.Message}}, spec.Messages()); diff != "" {
		t.Errorf("messages (-want +got):\n%s", diff)
	}
	if got := campaign.PollIDOf("c1", ""); got != "c1" {
		t.Errorf("poll id %q", got)
	}
	if got := campaign.PollIDOf("c1", "B"); got != "c1:B" {
		t.Errorf("poll id %q", got)
	}
}

func TestDiffOfTheAudience(t *testing.T) {
	t.Parallel()
	if changes := campaign.Diff(specWithVariants(), specWithVariants()); len(changes) != 0 {
		t.Fatalf("equal specs differ: %v", changes)
	}
	for name, c := range map[string]struct {
		change func(*campaign.Spec)
		want   string
	}{
		"weight":     {func(s *campaign.Spec) { s.Variants[0].Weight = 3 }, "message| variants.A.weight: 2 → 3"},
		"words":      {func(s *campaign.Spec) { s.Variants[1].Message.Text = "PLANTED" }, "message| variants.B.text"},
		"name":       {func(s *campaign.Spec) { s.Variants[1].Name = "C" }, "message| variants: A, B → A, C"},
		"one more":   {func(s *campaign.Spec) { s.Variants = append(s.Variants, campaign.Variant{Name: "C"}) }, "message| variants: A, B → A, B, C"},
		"no more":    {func(s *campaign.Spec) { s.Message, s.Variants = s.Variants[0].Message, nil }, "message| message: none → present,message| variants: A, B → none"},
		"holdout":    {func(s *campaign.Spec) { s.Holdout = 0.125 }, "message| holdout: 10% → 12.5%"},
		"no holdout": {func(s *campaign.Spec) { s.Holdout = 0 }, "message| holdout: 10% → none"},
		"where":      {func(s *campaign.Spec) { s.Only = &campaign.Only{Campaign: "Spring", Where: "sent"} }, "only| only.where: read → sent"},
		"everybody":  {func(s *campaign.Spec) { s.Only = nil }, "only| only: present → none"},
		"check":      {func(s *campaign.Spec) { s.ContactCheck = true }, "contact_check| contact_check: false → true"},
		"receiver":   {func(s *campaign.Spec) { s.Notify = &campaign.Notify{URL: "https://example.org/", Messages: true} }, "notify| notify.url,notify| notify.messages: false → true"},
		"silence":    {func(s *campaign.Spec) { s.Notify = nil }, "notify| notify: present → none"},
		"segments":   {func(s *campaign.Spec) { s.Segments = append(s.Segments, "plan") }, "segments| segments: city → city, plan"},
	} {
		changed := specWithVariants()
		c.change(&changed)
		var got []string
		for _, change := range campaign.Diff(specWithVariants(), changed) {
			got = append(got, fmt.Sprintf("%s| %s", change.Part, change))
		}
		if diff := cmp.Diff(c.want, strings.Join(got, ",")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestMessageHashOfVariants(t *testing.T) {
	t.Parallel()
	base := specWithVariants().MessageHash("aa", "")
	plain := specWithVariants()
	plain.Notify, plain.Segments, plain.ContactCheck = nil, nil, true
	plain.Variants[0].Message.Media.File = "elsewhere/a.png"
	if plain.MessageHash("aa", "") != base {
		t.Error("the hash depends on more than the messages")
	}
	if plain.Variants[0].Message.Media.File != "elsewhere/a.png" {
		t.Error("hashing changed the spec")
	}
	for name, change := range map[string]func(*campaign.Spec){
		"name":   func(s *campaign.Spec) { s.Variants[1].Name = "C" },
		"weight": func(s *campaign.Spec) { s.Variants[1].Weight = 2 },
		"words":  func(s *campaign.Spec) { s.Variants[1].Message.Text = "Hullo" },
		"order":  func(s *campaign.Spec) { s.Variants[0], s.Variants[1] = s.Variants[1], s.Variants[0] },
		"alone":  func(s *campaign.Spec) { s.Message, s.Variants = s.Variants[0].Message, nil },
	} {
		s := specWithVariants()
		change(&s)
		if s.MessageHash("aa", "") == base {
			t.Errorf("%s does not change the hash", name)
		}
	}
	if specWithVariants().MessageHash("", "aa") == base {
		t.Error("the attachment of another variant gives the same hash")
	}
}
