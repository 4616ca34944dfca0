package sandbox

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Fault is one way of misbehaving and when to do so. Without Rate and Next it
// happens every time.
//
// In JSON (control API, flags) names are snake_case and durations are written
// as "1500ms".
type Fault struct {
	// Kind is what goes wrong.
	Kind FaultKind
	// When says whether a send is accepted although the answer goes wrong.
	// Default FaultBefore for status, reset and hang, FaultAfter for the
	// kinds that spoil an answer. Other routes have no difference.
	When FaultMoment
	// Route limits the fault to one route; default RouteSend, RouteAny is all
	// of /v1.
	Route Route

	// Rate is the probability for each request, above 0 up to 1.
	Rate float64
	// Next makes it happen for the next n requests only (those that Rate
	// selects, if it is given).
	Next int
	// Numbers limits it to sends to these numbers, given whole or by their
	// last digits.
	Numbers []string

	// Status is the code for kind status, 400 to 599. Default 500. For kind
	// commit_late the default is 502.
	Status int
	// HTML answers kinds status and wrong_body with a web page instead of JSON.
	HTML bool
	// RetryAfter and RateLimitReset are sent verbatim as Retry-After and
	// X-RateLimit-Reset with kind status, if not empty. RateLimitReset "epoch"
	// and "delta" are filled in with Delay from now (10 s if that is 0).
	RetryAfter     string
	RateLimitReset string
	// Delay is the added latency, the length of a hang (default Config.Hang),
	// the pause between bytes of a slow body (default 1 s), how long a
	// status, list entry or late commit stays invisible (default 5 s), or how
	// long a list entry stays visible (default 5 s). Real time, but for the
	// last two, which follow the simulated clock.
	Delay time.Duration
	// Size is the length of a huge body (default 1 GiB), how many bytes of
	// a cut body still arrive (default 0), or how many of the newest entries a
	// short list has (default 10).
	Size int64
}

// FaultKind names a way of misbehaving.
type FaultKind string

// The kinds of faults.
const (
	FaultStatus        FaultKind = "status"          // an error status
	FaultReset         FaultKind = "reset"           // TCP reset instead of an answer
	FaultHang          FaultKind = "hang"            // no answer for Delay, then 504
	FaultLatency       FaultKind = "latency"         // the right answer, Delay later
	FaultMalformed     FaultKind = "malformed"       // 200 with half a JSON document
	FaultEmpty         FaultKind = "empty"           // 200 without a body
	FaultNoQueueID     FaultKind = "no_queue_id"     // 200 without queue_id
	FaultRepeatQueueID FaultKind = "repeat_queue_id" // 200 with the previous job's queue_id
	FaultSlowBody      FaultKind = "slow_body"       // the right answer, a byte per Delay
	FaultHugeBody      FaultKind = "huge_body"       // 200 with Size bytes
	FaultCutBody       FaultKind = "cut_body"        // TCP reset after Size bytes of the body
	FaultWrongBody     FaultKind = "wrong_body"      // 200 with JSON of something else, or with a web page
	FaultStatusLate    FaultKind = "status_late"     // accepted, but 404 by id for Delay
	FaultListLate      FaultKind = "list_late"       // accepted, but not in any list for Delay
	FaultListGone      FaultKind = "list_gone"       // not in the job list any more after Delay
	FaultListShort     FaultKind = "list_short"      // an unfiltered job list has the newest Size only
	FaultRewrite       FaultKind = "rewrite"         // lists and status show another text than was sent
	// FaultCommitLate answers with an error although the message is accepted,
	// and shows it nowhere, not even by id, before Delay is over. Another fault
	// that strikes after the acceptance (hang, reset …) gives the answer
	// instead.
	FaultCommitLate FaultKind = "commit_late"
)

// FaultMoment is on which side of the acceptance a fault strikes.
type FaultMoment string

// The moments of a fault.
const (
	FaultBefore FaultMoment = "before" // the message is not accepted
	FaultAfter  FaultMoment = "after"  // the message is accepted
)

// Route names a group of endpoints for faults.
type Route string

