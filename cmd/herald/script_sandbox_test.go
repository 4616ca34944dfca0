package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/herald-campaigns/herald/internal/oracle"
	"github.com/herald-campaigns/herald/sandbox"
	"github.com/herald-campaigns/herald/storage"
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

// taken is what the simulator took: the only judge of who got how many
// messages.
func taken(ts *testscript.TestScript) (all []sandbox.Acceptance) {
	lines := json.NewDecoder(bytes.NewReader(call(ts, http.MethodGet, "acceptances", "")))
	for lines.More() {
		var a sandbox.Acceptance
		ts.Check(lines.Decode(&a))
		all = append(all, a)
	}
	return all
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
	byChat := map[string]int{}
	for _, a := range taken(ts) {
		byChat[a.ChatID]++
	}
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
		total = len(taken(ts))
		return total >= want
	}, nil, func() { ts.Fatalf("%d accepted, want %d", total, want) })
}

// judged ROWS MOST: the whole ledger agrees with what the simulator took, so
// that none of ROWS is lost and nobody got two messages (package oracle); at
// most MOST rows are unknown.
func judged(ts *testscript.TestScript, neg bool, args []string) {
	rows := number(ts, neg, args, 2)
	most, err := strconv.Atoi(args[1])
	ts.Check(err)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	ledger, err := storage.Open(ctx, storage.Config{Path: ts.MkAbs("herald-data/herald.db"), ReadOnly: true})
	ts.Check(err)
	found, err := oracle.Judge(ctx, oracle.Case{Ledger: ledger, Acceptances: slices.Values(taken(ts))})
	ts.Check(errors.Join(err, found.Err(), ledger.Close()))
	if found.Rows != int64(rows) || found.Unknown > int64(most) {
		ts.Fatalf("%d rows, at most %d unknown: %s", rows, most, found)
	}
}
