package periskope

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/big"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// FuzzParseRetryAfter: a wait is never negative and never above MaxWait; whole
// seconds are taken as they stand; only what is negative, past or unreadable
// asks for none; and a later clock never makes a wait longer.
func FuzzParseRetryAfter(f *testing.F) {
	for _, seed := range []string{
		"", "0", "5", "-1", "1.5", "900", "901", "0.0001", "5 ", "+5", "5s", "05", "5,10", "1_000", "0x10", "٥", "99999999999999999999", "1e9", "NaN", "Inf", "\x00",
		"Thu, 15 Jan 2026 12:00:30 GMT", "Thursday, 15-Jan-26 12:00:30 GMT", "Thu Jan 15 12:00:30 2026", "Thu, 15 Jan 2036 12:00:30 GMT", "Thu, 15 Jan 2026 12:00:30 +0530",
		"Fri, 31 Dec 9999 23:59:59 GMT", "Thu, 01 Jan 1970 00:00:00 GMT", "2026-01-15T12:00:30Z", "1768478430",
	} {
		f.Add(seed, int64(1768478400))
	}
	f.Fuzz(func(t *testing.T, value string, seconds int64) {
		now := time.Unix(seconds, 0)
		got := ParseRetryAfter(value, now)
		if got < 0 || got > MaxWait {
			t.Fatalf("ParseRetryAfter(%q) = %s", value, got)
		}
		text := strings.TrimSpace(value)
		if text != "" && len(text) <= 32 && strings.Trim(text, "0123456789") == "" {
			want := MaxWait
			if n, _ := new(big.Int).SetString(text, 10); n.Cmp(big.NewInt(int64(MaxWait.Seconds()))) < 0 {
				want = time.Duration(n.Int64()) * time.Second
			}
			if got != want {
				t.Fatalf("ParseRetryAfter(%q) = %s, want %s", value, got, want)
			}
		}
		date, err := http.ParseTime(text)
		if err == nil && date.After(now) != (got > 0) && strings.ContainsAny(text, "GMTJ") {
			t.Fatalf("ParseRetryAfter(%q) at %s = %s", value, now, got)
		}
		if _, number := parseNumber(text); err != nil && !number && got != 0 {
			t.Fatalf("a wait of %s out of %q", got, value)
		}
		if later := ParseRetryAfter(value, now.Add(time.Minute)); later > got {
			t.Fatalf("%q: %s at %s, %s a minute later", value, got, now, later)
		}
	})
}

// FuzzParseReset: as FuzzParseRetryAfter, and what cannot be read is not taken
// for "now".
func FuzzParseReset(f *testing.F) {
	for _, seed := range []string{"", "0", "5", "-1", "1768478430", "1768478430000", "99999999999999999999", "0.1", "--", "9e99", "1000000000", "1000000000000", "1.7684784305e9", ".", "-", "1-2"} {
		f.Add(seed, int64(1768478400))
	}
	f.Fuzz(func(t *testing.T, value string, seconds int64) {
		now := time.Unix(seconds, 0)
		got, ok := ParseReset(value, now)
		if got < 0 || got > MaxWait || !ok && got != 0 {
			t.Fatalf("ParseReset(%q) = %s, %t", value, got, ok)
		}
		if ok && !strings.ContainsAny(value, "0123456789") {
			t.Fatalf("%q was read as a number", value)
		}
		if later, laterOK := ParseReset(value, now.Add(time.Minute)); later > got || laterOK != ok {
			t.Fatalf("%q: %s at %s, %s a minute later", value, got, now, later)
		}
	})
}

