package status_test

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/status"
)

var (
	intent = time.Date(2027, 3, 1, 9, 0, 0, 0, time.UTC)
	window = status.Window{Before: time.Minute, After: 95 * time.Second}
)

const asha = campaign.ChatID("12015550101@c.us")

func sought(seq int64, chat campaign.ChatID, text string, after time.Duration) status.Sought {
	message := campaign.Message{Text: text}
	row := campaign.UnknownRow{Campaign: "cmp_1", Seq: seq, Gen: 1, Chat: chat, BodyHash: message.Hash(), ClaimedAt: intent.Add(after)}
	return status.Seek(row, message)
}

func job(id string, chat campaign.ChatID, text string, after time.Duration) campaign.Candidate {
	return campaign.Candidate{
		Source: campaign.EvidenceJobs, QueueID: "q" + id, UniqueID: "3EB0" + id, Chat: chat, Kind: campaign.KindText, Text: text,
		At: intent.Add(after), Status: campaign.StatusQueued,
	}
}

func TestMatchOfOneRow(t *testing.T) {
	t.Parallel()
	with := func(change func(*campaign.Candidate)) []campaign.Candidate {
		c := job("1", asha, "Hi Asha", time.Second)
		change(&c)
		return []campaign.Candidate{c}
	}
	at := func(after time.Duration) []campaign.Candidate {
		return []campaign.Candidate{job("1", asha, "Hi Asha", after)}
	}
	for name, test := range map[string]struct {
		candidates []campaign.Candidate
		bound      []string
		finding    status.Finding
		doubt      status.Doubt
	}{
		"nothing":                   {nil, nil, status.Absent, ""},
		"the message":               {at(time.Second), nil, status.Found, ""},
		"first moment":              {at(-time.Minute), nil, status.Found, ""},
		"last moment":               {at(95 * time.Second), nil, status.Found, ""},
		"too early":                 {at(-time.Minute - 1), nil, status.Ambiguous, status.DoubtOtherTime},
		"too late":                  {at(95*time.Second + 1), nil, status.Ambiguous, status.DoubtOtherTime},
		"no time told":              {with(func(c *campaign.Candidate) { c.At = time.Time{} }), nil, status.Found, ""},
		"bare number":               {with(func(c *campaign.Candidate) { c.Chat = "12015550101" }), nil, status.Found, ""},
		"bare number with plus":     {with(func(c *campaign.Candidate) { c.Chat = "+12015550101" }), nil, status.Found, ""},
		"no kind told":              {with(func(c *campaign.Candidate) { c.Kind = "" }), nil, status.Found, ""},
		"a file":                    {with(func(c *campaign.Candidate) { c.Kind = campaign.KindMedia }), nil, status.Ambiguous, status.DoubtOtherText},
		"other line ends":           {with(func(c *campaign.Candidate) { c.Text = "  Hi Asha \r\n" }), nil, status.Found, ""},
		"another text":              {with(func(c *campaign.Candidate) { c.Text = "Hi Asha!" }), nil, status.Ambiguous, status.DoubtOtherText},
		"another text, other time":  {[]campaign.Candidate{job("1", asha, "Hello", time.Hour)}, nil, status.Absent, ""},
		"another chat":              {with(func(c *campaign.Candidate) { c.Chat = "12015550299@c.us" }), nil, status.Absent, ""},
		"a digit changed":           {with(func(c *campaign.Candidate) { c.Chat = "12015550191@c.us" }), nil, status.Ambiguous, status.DoubtOtherChat},
		"a digit more":              {with(func(c *campaign.Candidate) { c.Chat = "120915550101@c.us" }), nil, status.Ambiguous, status.DoubtOtherChat},
		"a digit less":              {with(func(c *campaign.Candidate) { c.Chat = "1201555010@c.us" }), nil, status.Ambiguous, status.DoubtOtherChat},
		"a digit changed, bound":    {with(func(c *campaign.Candidate) { c.Chat = "12015550191@c.us" }), []string{"q1"}, status.Absent, ""},
		"a digit changed, new text": {with(func(c *campaign.Candidate) { c.Chat, c.Text = "12015550191@c.us", "x" }), nil, status.Absent, ""},
		"a group of these digits":   {with(func(c *campaign.Candidate) { c.Chat = "12015550101@g.us" }), nil, status.Absent, ""},
		"no chat told":              {with(func(c *campaign.Candidate) { c.Chat = "" }), nil, status.Ambiguous, status.DoubtOtherChat},
		"bound by queue id":         {at(0), []string{"q1"}, status.Absent, ""},
		"bound by unique id":        {at(0), []string{"3EB01"}, status.Absent, ""},
		"bound by message id":       {at(0), []string{"true_12015550101@c.us_3EB01"}, status.Absent, ""},
		"bound, full id in list": {
			with(func(c *campaign.Candidate) {
				c.QueueID, c.UniqueID, c.MessageID = "", "", "true_120155@g.us_3EB01_1201@c.us"
			}),
			[]string{"3EB01"},
			status.Absent, "",
		},
		"nameless":            {with(func(c *campaign.Candidate) { c.QueueID, c.UniqueID = "", "" }), nil, status.Ambiguous, status.DoubtNameless},
		"one of two":          {append(at(time.Second), job("2", asha, "Hi Asha", 2*time.Second)), nil, status.Found, ""},
		"beside another text": {append(at(time.Second), job("2", asha, "Hello", 2*time.Second)), nil, status.Found, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := status.Match([]status.Sought{sought(1, asha, "Hi Asha", 0)}, test.candidates, test.bound, window)[0]
			if got.Finding != test.finding || got.Doubt != test.doubt {
				t.Errorf("%s (%s), want %s (%s)", got.Finding, got.Doubt, test.finding, test.doubt)
			}
			if got.Finding == status.Found && got.Candidate.QueueID != "q1" {
				t.Errorf("found %s, want the nearest", got.Candidate.QueueID)
			}
		})
	}
}

