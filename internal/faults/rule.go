package faults

import (
	"math/rand/v2"
	"net/http"
	"strings"
	"time"
)

// Kind is a way of misbehaving.
type Kind string

// The kinds. "Delivered" says whether the provider got the request.
const (
	Refuse       Kind = "refuse"       // not delivered: no connection is made
	ResetBefore  Kind = "reset_before" // not delivered: the connection breaks before the first byte
	Cut          Kind = "cut"          // the connection breaks after Rule.Bytes of the request
	ResetAfter   Kind = "reset_after"  // delivered; the connection breaks instead of an answer
	Hang         Kind = "hang"         // delivered; no answer until the caller gives up
	Delay        Kind = "delay"        // delivered; the right answer, Rule.Wait later
	Status       Kind = "status"       // delivered; answered with Rule.Status and Rule.Body
	RefuseStatus Kind = "refuse_with"  // not delivered; answered with Rule.Status and Rule.Body
	WrongBody    Kind = "wrong_body"   // delivered; 200 with Rule.Body
	HTML         Kind = "html"         // delivered; 200 with a web page
	HugeBody     Kind = "huge_body"    // delivered; 200 with Rule.Bytes of white space
	RepeatID     Kind = "repeat_id"    // delivered; the answer of an earlier call again
)

// Rule says which calls go wrong and how. Without Nth and Rate it strikes every
// call that Match takes.
type Rule struct {
	Kind  Kind
	Match func(*http.Request) bool // which calls it is about; nil: those of the send API
	Nth   []int                    // strikes these calls among them, from 1
	Rate  float64                  // or each with this probability

	Status int           // of Status and RefuseStatus
	Header http.Header   // sent with them, beside the content type
	Body   string        // of Status, RefuseStatus and WrongBody
	Bytes  int64         // of Cut and HugeBody
	Wait   time.Duration // of Delay
}

// Sends matches calls of the send API.
func Sends(r *http.Request) bool { return isSend(r.Method, r.URL.Path) }

// Lists matches calls that read job or message lists.
func Lists(r *http.Request) bool { return isList(r.URL.Path) }

// Everything matches every call.
func Everything(*http.Request) bool { return true }

// armed is a rule with its count of calls and its own dice, so that rules do
// not change each other's luck.
type armed struct {
	Rule
	dice  *rand.Rand
	calls int
	hits  int
}

func arm(rule Rule, seed uint64, position int) *armed {
	if rule.Match == nil {
		rule.Match = Sends
	}
	return &armed{Rule: rule, dice: rand.New(rand.NewPCG(seed, uint64(position)))} //nolint:gosec // dice of a test
}

// strikes counts the call if it is the rule's, and says whether it goes wrong.
// The dice are thrown for every call, struck or not: the same seed gives the
// same calls.
func (a *armed) strikes(r *http.Request) bool {
	if !a.Match(r) {
		return false
	}
	a.calls++
	lucky := a.Rate > 0 && a.dice.Float64() >= a.Rate
	if len(a.Nth) > 0 {
		lucky = true
		for _, n := range a.Nth {
			lucky = lucky && n != a.calls
		}
	}
	if !lucky {
		a.hits++
	}
	return !lucky
}

// page is what a proxy says.
const page = "<!DOCTYPE html>\n<html><head><title>502 Bad Gateway</title></head><body><center><h1>502 Bad Gateway</h1></center></body></html>\n"

// mime is the content type of a body.
func mime(body string) string {
	if strings.HasPrefix(strings.TrimSpace(body), "<") {
		return "text/html; charset=utf-8"
	}
	return "application/json; charset=utf-8"
}
