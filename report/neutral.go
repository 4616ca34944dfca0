package report

import (
	"strings"
	"unicode/utf8"
)

// neutralize puts an apostrophe in front of a cell that a spreadsheet would
// run as a formula (OWASP ASVS 1.2.10): one that starts with = + - @, their
// full-width forms, TAB, CR, LF or NUL. Numbers with a sign are none, so phone
// numbers and amounts stay what they are. A cell that would be dangerous but
// for apostrophes in front of it gets one more, so that taking one away always
// gives the user's own cell back.
func neutralize(cell string) string {
	if cell == "" {
		return cell
	}
	// Nearly every cell ends here.
	if c := cell[0]; c < utf8.RuneSelf && c > '@' || '0' <= c && c <= '9' || c == ' ' {
		return cell
	}
	if dangerous(strings.TrimLeft(cell, "'")) {
		return "'" + cell
	}
	return cell
}

func dangerous(cell string) bool {
	first, _ := utf8.DecodeRuneInString(cell)
	switch first {
	case '=', '@', '\t', '\r', '\n', '\x00', '＝', '＠', '＋', '－':
		return cell != ""
	case '+', '-':
		return !signedNumber(cell[1:])
	default:
		return false
	}
}

// signedNumber says whether s, which follows a sign, is nothing but a number:
// digits in groups parted by single spaces, as phone numbers are written, or
// with one decimal point or comma. "1-2" is a subtraction, and none.
func signedNumber(s string) bool {
	spaces, points := 0, 0
	for i := range len(s) {
		c := s[i]
		if isDigit(c) {
			continue
		}
		if i == 0 || i == len(s)-1 || !isDigit(s[i-1]) || !isDigit(s[i+1]) {
			return false
		}
		switch c {
		case ' ':
			spaces++
		case '.', ',':
			points++
		default:
			return false
		}
	}
	return s != "" && (points == 0 || points == 1 && spaces == 0)
}