// The routes a fault can be limited to.
const (
	RouteSend     Route = "send"     // POST /message/send
	RouteStatus   Route = "status"   // GET /message/{id}/status
	RouteQueues   Route = "queues"   // job lists, health, purge
	RouteMessages Route = "messages" // GET /message/{id}, chats
	RoutePhones   Route = "phones"
	RouteContacts Route = "contacts"
	RouteWebhooks Route = "webhooks"
	RouteOther    Route = "other" // broadcasts and unknown paths
	RouteAny      Route = "any"
)

func (f Fault) withDefaults() Fault {
	if f.Route == "" {
		f.Route = RouteSend
	}
	if f.When == "" {
		f.When = FaultAfter
		if f.Kind == FaultStatus || f.Kind == FaultReset || f.Kind == FaultHang {
			f.When = FaultBefore
		}
	}
	if f.Kind == FaultStatus && f.Status == 0 {
		f.Status = 500
	}
	if f.Kind == FaultHugeBody && f.Size == 0 {
		f.Size = 1 << 30
	}
	if f.Delay == 0 {
		switch f.Kind { //nolint:exhaustive // the others have no delay, or one from Config
		case FaultSlowBody:
			f.Delay = time.Second
		case FaultStatusLate, FaultListLate, FaultListGone, FaultCommitLate:
			f.Delay = 5 * time.Second
		}
	}
	switch {
	case f.Kind == FaultCommitLate && f.Status == 0:
		f.Status = 502
	case f.Kind == FaultListShort && f.Size == 0:
		f.Size = 10
	}
	return f
}

var (
	faultKinds = []FaultKind{
		FaultStatus, FaultReset, FaultHang, FaultLatency, FaultMalformed, FaultEmpty, FaultNoQueueID,
		FaultRepeatQueueID, FaultSlowBody, FaultHugeBody, FaultCutBody, FaultWrongBody, FaultStatusLate, FaultListLate,
		FaultListGone, FaultListShort, FaultRewrite, FaultCommitLate,
	}
	faultRoutes = []Route{
		RouteSend, RouteStatus, RouteQueues, RouteMessages, RoutePhones, RouteContacts, RouteWebhooks,
		RouteOther, RouteAny,
	}
)

func (f Fault) validate() error {
	needsAnswer := f.Kind == FaultNoQueueID || f.Kind == FaultRepeatQueueID || f.Kind == FaultCommitLate
	switch {
	case !slices.Contains(faultKinds, f.Kind):
		return fmt.Errorf("kind is %q, want one of %v", f.Kind, faultKinds)
	case !slices.Contains(faultRoutes, f.Route):
		return fmt.Errorf("route is %q, want one of %v", f.Route, faultRoutes)
	case f.When != FaultBefore && f.When != FaultAfter:
		return fmt.Errorf("when is %q, want before or after", f.When)
	case needsAnswer && (f.When == FaultBefore || f.Route != RouteSend):
		return fmt.Errorf("%s spoils the answer to an accepted send: only route send, when after", f.Kind)
	case f.Rate < 0 || f.Rate > 1:
		return fmt.Errorf("rate is %g, want a probability from 0 to 1", f.Rate)
	case f.Next < 0:
		return fmt.Errorf("next is %d, want 0 or more", f.Next)
	case f.standing() && f.Next > 0:
		return fmt.Errorf("%s is decided per message, not per request: next does not apply", f.Kind)
	case f.Kind == FaultListShort && (f.Rate > 0 || len(f.Numbers) > 0):
		return errors.New("list_short is about the whole list: rate and numbers do not apply")
	case len(f.Numbers) > 0 && f.Route != RouteSend:
		return errors.New("numbers apply to route send only")
	case (f.Kind == FaultStatus || f.Kind == FaultCommitLate) && (f.Status < 400 || f.Status > 599):
		return fmt.Errorf("status is %d, want 400 to 599", f.Status)
	case f.Delay < 0:
		return fmt.Errorf("delay is %s, want 0 or more", f.Delay)
	case f.Size < 0:
		return fmt.Errorf("size is %d, want 0 or more", f.Size)
	}
	for _, n := range f.Numbers {
		if !onlyDigits(n) {
			return errors.New("numbers holds something that is not digits")
		}
	}
	return nil
}

