package templates

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/herald-campaigns/herald/campaign"
)

// Bounds on what one field may ask of the engine. They are far beyond any
// message; with the bound on every value (maxBytes) they bound the work of a
// render, which is why a template may be as long as a message and need not be
// kept to a few kilobytes.
const (
	maxPlaceholders = 500
	maxFilters      = 200
	maxNesting      = 20
)

// expression reads what stands between braces and writes it again in the form
// the engine gets: columns become v0, v1 …, everything written in the template
// becomes k0, k1 …, both bound to a *value. So the engine never compares with
// its own rules, its lexer sees nothing it could stumble over (it panics on a
// long number), and a mistake is found at its place and before the first row,
// while Liquid finds an unknown filter only when it runs.
//
//	object    = filtered
//	condition = relation { ("and" | "or") relation }
//	relation  = operand [ ("==" | "!=" | "<" | ">" | "<=" | ">=" | "contains") operand ]
//	operand   = filtered | "(" condition ")"
//	filtered  = primary { "|" filter [ ":" primary { "," primary } ] }
//	primary   = column | string | number | true | false | nil | blank | empty
type expression struct {
	f     *part
	whole piece
	toks  []token
	next  int
	depth int

	condition bool // the columns decide, they are not printed

	// Columns that cannot be blank where the condition came out true, or
	// false: their blanks need no default there.
	whenTrue, whenFalse []int
}

type token struct {
	kind tokenKind
	text string
	at   int // offset in the source
}

type tokenKind int

const (
	tokenEnd tokenKind = iota
	tokenName
	tokenString
	tokenNumber
	tokenSign // operators and punctuation
)

// giveUp ends the reading of one expression; its problem is reported.
type giveUp struct{}

// read runs one production over the piece and returns the engine's form, or
// "" when a problem was reported.
func (f *part) read(whole piece, condition bool, production func(*expression) string) (out string, e *expression) {
	e = &expression{f: f, whole: whole, condition: condition}
	defer func() {
		if r := recover(); r != nil {
			if _, ok := r.(giveUp); !ok {
				panic(r)
			}
			out = ""
		}
	}()
	e.lex()
	out = production(e)
	e.end()
	return out, e
}

// fail reports the first thing wrong and leaves the expression.
func (e *expression) fail(code string, at int, value, what, fix string) {
	e.f.problem(code, at, value, what, fix)
	panic(giveUp{})
}

