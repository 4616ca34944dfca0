package templates

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/herald-campaigns/herald/campaign"
)

// columns are what the templates of these tests may use.
var columns = []string{"first_name", "name", "city", "amount", "code", "due", "vip", "link", "blank_cell", "order_id"}

func config() Config {
	return Config{
		Variables: columns,
		Headers:   map[string]string{"first_name": "First Name", "order_id": "Order #"},
		PollID:    "poll_1",
	}
}

func row(fields map[string]string) campaign.Row {
	all := map[string]string{}
	for _, c := range columns {
		all[c] = ""
	}
	maps.Copy(all, fields)
	return campaign.Row{Seq: 1, Line: 2, Fields: all}
}

func mustCompile(tb testing.TB, tpl campaign.Template, cfg Config) *Template {
	tb.Helper()
	out, err := Compile(tb.Context(), tpl, cfg)
	if err != nil {
		tb.Fatalf("compile: %v", err)
	}
	return out
}

func renderText(tb testing.TB, src string, fields map[string]string) (string, error) {
	tb.Helper()
	m, err := mustCompile(tb, campaign.Template{Text: src}, config()).Render(tb.Context(), row(fields))
	return m.Text, err
}

// problemOf is the one problem of an InputError.
func problemOf(tb testing.TB, err error) campaign.Problem {
	tb.Helper()
	var input *campaign.InputError
	if !errors.As(err, &input) || len(input.Problems) == 0 {
		tb.Fatalf("want an input error, got %v", err)
	}
	return input.Problems[0]
}

func TestRenderText(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, src string
		fields    map[string]string
		want      string
	}{
		{"no placeholder", "Hello\n", nil, "Hello"},
		{"a column", "Hi {{ first_name }}!", map[string]string{"first_name": "Asha"}, "Hi Asha!"},
		{"no blanks inside", "Hi {{first_name}}!", map[string]string{"first_name": "Asha"}, "Hi Asha!"},
		{"cells are trimmed", "Hi *{{ first_name }}*,", map[string]string{"first_name": " Asha\u00a0"}, "Hi *Asha*,"},
		{"default for a blank", `Hi {{ first_name | default: "there" }}`, nil, "Hi there"},
		{"default for blanks only", `Hi {{ first_name | default: "there" }}`, map[string]string{"first_name": "  "}, "Hi there"},
		{"default for nothing else", `{{ amount | default: "1" }}`, map[string]string{"amount": "0"}, "0"},
		{"default false stays", `{{ vip | default: "1" }}`, map[string]string{"vip": "false"}, "false"},
		{"default from another column", `Hi {{ first_name | default: name | default: "you" }}`, map[string]string{"name": "Rao"}, "Hi Rao"},
		{"space before the colon", `Hi {{ first_name | default : "there" }}`, nil, "Hi there"},
		{"a no-break space from a word processor", "Hi {{\u00a0first_name\u00a0}}", map[string]string{"first_name": "Asha"}, "Hi Asha"},
		{"leading zeros stay", "{{ code }}", map[string]string{"code": "007"}, "007"},
		{"trailing zeros stay", "{{ amount }}", map[string]string{"amount": "1.50"}, "1.50"},
		{"long ids stay", "{{ code }}", map[string]string{"code": "12345678901234567890"}, "12345678901234567890"},
		{"a value is not parsed", "Hi {{ name }}", map[string]string{"name": "{{ code }}{% for i in (1..9) %}"}, "Hi {{ code }}{% for i in (1..9) %}"},
		{"a string may hold the other quote", `{{ blank_cell | default: "it's" }}`, nil, "it's"},
		{"braces can be written", `use {{ "{name}" }}, {{ "{" }}{{ "{" }} and {{ "{" }}%`, nil, "use {name}, {{ and {%"},
		{"trim marks", "a  {{- name -}}  b", map[string]string{"name": "x"}, "axb"},
		{"a negative number is no trim mark", "a {{-5 | plus: 1}} b", nil, "a -4 b"},
		{"controls in values are dropped", "{{ name }}", map[string]string{"name": "a\x1b[31mb\x00\r\nc"}, "a[31mb\nc"},
		{"invalid UTF-8 is mended", "{{ name }}", map[string]string{"name": "a\xff"}, "a\uFFFD"},
		{"emoji and Devanagari", "🎉 {{ name | truncate: 4, '' }}", map[string]string{"name": "नमस्ते"}, "🎉 नमस्ते"},
		{"CRLF in the template", "a\r\nb {{ name }}", map[string]string{"name": "c"}, "a\nb c"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := renderText(t, tt.src, tt.fields)
			if err != nil || got != tt.want {
				t.Errorf("got %q, %v, want %q", got, err, tt.want)
			}
		})
	}
}

