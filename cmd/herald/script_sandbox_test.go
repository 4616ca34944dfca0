package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// sandbox [FLAGS…] starts `herald sandbox` on a free port as "sandbox" and
// points the live mode of the commands that follow at it: the real path, with
// nobody at the other end.
func startSandbox(ts *testscript.TestScript, neg bool, args []string) {
	if neg {
		ts.Fatalf("sandbox cannot be negated")
	}
	p := background(ts, "sandbox", false, append([]string{"sandbox", "--listen", "127.0.0.1:0", "--speed", "1000", "--json"}, args...))
	var ready struct {
		BaseURL string `json:"base_url"`
	}
	await(func() bool { return json.Unmarshal(p.out.Bytes(), &ready) == nil }, p.exited, func() {
		ts.Fatalf("the sandbox has not started:\n%s", p.err)
	})
	ts.Setenv("SANDBOX_URL", ready.BaseURL)
	ts.Setenv("HERALD_MODE", "live")
	ts.Setenv("HERALD_PERISKOPE_BASE_URL", ready.BaseURL)
	ts.Setenv("HERALD_PERISKOPE_TOKEN", "a-test-token")
}

// call asks the simulator's control API.
func call(ts *testscript.TestScript, method, path, body string) []byte {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	url := strings.TrimSuffix(ts.Getenv("SANDBOX_URL"), "/v1") + "/_sim/" + path
	request, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	ts.Check(err)
	response, err := http.DefaultClient.Do(request)
	ts.Check(err)
	defer func() { ts.Check(response.Body.Close()) }()
	content, err := io.ReadAll(response.Body)
	ts.Check(err)
	if response.StatusCode >= http.StatusBadRequest {
		ts.Fatalf("%s %s: %s: %s", method, url, response.Status, content)
	}
	return content
}

// sim METHOD PATH [BODY] calls the control API, e.g. sim POST faults {…}.
func sim(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 || len(args) > 3 {
		ts.Fatalf("usage: sim METHOD PATH [BODY]")
	}
	body := ""
	if len(args) == 3 {
		body = args[2]
	}
	_, err := ts.Stdout().Write(call(ts, args[0], args[1], body))
	ts.Check(err)
}

// acceptances counts what the simulator took, by chat: the only judge of who
// got how many messages.
func acceptances(ts *testscript.TestScript) (total int, byChat map[string]int) {
	byChat = map[string]int{}
	scanner := bufio.NewScanner(strings.NewReader(string(call(ts, http.MethodGet, "acceptances", ""))))
	scanner.Buffer(nil, 1<<20)
	for scanner.Scan() {
		var a struct {
			ChatID string `json:"chat_id"`
		}
		ts.Check(json.Unmarshal(scanner.Bytes(), &a))
		byChat[a.ChatID]++
		total++
	}
	ts.Check(scanner.Err())
	return total, byChat
}

// accepted CHATS [EACH]: the simulator took messages for so many chats, each
// exactly once (or EACH times): nobody twice, nobody left out.
func accepted(ts *testscript.TestScript, neg bool, args []string) {
	want := number(ts, neg, args, 1)
	each := 1
	if len(args) > 1 {
		var err error
		each, err = strconv.Atoi(args[1])
		ts.Check(err)
	}
	_, byChat := acceptances(ts)
	var wrong []string
	for chat, n := range byChat {
		if n != each {
			wrong = append(wrong, chat+" "+strconv.Itoa(n)+" times")
		}
	}
	slices.Sort(wrong)
	if len(byChat) != want || len(wrong) > 0 {
		ts.Fatalf("%d chats, want %d; not accepted %d times: %v", len(byChat), want, each, wrong)
	}
}

// untilaccepted N waits until the simulator has taken N messages.
func untilAccepted(ts *testscript.TestScript, neg bool, args []string) {
	want := number(ts, neg, args, 1)
	total := 0
	await(func() bool {
		total, _ = acceptances(ts)
		return total >= want
	}, nil, func() { ts.Fatalf("%d accepted, want %d", total, want) })
}

// judged ROWS MOST: nobody got a message twice, and who got none is listed as
// unknown in the last summary: at most MOST of ROWS.
func judged(ts *testscript.TestScript, neg bool, args []string) {
	rows := number(ts, neg, args, 2)
	most, err := strconv.Atoi(args[1])
	ts.Check(err)
	total, byChat := acceptances(ts)
	if total != len(byChat) {
		ts.Fatalf("%d messages for %d chats: some got two", total, len(byChat))
	}
	raw, err := json.Marshal(document(ts))
	ts.Check(err)
	var summary struct {
		Balance map[string]int `json:"balance"`
	}
	ts.Check(json.Unmarshal(raw, &summary))
	unknown := summary.Balance["unknown"]
	if unknown > most || rows-total > unknown {
		ts.Fatalf("%d of %d accepted, %d unknown (at most %d): %s", total, rows, unknown, most, raw)
	}
}
