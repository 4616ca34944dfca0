package sandbox

import (
	"net/http"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
)

// TestControlPeople drives everything that stands for people over HTTP.
func TestControlPeople(t *testing.T) {
	t.Parallel()
	b, r := hurried(t, Config{Instant: true}), newReceiver(t)
	b.hook(r.URL, "message.created", "message.updated", "reaction.created", "note.created", "org.phone.connected", "org.phone.disconnected")
	chat := "/_sim/phones/" + phoneA + "/chats/" + fictional(1)
	group := "/_sim/phones/" + phoneA + "/chats/120363000000000001@g.us"
	s := b.poll(fictional(1), true)
	b.poll("120363000000000001@g.us", false)
	post := func(want int, path, body string) {
		t.Helper()
		b.call(want, "", http.MethodPost, path, body)
	}
	post(http.StatusOK, chat+"/reply", `{"text":"hello","quote":"full","message":"`+s.QueueID+`"}`)
	post(http.StatusOK, chat+"/reply", `{"type":"image"}`)
	post(http.StatusOK, chat+"/reply", `{"text":"call them","note":true}`)
	post(http.StatusOK, chat+"/reply", `{"text":"not for you","org_phone":"919999990009"}`)
	post(http.StatusOK, group+"/reply", `{"text":"all of you","author":"`+fictional(2)+`"}`)
	post(http.StatusNoContent, chat+"/vote", `{"options":["Yes","No"]}`)
	post(http.StatusNoContent, chat+"/vote", `{"options":[]}`)
	post(http.StatusNoContent, group+"/vote", `{"options":["Yes"],"voter":"`+fictional(2)+`"}`)
	post(http.StatusNoContent, chat+"/react", `{"reaction":"👍"}`)
	post(http.StatusNoContent, "/_sim/phones/"+phoneA+"/disconnect", "")
	post(http.StatusNoContent, "/_sim/phones/"+phoneA+"/restart", "")

	for path, bodies := range map[string][]string{
		chat + "/reply": {
			`{}`, `{"txt":"x"}`, `{`, `{"text":"x","quote":"loud"}`, `{"text":"x","type":"dream"}`, `{"text":"x","author":"` + fictional(2) + `"}`,
			`{"text":"x","quote":"bare","message":"nothing"}`, `{"text":"x","org_phone":"me"}`,
		},
		chat + "/vote":  {`{}`, `{"option":["Yes"]}`, `{"options":["Perhaps"]}`, `{"options":["Yes"],"message":"nothing"}`, `{"options":["Yes"],"voter":"me"}`},
		group + "/vote": {`{"options":["Yes"]}`, `{"options":["Yes","No"],"voter":"` + fictional(2) + `"}`},
		chat + "/react": {`{}`, `{"reaction":"👍","message":"nothing"}`},
		"/_sim/phones/" + phoneA + "/chats/" + fictional(3) + "/vote": {`{"options":["Yes"]}`},
		"/_sim/phones/" + phoneA + "/chats/nobody/reply":              {`{"text":"x"}`},
		"/_sim/phones/1/chats/" + fictional(1) + "/reply":             {`{"text":"x"}`},
		"/_sim/phones/1/restart":                                      {``},
		"/_sim/webhooks/deliveries/nothing/redeliver":                 {``},
	} {
		for _, body := range bodies {
			resp, err := b.try("", http.MethodPost, path, body)
			if err != nil || resp.status < 400 || resp.status > 499 || !strings.Contains(resp.body, `"error":"`) {
				t.Errorf("%s %s: %d %s %v", path, body, resp.status, resp.body, err)
			}
		}
	}
	b.quiet()

	var got []string
	for _, e := range r.all() {
		line := e.Name
		if m := e.Message; m != nil && !m.FromMe {
			line += " " + m.Type + " " + m.Body
			if m.PrivateNote {
				line += " (note)"
			}
			if m.OrgPhone != phoneA+"@c.us" {
				line += " (foreign)"
			}
			if m.Author != "" {
				line += " (group)"
			}
			if m.QuotedID == "true_"+fictional(1)+"@c.us_"+s.UniqueID {
				line += " (quoting)"
			}
		}
		if e.Kind == "message.updated" {
			line += " " + strings.Join(options(t, *e.Message), "+")
		}
		if !strings.HasSuffix(line, "message.created") { // the echoes
			got = append(got, line)
		}
	}
	want := map[string]int{
		"message.created chat hello (quoting)": 1, "message.created image ": 1, "message.created chat call them (note)": 1, "note.created": 1,
		"message.created chat not for you (foreign)": 1, "message.created chat all of you (group)": 1,
		"message.updated No+Yes": 1, "message.updated ": 1, "message.updated Yes": 1, "reaction.created": 1,
		"org.phone.disconnected": 1, "org.phone.connected": 1,
	}
	count := map[string]int{}
	for _, line := range got {
		count[line]++
	}
	if diff := gocmp.Diff(want, count); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
	for _, m := range b.page("/v1/chats/messages").Messages {
		if m.Body == "not for you" {
			t.Error("a message of a foreign phone is in our lists")
		}
	}
}

func TestControlWebhooks(t *testing.T) {
	t.Parallel()
	b, r := hurried(t, Config{Instant: true}), newReceiver(t)
	b.hook(r.URL, "message.ack.updated")
	var f WebhookFaults
	b.call(http.StatusOK, "", http.MethodPut, "/_sim/webhooks/faults", `{"loss":1,"delay":"10ms"}`).into(t, &f)
	if f != (WebhookFaults{Loss: 1, Delay: 10 * time.Millisecond}) || b.WebhookFaults() != f {
		t.Errorf("faults %+v", f)
	}
	for _, bad := range []string{`{"loss":2}`, `{"lost":1}`, `{`} {
		b.call(http.StatusUnprocessableEntity, "", http.MethodPut, "/_sim/webhooks/faults", bad)
	}
	b.send("12015550003", "lost")
	b.quiet()
	b.call(http.StatusNoContent, "", http.MethodDelete, "/_sim/webhooks/faults", "")
	b.call(http.StatusOK, "", http.MethodGet, "/_sim/webhooks/faults", "").into(t, &f)
	if f != (WebhookFaults{}) {
		t.Errorf("after DELETE: %+v", f)
	}
	b.send("12015550003", "found")
	b.quiet()

	var counts WebhookCounts
	b.call(http.StatusOK, "", http.MethodGet, "/_sim/webhooks", "").into(t, &counts)
	if counts.Events != 2 || counts.Lost != 1 || counts.Delivered != 1 {
		t.Errorf("counts %+v", counts)
	}
	var log []Delivery
	b.call(http.StatusOK, "", http.MethodGet, "/_sim/webhooks/deliveries", "").into(t, &log)
	if len(log) != 2 || log[0].Result != "delivered" || log[0].Status != http.StatusOK || log[1].Result != "lost" {
		t.Fatalf("log %+v", log)
	}
	b.call(http.StatusOK, "", http.MethodGet, "/_sim/webhooks/deliveries?limit=1", "").into(t, &log)
	if len(log) != 1 {
		t.Errorf("%d entries with limit 1", len(log))
	}
	b.call(http.StatusUnprocessableEntity, "", http.MethodGet, "/_sim/webhooks/deliveries?limit=0", "")
	b.call(http.StatusNoContent, "", http.MethodPost, "/_sim/webhooks/deliveries/"+log[0].ID+"/redeliver", "")
	b.quiet()
	if all := r.all(); len(all) != 2 || all[0].Key != all[1].Key {
		t.Errorf("%d events after redelivery, want the same twice", len(all))
	}
}
