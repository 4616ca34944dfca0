package campaign

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// maxFileProblems bounds the problems listed of one file; the rest are counted.
const maxFileProblems = 50

const (
	nullTag  = "!!null"
	mergeTag = "!!merge"
)

// fileReader collects what is wrong in one campaign file while its parts are
// read. Reading goes on after a problem; the value read is then worthless, and
// so is the Spec.
type fileReader struct {
	problems []Problem
	more     int
}

// note adds a problem found at n; without a node, nothing is known of where.
func (f *fileReader) note(n *yaml.Node, p Problem) {
	if len(f.problems) == maxFileProblems {
		f.more++
		return
	}
	if n != nil {
		p.Line, p.Column = int64(n.Line), n.Column
	}
	f.problems = append(f.problems, p)
}

// rejection is the error that lists the problems in the order of the file; nil
// if there are none.
func (f *fileReader) rejection(file string) error {
	if len(f.problems) == 0 {
		return nil
	}
	for i := range f.problems {
		f.problems[i].File = file
	}
	slices.SortStableFunc(f.problems, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return &InputError{Problems: f.problems, More: f.more}
}

// section is one mapping of the file, its keys checked. A section that is not
// there reads as one without keys.
type section struct {
	f      *fileReader
	path   string     // "" for the file itself
	at     *yaml.Node // where a missing key is reported: the section's own key
	values map[string]*yaml.Node
	keys   map[string]*yaml.Node
	broken bool // it is no mapping, so nothing more is to be said of its keys
}

// section reads the mapping n, found under the key at. The example shows how
// the section is written.
func (f *fileReader) section(path string, at, n *yaml.Node, example string) section {
	s := section{f: f, path: path, at: at, values: map[string]*yaml.Node{}, keys: map[string]*yaml.Node{}}
	if n == nil {
		return s
	}
	if n.Kind != yaml.MappingNode {
		s.broken = true
		if !f.plain(path, n) {
			return s
		}
		f.note(n, Problem{
			Code: problemType, Field: path,
			What: "here must be a section with keys of its own, not " + kindOf(n),
			Fix:  "write it like this: " + example,
		})
		return s
	}
	if !f.plain(path, n) {
		s.broken = true
		return s
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.ShortTag() == mergeTag || key.Kind == yaml.AliasNode {
			f.noteAlias(path, key)
			continue
		}
		if key.Kind != yaml.ScalarNode {
			f.note(key, Problem{
				Code: problemSyntax, Field: path, What: "a key must be a word, not " + kindOf(key),
				Fix: `if this is a template, put the whole value in quotes: "{{ name }}"`,
			})
			continue
		}
		field := join(path, safe(key.Value, 40))
		if first, ok := s.keys[key.Value]; ok {
			f.note(key, Problem{
				Code: problemDuplicateKey, Field: field, What: fmt.Sprintf("this key is already on line %d", first.Line),
				Fix: "keep one of the two",
			})
			continue
		}
		s.keys[key.Value], s.values[key.Value] = key, value
		if !slices.Contains(fileKeys[path], key.Value) {
			if len(f.problems) == maxFileProblems {
				f.more++ // the nearest key is not worth looking for
				continue
			}
			code, what, fix := unknownKey(path, key.Value)
			f.note(key, Problem{Code: code, Field: field, What: what, Fix: fix})
		}
	}
	return s
}

// has says whether the section holds the key, whatever its value.
func (s section) has(key string) bool { return s.values[key] != nil }

// wants notes that a key is missing.
func (s section) wants(key, fix string) {
	if s.broken {
		return
	}
	s.f.note(s.at, Problem{Code: problemMissing, Field: join(s.path, key), What: "this is missing", Fix: fix})
}

// bad notes a value that cannot be. The value is shown, so it must not be part
// of the message's text.
func (s section) bad(key, what, fix string) {
	n := s.values[key]
	s.f.note(n, Problem{Code: problemValue, Field: join(s.path, key), Value: shown(n), What: what, Fix: fix})
}

// quietly notes a value that cannot be, without showing it.
func (s section) quietly(key, what, fix string) {
	s.f.note(s.values[key], Problem{Code: problemValue, Field: join(s.path, key), What: what, Fix: fix})
}

// conflict notes that key cannot stand beside others.
func (s section) conflict(key, what, fix string) {
	s.f.note(s.keys[key], Problem{Code: problemConflict, Field: join(s.path, key), What: what, Fix: fix})
}

// optional is the value of a key that may be left empty, as a section whose
// keys are all commented out is; nil if there is nothing.
func (s section) optional(key string) *yaml.Node {
	n := s.values[key]
	if n == nil || n.Kind == yaml.ScalarNode && n.ShortTag() == nullTag {
		return nil
	}
	return n
}

// text is the text under key; "" if it is not there. ok says that it is there,
// is text, and is not blank.
func (s section) text(key string) (string, bool) {
	n := s.values[key]
	if n == nil {
		return "", false
	}
	return s.f.text(join(s.path, key), n)
}

// text reads n as text.
func (f *fileReader) text(field string, n *yaml.Node) (string, bool) {
	if !f.plain(field, n) {
		return "", false
	}
	if n.Kind != yaml.ScalarNode {
		problem := Problem{Code: problemType, Field: field, What: "here must be text, not " + kindOf(n), Fix: "write one text, in quotes if it begins with a special character"}
		if looksLikeTemplate(n) {
			problem.What = "a template that is not in quotes is no text to YAML"
			problem.Fix = `put the whole value in quotes, like "{{ name }}"`
		}
		f.note(n, problem)
		return "", false
	}
	switch n.ShortTag() {
	case "!!str", "!!timestamp": // a date is text to us
	case nullTag:
		f.note(n, Problem{Code: problemType, Field: field, What: "there is no value", Fix: "write a value behind the key"})
		return "", false
	default:
		f.note(n, Problem{
			Code: problemType, Field: field, Value: shown(n),
			What: "here must be text, not " + kindOf(n), Fix: `put it in quotes: "` + safe(n.Value, 30) + `"`,
		})
		return "", false
	}
	if strings.TrimSpace(n.Value) == "" {
		f.note(n, Problem{Code: problemValue, Field: field, What: "the text is empty", Fix: "write a text, or leave out the key if it is optional"})
		return "", false
	}
	return n.Value, true
}

// flag is the true or false under key; nil if it is not there.
func (s section) flag(key string) *bool {
	n := s.values[key]
	if n == nil || !s.f.plain(join(s.path, key), n) {
		return nil
	}
	if n.Kind == yaml.ScalarNode && n.ShortTag() == "!!bool" {
		is := strings.EqualFold(n.Value, "true")
		return &is
	}
	fix := "write true or false"
	switch strings.ToLower(n.Value) {
	case "yes", "on", "y", "true", "1":
		fix = "write true, without quotes"
	case "no", "off", "n", "false", "0":
		fix = "write false, without quotes"
	}
	s.f.note(n, Problem{
		Code: problemType, Field: join(s.path, key), Value: shown(n),
		What: "here must be true or false, not " + kindOf(n), Fix: fix,
	})
	return nil
}

// count is the whole number under key, from 1 to most; 0 if it is not there.
func (s section) count(key string, most int) int {
	n := s.values[key]
	if n == nil || !s.f.plain(join(s.path, key), n) {
		return 0
	}
	number, err := strconv.Atoi(n.Value)
	switch {
	case n.Kind != yaml.ScalarNode || n.ShortTag() != "!!int" && n.ShortTag() != "!!float":
		s.f.note(n, Problem{
			Code: problemType, Field: join(s.path, key), Value: shown(n),
			What: "here must be a whole number, not " + kindOf(n),
			Fix:  fmt.Sprintf("write a number from 1 to %d, without quotes", most),
		})
		return 0
	case err != nil || number < 1 || number > most:
		s.bad(key, fmt.Sprintf("here must be a whole number from 1 to %d", most), "write plain digits within these bounds")
		return 0
	}
	return number
}

// list is the sequence under key; the example shows how one is written.
func (s section) list(key, example string) []*yaml.Node {
	n := s.values[key]
	if n == nil || !s.f.plain(join(s.path, key), n) {
		return nil
	}
	if n.Kind != yaml.SequenceNode {
		s.f.note(n, Problem{
			Code: problemType, Field: join(s.path, key),
			What: "here must be a list, not " + kindOf(n), Fix: "write it in brackets: " + example,
		})
		return nil
	}
	return n.Content
}

// plain refuses aliases and tags. Neither is worth its traps in a file of
// thirty lines: an alias can multiply a file, a tag changes what a value is
// behind the reader's back.
func (f *fileReader) plain(field string, n *yaml.Node) bool {
	if n.Kind == yaml.AliasNode {
		f.noteAlias(field, n)
		return false
	}
	if n.Style&yaml.TaggedStyle != 0 {
		f.note(n, Problem{
			Code: problemSyntax, Field: field, What: "YAML tags (a word with !) are not supported",
			Fix: "remove the tag; put the value in quotes if it must be text",
		})
		return false
	}
	return true
}

func (f *fileReader) noteAlias(field string, n *yaml.Node) {
	f.note(n, Problem{
		Code: problemSyntax, Field: field, What: "YAML aliases (* and <<) are not supported",
		Fix: "write the value out where it is needed; a text that begins with * must be in quotes",
	})
}

// looksLikeTemplate says whether n is what YAML makes of a bare {{ name }}.
func looksLikeTemplate(n *yaml.Node) bool {
	return n.Kind == yaml.MappingNode && n.Style&yaml.FlowStyle != 0 &&
		len(n.Content) > 0 && n.Content[0].Kind == yaml.MappingNode
}

// kindOf says in words what a node is.
func kindOf(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a section of keys"
	case yaml.SequenceNode:
		return "a list"
	case yaml.ScalarNode:
		switch n.ShortTag() {
		case nullTag:
			return "nothing"
		case "!!bool":
			return "true or false"
		case "!!int", "!!float":
			return "a number"
		}
		return "text"
	case yaml.AliasNode:
		return "an alias"
	case yaml.DocumentNode:
	}
	return "this"
}

// join is the path of a key.
func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

var (
	longDigits = regexp.MustCompile(`[0-9][0-9 ()./-]{5,}[0-9]`)
	dateBegin  = regexp.MustCompile(`^[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[T ]|$)`)
)

// shown is a value as a problem may show it.
func shown(n *yaml.Node) string {
	if n == nil || n.Kind != yaml.ScalarNode {
		return ""
	}
	return safe(n.Value, 60)
}

// safe shortens s to n characters, makes line breaks visible and masks long
// runs of digits, for they may be somebody's number.
func safe(s string, n int) string {
	if !dateBegin.MatchString(s) {
		s = longDigits.ReplaceAllStringFunc(s, MaskDigits)
	}
	if utf8.RuneCountInString(s) > n {
		s = string([]rune(s)[:n]) + "…"
	}
	return strings.NewReplacer("\n", "↵", "\r", "").Replace(s)
}