func TestMatchOfText(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ sent, listed string }{
		"composed letters": {"Joséphine", "Joséphine"},
		"spaces at ends":   {"Hi  \nthere", "Hi\nthere"},
		"blank lines":      {"\n\nHi\n", "Hi"},
		"old Mac":          {"a\nb", "a\rb"},
		"emoji":            {"🪔 ₹ 1,200", "🪔 ₹ 1,200"},
	} {
		verdict := status.Match([]status.Sought{sought(1, asha, test.sent, 0)}, []campaign.Candidate{job("1", asha, test.listed, 0)}, nil, window)[0]
		if verdict.Finding != status.Found {
			t.Errorf("%s: %s", name, verdict.Finding)
		}
	}
}

func TestMatchOfFilesAndPolls(t *testing.T) {
	t.Parallel()
	seek := func(m campaign.Message) []status.Sought {
		return []status.Sought{status.Seek(campaign.UnknownRow{Chat: asha, BodyHash: m.Hash(), ClaimedAt: intent}, m)}
	}
	listed := func(kind campaign.Kind, text string) []campaign.Candidate {
		c := job("1", asha, text, 0)
		c.Kind = kind
		return []campaign.Candidate{c}
	}
	file := campaign.Message{Media: &campaign.Media{Type: campaign.MediaImage, Hash: "a", Filename: "a.png", MIME: "image/png"}}
	captioned := file
	captioned.Text = "Look"
	poll := campaign.Message{Poll: &campaign.Poll{Question: "Coming?", Options: []string{"Yes", "No"}}}
	for name, test := range map[string]struct {
		message campaign.Message
		listed  []campaign.Candidate
		want    status.Finding
	}{
		"file":                       {file, listed(campaign.KindMedia, ""), status.Found},
		"file, list without kinds":   {file, listed("", ""), status.Ambiguous},
		"caption":                    {captioned, listed(campaign.KindMedia, "Look"), status.Found},
		"caption, no kinds":          {captioned, listed("", "Look"), status.Found},
		"caption, listed as text":    {captioned, listed(campaign.KindText, "Look"), status.Ambiguous},
		"poll":                       {poll, listed(campaign.KindPoll, "Coming?"), status.Found},
		"poll, another question":     {poll, listed(campaign.KindPoll, "Going?"), status.Ambiguous},
		"file, only a text in sight": {file, listed(campaign.KindText, ""), status.Ambiguous},
	} {
		if got := status.Match(seek(test.message), test.listed, nil, window)[0]; got.Finding != test.want {
			t.Errorf("%s: %s (%s), want %s", name, got.Finding, got.Doubt, test.want)
		}
	}
}

