package campaign

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v3"
)

// fileSection is a section of a campaign file that is being written. Values
// that are empty are left out, and so are sections without any.
type fileSection struct{ content []*yaml.Node }

func (s *fileSection) node() *yaml.Node {
	return &yaml.Node{Kind: yaml.MappingNode, Content: s.content}
}

// comment puts a comment above the key that was put last.
func (s *fileSection) comment(text string) {
	if n := len(s.content); n >= 2 {
		s.content[n-2].HeadComment = "# " + strings.ReplaceAll(strings.ReplaceAll(text, "\n", "\n# "), "# \n", "#\n")
	}
}

func (s *fileSection) putNode(key string, value *yaml.Node) {
	s.content = append(s.content, plainNode(key), value)
}

// put writes a text: a longer one as a block, another in quotes where YAML
// would take it for something else.
func (s *fileSection) put(key, text string) {
	if text != "" {
		s.putNode(key, textNode(text))
	}
}

func (s *fileSection) putFlag(key string, on bool) {
	if on {
		s.putNode(key, plainNode("true"))
	}
}

func (s *fileSection) putNumber(key string, n float64) {
	if n != 0 {
		s.putNode(key, plainNode(strconv.FormatFloat(n, 'f', -1, 64)))
	}
}

func (s *fileSection) putList(key string, list []string) {
	if len(list) == 0 {
		return
	}
	n := &yaml.Node{Kind: yaml.SequenceNode}
	for _, text := range list {
		n.Content = append(n.Content, textNode(text))
	}
	s.putNode(key, n)
}

func (s *fileSection) putMap(key string, values map[string]string) {
	inner := &fileSection{}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		inner.content = append(inner.content, textNode(name), textNode(values[name]))
	}
	s.sub(key, inner)
}

// sub writes a section below the key.
func (s *fileSection) sub(key string, section *fileSection) {
	if len(section.content) > 0 {
		s.putNode(key, section.node())
	}
}

func plainNode(word string) *yaml.Node { return &yaml.Node{Kind: yaml.ScalarNode, Value: word} }

func quotedNode(text string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Value: text, Style: yaml.DoubleQuotedStyle}
}

// textNode writes a text: several lines as a block where YAML gives them back
// unchanged, and in quotes what it would take for something else.
func textNode(text string) *yaml.Node {
	n := &yaml.Node{}
	n.SetString(text)
	if n.Style == yaml.LiteralStyle && !blockSafe(text) {
		n.Style = yaml.DoubleQuotedStyle
	}
	return n
}

// blockSafe says whether a block of YAML can hold the text. Lines that begin or
// end with blanks are beyond what its writers and readers agree on.
func blockSafe(text string) bool {
	for line := range strings.SplitSeq(strings.TrimSuffix(text, "\n"), "\n") {
		if strings.TrimSpace(line) != line {
			return false
		}
	}
	return !strings.ContainsFunc(text, func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) })
}
