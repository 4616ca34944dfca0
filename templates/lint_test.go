package templates

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/herald-campaigns/herald/campaign"
)

func lintText(tb testing.TB, src string) []string {
	tb.Helper()
	var got []string
	for _, w := range mustCompile(tb, campaign.Template{Text: src}, config()).Lint() {
		if w.What == "" || w.Fix == "" || w.Field != "message.text" {
			tb.Errorf("%+v", w)
		}
		got = append(got, fmt.Sprintf("%s %d:%d", w.Code, w.Line, w.Column))
	}
	return got
}

func TestLint(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		src  string
		want []string
	}{
		{"Hi *{{ name }}*, _see_ ~old~ `code` https://example.com/a_b_c", nil},
		{"*Sale:* 20% off!\n\n- one\n* two\n1. three\n> quote", nil},
		{"snake_case and 2 * 3 * 4 and a*b*c", nil},
		{"Offer*\nmail john_doe_x@example.com", nil},
		{"```\n**raw** # not formatting *\n```", nil},
		{"{% if vip %}*Dear* {% else %}_Hi_ {% endif %}{{ name }}", nil},
		{"*{% if vip %}Dear{% endif %} {{ name }}*", nil},
		{"*_bold italic_* and _*both*_", nil},
		{"Only $500 at [our shop] for <you> and %5", nil},

		{"this is **bold**", []string{WarnDoubleMark + " 1:9"}},
		{"a\nहि __b__ ~~c~~", []string{WarnDoubleMark + " 2:4", WarnDoubleMark + " 2:10"}},
		{"# Offer", []string{WarnHeading + " 1:1"}},
		{"see [our site](https://example.com)", []string{WarnLink + " 1:5"}},
		{"| a | b |", []string{WarnTable + " 1:1"}},
		{"<b>Hi</b><br/>", []string{WarnHTML + " 1:1"}},
		{"Hi *{{ name }}", []string{WarnUnbalanced + " 1:4"}},
		{"Hi _there", []string{WarnUnbalanced + " 1:4"}},
		{"a ```code", []string{WarnUnbalanced + " 1:3"}},
		{"Hi * {{ name }} *!", []string{WarnInnerSpace + " 1:4"}},
		{"Hi *bold *!", []string{WarnInnerSpace + " 1:4"}},
		{"Hi _ soft_!", []string{WarnInnerSpace + " 1:4"}},
		{"* Offer *", []string{WarnInnerSpace + " 1:1"}},
		{"*two\n\nlines* here", []string{WarnSpanLines + " 1:1"}},
		{"name }} and %}", []string{WarnStrayBraces + " 1:6", WarnStrayBraces + " 1:13"}},
		{"Hi [name], [First Name]", []string{WarnOtherTool + " 1:4", WarnOtherTool + " 1:12"}},
		{"Hi %name% <<name>> <name> «name» $name ((name))", []string{
			WarnOtherTool + " 1:4", WarnOtherTool + " 1:11", WarnOtherTool + " 1:20", WarnOtherTool + " 1:27", WarnOtherTool + " 1:34", WarnOtherTool + " 1:40",
		}},
		{strings.Repeat("word ", 820) + "{{ name }}", []string{WarnLong + " 0:0"}},
	} {
		name := tt.src[:min(len(tt.src), 30)]
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tt.want, lintText(t, tt.src)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestLintOfOtherFields(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "big.wav"), []byte(wav+strings.Repeat("\x00", 3*megabyte)), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := config()
	cfg.Dir = dir
	for _, tt := range []struct {
		tpl  campaign.Template
		want []string
	}{
		{
			campaign.Template{Text: "caption", Media: &campaign.MediaTemplate{Type: "audio", File: "big.wav"}},
			[]string{WarnAudioCaption + " message.text", WarnLargeFile + " message.media.file"},
		},
		{
			campaign.Template{Media: &campaign.MediaTemplate{Type: "image", URL: "https://example.com/[name].jpg"}},
			[]string{WarnOtherTool + " message.media.url"},
		},
		{
			campaign.Template{Poll: &campaign.PollTemplate{Question: "*When?*", Options: []string{"%name%", "_No_"}}},
			[]string{WarnPollFormat + " message.poll.question", WarnOtherTool + " message.poll.options[0]", WarnPollFormat + " message.poll.options[1]"},
		},
	} {
		var got []string
		for _, w := range mustCompile(t, tt.tpl, cfg).Lint() {
			got = append(got, w.Code+" "+w.Field)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Error(diff)
		}
	}
}

// A text of nothing but mistakes is reported in part, without looking at it
// once for every mistake.
func TestWhatIsReportedIsCapped(t *testing.T) {
	t.Parallel()
	for _, unit := range []string{"*a ", "*a\n", "*a\na*\n", " *a *", "# a\n", "[name]\n", "}}\n", "**a**\n", "{{", "{%", "{name}", "`", "```"} {
		src := strings.Repeat(unit, 60_000/len(unit))
		l := &linter{c: &compiler{names: columns}}
		l.text("message.text", src)
		l.poll("message.poll.question", src)
		if n := len(l.warnings); n > maxWarnings {
			t.Errorf("%q: %d warnings", unit, n)
		}
		if _, err := Compile(t.Context(), campaign.Template{Text: src}, config()); err != nil && len(problemsOf(t, err)) > maxProblems {
			t.Errorf("%q: %d problems", unit, len(problemsOf(t, err)))
		}
	}
}
