package templates

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/osteele/liquid/render"

	"github.com/herald-campaigns/herald/campaign"
)

// compiler is what the fields of one message share while they are compiled.
type compiler struct {
	names   []string          // the columns a template may use
	headers map[string]string // column → header in the file
	limits  Limits
	engine  render.Config

	variables []string // the columns it does use; v0, v1 … in the engine
	constants []*value // k0, k1 …
	uses      []Use

	problems []campaign.Problem
	more     int
}

// singleBraces and identifier find "{name}". Both are only read.
var (
	singleBraces = regexp.MustCompile(`\{([^{}\n]{1,60})\}`)
	identifier   = regexp.MustCompile(`^[A-Za-z_]\w*$`)
)

func (c *compiler) report(p campaign.Problem) {
	if len(c.problems) == maxProblems {
		c.more++
		return
	}
	c.problems = append(c.problems, p)
}

// at reports a problem of a field as a whole.
func (c *compiler) at(field, code, value, what, fix string) {
	c.report(campaign.Problem{Code: code, Field: field, Value: quote(value), What: what, Fix: fix})
}

func (c *compiler) compile(name, src string) *program {
	f := &part{c: c, name: name, src: src}
	return f.compile()
}

func (c *compiler) has(name string) bool { return slices.Contains(c.names, name) }

// index is the number of a column among those used, -1 when there is no such
// column. Asking for a column uses it.
func (c *compiler) index(name string) int {
	if i := slices.Index(c.variables, name); i >= 0 {
		return i
	}
	if !c.has(name) {
		return -1
	}
	c.variables = append(c.variables, name)
	return len(c.variables) - 1
}

func (c *compiler) variable(i int) string { return variableKey(i) }

func (c *compiler) constant(v value) string {
	for i, k := range c.constants {
		if *k == v {
			return constantKey(i)
		}
	}
	c.constants = append(c.constants, &v)
	return constantKey(len(c.constants) - 1)
}

func variableKey(i int) string { return "v" + strconv.Itoa(i) }
func constantKey(i int) string { return "k" + strconv.Itoa(i) }

func (c *compiler) header(name string) string {
	if h := c.headers[name]; h != "" {
		return h
	}
	return name
}

// byWords is the column that is meant by "First Name", "first-name" or
// "FIRST_NAME", or "".
func (c *compiler) byWords(words string) string {
	for _, name := range c.names {
		if campaign.SameWords(words, name) || campaign.SameWords(words, c.header(name)) {
			return name
		}
	}
	return ""
}

// nearest is the column a typo most likely meant, by its name or its header.
func (c *compiler) nearest(name string) string {
	if by := c.byWords(name); by != "" {
		return by
	}
	if near := campaign.Nearest(name, c.names); near != "" {
		return near
	}
	for _, n := range c.names {
		if campaign.Nearest(name, []string{c.header(n)}) != "" {
			return n
		}
	}
	return ""
}

func (c *compiler) available() string {
	if len(c.names) == 0 {
		return "the recipients file has no columns to use"
	}
	return "available: " + listed(c.names)
}

// err is all that was reported, or nil.
func (c *compiler) err() error {
	if len(c.problems) == 0 {
		return nil
	}
	// By field as in the file, then by place, so that a person mends from top
	// to bottom; fields are compiled in that order already.
	slices.SortStableFunc(c.problems, func(a, b campaign.Problem) int {
		if a.Field != b.Field {
			return 0
		}
		if a.Line != b.Line {
			return int(a.Line - b.Line)
		}
		return a.Column - b.Column
	})
	for i := range c.problems {
		c.problems[i].Fix = strings.TrimSpace(c.problems[i].Fix)
	}
	return &campaign.InputError{Problems: c.problems, More: c.more}
}
