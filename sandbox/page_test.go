package sandbox

import (
	"fmt"
	"html"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// open reads a page, which must be safe and whole.
func (b *bundle) open(path string) string {
	b.t.Helper()
	r := b.call(http.StatusOK, "", http.MethodGet, path, "")
	policy := r.header.Get("Content-Security-Policy")
	for _, want := range []string{"default-src 'none'", "style-src 'self'", "form-action 'self'", "frame-ancestors 'none'"} {
		if !strings.Contains(policy, want) {
			b.t.Errorf("%s: the policy %q lacks %q", path, policy, want)
		}
	}
	if strings.Contains(policy, "unsafe") {
		b.t.Errorf("%s: policy %q", path, policy)
	}
	for _, bad := range []string{"<script", "<style", `src="http`, `href="http`} {
		if strings.Contains(r.body, bad) {
			b.t.Errorf("%s holds %s", path, bad)
		}
	}
	if !strings.Contains(r.body, `content="width=device-width`) || !strings.HasSuffix(strings.TrimSpace(r.body), "</html>") {
		b.t.Errorf("%s is not a whole page: %s", path, r.body)
	}
	return r.body
}

// read is what a page says to a person.
func (b *bundle) read(path string) string { return html.UnescapeString(b.open(path)) }

// submit sends a form and follows where it leads.
func (b *bundle) submit(path string, form url.Values, header ...string) (status int, page string) {
	b.t.Helper()
	req, err := http.NewRequestWithContext(b.t.Context(), http.MethodPost, "http://"+b.Addr()+path, strings.NewReader(form.Encode()))
	if err != nil {
		b.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := b.http.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func TestPageShowsAChat(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{Instant: true, Outcomes: &Outcomes{Read: 1}})
	chat := fictional(1)
	b.send(chat, "Hi *Asha*")
	b.call(http.StatusOK, phoneA, http.MethodPost, "/v1/message/send", `{"chat_id":"`+chat+`","message":"the menu",`+
		`"media":{"type":"image","url":"https://cdn.example/a.png","filename":"menu.png","mimetype":"image/png"}}`)
	b.poll(chat, false)
	b.send("12015550404", "nobody there")

	home := b.read("/_sim/")
	for _, want := range []string{"+" + chat, "+12015550404", "Sandbox one", "+" + phoneA, "Chats of +" + phoneA + " (2)", "Disconnect"} {
		if !strings.Contains(home, want) {
			t.Errorf("the first page lacks %q", want)
		}
	}
	path := chatURL(phoneA, chat+"@c.us")
	if !strings.Contains(home, path) {
		t.Errorf("the first page does not lead to %s", path)
	}
	for _, want := range []string{"Hi *Asha*", "✓✓", "read", "menu.png", "Coming?", "Maybe", `type="radio"`} {
		if page := b.open(path); !strings.Contains(page, want) {
			t.Errorf("the chat lacks %q", want)
		}
	}
	if page := b.open(chatURL(phoneA, "12015550404@c.us")); !strings.Contains(page, "failed: The phone number is not registered") {
		t.Error("the chat does not tell of the failure")
	}
	// A number as people write it leads to the chat, too.
	if page := b.open("/_sim/chat?chat=" + url.QueryEscape("+1 (201) 555-0101")); !strings.Contains(page, "Hi *Asha*") {
		t.Error("+1 (201) 555-0101 leads to another chat")
	}
	b.call(http.StatusNotFound, "", http.MethodGet, "/_sim/chat?chat=nobody", "")
	b.call(http.StatusOK, "", http.MethodGet, "/_sim/page.css", "")
}

func TestPageActsForPeople(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{Instant: true})
	chat := fictional(1)
	s := b.poll(chat, false)
	at := url.Values{"phone": {phoneA}, "chat": {chat + "@c.us"}}
	with := func(pairs ...string) url.Values {
		form := url.Values{"phone": at["phone"], "chat": at["chat"]}
		for i := 0; i+1 < len(pairs); i += 2 {
			form.Add(pairs[i], pairs[i+1])
		}
		return form
	}
	if _, page := b.submit("/_sim/page/reply", with("text", "I am coming", "quote", "bare")); !strings.Contains(page, "I am coming") {
		t.Errorf("the reply is not shown: %s", page)
	}
	m := b.page("/v1/chats/messages").Messages[0]
	if m.Body != "I am coming" || m.FromMe || m.QuotedMessageID == nil || *m.QuotedMessageID != s.UniqueID {
		t.Errorf("the reply came as %+v", m)
	}
	if _, page := b.submit("/_sim/page/vote", with("message", s.UniqueID, "option", "No", "do", "vote")); !strings.Contains(page, `value="No" id="`+s.UniqueID+`-1" checked`) {
		t.Errorf("the vote is not shown: %s", page)
	}
	if got := b.chosen(s.UniqueID); len(got) != 1 || got[0] != "No" {
		t.Errorf("the vote is %v", got)
	}
	b.submit("/_sim/page/vote", with("message", s.UniqueID, "option", "No", "do", "withdraw"))
	if got := b.chosen(s.UniqueID); len(got) != 0 {
		t.Errorf("after withdrawing the vote is %v", got)
	}
	if _, page := b.submit("/_sim/page/vote", with("message", s.UniqueID, "option", "Perhaps")); !strings.Contains(page, "no option") {
		t.Errorf("a vote for nothing is not explained: %s", page)
	}
	if _, page := b.submit("/_sim/page/phone", url.Values{"phone": {phoneA}, "state": {PhoneDisconnected}}); !strings.Contains(page, "disconnected:") {
		t.Errorf("the phone is not shown as disconnected: %s", page)
	}
	if b.State().Phones[0].State != PhoneDisconnected {
		t.Error("the phone is still connected")
	}
}

// TestPageEscapesEverything writes markup wherever somebody else decides what
// is written.
func TestPageEscapesEverything(t *testing.T) {
	t.Parallel()
	const evil = `"><script>alert(1)</script><img src=x onerror=alert(2)>`
	quoted := strings.ReplaceAll(evil, `"`, `\"`)
	b := setup(t, Config{Instant: true, Phones: []Phone{{Number: phoneA, Name: evil}}})
	chat := fictional(1)
	b.send(chat, quotedBack(quoted))
	b.call(http.StatusOK, phoneA, http.MethodPost, "/v1/message/send", `{"chat_id":"`+chat+`","message":"`+quoted+`",`+
		`"media":{"type":"image","url":"https://cdn.example/a.png","filename":"`+quoted+`","mimetype":"image/png"}}`)
	b.call(http.StatusOK, phoneA, http.MethodPost, "/v1/message/send", `{"chat_id":"`+chat+`",`+
		`"poll":{"pollName":"`+quoted+`","pollOptions":["`+quoted+`","No"]}}`)
	if _, err := b.Reply(phoneA, chat, evil, ReplyOptions{Quote: QuoteFull}); err != nil {
		t.Fatal(err)
	}
	if err := b.Vote(phoneA, chat, []string{evil}, VoteOptions{}); err != nil {
		t.Fatal(err)
	}
	path := chatURL(phoneA, chat+"@c.us")
	for _, path := range []string{
		"/_sim/", path, path + "&problem=" + url.QueryEscape(evil), "/_sim/?live=" + url.QueryEscape(evil),
		"/_sim/?phone=" + url.QueryEscape(evil), path + "&page=" + url.QueryEscape(evil) + "&x=" + url.QueryEscape(evil),
	} {
		page := b.open(path)
		if strings.Contains(page, "<script") || strings.Contains(page, "<img") || strings.Contains(page, `">alert`) {
			t.Errorf("%s: markup of others is on the page: %s", path, page)
		}
	}
	if page := b.open(path); strings.Count(page, "&lt;script&gt;") < 6 {
		t.Errorf("the texts are not shown as they are: %s", page)
	}
}

func quotedBack(s string) string { return strings.ReplaceAll(s, `\"`, `"`) }

func TestPageIsPaged(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{Instant: true})
	for i := range 120 {
		b.send(many(i), "Hi")
		b.clock.add(time.Second)
	}
	for i := range 70 {
		b.send(many(7), fmt.Sprintf("number %d.", i))
		b.clock.add(time.Second)
	}
	if _, err := b.Reply(phoneA, many(0), "liveliest", ReplyOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Reply(phoneA, fictional(9), "out of the blue", ReplyOptions{}); err != nil {
		t.Fatal(err)
	}
	link := regexp.MustCompile(`<li class="row"><a href="[^"]*">(\+\d+)</a>`)
	var order []string
	seen := map[string]bool{}
	for n := range 3 {
		page := b.read(fmt.Sprintf("/_sim/?page=%d", n))
		for _, found := range link.FindAllStringSubmatch(page, -1) {
			order = append(order, found[1])
			seen[found[1]] = true
		}
		if strings.Contains(page, "Older chats") != (n < 2) || strings.Contains(page, "Newer chats") != (n > 0) {
			t.Errorf("page %d leads to the wrong pages", n)
		}
	}
	if len(order) != 121 || len(seen) != 121 {
		t.Fatalf("%d chats, %d of them different, want 121", len(order), len(seen))
	}
	if order[0] != "+"+fictional(9) && order[1] != "+"+fictional(9) || order[2] != "+"+many(7) || order[3] != "+"+many(119) || order[120] != "+"+many(1) {
		t.Errorf("order %v … %v", order[:4], order[120])
	}
	if b.open("/_sim/?page=99999999") == "" {
		t.Error("no page beyond the last")
	}

	path, texts := chatURL(phoneA, many(7)+"@c.us"), regexp.MustCompile(`number \d+\.`)
	found := map[string]bool{}
	for n := range 3 {
		page := texts.FindAllString(b.open(fmt.Sprintf("%s&page=%d", path, n)), -1)
		for _, text := range page {
			found[text] = true
		}
		if want := fmt.Sprintf("number %d.", 69-30*n); len(page) == 0 || page[len(page)-1] != want {
			t.Errorf("page %d ends with %v, want %s", n, page, want)
		}
	}
	if len(found) != 70 {
		t.Errorf("%d messages on three pages, want 70", len(found))
	}
}

func TestPageShowsDeliveries(t *testing.T) {
	t.Parallel()
	b, r := hurried(t, Config{Instant: true}), newReceiver(t)
	if page := b.read("/_sim/webhooks/log"); !strings.Contains(page, "Nothing was delivered yet") {
		t.Errorf("an empty log is shown as %s", page)
	}
	b.hook(r.URL, "message.ack.updated")
	b.hook(`http://example.com/?"><script>alert(1)</script>`, "message.ack.updated")
	b.crowd(20)
	b.quiet()
	first, second := b.open("/_sim/webhooks/log"), b.open("/_sim/webhooks/log?page=1")
	if n := strings.Count(first, "<li "); n != 50 || !strings.Contains(first, "Older") || !strings.Contains(second, "Newer") {
		t.Errorf("%d entries on the first page, want 50", n)
	}
	if !strings.Contains(first, "delivered, answered 200, attempt 1") || !strings.Contains(first+second, "refused") {
		t.Errorf("the log is shown as %s", first)
	}
	b.open("/_sim/webhooks/log?page=9")
	delivered := b.Deliveries()
	at := slices.IndexFunc(delivered, func(d Delivery) bool { return d.Result == "delivered" })
	if _, page := b.submit("/_sim/page/redeliver", url.Values{"id": {delivered[at].ID}}); strings.Contains(page, "<script") || strings.Contains(page, "role=\"alert\"") {
		t.Errorf("delivering again led to %s", page)
	}
	b.quiet()
	if n := len(r.all()); n != 61 {
		t.Errorf("%d deliveries after one was repeated, want 61", n)
	}
	if _, page := b.submit("/_sim/page/redeliver", url.Values{"id": {"nothing"}}); !strings.Contains(page, "no body of event nothing") {
		t.Errorf("it is not said why nothing is delivered again: %s", page)
	}
}

// TestPagesElsewhereCannotAct sends what a browser says when a page of another
// origin submits a form to us.
func TestPagesElsewhereCannotAct(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{Instant: true})
	b.send(fictional(1), "Hi")
	form := url.Values{"phone": {phoneA}, "chat": {fictional(1)}, "text": {"STOP"}, "state": {PhoneDisconnected}}
	for _, path := range []string{"/_sim/page/reply", "/_sim/page/phone", "/_sim/page/vote", "/_sim/page/redeliver", "/_sim/reset", "/_sim/phones/" + phoneA + "/disconnect"} {
		for _, header := range [][]string{{"Sec-Fetch-Site", "cross-site"}, {"Origin", "https://evil.example"}} {
			if status, _ := b.submit(path, form, header...); status != http.StatusForbidden {
				t.Errorf("%s with %v: %d", path, header, status)
			}
		}
	}
	if st := b.State(); st.Inbound != 0 || st.Accepted != 1 || st.Phones[0].State != PhoneConnected {
		t.Errorf("something changed: %+v", st)
	}
	if status, _ := b.submit("/_sim/page/reply", form, "Sec-Fetch-Site", "same-origin"); status != http.StatusOK || b.State().Inbound != 1 {
		t.Errorf("our own page may not act: %d", status)
	}
}