func TestConditions(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		condition string
		fields    map[string]string
		want      bool
	}{
		{"amount > 100", map[string]string{"amount": "99.99"}, false},
		{"amount > 100", map[string]string{"amount": "1000"}, true},
		{"amount > 100", map[string]string{"amount": "1,000.50"}, true},
		{"amount > 100", map[string]string{"amount": "1,00,000"}, true},
		{"100 < amount", map[string]string{"amount": "1000"}, true},
		{"amount >= 9", map[string]string{"amount": "10"}, true},
		{"amount <= 9", map[string]string{"amount": "10"}, false},
		{"amount > 100", map[string]string{"amount": ""}, false},
		{"amount < 100", map[string]string{"amount": ""}, false},
		{"amount == 1.5", map[string]string{"amount": "1.50"}, true},
		{"amount != 1.5", map[string]string{"amount": "1.50"}, false},
		{"amount == 7", map[string]string{"amount": "007"}, true},
		{`code == "7"`, map[string]string{"code": "007"}, false},
		{`code == "007"`, map[string]string{"code": "007"}, true},
		{"code == 9007199254740993", map[string]string{"code": "9007199254740992"}, false},
		{"amount > -5", map[string]string{"amount": "-3"}, true},
		{"amount == 5", map[string]string{"amount": "five"}, false},
		{"code == city", map[string]string{"code": "10", "city": "10.0"}, false},
		{"code < city", map[string]string{"code": "9", "city": "10"}, true},
		{`due < "2026-12-01"`, map[string]string{"due": "2026-11-28"}, true},
		{"name", map[string]string{"name": "Asha"}, true},
		{"name", map[string]string{"name": " "}, false},
		{"vip", map[string]string{"vip": "FALSE"}, false},
		{"vip", map[string]string{"vip": "TRUE"}, true},
		{"vip == true", map[string]string{"vip": "TRUE"}, true},
		{"vip == false", map[string]string{"vip": "FALSE"}, true},
		{"name == blank", nil, true},
		{"name == empty", map[string]string{"name": "Asha"}, false},
		{"name == nil", nil, true},
		{`name == ""`, nil, true},
		{`name != ""`, nil, false},
		{"name != blank and city", map[string]string{"name": "A", "city": "Pune"}, true},
		{"name and city", map[string]string{"name": "A"}, false},
		{"name or city", map[string]string{"name": "A"}, true},
		{"name and (city or code)", map[string]string{"name": "A", "code": "1"}, true},
		{`city contains "un"`, map[string]string{"city": "Pune"}, true},
		{`city contains "xx"`, map[string]string{"city": "Pune"}, false},
		{"name | size > 3", map[string]string{"name": "Asha"}, true},
		{"amount | times: 2 > 100", map[string]string{"amount": "51"}, true},
		{"100 < amount | times: 2", map[string]string{"amount": "51"}, true},
		{"amount | plus: 0 == 51", map[string]string{"amount": "51.00"}, true},
		{`city | downcase == "pune"`, map[string]string{"city": "PUNE"}, true},
	} {
		t.Run(tt.condition, func(t *testing.T) {
			t.Parallel()
			for _, form := range []struct{ src, yes, no string }{
				{"{% if " + tt.condition + " %}yes{% else %}no{% endif %}", "yes", "no"},
				{"{% unless " + tt.condition + " %}no{% else %}yes{% endunless %}", "yes", "no"},
				{"{% if vip == 'never' %}x{% elsif " + tt.condition + " %}yes{% else %}no{% endif %}", "yes", "no"},
			} {
				want := form.no
				if tt.want {
					want = form.yes
				}
				got, err := renderText(t, form.src, tt.fields)
				if err != nil || got != want {
					t.Errorf("%s with %v: got %q, %v, want %q", form.src, tt.fields, got, err, want)
				}
			}
		})
	}
}

