package faults

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
)

// Env is the environment variable that Planned reads.
const Env = "HERALD_CRASH_AT"

// Point names a place where a process can be made to die.
type Point string

// The points (reliability page §3.1).
const (
	DuringImport   Point = "K0"
	BeforeIntent   Point = "K1"
	AfterIntent    Point = "K2"
	Connected      Point = "K2b"
	HalfWritten    Point = "K3"
	Written        Point = "K4"
	AnswerLost     Point = "K5"
	BeforeOutcome  Point = "K6"
	AfterOutcome   Point = "K7"
	InsideListRead Point = "K8"
)

// Points lists those that a Plan can name.
func Points() []Point {
	return []Point{
		DuringImport, BeforeIntent, AfterIntent, Connected, HalfWritten, Written, AnswerLost, BeforeOutcome, AfterOutcome, InsideListRead,
	}
}

// Act is what happens at a point.
type Act string

// The acts.
const (
	ActDie    Act = "die"    // SIGKILL: no deferred call runs, nothing is flushed
	ActFreeze Act = "freeze" // SIGSTOP: everything stands still until somebody continues the process
)

// Plan says where and when a process is struck. The zero value strikes nowhere.
type Plan struct {
	Point Point
	Pass  int // the how-maniest time the point is passed, from 1
	Bytes int // how many bytes of the request leave, at K3 only
	Act   Act // ActDie if empty
}

// String is the form that ParsePlan reads: K2:17, K3:2@57, K2:5/freeze.
func (p Plan) String() string {
	if p.Point == "" {
		return ""
	}
	text := fmt.Sprintf("%s:%d", p.Point, p.Pass)
	if p.Bytes > 0 {
		text += fmt.Sprintf("@%d", p.Bytes)
	}
	if p.Act != "" && p.Act != ActDie {
		text += "/" + string(p.Act)
	}
	return text
}

// ParsePlan reads a plan; the empty text is the zero plan.
func ParsePlan(text string) (Plan, error) {
	if text == "" {
		return Plan{}, nil
	}
	wrong := func(what string) (Plan, error) {
		return Plan{}, fmt.Errorf("crash plan %q: %s; it looks like K2:17, K3:2@57 or K2:5/freeze", text, what)
	}
	rest, act, _ := strings.Cut(text, "/")
	point, pass, found := strings.Cut(rest, ":")
	if !found {
		return wrong("no pass")
	}
	p := Plan{Point: Point(point), Act: Act(act)}
	known := false
	for _, each := range Points() {
		known = known || each == p.Point
	}
	if !known {
		return wrong("no such point")
	}
	if p.Act != "" && p.Act != ActDie && p.Act != ActFreeze {
		return wrong("no such act")
	}
	var err error
	pass, size, cut := strings.Cut(pass, "@")
	if cut {
		if p.Bytes, err = strconv.Atoi(size); err != nil || p.Bytes < 0 || p.Point != HalfWritten {
			return wrong("bytes are a number, and belong to K3")
		}
	}
	if p.Pass, err = strconv.Atoi(pass); err != nil || p.Pass < 1 {
		return wrong("the pass is a number from 1")
	}
	return p, nil
}

// Crash counts the passes of one point and strikes at the planned one. A nil
// Crash never does. It is safe for concurrent use.
type Crash struct {
	plan   Plan
	strike func(Act) // returns after a freeze, never after a death

	mu     sync.Mutex
	passed int
}

// NewCrash makes a Crash that strikes its own process.
func NewCrash(plan Plan) *Crash {
	return &Crash{plan: plan, strike: strikeSelf}
}

// Planned is the Crash that the environment asks for.
func Planned() (*Crash, error) {
	plan, err := ParsePlan(os.Getenv(Env))
	return NewCrash(plan), err
}

// Pass says that the point was reached.
func (c *Crash) Pass(point Point) {
	if c.due(point) {
		c.strike(c.plan.Act)
	}
}

// due counts a pass and says whether it is the planned one.
func (c *Crash) due(point Point) bool {
	if c == nil || c.plan.Point != point {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.passed++
	return c.passed == c.plan.Pass
}
