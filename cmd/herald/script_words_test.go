package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// exits CODE COMMAND…: the command ends with exactly this exit code.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	want := number(ts, neg, args, 2)
	err := ts.Exec(args[1], args[2:]...)
	got := 0
	if exit, failed := errors.AsType[*exec.ExitError](err); failed {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("%s: exit code %d, want %d", strings.Join(args[1:], " "), got, want)
	}
}

// number reads the leading number of a word that needs at least n arguments.
func number(ts *testscript.TestScript, neg bool, args []string, n int) int {
	if neg || len(args) < n {
		ts.Fatalf("wrong number of arguments, or negated")
	}
	value, err := strconv.Atoi(args[0])
	ts.Check(err)
	return value
}

// document is what the last command printed: one JSON document, or the last
// of its JSON lines.
func document(ts *testscript.TestScript) any {
	text := strings.TrimSpace(ts.ReadFile("stdout"))
	var value any
	if json.Unmarshal([]byte(text), &value) == nil {
		return value
	}
	all := strings.Split(text, "\n")
	if err := json.Unmarshal([]byte(all[len(all)-1]), &value); err != nil {
		ts.Fatalf("the last line of standard output is no JSON: %v", err)
	}
	return value
}

// json PATH VALUE: the last document has this value at a path like
// balance.sent or 0.name; VALUE is JSON, or a bare string.
func jsonAt(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: json PATH VALUE")
	}
	value := document(ts)
	for step := range strings.SplitSeq(args[0], ".") {
		switch at := value.(type) {
		case map[string]any:
			next, ok := at[step]
			if !ok {
				ts.Fatalf("no %q in %s", step, strings.Join(slices.Sorted(maps.Keys(at)), ", "))
			}
			value = next
		case []any:
			i, err := strconv.Atoi(step)
			ts.Check(err)
			if i >= len(at) {
				ts.Fatalf("%s: the list has %d elements", args[0], len(at))
			}
			value = at[i]
		default:
			ts.Fatalf("%s: %v has no parts", args[0], value)
		}
	}
	got, err := json.Marshal(value)
	ts.Check(err)
	text, isText := value.(string)
	if equal := string(got) == args[1] || isText && text == args[1]; equal == neg {
		ts.Fatalf("%s is %s, compared with %s", args[0], got, args[1])
	}
}

// keys FILE: the last document, an object or a list of them, has exactly the
// keys the file lists.
func keys(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: keys FILE")
	}
	value := document(ts)
	if list, ok := value.([]any); ok && len(list) > 0 {
		value = list[0]
	}
	object, ok := value.(map[string]any)
	if !ok {
		ts.Fatalf("not an object: %v", value)
	}
	got := strings.Join(slices.Sorted(maps.Keys(object)), "\n")
	words := strings.Fields(ts.ReadFile(args[0]))
	slices.Sort(words)
	if want := strings.Join(words, "\n"); got != want {
		ts.Fatalf("keys:\n%s\nwant:\n%s", got, want)
	}
}

// addsup: in the last document the balance accounts for every row.
func addsUp(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: addsup")
	}
	raw, err := json.Marshal(document(ts))
	ts.Check(err)
	var summary struct {
		Rows    *int64           `json:"rows"`
		Balance map[string]int64 `json:"balance"`
	}
	ts.Check(json.Unmarshal(raw, &summary))
	if summary.Rows == nil || len(summary.Balance) == 0 {
		ts.Fatalf("no rows and balance in %s", raw)
	}
	var sum int64
	for _, n := range summary.Balance {
		sum += n
	}
	if sum != *summary.Rows {
		ts.Fatalf("the balance adds up to %d, there are %d rows: %s", sum, *summary.Rows, raw)
	}
}

// replace FILE OLD NEW changes every OLD in a file; there must be one.
func replace(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: replace FILE OLD NEW")
	}
	was := ts.ReadFile(args[0])
	if !strings.Contains(was, args[1]) {
		ts.Fatalf("no %q in %s", args[1], args[0])
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(strings.ReplaceAll(was, args[1], args[2])), 0o600))
}

// people FILE N writes a recipients file of N people with numbers that are
// reserved for fiction (Ofcom: +44 7700 900000 to 900999).
func people(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: people FILE N")
	}
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	if n > 1000 {
		ts.Fatalf("there are 1000 fictional numbers")
	}
	var b strings.Builder
	b.WriteString("phone,name\n")
	for i := range n {
		fmt.Fprintf(&b, "+44 7700 900%03d,Person %d\n", i, i+1)
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(b.String()), 0o600))
}

// soon VAR DURATION sets a variable to a moment from now, in RFC 3339.
func soon(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: soon VAR DURATION")
	}
	after, err := time.ParseDuration(args[1])
	ts.Check(err)
	ts.Setenv(args[0], time.Now().Add(after).UTC().Format("2006-01-02T15:04:05Z07:00"))
}

// mode PERMISSIONS FILE…: the files have exactly these, e.g. 600.
func mode(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: mode PERMISSIONS FILE…")
	}
	for _, name := range args[1:] {
		info, err := os.Stat(ts.MkAbs(name))
		ts.Check(err)
		if got := strconv.FormatUint(uint64(info.Mode().Perm()), 8); got != args[0] {
			ts.Fatalf("%s has mode %s, want %s", name, got, args[0])
		}
	}
}

// lines FILE N: the file has at most N lines, or with `=N` exactly so many.
func lines(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: lines FILE [=]N")
	}
	text, exactly := strings.CutPrefix(args[1], "=")
	want, err := strconv.Atoi(text)
	ts.Check(err)
	got := strings.Count(ts.ReadFile(args[0]), "\n")
	if c := cmp.Compare(got, want); c > 0 || exactly && c != 0 {
		ts.Fatalf("%s has %d lines, want %s", args[0], got, args[1])
	}
}
