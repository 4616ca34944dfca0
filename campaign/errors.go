package campaign

import (
	"errors"
	"fmt"
	"strings"
)

// Code says what kind of failure an error is. Exit codes and HTTP statuses are
// looked up from it, nowhere else (style page §4.2).
type Code string

// The codes. CodeInternal is what an error has that carries no code.
const (
	CodeInternal     Code = "internal"
	CodeInvalid      Code = "invalid"      // the input must change
	CodeUnavailable  Code = "unavailable"  // NATS, the database or the API cannot be reached
	CodeUnauthorized Code = "unauthorized" // the credentials were refused
	CodeNotFound     Code = "not_found"    // no such campaign, row or file
	CodeConflict     Code = "conflict"     // it exists, but not in a state for this
	CodeThrottled    Code = "throttled"    // too many requests
	CodeUnconfirmed  Code = "unconfirmed"  // a person did not confirm
)

// Error is an error a person can act on: what happened, and the next step.
// What and Hint never contain a token, a full phone number or a message body.
type Error struct {
	Code Code
	What string // lower case, no full stop
	Hint string // the fix or the next command; may be empty
	Err  error  // the cause; may be nil
}

func (e *Error) Error() string {
	if e.Err == nil {
		return e.What
	}
	if e.What == "" {
		return e.Err.Error()
	}
	return e.What + ": " + e.Err.Error()
}

func (e *Error) Unwrap() error { return e.Err }

// CodeOf is the single bridge from an error to its code.
func CodeOf(err error) Code {
	if err == nil {
		return ""
	}
	var coded interface{ ErrorCode() Code }
	if errors.As(err, &coded) {
		return coded.ErrorCode()
	}
	return CodeInternal
}

// ErrorCode lets CodeOf find the code of an Error.
func (e *Error) ErrorCode() Code { return e.Code }

// HintsOf collects the hints along the chain of err, outermost first.
func HintsOf(err error) []string {
	var hints []string
	for err != nil {
		var e *Error
		if !errors.As(err, &e) {
			break
		}
		if e.Hint != "" {
			hints = append(hints, e.Hint)
		}
		err = e.Err
	}
	return hints
}

// ErrNotFound is returned by a ledger for a campaign or recipient it has not.
var ErrNotFound = &Error{Code: CodeNotFound, What: "no such campaign", Hint: "`herald campaigns` lists what is in this data directory"}

// Problem is one thing wrong in a file a person wrote: where it is, what it
// is, and how to mend it. Codes are stable and searchable
// (E_CSV_PHONE_SCIENTIFIC).
type Problem struct {
	Code   string `json:"code"`
	File   string `json:"file,omitempty"`
	Line   int64  `json:"line,omitempty"`   // physical line, 1 is the first; 0 unknown
	Column int    `json:"column,omitempty"` // 1 is the first; 0 unknown
	Field  string `json:"field,omitempty"`  // CSV header or YAML key
	Value  string `json:"value,omitempty"`  // the offending value, shortened, long digit runs masked
	What   string `json:"what"`
	Fix    string `json:"fix,omitempty"`
}

// Position is "file:line:column" as far as it is known.
func (p Problem) Position() string {
	s := p.File
	if p.Line > 0 {
		s += fmt.Sprintf(":%d", p.Line)
		if p.Column > 0 {
			s += fmt.Sprintf(":%d", p.Column)
		}
	}
	return s
}

func (p Problem) String() string {
	var b strings.Builder
	if pos := p.Position(); pos != "" {
		b.WriteString(pos + ": ")
	}
	if p.Field != "" {
		b.WriteString(p.Field + ": ")
	}
	b.WriteString(p.What)
	if p.Code != "" {
		b.WriteString(" (" + p.Code + ")")
	}
	return b.String()
}

// InputError is what a broken input file gives: every problem found (capped by
// the finder), so that a person mends the file once.
type InputError struct {
	Problems []Problem
	More     int // problems found beyond those listed
}

// Reject makes an InputError of the problems.
func Reject(problems ...Problem) *InputError { return &InputError{Problems: problems} }

func (e *InputError) Error() string {
	if len(e.Problems) == 0 {
		return "input rejected"
	}
	s := e.Problems[0].String()
	if n := len(e.Problems) - 1 + e.More; n > 0 {
		s += fmt.Sprintf(" (and %d more)", n)
	}
	return s
}

// ErrorCode lets CodeOf find the code.
func (e *InputError) ErrorCode() Code { return CodeInvalid }
