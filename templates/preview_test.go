package templates

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"unicode"

	"pgregory.net/rapid"

	"github.com/herald-campaigns/herald/campaign"
)

// marked writes styles so that a table can show them.
func marked(lines []line) string {
	var out []string
	for _, l := range lines {
		s := map[lineKind]string{linePlain: "", lineQuote: "quote ", lineBullet: "bullet ", lineNumber: "number " + l.number + " "}[l.kind]
		for _, sp := range l.spans {
			tag := ""
			for _, m := range []struct {
				st style
				c  string
			}{{bold, "b"}, {italic, "i"}, {strike, "s"}, {code, "c"}, {mono, "m"}, {link, "a"}} {
				if sp.style&m.st != 0 {
					tag += m.c
				}
			}
			if tag == "" {
				s += sp.text
			} else {
				s += "<" + tag + ":" + sp.text + ">"
			}
		}
		out = append(out, s)
	}
	return strings.Join(out, "\n")
}

func TestMarkup(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ text, want string }{
		{"plain", "plain"},
		{"*bold* _italic_ ~strike~ `code`", "<b:bold> <i:italic> <s:strike> <c:code>"},
		{"(*bold*), *bold*!", "(<b:bold>), <b:bold>!"},
		{"*two words* more", "<b:two words> more"},
		{"*_both_* _~all *three*~_", "<bi:both> <is:all ><bis:three>"},
		{"a*b*c snake_case_name", "a*b*c snake_case_name"},
		{"2 * 3 * 4", "2 * 3 * 4"},
		{"* bold * *bold * * bold*", "bullet bold * <b:bold * * bold>"},
		{"**bold** __x__", "**bold** __x__"},
		{"*open", "*open"},
		{"*two\nlines*", "*two\nlines*"},
		{"नमस्ते *आशा* जी", "नमस्ते <b:आशा> जी"},
		{"आ*शा*", "आ*शा*"},
		{"`*not bold*`", "<c:*not bold*>"},
		{"```*raw*``` x", "<m:*raw*> x"},
		{"a ```one\ntwo``` b", "a <m:one>\n<m:two> b"},
		{"``` ```", "``` ```"},
		{"> quote *b*\n- one\n* two\n12. three\n1234. no", "quote quote <b:b>\nbullet one\nbullet two\nnumber 12 three\n1234. no"},
		{">no\n-no\n- ", ">no\n-no\n- "},
		{"see https://example.com/a_b_c?x=*y*.", "see <a:https://example.com/a_b_c?x=*y>*."},
		{"*https://example.com*", "<ba:https://example.com>"},
		{"http:// xhttp://a HTTP://A.example", "http:// xhttp://a <a:HTTP://A.example>"},
		{"", ""},
	} {
		if got := marked(parseMarkup(tt.text)); got != tt.want {
			t.Errorf("%q:\ngot  %q\nwant %q", tt.text, got, tt.want)
		}
	}
}

// A preview of a hostile message takes no longer than of any other.
func TestMarkupIsLinear(t *testing.T) {
	t.Parallel()
	for _, unit := range []string{"*a ", "*", "_*~", "`", "```", "*a_b~", "http://", "> ", "*a* "} {
		text := strings.Repeat(unit, DefaultMaxText/len(unit))
		n := 0
		for _, l := range parseMarkup(text) {
			for _, s := range l.spans {
				n += len(s.text)
			}
		}
		if n == 0 || n > len(text) {
			t.Errorf("%q: %d of %d bytes are left", unit, n, len(text))
		}
	}
}