// TestMessageThatIsNotTheOneOfTheIntent: what it said is not known, so it can
// be neither found nor missed.
func TestMessageThatIsNotTheOneOfTheIntent(t *testing.T) {
	t.Parallel()
	row := status.Seek(campaign.UnknownRow{Chat: asha, BodyHash: "other", ClaimedAt: intent}, campaign.Message{Text: "Hi Asha"})
	for _, candidates := range [][]campaign.Candidate{nil, {job("1", asha, "Hi Asha", 0)}} {
		if got := status.Match([]status.Sought{row}, candidates, nil, window)[0]; got.Finding != status.Ambiguous || got.Doubt != status.DoubtUnreadable {
			t.Errorf("%d candidates: %s (%s)", len(candidates), got.Finding, got.Doubt)
		}
	}
}

func TestRowsThatContend(t *testing.T) {
	t.Parallel()
	first, second := sought(1, asha, "Hi", 0), sought(2, asha, "Hi", 30*time.Second)
	second.Row.Campaign = "cmp_2"
	find := func(candidates ...campaign.Candidate) [2]string {
		var out [2]string
		for i, v := range status.Match([]status.Sought{first, second}, candidates, nil, window) {
			out[i] = cmp.Or(v.Candidate.QueueID, string(v.Doubt), string(v.Finding))
		}
		return out
	}
	for name, test := range map[string]struct {
		got, want [2]string
	}{
		"none":               {find(), [2]string{"absent", "absent"}},
		"nearer the first":   {find(job("a", asha, "Hi", 2*time.Second)), [2]string{"qa", string(status.DoubtContended)}},
		"nearer the second":  {find(job("a", asha, "Hi", 29*time.Second)), [2]string{string(status.DoubtContended), "qa"}},
		"one each":           {find(job("a", asha, "Hi", 31*time.Second), job("b", asha, "Hi", time.Second)), [2]string{"qb", "qa"}},
		"one fits one only":  {find(job("a", asha, "Hi", 29*time.Second), job("b", asha, "Hi", 120*time.Second)), [2]string{"qa", "qb"}},
		"one each, no times": {find(untimed("a"), untimed("b")), [2]string{"qa", "qb"}},
		"a time comes first": {find(untimed("a"), job("b", asha, "Hi", 31*time.Second)), [2]string{"qa", "qb"}},
	} {
		if test.got != test.want {
			t.Errorf("%s: %q, want %q", name, test.got, test.want)
		}
	}
}

func untimed(id string) campaign.Candidate {
	c := job(id, asha, "Hi", 0)
	c.At = time.Time{}
	return c
}

