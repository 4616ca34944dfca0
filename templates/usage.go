package templates

import "slices"

// Variable is a column that a template uses.
type Variable struct {
	Name   string
	Header string // as in the file
	Uses   []Use  // in the order of the message's fields and their text
}

// Use is one place where a column is used. Line and Column count from 1 within
// the field's text, columns in characters.
type Use struct {
	Field        string
	Line, Column int

	Condition bool // it only decides, as in {% if column %}
	Default   bool // a default stands in for a blank, or it is the default
	Guarded   bool // it stands where a condition has made sure of a value

	variable int
}

// NeedsValue says whether a blank cell leaves a gap here.
func (u Use) NeedsValue() bool { return !u.Condition && !u.Default && !u.Guarded }

// NeedsValue says whether a blank cell leaves a gap somewhere.
func (v Variable) NeedsValue() bool { return slices.ContainsFunc(v.Uses, Use.NeedsValue) }

// Usage lists the columns that the template uses, in the order of their first
// use.
func (t *Template) Usage() []Variable { return slices.Clone(t.usage) }

func (c *compiler) usage() []Variable {
	out := make([]Variable, len(c.variables))
	for i, name := range c.variables {
		out[i] = Variable{Name: name, Header: c.header(name)}
	}
	for _, u := range c.uses {
		out[u.variable].Uses = append(out[u.variable].Uses, u)
	}
	return out
}
