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

// FuzzRender holds what the reliability page promises: no panic, and nothing
// comes out that is longer than a message, unclean or different the second
// time.
func FuzzRender(f *testing.F) {
	for _, s := range seeds {
		f.Add(s, "Asha", "12.50")
	}
	f.Add("{{ name }}", "{{ city }}\u202e\x1b[0m", "NaN")
	f.Fuzz(func(t *testing.T, src, name, amount string) {
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
		r := row(map[string]string{"name": name, "amount": amount, "city": name + amount, "due": amount})
		m, err := tpl.Render(t.Context(), r)
		again, errAgain := tpl.Render(t.Context(), r)
		if (err == nil) != (errAgain == nil) || m.Hash() != again.Hash() {
			t.Fatalf("two renders differ: %v, %v", err, errAgain)
		}
		if err != nil {
			if p := problemOf(t, err); p.Code == CodeRender {
				t.Errorf("the engine gave up on %q", src)
			}
			return
		}
		if !utf8.ValidString(m.Text) || utf16Length(m.Text) > DefaultMaxText || strings.TrimSpace(m.Text) != m.Text || strings.IndexFunc(m.Text, isControl) >= 0 {
			t.Fatalf("unclean: %.200q", m.Text)
		}
		if !strings.ContainsAny(src, "{") && m.Text != clean(src) {
			t.Fatalf("a text without placeholders changed: %.200q", m.Text)
		}
		Preview(m).Terminal(0, true)
		Preview(m).HTML()
	})
}

func FuzzLint(f *testing.F) {
	for _, s := range seeds {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, src string) {
		l := &linter{c: &compiler{names: columns}}
		l.text("message.text", src)
		l.poll("message.poll.question", src)
		lines := strings.Split(src, "\n")
		for _, w := range l.warnings {
			if w.Line == 0 {
				continue
			}
			if w.Line > len(lines) || w.Column < 1 || w.Column > utf8.RuneCountInString(lines[w.Line-1])+1 {
				t.Fatalf("%+v is outside of %q", w, src)
			}
		}
	})
}
