package templates_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/templates"
)

func twoVariants() []campaign.Variant {
	return []campaign.Variant{
		{Name: "A", Weight: 1, Message: campaign.Template{Text: "Hi {{ name }}"}},
		{Name: "B", Weight: 1, Message: campaign.Template{Text: "Hello {{ name }} from {{ city }}, **now**"}},
	}
}

func setRow(variant, name, city string) campaign.Row {
	return campaign.Row{Seq: 1, Line: 2, Variant: variant, Fields: map[string]string{"name": name, "city": city}}
}

func TestSetRendersByVariant(t *testing.T) {
	t.Parallel()
	set, err := templates.CompileSet(t.Context(), twoVariants(), templates.Config{Variables: []string{"name", "city"}})
	if err != nil {
		t.Fatal(err)
	}
	for variant, want := range map[string]string{"A": "Hi Maya", "B": "Hello Maya from Pune, **now**"} {
		message, err := set.Render(t.Context(), setRow(variant, "Maya", "Pune"))
		if err != nil || message.Text != want {
			t.Errorf("%s renders %q, %v", variant, message.Text, err)
		}
	}
	if _, err := set.Render(t.Context(), setRow("C", "Maya", "Pune")); err == nil {
		t.Error("a variant that there is not renders")
	}
	warnings := set.Lint()
	if len(warnings) != 1 || warnings[0].Field != "variants.B.text" {
		t.Errorf("warnings %+v", warnings)
	}
}

// TestSetOfOneIsTheMessage: a campaign without variants says "message", as it
// always did.
func TestSetOfOneIsTheMessage(t *testing.T) {
	t.Parallel()
	messages := campaign.Spec{Message: campaign.Template{Text: "Hi {{ nam }}"}}.Messages()
	_, err := templates.CompileSet(t.Context(), messages, templates.Config{Variables: []string{"name"}})
	var bad *campaign.InputError
	if !errors.As(err, &bad) || bad.Problems[0].Field != "message.text" {
		t.Errorf("%v", err)
	}
	if got := templates.SourceIn(messages, "message.text"); got != "Hi {{ nam }}" {
		t.Errorf("source %q", got)
	}
}

func TestSetNamesTheVariant(t *testing.T) {
	t.Parallel()
	messages := twoVariants()
	messages[0].Message.Text = "Hi {{ nam }}"
	messages[1].Message.Text = "Hello {{ cty }}"
	_, err := templates.CompileSet(t.Context(), messages, templates.Config{Variables: []string{"name", "city"}})
	var bad *campaign.InputError
	if !errors.As(err, &bad) {
		t.Fatalf("%v", err)
	}
	var fields []string
	for _, p := range bad.Problems {
		fields = append(fields, p.Field)
		if source := templates.SourceIn(messages, p.Field); !strings.HasPrefix(source, "H") {
			t.Errorf("%s: source %q", p.Field, source)
		}
	}
	if diff := cmp.Diff([]string{"variants.A.text", "variants.B.text"}, fields); diff != "" {
		t.Errorf("fields (-want +got):\n%s", diff)
	}

	set, err := templates.CompileSet(t.Context(), twoVariants(), templates.Config{Variables: []string{"name", "city"}, RefuseBlank: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := set.Render(t.Context(), setRow("A", "Maya", "")); err != nil {
		t.Errorf("A does not use the blank column: %v", err)
	}
	_, err = set.Render(t.Context(), setRow("B", "Maya", ""))
	if !errors.As(err, &bad) || bad.Problems[0].Field != "variants.B" {
		t.Errorf("%v", err)
	}
}

// TestSetPolls: each variant's poll has its own id and its own options, frozen
// with its own first row.
func TestSetPolls(t *testing.T) {
	t.Parallel()
	poll := func(question string) campaign.Template {
		return campaign.Template{Poll: &campaign.PollTemplate{Question: question, Options: []string{"{{ city }}", "Elsewhere"}}}
	}
	messages := []campaign.Variant{{Name: "A", Message: poll("Where?")}, {Name: "B", Message: poll("Which city?")}}
	set, err := templates.CompileSet(t.Context(), messages, templates.Config{Variables: []string{"name", "city"}, PollID: "c1"})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"A", "B"}, set.Unfrozen()); diff != "" {
		t.Errorf("unfrozen (-want +got):\n%s", diff)
	}
	settled := set.Settle(t.Context(), setRow("B", "", "Pune")).Settle(t.Context(), setRow("A", "", "")).Settle(t.Context(), setRow("A", "", "Delhi"))
	if len(settled.Unfrozen()) != 0 || len(set.Unfrozen()) != 2 {
		t.Errorf("unfrozen %v, before %v", settled.Unfrozen(), set.Unfrozen())
	}
	for variant, want := range map[string]campaign.Poll{
		"A": {Question: "Where?", Options: []string{"Delhi", "Elsewhere"}, PollID: "c1:A"},
		"B": {Question: "Which city?", Options: []string{"Pune", "Elsewhere"}, PollID: "c1:B"},
	} {
		message, err := settled.Render(t.Context(), setRow(variant, "", want.Options[0]))
		if err != nil {
			t.Errorf("%s: %v", variant, err)
			continue
		}
		if diff := cmp.Diff(&want, message.Poll); diff != "" {
			t.Errorf("poll of %s (-want +got):\n%s", variant, diff)
		}
	}
	if _, err := settled.Render(t.Context(), setRow("A", "", "Pune")); err == nil {
		t.Error("A takes the options of B")
	}
}

func TestSetStats(t *testing.T) {
	t.Parallel()
	set, err := templates.CompileSet(t.Context(), twoVariants(), templates.Config{Variables: []string{"name", "city"}})
	if err != nil {
		t.Fatal(err)
	}
	stats := set.NewStats()
	for i, row := range []campaign.Row{setRow("A", "", ""), setRow("A", "Maya", "Pune"), setRow("B", "", "Goa"), setRow("B", "Jonas", "")} {
		row.Seq = int64(i + 1)
		message, err := set.Render(t.Context(), row)
		stats.Add(row, message, err)
	}
	all := stats.Summary()
	if all.Rows != 4 || all.Rendered != 4 || all.Longest.Seq != 4 || all.Shortest.Seq != 1 {
		t.Errorf("%+v, longest %+v, shortest %+v", all, all.Longest, all.Shortest)
	}
	blanks := map[string]int64{}
	for _, b := range all.Blanks {
		blanks[b.Variable.Name] = b.Rows
	}
	// The city is not used by A, so its blank there leaves no gap.
	if diff := cmp.Diff(map[string]int64{"name": 2, "city": 1}, blanks); diff != "" {
		t.Errorf("blanks (-want +got):\n%s", diff)
	}
	if uses := all.Blanks[0].Variable.Uses; len(uses) != 2 || uses[1].Field != "variants.B.text" {
		t.Errorf("uses %+v", uses)
	}
	if b := stats.Variant("B"); b.Rows != 2 || b.Longest.Seq != 4 {
		t.Errorf("B: %+v", b)
	}
}
