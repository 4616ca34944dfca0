package periskope

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
)

// deliveries are bodies a webhook receiver may get.
var deliveries = []string{
	`{"event":"message.created","data":{"message_id":"false_447700900123@c.us_3A1F","body":"STOP","from_me":false,"ack":"1"},"org_id":"o","timestamp":"2026-01-15T09:41:00.000Z"}`,
	`{"id":"e1","event_type":"message.ack.updated","data":{"message_id":"true_447700900123@c.us_3EB0","ack":"3","from_me":true},"org_id":"o","previous_attributes":{"ack":"1"}}`,
	`{"event":"message.failed","queue_id":"q1","data":{"unique_id":"3EB0","status":"failed","status_description":"x","ack":-1,"attempts":4,"timeline":{"failed_at":"2026-01-15T09:41:00Z"}}}`,
	`{"event_type":"message.updated","data":{"poll_info":{"pollName":"q","pollOptions":["Yes"]},"poll_results":{"Yes":{"447700900123@c.us":"2026-01-15T09:41:07.000Z"}}}}`,
	`{"event_type":"message.updated","data":{"body":"b"},"previous_attributes":{"body":"a"}}`,
	`{"event_type":"org.phone.disconnected","data":{"org_phone":"12015550100@c.us","phone_id":"phone-a","wa_state":"DISCONNECTED","is_ready":false}}`,
	`{"event_type":"message.sent","id":{"id":"3EB0","fromMe":true},"message_id":"true_447700900123@c.us_3EB0","timestamp":1768469400}`,
	`{"type":"message.read","data":null,"unique_id":"3EB0"}`,
	`{"event":"message.created","event_type":"message.sent","data":{}}`,
	`{"event":"message.created","data":[]}`, `{"event":"note.created","data":"x"}`, `{"event":"a\nb"}`, `{"event_type":"447700900123","data":{}}`,
	`{"event":"org.phone.qr","data":{"qr_code":"` + strings.Repeat("x", 4000) + `"}}`,
	`{ "event" : "message.delivered" , "data" : { "queue_id" : "q\u0031" } }`, `{"event":"message.created","data":{"from_me":"1","message_id":3,"id":"true_a_b_c","poll_info":{"pollOptions":[{"name":"x"},1]}}}`,
}

// FuzzEvent: whatever is delivered is either refused and leaves nothing, or an
// event whose parts are those of its kind, which has a stable key, proves
// nothing about messages that are not ours, and prints no number and no text.
func FuzzEvent(f *testing.F) {
	for _, seed := range deliveries {
		f.Add([]byte(seed))
	}
	for _, seed := range smallAnswers() {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		e, err := ParseEvent(raw)
		if err != nil {
			var refusal *WebhookError
			if !errors.As(err, &refusal) || e.Name != "" || e.Message != nil || e.Job != nil || e.Phone != nil {
				t.Fatalf("%v, %v", e, err)
			}
			return
		}
		if len(raw) > MaxWebhook || !json.Valid(raw) || !isCode(e.Name) || len(e.Key) != 64 || e.Kind != EventOther && string(e.Kind) != e.Name {
			t.Fatalf("%.200q became %v", raw, e)
		}
		phone, message := strings.HasPrefix(string(e.Kind), "org.phone."), strings.HasPrefix(string(e.Kind), "message.")
		progress := e.Kind == EventSent || e.Kind == EventDelivered || e.Kind == EventRead || e.Kind == EventFailed
		if (e.Phone != nil) != phone || (e.Message != nil) != message || (e.Job != nil) != progress {
			t.Fatalf("%v has phone %t, message %t, job %t", e, e.Phone != nil, e.Message != nil, e.Job != nil)
		}
		if !progress && e.Status() != StatusUnknown && !e.Message.FromMe {
			t.Fatalf("%v says %q of a message that is not ours", e, e.Status())
		}
		if shown := e.String(); longDigits(shown) || len(shown) > 1000 {
			t.Fatalf("%.2000s", shown)
		}
		if again, err := ParseEvent(append([]byte(" \n"), raw...)); len(raw)+2 <= MaxWebhook && (err != nil || again.Key != e.Key) {
			t.Fatalf("the same event has another key: %v", err)
		}
	})
}

// FuzzSignature: exactly what was signed, and the same JSON with other blanks
// between its tokens, passes, with any of the live keys; nothing else does.
func FuzzSignature(f *testing.F) {
	for i, seed := range deliveries {
		f.Add([]byte(seed), "key", i, byte(1))
	}
	f.Add([]byte("no JSON"), "", 0, byte(0))
	f.Add([]byte{}, "k", 0, byte(0x80))
	f.Fuzz(func(t *testing.T, raw []byte, key string, at int, flip byte) {
		const other = Token("another key")
		mac := hmac.New(sha256.New, []byte(key))
		_, _ = mac.Write(raw)
		header := hex.EncodeToString(mac.Sum(nil))
		fault := func(err error) Fault {
			var refusal *WebhookError
			if err != nil && !errors.As(err, &refusal) {
				t.Fatalf("%v", err)
			}
			if err == nil {
				return ""
			}
			return refusal.Fault
		}
		if key == "" || strings.TrimRight(key, "\x00") == string(other) { // HMAC pads keys with zeroes
			if got := fault(VerifySignature(raw, header, "", Token(key))); key == "" && got != FaultNoKey {
				t.Fatalf("without a key: %q", got)
			}
			return
		}
		want := Fault("")
		if len(raw) > MaxWebhook {
			want = FaultOversize
		}
		for _, keys := range [][]Token{{Token(key)}, {other, Token(key)}, {Token(key), "", other}} {
			if got := fault(VerifySignature(raw, "sha256="+strings.ToUpper(header), keys...)); got != want {
				t.Fatalf("signed, yet %q", got)
			}
		}
		if want != "" {
			return
		}
		if fault(VerifySignature(raw, header, other)) != FaultForged {
			t.Fatal("another key's signature passed")
		}
		at = int(uint(at) % uint(len(raw)+1))
		if flip != 0 && at < len(raw) {
			changed := bytes.Clone(raw)
			changed[at] ^= flip
			// Compacting may undo a change of blanks: then the JSON is the same.
			var compact bytes.Buffer
			if got := fault(VerifySignature(changed, header, Token(key))); got != FaultForged &&
				(json.Compact(&compact, changed) != nil || !bytes.Equal(compact.Bytes(), raw)) {
				t.Fatalf("a changed body passed: %q", changed)
			}
		}
		broken := []byte(header)
		broken[at%len(broken)] ^= 1 // stays hex, or becomes none
		if got := fault(VerifySignature(raw, string(broken), Token(key))); got != FaultForged && got != FaultUnsigned {
			t.Fatalf("signature %q passed", broken)
		}
		var object any
		if json.Unmarshal(raw, &object) != nil {
			return
		}
		var compact, pretty bytes.Buffer
		if json.Compact(&compact, raw) != nil || json.Indent(&pretty, raw, "", "\t") != nil || pretty.Len() > MaxWebhook {
			return
		}
		mac.Reset()
		_, _ = mac.Write(compact.Bytes())
		if got := fault(VerifySignature(pretty.Bytes(), fmt.Sprintf("%x", mac.Sum(nil)), Token(key))); got != "" {
			t.Fatalf("signed compact, sent pretty: %q", got)
		}
	})
}
