package campaign

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// variantName is also in the JSON Schema of the campaign file.
var variantName = regexp.MustCompile(`^[\p{L}\p{N}](?:[\p{L}\p{M}\p{N} _.-]{0,38}[\p{L}\p{M}\p{N}])?$`)

// variants reads the messages that share the recipients between them.
func (f *fileReader) variants(s section) []Variant {
	const example = `[{ name: A, text: "Hi {{ name }}" }, { name: B, text: "Hello {{ name }}" }]`
	items := s.list("variants", example)
	if n := s.values["variants"]; n.Kind == yaml.SequenceNode && (len(items) < minVariants || len(items) > maxVariants) {
		s.quietly("variants", fmt.Sprintf("a campaign has %d to %d variants, not %d", minVariants, maxVariants, len(items)),
			"use message for a single one: message: { text: … }")
		return nil
	}
	var variants []Variant
	seen := map[string]int{}
	for i, item := range items {
		v := f.variant(f.section("variants", item, item, `{ name: A, weight: 2, text: "Hi {{ name }}" }`), i)
		plain := strings.ToLower(v.Name)
		if first, double := seen[plain]; double {
			f.note(item, Problem{
				Code: problemValue, Field: "variants.name", Value: v.Name,
				What: fmt.Sprintf("variants %d and %d have the same name", first, i+1), Fix: "give each a name of its own",
			})
			continue
		}
		seen[plain] = i + 1
		variants = append(variants, v)
	}
	return variants
}

// letters name the variants that have no name, maxVariants of them.
const letters = "ABCDEFGHIJ"

// variant reads one of them, the index-th.
func (f *fileReader) variant(s section, index int) Variant {
	v := Variant{Name: letters[index : index+1], Weight: max(s.count("weight", maxWeight), 1), Message: f.template(s)}
	name, ok := s.text("name")
	if !ok {
		return v
	}
	name = strings.TrimSpace(name)
	if !variantName.MatchString(name) {
		s.bad("name", "a variant's name has up to 40 letters, digits, blanks and _ . -", "write for example name: A, or name: short-text")
		return v
	}
	v.Name = name
	return v
}

var percentage = regexp.MustCompile(`^([0-9]{1,3}(?:\.[0-9]{1,6})?) ?%$`)

// holdout reads the share of recipients that gets nothing.
func (f *fileReader) holdout(s section) float64 {
	n := s.values["holdout"]
	if n == nil || !f.plain("holdout", n) {
		return 0
	}
	const (
		what = "the holdout is the share of recipients that gets no message, from 0 to 0.5"
		fix  = "write a percentage such as 10%, or a share such as 0.1"
	)
	var share float64
	var err error
	if n.Kind == yaml.ScalarNode && (n.ShortTag() == "!!float" || n.ShortTag() == "!!int") {
		share, err = strconv.ParseFloat(n.Value, 64)
	} else {
		value, ok := s.text("holdout")
		if !ok {
			return 0
		}
		m := percentage.FindStringSubmatch(value)
		if m == nil {
			s.bad("holdout", what, fix)
			return 0
		}
		share, err = strconv.ParseFloat(m[1], 64)
		share /= 100
	}
	switch {
	case err != nil || math.IsNaN(share) || share < 0:
		s.bad("holdout", what, fix)
		return 0
	case share > maxHoldout && share >= 1 && share <= 100*maxHoldout:
		s.bad("holdout", what, fmt.Sprintf("write %g%% if you mean percent", share))
		return 0
	case share > maxHoldout:
		s.bad("holdout", what, "hold out half of the recipients at most, for example 10%")
		return 0
	}
	return share + 0 // -0 is 0
}