// ParseFault reads a fault from JSON, with defaults filled in and checked.
func ParseFault(text []byte) (Fault, error) {
	var f Fault
	in := json.NewDecoder(bytes.NewReader(text))
	in.DisallowUnknownFields()
	if err := in.Decode(&f); err != nil {
		return Fault{}, fmt.Errorf("read fault: %w", err)
	}
	f = f.withDefaults()
	if err := f.validate(); err != nil {
		return Fault{}, fmt.Errorf("fault: %w", err)
	}
	return f, nil
}

type faultJSON struct {
	Kind           FaultKind   `json:"kind"`
	When           FaultMoment `json:"when,omitempty"`
	Route          Route       `json:"route,omitempty"`
	Rate           float64     `json:"rate,omitempty"`
	Next           int         `json:"next,omitempty"`
	Numbers        []string    `json:"numbers,omitempty"`
	Status         int         `json:"status,omitempty"`
	HTML           bool        `json:"html,omitempty"`
	RetryAfter     string      `json:"retry_after,omitempty"`
	RateLimitReset string      `json:"rate_limit_reset,omitempty"`
	Delay          string      `json:"delay,omitempty"`
	Size           int64       `json:"size,omitempty"`
}

// MarshalJSON writes the form ParseFault reads.
func (f Fault) MarshalJSON() ([]byte, error) {
	out := faultJSON{
		f.Kind, f.When, f.Route, f.Rate, f.Next, f.Numbers, f.Status, f.HTML, f.RetryAfter, f.RateLimitReset, "", f.Size,
	}
	if f.Delay != 0 {
		out.Delay = f.Delay.String()
	}
	return json.Marshal(out)
}

// UnmarshalJSON reads a fault without filling in defaults.
func (f *Fault) UnmarshalJSON(text []byte) error {
	var in faultJSON
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&in); err != nil {
		return err
	}
	*f = Fault{
		in.Kind, in.When, in.Route, in.Rate, in.Next, in.Numbers, in.Status, in.HTML, in.RetryAfter, in.RateLimitReset,
		0, in.Size,
	}
	if in.Delay == "" {
		return nil
	}
	delay, err := time.ParseDuration(in.Delay)
	if err != nil {
		return fmt.Errorf("delay: %w", err)
	}
	f.Delay = delay
	return nil
}

// faults are the armed faults. The choice whether one strikes is drawn per
// recipient and try where there is a recipient, so it repeats however
// requests interleave.
type faults struct {
	seed  uint64
	start []Fault // from Config, armed again by reset

	any  atomic.Bool // a cheap look before the lock
	mu   sync.Mutex
	list []*armed
	made uint64
	seen map[string]uint64 // sends per chat, while anything is armed
	odd  map[string]int    // refusals of a message that magic numbers have answered
}

type armed struct {
	Fault
	id   uint64
	left int
	n    uint64 // requests considered
}

func newFaults(seed uint64, list []Fault) *faults {
	f := &faults{seed: seed, start: slices.Clone(list)}
	f.reset()
	return f
}

func (f *faults) reset() {
	f.clear()
	f.mu.Lock()
	f.made = 0
	f.mu.Unlock()
	for _, fault := range f.start {
		f.add(fault.withDefaults())
	}
}

func (f *faults) clear() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.list, f.seen, f.odd = nil, map[string]uint64{}, map[string]int{}
	f.any.Store(false)
}

func (f *faults) add(fault Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.made++
	f.list = append(f.list, &armed{Fault: fault, id: f.made, left: fault.Next})
	f.any.Store(true)
}

// armed lists the faults that can still strike, Next being what is left.
func (f *faults) armed() []Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := []Fault{}
	for _, a := range f.list {
		if a.Next > 0 && a.left == 0 {
			continue
		}
		left := a.Fault
		left.Next = a.left
		out = append(out, left)
	}
	return out
}

// strike is what the armed faults do to one request.
type strike struct {
	hit  *Fault        // the first that spoils the answer; nil if none
	lag  time.Duration // the sum of the latencies
	late time.Duration // how long the message is kept from view; only of a send
}

