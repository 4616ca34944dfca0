package campaign

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Codes of what can be wrong with a recipients file. They are stable:
// people search for them, and rejects files carry them.
const (
	// About the file as a whole: nothing is imported.
	csvNotFound        = "E_CSV_NOT_FOUND"
	csvUnreadable      = "E_CSV_UNREADABLE"
	csvDirectory       = "E_CSV_DIRECTORY"
	csvEmpty           = "E_CSV_EMPTY"
	csvArchive         = "E_CSV_ARCHIVE"
	csvBinary          = "E_CSV_BINARY"
	csvTooLarge        = "E_CSV_TOO_LARGE"
	csvTooManyRows     = "E_CSV_TOO_MANY_ROWS"
	csvTooManyColumns  = "E_CSV_TOO_MANY_COLUMNS"
	csvRecordTooLarge  = "E_CSV_RECORD_TOO_LARGE"
	csvQuoteUnclosed   = "E_CSV_QUOTE_UNCLOSED"
	csvQuoteMisplaced  = "E_CSV_QUOTE_MISPLACED"
	csvHeaderEmpty     = "E_CSV_HEADER_EMPTY"
	csvHeaderDuplicate = "E_CSV_HEADER_DUPLICATE"
	csvHeaderDamaged   = "E_CSV_HEADER_DAMAGED"
	csvColumnMissing   = "E_CSV_COLUMN_MISSING"
	csvColumnMapping   = "E_CSV_COLUMN_MAPPING"
	csvDelimiter       = "E_CSV_DELIMITER"
	csvEncodingUnknown = "E_CSV_ENCODING_UNKNOWN"
	csvCountryUnknown  = "E_CSV_COUNTRY_UNKNOWN"
	csvTooManyBad      = "E_CSV_TOO_MANY_BAD"
	csvNobodyLeft      = "E_CSV_NOBODY_LEFT"
	csvSheetMissing    = "E_XLSX_SHEET_MISSING"

	// About one row: it is skipped and goes into the rejects file.
	csvColumns         = "E_CSV_COLUMNS"
	csvQuote           = "E_CSV_QUOTE"
	csvControl         = "E_CSV_CONTROL"
	csvEncoding        = "E_CSV_ENCODING"
	csvFieldTooLarge   = "E_CSV_FIELD_TOO_LARGE"
	csvPhoneEmpty      = "E_CSV_PHONE_EMPTY"
	csvPhoneScientific = "E_CSV_PHONE_SCIENTIFIC"
	csvPhoneLength     = "E_CSV_PHONE_LENGTH"
	csvPhoneCountry    = "E_CSV_PHONE_COUNTRY"
	csvPhoneNoCountry  = "E_CSV_PHONE_NO_COUNTRY"
	csvPhoneInvalid    = "E_CSV_PHONE_INVALID"
	csvChatUnsupported = "E_CSV_CHAT_UNSUPPORTED"
	csvDuplicate       = "E_CSV_DUPLICATE"
)

// RecipientCodes lists every code a recipients file can be answered with, so
// that the manual can be checked against it.
func RecipientCodes() []string {
	return []string{
		csvNotFound, csvUnreadable, csvDirectory, csvEmpty, csvArchive, csvBinary, csvTooLarge, csvTooManyRows,
		csvTooManyColumns, csvRecordTooLarge, csvQuoteUnclosed, csvQuoteMisplaced, csvHeaderEmpty,
		csvHeaderDuplicate, csvHeaderDamaged, csvColumnMissing, csvColumnMapping, csvDelimiter,
		csvEncodingUnknown, csvCountryUnknown, csvTooManyBad, csvNobodyLeft, csvSheetMissing,
		csvColumns, csvQuote, csvControl, csvEncoding, csvFieldTooLarge,
		csvPhoneEmpty, csvPhoneScientific, csvPhoneLength, csvPhoneCountry, csvPhoneNoCountry, csvPhoneInvalid,
		csvChatUnsupported, csvDuplicate,
	}
}

// scientificCell is how spreadsheets show a long number in a narrow cell.
var scientificCell = regexp.MustCompile(`^[+-]?\d+(?:[.,]\d+)?[eE][+-]?\d+$`)

const shownRunes = 40

// shownValue is a cell as a Problem may show it: at most 40 runes on one line,
// any number of seven digits or more masked however it is punctuated.
// Scientific notation stays, for there the digits are the problem.
func shownValue(s string) string {
	s = strings.TrimSpace(s)
	if scientificCell.MatchString(s) && len(s) <= shownRunes {
		return s
	}
	// Mask before shortening, or the cut could leave six digits of a number.
	// Only the front of a long cell is looked at.
	cut := false
	if utf8.RuneCountInString(s) > 4*shownRunes {
		s, cut = string([]rune(s)[:4*shownRunes]), true
	}
	runes := maskNumbers([]rune(strings.ToValidUTF8(s, "\uFFFD")))
	for i, r := range runes {
		if unicode.IsControl(r) {
			runes[i] = ' '
		}
	}
	if len(runes) > shownRunes {
		runes, cut = runes[:shownRunes-1], true
	}
	if cut {
		return string(runes) + "…"
	}
	return string(runes)
}

// maskNumbers hides the middle of every digit run of seven or more, counting
// digits on through the punctuation people write in numbers: the first two and
// the last four stay, like MaskDigits.
func maskNumbers(runes []rune) []rune {
	var digits []int // positions in the run under way
	flush := func() {
		if len(digits) >= 7 {
			for _, at := range digits[2 : len(digits)-4] {
				runes[at] = '*'
			}
		}
		digits = digits[:0]
	}
	for i, r := range runes {
		switch {
		case unicode.IsDigit(r):
			digits = append(digits, i)
		case !isPhonePunctuation(r):
			flush()
		}
	}
	flush()
	return runes
}
