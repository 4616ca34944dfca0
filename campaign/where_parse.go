package campaign

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// CodeWhere is the code of the problem in a Where expression.
const CodeWhere = "E_WHERE"

// Bounds of an expression. Nobody writes longer ones by hand.
const (
	maxWhere      = 1000 // bytes
	maxWhereDepth = 50   // parentheses and nots inside each other
)

// ParseWhere reads an expression such as
//
//	delivered and not read
//	failed and retryable
//	voted 'Yes' or (replied and not opted out)
//
// The words are accepted, sent, delivered, read (each includes what is better:
// whoever has read it, has it delivered), failed, retryable, replied, voted,
// voted 'an option', opted out, unknown, skipped, skipped 'a reason', canceled,
// waiting, variant 'a name', and holdout; "and" binds stronger than "or".
//
// What is wrong with it comes as an *InputError with one problem: its Column
// counts characters from 1, and What shows the place under a caret.
func ParseWhere(text string) (Where, error) {
	p := &whereParser{source: text, words: whereWords()}
	tooLong := Reject(Problem{Code: CodeWhere, What: "the expression is too long, or no text", Fix: "write up to 1,000 characters"})
	if len(text) > maxWhere || !utf8.ValidString(text) {
		return Where{}, tooLong
	}
	p.tokens = tokensOf(text)
	root, problem := p.either()
	if problem == nil && p.now().kind != tokenEnd {
		problem = p.unexpected()
	}
	if problem != nil {
		return Where{}, Reject(*problem)
	}
	w := Where{root: root}
	if len(w.String()) > maxWhere { // or it could not be read back
		return Where{}, tooLong
	}
	return w, nil
}

type tokenKind int

const (
	tokenEnd tokenKind = iota
	tokenWord
	tokenQuoted
	tokenOpen
	tokenClose
	tokenUnclosed // a quote without its end
	tokenOther    // a character that has no meaning here
)

type whereToken struct {
	kind tokenKind
	text string // of a word in lower case; of a quoted text without its quotes
	at   int    // characters before it
}

// closing are the ends of what quotes begin; texts pasted from elsewhere have
// curly ones.
var closing = map[rune]rune{'\'': '\'', '"': '"', '‘': '’', '“': '”', '’': '’', '”': '”'}

func tokensOf(text string) []whereToken {
	runes := []rune(text)
	var tokens []whereToken
	for i := 0; i < len(runes); {
		r, at := runes[i], i
		switch end, quote := closing[r]; {
		case unicode.IsSpace(r):
			i++
		case quote:
			token := whereToken{kind: tokenUnclosed, at: at}
			var inside strings.Builder
			for i++; i < len(runes); i++ {
				if runes[i] != end {
					inside.WriteRune(runes[i])
					continue
				}
				if i++; i < len(runes) && runes[i] == end && (end == '\'' || end == '"') { // written twice: itself
					inside.WriteRune(end)
					continue
				}
				token.kind = tokenQuoted
				break
			}
			token.text = strings.TrimSpace(inside.String())
			tokens = append(tokens, token)
		case r == '(':
			tokens = append(tokens, whereToken{kind: tokenOpen, text: "(", at: at})
			i++
		case r == ')':
			tokens = append(tokens, whereToken{kind: tokenClose, text: ")", at: at})
			i++
		case isWordRune(r):
			for i < len(runes) && isWordRune(runes[i]) {
				i++
			}
			tokens = append(tokens, whereToken{kind: tokenWord, text: string(runes[at:i]), at: at})
		default:
			tokens = append(tokens, whereToken{kind: tokenOther, text: string(r), at: at})
			i++
		}
	}
	return append(tokens, whereToken{at: len(runes)})
}

func isWordRune(r rune) bool {
	return unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r) || r == '_' || r == '-'
}

// whereParser reads tokens by recursive descent.
type whereParser struct {
	source string
	words  []whereWord
	tokens []whereToken
	depth  int
}

func (p *whereParser) now() whereToken { return p.tokens[0] }

func (p *whereParser) next() {
	if len(p.tokens) > 1 {
		p.tokens = p.tokens[1:]
	}
}