func TestTerminal(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		msg   campaign.Message
		width int
		color bool
		want  string
	}{
		{"as it is sent", campaign.Message{Text: "Hi *Asha*,\n\n- one"}, 0, false, `
╭────────────╮
│ Hi *Asha*, │
│            │
│ - one      │
╰────────────╯
`},
		{"in color", campaign.Message{Text: "Hi *Asha*,\n- one"}, 0, true, `
╭──────────╮
│ Hi {0;1}Asha{0}, │
│ • one    │
╰──────────╯
`},
		{"wrapped", campaign.Message{Text: "- the quick brown fox jumps over the lazy dog"}, 24, true, `
╭──────────────────────╮
│ • the quick brown    │
│   fox jumps over the │
│   lazy dog           │
╰──────────────────────╯
`},
		{"a long word", campaign.Message{Text: strings.Repeat("x", 40)}, 24, false, `
╭──────────────────────╮
│ xxxxxxxxxxxxxxxxxxxx │
│ xxxxxxxxxxxxxxxxxxxx │
╰──────────────────────╯
`},
		{"media", campaign.Message{Text: "Your bill", Media: &campaign.Media{Type: "document", Filename: "invoice.pdf", Size: 1_500_000}}, 0, false, `
╭───────────────────────────────────╮
│ 📎 invoice.pdf (document, 1.5 MB) │
│                                   │
│ Your bill                         │
╰───────────────────────────────────╯
`},
		{"poll", campaign.Message{Poll: &campaign.Poll{Question: "Coming?", Options: []string{"Yes", "No"}}, ReplyTo: "true_1"}, 0, false, `
╭──────────────────────╮
│ ↩ in reply to true_1 │
│ Coming?              │
│ Select one           │
│ ○ Yes                │
│ ○ No                 │
╰──────────────────────╯
`},
		{"controls and overrides", campaign.Message{Text: "a\x1b[31mb\u202ec\x07\u009b\u200f"}, 0, false, `
╭──────────────────────────╮
│ a␛[31mb⟨U+202E⟩c␇⟨U+009B⟩ │
╰──────────────────────────╯
`},
		{"nothing", campaign.Message{}, 0, false, `
╭──╮
╰──╯
`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := Preview(tt.msg).Terminal(tt.width, tt.color)
			if tt.color {
				got = regexp.MustCompile(`\x1b\[([0-9;]*)m`).ReplaceAllString(got, "{$1}")
			}
			want := strings.TrimPrefix(tt.want, "\n")
			if tt.name == "controls and overrides" { // widths of the pictures differ between fonts
				got, want = strings.ReplaceAll(got, "─", ""), strings.ReplaceAll(want, "─", "")
			}
			if got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

func TestHTML(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		msg  campaign.Message
		want string
	}{
		{
			campaign.Message{Text: "Hi *<b>*\n\n- _one_\n- two\n> q\n3. n\nhttps://example.com/?a=1&b=\"x"},
			`<div class="bubble-text"><p dir="auto">Hi <strong>&lt;b&gt;</strong></p><p dir="auto"><br></p>` +
				`<ul><li dir="auto"><em>one</em></li><li dir="auto">two</li></ul><blockquote><p dir="auto">q</p></blockquote><ol start="3"><li dir="auto">n</li></ol>` +
				`<p dir="auto"><a href="https://example.com/?a=1&amp;b=" rel="noopener noreferrer nofollow" target="_blank">https://example.com/?a=1&amp;b=</a>&#34;x</p></div>`,
		},
		{
			campaign.Message{Text: "c", Media: &campaign.Media{Type: "image", Filename: "<a>.png"}, ReplyTo: "<id>"},
			`<div class="bubble-reply">↩ in reply to &lt;id&gt;</div><div class="bubble-media"><span aria-hidden="true">📎</span> &lt;a&gt;.png (image)</div>` +
				`<div class="bubble-text"><p dir="auto">c</p></div>`,
		},
		{
			campaign.Message{Poll: &campaign.Poll{Question: "<q>", Options: []string{"<y>"}, Multiple: true}},
			`<div class="bubble-poll"><p dir="auto"><strong>&lt;q&gt;</strong></p><p><small>Select one or more</small></p><ul><li dir="auto">○ &lt;y&gt;</li></ul></div>`,
		},
	} {
		if got, want := string(Preview(tt.msg).HTML()), `<div class="bubble">`+tt.want+`</div>`; got != want {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}
	}
}

// hostile draws messages out of what has a meaning to a terminal, a page or
// the markup.
func hostile(t *rapid.T) campaign.Message {
	text := rapid.Custom(func(t *rapid.T) string {
		parts := rapid.SliceOf(rapid.OneOf(
			rapid.SampledFrom([]string{
				"<script>", "</div>", "<img src=x onerror=alert(1)>", `"`, "'", "&", "<", ">", "https://example.com/\"onmouseover=\"x", "javascript:alert(1)",
				"*", "_", "~", "`", "```", "\n", "> ", "- ", "1. ", " ", "\x1b[2J", "\x1b]8;;x\x07", "\u009b31m", "\u202e", "\u2066", "\u2028", "\x00", "\x7f", "\xff",
				"a", "नमस्ते", "👩‍👩‍👧", "e\u0301",
			}),
			rapid.String(),
		)).Draw(t, "parts")
		return strings.Join(parts, "")
	})
	m := campaign.Message{Text: text.Draw(t, "text")}
	switch rapid.IntRange(0, 2).Draw(t, "kind") {
	case 1:
		m.Media = &campaign.Media{Type: "image", Filename: text.Draw(t, "filename")}
	case 2:
		m.Poll = &campaign.Poll{Question: text.Draw(t, "question"), Options: []string{text.Draw(t, "option")}}
	}
	m.ReplyTo = text.Draw(t, "reply")
	return m
}

// ownTags are the tags that HTML writes; nothing else may begin with "<".
var ownTags = regexp.MustCompile(`</?(?:div|p|ul|li|blockquote|strong|em|s|code|small|span)(?: class="bubble[a-z-]*"| dir="auto"| aria-hidden="true")*>|<br>|<ol start="[0-9]+">|</ol>|<a href="[Hh][Tt][Tt][Pp][Ss]?://[^"<> ]*" rel="noopener noreferrer nofollow" target="_blank">|</a>`)

func TestHTMLNeverLetsAValueThrough(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		html := string(Preview(hostile(t)).HTML())
		left := ownTags.ReplaceAllString(html, "")
		if strings.ContainsAny(left, `<>"'`) || strings.IndexFunc(left, isBidi) >= 0 {
			t.Fatalf("left: %q\nof %q", left, html)
		}
		if open, closed := strings.Count(html, "<div"), strings.Count(html, "</div>"); open != closed {
			t.Fatalf("%d <div>, %d </div>", open, closed)
		}
	})
}

