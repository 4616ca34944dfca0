package templates

import (
	"fmt"
	"slices"
	"strings"

	"github.com/osteele/liquid/parser"

	"github.com/herald-campaigns/herald/campaign"
)

// part is one text of the message while it is compiled.
type part struct {
	c    *compiler
	name string // "message.text"
	src  string

	filters int
	blocks  []*block
	uses    []Use
}

// block is an open {% if %}, {% unless %} or {% case %}.
type block struct {
	tag     string
	offset  int
	sawElse bool
	sawWhen bool
	subject int // the column of a case, -1 for anything else

	holds []int // columns that are not blank in the present branch
	other []int // columns that are not blank in the branches after it
}

// compile turns the source into what the engine runs. On any problem it
// returns nil; the problems are with the compiler.
func (f *part) compile() *program {
	f.tooLong()
	var out strings.Builder
	placeholders := 0
	for _, p := range f.scan() {
		if p.kind == pieceText {
			f.text(p)
			out.WriteString(p.source)
			continue
		}
		if placeholders++; placeholders > maxPlaceholders {
			f.problem(CodeTooComplex, p.offset, "", fmt.Sprintf("more than %d placeholders in one text", maxPlaceholders),
				"prepare the values in the file instead")
			return nil
		}
		open, end := "{{", "}}"
		content := ""
		if p.kind == pieceObject {
			content, _ = f.read(p, false, (*expression).object)
		} else {
			open, end = "{%", "%}"
			content = f.tag(p)
		}
		out.WriteString(open + mark(p.trimLeft) + " " + content + " " + mark(p.trimRight) + end)
	}
	for _, b := range f.blocks {
		f.problem(CodeBlock, b.offset, b.tag, "{% "+b.tag+" %} is never closed", "add {% end"+b.tag+" %}")
	}
	f.c.uses = append(f.c.uses, f.uses...)
	if len(f.c.problems) > 0 {
		return nil
	}
	if placeholders == 0 {
		return &program{field: f.name, static: true, text: f.src}
	}
	return f.parse(out.String(), placeholders)
}

// parse hands the rewritten source to the engine. All mistakes were found
// before, so a failure here is one of ours; it is still a problem of this
// template and must not end the process (the engine's lexer may panic).
func (f *part) parse(source string, placeholders int) (p *program) {
	defer func() {
		if r := recover(); r != nil {
			f.problem(CodeSyntax, 0, "", "the template cannot be read", "simplify it step by step until it can")
			p = nil
		}
	}()
	found := 0
	for _, t := range parser.Scan(source, parser.SourceLoc{}, nil) {
		if t.Type == parser.ObjTokenType || t.Type == parser.TagTokenType {
			found++
		}
	}
	root, err := f.c.engine.Compile(source, parser.SourceLoc{})
	if err != nil || found != placeholders {
		f.problem(CodeSyntax, 0, "", "the template cannot be read", "simplify it step by step until it can")
		return nil
	}
	return &program{field: f.name, root: root}
}

func mark(trim bool) string {
	if trim {
		return "-"
	}
	return ""
}

// tooLong refuses a source longer than the longest message: with values in it
// the message could only be longer still, and it bounds the work of compiling.
func (f *part) tooLong() {
	if n, most := utf16Length(f.src), f.c.limits.Text; n > most {
		f.problem(CodeSourceTooLong, 0, "", fmt.Sprintf("the template has %d characters, a message at most %d", n, most), "shorten it")
	}
}

// text looks for the placeholders of other tools, which would be sent as they
// stand.
func (f *part) text(p piece) {
	for _, at := range singleBraces.FindAllStringSubmatchIndex(p.source, -1) {
		inner := strings.TrimSpace(p.source[at[2]:at[3]])
		name := f.c.byWords(inner)
		if name == "" && !identifier.MatchString(inner) {
			continue
		}
		fix := "to send the braces themselves, write " + `{{ "` + p.source[at[0]:at[1]] + `" }}`
		if name != "" {
			fix = "write {{ " + name + " }}; " + fix
		} else {
			fix = f.c.available() + "; " + fix
		}
		f.problem(CodeSingleBrace, p.offset+at[0], p.source[at[0]:at[1]],
			"single braces are not a placeholder: this would be sent as it stands", fix)
	}
	if n := len(f.blocks); n > 0 && f.blocks[n-1].tag == "case" && !f.blocks[n-1].sawWhen && !f.blocks[n-1].sawElse {
		if lead := len(p.source) - len(strings.TrimLeft(p.source, " \t\r\n")); lead < len(p.source) {
			f.problem(CodeBlock, p.offset+lead, "", "text between {% case %} and the first {% when %} is never sent",
				"move it before {% case %} or into a {% when %}")
		}
	}
}