// takes passes over a word, if it stands here.
func (p *whereParser) takes(word string) bool {
	if t := p.now(); t.kind != tokenWord || !strings.EqualFold(t.text, word) {
		return false
	}
	p.next()
	return true
}

// either reads clauses joined by "or".
func (p *whereParser) either() (clause, *Problem) { return p.series("or", false, p.both) }

// both reads clauses joined by "and".
func (p *whereParser) both() (clause, *Problem) { return p.series("and", true, p.single) }

func (p *whereParser) series(word string, all bool, read func() (clause, *Problem)) (clause, *Problem) {
	var clauses []clause
	for {
		c, problem := read()
		if problem != nil {
			return nil, problem
		}
		clauses = append(clauses, c)
		if !p.takes(word) {
			return joined(all, clauses), nil
		}
	}
}

// single reads a term, a negation or what stands in parentheses.
func (p *whereParser) single() (clause, *Problem) {
	if p.depth++; p.depth > maxWhereDepth {
		return nil, p.problem(p.now().at, "the expression is nested too deeply", "make it simpler")
	}
	defer func() { p.depth-- }()
	open := p.now()
	switch {
	case open.kind == tokenOpen:
		p.next()
		c, problem := p.either()
		if problem != nil {
			return nil, problem
		}
		if p.now().kind == tokenEnd {
			return nil, p.problem(open.at, "this parenthesis is not closed", "add a ) where it ends")
		}
		if p.now().kind != tokenClose {
			return nil, p.unexpected()
		}
		p.next()
		return c, nil
	case p.takes("not"):
		c, problem := p.single()
		if problem != nil {
			return nil, problem
		}
		return negation{c}, nil
	}
	return p.term()
}

// british is the other spelling of canceled.
const british = "cancelled" //nolint:misspell // some people write it so

// otherSpellings are what people write for our words.
var otherSpellings = map[string]string{
	british: "canceled", "pending": "waiting", "opted_out": "opted out", "opted-out": "opted out", "optout": "opted out",
	"held_out": "holdout", "reply": "replied", "vote": "voted", "answered": "replied", "transient": "retryable", "seen": "read",
	"excluded": "skipped", "queued": "accepted",
}

// term reads one word, with its argument.
func (p *whereParser) term() (clause, *Problem) {
	first := p.now()
	if first.kind != tokenWord || isJoint(first.text) {
		return nil, p.unexpected()
	}
	name := strings.ToLower(first.text)
	p.next()
	if name == "opted" && p.takes("out") {
		name = "opted out"
	}
	// A few spellings are as clear as the words themselves.
	if name == british || name == "opted_out" {
		name = otherSpellings[name]
	}
	i := slices.IndexFunc(p.words, func(w whereWord) bool { return w.name == name })
	if i < 0 {
		return nil, p.noSuchWord(first, name)
	}
	t := term{word: &p.words[i]}
	argument := p.now()
	switch {
	case t.word.argument == noArgument:
		return t, nil // a quoted text here is told of by whoever looks next
	case argument.kind == tokenQuoted, t.word.argument == mustArgue && argument.kind == tokenWord && !isJoint(argument.text):
		t.argument, t.argued = argument.text, true
		p.next()
	case argument.kind == tokenUnclosed:
		return nil, p.unexpected()
	case t.word.argument == mayArgue && argument.kind == tokenWord:
		if problem := p.unquoted(t.word, argument); problem != nil {
			return nil, problem
		}
	case t.word.argument == mustArgue:
		return nil, p.problem(argument.at, "which "+t.word.name+"?", "write for example "+t.word.shown)
	}
	if t.argued && t.argument == "" {
		return nil, p.problem(argument.at, "nothing stands between the quotes", "write for example "+t.word.shown)
	}
	if t.argued && t.word.name == "skipped" {
		if problem := p.skipReason(&t, argument); problem != nil {
			return nil, problem
		}
	}
	return t, nil
}