func TestComparingTextWithANumberIsAnErrorOfTheRow(t *testing.T) {
	t.Parallel()
	for _, condition := range []string{"amount > 100", "100 > amount", "amount <= 100"} {
		_, err := renderText(t, "{% if "+condition+" %}yes{% endif %}x", map[string]string{"amount": "N/A"})
		p := problemOf(t, err)
		if p.Code != CodeNotNumber || p.Value != "N/A" || p.Line != 2 || p.Field != "message.text" {
			t.Errorf("%s: got %+v", condition, p)
		}
	}
}

func TestCase(t *testing.T) {
	t.Parallel()
	const src = `{% case city %}
{% when "Pune", "Mumbai" %}Maharashtra{% when "Delhi" or "Noida" %}north{% else %}elsewhere{% endcase %}`
	for city, want := range map[string]string{"Pune": "Maharashtra", "Mumbai": "Maharashtra", "Noida": "north", "Goa": "elsewhere", "": "elsewhere"} {
		if got, err := renderText(t, src, map[string]string{"city": city}); err != nil || got != want {
			t.Errorf("%q: got %q, %v, want %q", city, got, err, want)
		}
	}
	const numbers = `{% case amount %}{% when 1 %}one{% when 2.50 %}two and a half{% else %}more{% endcase %}`
	for amount, want := range map[string]string{"1.0": "one", "2.5": "two and a half", "3": "more"} {
		if got, err := renderText(t, numbers, map[string]string{"amount": amount}); err != nil || got != want {
			t.Errorf("%q: got %q, %v, want %q", amount, got, err, want)
		}
	}
}