// FuzzDecodeSend: an acceptance is one whole JSON object, not longer than what
// is read, that itself holds the text taken for the queue id. All else is a
// *ResponseError.
func FuzzDecodeSend(f *testing.F) {
	for _, seed := range smallAnswers() {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		response, err := decodeSend("send", answerOf(body))
		if err != nil {
			var unusable *ResponseError
			if !errors.As(err, &unusable) || unusable.Reason == "" || response != (SendResponse{}) {
				t.Fatalf("%+v, %v", response, err)
			}
			return
		}
		if len(body) > maxSendAnswer || !json.Valid(body) {
			t.Fatalf("accepted %.200q as %+v", body, response)
		}
		if !namesJob(body, response.QueueID) {
			t.Fatalf("%.200q does not name %q", body, response.QueueID)
		}
		for _, text := range []string{response.QueueID, response.UniqueID, response.Status} {
			if len(text) > 256 || strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
				t.Fatalf("%q is no id and no word", text)
			}
		}
	})
}

// namesJob says whether the object has a field queue_id with this very text.
func namesJob(body []byte, queueID string) bool {
	decoder := json.NewDecoder(bytes.NewReader(body))
	if open, err := decoder.Token(); err != nil || open != json.Delim('{') {
		return false
	}
	for decoder.More() {
		key, err := decoder.Token()
		if err != nil {
			return false
		}
		var value json.RawMessage
		if decoder.Decode(&value) != nil {
			return false
		}
		var text string
		if name, ok := key.(string); ok && strings.EqualFold(name, "queue_id") && json.Unmarshal(value, &text) == nil && text == queueID && text != "" {
			return true
		}
	}
	return false
}

// FuzzAPIError: whatever a refusal holds, nothing printed of it has the token,
// the recipient's number or the message, and it is short and on one line. In
// the body "§T" stands for the token, "§N" for the number, "§M" for the text.
func FuzzAPIError(f *testing.F) {
	for status, body := range map[int]string{
		400: `{"code":"VALIDATION_ERROR","name":"§T","message":"bad §M for §N","fields":{"§N":{"message":"§M","value":"§T"},"b":"§N §T"}}`,
		401: `{"code":"§T","message":"Invalid bearer auth token §T"}`,
		404: `{"code":"NOT_FOUND_ERROR","message":"Chat not found — no chat with the given chat_id exists for the phone §N@c.us"}`,
		422: `{"code":"VALIDATION_ERROR","message":"{\"chat_id\":\"§N@c.us\",\"message\":\"§M\"}","fields":[1]}`,
		429: "Too many requests, §N, please try again later.",
		502: "<html>§T§N§M</html>",
		503: `{"message":"§N§N§T§T"}`,
		307: `{"code":"§N","fields":{"chat_id":null,"x":{"message":{"a":1}}}}`,
	} {
		f.Add(status, []byte(body))
	}
	for _, seed := range smallAnswers() {
		f.Add(500, seed)
	}
	const number, text = "447700900123", "Dear Asha, the canary of Platform Nine sings at dawn"
	c, err := New(Config{BaseURL: "http://127.0.0.1:1", Token: innerToken})
	if err != nil {
		f.Fatal(err)
	}
	fill := strings.NewReplacer("§T", innerToken, "§N", number, "§M", text)
	f.Fuzz(func(t *testing.T, status int, template []byte) {
		body := fill.Replace(string(template))
		a := answerOf([]byte(body))
		a.HTTPStatus = status
		e := c.apiError(call{op: "send", own: []string{text}}, a)
		if len(e.Raw()) > maxRaw || !strings.HasPrefix(body, string(e.Raw())) {
			t.Fatalf("kept %d bytes of %d", len(e.Raw()), len(body))
		}
		var out bytes.Buffer
		fmt.Fprintf(&out, "%v\n%+v\n%#v\n", e, e, e)
		slog.New(slog.NewTextHandler(&out, nil)).Info("x", slog.Any("err", e))
		for name, words := range e.Fields {
			out.WriteString(name + "\n" + words + "\n")
			if len(name) > maxText || len(words) > maxText {
				t.Fatalf("a field of %d and %d bytes", len(name), len(words))
			}
		}
		for _, secret := range []string{innerToken, number, text, text[:echoWindow]} {
			if strings.Contains(out.String(), secret) {
				t.Fatalf("%q shows %q:\n%s", body, secret, out.String())
			}
		}
		if message := e.Error(); len(message) > 2*maxText || strings.ContainsAny(message, "\r\n") {
			t.Fatalf("%q", message)
		}
		if strings.ContainsAny(e.Code, " \r\n") || len(e.Code) > maxText {
			t.Fatalf("code %q", e.Code)
		}
	})
}

