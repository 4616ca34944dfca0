package templates

import (
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/nyaruka/phonenumbers"
	"github.com/rivo/uniseg"
)

// Filter is one filter of the language, as help pages show it. Every example
// is run by a test.
type Filter struct {
	Name    string
	Does    string // half a sentence
	Example string // a placeholder, …
	Input   string // … the cells it is shown with, "column=cell; …" …
	Output  string // … and what it prints

	args     []argKind
	required int // how many of args must be given
	apply    func(l locale, in string, args []string) (string, error)
	number   bool // the result is a number to comparisons
}

type argKind int

const (
	argText argKind = iota
	argNumber
	argWhole
	argFormat
)

// locale is what filters need to know of the campaign.
type locale struct {
	country  string
	location *time.Location
}

// Filters lists the filters in alphabetical order.
func Filters() []Filter { return slices.Clone(filterTable) }

// filterTable is only read.
var filterTable = []Filter{
	{
		Name: "append", Does: "adds text at the end", Example: `{{ name | append: "!" }}`, Input: "name=Asha", Output: "Asha!",
		args: []argKind{argText}, required: 1,
		apply: func(_ locale, in string, a []string) (string, error) { return in + a[0], nil },
	},
	{
		Name: "capitalize", Does: "writes the first letter large and the rest small", Example: `{{ name | capitalize }}`, Input: "name=ASHA", Output: "Asha",
		apply: func(_ locale, in string, _ []string) (string, error) { return capitalize(in), nil },
	},
	{
		Name: "date", Does: "writes a date another way", Example: `{{ due | date: "%-d %B %Y" }}`, Input: "due=2026-11-28", Output: "28 November 2026",
		args: []argKind{argFormat}, apply: dateFilter,
	},
	{
		Name: "default", Does: "stands in for a blank cell", Example: `{{ name | default: "there" }}`, Input: "name=", Output: "there",
		args: []argKind{argText}, required: 1,
		apply: func(_ locale, in string, a []string) (string, error) {
			if strings.TrimSpace(in) == "" {
				return a[0], nil
			}
			return in, nil
		},
	},
	{
		Name: "divided_by", Does: "divides; two whole numbers give a whole number, rounded down", Example: `{{ total | divided_by: 3 }}`, Input: "total=100", Output: "33",
		args: []argKind{argNumber}, required: 1, number: true, apply: divide,
	},
	{
		Name: "downcase", Does: "writes all letters small", Example: `{{ city | downcase }}`, Input: "city=PUNE", Output: "pune",
		apply: func(_ locale, in string, _ []string) (string, error) { return strings.ToLower(in), nil },
	},
	{
		Name: "first_word", Does: "keeps the first word", Example: `{{ name | first_word }}`, Input: "name=Asha Rao", Output: "Asha",
		apply: func(_ locale, in string, _ []string) (string, error) {
			first, _, _ := strings.Cut(strings.TrimSpace(strings.Map(spaces, in)), " ")
			return first, nil
		},
	},
	{
		Name: "lstrip", Does: "removes blanks at the start", Example: `{{ name | prepend: "  " | lstrip }}`, Input: "name=Asha", Output: "Asha",
		apply: func(_ locale, in string, _ []string) (string, error) {
			return strings.TrimLeftFunc(in, unicode.IsSpace), nil
		},
	},
	{
		Name: "minus", Does: "subtracts", Example: `{{ price | minus: 50 }}`, Input: "price=1,234.50", Output: "1184.5",
		args: []argKind{argNumber}, required: 1, number: true,
		apply: arithmetic(func(a, b *big.Rat) *big.Rat { return a.Sub(a, b) }),
	},
	{
		Name: "money", Does: "writes an amount with separators and two decimals, and a currency if given", Example: `{{ price | money: "$" }}`, Input: "price=1234.5", Output: "$1,234.50",
		args: []argKind{argText, argWhole}, apply: money,
	},
	{
		Name: "phone", Does: "writes a telephone number for people", Example: `{{ helpline | phone }}`, Input: "helpline=+447700900123", Output: "+44 7700 900123",
		apply: phone,
	},
	{
		Name: "plus", Does: "adds", Example: `{{ price | plus: 0.2 }}`, Input: "price=0.1", Output: "0.3",
		args: []argKind{argNumber}, required: 1, number: true,
		apply: arithmetic(func(a, b *big.Rat) *big.Rat { return a.Add(a, b) }),
	},
	{
		Name: "prepend", Does: "adds text at the start", Example: `{{ name | prepend: "Dear " }}`, Input: "name=Asha", Output: "Dear Asha",
		args: []argKind{argText}, required: 1,
		apply: func(_ locale, in string, a []string) (string, error) { return a[0] + in, nil },
	},
	{
		Name: "remove", Does: "removes a text wherever it occurs", Example: `{{ code | remove: "-" }}`, Input: "code=AB-12-C", Output: "AB12C",
		args: []argKind{argText}, required: 1,
		apply: func(_ locale, in string, a []string) (string, error) { return strings.ReplaceAll(in, a[0], ""), nil },
	},
	{
		Name: "replace", Does: "replaces a text wherever it occurs", Example: `{{ plan | replace: "_", " " }}`, Input: "plan=gold_plus", Output: "gold plus",
		args: []argKind{argText, argText}, required: 2, apply: replace,
	},
	{
		Name: "round", Does: "rounds to whole, or to so many decimals", Example: `{{ price | round: 1 }}`, Input: "price=2.345", Output: "2.3",
		args: []argKind{argWhole}, number: true, apply: round,
	},
	{
		Name: "rstrip", Does: "removes blanks at the end", Example: `{{ name | append: "  " | rstrip | append: "!" }}`, Input: "name=Asha", Output: "Asha!",
		apply: func(_ locale, in string, _ []string) (string, error) {
			return strings.TrimRightFunc(in, unicode.IsSpace), nil
		},
	},
	{
		Name: "size", Does: "counts the characters", Example: `{{ code | size }}`, Input: "code=AB12", Output: "4", number: true,
		apply: func(_ locale, in string, _ []string) (string, error) { return strconv.Itoa(graphemes(in)), nil },
	},
	{
		Name: "strip", Does: "removes blanks at both ends", Example: `{{ name | append: " " | strip | append: "!" }}`, Input: "name=Asha", Output: "Asha!",
		apply: func(_ locale, in string, _ []string) (string, error) { return strings.TrimSpace(in), nil },
	},
	{
		Name: "times", Does: "multiplies", Example: `{{ price | times: 1.18 }}`, Input: "price=99.99", Output: "117.9882",
		args: []argKind{argNumber}, required: 1, number: true,
		apply: arithmetic(func(a, b *big.Rat) *big.Rat { return a.Mul(a, b) }),
	},
	{
		Name: "title", Does: "writes each word with a large first letter", Example: `{{ name | title }}`, Input: "name=ASHA o'neil-rao", Output: "Asha O'Neil-Rao",
		apply: func(_ locale, in string, _ []string) (string, error) { return title(in), nil },
	},
	{
		Name: "truncate", Does: "cuts to so many characters, the closing … or other text included", Example: `{{ note | truncate: 9, "…" }}`, Input: "note=A long remark", Output: "A long r…",
		args: []argKind{argWhole, argText}, apply: truncate,
	},
	{
		Name: "upcase", Does: "writes all letters large", Example: `{{ code | upcase }}`, Input: "code=ab12", Output: "AB12",
		apply: func(_ locale, in string, _ []string) (string, error) { return strings.ToUpper(in), nil },
	},
}