// only reads to which recipients of an earlier campaign this one is narrowed.
func (f *fileReader) only(s section) *Only {
	if s.optional("only") == nil {
		return nil
	}
	s = s.sub("only", `only: { campaign: Spring news, where: "delivered and not read" }`)
	o := &Only{}
	if !s.has("campaign") {
		s.wants("campaign", "name an earlier campaign, by its name or id: campaign: Spring news")
	}
	if !s.has("where") {
		s.wants("where", `say which of its recipients: where: "delivered and not read"`)
	}
	o.Campaign, _ = s.text("campaign")
	o.Campaign = strings.TrimSpace(o.Campaign)
	where, ok := s.text("where")
	if !ok {
		return o
	}
	parsed, err := ParseWhere(where)
	if bad, ok := errors.AsType[*InputError](err); ok {
		p := bad.Problems[0]
		what, _, _ := strings.Cut(p.What, "\n") // the place says what the caret would
		f.note(within(s.values["where"], p.Column), Problem{Code: problemValue, Field: "only.where", What: what, Fix: p.Fix})
		return o
	}
	o.Where = parsed.String()
	return o
}

// within is the place of a character of a text, as far as it can be told: YAML
// may have escaped or folded what stands before it.
func within(n *yaml.Node, column int) *yaml.Node {
	at := *n
	switch {
	case column < 1 || n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0,
		n.Style&yaml.SingleQuotedStyle != 0 && strings.Contains(n.Value, "'"),
		n.Style&yaml.DoubleQuotedStyle != 0 && strings.ContainsAny(n.Value, "\"\\\n\t"):
		return n
	case n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0:
		at.Column++
	}
	at.Column += column - 1
	return &at
}

// notify reads where Herald reports to.
func (f *fileReader) notify(s section) *Notify {
	if s.optional("notify") == nil {
		return nil
	}
	s = s.sub("notify", `notify: { url: "https://example.com/herald" }`)
	n := &Notify{}
	if !s.has("url") {
		s.wants("url", "say where to report to: url: https://example.com/herald")
	}
	if address, ok := s.text("url"); ok {
		n.URL = address
		if what := badNotifyURL(address); what != "" {
			// Not shown: it may hold a key.
			s.quietly("url", what, "write the whole address: https://example.com/herald (http:// is for this machine alone: http://127.0.0.1:8080/)")
		}
	}
	if messages := s.flag("messages"); messages != nil {
		n.Messages = *messages
	}
	return n
}

// badNotifyURL says what is wrong with the address of a notice; "" if nothing
// is. What goes there tells of people, so it must not travel in the clear.
func badNotifyURL(address string) string {
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Hostname() == "" || strings.ContainsAny(address, " \t\r\n"):
		return "this is no web address"
	case u.User != nil:
		return "a name or password in the address would be shown in logs and reports"
	case u.Fragment != "":
		return "an address to report to has no #"
	case u.Scheme == "https":
		return ""
	case u.Scheme != "http":
		return "an address begins with https://"
	case !loopback(u.Hostname()):
		return "http sends in the clear; beyond this machine it must be https"
	}
	return ""
}

func loopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

// segments reads the columns by which the report splits its numbers. Whether
// they exist is known only once the recipients' header is.
func (f *fileReader) segments(s section) []string {
	if s.optional("segments") == nil {
		return nil
	}
	const example = `[city, plan]`
	items := s.list("segments", example)
	if n := s.values["segments"]; n.Kind == yaml.SequenceNode && (len(items) == 0 || len(items) > maxSegments) {
		s.quietly("segments", fmt.Sprintf("name 1 to %d columns, not %d", maxSegments, len(items)), "write their headers: segments: "+example)
		return nil
	}
	var segments []string
	for _, item := range items {
		column, ok := f.text("segments", item)
		if !ok {
			continue
		}
		column = strings.TrimSpace(column)
		if slices.Contains(segments, column) {
			f.note(item, Problem{Code: problemValue, Field: "segments", Value: safe(column, 40), What: "this column is here twice", Fix: "remove one of them"})
			continue
		}
		segments = append(segments, column)
	}
	return segments
}
