package campaign_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/herald-campaigns/herald/campaign"
)

func specForDiff() campaign.Spec {
	return campaign.Spec{
		Name: "News",
		Recipients: campaign.Source{
			CSV: "a.csv", Phone: "mobile", Country: "IN", Columns: map[string]string{"a": "A", "b": "B"},
		},
		Message: campaign.Template{
			Text:  "Hi",
			Media: &campaign.MediaTemplate{Type: campaign.MediaImage, File: "img/a.png"},
		},
		Senders:  []string{"12015550123"},
		Pace:     campaign.Pace{Rate: campaign.Rate{Count: 4, Per: time.Minute}, Daily: 200},
		Schedule: campaign.Schedule{Start: time.Date(2026, 11, 28, 4, 30, 0, 0, time.UTC)},
	}
}

func TestDiff(t *testing.T) {
	t.Parallel()
	if changes := campaign.Diff(specForDiff(), specForDiff()); len(changes) != 0 {
		t.Fatalf("equal specs differ: %v", changes)
	}
	off := false
	changed := specForDiff()
	changed.Path = "/elsewhere/campaign.yaml" // no change of the campaign
	changed.Message.Text = "Hello"
	changed.Message.Media = &campaign.MediaTemplate{Type: campaign.MediaDocument, URL: "https://example.com/PLANTED"}
	changed.Message.LinkPreview = &off
	changed.Recipients.Country = "AE"
	changed.Recipients.Columns = map[string]string{"b": "BB", "c": "C"}
	changed.Senders = []string{"12015550123", "12125550199"}
	changed.Pace = campaign.Pace{Rate: campaign.Rate{Unlimited: true}, Jitter: 0.3}
	changed.Schedule = campaign.Schedule{Timezone: "Asia/Kolkata"}
	changed.UnknownPolicy = campaign.PolicyResend
	changed.Name = "Other"
	var got []string
	for _, c := range campaign.Diff(specForDiff(), changed) {
		got = append(got, fmt.Sprintf("%s| %s", c.Part, c))
	}
	want := []string{
		"message| message.text",
		"message| message.media.type: image → document",
		"message| message.media.url",
		"message| message.media.file: img/a.png → none",
		"message| message.link_preview: none → false",
		"recipients| recipients.country: IN → AE",
		"recipients| recipients.columns.a: A → none",
		"recipients| recipients.columns.b: B → BB",
		"recipients| recipients.columns.c: none → C",
		"senders| senders: 12*****0123 → 12*****0123, 12*****0199",
		"pace| pace.rate: 4/m → unlimited",
		"pace| pace.jitter: none → 0.3",
		"pace| pace.daily: 200 → none",
		"schedule| schedule.start: 2026-11-28T04:30:00Z → at once",
		"schedule| schedule.timezone: none → Asia/Kolkata",
		"unknown_policy| unknown_policy: hold → resend",
		"name| name: News → Other",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}

	held := specForDiff()
	held.UnknownPolicy = campaign.PolicyHold
	if changes := campaign.Diff(specForDiff(), held); len(changes) != 0 {
		t.Errorf("writing the default down is a change: %v", changes)
	}

	poll := specForDiff()
	poll.Message = campaign.Template{Poll: &campaign.PollTemplate{Question: "PLANTED", Options: []string{"a", "b"}}}
	other := poll
	other.Message.Poll = &campaign.PollTemplate{Question: "b", Options: []string{"PLANTED", "b"}, Multiple: true}
	text := fmt.Sprint(campaign.Diff(specForDiff(), poll), campaign.Diff(poll, other))
	for _, words := range []string{"message.media: present → none", "message.poll: none → present", "message.poll.options", "message.poll.multiple: false → true"} {
		if !strings.Contains(text, words) {
			t.Errorf("%q is missing in %s", words, text)
		}
	}
	if strings.Contains(text, "PLANTED") {
		t.Errorf("words of the message in %s", text)
	}
}

func TestMessageHash(t *testing.T) {
	t.Parallel()
	base := specForDiff().MessageHash("aa")
	if len(base) != 64 || base != specForDiff().MessageHash("aa") {
		t.Fatalf("hash %q is not stable", base)
	}
	same := specForDiff()
	same.Name, same.Senders, same.Path, same.UnknownPolicy = "Other", nil, "/x", campaign.PolicyResend
	same.Message.Media.File = "elsewhere/a.png"
	if same.MessageHash("aa") != base {
		t.Error("the hash depends on more than the message")
	}
	if same.Message.Media.File != "elsewhere/a.png" {
		t.Error("hashing changed the spec")
	}
	for name, change := range map[string]func(*campaign.Spec){
		"text":     func(s *campaign.Spec) { s.Message.Text += "!" },
		"file":     func(s *campaign.Spec) { s.Message.Media.File = "img/b.png" },
		"no media": func(s *campaign.Spec) { s.Message.Media = nil },
		"reply":    func(s *campaign.Spec) { s.Message.ReplyTo = "x" },
	} {
		s := specForDiff()
		change(&s)
		if s.MessageHash("aa") == base {
			t.Errorf("%s does not change the hash", name)
		}
	}
	if specForDiff().MessageHash("bb") == base {
		t.Error("another file has the same hash")
	}
}

func TestSourceHash(t *testing.T) {
	t.Parallel()
	source := specForDiff().Recipients
	base := source.Hash("aa")
	moved := source
	moved.CSV = "elsewhere/b.csv"
	if moved.Hash("aa") != base {
		t.Error("moving the file changes the hash")
	}
	if source.Hash("bb") == base {
		t.Error("another file has the same hash")
	}
	for name, change := range map[string]func(*campaign.Source){
		"phone":     func(s *campaign.Source) { s.Phone = "x" },
		"chat_id":   func(s *campaign.Source) { s.Phone, s.ChatID = "", "mobile" },
		"country":   func(s *campaign.Source) { s.Country = "AE" },
		"columns":   func(s *campaign.Source) { s.Columns = map[string]string{"a": "A"} },
		"delimiter": func(s *campaign.Source) { s.Delimiter = ";" },
		"encoding":  func(s *campaign.Source) { s.Encoding = "utf-8" },
		"sheet":     func(s *campaign.Source) { s.Sheet = "x" },
	} {
		s := source
		change(&s)
		if s.Hash("aa") == base {
			t.Errorf("%s does not change the hash", name)
		}
	}
	if source.Hash("aa") == specForDiff().MessageHash("aa") {
		t.Error("hashes of different things meet")
	}
}
