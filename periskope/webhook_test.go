package periskope_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/herald-campaigns/herald/periskope"
)

// The payloads of the dossier, §7.3, §9.1 and §10.5, with fictional numbers.
const (
	replyData = `{"message_id":"false_447700900123@c.us_3A1F0C55E0A8B1D2C3F4","unique_id":"3A1F0C55E0A8B1D2C3F4",
		"id":{"id":"3A1F0C55E0A8B1D2C3F4","fromMe":false,"remote":"447700900123@c.us","_serialized":"false_447700900123@c.us_3A1F0C55E0A8B1D2C3F4"},
		"org_id":"2997dd64-89bf-48d3-9a22-b314fca017e5","org_phone":"12015550100@c.us","chat_id":"447700900123@c.us",
		"from":"447700900123@c.us","to":"12015550100@c.us","sender_phone":"447700900123@c.us","author":null,"from_me":false,
		"message_type":"chat","body":"STOP","timestamp":"2026-01-15 09:41:00+00","ack":"1","has_media":false,"media":null,
		"has_quoted_msg":true,"quoted_message_id":"3EB0A0A8F90A01259C81A3","performed_by":null,"sent_message_id":null,
		"device_type":"android","is_private_note":false,"poll_info":null,"poll_results":null}`
	echoData = `{"message_id":"true_447700900123@c.us_3EB0A0A8F90A01259C81A3","unique_id":"3EB0A0A8F90A01259C81A3",
		"sent_message_id":"5df4cb6d-9f2b-46b6-936e-8e6f4b1a5400","org_phone":"12015550100@c.us","chat_id":"447700900123@c.us",
		"from_me":true,"message_type":"chat","body":"Hello World","ack":"2","performed_by":"api",
		"delivery_info":{"delivered":{"447700900123@c.us":1768469400},"read":{},"pending":[],"delivered_count":1,"read_count":0}}`
	voteData = `{"message_id":"true_447700900123@c.us_3EB0A0A8F90A01259C81A3","unique_id":"3EB0A0A8F90A01259C81A3","chat_id":"447700900123@c.us",
		"org_phone":"12015550100@c.us","from_me":true,"message_type":"poll_creation",
		"poll_info":{"pollName":"Coming on Friday?","pollOptions":["Yes","No"],"options":{"allowMultipleAnswers":false,"pollId":"cmp42:v1"}},
		"poll_results":{"Yes":{"447700900123@c.us":"2026-01-15T09:41:07.000Z"},"No":{}}}`
	failedData = `{"queue_id":"5df4cb6d-9f2b-46b6-936e-8e6f4b1a5400","unique_id":"3EB0A0A8F90A01259C81A3",
		"message_id":"true_447700900123@c.us_3EB0A0A8F90A01259C81A3","chat_id":"447700900123@c.us","org_phone":"12015550100@c.us",
		"status":"failed","status_description":"not on WhatsApp","ack":-1,"attempts":4,
		"timeline":{"queued_at":"2026-01-15T09:41:00Z","failed_at":"2026-01-15T09:41:30Z"}}`
	phoneData = `{"org_id":"2997dd64","org_phone":"12015550100@c.us","phone_id":"phone-bqzvyibhmwkaergr","phone_name":"Support",
		"wa_state":"DISCONNECTED","is_ready":false}`
)

// documented and real are the two envelopes seen.
func documented(name, data string) string {
	return fmt.Sprintf(`{"event":%q,"data":%s,"org_id":"2997dd64","timestamp":"2026-01-15T09:41:00.000Z"}`, name, data)
}

func realForm(name, data string) string {
	return fmt.Sprintf(`{"id":"evt-1","event_type":%q,"data":%s,"org_id":"2997dd64","previous_attributes":{"ack":"1"}}`, name, data)
}

func parseEvent(t *testing.T, raw string) periskope.Event {
	t.Helper()
	e, err := periskope.ParseEvent([]byte(raw))
	if err != nil {
		t.Fatalf("ParseEvent: %v", err)
	}
	return e
}

