package templates

import (
	"strings"
	"unicode"
)

// style is how WhatsApp shows a stretch of text.
type style uint8

const (
	bold style = 1 << iota
	italic
	strike
	code // `…`
	mono // ```…```
	link
)

// span is text of one style.
type span struct {
	text  string
	style style
}

// line is one line of a message.
type line struct {
	kind   lineKind
	number string // of a numbered line, "1"
	spans  []span
}

type lineKind int

const (
	linePlain  lineKind = iota
	lineQuote           // > …
	lineBullet          // - … or * …
	lineNumber          // 1. …
)

// parseMarkup reads WhatsApp's formatting (dossier §11.1): *bold*, _italic_,
// ~strike~, `code` and ```mono```, where the marks touch the text and stand at
// word boundaries, within one line (mono may go over several); quotes, bullets
// and numbers at the start of a line. It never fails: what is no formatting is
// text.
func parseMarkup(text string) []line {
	lines := []line{{}}
	outside := func(part string) {
		for i, s := range strings.Split(part, "\n") {
			if i > 0 {
				lines = append(lines, line{})
			}
			l := &lines[len(lines)-1]
			if len(l.spans) == 0 {
				l.kind, l.number, s = lineStart(s)
			}
			p := inline{emit: func(s span) { l.spans = append(l.spans, s) }}
			p.parse([]rune(s), 0, 0)
		}
	}
	for {
		before, rest, found := strings.Cut(text, "```")
		inside, after, closed := strings.Cut(rest, "```")
		if !found || !closed || strings.TrimSpace(inside) == "" {
			outside(text)
			return lines
		}
		outside(before)
		for i, s := range strings.Split(strings.Trim(inside, "\n"), "\n") {
			if i > 0 {
				lines = append(lines, line{})
			}
			l := &lines[len(lines)-1]
			l.spans = append(l.spans, span{s, mono})
		}
		text = after
	}
}

// lineStart takes the mark of a quote or list item off the line.
func lineStart(s string) (kind lineKind, number, rest string) {
	switch {
	case strings.HasPrefix(s, "> "):
		return lineQuote, "", s[2:]
	case strings.HasPrefix(s, "- "), strings.HasPrefix(s, "* "):
		if strings.TrimSpace(s[2:]) != "" {
			return lineBullet, "", s[2:]
		}
	}
	if n := strings.Index(s, ". "); n >= 1 && n <= 3 && allDigits(s[:n]) {
		return lineNumber, s[:n], s[n+2:]
	}
	return linePlain, "", s
}

// inline parses the formatting within a line.
type inline struct {
	emit func(span)
	// loose, if set, gets the index of every mark that is none.
	loose func(at int)
}

var markStyles = map[rune]style{'*': bold, '_': italic, '~': strike}

// parse emits the spans of r, which starts at index base of its line. Its work
// is linear: a mark without a partner is looked for once.
func (p *inline) parse(r []rune, st style, base int) {
	var missing [3]bool // marks that have no closing partner further on
	start := 0
	flush := func(to int) {
		if start < to {
			p.emit(span{string(r[start:to]), st})
		}
	}
	for i := 0; i < len(r); {
		if n := linkLength(r, i); n > 0 {
			flush(i)
			p.emit(span{string(r[i : i+n]), st | link})
			i += n
			start = i
			continue
		}
		if r[i] == '`' {
			if j := indexRune(r, i+1, '`'); j > i+1 && strings.TrimSpace(string(r[i+1:j])) != "" {
				flush(i)
				p.emit(span{string(r[i+1 : j]), st | code})
				i = j + 1
				start = i
				continue
			}
		}
		mark := markStyles[r[i]]
		if mark == 0 || st&mark != 0 {
			i++
			continue
		}
		kind := strings.IndexRune("*_~", r[i])
		end := -1
		if opens(r, i) && !missing[kind] {
			if end = closing(r, i); end < 0 {
				missing[kind] = true
			}
		}
		if end < 0 {
			if p.loose != nil {
				p.loose(base + i)
			}
			i++
			continue
		}
		flush(i)
		p.parse(r[i+1:end], st|mark, base+i+1)
		i = end + 1
		start = i
	}
	flush(len(r))
}

// opens says whether the mark at i can begin a span: at a word boundary,
// touching the text, not doubled.
func opens(r []rune, i int) bool {
	if i > 0 && (isWord(r[i-1]) || r[i-1] == r[i]) {
		return false
	}
	return i+1 < len(r) && !unicode.IsSpace(r[i+1]) && r[i+1] != r[i]
}

// closes says whether the mark at i can end a span.
func closes(r []rune, i int) bool {
	if i+1 < len(r) && (isWord(r[i+1]) || r[i+1] == r[i]) {
		return false
	}
	return i > 0 && !unicode.IsSpace(r[i-1]) && r[i-1] != r[i]
}

func closing(r []rune, i int) int {
	for j := i + 2; j < len(r); j++ {
		if r[j] == r[i] && closes(r, j) {
			return j
		}
	}
	return -1
}

func isWord(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r) }

func indexRune(r []rune, from int, c rune) int {
	for i := from; i < len(r); i++ {
		if r[i] == c {
			return i
		}
	}
	return -1
}

// linkLength is the length of the http address that starts at i, 0 for none.
func linkLength(r []rune, i int) int {
	if r[i]|0x20 != 'h' || i > 0 && isWord(r[i-1]) {
		return 0
	}
	head := strings.ToLower(string(r[i:min(len(r), i+8)]))
	scheme := 0
	switch {
	case strings.HasPrefix(head, "https://"):
		scheme = 8
	case strings.HasPrefix(head, "http://"):
		scheme = 7
	default:
		return 0
	}
	end := i + scheme
	for end < len(r) && !unicode.IsSpace(r[end]) && !unicode.IsControl(r[end]) && !strings.ContainsRune(`<>"`+"`", r[end]) {
		end++
	}
	// Punctuation and marks at the end belong to the sentence.
	for end > i+scheme && strings.ContainsRune(".,;:!?)'*_~", r[end-1]) {
		end--
	}
	if end == i+scheme {
		return 0
	}
	return end - i
}
