package campaign

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func perMinute(n float64) Rate { return Rate{Count: n, Per: time.Minute} }

func TestWithinTakesTheStricterOfEach(t *testing.T) {
	t.Parallel()
	unlimited := Rate{Unlimited: true}
	for name, test := range map[string]struct{ asked, limit, want Pace }{
		"nothing set":          {Pace{}, Pace{}, Pace{}},
		"only asked":           {Pace{Rate: perMinute(5), Burst: 2, InFlight: 3, Hourly: 4, Daily: 5}, Pace{}, Pace{Rate: perMinute(5), Burst: 2, InFlight: 3, Hourly: 4, Daily: 5}},
		"only limited":         {Pace{}, Pace{Rate: perMinute(5), Jitter: 0.5, Hourly: 4}, Pace{Rate: perMinute(5), Jitter: 0.5, Hourly: 4}},
		"each its own":         {Pace{Rate: perMinute(5), Hourly: 100, Daily: 50}, Pace{Rate: perMinute(9), Hourly: 10, Daily: 500}, Pace{Rate: perMinute(5), Hourly: 10, Daily: 50}},
		"unlimited in a limit": {Pace{Rate: unlimited}, Pace{Rate: perMinute(9)}, Pace{Rate: perMinute(9)}},
		"limit in unlimited":   {Pace{Rate: perMinute(9)}, Pace{Rate: unlimited}, Pace{Rate: perMinute(9)}},
		"units do not matter":  {Pace{Rate: perMinute(61)}, Pace{Rate: Rate{Count: 1, Per: time.Second}}, Pace{Rate: Rate{Count: 1, Per: time.Second}}},
		"own jitter stays":     {Pace{Jitter: 0.1}, Pace{Jitter: 0.9}, Pace{Jitter: 0.1}},
	} {
		if diff := cmp.Diff(test.want, test.asked.Within(test.limit)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestForSender(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ asked, configured, want Pace }{
		"nothing said is the safe default": {Pace{}, Pace{}, DefaultPace()},
		"a cap alone keeps the rest safe":  {Pace{Daily: 50}, Pace{}, Pace{Rate: perMinute(4), Burst: 1, Jitter: 0.5, InFlight: 1, Hourly: 150, Daily: 50}},
		"a sender's higher cap is chosen":  {Pace{}, Pace{Daily: 900}, Pace{Rate: perMinute(4), Burst: 1, Jitter: 0.5, InFlight: 1, Hourly: 150, Daily: 900}},
		"a rate has chosen its caps":       {Pace{Rate: perMinute(20)}, Pace{}, Pace{Rate: perMinute(20), Burst: 1, InFlight: 1}},
		"a sender's rate has chosen too":   {Pace{}, Pace{Rate: perMinute(20)}, Pace{Rate: perMinute(20), Burst: 1, InFlight: 1}},
		"in flight follows the rate":       {Pace{Rate: Rate{Count: 6, Per: time.Second}}, Pace{}, Pace{Rate: Rate{Count: 6, Per: time.Second}, Burst: 1, InFlight: 3}},
		"up to eight":                      {Pace{Rate: Rate{Count: 600, Per: time.Second}}, Pace{}, Pace{Rate: Rate{Count: 600, Per: time.Second}, Burst: 1, InFlight: 8}},
		"unlimited":                        {Pace{Rate: Rate{Unlimited: true}}, Pace{}, Pace{Rate: Rate{Unlimited: true}, Burst: 1, InFlight: 8}},
		"what is asked for stays":          {Pace{Rate: perMinute(20), InFlight: 64, Burst: 9}, Pace{}, Pace{Rate: perMinute(20), InFlight: 64, Burst: 9}},
	} {
		if diff := cmp.Diff(test.want, test.asked.ForSender(test.configured)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestForSenderIsNeverFasterThanTheSender(t *testing.T) {
	t.Parallel()
	pace := rapid.Custom(func(t *rapid.T) Pace {
		return Pace{
			Rate:     Rate{Count: float64(rapid.IntRange(1, 100).Draw(t, "count")), Per: time.Minute},
			InFlight: rapid.IntRange(0, 64).Draw(t, "in flight"),
			Hourly:   rapid.IntRange(0, 500).Draw(t, "hourly"), Daily: rapid.IntRange(0, 5000).Draw(t, "daily"),
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		asked, sender := pace.Draw(t, "asked"), pace.Draw(t, "sender")
		got := asked.ForSender(sender)
		over := func(a, limit int) bool { return limit > 0 && (a == 0 || a > limit) }
		if got.Rate.PerSecond() > sender.Rate.PerSecond() || over(got.Hourly, sender.Hourly) || over(got.Daily, sender.Daily) || over(got.InFlight, sender.InFlight) {
			t.Fatalf("%+v on a sender limited to %+v gives %+v", asked, sender, got)
		}
	})
}

func TestFeedWindow(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		pace Pace
		want int
	}{
		{Pace{}, 2},
		{Pace{Rate: perMinute(4), InFlight: 1}, 2},
		{Pace{Rate: perMinute(60), InFlight: 1}, 5},
		{Pace{Rate: perMinute(60), InFlight: 64}, 128},
		{Pace{Rate: Rate{Count: 100, Per: time.Second}, InFlight: 8}, 500},
		{Pace{Rate: Rate{Count: 10_000, Per: time.Second}, InFlight: 8}, 1000},
		{Pace{Rate: Rate{Unlimited: true}}, 1000},
		{Pace{Rate: Rate{Count: 1, Per: 24 * time.Hour}, InFlight: 5000}, 1000},
	} {
		if got := feedWindow(test.pace); got != test.want {
			t.Errorf("feedWindow(%+v) = %d, want %d", test.pace, got, test.want)
		}
	}
}

func TestNumbersMaskThemselves(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{"": "", "1": "*", "123456": "******", "1234567": "12*4567", "919999990042": "91******0042"} {
		if got := MaskDigits(in); got != want {
			t.Errorf("MaskDigits(%q) = %q, want %q", in, got, want)
		}
	}
	for _, value := range []any{
		PersonChat("919999990042"), ChatID("919999990042"), ChatID("919999990042@g.us"), Phone("919999990042"),
		Message{Text: "call 919999990042"},
	} {
		var log strings.Builder
		slog.New(slog.NewJSONHandler(&log, nil)).Info("look", "value", value)
		for form, text := range map[string]string{
			"%v": fmt.Sprintf("%v", value), "%+v": fmt.Sprintf("%+v", value), "%#v": fmt.Sprintf("%#v", value),
			"%s": fmt.Sprintf("%s", value), "%q": fmt.Sprintf("%q", value), "log": log.String(),
		} {
			if strings.Contains(text, "9999990042") {
				t.Errorf("%T as %s shows the number: %s", value, form, text)
			}
		}
	}
	if got := Phone("phone-abcdefghijklmnop").String(); got != "phone-abcdefghijklmnop" {
		t.Errorf("a phone id was masked: %s", got)
	}
}

func TestMessageHashTellsMessagesApart(t *testing.T) {
	t.Parallel()
	messages := []Message{
		{},
		{Text: "a"},
		{Text: "A"},
		{Text: "a", HidePreview: true},
		{Text: "a", ReplyTo: "x"},
		{Text: "a", Media: &Media{Type: MediaImage, URL: "https://example.com/a.png", Filename: "a.png"}},
		{Text: "a", Media: &Media{Type: MediaImage, Hash: "00", Filename: "a.png"}},
		{Poll: &Poll{Question: "a", Options: []string{"b", "c"}}},
		{Poll: &Poll{Question: "a", Options: []string{"c", "b"}}},
		{Poll: &Poll{Question: "a", Options: []string{"b", "c"}, Multiple: true}},
		{Poll: &Poll{Question: "a", Options: []string{"b", "c"}, PollID: "p"}},
	}
	seen := map[string]int{}
	for i, m := range messages {
		hash := m.Hash()
		if len(hash) != 64 || hash != strings.ToLower(hash) || hash != m.Hash() {
			t.Errorf("message %d: hash %q", i, hash)
		}
		if other, ok := seen[hash]; ok {
			t.Errorf("messages %d and %d have one hash", i, other)
		}
		seen[hash] = i
	}
	// The ledger of a running campaign holds hashes: this value must never change.
	const frozen = "385cb1703b9d5851ee7ca0d9bf9213c2bf87227201cd7c10ac6a728eedd4c10a"
	if got := (Message{Text: "Hi Asha 🫖 <3"}).Hash(); got != frozen {
		t.Errorf("the hash of a known message is %s, was %s", got, frozen)
	}
}

func TestRowOf(t *testing.T) {
	t.Parallel()
	c := Campaign{Imports: []Import{
		{Number: 1, Slugs: []string{"phone", "name"}, Rows: 2},
		{Number: 2, Slugs: []string{"name", "", "phone"}, Rows: 3},
	}}
	for name, test := range map[string]struct {
		in   Recipient
		want map[string]string
	}{
		"first import":           {Recipient{Import: 1, Record: []string{"1", "Asha"}}, map[string]string{"phone": "1", "name": "Asha"}},
		"columns of a delta":     {Recipient{Import: 2, Record: []string{"Ravi", "note", "2"}}, map[string]string{"phone": "2", "name": "Ravi"}},
		"a row that is too long": {Recipient{Import: 1, Record: []string{"1", "Asha", "more"}}, map[string]string{"phone": "1", "name": "Asha"}},
	} {
		test.in.Seq, test.in.Line, test.in.Chat = 7, 9, "x@c.us"
		got := c.RowOf(&test.in)
		if got.Seq != 7 || got.Line != 9 || got.Chat != "x@c.us" {
			t.Errorf("%s: %+v", name, got)
		}
		if diff := cmp.Diff(test.want, got.Fields); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	if c.Rows() != 5 {
		t.Errorf("%d rows over two imports, want 5", c.Rows())
	}
}
