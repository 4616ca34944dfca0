package app

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/report"
)

// parseConfig reads a configuration file: its sections and, for every key and
// section, where it stands: herald.yaml:12.
func parseConfig(name string, content []byte) (sections map[string]any, places map[string]string, err error) {
	var file yaml.Node
	if err := yaml.Unmarshal(content, &file); err != nil {
		return nil, nil, notYAML(name, err)
	}
	places = map[string]string{}
	if len(file.Content) == 0 || file.Content[0].ShortTag() == "!!null" { // everything is switched off
		return nil, places, nil
	}
	root := file.Content[0]
	if root.Kind != yaml.MappingNode {
		// The parser's own words would quote it, and it may be a token's file.
		return nil, nil, &campaign.Error{
			Code: campaign.CodeInvalid, What: fmt.Sprintf("%s:%d: here must be keys with values", name, root.Line),
			Hint: "`herald init` writes a file to start from",
		}
	}
	if err := root.Decode(&sections); err != nil {
		return nil, nil, notYAML(name, err)
	}
	var add func(section string, n *yaml.Node)
	add = func(section string, n *yaml.Node) {
		for i := 0; i+1 < len(n.Content); i += 2 {
			key, value := section+n.Content[i].Value, n.Content[i+1]
			places[key] = fmt.Sprintf("%s:%d", name, n.Content[i].Line)
			if value.Kind == yaml.MappingNode {
				add(key+".", value)
			}
		}
	}
	add("", root)
	return sections, places, nil
}

// place is where a key stands or, as what is in a list or behind an alias has
// no place of its own, the section it is in.
func place(places map[string]string, key, otherwise string) string {
	for {
		if at := places[key]; at != "" {
			return at
		}
		end := strings.LastIndexByte(key, '.')
		if end < 0 {
			return otherwise
		}
		key = key[:end]
	}
}

// notYAML is the error of a file that cannot be parsed.
func notYAML(name string, err error) error {
	return &campaign.Error{
		Code: campaign.CodeInvalid, What: "read " + name, Err: errors.New(masked(err.Error())),
		Hint: "keys such as phone numbers must be quoted; `herald init` writes a file to start from",
	}
}

var longNumber = regexp.MustCompile(`[0-9]{7,}`)

// masked is a key, or what was written for a value, without the whole number of
// a phone.
func masked(text string) string {
	return report.Tidy(longNumber.ReplaceAllStringFunc(text, func(number string) string { return campaign.Phone(number).String() }))
}