// TestMessageInTwoLists: a job and its message are one candidate, by either id,
// and what either list tells is kept.
func TestMessageInTwoLists(t *testing.T) {
	t.Parallel()
	queued := job("1", asha, "Hi", time.Second)
	queued.UniqueID = ""
	sent := campaign.Candidate{
		Source: campaign.EvidenceMessages, QueueID: "q1", UniqueID: "3EB0F", MessageID: "true_12015550101@c.us_3EB0F", Chat: asha, Text: "Hi",
		At: intent.Add(2 * time.Hour), Status: campaign.StatusSent, SentAt: intent.Add(2 * time.Hour),
	}
	bare := sent
	bare.Source, bare.QueueID, bare.MessageID, bare.Status = campaign.EvidenceWebhook, "", "", campaign.StatusRead
	want := queued
	want.UniqueID, want.MessageID, want.Status, want.SentAt = "3EB0F", sent.MessageID, campaign.StatusRead, sent.SentAt
	rows := []status.Sought{sought(1, asha, "Hi", 0), sought(2, asha, "Hi", time.Second)}
	got := status.Match(rows, []campaign.Candidate{bare, sent, queued}, nil, window)
	if diff := gocmp.Diff(want, got[1].Candidate); diff != "" || got[0].Finding == status.Found {
		t.Errorf("found %s and %s (-want +got):\n%s", got[0].Finding, got[1].Finding, diff)
	}
}

// TestMatchProperties: no message to two rows, none that is bound, as many as
// can be, in whatever order everything comes.
func TestMatchProperties(t *testing.T) {
	t.Parallel()
	chats := []campaign.ChatID{asha, "12015550102@c.us", "120155501@g.us"}
	texts := []string{"Hi", "Hello", ""}
	rapid.Check(t, func(t *rapid.T) {
		seconds := rapid.IntRange(-200, 200)
		rows := make([]status.Sought, rapid.IntRange(1, 6).Draw(t, "rows"))
		for i := range rows {
			rows[i] = sought(int64(i), rapid.SampledFrom(chats).Draw(t, "chat"), rapid.SampledFrom(texts).Draw(t, "text"),
				time.Duration(seconds.Draw(t, "claimed"))*time.Second)
			rows[i].Readable = rapid.IntRange(0, 9).Draw(t, "readable") > 0
		}
		candidates := make([]campaign.Candidate, rapid.IntRange(0, 8).Draw(t, "candidates"))
		for i := range candidates {
			c := job(fmt.Sprint(rapid.IntRange(0, 7).Draw(t, "id")), rapid.SampledFrom(chats).Draw(t, "chat"),
				rapid.SampledFrom(texts).Draw(t, "text"), time.Duration(seconds.Draw(t, "at"))*time.Second)
			c.Source = rapid.SampledFrom([]campaign.EvidenceSource{campaign.EvidenceJobs, campaign.EvidenceMessages}).Draw(t, "source")
			c.Kind = rapid.SampledFrom([]campaign.Kind{campaign.KindText, ""}).Draw(t, "kind")
			if rapid.IntRange(0, 4).Draw(t, "timed") == 0 {
				c.At = time.Time{}
			}
			candidates[i] = c
		}
		bound := rapid.SliceOf(rapid.SampledFrom([]string{"q0", "q1", "3EB02", "true_x_3EB03"})).Draw(t, "bound")
		verdicts := status.Match(rows, candidates, bound, window)

		found := map[string]bool{}
		for i, v := range verdicts {
			if v.Finding != status.Found {
				continue
			}
			id := v.Candidate.QueueID
			if found[id] {
				t.Fatalf("%s goes to two rows", id)
			}
			found[id] = true
			if id == "q0" && slices.Contains(bound, "q0") || id == "q1" && slices.Contains(bound, "q1") ||
				id == "q2" && slices.Contains(bound, "3EB02") || id == "q3" && slices.Contains(bound, "true_x_3EB03") {
				t.Fatalf("%s is bound", id)
			}
			if !rows[i].Readable || v.Candidate.Chat != rows[i].Row.Chat {
				t.Fatalf("row %d got a message of another chat", i)
			}
		}

		random := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		shuffled := slices.Clone(rows)
		random.Shuffle(len(shuffled), func(a, b int) { shuffled[a], shuffled[b] = shuffled[b], shuffled[a] })
		random.Shuffle(len(candidates), func(a, b int) { candidates[a], candidates[b] = candidates[b], candidates[a] })
		again := status.Match(shuffled, candidates, bound, window)
		for i, row := range shuffled {
			if diff := gocmp.Diff(verdicts[row.Row.Seq], again[i]); diff != "" {
				t.Fatalf("row %d depends on the order:\n%s", row.Row.Seq, diff)
			}
		}
	})
}

