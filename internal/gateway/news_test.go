package gateway

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/herald-campaigns/herald/campaign"
)

const (
	ourPhone = "12015550100"
	uniqueID = "3EB0A0A8F90A01259C81A3"
	fullID   = "true_" + testNumber + "@c.us_" + uniqueID
)

// object is a message object with some fields of its own.
func object(own string) string {
	return `{"unique_id":"` + uniqueID + `","org_phone":"` + ourPhone + `@c.us","chat_id":"` + testNumber + `@c.us"` + own + `}`
}

// envelopes are both forms of a delivery.
func envelopes(name, data string) map[string]string {
	return map[string]string{
		"documented": fmt.Sprintf(`{"event":%q,"data":%s,"org_id":"2997dd64","timestamp":"2026-04-01T14:25:00.000Z"}`, name, data),
		"real":       fmt.Sprintf(`{"id":"evt-1","event_type":%q,"data":%s,"org_id":"2997dd64","previous_attributes":{"ack":"1"}}`, name, data),
	}
}

// telling prints all that news say, which they themselves do not.
func telling(n campaign.News) string {
	var b strings.Builder
	stamp := func(t time.Time) string {
		if t.IsZero() {
			return "-"
		}
		return t.UTC().Format("15:04:05")
	}
	fmt.Fprintf(&b, "%s by %s", n.Name, string(n.Sender))
	if m := n.Message; m != nil {
		e := m.Evidence
		fmt.Fprintf(&b, "; message %s/%s/%s in %s: %s %q sent %s delivered %s read %s failed %s (%s)", m.Ref.QueueID, m.Ref.UniqueID, m.Ref.MessageID,
			string(m.Ref.Chat), e.Status, e.Detail, stamp(e.SentAt), stamp(e.DeliveredAt), stamp(e.ReadAt), stamp(e.FailedAt), e.Source)
		if m.Echo != nil {
			fmt.Fprintf(&b, " shows %q", m.Echo.Text)
		}
	}
	if m := n.Inbound; m != nil {
		fmt.Fprintf(&b, "; inbound %s from %s in %s to %s quoting %q: %s %q at %s", m.ID, string(m.Author), string(m.Chat), string(m.Phone), m.Quoted, m.Kind, m.Text, stamp(m.At))
	}
	if m := n.Ballots; m != nil {
		fmt.Fprintf(&b, "; votes as of %s:", stamp(m.AsOf))
		for _, v := range m.Votes {
			fmt.Fprintf(&b, " %s %q at %s", string(v.Voter), v.Options, stamp(v.At))
		}
	}
	if p := n.Phone; p != nil {
		fmt.Fprintf(&b, "; phone %s %s is %s (%t) since %s", string(p.Phone), p.PhoneID, p.State, p.Connected, stamp(p.At))
	}
	return b.String()
}