func TestRowErrors(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		tpl    campaign.Template
		fields map[string]string
		code   string
		field  string
	}{
		{"comes out empty", campaign.Template{Text: "{{ name }}"}, nil, CodeEmptyText, "message.text"},
		{"comes out invisible", campaign.Template{Text: "{{ name }}"}, map[string]string{"name": "\u200b"}, CodeEmptyText, "message.text"},
		{"text too long", campaign.Template{Text: "{{ name }}{{ name }}"}, map[string]string{"name": strings.Repeat("x", 40_000)}, CodeTooLong, "message.text"},
		{"text too long in emoji", campaign.Template{Text: "{{ name }}"}, map[string]string{"name": strings.Repeat("🎉", 40_000)}, CodeTooLong, "message.text"},
		{"far too long", campaign.Template{Text: strings.Repeat("{{ name }}", 9)}, map[string]string{"name": strings.Repeat("x", 200_000)}, CodeTooLong, "message.text"},
		{"far too long in a block", campaign.Template{Text: "{% if name %}" + strings.Repeat("{{ name }}", 9) + "{% endif %}"}, map[string]string{"name": strings.Repeat("x", 200_000)}, CodeTooLong, "message.text"},
		{"cell too long", campaign.Template{Text: "{{ name }}"}, map[string]string{"name": strings.Repeat("x", 300_000)}, CodeTooLong, "message"},
		{"replacements that grow", campaign.Template{Text: "{{ name" + strings.Repeat(` | replace: "a", "aaaaaaaaaa"`, 30) + " }}"}, map[string]string{"name": "a"}, CodeTooLong, "message.text"},
		{"caption too long", campaign.Template{Text: "{{ name }}", Media: &campaign.MediaTemplate{Type: "image", URL: "https://example.com/a.jpg"}}, map[string]string{"name": strings.Repeat("x", 1_025)}, CodeTooLong, "message.text"},
		{"not a number", campaign.Template{Text: "{{ amount | plus: 1 }}"}, map[string]string{"amount": "ten"}, CodeNotNumber, "message.text"},
		{"blank number", campaign.Template{Text: "{{ amount | plus: 1 }}"}, nil, CodeNotNumber, "message.text"},
		{"growing number", campaign.Template{Text: "{{ amount" + strings.Repeat(" | times: 99999999999999999999", 4) + " }}"}, map[string]string{"amount": "1"}, CodeNotNumber, "message.text"},
		{"division by zero", campaign.Template{Text: "{{ amount | divided_by: code }}"}, map[string]string{"amount": "1", "code": "0"}, CodeDivision, "message.text"},
		{"not a date", campaign.Template{Text: "{{ due | date }}"}, map[string]string{"due": "soon"}, CodeBadDate, "message.text"},
		{"the present date", campaign.Template{Text: "{{ 'now' | date: '%Y' }}"}, nil, CodeBadDate, "message.text"},
		{"not a phone", campaign.Template{Text: "{{ code | phone }}"}, map[string]string{"code": "hello"}, CodeBadPhone, "message.text"},
		{"no reply id", campaign.Template{Text: "x", ReplyTo: "{{ code }}"}, nil, CodeReply, "message.reply_to"},
		{"bad reply id", campaign.Template{Text: "x", ReplyTo: "{{ code }}"}, map[string]string{"code": "two words"}, CodeReply, "message.reply_to"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tpl := mustCompile(t, tt.tpl, config())
			m, err := tpl.Render(t.Context(), row(tt.fields))
			p := problemOf(t, err)
			if p.Code != tt.code || p.Field != tt.field || p.Line != 2 || p.What == "" || p.Fix == "" {
				t.Errorf("got %+v", p)
			}
			if !cmp.Equal(m, campaign.Message{}) {
				t.Errorf("a failed row has a message: %#v", m)
			}
			// The error must not spoil what the pooled scene renders next.
			ok := map[string]string{"name": "Asha", "amount": "10", "code": "2", "due": "2026-11-28"}
			if tt.code != CodeBadPhone && tt.name != "the present date" && !strings.Contains(tt.name, "grow") {
				if _, err := tpl.Render(t.Context(), row(ok)); err != nil {
					t.Errorf("next row: %v", err)
				}
			}
		})
	}
}

func TestAMissingColumnIsAnErrorOfTheRow(t *testing.T) {
	t.Parallel()
	tpl := mustCompile(t, campaign.Template{Text: `Hi {{ name | default: "you" }}`}, config())
	_, err := tpl.Render(t.Context(), campaign.Row{Seq: 4, Line: 5, Fields: map[string]string{"city": "Pune"}})
	if p := problemOf(t, err); p.Code != CodeNoColumn || p.Line != 5 {
		t.Errorf("got %+v", p)
	}
}

func TestRefuseBlank(t *testing.T) {
	t.Parallel()
	cfg := config()
	cfg.RefuseBlank = true
	tpl := mustCompile(t, campaign.Template{Text: `Hi {{ name }}{% if city %} from {{ city }}{% endif %} {{ code | default: "" }}`}, cfg)
	if _, err := tpl.Render(t.Context(), row(nil)); problemOf(t, err).Code != CodeBlank {
		t.Errorf("blank name: %v", err)
	}
	if _, err := tpl.Render(t.Context(), row(map[string]string{"name": "Asha"})); err != nil {
		t.Errorf("blanks that are looked after: %v", err)
	}
}

