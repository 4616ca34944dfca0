package periskope

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"
)

func FuzzParseRetryAfter(f *testing.F) {
	for _, seed := range []string{"", "5", "-1", "1.5", "99999999999999999999", "Thu, 15 Jan 2026 12:00:30 GMT", "Thursday, 15-Jan-26 12:00:30 GMT", "1e9", "NaN", "\x00"} {
		f.Add(seed, int64(1768478400))
	}
	f.Fuzz(func(t *testing.T, value string, now int64) {
		if got := ParseRetryAfter(value, time.Unix(now, 0)); got < 0 || got > MaxWait {
			t.Errorf("ParseRetryAfter(%q) = %s", value, got)
		}
	})
}

func FuzzParseReset(f *testing.F) {
	for _, seed := range []string{"", "5", "-1", "1768478430", "1768478430000", "99999999999999999999", "0.1", "--", "9e99"} {
		f.Add(seed, int64(1768478400))
	}
	f.Fuzz(func(t *testing.T, value string, now int64) {
		got, ok := ParseReset(value, time.Unix(now, 0))
		if got < 0 || got > MaxWait || !ok && got != 0 {
			t.Errorf("ParseReset(%q) = %s, %t", value, got, ok)
		}
	})
}

func FuzzDecodeSend(f *testing.F) {
	for _, seed := range []string{
		"", "{}", "null", "[]", `{"queue_id":"q1"}`, `{"queue_id":"q1"}{"queue_id":"q2"}`, `{"queue_id":1}`, "<html>", `{"queue_id":"\ud800"}`,
		`{"status":"queued","queue_id":"ba3273cb-12be-48d4-90e0-0cbc0b427ef1","queue_position":"0","unique_id":"3EB05FC204C28E456D8596","track_by":{},"hint":"x"}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		a := &answer{Meta: Meta{HTTPStatus: http.StatusOK}, body: bytes.NewBuffer(body), long: len(body) > maxSendAnswer}
		response, err := decodeSend("send", a)
		if err != nil {
			var unusable *ResponseError
			if !errors.As(err, &unusable) || response.QueueID != "" {
				t.Fatalf("%+v, %v", response, err)
			}
			return
		}
		// An acceptance is whole JSON that names its job itself.
		var object map[string]json.RawMessage
		if json.Unmarshal(body, &object) != nil || !plausibleID(response.QueueID) || a.long {
			t.Fatalf("accepted %q as %+v", body, response)
		}
	})
}

func FuzzJobs(f *testing.F) {
	f.Add([]byte(`[{"queue_id":"q","timeline":{"sent_at":1},"ack":"3","id":{"id":"x"}}]`))
	f.Add([]byte(`{"data":[{"id":"q","message_id":"true_a_b","finishedTimestamp":1737373510691,"status":"completed"}]}`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, body []byte) {
		jobs, err := decodeJobs(body)
		for _, job := range jobs {
			if err != nil {
				t.Fatal("jobs beside an error")
			}
			for event, at := range job.Timeline {
				if !at.IsZero() && (at.Year() < 1970 || at.Year() > 9999) {
					t.Fatalf("%s at %s", event, at)
				}
			}
		}
	})
}

func FuzzScrub(f *testing.F) {
	f.Add("Invalid body: Hi Asha, your slot; 447700900123 sk-canary-inner", "Hi Asha, your slot is 4 pm")
	f.Add("\xff\u202e\n12345678", "é")
	f.Fuzz(func(t *testing.T, text, own string) {
		got := scrubber{token: innerToken, own: []string{own}}.scrub(text)
		if len(got) > maxText || strings.ContainsAny(got, "\n\r\x00") || strings.Contains(got, innerToken) {
			t.Fatalf("scrub(%q) = %q", text, got)
		}
		digits := 0
		for i := range len(got) {
			if got[i] < '0' || got[i] > '9' {
				digits = 0
			} else if digits++; digits >= minDigits {
				t.Fatalf("scrub(%q) = %q", text, got)
			}
		}
	})
}
