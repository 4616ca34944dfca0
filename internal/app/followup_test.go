package app

import (
	"testing"

	"github.com/herald-campaigns/herald/campaign"
)

// TestOptionsThatNobodyCouldChoose are refused; those of any variant are not,
// nor any where placeholders made them.
func TestOptionsThatNobodyCouldChoose(t *testing.T) {
	t.Parallel()
	poll := func(options ...string) campaign.Variant {
		return campaign.Variant{Message: campaign.Template{Poll: &campaign.PollTemplate{Question: "Which?", Options: options}}}
	}
	text := campaign.Variant{Message: campaign.Template{Text: "Hi"}}
	for name, test := range map[string]struct {
		variants []campaign.Variant
		where    string
		hint     string // "" is not refused
	}{
		"there":                 {[]campaign.Variant{poll("Yes", "No")}, "voted 'no' and not voted ' YES '", ""},
		"of another variant":    {[]campaign.Variant{poll("Yes", "No"), text, poll("No", "Perhaps")}, "voted 'Perhaps' or voted 'Yes'", ""},
		"of none":               {[]campaign.Variant{poll("Yes", "No"), poll("No", "Perhaps")}, "read or not voted 'Never'", "its options are Yes, No, Perhaps"},
		"nearly there":          {[]campaign.Variant{poll("Friday", "Sunday")}, "voted 'fryday'", "did you mean 'Friday'? Its options are Friday, Sunday"},
		"without a poll":        {[]campaign.Variant{text}, "voted 'Yes'", "none of its messages is a poll, so nobody voted"},
		"any vote, no poll":     {[]campaign.Variant{text}, "voted", ""},
		"made by a placeholder": {[]campaign.Variant{poll("{{ day }}", "Never")}, "voted 'Friday'", ""},
	} {
		where, err := campaign.ParseWhere(test.where)
		check(t, err)
		err = canChoose(campaign.Campaign{Name: "first", Spec: campaign.Spec{Variants: test.variants}}, where)
		if test.hint == "" {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if hints := campaign.HintsOf(err); campaign.CodeOf(err) != campaign.CodeInvalid || len(hints) != 1 || hints[0] != test.hint {
			t.Errorf("%s: %v, hints %q, want %q", name, err, hints, test.hint)
		}
	}
}
