package campaign

import (
	"encoding/json"
	"slices"
)

// Variant is one of several messages of a campaign. In the campaign file the
// keys of its message stand beside name and weight.
type Variant struct {
	Name    string   `yaml:"name"`    // A, B, … when not given
	Weight  int      `yaml:"weight"`  // 1 to 1000; 1 when not given
	Message Template `yaml:",inline"` // as in message
}

// variantFile is a Variant as the campaign file has it.
type variantFile struct {
	Name   string `json:"name"`
	Weight int    `json:"weight"`
	Template
}

// MarshalJSON writes a variant the way the campaign file has it.
func (v Variant) MarshalJSON() ([]byte, error) {
	return json.Marshal(variantFile{v.Name, v.Weight, v.Message})
}

// UnmarshalJSON is the reverse of MarshalJSON.
func (v *Variant) UnmarshalJSON(b []byte) error {
	var file variantFile
	if err := json.Unmarshal(b, &file); err != nil {
		return err
	}
	*v = Variant{file.Name, file.Weight, file.Template}
	return nil
}

// Messages are the messages of the campaign: its variants, or the one message
// as a variant without a name.
func (s Spec) Messages() []Variant {
	if len(s.Variants) > 0 {
		return s.Variants
	}
	return []Variant{{Weight: 1, Message: s.Message}}
}

// PollOptions are the options of all polls of the campaign, each once, as the
// file has them.
func (s Spec) PollOptions() []string {
	var all []string
	for _, v := range s.Messages() {
		if v.Message.Poll == nil {
			continue
		}
		for _, option := range v.Message.Poll.Options {
			if !slices.Contains(all, option) {
				all = append(all, option)
			}
		}
	}
	return all
}

// PollIDOf is the id that every copy of a variant's poll carries: the
// campaign's own, and for a variant one of its own, so that votes on different
// questions are not added up. "" stays "".
func PollIDOf(pollID, variant string) string {
	if pollID == "" || variant == "" {
		return pollID
	}
	return pollID + ":" + variant
}
