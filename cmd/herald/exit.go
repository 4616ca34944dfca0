package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/herald-campaigns/herald/internal/app"
)

// The exit codes (design §9). `herald help exit-codes` prints them.
const (
	exitOK          = 0
	exitUsage       = 2
	exitInput       = 3
	exitNotFound    = 6
	exitPartial     = 7
	exitInterrupted = 130
)

const exitCodesHelp = `  0    ok
  1    something unexpected went wrong
  2    wrong flags or arguments
  3    input rejected: campaign file, recipients, template or configuration
  4    a dependency is not available: the API, the database, the disk
  5    the credentials were refused, or are missing
  6    no such campaign, or not in a state for this
  7    finished, but more recipients than --max-failed failed or are unknown
  8    not confirmed
  130  interrupted, after a clean drain
`

// exitError ends the command with a code and nothing more to say.
type exitError struct{ code int }

func (e *exitError) Error() string { return fmt.Sprintf("exit status %d", e.code) }

// usageError is a mistake in flags or arguments.
type usageError struct {
	err  error
	hint string // what to type instead; "" for where to look
}

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

// badFlag is a usage error if the value of a flag was refused as invalid. It
// is for commands whose only input are flags.
func badFlag(err error) error {
	if app.ExitCode(err) != exitInput {
		return err
	}
	return &usageError{err: err, hint: strings.Join(app.Hints(err), "; ")}
}

// fail prints an error the way a person can act on it, and gives its exit
// code: what went wrong, then hints that name the fix.
func (t *terminal) fail(err error) int {
	if exit, silent := errors.AsType[*exitError](err); silent {
		return exit.code
	}
	if errors.Is(err, context.Canceled) {
		t.say("herald: interrupted")
		return exitInterrupted
	}
	if usage, mistaken := errors.AsType[*usageError](err); mistaken {
		t.say("herald: %v", usage.err)
		hint := usage.hint
		if hint == "" {
			hint = "`herald help` lists the commands, `herald COMMAND --help` explains one"
		}
		t.say("hint: %s", hint)
		return exitUsage
	}
	if problems := app.Problems(err); problems != nil {
		t.problems(problems)
		return app.ExitCode(err)
	}
	t.say("herald: %s", strings.TrimSuffix(err.Error(), "\n"))
	for _, hint := range app.Hints(err) {
		t.say("hint: %s", t.complete(hint))
	}
	return app.ExitCode(err)
}

// problems prints what is wrong with an input file: place, what, fix. Each of
// a campaign file's mistakes is one of its own; of the rows of a CSV, which
// may all have the same, the first three of each code stand for the rest.
func (t *terminal) problems(rejected *app.InputError) {
	const shown = 3
	byCode := map[string]int{}
	for _, p := range rejected.Problems {
		byCode[p.Code]++
	}
	seen := map[string]int{}
	for _, p := range rejected.Problems {
		seen[p.Code]++
		rows := strings.HasPrefix(p.Code, "E_CSV_")
		if rows && seen[p.Code] > shown {
			continue
		}
		place := p.Position()
		if place == "" {
			place = "herald"
		}
		line := place + ": " + p.Field
		switch {
		case p.Value != "" && p.Field != "":
			line += fmt.Sprintf(" %q: ", p.Value)
		case p.Value != "":
			line += fmt.Sprintf("%q: ", p.Value)
		case p.Field != "":
			line += ": "
		}
		// Below the first line there may be the place itself, under a caret.
		t.say("%s%s", line, strings.ReplaceAll(p.What, "\n", "\n    "))
		last := !rows || seen[p.Code] == shown || seen[p.Code] == byCode[p.Code]
		if p.Fix != "" && last {
			t.say("  fix: %s", strings.ReplaceAll(p.Fix, "\n", "\n       "))
		}
		if p.Code != "" && last {
			more := ""
			if n := byCode[p.Code]; rows && n > shown {
				more = fmt.Sprintf(", %d in all", n)
			}
			t.say("  (%s%s)", p.Code, more)
		}
	}
	if rejected.More > 0 {
		t.say("… and %d more", rejected.More)
	}
}
