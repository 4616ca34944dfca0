package templates

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/herald-campaigns/herald/campaign"
)

// The codes of warnings.
const (
	WarnDoubleMark   = "W_TPL_DOUBLE_MARK"   // **bold**
	WarnHeading      = "W_TPL_HEADING"       // # heading
	WarnLink         = "W_TPL_LINK"          // [text](url)
	WarnTable        = "W_TPL_TABLE"         // | a | b |
	WarnHTML         = "W_TPL_HTML"          // <b>
	WarnUnbalanced   = "W_TPL_UNBALANCED"    // *bold
	WarnInnerSpace   = "W_TPL_INNER_SPACE"   // * bold *
	WarnSpanLines    = "W_TPL_SPAN_LINES"    // *bold over two lines*
	WarnStrayBraces  = "W_TPL_STRAY_BRACES"  // name }}
	WarnOtherTool    = "W_TPL_OTHER_TOOL"    // [name], %name%, <<name>>, $name
	WarnLong         = "W_TPL_LONG"          // more than 4,096 characters
	WarnPollFormat   = "W_TPL_POLL_FORMAT"   // *bold* in a poll
	WarnAudioCaption = "W_TPL_AUDIO_CAPTION" // audio is shown without caption
	WarnLargeFile    = "W_TPL_LARGE_FILE"    // sent anew with each message
)

// longText is where a text gets a warning: one Periskope sender is known to
// cap there (dossier §11.2). largeFile is where a URL is the better way.
const (
	longText  = 4096
	largeFile = 2 * megabyte
)

// Warning is something that is legal and will most likely look wrong. Line and
// Column count from 1 within the field's text, columns in characters; both are
// 0 when the field as a whole is meant.
type Warning struct {
	Code   string `json:"code"`
	Field  string `json:"field"`
	Line   int    `json:"line,omitempty"`
	Column int    `json:"column,omitempty"`
	What   string `json:"what"`
	Fix    string `json:"fix,omitempty"`
}

// maxWarnings caps what Lint lists; nobody reads more at once.
const maxWarnings = 50

// Lint looks for what Liquid and WhatsApp let pass: formatting that is shown
// as it stands, placeholders of other tools, texts and files of a size that
// may not arrive. Warnings come in the order of the message's fields.
func (t *Template) Lint() []Warning {
	c := &compiler{names: t.cfg.Variables, headers: t.cfg.Headers, limits: t.cfg.Limits}
	l := &linter{c: c}
	l.text("message.text", t.source.Text)
	if m := t.source.Media; m != nil {
		l.placeholders("message.media.url", m.URL)
		l.placeholders("message.media.file", m.File)
		l.placeholders("message.media.filename", m.Filename)
		if m.Type == campaign.MediaAudio && strings.TrimSpace(t.source.Text) != "" {
			l.warn("message.text", 0, 0, WarnAudioCaption, "WhatsApp shows no caption with audio", "send the text as a campaign of its own")
		}
		if t.media != nil && t.media.fixed != nil && t.media.fixed.Size > largeFile {
			l.warn("message.media.file", 0, 0, WarnLargeFile,
				"the file has "+megabytes(t.media.fixed.Size)+" and is sent anew, a third larger, with every message",
				"put it on a web server and use media.url")
		}
	}
	if p := t.source.Poll; p != nil {
		l.poll("message.poll.question", p.Question)
		for i, o := range p.Options {
			l.poll(optionField(i), o)
		}
	}
	l.placeholders("message.reply_to", t.source.ReplyTo)
	return l.warnings
}

type linter struct {
	c        *compiler
	warnings []Warning
}

// full says that enough was found: what follows is not looked for, which also
// bounds the work on a text that is nothing but mistakes.
func (l *linter) full() bool { return len(l.warnings) >= maxWarnings }

func (l *linter) warn(field string, line, column int, code, what, fix string) {
	if l.full() {
		return
	}
	l.warnings = append(l.warnings, Warning{code, field, line, column, what, fix})
}