func filterNamed(name string) *Filter {
	for i := range filterTable {
		if filterTable[i].Name == name {
			return &filterTable[i]
		}
	}
	return nil
}

func filterNames() []string {
	names := make([]string, len(filterTable))
	for i, f := range filterTable {
		names[i] = f.Name
	}
	return names
}

func listedFilters() string { return strings.Join(filterNames(), ", ") }

// takes says how many arguments the filter has, in words.
func (f *Filter) takes() string {
	switch most := len(f.args); {
	case most == 0:
		return "no argument"
	case f.required == most && most == 1:
		return "one argument"
	case f.required == most:
		return fmt.Sprintf("%d arguments", most)
	case f.required == 0 && most == 1:
		return "at most one argument"
	default:
		return fmt.Sprintf("%d to %d arguments", f.required, most)
	}
}

// run is what the engine calls. Whatever goes in is text; the result is a
// value, so that comparisons know a computed number from text.
func (f *Filter) run(l locale, in any, args []any) (any, error) {
	texts := make([]string, len(args))
	for i, a := range args {
		texts[i] = textOf(a)
	}
	out, err := f.apply(l, textOf(in), texts)
	if err != nil {
		return nil, err
	}
	if len(out) > maxBytes {
		return nil, tooLong("what the filter "+f.Name+" makes", DefaultMaxText)
	}
	v := &value{text: out}
	if f.number {
		v.kind = kindNumber
	}
	return v, nil
}

