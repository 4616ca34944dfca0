package templates

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/herald-campaigns/herald/campaign"
)

func TestCompileProblems(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		src          string
		code         string
		line, column int
		says         []string // in What and Fix
	}{
		{"Hi {{ frist_name }}", CodeUnknownColumn, 1, 7, []string{"frist_name", "did you mean first_name (“First Name”)?", "available: first_name, name"}},
		{"Hi {{ nam }}", CodeUnknownColumn, 1, 7, []string{"did you mean name?"}},
		{"a\nHi {{ Name }}", CodeUnknownColumn, 2, 7, []string{"did you mean name?"}},
		{"Hi {{ First Name }}", CodeUnknownColumn, 1, 7, []string{"write {{ first_name }} for the column “First Name”"}},
		{"Hi {{ Order # }}", CodeUnknownColumn, 1, 7, []string{"{{ order_id }}"}},
		{"Hi {{ first-name }}", CodeUnknownColumn, 1, 7, []string{"did you mean first_name"}},
		{"Hi {{ contact.name }}", CodeSyntax, 1, 7, []string{"write {{ name }}"}},
		{"Hi {{ name.size }}", CodeSyntax, 1, 11, []string{"columns have no parts"}},
		{"Hi {{ zzzzqqq }}", CodeUnknownColumn, 1, 7, []string{"available: "}},
		{"नमस्ते {{ naem }}", CodeUnknownColumn, 1, 11, []string{"did you mean name?"}},
		{"Hi {{ name", CodeUnfinished, 1, 4, []string{"never closed"}},
		{"Hi {{ name }\nand {{ city }}", CodeUnfinished, 1, 4, nil},
		{"Hi {{ name {{ city }}", CodeUnfinished, 1, 4, nil},
		{"Hi {{ name\n}}", CodeUnfinished, 1, 4, nil},
		{"Hi {% if name", CodeUnfinished, 1, 4, nil},
		{"Hi {{}}", CodeNoName, 1, 4, []string{"names no column"}},
		{"Hi {{ }}", CodeNoName, 1, 4, nil},
		{"Hi {{1}}", CodePositional, 1, 6, []string{"names here, not numbers"}},
		{"Hi {{ 2 }}", CodePositional, 1, 7, nil},
		{"Hi {name}", CodeSingleBrace, 1, 4, []string{"write {{ name }}"}},
		{"Hi {First Name}", CodeSingleBrace, 1, 4, []string{"write {{ first_name }}"}},
		{"Hi {something}", CodeSingleBrace, 1, 4, []string{"available: "}},
		{"Hi {{{ name }}}", CodeSyntax, 1, 6, []string{"two braces"}},
		{"Hi {{ name | default: “there” }}", CodeQuotes, 1, 23, []string{"straight"}},
		{`Hi {{ name | default: "there }}`, CodeQuotes, 1, 23, []string{"never closed"}},
		{"{{ name | uppercase }}", CodeUnknownFilter, 1, 11, []string{"no filter “uppercase”", "did you mean upcase?", "available: append"}},
		{"{{ name | split: ' ' | first }}", CodeUnknownFilter, 1, 11, []string{"first_word"}},
		{"{{ name | }}", CodeSyntax, 1, 10, nil},
		{"{{ name | default }}", CodeFilterArg, 1, 11, []string{"one argument"}},
		{"{{ name | upcase: 3 }}", CodeFilterArg, 1, 11, []string{"no argument"}},
		{"{{ name | replace: 'a' }}", CodeFilterArg, 1, 11, []string{"2 arguments"}},
		{"{{ name | truncate: 'ten' }}", CodeFilterArg, 1, 21, []string{"whole number"}},
		{"{{ amount | plus: 'ten' }}", CodeFilterArg, 1, 19, []string{"a number"}},
		{"{{ due | date: '%Q' }}", CodeFilterArg, 1, 16, []string{"%Q", "%Y"}},
		{"{{ due | date: name }}", CodeFilterArg, 1, 16, []string{"quotation marks"}},
		{"{% for x in name %}{% endfor %}", CodeUnknownTag, 1, 1, []string{"loops are not available"}},
		{"{% include 'x' %}", CodeUnknownTag, 1, 1, []string{"include"}},
		{"{% assign x = 1 %}", CodeUnknownTag, 1, 1, []string{"assign"}},
		{"{% elseif name %}", CodeUnknownTag, 1, 1, []string{"did you mean elsif?"}},
		{"{% fi name %}", CodeUnknownTag, 1, 1, []string{"available: if, unless, case"}},
		{"{% name %}", CodeUnknownTag, 1, 1, []string{"{{ name }}"}},
		{"{% %}", CodeUnknownTag, 1, 1, nil},
		{"{% if name %}x", CodeBlock, 1, 1, []string{"add {% endif %}"}},
		{"x{% endif %}", CodeBlock, 1, 2, nil},
		{"{% if name %}{% endunless %}{% endif %}", CodeBlock, 1, 14, []string{"{% endif %}"}},
		{"{% else %}", CodeBlock, 1, 1, nil},
		{"{% if name %}{% else %}{% elsif city %}{% endif %}", CodeBlock, 1, 24, []string{"never reached"}},
		{"{% when 1 %}", CodeBlock, 1, 1, []string{"{% case %}"}},
		{"{% case city %}lost{% when 1 %}{% endcase %}", CodeBlock, 1, 16, []string{"never sent"}},
		{"{% if %}{% endif %}", CodeSyntax, 1, 1, []string{"condition is missing"}},
		{"{% if name = 'a' %}{% endif %}", CodeSyntax, 1, 12, []string{"write =="}},
		{"{% if name && city %}{% endif %}", CodeSyntax, 1, 12, []string{"write and"}},
		{"{% if name and city or code %}{% endif %}", CodeSyntax, 1, 21, []string{"parentheses"}},
		{"{% if not name %}{% endif %}", CodeUnknownColumn, 1, 7, []string{"unless"}},
		{"{% if (name %}{% endif %}", CodeSyntax, 1, 12, nil},
		{"{% if(name) %}{% endif %}", CodeSyntax, 1, 6, []string{"space"}},
		{"{% if amount > 1,000 %}{% endif %}", CodeSyntax, 1, 17, nil},
		{"{{ amount > 5 }}", CodeSyntax, 1, 11, []string{"{% if … %}"}},
		{"{{ (1..1000000000) }}", CodeSyntax, 1, 4, nil},
		{"{% if (1..1000000000) contains 5 %}{% endif %}", CodeSyntax, 1, 9, nil},
		{"{{ 5x }}", CodeSyntax, 1, 4, nil},
		{"{{ " + strings.Repeat("9", 50) + " | plus: 1 }}", CodeSyntax, 1, 4, nil},
		{"{{ name name }}", CodeSyntax, 1, 9, nil},
		{strings.Repeat("{{ name }}", 501), CodeTooComplex, 1, 5001, nil},
		{"{{ name" + strings.Repeat(" | upcase", 201) + " }}", CodeTooComplex, 1, 1811, nil},
		{"{% if " + strings.Repeat("(", 50) + "name" + strings.Repeat(")", 50) + " %}{% endif %}", CodeTooComplex, 1, 27, nil},
		{strings.Repeat("{% if name %}", 21) + strings.Repeat("{% endif %}", 21), CodeTooComplex, 1, 261, nil},
		{strings.Repeat("x", 65_537), CodeSourceTooLong, 1, 1, nil},
	} {
		name := tt.src
		if len(name) > 40 {
			name = name[:40]
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := Compile(t.Context(), campaign.Template{Text: tt.src}, config())
			p := problemOf(t, err)
			if p.Code != tt.code || p.Line != int64(tt.line) || p.Column != tt.column || p.Field != "message.text" {
				t.Errorf("got %s at %d:%d in %s: %s; %s", p.Code, p.Line, p.Column, p.Field, p.What, p.Fix)
			}
			for _, s := range tt.says {
				if !strings.Contains(p.What+"\n"+p.Fix, s) {
					t.Errorf("does not say %q: %s; %s", s, p.What, p.Fix)
				}
			}
			if p.What == "" || p.Fix == "" {
				t.Errorf("no words: %+v", p)
			}
		})
	}
}