func TestNewsSayWhatHappened(t *testing.T) {
	t.Parallel()
	const own = `,"from_me":true,"performed_by":"api","message_type":"chat","body":"Hi","message_id":"` + fullID + `","timestamp":"2026-04-01T14:23:21+00:00"`
	const poll = `,"from_me":true,"message_type":"poll_creation","poll_info":{"pollName":"Coming?","pollOptions":["Yes","No","Maybe"]}`
	for name, test := range map[string]struct {
		event, data string
		want        string // of the documented form
		real        string // of the real form, where it says less
	}{
		"echo": {
			"message.created", object(own + `,"ack":"1","sent_message_id":"q1"`),
			`message.created by 12015550100; message q1/$U/$F in $N: sent "" sent 14:23:21 delivered - read - failed - (webhook) shows "Hi"`, "",
		},
		"delivered, told when": {
			"message.ack.updated", object(own + `,"ack":"3","delivery_info":{"delivered":{"x@c.us":1775053410},"read":{}}`),
			`message.ack.updated by 12015550100; message /$U/$F in $N: delivered "" sent 14:23:21 delivered 14:23:30 read - failed - (webhook) shows "Hi"`, "",
		},
		"read, not told when": {
			"message.ack.updated", object(own + `,"ack":4`),
			`message.ack.updated by 12015550100; message /$U/$F in $N: read "" sent 14:23:21 delivered - read 14:25:00 failed - (webhook) shows "Hi"`,
			`message.ack.updated by 12015550100; message /$U/$F in $N: read "" sent 14:23:21 delivered - read - failed - (webhook) shows "Hi"`,
		},
		"delivered, in the other words": {
			"message.delivered", object(`,"queue_id":"q1","status_description":"Delivered.","timeline":{"queued_at":"2026-04-01T14:23:18Z","sent_at":"2026-04-01T14:23:21Z","delivered_at":1775053410}`),
			`message.delivered by 12015550100; message q1/$U/ in $N: delivered "" sent 14:23:21 delivered 14:23:30 read - failed - (webhook)`, "",
		},
		"failed": {
			"message.failed", object(`,"queue_id":"q1","status":"failed","status_description":"No WhatsApp on ` + testNumber + `.","timeline":{"failed_at":"2026-04-01T14:23:30Z"}`),
			`message.failed by 12015550100; message q1/$U/ in $N: failed "No WhatsApp on 44********23." sent - delivered - read - failed 14:23:30 (webhook)`, "",
		},
		"reply": {
			"message.created", `{"unique_id":"3A1F","org_phone":"` + ourPhone + `@c.us","chat_id":"` + testNumber + `@c.us","from_me":false,"ack":"1","message_type":"chat",
			 "body":"STOP","quoted_message_id":"` + fullID + `","timestamp":"2026-04-01 14:24:00+00"}`,
			`message.created by 12015550100; inbound 3A1F from $N in $N to 12015550100 quoting "$U": chat "STOP" at 14:24:00`, "",
		},
		"reply in a group": {
			"message.created", `{"unique_id":"3A1F","org_phone":"` + ourPhone + `@c.us","chat_id":"120@g.us","author":"` + testNumber + `@s.whatsapp.net","from_me":false,
			 "message_type":"image","timestamp":"2026-04-01 14:24:00+00"}`,
			`message.created by 12015550100; inbound 3A1F from $N in 120@g.us to 12015550100 quoting "": image "" at 14:24:00`, "",
		},
		"reply from an address without a number": {
			"message.created", `{"unique_id":"3A1F","to":"` + ourPhone + `@c.us","chat_id":"9@lid","sender_phone":"` + testNumber + `@c.us","from_me":false,"message_type":"chat",
			 "body":"Yes","timestamp":1775053440}`,
			`message.created by 12015550100; inbound 3A1F from $N in $N to 12015550100 quoting "": chat "Yes" at 14:24:00`, "",
		},
		"votes": {
			"message.updated", object(poll + `,"ack":"3","updated_at":"2026-04-01T14:24:30Z","poll_results":{"No":{"` + testNumber + `@c.us":"2026-04-01T14:24:10Z"},"Yes":{"` + testNumber + `@c.us":"2026-04-01T14:24:12Z"}}`),
			`message.updated by 12015550100; message /$U/ in $N: delivered "" sent - delivered 14:24:30 read - failed - (webhook) shows "Coming?"; votes as of 14:24:30: $N ["Yes" "No"] at 14:24:12`, "",
		},
		"votes, voter first, undated": {
			"message.updated", object(poll + `,"poll_results":{"` + testNumber + `@c.us":{"Maybe":"2026-04-01T14:26:10Z"}}`),
			`message.updated by 12015550100; message /$U/ in $N:  "" sent - delivered - read - failed - (webhook) shows "Coming?"; votes as of 14:26:10: $N ["Maybe"] at 14:26:10`, "",
		},
		"vote withdrawn": {
			"message.updated", object(poll + `,"poll_results":{"Yes":{},"No":{}}`),
			`message.updated by 12015550100; message /$U/ in $N:  "" sent - delivered - read - failed - (webhook) shows "Coming?"; votes as of 14:25:00:`,
			`message.updated by 12015550100; message /$U/ in $N:  "" sent - delivered - read - failed - (webhook) shows "Coming?"`, // which vote was it?
		},
		"edited by a person": {
			"message.updated", object(own + `,"ack":"2","prev_body":"Ho"`),
			`message.updated by 12015550100; message /$U/$F in $N: sent "" sent 14:23:21 delivered - read - failed - (webhook)`, "",
		},
		"phone away": {
			"org.phone.disconnected", `{"org_phone":"` + ourPhone + `@c.us","phone_id":"phone-bqzvyibhmwkaergr","wa_state":"DISCONNECTED","is_ready":false,"updated_at":"2026-04-01T14:24:00Z"}`,
			`org.phone.disconnected by 12015550100; phone 12015550100 phone-bqzvyibhmwkaergr is disconnected (false) since 14:24:00`, "",
		},
		"phone back": {
			"org.phone.connected", `{"org_phone":"` + ourPhone + `@c.us","wa_state":"CONNECTED","is_ready":true,"updated_at":"2026-04-01T14:24:00Z"}`,
			`org.phone.connected by 12015550100; phone 12015550100  is connected (true) since 14:24:00`, "",
		},
		"phone to be linked": {
			"org.phone.qr", `{"org_phone":"` + ourPhone + `@c.us"}`,
			`org.phone.qr by 12015550100; phone 12015550100  is qr (false) since 14:25:00`, `org.phone.qr by 12015550100; phone 12015550100  is qr (false) since -`,
		},
		"private note":             {"message.created", object(`,"from_me":true,"is_private_note":true,"body":"note"`), `message.created by 12015550100`, ""},
		"sent by a person":         {"message.created", object(`,"from_me":true,"performed_by":"ann@example.com","body":"Hi"`), `message.created by 12015550100`, ""},
		"sent by a broadcast":      {"message.sent", object(`,"broadcast_id":"b1"`), `message.sent by 12015550100`, ""},
		"deleted":                  {"message.updated", object(own + `,"is_deleted":true`), `message.updated by 12015550100`, ""},
		"their message was edited": {"message.updated", object(`,"from_me":false,"body":"STOP"`), `message.updated by 12015550100`, ""},
		"their message was acked":  {"message.ack.updated", object(`,"from_me":false,"body":"STOP","ack":"3"`), `message.ack.updated by 12015550100`, ""},
		"a channel":                {"message.created", `{"unique_id":"3A1F","org_phone":"` + ourPhone + `@c.us","chat_id":"9@newsletter","from_me":false,"body":"STOP"}`, `message.created by 12015550100`, ""},
		"unknown":                  {"reaction.created", `{"reaction":"x"}`, `reaction.created by `, ""},
	} {
		for form, raw := range envelopes(test.event, test.data) {
			t.Run(name+"/"+form, func(t *testing.T) {
				t.Parallel()
				news, err := News([]byte(raw))
				want := test.want
				if form == "real" && test.real != "" {
					want = test.real
				}
				want = strings.NewReplacer("$U", uniqueID, "$F", fullID, "$N", testNumber+"@c.us").Replace(want)
				if diff := cmp.Diff(want, telling(news)); err != nil || diff != "" || len(news.Key) != 64 {
					t.Errorf("%v, key %q (-want +got):\n%s", err, news.Key, diff)
				}
			})
		}
	}
}