func (e *expression) lex() {
	src, at, end := e.f.src, e.whole.bodyAt, e.whole.bodyAt+len(e.whole.body)
	for at < end {
		r, size := utf8.DecodeRuneInString(src[at:end])
		from := at
		switch {
		case unicode.IsSpace(r):
			at += size
			continue
		case r == '"' || r == '\'':
			n := strings.IndexByte(src[at+1:end], byte(r))
			if n < 0 {
				e.fail(CodeQuotes, at, src[at:end], "the quotation mark is never closed",
					"end the text with the same mark, "+string(r)+"; inside it the other mark may be used")
			}
			at += n + 2
			e.toks = append(e.toks, token{tokenString, src[from+1 : at-1], from})
			continue
		case strings.ContainsRune("“”„‟‘’‚«»‹›", r):
			e.fail(CodeQuotes, at, string(r), "curly quotation marks do not quote here",
				`use straight ones: "there"`)
		case r >= '0' && r <= '9', r == '-' && startsNumber(src[at:end]):
			at++
			for at < end && (isDigit(src[at]) || src[at] == '.' && at+1 < end && isDigit(src[at+1])) {
				at++
			}
			text := src[from:at]
			if _, ok := parseNumber(text); !ok || at < end && (isWordByte(src[at]) || src[at] >= utf8.RuneSelf) {
				e.fail(CodeSyntax, from, text, "this is not a number",
					"write numbers as 1234.5 and put text in quotation marks")
			}
			e.toks = append(e.toks, token{tokenNumber, text, from})
			continue
		case r == '_' || unicode.IsLetter(r):
			for at < end {
				r, size = utf8.DecodeRuneInString(src[at:end])
				if r != '_' && r != '-' && !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.IsMark(r) {
					break
				}
				at += size
			}
			e.toks = append(e.toks, token{tokenName, src[from:at], from})
			continue
		}
		at += size
		if two := src[from:min(end, from+2)]; two == "==" || two == "!=" || two == "<=" || two == ">=" ||
			two == "<>" || two == "&&" || two == "||" || two == ".." {
			at = from + 2
		}
		e.toks = append(e.toks, token{tokenSign, src[from:at], from})
	}
	e.toks = append(e.toks, token{kind: tokenEnd, at: end})
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func (e *expression) peek() token { return e.toks[e.next] }

func (e *expression) take() token {
	t := e.toks[e.next]
	if t.kind != tokenEnd {
		e.next++
	}
	return t
}

// accept takes the sign or word if it comes next.
func (e *expression) accept(text string) bool {
	t := e.peek()
	if t.text != text || t.kind != tokenSign && t.kind != tokenName {
		return false
	}
	e.next++
	return true
}

// end refuses what is left over, with the advice that fits it.
func (e *expression) end() {
	t := e.peek()
	if t.kind == tokenEnd {
		return
	}
	what, fix := "“"+t.text+"” does not belong here", "a placeholder is {{ column }} or {{ column | filter: argument }}"
	if e.condition {
		fix = `a condition is column, column == "text" or column > 100, joined by and / or`
	}
	switch {
	case t.text == "." || t.text == "[":
		what = "columns have no parts"
		fix = "write {{ column }}; " + e.f.available()
		if after := e.toks[min(e.next+1, len(e.toks)-1)]; e.f.c.has(after.text) {
			fix = "write {{ " + after.text + " }}"
		}
	case t.text == "..":
		what, fix = "ranges are not available, as loops are not", "write the values one by one"
	case t.kind == tokenName || t.kind == tokenNumber || t.kind == tokenString:
		if name := e.f.c.byWords(e.whole.body); name != "" && !e.condition {
			what = "a column is written as one word"
			fix = "write {{ " + name + " }} for the column “" + e.f.c.header(name) + "”"
		}
	case t.text == "=":
		what, fix = "one “=” does not compare", "write =="
	case t.text == "<>":
		what, fix = "“<>” does not compare", "write !="
	case t.text == "&&":
		what, fix = "“&&” is not known", "write and"
	case t.text == "||":
		what, fix = "“||” is not known", "write or, or a single | before a filter"
	case isComparison(t) && !e.condition:
		what = "a placeholder prints, it does not compare"
		fix = "put the comparison into {% if … %}"
	case t.text == "{" || t.text == "}":
		what, fix = "a brace too many", "two braces on each side: {{ name }}"
	}
	e.fail(CodeSyntax, t.at, t.text, what, fix)
}

func isComparison(t token) bool {
	switch t.text {
	case "==", "!=", "<", ">", "<=", ">=", "contains":
		return t.kind == tokenSign || t.kind == tokenName
	}
	return false
}

// object is what {{ … }} holds.
func (e *expression) object() string {
	first := e.peek()
	if first.kind == tokenEnd {
		e.fail(CodeNoName, e.whole.offset, e.whole.source, "the placeholder names no column",
			"write {{ column }}; "+e.f.available())
	}
	out := e.filtered()
	if first.kind == tokenNumber && e.next == 1 && e.peek().kind == tokenEnd {
		e.fail(CodePositional, first.at, e.whole.source, "columns have names here, not numbers: this would print “"+first.text+"”",
			"write {{ column }}; "+e.f.available())
	}
	return out
}

// test is what {% if … %} holds.
func (e *expression) test() string {
	if e.peek().kind == tokenEnd {
		e.fail(CodeSyntax, e.whole.offset, e.whole.source, "the condition is missing",
			`write {% `+e.whole.name+` column %} or {% `+e.whole.name+` column == "text" %}`)
	}
	return e.cond()
}

func (e *expression) cond() string {
	if e.depth++; e.depth > maxNesting {
		e.fail(CodeTooComplex, e.peek().at, "", "too many parentheses inside each other", "split the condition into several {% if %}")
	}
	defer func() { e.depth-- }()

	out := e.relation()
	joint := ""
	for {
		t := e.peek()
		if t.kind != tokenName || t.text != "and" && t.text != "or" {
			return out
		}
		// Liquid reads "a and b or c" from right to left, other languages from
		// left to right. A message to a thousand people is no place to guess.
		if joint != "" && joint != t.text {
			e.fail(CodeSyntax, t.at, t.text, "and and or in one condition can be read in two ways",
				"say with parentheses what belongs together: a and (b or c)")
		}
		joint = t.text
		e.next++
		whenTrue, whenFalse := e.whenTrue, e.whenFalse
		e.whenTrue, e.whenFalse = nil, nil
		out += " " + joint + " " + e.relation()
		if joint == "and" {
			e.whenTrue, e.whenFalse = append(whenTrue, e.whenTrue...), nil
		} else {
			e.whenTrue, e.whenFalse = nil, append(whenFalse, e.whenFalse...)
		}
	}
}

func (e *expression) relation() string {
	start := e.next
	left := e.operand()
	simple := e.next == start+1
	if !isComparison(e.peek()) {
		if v := e.column(start); simple && v >= 0 {
			e.whenTrue = append(e.whenTrue, v)
		}
		return left
	}
	op := e.take()
	right := e.peek()
	out := left + " " + op.text + " " + e.operand()
	if v := e.column(start); simple && v >= 0 {
		blank := strings.TrimSpace(right.text) == "" || right.kind == tokenName && literal(right.text) == kindBlank
		switch {
		case op.text == "==" && blank:
			e.whenFalse = append(e.whenFalse, v)
		case op.text == "!=" && blank, op.text != "!=" && !blank && right.kind != tokenName:
			e.whenTrue = append(e.whenTrue, v)
		}
	}
	return out
}

// column is the number of the column that token i names, or -1.
func (e *expression) column(i int) int {
	if e.toks[i].kind != tokenName {
		return -1
	}
	return e.f.c.index(e.toks[i].text)
}

func (e *expression) operand() string {
	if e.accept("(") {
		out := e.cond()
		if !e.accept(")") {
			e.fail(CodeSyntax, e.peek().at, "", "the parenthesis is never closed", "add )")
		}
		e.whenTrue, e.whenFalse = nil, nil
		return "(" + out + ")"
	}
	start := e.next
	out := e.filtered()
	if e.next > start+1 {
		// The engine's grammar compares only what stands in parentheses.
		return "(" + out + ")"
	}
	return out
}

// values is what {% when … %} holds; Shopify's Liquid also takes "or" for the
// comma.
func (e *expression) values() string {
	all := []string{e.primary()}
	for e.accept(",") || e.accept("or") {
		all = append(all, e.primary())
	}
	return strings.Join(all, " , ")
}

func (e *expression) filtered() string {
	firstUse := len(e.f.uses)
	steps := []string{e.primary()}
	for e.accept("|") {
		name := e.take()
		spec := e.filter(name)
		if e.f.filters++; e.f.filters > maxFilters {
			e.fail(CodeTooComplex, name.at, "", fmt.Sprintf("more than %d filters in one text", maxFilters), "prepare the values in the file instead")
		}
		var args []token
		var written []string
		if e.accept(":") {
			for more := true; more; more = e.accept(",") {
				args = append(args, e.peek())
				written = append(written, e.primary())
			}
		}
		e.arguments(spec, name, args)
		step := spec.Name
		if len(written) > 0 {
			step += ": " + strings.Join(written, " , ")
		}
		steps = append(steps, step)
		if spec.Name == "default" {
			// What came before is covered now, and the default itself only
			// stands in: neither needs a value of its own.
			for i := range e.f.uses[firstUse:] {
				e.f.uses[firstUse+i].Default = true
			}
		}
	}
	return strings.Join(steps, " | ")
}

func (e *expression) filter(name token) *Filter {
	if name.kind != tokenName {
		e.fail(CodeSyntax, name.at, name.text, "a filter's name is missing after |", "available: "+listedFilters())
	}
	if spec := filterNamed(name.text); spec != nil {
		return spec
	}
	fix := "available: " + listedFilters()
	switch name.text {
	case "split", "first":
		fix = "for the first name in a full name use first_word; " + fix
	default:
		near := knownElsewhere[strings.ToLower(name.text)]
		if near == "" {
			near = campaign.Nearest(name.text, filterNames())
		}
		if near != "" {
			fix = "did you mean " + near + "? " + fix
		}
	}
	e.fail(CodeUnknownFilter, name.at, name.text, "there is no filter “"+name.text+"”", fix)
	return nil
}

// knownElsewhere are the names our filters have in other tools. Only read.
var knownElsewhere = map[string]string{
	"upper": "upcase", "uppercase": "upcase", "lower": "downcase", "lowercase": "downcase", "titleize": "title", "titlecase": "title",
	"trim": "strip", "currency": "money", "number": "money", "format_number": "money", "length": "size", "count": "size",
	"add": "plus", "subtract": "minus", "multiply": "times", "divide": "divided_by", "fallback": "default", "date_format": "date",
}

// arguments checks number and kind of what a filter is given.
func (e *expression) arguments(spec *Filter, name token, args []token) {
	if len(args) < spec.required || len(args) > len(spec.args) {
		e.fail(CodeFilterArg, name.at, name.text, fmt.Sprintf("%s takes %s, not %d", spec.Name, spec.takes(), len(args)),
			"for example "+spec.Example)
	}
	for i, arg := range args {
		switch spec.args[i] {
		case argWhole:
			if arg.kind == tokenString || arg.kind == tokenNumber && !allDigits(arg.text) {
				e.fail(CodeFilterArg, arg.at, arg.text, spec.Name+" takes a whole number here", "for example "+spec.Example)
			}
		case argNumber:
			if _, ok := parseNumber(arg.text); arg.kind == tokenString && !ok {
				e.fail(CodeFilterArg, arg.at, arg.text, spec.Name+" takes a number here", "for example "+spec.Example)
			}
		case argFormat:
			if arg.kind != tokenString {
				e.fail(CodeFilterArg, arg.at, arg.text, "the way a date is written must stand in quotation marks", "for example "+spec.Example)
			}
			if bad := badDirective(arg.text); bad != "" {
				e.fail(CodeFilterArg, arg.at, bad, "dates know no “"+bad+"”", "available: "+strings.Join(directives(), " "))
			}
		case argText:
		}
	}
}

// literal tells the kind of a word that is not a column, kindText for none.
func literal(name string) kind {
	switch name {
	case "true", "false":
		return kindBool
	case "nil", "null", "blank", "empty":
		return kindBlank
	}
	return kindText
}

func (e *expression) primary() string {
	t := e.take()
	switch t.kind {
	case tokenString:
		return e.f.c.constant(value{text: t.text, kind: kindQuoted})
	case tokenNumber:
		return e.f.c.constant(value{text: t.text, kind: kindNumber})
	case tokenName:
		if v := e.f.c.index(t.text); v >= 0 {
			e.f.use(v, t.at, e.condition)
			return e.f.c.variable(v)
		}
		switch literal(t.text) {
		case kindBool:
			return e.f.c.constant(value{text: t.text, kind: kindBool})
		case kindBlank:
			return e.f.c.constant(value{kind: kindBlank})
		case kindText, kindQuoted, kindNumber: // no literal
		}
		e.unknown(t)
	case tokenSign, tokenEnd:
		what, fix := "a column or a value is missing here", e.f.available()
		switch t.text {
		case "{", "}":
			what, fix = "a brace too many", "two braces on each side: {{ name }}"
		case "(":
			what, fix = "parentheses only group conditions", "write the value without them"
		case "!":
			what, fix = "“!” is not known", `write {% unless … %}, or column == blank`
		}
		e.fail(CodeSyntax, t.at, t.text, what, fix)
	}
	return ""
}

func (e *expression) unknown(t token) {
	// "First Name" and "contact.name" are one mistake, not an unknown column
	// called First or contact.
	if name := e.f.c.byWords(e.whole.body); name != "" && !e.condition && e.whole.body != t.text {
		e.fail(CodeUnknownColumn, t.at, e.whole.body, "a column is written as one word",
			"write {{ "+name+" }} for the column “"+e.f.c.header(name)+"”")
	}
	if after := e.peek(); after.text == "." && e.next+1 < len(e.toks) && e.f.c.has(e.toks[e.next+1].text) {
		e.fail(CodeSyntax, t.at, t.text, "columns have no parts", "write {{ "+e.toks[e.next+1].text+" }}")
	}
	what, fix := "there is no column “"+t.text+"”", ""
	if near := e.f.c.nearest(t.text); near != "" {
		fix = "did you mean " + near
		if h := e.f.c.header(near); h != near {
			fix += " (“" + h + "”)"
		}
		fix += "? "
	}
	if t.text == "not" {
		what, fix = "“not” is not known", "write {% unless … %}, or column == blank. "
	}
	e.fail(CodeUnknownColumn, t.at, t.text, what, fix+e.f.available())
}
