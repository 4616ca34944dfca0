package campaign

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Dialect is how a recipients file is written, found out or told. It is shown
// to people before anything is imported.
type Dialect struct {
	Encoding  string // utf-8, utf-16le, utf-16be, windows-1252; "xlsx" for a workbook
	Guessed   bool   // the encoding is the likeliest one, not a certain one
	Delimiter rune   // , ; | or tab; 0 for a workbook
	HasSep    bool   // the first line is Excel's "sep=;"
	Sheet     string // of a workbook
}

// String is the dialect in words, e.g. "utf-8, semicolon separated".
func (d Dialect) String() string {
	if d.Delimiter == 0 {
		return fmt.Sprintf("%s, sheet %q", d.Encoding, d.Sheet)
	}
	s := d.Encoding
	if d.Guessed {
		s += " (guessed)"
	}
	s += ", " + delimiterName(d.Delimiter) + " separated"
	if d.HasSep {
		s += ", with a sep= line"
	}
	return s
}

var delimiters = []rune{',', ';', '\t', '|'}

func delimiterName(r rune) string {
	switch r {
	case ',':
		return "comma"
	case ';':
		return "semicolon"
	case '\t':
		return "tab"
	default:
		return string(r)
	}
}

// parseDelimiter reads Source.Delimiter; 0 means to detect it.
func parseDelimiter(s string) (rune, *Problem) {
	switch strings.ToLower(s) {
	case "":
		return 0, nil
	case ",", "comma":
		return ',', nil
	case ";", "semicolon":
		return ';', nil
	case "|", "pipe":
		return '|', nil
	case "\t", `\t`, "tab":
		return '\t', nil
	}
	return 0, &Problem{
		Code: csvDelimiter, Value: shownValue(s), What: "a file cannot be separated by this",
		Fix: "set recipients.delimiter to one of , ; | tab, or leave it out",
	}
}

// sepLine reads Excel's first line "sep=;" of decoded text. It returns the
// text behind the line.
func sepLine(text []byte) (delimiter rune, rest []byte, problem *Problem) {
	end := bytes.IndexAny(text, "\r\n")
	if end < 0 {
		return 0, text, nil
	}
	line := strings.Trim(string(text[:end]), `"`)
	if len(line) < 4 || !strings.EqualFold(line[:4], "sep=") {
		return 0, text, nil
	}
	rest = text[end+1:]
	if text[end] == '\r' && len(rest) > 0 && rest[0] == '\n' {
		rest = rest[1:]
	}
	value := line[4:]
	// A table whose header is "sep=…" in earnest has more to its first line.
	if len([]rune(value)) != 1 {
		return 0, text, nil
	}
	for _, r := range delimiters {
		if value == string(r) {
			return r, rest, nil
		}
	}
	return 0, nil, &Problem{
		Code: csvDelimiter, Line: 1, Value: shownValue(line), What: "a file cannot be separated by this",
		Fix: "save it with one of , ; | tab between the columns",
	}
}

// sniffedRecords is how many records the delimiter is judged by.
const sniffedRecords = 50

// detectDelimiter takes the delimiter under which the first records have the
// steadiest number of columns, more than one; among equals, the one with the
// most columns. Text without any is one column.
func detectDelimiter(text []byte, complete bool, maxRecord int) rune {
	best, bestSteady, bestColumns := ',', 0.0, 1
	for _, d := range delimiters {
		columns, steady := steadiness(text, complete, d, maxRecord)
		if columns > 1 && (steady > bestSteady || steady == bestSteady && columns > bestColumns) {
			best, bestSteady, bestColumns = d, steady, columns
		}
	}
	return best
}

// steadiness is the number of columns in the header under a delimiter, and
// the share of records that have as many.
func steadiness(text []byte, complete bool, delimiter rune, maxRecord int) (columns int, share float64) {
	s := newSplitter(bytes.NewReader(text), delimiter, maxRecord)
	same, records := 0, 0
	for records < sniffedRecords {
		_, err := s.next()
		if err == nil && !complete && s.r == s.w && s.err != nil {
			err = io.EOF // the sample ends inside this record, as far as one can tell
		}
		if err != nil {
			if !errors.Is(err, io.EOF) && (complete || errors.Is(err, errQuoteMisplaced)) {
				records++ // a record this delimiter cannot read
			}
			break
		}
		n := len(looseCells(s.record, delimiter))
		if records == 0 {
			columns = n
		}
		if n == columns {
			same++
		}
		records++
	}
	if records == 0 {
		return columns, 0
	}
	return columns, float64(same) / float64(records)
}

// looseCells cuts one record into cells however badly it is quoted.
func looseCells(record []byte, delimiter rune) []string {
	r := csv.NewReader(bytes.NewReader(record))
	r.Comma, r.FieldsPerRecord, r.LazyQuotes = delimiter, -1, true
	cells, err := r.Read()
	if err != nil {
		return strings.Split(strings.TrimSuffix(string(record), "\n"), string(delimiter))
	}
	return cells
}