func TestTerminalNeverLetsAControlThrough(t *testing.T) {
	t.Parallel()
	own := regexp.MustCompile(`\x1b\[0(;(1|2|3|4|9|36))*m`)
	rapid.Check(t, func(t *rapid.T) {
		color := rapid.Bool().Draw(t, "color")
		out := Preview(hostile(t)).Terminal(rapid.IntRange(0, 80).Draw(t, "width"), color)
		if color {
			out = own.ReplaceAllString(out, "")
		}
		for _, r := range out {
			if r != '\n' && (unicode.IsControl(r) || isBidi(r) || r == '\u2028') {
				t.Fatalf("%U in %q", r, out)
			}
		}
		for l := range strings.SplitSeq(strings.TrimSuffix(out, "\n"), "\n") {
			if w := displayWidth(l); w > maxBoxWidth+1 {
				t.Fatalf("%d columns: %q", w, l)
			}
		}
	})
}

func TestStats(t *testing.T) {
	t.Parallel()
	tpl := mustCompile(t, campaign.Template{Text: `Hi {{ name }} {{ city | default: "?" }}{% if amount > 1 %}!{% endif %}`}, config())
	rows := make([]campaign.Row, 0, 40)
	for i := range int64(40) {
		r := row(map[string]string{"name": fmt.Sprint("n", i), "city": "Pune"})
		r.Seq, r.Line = i+1, i+2
		switch {
		case i%10 == 3:
			r.Fields["amount"] = "many"
		case i == 20 || i == 21:
			r.Fields["name"] = ""
		case i == 30:
			r.Fields["name"] = "🎉" + strings.Repeat("x", 20)
		case i%2 == 0:
			r.Fields["city"] = ""
		}
		rows = append(rows, r)
	}
	// However the rows are spread, the account is the same.
	for parts := 1; parts <= 3; parts++ {
		stats := make([]*Stats, parts)
		for i := range stats {
			stats[i] = tpl.NewStats()
		}
		for i, r := range rows {
			m, err := tpl.Render(t.Context(), r)
			stats[i%parts].Add(r, m, err)
		}
		total := tpl.NewStats()
		for i := range stats {
			total.Merge(stats[parts-1-i])
		}
		s := total.Summary()
		if s.Rows != 40 || s.Rendered != 36 {
			t.Errorf("%d of %d rendered", s.Rendered, s.Rows)
		}
		blanks := ""
		for _, b := range s.Blanks {
			blanks += fmt.Sprint(b.Variable.Name, " ", b.Rows, " ", b.Variable.NeedsValue(), "; ")
		}
		if want := "name 2 true; city 18 false; amount 36 false; "; blanks != want {
			t.Errorf("blanks %s, want %s", blanks, want)
		}
		if len(s.Faults) != 1 || s.Faults[0].Code != CodeNotNumber || s.Faults[0].Count != 4 {
			t.Fatalf("faults %+v", s.Faults)
		}
		var seqs []int64
		for _, f := range s.Faults[0].First {
			seqs = append(seqs, f.Seq)
		}
		if fmt.Sprint(seqs) != "[4 14 24]" {
			t.Errorf("first faults %v", seqs)
		}
		if s.Longest.Seq != 31 || s.Longest.Characters != len("Hi  Pune")+21 {
			t.Errorf("longest %+v", s.Longest)
		}
		if s.Shortest.Seq != 1 && s.Shortest.Characters != len("Hi n0 ?") || s.Blankest.Seq != 21 || s.Blankest.Blanks != 1 {
			t.Errorf("shortest %+v, blankest %+v", s.Shortest, s.Blankest)
		}
	}
}

func TestStatsWithoutRows(t *testing.T) {
	t.Parallel()
	s := mustCompile(t, campaign.Template{Text: "{{ name }}"}, config()).NewStats().Summary()
	if s.Rows != 0 || s.Longest != nil || s.Shortest != nil || s.Blankest != nil || len(s.Faults) != 0 || len(s.Blanks) != 1 {
		t.Errorf("got %+v", s)
	}
}
