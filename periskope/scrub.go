package periskope

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	maxText    = 300  // bytes of foreign text an error keeps
	maxLooked  = 1024 // bytes of foreign text looked at
	echoWindow = 12   // bytes in common with our own text that count as an echo
	minDigits  = 7    // a run this long may be a phone number
)

// scrubber makes foreign text fit to be shown. A provider's error may repeat
// what we sent, and a proxy's may hold anything.
type scrubber struct {
	token string
	own   []string // texts of the request that must not come back
}

// scrub returns s on one line, at most maxText bytes long, without the token,
// echoes of the request's own text and long runs of digits.
func (sc scrubber) scrub(s string) string {
	if sc.token != "" {
		s = strings.ReplaceAll(s, sc.token, maskedToken)
	}
	s = cut(strings.ToValidUTF8(s, "?"), maxLooked)
	for _, own := range sc.own {
		s = maskEcho(s, own)
	}
	s = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, s)
	return strings.TrimRight(cut(strings.TrimSpace(MaskNumbers(s)), maxText), " ")
}

// maskEcho hides whatever s has in common with own.
func maskEcho(s, own string) string {
	own = strings.TrimSpace(own)
	window := min(echoWindow, len(own))
	if window < 3 {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		if i+window > len(s) || !strings.Contains(own, s[i:i+window]) {
			b.WriteByte(s[i])
			i++
			continue
		}
		end := i + window
		for end < len(s) && strings.Contains(own, s[i:end+1]) {
			end++
		}
		b.WriteString("[text]")
		i = end
	}
	return strings.ToValidUTF8(b.String(), "")
}

// MaskNumbers hides the middle of every run of seven or more digits: such a
// run in foreign text may be a phone number.
func MaskNumbers(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); {
		end := i
		for end < len(s) && '0' <= s[end] && s[end] <= '9' {
			end++
		}
		if end-i >= minDigits {
			b.WriteString(s[i:i+2] + strings.Repeat("*", end-i-4) + s[end-2:end])
		} else {
			end = max(end, i+1)
			b.WriteString(s[i:end])
		}
		i = end
	}
	return b.String()
}

// cut shortens s to at most n bytes, at a rune boundary.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
