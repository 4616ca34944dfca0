package templates

import (
	"strings"
)

// piece is a stretch of a template's source.
type piece struct {
	kind   pieceKind
	offset int    // of the piece in the source, in bytes
	source string // all of it, with its braces

	// Of objects and tags:
	name                string // tag name
	body                string // the expression, or the tag's arguments
	bodyAt              int    // offset of body in the source
	trimLeft, trimRight bool   // "{{-", "-}}"
}

type pieceKind int

const (
	pieceText   pieceKind = iota
	pieceObject           // {{ … }}
	pieceTag              // {% … %}
)

// scan splits a source the way Liquid does, and reports what Liquid would let
// pass as text: a "{{" or "{%" without its end on the same line. Text pieces
// hold neither, so Liquid finds in the result what scan found.
func (f *part) scan() []piece {
	var pieces []piece
	rest, start := 0, 0
	text := func(end int) {
		if start < end {
			pieces = append(pieces, piece{kind: pieceText, offset: start, source: f.src[start:end]})
		}
	}
	for rest < len(f.src) {
		i := strings.IndexByte(f.src[rest:], '{')
		if i < 0 || rest+i+1 >= len(f.src) {
			break
		}
		at := rest + i
		open := f.src[at : at+2]
		if open != "{{" && open != "{%" {
			rest = at + 1
			continue
		}
		end := f.closing(at, open)
		if end < 0 {
			rest = at + 2
			continue
		}
		text(at)
		pieces = append(pieces, f.placeholder(at, end))
		start, rest = end, end
	}
	text(len(f.src))
	return pieces
}

// closing finds the end of the placeholder that opens at at, or reports that
// there is none and returns -1.
func (f *part) closing(at int, open string) int {
	closer := map[string]string{"{{": "}}", "{%": "%}"}[open]
	// Only up to the next opening: else a text of nothing but openings would
	// be searched from each of them to its end.
	line := f.src[at+2:]
	if i := strings.Index(line, open); i >= 0 {
		line = line[:i]
	}
	if i := strings.IndexByte(line, '\n'); i >= 0 {
		line = line[:i]
	}
	i := strings.Index(line, closer)
	if i < 0 {
		f.problem(CodeUnfinished, at, open,
			"“"+open+"” is never closed on this line, so it would be sent as it stands",
			"close it with “"+closer+"”; to send the braces themselves write "+`{{ "{" }}`+map[string]string{"{{": `{{ "{" }}`, "{%": "%"}[open])
		return -1
	}
	return at + 2 + i + 2
}

// placeholder takes the braces, the trim marks and the tag's name off.
func (f *part) placeholder(at, end int) piece {
	p := piece{kind: pieceObject, offset: at, source: f.src[at:end]}
	from, to := at+2, end-2
	if from < to && f.src[from] == '-' && !startsNumber(f.src[from:to]) {
		p.trimLeft = true
		from++
	}
	if from < to && f.src[to-1] == '-' {
		p.trimRight = true
		to--
	}
	from, to = trimSpan(f.src, from, to)
	if f.src[at+1] == '%' {
		p.kind = pieceTag
		nameEnd := from
		for nameEnd < to && isWordByte(f.src[nameEnd]) {
			nameEnd++
		}
		p.name = f.src[from:nameEnd]
		from, to = trimSpan(f.src, nameEnd, to)
	}
	p.body, p.bodyAt = f.src[from:to], from
	return p
}

// startsNumber tells {{-5 }}, which is about a number, from {{-name }}.
func startsNumber(s string) bool { return len(s) > 1 && s[1] >= '0' && s[1] <= '9' }

func isWordByte(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// trimSpan narrows a span by the blanks at its ends, the no-break space that
// word processors leave behind among them.
func trimSpan(src string, from, to int) (int, int) {
	const blanks = " \t\r\u00a0"
	s := src[from:to]
	from += len(s) - len(strings.TrimLeft(s, blanks))
	return from, from + len(strings.Trim(s, blanks))
}
