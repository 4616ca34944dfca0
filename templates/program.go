package templates

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/osteele/liquid/expressions"
	"github.com/osteele/liquid/render"

	"github.com/herald-campaigns/herald/campaign"
)

// program is one compiled text. It is read by any number of renders at once.
type program struct {
	field  string
	static bool   // no placeholders: text is the result
	text   string // static only
	root   render.Node
}

// scene is what one render works on. Scenes are pooled: the bindings point at
// the cells, so that a row only has to write its cells' text.
type scene struct {
	cells    []value
	bindings map[string]any
	out      sink
}

func newScene(variables int, constants []*value) *scene {
	s := &scene{cells: make([]value, variables), bindings: make(map[string]any, variables+len(constants))}
	for i := range s.cells {
		s.bindings[variableKey(i)] = &s.cells[i]
	}
	for i, k := range constants {
		s.bindings[constantKey(i)] = k
	}
	return s
}

// fill writes the row's cells. Cells are trimmed: a blank at the end of a cell
// is never meant, tears "Hi Asha ," apart and stops *Asha * from being bold.
func (s *scene) fill(variables []string, row campaign.Row) *rowError {
	for i, name := range variables {
		cell, ok := row.Fields[name]
		if !ok {
			return &rowError{
				code: CodeNoColumn, what: "the row's file has no column for " + name,
				fix: "add the column to the file, or map one to " + name + " under recipients.columns",
			}
		}
		if len(cell) > maxBytes {
			return &rowError{
				code: CodeTooLong, what: "the cell of column " + name + " is longer than any message",
				fix: "shorten the cell",
			}
		}
		s.cells[i].text = strings.TrimSpace(cell)
	}
	return nil
}

// run renders the program. The result is trimmed and holds no control
// characters but line ends and tabs.
func (p *program) run(s *scene, engine *render.Config) (text string, problem *rowError) {
	if p.static {
		return clean(p.text), nil
	}
	s.out.reset()
	defer func() {
		// The engine panics where its buffers meet a failing writer inside a
		// block (render.RenderSequence), and on its own implementation errors.
		if r := recover(); r != nil {
			err, ok := r.(error)
			if !ok {
				err = fmt.Errorf("%v", r)
			}
			text, problem = "", fault(err)
		}
	}()
	if err := render.Render(p.root, &s.out, s.bindings, *engine); err != nil {
		return "", fault(err)
	}
	return clean(s.out.String()), nil
}

// sink takes what the engine writes, up to what can be a message at all.
type sink struct{ b []byte }

// maxBytes bounds every intermediate text: no message is longer than its
// characters at four bytes each.
const maxBytes = 4 * DefaultMaxText

var errOverflow = errors.New("output is longer than any message")

func (s *sink) Write(p []byte) (int, error) {
	if len(s.b)+len(p) > maxBytes {
		return 0, errOverflow
	}
	s.b = append(s.b, p...)
	return len(p), nil
}

func (s *sink) reset()         { s.b = s.b[:0] }
func (s *sink) String() string { return string(s.b) }

// clean is the text as it is sent: valid UTF-8, line ends as "\n", no other
// control characters, no blanks around it (WhatsApp drops those itself).
func clean(text string) string {
	text = strings.TrimSpace(text)
	if !utf8.ValidString(text) {
		text = strings.ToValidUTF8(text, "\uFFFD")
	}
	if strings.IndexFunc(text, isControl) < 0 {
		return text
	}
	text = strings.ReplaceAll(text, "\r\n", "\n")
	text = strings.ReplaceAll(text, "\r", "\n")
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if isControl(r) {
			return -1
		}
		return r
	}, text))
}

func isControl(r rune) bool {
	return r < 0x20 && r != '\n' && r != '\t' || r >= 0x7f && r < 0xa0
}

// utf16Length counts characters as WhatsApp's clients do, in UTF-16 code
// units: most emoji count two. It is never less than the count of code points.
func utf16Length(s string) int {
	n := 0
	for _, r := range s {
		n++
		if r >= 0x10000 {
			n++
		}
	}
	return n
}

func tooLong(what string, most int) *rowError {
	return &rowError{
		code: CodeTooLong, what: fmt.Sprintf("%s is longer than %d characters", what, most),
		fix: "shorten it, or shorten a value with {{ column | truncate: 200 }}",
	}
}

// newEngine is the basic engine with our filters and our three blocks, and
// nothing else. It is what liquid.NewBasicEngine wraps; the wrapper cannot
// define blocks with clauses.
func newEngine(l locale) render.Config {
	engine := render.NewConfig()
	engine.StrictVariables = true
	for i := range filterTable {
		f := &filterTable[i]
		engine.AddFilter(f.Name, func(in any, args ...any) (any, error) { return f.run(l, in, args) })
	}
	engine.AddBlock("if").Clause("elsif").Clause("else").Compiler(compileIf(true))
	engine.AddBlock("unless").Clause("else").Compiler(compileIf(false))
	engine.AddBlock("case").Clause("when").Clause("else").Compiler(compileCase)
	return engine
}

type branch struct {
	tests []expressions.Expression // none: always
	want  bool
	body  *render.BlockNode
}

func compileIf(want bool) render.BlockCompiler {
	return func(node render.BlockNode) (func(io.Writer, render.Context) error, error) {
		test, err := expressions.Parse(node.Args)
		if err != nil {
			return nil, err
		}
		branches := []branch{{[]expressions.Expression{test}, want, &node}}
		for _, clause := range node.Clauses {
			b := branch{want: true, body: clause}
			if clause.Name == "elsif" {
				if test, err = expressions.Parse(clause.Args); err != nil {
					return nil, err
				}
				b.tests = []expressions.Expression{test}
			}
			branches = append(branches, b)
		}
		return func(w io.Writer, ctx render.Context) error {
			for _, b := range branches {
				holds := true
				if len(b.tests) > 0 {
					x, err := ctx.Evaluate(b.tests[0])
					if err != nil {
						return err
					}
					holds = truth(x) == b.want
				}
				if holds {
					return ctx.RenderBlock(w, b.body)
				}
			}
			return nil
		}, nil
	}
}

// truth is value.Test for what Evaluate has unwrapped already.
func truth(x any) bool {
	if b, ok := x.(bool); ok {
		return b
	}
	v := value{text: textOf(x)}
	return v.Test()
}

func compileCase(node render.BlockNode) (func(io.Writer, render.Context) error, error) {
	// Each "when" is compiled to subject == value, so that case compares
	// exactly as if does.
	var branches []branch
	for _, clause := range node.Clauses {
		b := branch{body: clause}
		if clause.Name == "when" {
			for one := range strings.SplitSeq(clause.Args, ",") {
				test, err := expressions.Parse("(" + node.Args + ") == " + one)
				if err != nil {
					return nil, err
				}
				b.tests = append(b.tests, test)
			}
		}
		branches = append(branches, b)
	}
	return func(w io.Writer, ctx render.Context) error {
		for _, b := range branches {
			holds := len(b.tests) == 0
			for _, test := range b.tests {
				x, err := ctx.Evaluate(test)
				if err != nil {
					return err
				}
				holds = holds || truth(x)
			}
			if holds {
				return ctx.RenderBlock(w, b.body)
			}
		}
		return nil
	}, nil
}
