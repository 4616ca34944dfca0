package templates

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

const defaultDateFormat = "%-d %b %Y"

// dateFilter rewrites a date. "now" is not known: a message must come out the
// same when it is checked, when it is sent and when it is rendered again after
// a restart.
func dateFilter(l locale, in string, args []string) (string, error) {
	text := strings.TrimSpace(in)
	if text == "" {
		return "", nil
	}
	t, ok := parseDate(text, l)
	if !ok {
		p := &rowError{
			code: CodeBadDate, value: in, what: "this is no date that can be read for certain",
			fix: "write it as 2026-11-28 or 28 Nov 2026, with a time as 2026-11-28 15:04",
		}
		if text == "now" || text == "today" {
			p.what = "the present date is not available: the message sent must be the message checked"
			p.fix = "write the date into the text or into a column"
		}
		return "", p
	}
	format := defaultDateFormat
	if len(args) > 0 {
		format = args[0]
	}
	return strftime(format, t.In(l.location)), nil
}

// dateLayouts are tried in order. Only the ones with a month in digits between
// day and year are open to doubt; they are in parseDate.
var dateLayouts = []string{
	time.RFC3339, "2006-01-02T15:04:05", "2006-01-02 15:04:05Z07:00", "2006-01-02 15:04:05", "2006-01-02T15:04", "2006-01-02 15:04",
	"2006-01-02", "2006/01/02", "20060102",
	"2 January 2006", "2 Jan 2006", "2-Jan-2006", "2-Jan-06", "2 January, 2006", "January 2, 2006", "January 2 2006", "Jan 2, 2006", "Jan 2 2006",
	"2 Jan 2006 15:04", "2 January 2006 15:04", "Jan 2, 2006 15:04", "Monday, 2 January 2006", time.RFC1123, time.RFC1123Z,
}

func parseDate(s string, l locale) (time.Time, bool) {
	if len(s) > 64 {
		return time.Time{}, false
	}
	for _, layout := range dateLayouts {
		if t, err := time.ParseInLocation(layout, s, l.location); err == nil {
			return t, true
		}
	}
	day, clock, hasClock := strings.Cut(s, " ")
	clockLayouts := []string{""}
	if hasClock {
		clockLayouts = []string{"15:04", "15:04:05", "3:04 PM", "3:04:05 PM"}
		day += " " + strings.TrimSpace(clock)
	}
	// 03/04/2026 is the third of April everywhere but in the United States.
	orders := []string{"2/1/2006", "2-1-2006", "2.1.2006"}
	if l.country == "US" {
		orders = []string{"1/2/2006", "1-2-2006"}
	}
	for _, order := range orders {
		for _, c := range clockLayouts {
			if t, err := time.ParseInLocation(strings.TrimSpace(order+" "+c), day, l.location); err == nil {
				return t, true
			}
		}
	}
	return time.Time{}, false
}

// directiveTable maps what may stand after "%" to Go's layouts.
var directiveTable = map[string]string{
	"Y": "2006", "y": "06", "m": "01", "-m": "1", "d": "02", "-d": "2", "e": "_2",
	"B": "January", "b": "Jan", "A": "Monday", "a": "Mon", "j": "002",
	"H": "15", "M": "04", "S": "05", "I": "03", "-I": "3", "l": "3", "p": "PM", "P": "pm", "Z": "MST", "z": "-0700",
	"F": "2006-01-02", "T": "15:04:05", "R": "15:04", "D": "01/02/06",
}

func directives() []string {
	names := []string{"%%"}
	for d := range directiveTable {
		names = append(names, "%"+d)
	}
	slices.SortFunc(names, func(a, b string) int { return strings.Compare(strings.ToLower(a), strings.ToLower(b)) })
	return names
}

// nextDirective splits the first "%x" or "%-x" off s, which starts with "%".
func nextDirective(s string) (directive, rest string) {
	n := min(2, len(s))
	if strings.HasPrefix(s, "%-") {
		n = min(3, len(s))
	}
	for n < len(s) && s[n]&0xC0 == 0x80 { // the rest of one character
		n++
	}
	return s[1:n], s[n:]
}

// badDirective is the first directive in a format that is not known, or "".
func badDirective(format string) string {
	for {
		i := strings.IndexByte(format, '%')
		if i < 0 {
			return ""
		}
		d, rest := nextDirective(format[i:])
		if _, ok := directiveTable[d]; !ok && d != "%" {
			return "%" + d
		}
		format = rest
	}
}

func strftime(format string, t time.Time) string {
	var b strings.Builder
	for {
		i := strings.IndexByte(format, '%')
		if i < 0 {
			b.WriteString(format)
			return b.String()
		}
		b.WriteString(format[:i])
		d, rest := nextDirective(format[i:])
		if layout, ok := directiveTable[d]; ok {
			b.WriteString(t.Format(layout))
		} else if d == "%" {
			b.WriteByte('%')
		} else {
			fmt.Fprintf(&b, "%%%s", d) // not reached: badDirective was asked before
		}
		format = rest
	}
}
