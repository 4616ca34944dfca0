package templates

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/herald-campaigns/herald/campaign"
)

var seeds = []string{
	"Hi {{ name }}", "{{ name | default: 'x' | upcase }}", "{% if amount > 5 %}a{% elsif city %}b{% else %}c{% endif %}",
	"{% unless name %}{% case city %}{% when 'a', \"b\" %}x{% else %}y{% endcase %}{% endunless %}", "{{- name -}}", "{{{name}}}", "{{}}", "{{1}}",
	"{% for i in (1..99) %}", "{{ 99999999999999999999 }}", "{{ name | replace: 'a', 'aaaa' | times: 3 }}", "{name}", "*b* _i_ **x**\n# h", "{{ due | date: '%Y%' }}",
	"{%if name%}x{%endif%}", "{% if (name and city) or amount | plus: 1 > 2 %}{% endif %}", "{{ \"{\" }}{{ 'x' }}", "{{\u00a0name }}", "{% when %}", "```a```",
}

// hostileValues are what a cell may hold that a template engine, a terminal or a
// page might act on.
var hostileValues = []string{
	"{{ city }}", "{% if name %}x{% endif %}", "{%- raw -%}{{", "}}{{ name }}{{", "{{ 7 | times: 6 }}", "{% for i in (1..999999999) %}x{% endfor %}", "{{{", "%}", "{{ 'a' }}\r\n{% endif %}",
	"\u202eevil", "*bold* _x_ ```y```", "\x1b[31m", "\x00", "\xff\xfe", "<script>alert(1)</script>", "v0 k0", "%Y-%m-%d %s", "$1 \\1 ${name}",
}

// FuzzRender holds what the reliability page promises: no panic, and nothing
// comes out that is longer than a message, unclean or different the second
// time. A value is never read as a template, and no row sees another's cells.
func FuzzRender(f *testing.F) {
	for i, s := range seeds {
		f.Add(s, "Asha", "12.50")
		f.Add(s, hostileValues[i%len(hostileValues)], hostileValues[(i+7)%len(hostileValues)])
	}
	for _, value := range hostileValues {
		f.Add("Hi {{ name }}, {{ city | default: name | upcase }}{% if amount %}{{ amount }}{% endif %}", value, value)
	}
	f.Add("{{ name }}", "{{ city }}\u202e\x1b[0m", "NaN")
	f.Add("{{ name | append: name | append: name }}", strings.Repeat("{{ name }}", 6554), "1")
	f.Add("{{ code }} {{ amount | times: 9 }}", strings.Repeat("👍🏽", 10_000), "1e308")
	f.Fuzz(func(t *testing.T, src, name, amount string) {
		valueStaysAsItIs(t, src, name)
		tpl, err := Compile(t.Context(), campaign.Template{Text: src, ReplyTo: `{{ code | default: "" }}`}, config())
		if err != nil {
			for _, p := range problemsOf(t, err) {
				Caret(Source(campaign.Template{Text: src}, p.Field), int(p.Line), p.Column)
				if p.Code == CodeSyntax && p.What == "the template cannot be read" {
					t.Errorf("the engine refused what was rewritten: %q", src)
				}
			}
			return
		}
		const stranger = "xqzSTRANGERzqx"
		others := map[string]string{}
		for _, c := range columns {
			others[c] = stranger
		}
		_, _ = tpl.Render(t.Context(), row(others)) // leaves its cells in the pooled scene

		r := row(map[string]string{"name": name, "amount": amount, "city": name + amount, "due": amount})
		m, err := tpl.Render(t.Context(), r)
		again, errAgain := tpl.Render(t.Context(), r)
		if (err == nil) != (errAgain == nil) || m.Hash() != again.Hash() {
			t.Fatalf("two renders differ: %v, %v", err, errAgain)
		}
		if err != nil {
			p := problemOf(t, err)
			if p.Code == CodeRender {
				t.Errorf("the engine gave up on %q", src)
			}
			if p.Line != r.Line || p.What == "" || p.Fix == "" || strings.Contains(p.String(), stranger) {
				t.Errorf("half a problem: %+v", p)
			}
			return
		}
		if !utf8.ValidString(m.Text) || utf16Length(m.Text) > DefaultMaxText || strings.TrimSpace(m.Text) != m.Text || strings.IndexFunc(m.Text, isControl) >= 0 {
			t.Fatalf("unclean: %.200q", m.Text)
		}
		if strings.Contains(strings.ToLower(m.Text), strings.ToLower(stranger)) && !strings.Contains(strings.ToLower(src+name+amount), "stranger") {
			t.Fatalf("another row's cell: %.200q", m.Text)
		}
		if !strings.ContainsAny(src, "{") && m.Text != clean(src) {
			t.Fatalf("a text without placeholders changed: %.200q", m.Text)
		}
		Preview(m).Terminal(0, true)
		Preview(m).HTML()
	})
}