func arithmetic(compute func(a, b *big.Rat) *big.Rat) func(locale, string, []string) (string, error) {
	return func(_ locale, in string, args []string) (string, error) {
		a, ok := parseNumber(in)
		if !ok {
			return "", notNumber(in)
		}
		b, ok := parseNumber(args[0])
		if !ok {
			return "", notNumber(args[0])
		}
		return number(compute(a, b))
	}
}

// number formats a result within the digits we compute with.
func number(r *big.Rat) (string, error) {
	s := formatNumber(r)
	if len(s) > maxDigits {
		s = formatNumber(rounded(r, maxPlaces))
	}
	if len(s) > maxDigits {
		return "", &rowError{code: CodeNotNumber, what: "the result has too many digits", fix: "check the amounts in this row"}
	}
	return s, nil
}

func divide(_ locale, in string, args []string) (string, error) {
	a, ok := parseNumber(in)
	if !ok {
		return "", notNumber(in)
	}
	b, ok := parseNumber(args[0])
	if !ok {
		return "", notNumber(args[0])
	}
	if b.Sign() == 0 {
		return "", &rowError{code: CodeDivision, what: "division by zero", fix: "guard it with {% if column > 0 %}"}
	}
	if a.IsInt() && b.IsInt() {
		// Floor, as Liquid and Ruby have it: Div rounds towards minus infinity
		// for a positive divisor, so the sign goes to the dividend.
		n, d := new(big.Int).Set(a.Num()), new(big.Int).Set(b.Num())
		if d.Sign() < 0 {
			n.Neg(n)
			d.Neg(d)
		}
		return n.Div(n, d).String(), nil
	}
	return number(a.Quo(a, b))
}

func round(_ locale, in string, args []string) (string, error) {
	a, ok := parseNumber(in)
	if !ok {
		return "", notNumber(in)
	}
	places, err := whole(args, 0, 0, maxPlaces)
	if err != nil {
		return "", err
	}
	return formatNumber(rounded(a, places)), nil
}

// rounded rounds half away from zero, as invoices do.
func rounded(r *big.Rat, places int) *big.Rat {
	out, ok := new(big.Rat).SetString(r.FloatString(places))
	if !ok {
		return r
	}
	return out
}

// whole is the whole-number argument i, or standard when it is not given.
func whole(args []string, i, standard, most int) (int, error) {
	if i >= len(args) {
		return standard, nil
	}
	n, err := strconv.Atoi(strings.TrimSpace(args[i]))
	if err != nil || n < 0 {
		return 0, &rowError{code: CodeNotNumber, value: args[i], what: "a whole number is needed and this is none", fix: "write a number without decimals"}
	}
	return min(n, most), nil
}

// money groups by thousands, and by lakhs where that is the custom: for
// rupees, and for campaigns to India that name no currency.
func money(l locale, in string, args []string) (string, error) {
	if strings.TrimSpace(in) == "" {
		return "", nil
	}
	r, ok := parseNumber(in)
	if !ok {
		return "", notNumber(in)
	}
	places, err := whole(args, 1, 2, maxPlaces)
	if err != nil {
		return "", err
	}
	currency := ""
	if len(args) > 0 {
		currency = strings.TrimSpace(args[0])
	}
	digits := r.FloatString(places)
	digits, negative := strings.CutPrefix(digits, "-")
	if strings.Trim(digits, "0.") == "" {
		negative = false
	}
	integer, fraction, hasPoint := strings.Cut(digits, ".")
	group := 3
	switch strings.TrimSuffix(strings.ToUpper(currency), ".") {
	case "₹", "RS", "INR":
		group = 2
	case "":
		if l.country == "IN" {
			group = 2
		}
	}
	var b strings.Builder
	if negative {
		b.WriteByte('-')
	}
	b.WriteString(currency)
	if last, _ := utf8.DecodeLastRuneInString(currency); unicode.IsLetter(last) || last == '.' {
		b.WriteByte(' ')
	}
	for i, d := range integer {
		if left := len(integer) - i; i > 0 && left >= 3 && (left-3)%group == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(d)
	}
	if hasPoint {
		b.WriteString("." + fraction)
	}
	return b.String(), nil
}