// tag reads one {% … %} and keeps the account of open blocks.
func (f *part) tag(p piece) string {
	var b *block
	if n := len(f.blocks); n > 0 {
		b = f.blocks[n-1]
	}
	wrong := func(what, fix string) string {
		f.problem(CodeBlock, p.offset, p.name, what, fix)
		return ""
	}
	if p.name != "" && p.body != "" && p.bodyAt == p.offset+strings.Index(p.source, p.name)+len(p.name) {
		f.problem(CodeSyntax, p.bodyAt, p.body, "a space is missing after "+p.name, "write {% "+p.name+" "+p.body+" %}")
		return ""
	}
	if strings.HasPrefix(p.name, "end") || p.name == "else" {
		if p.body != "" {
			return wrong("{% "+p.name+" %} takes no condition", "for a further condition write {% elsif … %}")
		}
	}
	switch p.name {
	case "if", "unless", "case":
		if len(f.blocks) >= maxNesting {
			f.problem(CodeTooComplex, p.offset, p.name, "too many blocks inside each other", "use {% case %}, or prepare the text in the file")
			return ""
		}
		b = &block{tag: p.name, offset: p.offset, subject: -1}
		f.blocks = append(f.blocks, b)
		out, e := f.read(p, true, (*expression).test)
		switch p.name {
		case "if":
			b.holds, b.other = e.whenTrue, e.whenFalse
		case "unless":
			b.holds, b.other = e.whenFalse, e.whenTrue
		case "case":
			b.subject = f.c.index(p.body)
		}
		return p.name + " " + out

	case "elsif", "else", "when":
		switch {
		case b == nil, p.name == "when" && b.tag != "case", p.name == "elsif" && b.tag != "if":
			inside := map[string]string{"when": "{% case %}", "elsif": "{% if %}", "else": "{% if %}, {% unless %} or {% case %}"}[p.name]
			return wrong("{% "+p.name+" %} stands outside of "+inside, "open "+inside+" before it")
		case b.sawElse:
			return wrong("{% "+p.name+" %} after {% else %} is never reached", "move {% else %} to the end")
		case p.name == "else":
			b.sawElse = true
			b.holds = b.other
			return "else"
		case p.name == "when":
			b.sawWhen = true
			b.holds = nil
			out, e := f.read(p, true, (*expression).values)
			if b.subject >= 0 && !slices.ContainsFunc(e.toks, func(t token) bool { return t.kind == tokenName || t.kind == tokenString && t.text == "" }) {
				b.holds = []int{b.subject}
			}
			return "when " + out
		default:
			b.holds = nil
			out, e := f.read(p, true, (*expression).test)
			b.holds = append(slices.Clip(b.other), e.whenTrue...)
			b.other = append(slices.Clip(b.other), e.whenFalse...)
			return "elsif " + out
		}

	case "endif", "endunless", "endcase":
		if b == nil || p.name != "end"+b.tag {
			if b == nil {
				return wrong("{% "+p.name+" %} closes nothing", "remove it")
			}
			return wrong("{% "+p.name+" %} stands where {% "+b.tag+" %} is open", "close it with {% end"+b.tag+" %}")
		}
		f.blocks = f.blocks[:len(f.blocks)-1]
		return p.name
	}

	const allowed = "available: if, unless, case, with elsif, else and when"
	what, fix := "there is no tag “"+p.name+"”", allowed
	switch p.name {
	case "for", "endfor", "tablerow", "endtablerow", "cycle", "break", "continue", "increment", "decrement":
		what, fix = "loops are not available: a row has single values, not lists", allowed
	case "include", "render", "layout", "section", "block":
		what, fix = "templates cannot include files", "put the text here; "+allowed
	case "assign", "capture", "endcapture":
		what, fix = "templates cannot assign", "write the expression where it is needed, or add a column; "+allowed
	case "elseif", "else_if", "elif":
		fix = "did you mean elsif? " + allowed
	case "end":
		fix = "write {% endif %}, {% endunless %} or {% endcase %}"
	case "":
		what = "the tag has no name"
	default:
		if f.c.has(p.name) {
			fix = "to print the column write {{ " + p.name + " }}"
		} else if near := campaign.Nearest(p.name, tagNames()); near != "" {
			fix = "did you mean " + near + "? " + allowed
		}
	}
	f.problem(CodeUnknownTag, p.offset, p.name, what, fix)
	return ""
}

func tagNames() []string {
	return []string{"if", "elsif", "else", "endif", "unless", "endunless", "case", "when", "endcase"}
}

// use records where a column is used.
func (f *part) use(v, at int, condition bool) {
	line, column := position(f.src, at)
	guarded := slices.ContainsFunc(f.blocks, func(b *block) bool { return slices.Contains(b.holds, v) })
	f.uses = append(f.uses, Use{
		variable: v, Field: f.name, Line: line, Column: column, Condition: condition, Guarded: guarded,
	})
}

func (f *part) available() string { return f.c.available() }

func (f *part) problem(code string, at int, value, what, fix string) {
	if len(f.c.problems) == maxProblems {
		f.c.more++ // without the work of finding the place
		return
	}
	line, column := position(f.src, at)
	f.c.report(campaign.Problem{
		Code: code, Line: int64(line), Column: column, Field: f.name, Value: quote(value), What: what, Fix: fix,
	})
}
