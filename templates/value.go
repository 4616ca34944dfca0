package templates

import (
	"fmt"
	"math/big"
	"strings"

	"github.com/osteele/liquid/expressions"
	"github.com/osteele/liquid/values"
)

// value is everything a template computes with: a cell, something written in
// the template, or what a filter made of them. To Liquid's printing and
// filters it is the string text and nothing else; only comparisons look at
// what kind it is. That is how "007" prints as it stands in the file and
// amount > 100 is still about numbers, which Liquid itself would silently
// answer with false (it does not compare a string with a number).
//
// A cell's value is written before a render and read during it; those of
// literals are shared by all renders and never written.
type value struct {
	text string
	kind kind
}

type kind int

const (
	kindText   kind = iota // a cell, or the text a filter returned
	kindQuoted             // written in quotes: stands for exactly these characters
	kindNumber             // written as a number, or computed
	kindBool               // true, false
	kindBlank              // nil, blank, empty
)

// isBlank says whether there is nothing but white space.
func (v *value) isBlank() bool { return strings.TrimSpace(v.text) == "" }

// Test is the truth of a value in a condition: a blank cell is false, and so
// is the word false, which is what a spreadsheet exports for an empty tick box.
// Liquid proper takes both for true.
func (v *value) Test() bool {
	return !v.isBlank() && !strings.EqualFold(v.text, "false")
}

// Interface is what printing and filters get.
func (v *value) Interface() any { return v.text }

// Equal compares as numbers when one side is written as a number or was
// computed, else character by character.
func (v *value) Equal(other values.Value) bool {
	o := asValue(other)
	switch {
	case v.kind == kindBlank || o.kind == kindBlank:
		return v.isBlank() && o.isBlank()
	case v.kind == kindBool || o.kind == kindBool:
		return strings.EqualFold(v.text, o.text)
	case v.kind == kindNumber || o.kind == kindNumber:
		a, okA := parseNumber(v.text)
		b, okB := parseNumber(o.text)
		return okA && okB && a.Cmp(b) == 0
	default:
		return v.text == o.text
	}
}

// Less orders numbers when one side is written as a number or was computed, or
// when both look like numbers; other text is ordered by its characters, which
// suits dates written as 2026-11-28. A blank is less than nothing and nothing
// is less than a blank: no message should state something about an amount that
// is not there. Text where a number is needed is an error of the row.
func (v *value) Less(other values.Value) bool {
	o := asValue(other)
	if v.isBlank() || o.isBlank() {
		return false
	}
	a, okA := parseNumber(v.text)
	b, okB := parseNumber(o.text)
	if okA && okB {
		return a.Cmp(b) < 0
	}
	if v.kind == kindNumber || o.kind == kindNumber {
		bad := v
		if okA {
			bad = o
		}
		// The engine recovers a FilterError and returns it; this is its only
		// way out of a comparison.
		panic(expressions.FilterError{FilterName: "comparison", Err: notNumber(bad.text)})
	}
	return v.text < o.text
}

// Contains says whether the text holds the other's text.
func (v *value) Contains(other values.Value) bool {
	return strings.Contains(v.text, asValue(other).text)
}

// Int, IndexValue and PropertyValue complete the engine's interface. The
// grammar (expression.go) has neither ranges nor indexes nor properties, so
// nothing calls them.
func (v *value) Int() int                                { return 0 }
func (v *value) IndexValue(values.Value) values.Value    { return &value{} }
func (v *value) PropertyValue(values.Value) values.Value { return &value{} }

func asValue(other values.Value) *value {
	if v, ok := other.(*value); ok {
		return v
	}
	return &value{text: textOf(other.Interface())}
}

// textOf is the text of what the engine hands to a filter. Cells and literals
// come as strings; a parenthesised condition comes as a bool.
func textOf(x any) string {
	switch x := x.(type) {
	case nil:
		return ""
	case string:
		return x
	case *value:
		return x.text
	default:
		return fmt.Sprint(x)
	}
}

// maxDigits bounds the numbers a template computes with. No amount, quantity
// or id is longer, and it keeps a chain of "times" from growing without end.
const maxDigits = 40

// parseNumber reads a number as people write them in a sheet: 1234.50, -3,
// 1,234.50, 1,23,456. Exponents, currency signs and decimal commas are not
// guessed at.
func parseNumber(s string) (*big.Rat, bool) {
	s = strings.TrimSpace(s)
	if s == "" || len(s) > 2*maxDigits {
		return nil, false
	}
	digits := strings.TrimPrefix(s, "-")
	whole, fraction, hasPoint := strings.Cut(digits, ".")
	if strings.Contains(whole, ",") {
		if !grouped(whole) {
			return nil, false
		}
		whole = strings.ReplaceAll(whole, ",", "")
	}
	if !allDigits(whole) || hasPoint && !allDigits(fraction) || len(whole)+len(fraction) > maxDigits {
		return nil, false
	}
	plain := whole
	if hasPoint {
		plain += "." + fraction
	}
	if len(digits) < len(s) {
		plain = "-" + plain
	}
	return new(big.Rat).SetString(plain)
}

func allDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// grouped accepts 1,234,567 and 12,34,567: a first group of one to three
// digits, then groups of two or three, the last of three.
func grouped(s string) bool {
	groups := strings.Split(s, ",")
	for i, g := range groups {
		last := i == len(groups)-1
		switch {
		case i == 0 && (len(g) < 1 || len(g) > 3),
			i > 0 && last && len(g) != 3,
			i > 0 && !last && len(g) != 2 && len(g) != 3:
			return false
		}
	}
	return true
}

// maxPlaces is how many decimals a division keeps.
const maxPlaces = 10

// formatNumber writes a number without exponent and without trailing zeros.
func formatNumber(r *big.Rat) string {
	if r.IsInt() {
		return r.Num().String()
	}
	s := r.FloatString(2 * maxDigits)
	if exact, ok := new(big.Rat).SetString(s); !ok || exact.Cmp(r) != 0 {
		s = r.FloatString(maxPlaces)
	}
	s = strings.TrimRight(s, "0")
	s = strings.TrimSuffix(s, ".")
	if s == "-0" {
		return "0"
	}
	return s
}

func notNumber(text string) *rowError {
	p := &rowError{
		code: CodeNotNumber, value: text,
		what: "a number is needed and this is none",
		fix:  "write it as 1234.50 or 1,234.50, without currency signs or words",
	}
	if strings.TrimSpace(text) == "" {
		p.what = "a number is needed and the cell is blank"
		p.fix = `give it a value first: {{ amount | default: 0 | … }}`
	}
	return p
}
