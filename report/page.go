package report

import (
	"bufio"
	"io"
	"strings"

	"github.com/rivo/uniseg"
)

// page writes text that never runs over its width. It knows how wide text is
// on a terminal (a Chinese character takes two cells, a Devanagari vowel sign
// none) and which characters the terminal has.
type page struct {
	w     *bufio.Writer
	width int
	color bool
	ascii bool
	brief bool
}

// Terminal styles (ECMA-48 SGR parameters).
const (
	bold   = "1"
	dim    = "2"
	red    = "31"
	green  = "32"
	yellow = "33"
)

const indent = "  "

func newPage(w io.Writer, opts TextOptions) *page {
	return &page{w: bufio.NewWriter(w), width: opts.Width, color: opts.Color, ascii: opts.ASCII, brief: opts.Brief}
}

// close reports the first error of all writes.
func (p *page) close() error { return p.w.Flush() }

// line writes one line that is known to fit, without trailing blanks.
func (p *page) line(parts ...string) {
	// A bufio.Writer keeps its first error, and close reports it.
	_, _ = p.w.WriteString(strings.TrimRight(strings.Join(parts, ""), " "))
	_ = p.w.WriteByte('\n')
}

// heading starts a section.
func (p *page) heading(title string) {
	p.line()
	p.line(p.style(bold, title))
}

// para writes text under the prefix, broken between words; later lines are
// indented as far as the prefix is wide.
func (p *page) para(prefix, text string) { p.styledPara("", prefix, text) }

func (p *page) styledPara(style, prefix, text string) {
	hang := strings.Repeat(" ", uniseg.StringWidth(prefix))
	for i, l := range p.wrap(text, p.width-len(hang)) {
		if i > 0 {
			prefix = hang
		}
		p.line(prefix, p.style(style, l))
	}
}

// wrap breaks text between words into lines of at most width cells. A word
// longer than a line, such as a path, is broken, not cut: nothing is lost.
func (p *page) wrap(text string, width int) []string {
	var lines []string
	line, used := "", 0
	for word := range strings.FieldsSeq(p.safe(text)) {
		w := uniseg.StringWidth(word)
		if used > 0 && used+1+w > width {
			lines = append(lines, line)
			line, used = "", 0
		}
		if used > 0 {
			line += " "
			used++
		}
		for used+w > width {
			head := prefix(word, width)
			if head == "" || head == word {
				break
			}
			lines = append(lines, head)
			word = word[len(head):]
			w = uniseg.StringWidth(word)
		}
		line += word
		used += w
	}
	return append(lines, line)
}

// prefix is as much of s as fits width cells, in whole characters.
func prefix(s string, width int) string {
	end := 0
	for graphemes := uniseg.NewGraphemes(s); graphemes.Next(); {
		width -= graphemes.Width()
		if width < 0 {
			break
		}
		_, end = graphemes.Positions()
	}
	return s[:end]
}

// fit shortens s to at most width cells.
func (p *page) fit(s string, width int) string {
	s = p.safe(s)
	if uniseg.StringWidth(s) <= width {
		return s
	}
	dots := "…"
	if p.ascii {
		dots = "..."
	}
	return prefix(s, width-uniseg.StringWidth(dots)) + dots
}

// left and right pad s, shortened if need be, to exactly width cells.
func (p *page) left(s string, width int) string {
	s = p.fit(s, width)
	return s + strings.Repeat(" ", width-uniseg.StringWidth(s))
}

func (p *page) right(s string, width int) string {
	s = p.fit(s, width)
	return strings.Repeat(" ", width-uniseg.StringWidth(s)) + s
}

// bar draws a share (0…1) as a bar of at most width cells; something is never
// drawn as nothing, and not all never as all.
func (p *page) bar(share float64, width int) string {
	full := int(share*float64(width) + 0.5)
	if share > 0 {
		full = max(full, 1)
	}
	if share < 1 {
		full = min(full, width-1)
	}
	full = min(max(full, 0), width)
	on, off := "█", "░"
	if p.ascii {
		on, off = "#", "."
	}
	return p.style(green, strings.Repeat(on, full)) + p.style(dim, strings.Repeat(off, width-full))
}

// rule is a line of dashes.
func (p *page) rule(width int) string {
	if p.ascii {
		return strings.Repeat("-", width)
	}
	return strings.Repeat("─", width)
}

// dot separates things on one line.
func (p *page) dot() string {
	if p.ascii {
		return " - "
	}
	return " · "
}

// safe makes s printable on this terminal.
func (p *page) safe(s string) string {
	s = printable(s)
	if !p.ascii {
		return s
	}
	return strings.Map(func(r rune) rune {
		if r > 0x7e {
			return '?'
		}
		return r
	}, strings.ReplaceAll(s, "…", "..."))
}

func (p *page) style(code, s string) string {
	if !p.color || code == "" || s == "" {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}