// unquoted says that an argument lacks its quotes, if these words are meant as
// one: nothing joins them to the word before, and they are none of ours.
func (p *whereParser) unquoted(word *whereWord, first whereToken) *Problem {
	var words []string
	for _, t := range p.tokens {
		if t.kind != tokenWord || isJoint(t.text) {
			break
		}
		words = append(words, t.text)
	}
	text := strings.Join(words, " ")
	reason := slices.ContainsFunc(SkipReasons(), func(r SkipReason) bool { return SameWords(text, string(r)) })
	if text == "" || p.isWord(strings.ToLower(first.text)) && (word.name != "skipped" || !reason) {
		return nil
	}
	return p.problem(first.at, "a text behind "+word.name+" stands in quotes", "write "+term{word: word, argument: text, argued: true}.text())
}

// isWord says whether a word of ours begins so.
func (p *whereParser) isWord(text string) bool {
	return otherSpellings[text] != "" || slices.ContainsFunc(p.words, func(w whereWord) bool {
		return w.name == text || strings.HasPrefix(w.name, text+" ")
	})
}

func isJoint(word string) bool {
	return strings.EqualFold(word, "and") || strings.EqualFold(word, "or") || strings.EqualFold(word, "not")
}

// skipReason checks that there is such a reason.
func (p *whereParser) skipReason(t *term, argument whereToken) *Problem {
	var reasons []string
	for _, reason := range SkipReasons() {
		reasons = append(reasons, string(reason))
		if SameWords(t.argument, string(reason)) {
			t.argument = string(reason)
			return nil
		}
	}
	fix := "the reasons are " + strings.Join(reasons, ", ")
	if near := Nearest(t.argument, reasons); near != "" {
		fix = "did you mean '" + near + "'?"
	}
	return p.problem(argument.at, "no row is skipped for such a reason", fix)
}

// noSuchWord says what to write instead.
func (p *whereParser) noSuchWord(at whereToken, name string) *Problem {
	names := make([]string, len(p.words))
	for i, w := range p.words {
		names[i] = w.name
	}
	fix := "the words are " + strings.Join(names, ", ") + "; joined by and, or, not"
	if word := otherSpellings[name]; word != "" {
		fix = "did you mean " + word + "?"
	} else if near := Nearest(name, append(names, "and", "or", "not")); near != "" {
		fix = "did you mean " + near + "?"
	}
	return p.problem(at.at, fmt.Sprintf("there is no word %q here", safe(at.text, 30)), fix)
}

// unexpected says what is wrong with the token that stands here.
func (p *whereParser) unexpected() *Problem {
	t := p.now()
	switch t.kind {
	case tokenEnd:
		if strings.TrimSpace(p.source) == "" {
			return p.problem(t.at, "the expression is empty", "write for example delivered and not read")
		}
		return p.problem(t.at, "something is missing here", "write a word such as delivered, read or replied")
	case tokenUnclosed:
		return p.problem(t.at, "this quote is not closed", "put another one where the text ends")
	case tokenQuoted:
		return p.problem(t.at, "a text in quotes belongs behind voted, skipped or variant", "write for example voted 'Yes'")
	case tokenClose:
		return p.problem(t.at, "this parenthesis was never opened, or nothing stands in it", "remove it, or write a word before it")
	case tokenOther:
		return p.problem(t.at, fmt.Sprintf("%q has no meaning here", t.text), "join words by and, or, not")
	case tokenWord:
		if isJoint(t.text) {
			return p.problem(t.at, fmt.Sprintf("a word is missing before %q", strings.ToLower(t.text)), "write for example delivered and not read")
		}
	case tokenOpen:
	}
	return p.problem(t.at, `"and" or "or" is missing before this`, "write for example delivered and not read")
}

// problem is one at a place, shown under a caret.
func (p *whereParser) problem(at int, what, fix string) *Problem {
	line := strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || unicode.IsControl(r) {
			return ' '
		}
		return r
	}, p.source)
	return &Problem{
		Code: CodeWhere, Column: at + 1,
		What: what + "\n    " + line + "\n    " + strings.Repeat(" ", at) + "^", Fix: fix,
	}
}
