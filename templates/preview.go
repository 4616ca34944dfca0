package templates

import (
	"fmt"
	"html"
	"html/template"
	"slices"
	"strings"
	"unicode"

	"github.com/rivo/uniseg"

	"github.com/herald-campaigns/herald/campaign"
)

// Bubble shows a message about as WhatsApp does.
type Bubble struct {
	msg campaign.Message
}

// Preview shows a rendered message. Which row to show is the caller's choice:
// by number, by recipient, or the longest, shortest or blankest that Stats
// found.
func Preview(msg campaign.Message) Bubble { return Bubble{msg} }

// Width bounds of the box in a terminal, in columns.
const (
	maxBoxWidth = 60
	minBoxWidth = 20
)

// Terminal draws the message in a box of at most 60 columns, and at most width
// if that is not 0. With color the formatting is shown by ANSI codes; without,
// the text stands as it is sent, marks and all. Nothing in the message reaches
// the terminal as a control character, and characters that change the
// direction of text are shown by their number.
func (b Bubble) Terminal(width int, color bool) string {
	if width <= 0 || width > maxBoxWidth {
		width = maxBoxWidth
	}
	inner := max(width, minBoxWidth) - 4

	var rows [][]glyph
	add := func(lead, follow, text string, st style) {
		rows = append(rows, wrap(glyphs(nil, text, st), inner, lead, follow)...)
	}
	if b.msg.ReplyTo != "" {
		add("↩ ", "  ", "in reply to "+quote(b.msg.ReplyTo), faint)
	}
	if m := b.msg.Media; m != nil {
		add("📎 ", "   ", mediaLine(*m), 0)
	}
	if p := b.msg.Poll; p != nil {
		add("", "", p.Question, bold)
		add("", "", pollHint(*p), faint)
		for _, o := range p.Options {
			add("○ ", "  ", o, 0)
		}
	}
	if b.msg.Text != "" && len(rows) > 0 {
		rows = append(rows, nil)
	}
	if b.msg.Text != "" && !color {
		for s := range strings.SplitSeq(b.msg.Text, "\n") {
			add("", "", s, 0)
		}
	}
	if b.msg.Text != "" && color {
		for _, l := range parseMarkup(b.msg.Text) {
			lead, follow := lineMark(l)
			var g []glyph
			for _, s := range l.spans {
				g = glyphs(g, s.text, s.style)
			}
			rows = append(rows, wrap(g, inner, lead, follow)...)
		}
	}

	widest := 0
	for _, r := range rows {
		widest = max(widest, widthOf(r))
	}
	var out strings.Builder
	out.WriteString("╭" + strings.Repeat("─", widest+2) + "╮\n")
	for _, r := range rows {
		out.WriteString("│ ")
		writeGlyphs(&out, r, color)
		out.WriteString(strings.Repeat(" ", widest-widthOf(r)) + " │\n")
	}
	out.WriteString("╰" + strings.Repeat("─", widest+2) + "╯\n")
	return out.String()
}

func lineMark(l line) (lead, follow string) {
	switch l.kind {
	case lineQuote:
		return "▌ ", "▌ "
	case lineBullet:
		return "• ", "  "
	case lineNumber:
		lead = l.number + ". "
		return lead, strings.Repeat(" ", len(lead))
	case linePlain:
	}
	return "", ""
}

func mediaLine(m campaign.Media) string {
	s := m.Filename + " (" + string(m.Type)
	if m.Size > 0 {
		s += ", " + megabytes(m.Size)
	}
	return s + ")"
}

func pollHint(p campaign.Poll) string {
	if p.Multiple {
		return "Select one or more"
	}
	return "Select one"
}

// faint is for what is not part of the message.
const faint style = 1 << 7

// glyph is one character on the screen.
type glyph struct {
	text  string
	width int
	style style
}

func glyphs(to []glyph, text string, st style) []glyph {
	rest, state := visible(text), -1
	for rest != "" {
		var g string
		var w int
		g, rest, w, state = uniseg.FirstGraphemeClusterInString(rest, state)
		to = append(to, glyph{g, w, st})
	}
	return to
}

func widthOf(g []glyph) int {
	n := 0
	for _, x := range g {
		n += x.width
	}
	return n
}

// wrap breaks a line at blanks, and inside a word that is longer than a row.
func wrap(g []glyph, width int, lead, follow string) [][]glyph {
	var rows [][]glyph
	for {
		row := glyphs(nil, lead, 0)
		room := width - widthOf(row)
		n, used, blank := 0, 0, 0
		for n < len(g) && used+g[n].width <= room {
			if g[n].text == " " {
				blank = n
			}
			used += g[n].width
			n++
		}
		skip := 0
		if n < len(g) && g[n].text == " " {
			skip = 1
		} else if n < len(g) && blank > 0 {
			n, skip = blank, 1
		}
		if n == 0 && len(g) > 0 && skip == 0 {
			n = 1 // one character wider than the box
		}
		rows = append(rows, append(row, g[:n]...))
		g = g[n+skip:]
		if len(g) == 0 {
			return rows
		}
		lead = follow
	}
}

// ansi gives the SGR codes (ECMA-48 §8.3.117) of a style.
var ansi = []struct {
	style style
	code  string
}{{bold, "1"}, {faint, "2"}, {italic, "3"}, {link, "4"}, {strike, "9"}, {code | mono, "36"}}

