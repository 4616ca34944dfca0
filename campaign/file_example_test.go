package campaign_test

import (
	"errors"
	"fmt"
	"strings"

	"github.com/herald-campaigns/herald/campaign"
)

func ExampleParse() {
	const file = `
name: Spring news
recipients: { csv: people.csv, contry: IN }
message:
  text: |
    Hi {{ name | default: "there" }}
senders: ["+1 201-555-0123"]
pace: { rate: 20 }
`
	_, err := campaign.Parse(strings.NewReader(file), "spring.yaml")
	if input, ok := errors.AsType[*campaign.InputError](err); ok {
		for _, p := range input.Problems {
			fmt.Printf("%s\n  Fix: %s\n", p, p.Fix)
		}
	}
	// Output:
	// spring.yaml:3:32: recipients.contry: there is no key `contry` under `recipients:` (E_FILE_UNKNOWN_KEY)
	//   Fix: did you mean `country`?
	// spring.yaml:8:15: pace.rate: "20" is not a rate (E_FILE_VALUE)
	//   Fix: say per what: 20/m is per minute, 20/s per second, 20/h per hour
}

func ExampleParseRate() {
	for _, text := range []string{"20/m", "1/10s", "500/day", "unlimited"} {
		rate, err := campaign.ParseRate(text)
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Printf("%s: %.4g a second\n", rate, rate.PerSecond())
	}
	// Output:
	// 20/m: 0.3333 a second
	// 1/10s: 0.1 a second
	// 500/d: 0.005787 a second
	// unlimited: 0 a second
}

func ExampleDiff() {
	before := campaign.Spec{
		Recipients: campaign.Source{Country: "IN"},
		Message:    campaign.Template{Text: "Hi {{ name }}"},
	}
	after := before
	after.Recipients.Country = "AE"
	after.Message.Text = "Hello {{ name }}"
	for _, change := range campaign.Diff(before, after) {
		fmt.Println(change)
	}
	// Output:
	// message.text
	// recipients.country: IN → AE
}
