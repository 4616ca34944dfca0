package templates

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"

	"github.com/herald-campaigns/herald/campaign"
)

// Set are the compiled messages of a campaign: its variants, or its one message
// under the name "". It renders each row with the message of its variant. Like
// a Template it is safe for use by several goroutines and never changes.
type Set struct {
	names []string // in the order of the campaign file
	of    map[string]*Template
}

var _ campaign.Renderer = (*Set)(nil)

// CompileSet compiles the messages of a campaign (campaign.Spec.Messages). It
// is Compile for each, with the problems of all; their fields begin with
// "variants." and the name where Compile's begin with "message.". Each poll
// gets an id of its own (campaign.PollIDOf).
func CompileSet(ctx context.Context, messages []campaign.Variant, cfg Config) (*Set, error) {
	s := &Set{of: make(map[string]*Template, len(messages))}
	all := &campaign.InputError{}
	for _, v := range messages {
		own := cfg
		own.PollID = campaign.PollIDOf(cfg.PollID, v.Name)
		template, err := Compile(ctx, v.Message, own)
		var bad *campaign.InputError
		switch {
		case errors.As(err, &bad):
			all.Problems = append(all.Problems, inVariant(v.Name, bad).Problems...)
			all.More += bad.More
		case err != nil:
			return nil, err
		}
		s.names = append(s.names, v.Name)
		s.of[v.Name] = template
	}
	if len(all.Problems) > 0 {
		return nil, all
	}
	return s, nil
}

// variantField is a field of a message as the campaign file has it.
func variantField(variant, field string) string {
	if variant == "" {
		return field
	}
	return "variants." + variant + strings.TrimPrefix(field, "message")
}

// inVariant is an error whose fields name the variant.
func inVariant(variant string, bad *campaign.InputError) *campaign.InputError {
	if variant == "" {
		return bad
	}
	named := &campaign.InputError{More: bad.More}
	for _, p := range bad.Problems {
		p.Field = variantField(variant, p.Field)
		named.Problems = append(named.Problems, p)
	}
	return named
}

// SourceIn is Source for a field of any of the messages.
func SourceIn(messages []campaign.Variant, field string) string {
	for _, v := range messages {
		if v.Name == "" {
			return Source(v.Message, field)
		}
		if rest, ok := strings.CutPrefix(field, "variants."+v.Name+"."); ok {
			return Source(v.Message, "message."+rest)
		}
	}
	return ""
}

// Render makes the message of one row, as Template.Render does, with the
// message of the row's variant.
func (s *Set) Render(ctx context.Context, row campaign.Row) (campaign.Message, error) {
	t, err := s.template(row)
	if err != nil {
		return campaign.Message{}, err
	}
	message, err := t.Render(ctx, row)
	return message, named(row.Variant, err)
}

func (s *Set) template(row campaign.Row) (*Template, error) {
	if t := s.of[row.Variant]; t != nil {
		return t, nil
	}
	return nil, fmt.Errorf("row %d has the variant %q, which the campaign does not have", row.Seq, row.Variant)
}

// named is err with the variant in its fields, if it is about a row.
func named(variant string, err error) error {
	var bad *campaign.InputError
	if variant != "" && errors.As(err, &bad) {
		return inVariant(variant, bad)
	}
	return err
}

// Unfrozen lists the variants whose poll has options with placeholders that are
// not frozen yet (Template.OptionsVary).
func (s *Set) Unfrozen() []string {
	var names []string
	for _, name := range s.names {
		if s.of[name].OptionsVary() {
			names = append(names, name)
		}
	}
	return names
}

// Settle freezes the options of the poll of the row's variant with those of
// this row, if they are not frozen yet. A row whose options do not render
// changes nothing. See Template.Freeze.
func (s *Set) Settle(ctx context.Context, row campaign.Row) *Set {
	t := s.of[row.Variant]
	if t == nil || !t.OptionsVary() {
		return s
	}
	options, err := t.OptionsFor(ctx, row)
	if err != nil {
		return s
	}
	settled := &Set{names: s.names, of: maps.Clone(s.of)}
	settled.of[row.Variant] = t.Freeze(options)
	return settled
}

// Lint is Template.Lint for all messages.
func (s *Set) Lint() []Warning {
	var warnings []Warning
	for _, name := range s.names {
		for _, w := range s.of[name].Lint() {
			w.Field = variantField(name, w.Field)
			warnings = append(warnings, w)
		}
	}
	return warnings
}

// SetStats is what Stats is to a Template.
type SetStats struct {
	names []string
	of    map[string]*Stats
}

// NewStats begins an account of rows rendered with this set.
func (s *Set) NewStats() *SetStats {
	stats := &SetStats{names: s.names, of: make(map[string]*Stats, len(s.names))}
	for name, t := range s.of {
		stats.of[name] = t.NewStats()
	}
	return stats
}

// Add counts one row, as Stats.Add does.
func (s *SetStats) Add(row campaign.Row, msg campaign.Message, err error) {
	if of := s.of[row.Variant]; of != nil {
		of.Add(row, msg, err)
	}
}

// Variant is the account of one variant's rows.
func (s *SetStats) Variant(name string) Summary { return s.of[name].Summary() }

// Summary is the account of all rows. A column that several variants use is
// listed once, with the uses of all.
func (s *SetStats) Summary() Summary {
	if len(s.names) == 1 {
		return s.of[s.names[0]].Summary()
	}
	sum := &Stats{t: &Template{}, faults: map[string]*fault3{}}
	var blanks []Blank
	at := map[string]int{}
	for _, name := range s.names {
		of := s.of[name]
		for _, b := range of.Summary().Blanks {
			i, known := at[b.Variable.Name]
			if !known {
				i = len(blanks)
				at[b.Variable.Name] = i
				blanks = append(blanks, Blank{Variable: Variable{Name: b.Variable.Name, Header: b.Variable.Header}})
			}
			blanks[i].Rows += b.Rows
			for _, use := range b.Variable.Uses {
				use.Field = variantField(name, use.Field)
				blanks[i].Variable.Uses = append(blanks[i].Variable.Uses, use)
			}
		}
		withoutBlanks := *of
		withoutBlanks.blanks = nil
		sum.Merge(&withoutBlanks)
	}
	out := sum.Summary()
	out.Blanks = blanks
	return out
}
