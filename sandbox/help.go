package sandbox

import (
	"fmt"
	"strings"
)

// Help is the text of `herald help sandbox`: at most 60 lines of 80 columns.
func Help() string {
	var b strings.Builder
	b.WriteString(`The sandbox simulates the Periskope send API. Nothing is sent to anybody.
herald uses it by itself until you configure a key and ask for live mode.
herald sandbox runs it alone, for other programs and for the official SDK
(env: "local" expects it on localhost:8080).

Settings
  seed         repeats a run: same requests, same outcomes, delays and ids
  speed        1 = the real pace, about 3 s per text and phone; 60 = a minute
               per second; instant = everything at once
  rate limit   requests per window, above it 429; latency delays each answer
  journal      a file that keeps messages across restarts

Magic numbers: any country, by their last seven digits (+1 201 555 0404)
`)
	var people []MagicNumber
	for _, m := range MagicNumbers() {
		if m.Suffix[3] == '1' {
			people = append(people, m)
			continue
		}
		fmt.Fprintf(&b, "  ...%s %s  %s\n", m.Suffix[:3], m.Suffix[3:], m.Behavior)
	}
	half := (len(people) + 1) / 2
	for i, m := range people[:half] {
		fmt.Fprintf(&b, "  ...%s %s %-24s", m.Suffix[:3], m.Suffix[3:], m.Behavior)
		if i+half < len(people) {
			m = people[i+half]
			fmt.Fprintf(&b, " ...%s %s %s", m.Suffix[:3], m.Suffix[3:], m.Behavior)
		}
		b.WriteString("\n")
	}
	b.WriteString(`Other numbers are delivered; 60 % read, 2 % are offline for long or for good.

Control API (loopback only, no token); in a browser /_sim/ shows the chats
  GET   /_sim/state, /_sim/acceptances       in numbers; each message, NDJSON
  POST  /_sim/faults                         arm (below); GET, DELETE
  POST  /_sim/phones/PHONE/connect, disconnect, restart
  POST  /_sim/phones/PHONE/chats/CHAT/reply  {"text":"Hi","quote":"bare"}
  POST  /_sim/phones/PHONE/chats/CHAT/vote   {"options":["Yes"]}; [] withdraws
  PUT   /_sim/webhooks/faults                {"loss":0.5,"duplicate":0.1}
  GET   /_sim/webhooks/deliveries            log; POST .../ID/redeliver
  POST  /_sim/clock/advance                  {"by":"2h"}; /_sim/reset forgets

Faults: {"kind":"status","status":503,"rate":0.05}
  kind     status reset hang latency malformed empty no_queue_id wrong_body
           repeat_queue_id slow_body huge_body cut_body status_late list_late
           commit_late list_gone list_short rewrite
  when     before | after the message is accepted
  route    send (default) status queues messages phones contacts webhooks any
  rate     probability; next: only the next n; numbers: only to these
  status   400-599; html, retry_after, rate_limit_reset shape the answer
  delay    e.g. "1500ms", for latency, hang, slow_body, *_late, list_gone
  size     bytes, for huge_body and cut_body; entries, for list_short
`)
	return b.String()
}