var errNotPhone = errors.New("not a telephone number")

// phone writes a number the way its country writes it for callers from abroad.
func phone(l locale, in string, _ []string) (string, error) {
	text := strings.TrimSpace(in)
	if text == "" {
		return "", nil
	}
	number, err := parsePhone(text, l.country)
	if err != nil {
		return "", &rowError{
			code: CodeBadPhone, value: in, what: "this is no telephone number",
			fix: "write it with its country code, +447700900123, or set recipients.country",
		}
	}
	return phonenumbers.Format(number, phonenumbers.INTERNATIONAL), nil
}

func parsePhone(text, country string) (*phonenumbers.PhoneNumber, error) {
	if len(text) > 40 {
		return nil, errNotPhone
	}
	if n, err := phonenumbers.Parse(text, country); err == nil && phonenumbers.IsPossibleNumber(n) {
		return n, nil
	}
	// Sheets lose the plus: digits that are a number with it are meant so.
	if n, err := phonenumbers.Parse("+"+strings.TrimLeft(text, "+0"), country); err == nil && phonenumbers.IsPossibleNumber(n) {
		return n, nil
	}
	return nil, errNotPhone
}

func replace(_ locale, in string, args []string) (string, error) {
	old, with := args[0], args[1]
	if old == "" {
		return in, nil
	}
	// Before the work is done: replacements in a row can grow a text tenfold
	// each.
	if n := strings.Count(in, old); len(in)+n*(len(with)-len(old)) > maxBytes {
		return "", tooLong("what the filter replace makes", DefaultMaxText)
	}
	return strings.ReplaceAll(in, old, with), nil
}

// truncate counts what people see as characters. Where not even the ending
// fits, the text is cut without it.
func truncate(_ locale, in string, args []string) (string, error) {
	most, err := whole(args, 0, 50, DefaultMaxText)
	if err != nil {
		return "", err
	}
	ending := "..."
	if len(args) > 1 {
		ending = args[1]
	}
	// Every character has a byte, so a text of no more bytes fits.
	if len(in) <= most || graphemes(in) <= most {
		return in, nil
	}
	keep := most - graphemes(ending)
	if keep <= 0 {
		keep, ending = most, ""
	}
	rest, state := in, -1
	for range keep {
		_, rest, _, state = uniseg.FirstGraphemeClusterInString(rest, state)
	}
	return in[:len(in)-len(rest)] + ending, nil
}

// graphemes counts what people see as characters.
func graphemes(s string) int {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf || s[i] == '\r' {
			return uniseg.GraphemeClusterCount(s)
		}
	}
	return len(s)
}

func capitalize(s string) string {
	for i, r := range s {
		if unicode.IsLetter(r) {
			return s[:i] + string(unicode.ToTitle(r)) + strings.ToLower(s[i+utf8.RuneLen(r):])
		}
	}
	return s
}

// title starts a word after a blank, a hyphen and the like, and after an
// apostrophe that follows a single letter: O'Neil, but Asha's.
func title(s string) string {
	var b strings.Builder
	letters := 0 // letters in the word so far
	for _, r := range s {
		switch {
		case unicode.IsLetter(r) || unicode.IsMark(r) || unicode.IsDigit(r):
			if letters == 0 {
				r = unicode.ToTitle(r)
			} else {
				r = unicode.ToLower(r)
			}
			letters++
		case (r == '\'' || r == '’') && letters > 1:
		default:
			letters = 0
		}
		b.WriteRune(r)
	}
	return b.String()
}

// spaces maps every white space to a plain one.
func spaces(r rune) rune {
	if unicode.IsSpace(r) {
		return ' '
	}
	return r
}