// text looks at a text that WhatsApp formats.
func (l *linter) text(field, src string) {
	from := len(l.warnings)
	l.placeholders(field, src)
	masked, written := l.mask(src)
	if written > longText {
		l.warn(field, 0, 0, WarnLong, fmt.Sprintf("the text has %d characters; some senders cut at %d", written, longText), "shorten it, or send a document")
	}
	lines := strings.Split(withoutMono(masked), "\n")
	for i, s := range lines {
		l.line(field, i+1, s)
	}
	l.marks(field, lines)
	if n := strings.Count(masked, "```"); n%2 == 1 {
		line, column := position(masked, strings.LastIndex(masked, "```"))
		l.warn(field, line, column, WarnUnbalanced, "``` is never closed, so it is shown as it stands", "close it with ```")
	}
	slices.SortStableFunc(l.warnings[from:], func(a, b Warning) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
}

// poll looks at a text that WhatsApp does not format.
func (l *linter) poll(field, src string) {
	l.placeholders(field, src)
	masked, _ := l.mask(src)
	for _, line := range parseMarkup(masked) {
		for _, s := range line.spans {
			if s.style&^link != 0 {
				l.warn(field, 0, 0, WarnPollFormat, "polls show no formatting, the marks are shown as they stand", "remove the marks")
				return
			}
		}
	}
}

const (
	maskValue = 'x'      // stands for the value of a placeholder: a word
	maskTag   = '\uFFFC' // stands for a tag: nothing
)

// mask replaces every placeholder, character by character, so that places stay
// the same, and counts the characters outside of them.
func (l *linter) mask(src string) (masked string, written int) {
	f := &part{c: &compiler{}, src: src}
	var b strings.Builder
	for _, p := range f.scan() {
		n := utf8.RuneCountInString(p.source)
		switch p.kind {
		case pieceText:
			b.WriteString(p.source)
			written += n
		case pieceObject:
			b.WriteString(strings.Repeat(string(maskValue), n))
		case pieceTag:
			b.WriteString(strings.Repeat(string(maskTag), n))
		}
	}
	return b.String(), written
}

// withoutMono blanks what stands between triple backticks: nothing is
// formatted there.
func withoutMono(s string) string {
	parts := strings.Split(s, "```")
	for i := range parts {
		if i%2 == 1 && i < len(parts)-1 {
			parts[i] = strings.Map(func(r rune) rune {
				if r == '\n' {
					return r
				}
				return ' '
			}, parts[i])
		}
	}
	return strings.Join(parts, "   ")
}

// lineRules find what other markup languages write. Only read.
var lineRules = []struct {
	re        *regexp.Regexp
	code      string
	what, fix string
}{
	{regexp.MustCompile(`\*\*[^*]+\*\*`), WarnDoubleMark, "WhatsApp shows two asterisks as they stand", "bold is one on each side: *bold*"},
	{regexp.MustCompile(`__[^_]+__`), WarnDoubleMark, "WhatsApp shows two underscores as they stand", "italic is one on each side: _italic_"},
	{regexp.MustCompile(`~~[^~]+~~`), WarnDoubleMark, "WhatsApp shows two tildes as they stand", "strike-through is one on each side: ~gone~"},
	{regexp.MustCompile(`^#{1,6}[ \t]+\S`), WarnHeading, "WhatsApp has no headings, the # is shown", "make the line bold: *Heading*"},
	{regexp.MustCompile(`\[[^\[\]]+\]\([^()\s]+\)`), WarnLink, "WhatsApp shows a link in brackets as it stands", "write the address itself: Text: https://example.com"},
	{regexp.MustCompile(`^[ \t]*\|.*\|[ \t]*$`), WarnTable, "WhatsApp has no tables, the bars are shown", "write one line for each entry"},
	{regexp.MustCompile(`(?i)</?(b|i|u|s|em|strong|br|p|a|div|span|ul|ol|li|h[1-6]|img)(\s[^<>]*)?/?>`), WarnHTML, "WhatsApp shows HTML as it stands", "use *bold*, _italic_, ~strike~ and line breaks"},
}

func (l *linter) line(field string, number int, s string) {
	for _, rule := range lineRules {
		if at := rule.re.FindStringIndex(s); at != nil {
			l.warn(field, number, 1+utf8.RuneCountInString(s[:at[0]]), rule.code, rule.what, rule.fix)
		}
	}
}

// looseMark is a formatting mark that is shown as it stands.
type looseMark struct {
	mark         rune
	line, column int
	opens        bool // it could begin a span …
	closes       bool // … or end one
}

// marks reports the marks that were meant to format and do not: with a blank
// inside, with the other on a later line, or without another.
func (l *linter) marks(field string, lines []string) {
	var loose []looseMark
	for i, s := range lines {
		if l.full() {
			return
		}
		kind, _, rest := lineStart(s)
		skipped := utf8.RuneCountInString(s) - utf8.RuneCountInString(rest)
		if kind != linePlain && strings.HasPrefix(s, "*") && strings.HasSuffix(strings.TrimRight(s, " "), " *") {
			rest, skipped = s, 0 // "* bold *" was not meant as a list
		}
		r := []rune(rest)
		var here []int
		p := inline{emit: func(span) {}, loose: func(at int) { here = append(here, at) }}
		p.parse(r, 0, 0)
		here = l.innerSpace(field, i+1, skipped, r, here)
		for _, at := range here {
			m := looseMark{mark: r[at], line: i + 1, column: skipped + at + 1, opens: opens(r, at), closes: closes(r, at)}
			if m.opens != m.closes {
				loose = append(loose, m)
			}
		}
	}
	for i := 0; i < len(loose) && !l.full(); i++ {
		m := loose[i]
		if !m.opens {
			continue // "Offer*" is a footnote
		}
		partner := slices.IndexFunc(loose[i+1:], func(o looseMark) bool { return o.mark == m.mark && o.closes && o.line > m.line })
		if partner >= 0 {
			l.warn(field, m.line, m.column, WarnSpanLines, fmt.Sprintf("formatting ends with its line, so this %c is shown as it stands", m.mark),
				fmt.Sprintf("put a %c around each line", m.mark))
			loose = slices.Delete(loose, i+1+partner, i+2+partner)
			continue
		}
		l.warn(field, m.line, m.column, WarnUnbalanced, fmt.Sprintf("this %c has no other, so it is shown as it stands", m.mark),
			fmt.Sprintf("add the %c at the end, or take this one away", m.mark))
	}
}

// innerSpace reports neighboring loose marks of one kind around words with a
// blank next to one of the marks, and returns the others.
func (l *linter) innerSpace(field string, line, skipped int, r []rune, loose []int) []int {
	var rest []int
	for i := 0; i < len(loose) && !l.full(); i++ {
		at := loose[i]
		next := slices.IndexFunc(loose[i+1:], func(o int) bool { return r[o] == r[at] })
		if next < 0 || at > 0 && isWord(r[at-1]) {
			rest = append(rest, at)
			continue
		}
		end := loose[i+1+next]
		inner := r[at+1 : end]
		outer := end+1 < len(r) && isWord(r[end+1])
		spaced := len(inner) > 2 && (unicode.IsSpace(inner[0]) || unicode.IsSpace(inner[len(inner)-1]))
		if outer || !spaced || !slices.ContainsFunc(inner, unicode.IsLetter) {
			rest = append(rest, at)
			continue
		}
		l.warn(field, line, skipped+at+1, WarnInnerSpace, fmt.Sprintf("the %c must touch the text, so both are shown as they stand", r[at]),
			fmt.Sprintf("write %c%s%c", r[at], maskedWords(inner), r[at]))
		loose = slices.Delete(loose, i+1+next, i+2+next)
	}
	return rest
}

// maskedWords is the text between marks for a fix, "…" where it holds a
// placeholder or is long.
func maskedWords(inner []rune) string {
	s := strings.TrimSpace(string(inner))
	if len(s) > 30 || strings.Contains(s, "xxxxx") || strings.ContainsRune(s, maskTag) {
		return "…"
	}
	return s
}

// otherTools are the placeholders of other programs. Only read.
var otherTools = []*regexp.Regexp{
	regexp.MustCompile(`\[([^\[\]\n]{1,60})\]`),
	regexp.MustCompile(`%([^%\n]{1,60})%`),
	regexp.MustCompile(`<{1,2}([^<>\n]{1,60})>{1,2}`),
	regexp.MustCompile(`«([^«»\n]{1,60})»`),
	regexp.MustCompile(`\(\(([^()\n]{1,60})\)\)`),
	regexp.MustCompile(`\$\{?(\w{1,60})\}?`),
}

// placeholders reports placeholders of other programs that name a column, and
// ends of placeholders without a beginning.
func (l *linter) placeholders(field, src string) {
	f := &part{c: &compiler{}, src: src}
	for _, p := range f.scan() {
		if l.full() {
			return
		}
		if p.kind != pieceText {
			continue
		}
		for _, re := range otherTools {
			for _, at := range re.FindAllStringSubmatchIndex(p.source, 8) {
				name := l.c.byWords(p.source[at[2]:at[3]])
				if name == "" || strings.HasPrefix(p.source[at[1]:], "(") {
					continue
				}
				line, column := position(src, p.offset+at[0])
				l.warn(field, line, column, WarnOtherTool,
					"“"+visible(p.source[at[0]:at[1]])+"” names a column but is sent as it stands", "write {{ "+name+" }}")
			}
		}
		for _, end := range []string{"}}", "%}"} {
			if i := strings.Index(p.source, end); i >= 0 {
				line, column := position(src, p.offset+i)
				l.warn(field, line, column, WarnStrayBraces, "“"+end+"” closes nothing and is sent as it stands", "remove it, or write the opening braces")
			}
		}
	}
}
