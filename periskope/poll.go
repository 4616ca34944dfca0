package periskope

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"
)

// Vote is one option chosen by one voter.
type Vote struct {
	Voter  string // chat id
	Option string
	At     time.Time // zero when not told
}

// wirePollInfo is a poll as the message object repeats it.
type wirePollInfo struct {
	Name    string            `json:"pollName"`
	Options []json.RawMessage `json:"pollOptions"` // strings, or objects with a name
	Extra   struct {
		AllowMultipleAnswers flexBool `json:"allowMultipleAnswers"`
		PollID               string   `json:"pollId"`
	} `json:"options"`
}

func (w wirePollInfo) poll() *Poll {
	p := &Poll{Name: w.Name, AllowMultipleAnswers: bool(w.Extra.AllowMultipleAnswers), PollID: w.Extra.PollID}
	for _, raw := range w.Options {
		var option string
		if json.Unmarshal(raw, &option) != nil {
			var named struct {
				Name string `json:"name"`
			}
			_ = decode(raw, &named)
			option = named.Name
		}
		if option != "" {
			p.Options = append(p.Options, option)
		}
	}
	return p
}

// PollResults are the votes on the poll the message holds, ordered by voter
// and option. They are all votes there are: whoever is missing has withdrawn.
// known is false when the message says nothing of votes.
//
// The documentation does not say which level of poll_results is the option and
// which the voter; both are read (dossier §7.4).
func PollResults(m Message) (votes []Vote, known bool) {
	var outer map[string]json.RawMessage
	if len(m.pollResults) == 0 || json.Unmarshal(m.pollResults, &outer) != nil || outer == nil {
		return nil, false
	}
	var options []string
	if m.PollInfo != nil {
		options = m.PollInfo.Options
	}
	byVoter := votersOutside(outer, options)
	for _, name := range slices.Sorted(maps.Keys(outer)) {
		for key, value := range innerVotes(outer[name]) {
			vote := Vote{Voter: key, Option: name, At: ParseTime(value)}
			if byVoter {
				vote.Voter, vote.Option = name, key
				// A list of options rather than a map from option to time.
				if !slices.Contains(options, key) && slices.Contains(options, value) {
					vote.Option = value
				}
			}
			votes = append(votes, vote)
		}
	}
	slices.SortFunc(votes, func(a, b Vote) int {
		if by := strings.Compare(a.Voter, b.Voter); by != 0 {
			return by
		}
		return strings.Compare(a.Option, b.Option)
	})
	return slices.Compact(votes), true
}

// votersOutside says whether the outer keys are the voters: they are no
// options of the poll, and look like chat ids.
func votersOutside(outer map[string]json.RawMessage, options []string) bool {
	allOptions, anyAddress := true, false
	for key := range outer {
		allOptions = allOptions && slices.Contains(options, key)
		anyAddress = anyAddress || strings.Contains(key, "@")
	}
	return !allOptions && anyAddress
}

// innerVotes reads the inner level: {"key": "time"}, or a list of keys, each
// of which is then its own value.
func innerVotes(raw json.RawMessage) map[string]string {
	raw = bytes.TrimSpace(raw)
	votes := make(map[string]string)
	if len(raw) > 0 && raw[0] == '[' {
		var list []string
		_ = decode(raw, &list)
		for _, key := range list {
			votes[key] = key
		}
		return votes
	}
	var inner map[string]json.RawMessage
	_ = json.Unmarshal(raw, &inner)
	for key, value := range inner {
		var s string
		if json.Unmarshal(value, &s) != nil {
			s = string(value)
		}
		votes[key] = s
	}
	return votes
}