// FuzzJobs: a list is read whole or not at all, one by one as in one piece,
// times are of this age, and what can be printed of a job has no long run of
// digits in it.
func FuzzJobs(f *testing.F) {
	f.Add([]byte(`[{"queue_id":"q","timeline":{"sent_at":1},"ack":"3","id":{"id":"x"}}]`))
	f.Add([]byte(`{"data":[{"id":"q","message_id":"true_a_b","finishedTimestamp":1737373510691,"status":"completed"}]}`))
	f.Add([]byte(`[{"id":"63cda77b-73de-433e-a652-a8f489100d43","message_id":"3EB0BB657AE18C4D3BB276DFB67F6CCA7DD13234","status":"completed","attemptsMade":1,` +
		`"addedTimestamp":1737373507280,"processedTimestamp":1737373507380,"finishedTimestamp":1737373510691,"data":{"body":"x","chat_id":"447700900123@c.us"},"stacktrace":[]}]`))
	f.Add([]byte(`null`))
	for _, seed := range smallAnswers() {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		body = bytes.TrimSpace(body) // what is around a list makes no difference
		jobs, err := decodeJobs(body)
		if err != nil && jobs != nil {
			t.Fatal("jobs beside an error")
		}
		if whole, wholeErr := decodeList[wireJob](body); (err == nil) != (wholeErr == nil) || err == nil && len(jobs) != len(whole) {
			t.Fatalf("%d jobs, %v; in one piece %d, %v: %q", len(jobs), err, len(whole), wholeErr, body)
		}
		if err == nil && !json.Valid(body) {
			t.Fatalf("jobs out of %q", body)
		}
		for _, job := range jobs {
			for event, at := range job.Timeline {
				if !at.IsZero() && (at.Year() < 1970 || at.Year() > 9999) {
					t.Fatalf("%s at %s", event, at)
				}
			}
			if longDigits(job.String()) || len(job.Word) > 64 {
				t.Fatalf("%s, word %q", job, job.Word)
			}
			switch job.Status {
			case StatusUnknown, StatusQueued, StatusSending, StatusSent, StatusDelivered, StatusRead, StatusFailed:
			default:
				t.Fatalf("status %q", job.Status)
			}
		}
	})
}

// FuzzScrub: one short line without the token and without long runs of digits,
// and scrubbing it again changes nothing more.
func FuzzScrub(f *testing.F) {
	f.Add("Invalid body: Hi Asha, your slot; 447700900123 sk-canary-inner", "Hi Asha, your slot is 4 pm")
	f.Add("\xff\u202e\n12345678", "é")
	f.Add(strings.Repeat("ß", 600)+innerToken, "ßßß")
	f.Add(strings.Repeat("a", maxText-1)+" b", "") // was cut behind a blank, which stayed
	f.Fuzz(func(t *testing.T, text, own string) {
		got := scrubber{token: innerToken, own: []string{own}}.scrub(text)
		if len(got) > maxText || strings.ContainsAny(got, "\n\r\x00") || strings.Contains(got, innerToken) || longDigits(got) {
			t.Fatalf("scrub(%q) = %q", text, got)
		}
		if again := (scrubber{token: innerToken}).scrub(got); again != got {
			t.Fatalf("scrub(%q) = %q, and then %q", text, got, again)
		}
	})
}

// longDigits says whether s shows what may be a phone number.
func longDigits(s string) bool {
	digits := 0
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			digits = 0
		} else if digits++; digits >= minDigits {
			return true
		}
	}
	return false
}

// smallAnswers are those worth mutating: large ones take all the time there is.
// Their order is always the same, so that a failing seed can be named.
func smallAnswers() [][]byte {
	var small [][]byte
	for _, name := range slices.Sorted(maps.Keys(answers)) {
		if body := answers[name].body; len(body) <= 1024 {
			small = append(small, []byte(body))
		}
	}
	return small
}