func TestLinkPreviewAndReply(t *testing.T) {
	t.Parallel()
	off, on := false, true
	media := &campaign.MediaTemplate{Type: "document", URL: "https://example.com/a.pdf"}
	poll := &campaign.PollTemplate{Question: "Q?", Options: []string{"a", "b"}}
	for _, tpl := range []campaign.Template{{Text: "x"}, {Media: media}, {Poll: poll}} {
		for _, preview := range []*bool{nil, &on, &off} {
			tpl.LinkPreview, tpl.ReplyTo = preview, "{{ code }}"
			m, err := mustCompile(t, tpl, config()).Render(t.Context(), row(map[string]string{"code": "true_1@c.us_3EB0"}))
			if err != nil {
				t.Fatal(err)
			}
			if want := preview == &off; m.HidePreview != want || m.ReplyTo != "true_1@c.us_3EB0" {
				t.Errorf("%s, preview %v: got hide %v, reply %q", m.Kind(), preview, m.HidePreview, m.ReplyTo)
			}
		}
	}
	optional := mustCompile(t, campaign.Template{Text: "x", ReplyTo: `{{ code | default: "" }}`}, config())
	if m, err := optional.Render(t.Context(), row(nil)); err != nil || m.ReplyTo != "" {
		t.Errorf("optional reply: %q, %v", m.ReplyTo, err)
	}
}

func TestRenderIsSafeForConcurrentUse(t *testing.T) {
	t.Parallel()
	tpl := mustCompile(t, campaign.Template{Text: `{{ name | upcase }} {% if amount > 50 %}{{ amount | plus: 1 }}{% else %}few{% endif %}`}, config())
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 200 {
				n := g*200 + i
				name := fmt.Sprintf("n%d", n)
				want := strings.ToUpper(name) + " few"
				if n > 50 {
					want = fmt.Sprintf("%s %d", strings.ToUpper(name), n+1)
				}
				m, err := tpl.Render(context.Background(), row(map[string]string{"name": name, "amount": fmt.Sprint(n)}))
				if err != nil || m.Text != want {
					t.Errorf("got %q, %v, want %q", m.Text, err, want)
				}
			}
		})
	}
	wg.Wait()
}

func TestRenderIsTheSameEveryTime(t *testing.T) {
	t.Parallel()
	src := campaign.Template{Text: `{{ name | title }} {{ due | date: "%A" }} {{ amount | times: 1.1 | money: "₹" }}`}
	r := row(map[string]string{"name": "asha", "due": "2026-11-28", "amount": "100000"})
	var hashes []string
	for range 3 {
		m, err := mustCompile(t, src, config()).Render(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		hashes = append(hashes, m.Hash())
	}
	if hashes[0] != hashes[1] || hashes[1] != hashes[2] {
		t.Errorf("hashes differ: %v", hashes)
	}
}

func TestUsage(t *testing.T) {
	t.Parallel()
	tpl := mustCompile(t, campaign.Template{Text: `Hi {{ first_name }},
{% if city %}from {{ city }}{% else %}{{ city }}{% endif %}
{% unless code == blank %}{{ code }}{% endunless %}{{ name | default: amount }}`}, config())
	type use struct {
		Line, Column                     int
		Condition, Default, Guarded, Gap bool
	}
	got := map[string][]use{}
	for _, v := range tpl.Usage() {
		for _, u := range v.Uses {
			got[v.Name] = append(got[v.Name], use{u.Line, u.Column, u.Condition, u.Default, u.Guarded, u.NeedsValue()})
		}
	}
	want := map[string][]use{
		"first_name": {{1, 7, false, false, false, true}},
		"city":       {{2, 7, true, false, false, false}, {2, 22, false, false, true, false}, {2, 42, false, false, false, true}},
		"code":       {{3, 11, true, false, false, false}, {3, 30, false, false, true, false}},
		"name":       {{3, 55, false, true, false, false}},
		"amount":     {{3, 71, false, true, false, false}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if h := tpl.Usage()[0].Header; h != "First Name" {
		t.Errorf("header %q", h)
	}
}

func TestConfigLocation(t *testing.T) {
	t.Parallel()
	cfg := config()
	cfg.Location = time.FixedZone("IST", 5*3600+1800)
	tpl := mustCompile(t, campaign.Template{Text: `{{ due | date: "%H:%M" }}`}, cfg)
	if m, err := tpl.Render(t.Context(), row(map[string]string{"due": "2026-11-28T10:00:00Z"})); err != nil || m.Text != "15:30" {
		t.Errorf("got %q, %v", m.Text, err)
	}
}