func TestParseEventEnvelopes(t *testing.T) {
	t.Parallel()
	flat := `{"event_type":"message.created",` + replyData[1:]
	for name, test := range map[string]struct {
		raw string
		id  string
		at  time.Time
	}{
		"documented": {raw: documented("message.created", replyData), at: time.Date(2026, 1, 15, 9, 41, 0, 0, time.UTC)},
		"real":       {raw: realForm("message.created", replyData), id: "evt-1"},
		"flat":       {raw: flat},
		"null data":  {raw: `{"data":null,` + flat[1:]},
		"type":       {raw: `{"type":"message.created","data":` + replyData + `}`},
		"blanks":     {raw: "\n\t" + realForm("message.created", " "+replyData+" ") + "\r\n", id: "evt-1"},
		"odd types":  {raw: `{"event":"message.created","data":` + replyData + `,"timestamp":{},"previous_attributes":[1],"org_id":7,"id":{"a":1}}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := parseEvent(t, test.raw)
			if e.Kind != periskope.EventMessageCreated || e.Name != "message.created" || e.ID != test.id || !e.At.Equal(test.at) {
				t.Errorf("%q %q, id %q, at %s", e.Kind, e.Name, e.ID, e.At)
			}
			m := e.Message
			if m == nil || m.Body != "STOP" || m.FromMe || m.ChatID != testNumber+"@c.us" || m.UniqueID != "3A1F0C55E0A8B1D2C3F4" || m.QuotedID != "3EB0A0A8F90A01259C81A3" {
				t.Fatalf("%+v", m)
			}
			if e.Status() != periskope.StatusUnknown {
				t.Errorf("a reply says %q of a message of ours", e.Status())
			}
			if e.OrgPhone() != "12015550100@c.us" {
				t.Error("the phone is lost")
			}
		})
	}
}

func TestParseEventKinds(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		event, data string
		kind        periskope.EventKind
		status      periskope.Status
		check       func(periskope.Event) bool
	}{
		"echo of our own": {"message.created", echoData, periskope.EventMessageCreated, periskope.StatusSent, func(e periskope.Event) bool {
			return e.Message.FromMe && e.Message.PerformedBy == "api" && e.Message.SentMessageID != "" && e.Job == nil
		}},
		"ack": {"message.ack.updated", strings.Replace(echoData, `"ack":"2"`, `"ack":"3"`, 1), periskope.EventAckUpdated, periskope.StatusDelivered, func(e periskope.Event) bool {
			return len(e.Message.DeliveryInfo.Delivered) == 1
		}},
		"ack of a reply": {"message.ack.updated", replyData, periskope.EventAckUpdated, periskope.StatusUnknown, nil},
		"votes": {"message.updated", voteData, periskope.EventMessageUpdated, periskope.StatusUnknown, func(e periskope.Event) bool {
			votes, known := periskope.PollResults(*e.Message)
			return known && len(votes) == 1 && votes[0].Option == "Yes" && e.Message.PollInfo.PollID == "cmp42:v1"
		}},
		"edit": {"message.updated", strings.Replace(replyData, `"body":`, `"prev_body":"START","body":`, 1), periskope.EventMessageUpdated, "", func(e periskope.Event) bool {
			return e.Message.PreviousBody == "START" && e.Message.Body == "STOP"
		}},
		"sent":      {"message.sent", strings.Replace(failedData, "failed", "sent", 1), periskope.EventSent, periskope.StatusSent, nil},
		"delivered": {"message.delivered", `{"unique_id":"u1"}`, periskope.EventDelivered, periskope.StatusDelivered, nil},
		"read":      {"message.read", `{"unique_id":"u1","status":"sent","ack":1}`, periskope.EventRead, periskope.StatusRead, nil},
		"failed": {"message.failed", failedData, periskope.EventFailed, periskope.StatusFailed, func(e periskope.Event) bool {
			return e.Job.QueueID == "5df4cb6d-9f2b-46b6-936e-8e6f4b1a5400" && e.Message.QueueID == e.Job.QueueID && e.Job.Description == "not on WhatsApp" &&
				e.Job.Attempts == 4 && e.Job.Timeline.At("failed").Second() == 30
		}},
		"disconnected": {"org.phone.disconnected", phoneData, periskope.EventPhoneDisconnected, "", func(e periskope.Event) bool {
			return !e.Phone.Connected() && e.Phone.Is("12015550100") && e.OrgPhone() == "12015550100@c.us" && e.Message == nil
		}},
		"connected":          {"org.phone.connected", phoneData, periskope.EventPhoneConnected, "", nil},
		"phone updated":      {"org.phone.updated", phoneData, periskope.EventPhoneUpdated, "", nil},
		"qr":                 {"org.phone.qr", phoneData, periskope.EventPhoneQR, "", nil},
		"a note":             {"note.created", replyData, periskope.EventOther, "", func(e periskope.Event) bool { return e.Message == nil && e.Name == "note.created" }},
		"one of later years": {"message.teleported", `[1,2]`, periskope.EventOther, "", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for form, wrap := range map[string]func(string, string) string{"documented": documented, "real": realForm} {
				e := parseEvent(t, wrap(test.event, test.data))
				if e.Kind != test.kind || e.Status() != test.status || e.OrgID != "2997dd64" {
					t.Errorf("%s: %q, %q, org %q", form, e.Kind, e.Status(), e.OrgID)
				}
				if test.check != nil && !test.check(e) {
					t.Errorf("%s: %#v, %#v", form, e.Message, e.Job)
				}
			}
		})
	}
}

// The queue id may stand beside the data instead of in it.
func TestParseEventQueueIDOutside(t *testing.T) {
	t.Parallel()
	e := parseEvent(t, `{"event":"message.sent","queue_id":"`+testQueue+`","data":{"unique_id":"`+testUnique+`"}}`)
	if e.Job.QueueID != testQueue || e.Message.QueueID != testQueue || e.Job.UniqueID != testUnique {
		t.Errorf("queue %q and %q", e.Job.QueueID, e.Message.QueueID)
	}
	e = parseEvent(t, `{"id":"evt-9","event_type":"message.updated","data":`+replyData+`,"previous_attributes":{"body":"before"}}`)
	if e.Message.PreviousBody != "before" {
		t.Error("the text before the edit is lost")
	}
	e = parseEvent(t, `{"id":"evt-9","event_type":"message.sent","data":{"id":"m1","unique_id":"u1"}}`)
	if e.Job.QueueID != "" {
		t.Errorf("an id became the queue id %q", e.Job.QueueID)
	}
}

func TestParseEventKey(t *testing.T) {
	t.Parallel()
	acked := realForm("message.ack.updated", echoData)
	same := []string{acked, acked + "\n", strings.Replace(acked, "2997dd64", "other", 1)}
	for _, raw := range same {
		if got, want := parseEvent(t, raw).Key, parseEvent(t, acked).Key; got != want || len(got) != 64 {
			t.Errorf("a delivery again has key %q, not %q", got, want)
		}
	}
	late := strings.Replace(documented("message.sent", failedData), "09:41:00.000Z", "09:45:00.000Z", 1)
	if parseEvent(t, late).Key != parseEvent(t, documented("message.sent", failedData)).Key {
		t.Error("the time of delivery makes another event of it")
	}
	seen := map[string]string{}
	for _, raw := range []string{
		acked, // an id alone, whatever it identifies, must not swallow the next ack
		strings.Replace(acked, `"ack":"2"`, `"ack":"3"`, 1),
		realForm("message.updated", echoData),
		strings.Replace(acked, "evt-1", "evt-2", 1),
		documented("message.ack.updated", echoData),
	} {
		key := parseEvent(t, raw).Key
		if other, double := seen[key]; double {
			t.Errorf("one key for %s and %s", raw, other)
		}
		seen[key] = raw
	}
}

func TestParseEventRefuses(t *testing.T) {
	t.Parallel()
	for name, raw := range map[string]string{
		"nothing":         "",
		"null":            "null",
		"a list":          "[" + realForm("message.created", replyData) + "]",
		"a text":          `"message.created"`,
		"half":            realForm("message.created", replyData)[:200],
		"two":             realForm("message.created", replyData) + "{}",
		"HTML":            "<html>",
		"form":            "event=message.created",
		"no name":         `{"data":{}}`,
		"name of a kind":  `{"event_type":{"name":"message.created"},"data":{}}`,
		"name with break": `{"event_type":"message.created\nforged","data":{}}`,
		"long name":       `{"event_type":"` + strings.Repeat("a", 65) + `","data":{}}`,
		"list of data":    realForm("message.created", "["+replyData+"]"),
		"data as text":    realForm("message.sent", `"queued"`),
		"phone as number": realForm("org.phone.connected", "1"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e, err := periskope.ParseEvent([]byte(raw))
			checkFault(t, err, periskope.FaultMalformed)
			if diff := cmp.Diff(periskope.Event{}, e, cmp.AllowUnexported(periskope.Message{})); diff != "" {
				t.Error(diff)
			}
		})
	}
	_, err := periskope.ParseEvent(bytes.Repeat([]byte(" "), periskope.MaxWebhook+1))
	checkFault(t, err, periskope.FaultOversize)
	fits := documented("note.created", replyData)
	if _, err := periskope.ParseEvent([]byte(fits + strings.Repeat(" ", periskope.MaxWebhook-len(fits)))); err != nil {
		t.Errorf("a delivery of exactly 256 KiB: %v", err)
	}
}

func checkFault(t *testing.T, err error, want periskope.Fault) {
	t.Helper()
	var refusal *periskope.WebhookError
	switch {
	case want == "" && err == nil:
	case !errors.As(err, &refusal) || refusal.Fault != want:
		t.Errorf("error %v, not %q", err, want)
	}
}

const (
	signingKey    = periskope.Token("whsec-canary-8c1f")
	signingKeyOld = periskope.Token("whsec-canary-0b77")
)

func sign(key periskope.Token, body string) string {
	mac := hmac.New(sha256.New, []byte(string(key)))
	_, _ = mac.Write([]byte(body))
	return hex.EncodeToString(mac.Sum(nil))
}

func TestVerifySignature(t *testing.T) {
	t.Parallel()
	body := realForm("message.created", replyData)
	var compact bytes.Buffer
	if err := json.Compact(&compact, []byte(body)); err != nil {
		t.Fatal(err)
	}
	good := sign(signingKey, body)
	long := strings.Repeat("x", periskope.MaxWebhook+1)
	both := []periskope.Token{signingKey, signingKeyOld}
	for name, test := range map[string]struct {
		body, header string
		keys         []periskope.Token
		want         periskope.Fault
	}{
		"raw bytes":             {body, good, both[:1], ""},
		"upper case":            {body, strings.ToUpper(good), both[:1], ""},
		"prefix":                {body, "sha256=" + good, both[:1], ""},
		"blanks":                {body, " " + good + "\t", both[:1], ""},
		"signed compact":        {body, sign(signingKey, compact.String()), both[:1], ""},
		"new of two keys":       {body, good, both, ""},
		"old of two keys":       {body, sign(signingKeyOld, body), both, ""},
		"an empty key beside":   {body, good, []periskope.Token{"", signingKey}, ""},
		"empty body":            {"", sign(signingKey, ""), both, ""},
		"no JSON":               {"a=b", sign(signingKey, "a=b"), both, ""},
		"RFC 4231 test case 2":  {"what do ya want for nothing?", "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843", []periskope.Token{"Jefe"}, ""},
		"no key":                {body, good, nil, periskope.FaultNoKey},
		"empty keys":            {body, sign("", body), []periskope.Token{"", ""}, periskope.FaultNoKey},
		"no signature":          {body, "", both, periskope.FaultUnsigned},
		"half a signature":      {body, good[:32], both, periskope.FaultUnsigned},
		"too long a signature":  {body, good + "00", both, periskope.FaultUnsigned},
		"no hex":                {body, strings.Repeat("z", 64), both, periskope.FaultUnsigned},
		"another algorithm":     {body, "sha1=" + good[:40], both, periskope.FaultUnsigned},
		"zeroes":                {body, strings.Repeat("0", 64), both, periskope.FaultForged},
		"withdrawn key":         {body, sign(signingKeyOld, body), both[:1], periskope.FaultForged},
		"changed body":          {strings.Replace(body, "STOP", "SHOP", 1), good, both, periskope.FaultForged},
		"blank in a text":       {strings.Replace(body, "STOP", "ST OP", 1), sign(signingKey, compact.String()), both, periskope.FaultForged},
		"cut body":              {body[:len(body)-1], good, both, periskope.FaultForged},
		"other body, same sign": {documented("message.sent", failedData), good, both, periskope.FaultForged},
		"too long":              {long, sign(signingKey, long), both, periskope.FaultOversize},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			checkFault(t, periskope.VerifySignature([]byte(test.body), test.header, test.keys...), test.want)
		})
	}
}

// TestWebhookLeaksNothing prints events and refusals with a key, a number and
// a text in every place they can be in.
func TestWebhookLeaksNothing(t *testing.T) {
	t.Parallel()
	planted, err := json.Marshal(testNumber + " " + plantedText)
	if err != nil {
		t.Fatal(err)
	}
	data := fmt.Sprintf(`{"message_id":"m1","unique_id":%[2]q,"queue_id":%[2]q,"message_type":%[2]q,"body":%[1]s,"prev_body":%[1]s,"chat_id":%[1]s,"from":%[1]s,"to":%[1]s,
		"org_phone":%[1]s,"author":%[1]s,"sender_phone":%[1]s,"status_description":%[1]s,"phone_name":%[1]s,"wa_state":"x","message":{"body":%[1]s},
		"poll_info":{"pollName":%[1]s,"pollOptions":[%[1]s]}}`, planted, testNumber)
	for _, name := range []string{"message.created", "message.failed", "org.phone.qr", "org.phone." + testNumber, testNumber} {
		e := parseEvent(t, fmt.Sprintf(`{"id":%q,"event_type":%q,"org_id":%q,"data":%s}`, testNumber, name, testNumber, data))
		var out bytes.Buffer
		fmt.Fprintf(&out, "%v\n%+v\n%#v\n%s\n", e, e, e, e)
		slog.New(slog.NewJSONHandler(&out, nil)).Info("x", slog.Any("event", e))
		err := periskope.VerifySignature([]byte(data), sign(signingKeyOld, data), signingKey)
		fmt.Fprintf(&out, "%v\n%+v\n%#v\n", err, err, err)
		for _, secret := range []string{testNumber, plantedText, plantedText[5:30], string(signingKey), sign(signingKey, data)} {
			if strings.Contains(out.String(), secret) {
				t.Errorf("%s shows %q:\n%s", name, secret, out.String())
			}
		}
	}
}

// TestHooksKeepTheirURL: it may hold a secret of its owner.
func TestHooksKeepTheirURL(t *testing.T) {
	t.Parallel()
	hook := periskope.Hook{ID: "0ef25935", URL: "https://example.com/hook?key=s3cret", Event: "message.created", Subscribed: true}
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("made", "hook", hook)
	for _, said := range []string{fmt.Sprint(hook), fmt.Sprintf("%+v", hook), fmt.Sprintf("%#v", hook), log.String()} {
		if strings.Contains(said, "s3cret") || !strings.Contains(said, "message.created") {
			t.Errorf("a webhook says %q", said)
		}
	}
}
