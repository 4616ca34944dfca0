package sandbox

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// magicNumber is a number of a country with the given code.
func magicNumber(country, code string) string { return country + "555" + code }

func TestMagicNumbers(t *testing.T) {
	t.Parallel()
	for _, country := range []string{"1201", "91999", "44770", "5521"} {
		for code, want := range map[string]struct{ soon, later string }{
			"0001": {"delivered", "read"},
			"0002": {"delivered", "delivered"},
			"0003": {"sent", "sent"},
			"0004": {"sent", "read"},
			"0403": {"failed", "failed"},
			"0404": {"failed", "failed"},
			"0555": {"queued", "delivered"},
			"0556": {"queued", "failed"},
		} {
			t.Run(country+code, func(t *testing.T) {
				t.Parallel()
				// Sent within 0.8 and 1.4 s, delivered 2 s and read 3 s later.
				b := setup(t, Config{Service: time.Second, RetryWait: time.Minute, Outcomes: &Outcomes{}})
				s := b.send(magicNumber(country, code), "x")
				b.clock.add(3500 * time.Millisecond)
				if v := b.status(s); v.Status != want.soon {
					t.Errorf("soon %s, want %s", v.Status, want.soon)
				}
				b.clock.add(2 * time.Hour)
				if v := b.status(s); v.Status != want.later {
					t.Errorf("later %s, want %s", v.Status, want.later)
				}
			})
		}
	}
}

func TestMagicAnswers(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]struct {
		statuses []int
		accepted int
	}{
		"0422": {[]int{422, 422}, 0},
		"0429": {[]int{429, 200, 429, 200}, 2},
		"0500": {[]int{500, 500, 200, 500}, 1},
		"0502": {[]int{502, 502}, 2},
		"0504": {[]int{504}, 1},
	} {
		t.Run(code, func(t *testing.T) {
			t.Parallel()
			b := setup(t, Config{Instant: true, Hang: 10 * time.Millisecond})
			for i, status := range want.statuses {
				r := b.call(status, phoneA, http.MethodPost, "/v1/message/send", sendBody(magicNumber("1201", code), "x"))
				if status == 429 && r.header.Get("Retry-After") != "1" {
					t.Errorf("answer %d: headers %v, want Retry-After", i, r.header)
				}
			}
			got := b.Acceptances()
			if len(got) != want.accepted {
				t.Fatalf("%d accepted, want %d", len(got), want.accepted)
			}
			for _, a := range got {
				trace := b.Trace(a.QueueID)
				if last := trace[len(trace)-1].Status; last != "delivered" && last != "read" {
					t.Errorf("accepted message is %s, want delivered", last)
				}
			}
		})
	}
}

func TestMagicDisconnect(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{})
	s := b.send(magicNumber("1201", "0999"), "x")
	if st := b.State().Phones; st[0].State != "disconnected" || st[1].State != "connected" {
		t.Errorf("phones %+v, want the sending one disconnected", st)
	}
	b.clock.add(time.Hour)
	if v := b.status(s); v.Status != "queued" {
		t.Errorf("status %s, want it held", v.Status)
	}
	b.call(http.StatusNoContent, phoneA, http.MethodPost, "/v1/phones/restart", "")
	b.clock.add(time.Hour)
	if v := b.status(s); v.Timeline["sent_at"] == "" {
		t.Errorf("status %s after a restart, want it sent", v.Status)
	}
}

func TestMagicOtherID(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{Instant: true})
	given, known := "5521"+"5550521", "5521"+"5559521@c.us"
	r := b.call(http.StatusOK, phoneA, http.MethodPost, "/v1/contacts/check", `{"contact_ids":["`+given+`"]}`)
	if !strings.Contains(r.body, known) {
		t.Errorf("contacts/check: %s, want %s", r.body, known)
	}
	s := b.send(given, "x")
	if v := b.status(s); v.ChatID != known || !strings.Contains(v.MessageID, known) {
		t.Errorf("status %+v, want chat %s", v, known)
	}
	for _, id := range []string{given, known} {
		var page messagePage
		b.call(http.StatusOK, phoneA, http.MethodGet, "/v1/chats/"+id+"/messages", "").into(t, &page)
		if page.Count != 1 {
			t.Errorf("%d messages in chat %s", page.Count, id)
		}
	}
	if got := b.Acceptances()[0].ChatID; got != given+"@c.us" {
		t.Errorf("the log has chat %s, want what was asked", got)
	}
}

func TestMagicTable(t *testing.T) {
	t.Parallel()
	table := MagicNumbers()
	if !slices.IsSortedFunc(table, func(a, b MagicNumber) int { return strings.Compare(a.Suffix, b.Suffix) }) {
		t.Error("the table is not sorted, which the search relies on")
	}
	for _, m := range table {
		if len(m.Suffix) != 7 || m.Name == "" || m.Behavior == "" || strings.HasPrefix(m.Suffix, "55501") {
			t.Errorf("row %+v", m)
		}
	}
	// The ranges reserved for fiction and examples hold ordinary people.
	for i := range 10_000 {
		for _, prefix := range []string{"91999999", "44770090"} {
			chat := prefix + leading(i, 4) + "@c.us"
			if m, ok := magicFor(chat); ok {
				t.Fatalf("%s is magic (%s)", chat, m.Name)
			}
		}
		if chat := "120155501" + leading(i%100, 2) + "@c.us"; i < 100 {
			if m, ok := magicFor(chat); ok {
				t.Fatalf("%s is magic (%s)", chat, m.Name)
			}
		}
	}
	for _, chat := range []string{"5550404@c.us", "12015550404@g.us", "12015550404", "@c.us", ""} {
		if _, ok := magicFor(chat); ok {
			t.Errorf("%q is magic", chat)
		}
	}
}

func leading(n, width int) string {
	s := itoa(n)
	return strings.Repeat("0", width-len(s)) + s
}

func TestHelpFitsTheTerminal(t *testing.T) {
	t.Parallel()
	text := Help()
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if len(lines) > 60 {
		t.Errorf("%d lines, want at most 60", len(lines))
	}
	for i, line := range lines {
		if len(line) > 80 {
			t.Errorf("line %d has %d columns", i+1, len(line))
		}
	}
	for _, kind := range faultKinds {
		if !strings.Contains(text, string(kind)) && !strings.Contains(text, "*_late") {
			t.Errorf("fault %s is not explained", kind)
		}
	}
	for _, m := range MagicNumbers() {
		if !strings.Contains(text, m.Behavior) {
			t.Errorf("number %s is not explained", m.Suffix)
		}
	}
}