func TestCompileReportsEveryProblem(t *testing.T) {
	t.Parallel()
	_, err := Compile(t.Context(), campaign.Template{
		Text:    "{{ naem }} {{ cty }}\n{name}",
		Media:   &campaign.MediaTemplate{Type: "imge", URL: "{{ lnk }}"},
		ReplyTo: "{{ cod }}",
	}, config())
	var got []string
	for _, p := range problemsOf(t, err) {
		got = append(got, p.Code+" "+p.Field)
	}
	want := []string{
		CodeUnknownColumn + " message.text", CodeUnknownColumn + " message.text", CodeSingleBrace + " message.text",
		CodeMediaType + " message.media.type", CodeUnknownColumn + " message.media.url", CodeUnknownColumn + " message.reply_to",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestCompileCapsWhatItReports(t *testing.T) {
	t.Parallel()
	_, err := Compile(t.Context(), campaign.Template{Text: strings.Repeat("{{ oops }}", 50)}, config())
	ps := problemsOf(t, err)
	if len(ps) != maxProblems || !strings.Contains(err.Error(), "49 more") {
		t.Errorf("%d problems: %v", len(ps), err)
	}
}

func problemsOf(tb testing.TB, err error) []campaign.Problem {
	tb.Helper()
	problemOf(tb, err)
	input, _ := errors.AsType[*campaign.InputError](err)
	return input.Problems
}

func TestCompileWithoutColumns(t *testing.T) {
	t.Parallel()
	tpl := mustCompile(t, campaign.Template{Text: "Hello"}, Config{})
	if m, err := tpl.Render(t.Context(), campaign.Row{}); err != nil || m.Text != "Hello" {
		t.Errorf("got %q, %v", m.Text, err)
	}
	_, err := Compile(t.Context(), campaign.Template{Text: "Hi {{ name }}"}, Config{})
	if p := problemOf(t, err); p.Code != CodeUnknownColumn || !strings.Contains(p.Fix, "no columns") {
		t.Errorf("got %+v", p)
	}
}

func TestCompileKinds(t *testing.T) {
	t.Parallel()
	poll := &campaign.PollTemplate{Question: "Q?", Options: []string{"a", "b"}}
	media := &campaign.MediaTemplate{Type: "image", URL: "https://example.com/a.jpg"}
	for _, tt := range []struct {
		tpl  campaign.Template
		code string
	}{
		{campaign.Template{}, CodeEmpty},
		{campaign.Template{Text: " \n"}, CodeEmpty},
		{campaign.Template{Poll: poll, Media: media}, CodeKind},
		{campaign.Template{Poll: poll, Text: "x"}, CodeKind},
		{campaign.Template{Media: &campaign.MediaTemplate{Type: "image"}}, CodeMediaSource},
		{campaign.Template{Media: &campaign.MediaTemplate{Type: "image", URL: "https://example.com/a", File: "a.jpg"}}, CodeMediaSource},
		{campaign.Template{Media: &campaign.MediaTemplate{URL: "https://example.com/a"}}, CodeMediaType},
		{campaign.Template{Media: &campaign.MediaTemplate{Type: "image", URL: "example.com/a"}}, CodeBadURL},
	} {
		_, err := Compile(t.Context(), tt.tpl, config())
		if p := problemOf(t, err); p.Code != tt.code {
			t.Errorf("%+v: got %s, want %s", tt.tpl, p.Code, tt.code)
		}
	}
}

func TestAColumnMayBeNamedLikeAWord(t *testing.T) {
	t.Parallel()
	names := []string{"empty", "in", "and", "true", "नाम", "if", "v0", "k0"}
	fields := map[string]string{}
	var src []string
	for _, n := range names {
		src = append(src, "{{ "+n+" }}")
		fields[n] = "<" + n + ">"
	}
	tpl := mustCompile(t, campaign.Template{Text: strings.Join(src, "")}, Config{Variables: names})
	m, err := tpl.Render(t.Context(), campaign.Row{Fields: fields})
	if want := "<empty><in><and><true><नाम><if><v0><k0>"; err != nil || m.Text != want {
		t.Errorf("got %q, %v", m.Text, err)
	}
}

func TestCaret(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		src          string
		line, column int
		want         string
	}{
		{"Hi {{ frist_name }},", 1, 7, "Hi {{ frist_name }},\n      ^"},
		{"a\nहि {{ x }}\r\nc", 2, 7, "हि {{ x }}\n      ^"},
		{"🎉 {{ x }}", 1, 6, "🎉 {{ x }}\n      ^"},
		{"\x1b[31m{{", 1, 6, "␛[31m{{\n     ^"},
		{"", 1, 1, "\n^"},
		{"a", 2, 1, ""},
		{"a", 0, 0, ""},
		{strings.Repeat("x", 200) + "{{", 1, 201, "…" + strings.Repeat("x", 40) + "{{\n" + strings.Repeat(" ", 41) + "^"},
	} {
		if got := Caret(tt.src, tt.line, tt.column); got != tt.want {
			t.Errorf("%q at %d:%d:\n%s\nwant\n%s", tt.src, tt.line, tt.column, got, tt.want)
		}
	}
}

func TestSourceFindsTheFieldOfAProblem(t *testing.T) {
	t.Parallel()
	tpl := campaign.Template{
		Text: "text", ReplyTo: "reply",
		Media: &campaign.MediaTemplate{URL: "url", File: "file", Filename: "filename", MIME: "mime"},
		Poll:  &campaign.PollTemplate{Question: "question", Options: []string{"a", "b"}},
	}
	for field, want := range map[string]string{
		"message.text": "text", "message.reply_to": "reply", "message.media.url": "url", "message.media.file": "file",
		"message.media.filename": "filename", "message.media.mimetype": "mime", "message.poll.question": "question",
		"message.poll.options[1]": "b", "message.poll.options[2]": "", "message": "", "message.media.type": "",
	} {
		if got := Source(tpl, field); got != want {
			t.Errorf("%s: got %q, want %q", field, got, want)
		}
	}
}

func TestProblemsHideNumbers(t *testing.T) {
	t.Parallel()
	_, err := renderText(t, "{{ code | date }}", map[string]string{"code": "call 12015550123 now"})
	if p := problemOf(t, err); strings.Contains(p.Value, "5550") || !strings.Contains(p.Value, "12*****0123") {
		t.Errorf("value %q", p.Value)
	}
}