func writeGlyphs(out *strings.Builder, g []glyph, color bool) {
	var now style
	set := func(st style) {
		if !color || st == now {
			return
		}
		now = st
		out.WriteString("\x1b[0")
		for _, a := range ansi {
			if st&a.style != 0 {
				out.WriteString(";" + a.code)
			}
		}
		out.WriteByte('m')
	}
	for _, x := range g {
		set(x.style)
		out.WriteString(x.text)
	}
	set(0)
}

func displayWidth(s string) int { return uniseg.StringWidth(s) }

// visible makes text harmless for a terminal: a control character is shown by
// its picture, one that changes the direction of text by its number, so that
// neither can hide or forge what is on the screen.
func visible(s string) string {
	if strings.IndexFunc(s, func(r rune) bool {
		return unicode.IsControl(r) || isBidi(r) || isMark(r) || r == '\u2028' || r == '\u2029'
	}) < 0 {
		return strings.ToValidUTF8(s, "\uFFFD")
	}
	var b strings.Builder
	for _, r := range s {
		switch {
		case r == '\t':
			b.WriteByte(' ')
		case r < 0x20:
			b.WriteRune(0x2400 + r)
		case r == 0x7f:
			b.WriteRune('␡')
		case isMark(r):
		case unicode.IsControl(r), isBidi(r), r == '\u2028', r == '\u2029':
			fmt.Fprintf(&b, "⟨U+%04X⟩", r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// isBidi says whether r embeds, overrides or isolates the direction of text
// (Unicode UAX #9, §2.1–2.4).
func isBidi(r rune) bool { return r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 }

// isMark says whether r is one of the invisible direction marks, which are
// common in Arabic and Hebrew text and move nothing but their neighbors.
func isMark(r rune) bool { return r == 0x200e || r == 0x200f || r == 0x061c }

// HTML is the message as a fragment for a page: a div of class "bubble" that
// holds, as far as there is one, a "bubble-reply", "bubble-media",
// "bubble-text" and "bubble-poll". Everything from the message is escaped
// before any tag is put around it; the only attributes with content of the
// message are the href of http and https links.
func (b Bubble) HTML() template.HTML {
	var out strings.Builder
	out.WriteString(`<div class="bubble">`)
	if b.msg.ReplyTo != "" {
		out.WriteString(`<div class="bubble-reply">↩ in reply to ` + escape(quote(b.msg.ReplyTo)) + `</div>`)
	}
	if m := b.msg.Media; m != nil {
		out.WriteString(`<div class="bubble-media"><span aria-hidden="true">📎</span> ` + escape(mediaLine(*m)) + `</div>`)
	}
	if b.msg.Text != "" {
		out.WriteString(`<div class="bubble-text">`)
		writeLines(&out, parseMarkup(b.msg.Text))
		out.WriteString(`</div>`)
	}
	if p := b.msg.Poll; p != nil {
		out.WriteString(`<div class="bubble-poll"><p dir="auto"><strong>` + escape(p.Question) + `</strong></p><p><small>` + pollHint(*p) + `</small></p><ul>`)
		for _, o := range p.Options {
			out.WriteString(`<li dir="auto">○ ` + escape(o) + `</li>`)
		}
		out.WriteString(`</ul></div>`)
	}
	out.WriteString(`</div>`)
	return template.HTML(out.String()) //nolint:gosec // built here from escaped parts; a property test holds it
}

func escape(s string) string { return html.EscapeString(visible(s)) }

func writeLines(out *strings.Builder, lines []line) {
	for i := 0; i < len(lines); {
		kind := lines[i].kind
		n := i + 1
		for kind != linePlain && n < len(lines) && lines[n].kind == kind {
			n++
		}
		open, item, end := `<p dir="auto">`, "", `</p>`
		switch kind {
		case lineQuote:
			open, item, end = `<blockquote>`, "p", `</blockquote>`
		case lineBullet:
			open, item, end = `<ul>`, "li", `</ul>`
		case lineNumber:
			open, item, end = `<ol start="`+lines[i].number+`">`, "li", `</ol>`
		case linePlain:
		}
		out.WriteString(open)
		for _, l := range lines[i:n] {
			if item != "" {
				out.WriteString("<" + item + ` dir="auto">`)
			}
			if len(l.spans) == 0 {
				out.WriteString("<br>")
			}
			for _, s := range l.spans {
				writeSpan(out, s)
			}
			if item != "" {
				out.WriteString("</" + item + ">")
			}
		}
		out.WriteString(end)
		i = n
	}
}

func writeSpan(out *strings.Builder, s span) {
	var tags []string
	for _, t := range []struct {
		style style
		tag   string
	}{{bold, "strong"}, {italic, "em"}, {strike, "s"}, {code | mono, "code"}} {
		if s.style&t.style != 0 {
			tags = append(tags, t.tag)
			out.WriteString("<" + t.tag + ">")
		}
	}
	text := escape(s.text)
	if s.style&link != 0 {
		out.WriteString(`<a href="` + text + `" rel="noopener noreferrer nofollow" target="_blank">` + text + `</a>`)
	} else {
		out.WriteString(text)
	}
	for _, t := range slices.Backward(tags) {
		out.WriteString("</" + t + ">")
	}
}