func TestNewsThatCannotBeRead(t *testing.T) {
	t.Parallel()
	for _, raw := range []string{"", "{", `{"event":"message.created","data":7}`, `[` + testNumber + `]`} {
		_, err := News([]byte(raw))
		if campaign.CodeOf(err) != campaign.CodeInvalid || strings.Contains(fmt.Sprint(err), testNumber) {
			t.Errorf("News(%q): %v", raw, err)
		}
	}
}

// TestFailuresThatMayPass: only words that say so make one.
func TestFailuresThatMayPass(t *testing.T) {
	t.Parallel()
	for want, descriptions := range map[campaign.FailClass][]string{
		campaign.FailTransient: {"Provider temporarily unavailable. Gave up after 3 retries.", "Phone is disconnected.", "Request timed out"},
		campaign.FailPermanent: {"The recipient has blocked this number.", "Invalid chat_id.", ""},
	} {
		for _, description := range descriptions {
			raw := fmt.Sprintf(`{"event":"message.failed","data":{"queue_id":"q1","status":"failed","status_description":%q}}`, description)
			news, err := News([]byte(raw))
			if err != nil || news.Message.Evidence.FailClass != want {
				t.Errorf("%q: %v, %v", description, news.Message.Evidence.FailClass, err)
			}
		}
	}
}