// valueStaysAsItIs renders a value between two literal texts: what comes out
// is the three of them, whatever the value looks like.
func valueStaysAsItIs(t *testing.T, src, value string) {
	t.Helper()
	literal := strings.NewReplacer("{", "", "}", "", "%", "").Replace(src)
	tpl, err := Compile(t.Context(), campaign.Template{Text: "(" + literal + "{{ name }}" + literal + ")"}, config())
	if err != nil {
		if p := problemOf(t, err); p.Code != CodeSourceTooLong {
			t.Fatalf("%q: %v", literal, err)
		}
		return
	}
	m, err := tpl.Render(t.Context(), row(map[string]string{"name": value}))
	if err != nil {
		if p := problemOf(t, err); p.Code != CodeTooLong {
			t.Fatalf("%q: %v", value, err)
		}
		return
	}
	if want := clean("(" + literal + strings.TrimSpace(value) + literal + ")"); m.Text != want {
		t.Fatalf("%.200q instead of %.200q", m.Text, want)
	}
}

// FuzzLint holds that warnings point into the text, and that what lint and
// Compile let pass never turns out, with a row at hand, to be no template.
func FuzzLint(f *testing.F) {
	for _, s := range seeds {
		f.Add(s)
	}
	for _, s := range hostileValues {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, src string) {
		l := &linter{c: &compiler{names: columns}}
		l.text("message.text", src)
		l.poll("message.poll.question", src)
		lines := strings.Split(src, "\n")
		for _, w := range l.warnings {
			if w.Code == "" || w.Field == "" || w.What == "" || w.Fix == "" {
				t.Fatalf("half a warning: %+v", w)
			}
			if w.Line == 0 {
				continue
			}
			if w.Line > len(lines) || w.Column < 1 || w.Column > utf8.RuneCountInString(lines[w.Line-1])+1 {
				t.Fatalf("%+v is outside of %q", w, src)
			}
		}
		if len(l.warnings) > maxWarnings {
			t.Fatalf("%d warnings", len(l.warnings))
		}
		for _, message := range []campaign.Template{
			{Text: src},
			{Poll: &campaign.PollTemplate{Question: src, Options: []string{"a", "b"}}},
			{Text: src, Media: &campaign.MediaTemplate{Type: campaign.MediaImage, URL: "https://example.com/a.png"}},
		} {
			tpl, err := Compile(t.Context(), message, config())
			if err != nil {
				problemsOf(t, err)
				continue
			}
			tpl.Lint()
			for _, cells := range []map[string]string{nil, {"name": "Asha", "amount": "12.50", "city": "Pune", "due": "2026-01-15"}} {
				if _, err := tpl.Render(t.Context(), row(cells)); err != nil {
					if p := problemOf(t, err); p.Code == CodeRender || p.Code == CodeSyntax || p.Code == CodeBlock {
						t.Fatalf("accepted, then %v", p)
					}
				}
			}
		}
	})
}
