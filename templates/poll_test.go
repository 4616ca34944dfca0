package templates

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/herald-campaigns/herald/campaign"
)

func TestPoll(t *testing.T) {
	t.Parallel()
	tpl := mustCompile(t, campaign.Template{Poll: &campaign.PollTemplate{
		Question: "Coming to {{ city }}, {{ name }}?", Options: []string{"Yes ", "No"}, Multiple: true,
	}}, config())
	if tpl.OptionsVary() {
		t.Error("written out options vary")
	}
	for range 2 {
		m, err := tpl.Render(t.Context(), row(map[string]string{"city": "Pune", "name": "Asha"}))
		if err != nil {
			t.Fatal(err)
		}
		want := campaign.Message{Poll: &campaign.Poll{Question: "Coming to Pune, Asha?", Options: []string{"Yes", "No"}, Multiple: true, PollID: "poll_1"}}
		if diff := cmp.Diff(want, m, cmp.Transformer("fields", func(m campaign.Message) any { return *m.Poll })); diff != "" {
			t.Error(diff)
		}
		m.Poll.Options[0] = "changed by the caller"
	}
}

func TestPollProblems(t *testing.T) {
	t.Parallel()
	many := func(n int) (options []string) {
		for i := range n {
			options = append(options, fmt.Sprint("option ", i))
		}
		return options
	}
	for _, tt := range []struct {
		poll  campaign.PollTemplate
		code  string
		field string
	}{
		{campaign.PollTemplate{Options: many(2)}, CodePollQuestion, "message.poll.question"},
		{campaign.PollTemplate{Question: "Q", Options: many(1)}, CodePollOptionCount, "message.poll.options"},
		{campaign.PollTemplate{Question: "Q", Options: many(13)}, CodePollOptionCount, "message.poll.options"},
		{campaign.PollTemplate{Question: "Q", Options: []string{"a", " "}}, CodePollOption, "message.poll.options[1]"},
		{campaign.PollTemplate{Question: "Q", Options: []string{"a", "b", "a "}}, CodePollOption, "message.poll.options[2]"},
		{campaign.PollTemplate{Question: "Q", Options: []string{"a", strings.Repeat("x", 101)}}, CodePollOption, "message.poll.options[1]"},
		{campaign.PollTemplate{Question: "Q", Options: []string{"a", "{{ naem }}"}}, CodeUnknownColumn, "message.poll.options[1]"},
	} {
		_, err := Compile(t.Context(), campaign.Template{Poll: &tt.poll}, config())
		if p := problemOf(t, err); p.Code != tt.code || p.Field != tt.field {
			t.Errorf("%+v: got %+v", tt.poll, p)
		}
	}
	mustCompile(t, campaign.Template{Poll: &campaign.PollTemplate{Question: "Q", Options: many(12)}}, config())

	tpl := mustCompile(t, campaign.Template{Poll: &campaign.PollTemplate{Question: "{{ name }}", Options: many(2)}}, config())
	for name, code := range map[string]string{"": CodePollQuestion, strings.Repeat("x", 256): CodeTooLong} {
		_, err := tpl.Render(t.Context(), row(map[string]string{"name": name}))
		if p := problemOf(t, err); p.Code != code || p.Field != "message.poll.question" {
			t.Errorf("%q: got %+v", name, p)
		}
	}
}

func TestPollOptionsAreThoseOfTheFirstRow(t *testing.T) {
	t.Parallel()
	tpl := mustCompile(t, campaign.Template{Poll: &campaign.PollTemplate{Question: "When?", Options: []string{"{{ due }}", "Never"}}}, config())
	if !tpl.OptionsVary() {
		t.Fatal("options with placeholders do not vary")
	}
	var input *campaign.InputError
	if _, err := tpl.Render(t.Context(), row(map[string]string{"due": "Monday"})); err == nil || errors.As(err, &input) {
		t.Errorf("rendered before freezing: %v", err)
	}
	options, err := tpl.OptionsFor(t.Context(), row(map[string]string{"due": "Monday"}))
	if err != nil || !cmp.Equal(options, []string{"Monday", "Never"}) {
		t.Fatalf("got %v, %v", options, err)
	}

	byConfig := config()
	byConfig.PollOptions = options
	for name, frozen := range map[string]*Template{
		"Freeze": tpl.Freeze(options),
		"Config": mustCompile(t, campaign.Template{Poll: &campaign.PollTemplate{Question: "When?", Options: []string{"{{ due }}", "Never"}}}, byConfig),
	} {
		if frozen.OptionsVary() {
			t.Errorf("%s: still vary", name)
		}
		if m, err := frozen.Render(t.Context(), row(map[string]string{"due": " Monday"})); err != nil || !cmp.Equal(m.Poll.Options, options) {
			t.Errorf("%s: got %+v, %v", name, m.Poll, err)
		}
		_, err := frozen.Render(t.Context(), row(map[string]string{"due": "Tuesday"}))
		if p := problemOf(t, err); p.Code != CodePollOptionsDiffer || p.Field != "message.poll.options[0]" || p.Value != "Tuesday" || p.Line != 2 {
			t.Errorf("%s: got %+v", name, p)
		}
		_, err = frozen.Render(t.Context(), row(map[string]string{"due": "Never"}))
		if p := problemOf(t, err); p.Code != CodePollOption {
			t.Errorf("%s: got %+v", name, p)
		}
	}
	if !tpl.OptionsVary() {
		t.Error("Freeze changed the original")
	}
}

func TestOptionsCannotChangeUnderACampaign(t *testing.T) {
	t.Parallel()
	cfg := config()
	cfg.PollOptions = []string{"Yes", "No"}
	_, err := Compile(t.Context(), campaign.Template{Poll: &campaign.PollTemplate{Question: "Q", Options: []string{"Yes", "Maybe"}}}, cfg)
	if p := problemOf(t, err); p.Code != CodePollOptionsDiffer {
		t.Errorf("got %+v", p)
	}
}

func TestOptionsForOtherKinds(t *testing.T) {
	t.Parallel()
	tpl := mustCompile(t, campaign.Template{Text: "x"}, config())
	options, err := tpl.OptionsFor(t.Context(), row(nil))
	if err != nil || options != nil || tpl.OptionsVary() || tpl.Freeze([]string{"a"}) != tpl {
		t.Errorf("got %v, %v", options, err)
	}
}