// TestAsManyAsCanBeGetOne compares with trying every assignment.
func TestAsManyAsCanBeGetOne(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		seconds := rapid.IntRange(0, 300)
		rows := make([]status.Sought, rapid.IntRange(1, 4).Draw(t, "rows"))
		for i := range rows {
			rows[i] = sought(int64(i), asha, "Hi", time.Duration(seconds.Draw(t, "claimed"))*time.Second)
		}
		candidates := make([]campaign.Candidate, rapid.IntRange(0, 5).Draw(t, "candidates"))
		for i := range candidates {
			candidates[i] = job(fmt.Sprint(i), asha, "Hi", time.Duration(seconds.Draw(t, "at"))*time.Second)
		}
		got := 0
		for _, v := range status.Match(rows, candidates, nil, window) {
			if v.Finding == status.Found {
				got++
			}
		}
		if want := most(rows, candidates, map[int]bool{}); got != want {
			t.Fatalf("%d rows found, could be %d", got, want)
		}
	})
}

func most(rows []status.Sought, candidates []campaign.Candidate, used map[int]bool) int {
	if len(rows) == 0 {
		return 0
	}
	best := most(rows[1:], candidates, used)
	for i, c := range candidates {
		after := c.At.Sub(rows[0].Row.ClaimedAt)
		if used[i] || after < -window.Before || after > window.After {
			continue
		}
		used[i] = true
		best = max(best, 1+most(rows[1:], candidates, used))
		used[i] = false
	}
	return best
}

// TestOneMessageInTwoListsWithoutACommonID settles one row, not two.
func TestOneMessageInTwoListsWithoutACommonID(t *testing.T) {
	t.Parallel()
	queued, sent := job("1", asha, "Hi Asha", time.Second), job("2", asha, "Hi Asha", 5*time.Second)
	queued.UniqueID = ""
	sent.Source, sent.QueueID = campaign.EvidenceMessages, ""
	rows := []status.Sought{sought(1, asha, "Hi Asha", 0), sought(2, asha, "Hi Asha", time.Second)}
	verdicts := status.Match(rows, []campaign.Candidate{sent, queued}, nil, window)
	found := slices.IndexFunc(verdicts, func(v status.Verdict) bool { return v.Finding == status.Found })
	if found < 0 || verdicts[1-found].Doubt != status.DoubtContended {
		t.Fatalf("verdicts %+v, want one found, the other contended", verdicts)
	}
	if c := verdicts[found].Candidate; c.QueueID != "q1" || c.UniqueID != "3EB02" {
		t.Errorf("candidate with ids %s and %s, want those of both lists", c.QueueID, c.UniqueID)
	}
	for name, verdicts := range map[string][]status.Verdict{
		"bound by the job": status.Match(rows, []campaign.Candidate{sent, queued}, []string{"q1"}, window),
		"bound by its id":  status.Match(rows, []campaign.Candidate{sent, queued}, []string{"3EB02"}, window),
	} {
		if verdicts[0].Finding != status.Absent || verdicts[1].Finding != status.Absent {
			t.Errorf("%s: %+v", name, verdicts)
		}
	}
	two := sent
	two.UniqueID = "3EB03"
	verdicts = status.Match(rows, []campaign.Candidate{sent, two, queued}, nil, window)
	if verdicts[0].Finding != status.Found || verdicts[1].Finding != status.Found {
		t.Errorf("two messages and a job: %+v, want both found", verdicts)
	}
}
