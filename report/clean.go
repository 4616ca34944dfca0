package report

import (
	"strings"
	"time"
	"unicode"
)

// maskNumbers puts <number> in place of everything in s that could be a phone
// number: seven digits or more, with at most one space, dot, dash or bracket
// pair between them. The provider's words may quote the recipient; and without
// numbers, equal failures read equal and can be counted together. Error codes
// of up to six digits stay, and so do dates of this century.
func maskNumbers(s string) string {
	if !longDigits(s) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		if isDate(s[i:]) {
			b.WriteString(s[i : i+len(time.DateOnly)])
			i += len(time.DateOnly)
			continue
		}
		end, digits := numberAt(s, i)
		switch {
		case digits >= 7:
			b.WriteString("<number>")
			i = end
		case digits > 0:
			b.WriteString(s[i:end])
			i = end
		default:
			b.WriteByte(s[i])
			i++
		}
	}
	return b.String()
}

// isDate says whether s begins with a date, "2026-11-28", and goes on with
// something else than digits, but for a time of day: one space and "17:58".
func isDate(s string) bool {
	const day, clock = len(time.DateOnly), len(time.DateOnly + " 15:")
	if len(s) < day || !strings.HasPrefix(s, "20") {
		return false
	}
	if _, err := time.Parse(time.DateOnly, s[:day]); err != nil {
		return false
	}
	end, _ := numberAt(s, 0)
	return end == day || end == clock-1 && len(s) >= clock && s[day] == ' ' && s[clock-1] == ':'
}

// longDigits says whether s has seven digits at all; most details have not.
func longDigits(s string) bool {
	n := 0
	for i := range len(s) {
		if isDigit(s[i]) {
			n++
		}
	}
	return n >= 7
}

// numberAt measures the run of digits and their separators that starts at i:
// where it ends, and how many digits it has. A separator belongs to it only
// between two digits.
func numberAt(s string, i int) (end, digits int) {
	if s[i] == '+' && i+1 < len(s) && isDigit(s[i+1]) {
		i++
	}
	end = i
	for i < len(s) {
		if isDigit(s[i]) {
			digits++
			i++
			end = i
			continue
		}
		if digits == 0 || i-end >= 2 || !strings.ContainsRune(" .-()", rune(s[i])) {
			break
		}
		i++
	}
	return end, digits
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// printable makes text from a file or the provider safe for a terminal: a
// control character would move the cursor or change colors, a direction mark
// would reorder the line.
func printable(s string) string {
	if strings.IndexFunc(s, unprintable) < 0 {
		return s
	}
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t' || r == '\r':
			return ' '
		case unprintable(r):
			return -1
		default:
			return r
		}
	}, s)
}

func unprintable(r rune) bool {
	const zeroWidthJoiner, zeroWidthNonJoiner = '\u200d', '\u200c' // part of Indic and Persian spelling, and of emoji
	if r == zeroWidthJoiner || r == zeroWidthNonJoiner {
		return false
	}
	return unicode.Is(unicode.Cc, r) || unicode.Is(unicode.Cf, r) || r == '\u2028' || r == '\u2029' || r == unicode.ReplacementChar
}

// shorten cuts s to at most n characters.
func shorten(s string, n int) string {
	count := 0
	for i := range s {
		if count == n {
			return s[:i] + "…"
		}
		count++
	}
	return s
}