// pick draws which faults strike this request.
func (f *faults) pick(route Route, chat string) (s strike) {
	if !f.any.Load() {
		return s
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	try := uint64(0)
	if chat != "" {
		try = f.seen[chat]
		f.seen[chat] = try + 1
	}
	for _, a := range f.list {
		if a.standing() || (a.Route != route && a.Route != RouteAny) || !a.concerns(chat) {
			continue
		}
		if s.hit != nil && s.hit.Kind != FaultCommitLate && a.Kind != FaultLatency && a.Kind != FaultCommitLate {
			continue
		}
		a.n++
		n := try
		if chat == "" {
			n = a.n
		}
		if !a.strikes(f.seed, chat, n) {
			continue
		}
		fault := a.Fault
		switch a.Kind {
		case FaultLatency:
			s.lag += a.Delay
		case FaultCommitLate:
			s.late = max(s.late, a.Delay)
			if s.hit == nil {
				s.hit = &fault
			}
		default:
			s.hit = &fault
		}
	}
	return s
}

// hides tells whether a job is kept from lookups of this kind at the moment.
func (f *faults) hides(kind FaultKind, j *job, now int64) bool {
	if now < j.shown {
		return true
	}
	return f.stands(kind, j, func(a *armed) bool { return now-j.accepted < int64(a.Delay) })
}

// drops tells whether a job has left the job list.
func (f *faults) drops(j *job, now int64) bool {
	return f.stands(FaultListGone, j, func(a *armed) bool { return now-j.accepted >= int64(a.Delay) })
}

// rewritten is a text as it is shown.
func (f *faults) rewritten(j *job, text string) string {
	if text == "" || !f.stands(FaultRewrite, j, func(*armed) bool { return true }) {
		return text
	}
	return text + "\n\n_Sent from the sandbox_"
}

// shortest is the fewest jobs that an unfiltered list is cut down to; 0 when it
// is not.
func (f *faults) shortest(limit int) int {
	if !f.any.Load() {
		return limit
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, a := range f.list {
		if a.Kind == FaultListShort && (limit == 0 || int(a.Size) < limit) {
			limit = int(a.Size)
		}
	}
	return limit
}

// stands tells whether a fault that is decided per message holds for the job.
func (f *faults) stands(kind FaultKind, j *job, holds func(*armed) bool) bool {
	if !f.any.Load() {
		return false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, a := range f.list {
		if a.Kind != kind || !a.concerns(j.chat) || !holds(a) {
			continue
		}
		d := newDraws(f.seed, "fault", string(kind), j.chat, j.seq<<8|a.id)
		if a.Rate == 0 || d.unit() < a.Rate {
			return true
		}
	}
	return false
}

// refuse counts how often a magic number was refused for its present message,
// and tells whether to do it again, up to times in a row.
func (f *faults) refuse(chat string, times int) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.odd[chat] >= times {
		delete(f.odd, chat) // the next message meets it again
		return false
	}
	f.odd[chat]++
	return true
}

// standing says whether the fault is about what is shown of messages, rather
// than about single requests.
func (f Fault) standing() bool {
	switch f.Kind { //nolint:exhaustive // the others strike requests
	case FaultStatusLate, FaultListLate, FaultListGone, FaultListShort, FaultRewrite:
		return true
	}
	return false
}

func (a *armed) concerns(chat string) bool {
	if len(a.Numbers) == 0 {
		return true
	}
	number, _ := strings.CutSuffix(chat, "@c.us")
	return slices.ContainsFunc(a.Numbers, func(n string) bool { return strings.HasSuffix(number, n) })
}

func (a *armed) strikes(seed uint64, chat string, n uint64) bool {
	if a.Next > 0 && a.left == 0 {
		return false
	}
	if a.Rate > 0 {
		d := newDraws(seed, "fault", string(a.Kind), chat, n<<8|a.id)
		if d.unit() >= a.Rate {
			return false
		}
	}
	if a.Next > 0 {
		a.left--
	}
	return true
}
