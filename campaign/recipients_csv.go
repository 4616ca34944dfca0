package campaign

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/gocarina/gocsv"
)

// csvRow is what gocsv binds: the address as a string, checked by us and never
// by reflection, everything else comes back as unmatched columns. No slug
// holds a "*", so the tag matches the column we say and no other.
type csvRow struct {
	Address string `csv:"*address"`
}

const csvAddressHeader = "*address"

// csvRows reads the records of a CSV file. It is the one place that knows
// gocsv. Of gocsv only the Unmarshaller is used: the helpers around it read on
// after an error, report wrong lines and are steered by package globals.
type csvRows struct {
	splitter  *splitter
	delimiter rune
	limits    Limits
	lines     int64 // taken before the splitter began (the sep= line)

	um    *gocsv.Unmarshaller
	table table
	keys  []string // unmatched key per column
	start int64    // line of the header
}

// openCSV reads the header. The error is about the file: an *InputError
// without the file's name.
func openCSV(s *splitter, delimiter rune, lines int64, limits Limits) (*csvRows, error) {
	c := &csvRows{splitter: s, delimiter: delimiter, limits: limits, lines: lines}
	state, err := s.next()
	if err != nil {
		return nil, c.fatal(err)
	}
	c.start = c.lines + s.start
	if state == recordBadQuote || !utf8.Valid(s.record) || bytes.IndexFunc(s.record, isDamage) >= 0 {
		return nil, Reject(Problem{
			Code: csvHeaderDamaged, Line: c.start, What: "the header line has a stray quote, control characters or letters that are lost",
			Fix: "mend the first line, or set recipients.encoding",
		})
	}
	reader := csv.NewReader(s)
	reader.Comma = delimiter
	// FieldsPerRecord stays 0: the header sets the number of columns. With -1,
	// gocsv panics on a row longer than the header.
	c.um, err = gocsv.NewUnmarshaller(reader, csvRow{})
	if err != nil {
		return nil, fmt.Errorf("read header: %w", err)
	}
	return c, nil
}

func (c *csvRows) header() ([]string, int64) { return c.um.Headers, c.start }

// bind tells gocsv which column is the address. Every other column is keyed by
// its position, which no two columns share.
func (c *csvRows) bind(t table) error {
	c.table = t
	c.keys = make([]string, len(t.header))
	for i := range c.keys {
		c.keys[i] = fmt.Sprintf("*%d", i)
	}
	c.keys[t.address] = csvAddressHeader
	err := c.um.RenormalizeHeaders(func([]string) []string { return c.keys })
	if err != nil {
		return fmt.Errorf("bind columns: %w", err)
	}
	return nil
}

func (c *csvRows) next() (Record, error) {
	state, err := c.splitter.next()
	if err != nil {
		return Record{}, c.fatal(err)
	}
	raw := c.splitter.record
	rec := Record{Line: c.lines + c.splitter.start}
	if state == recordBadQuote {
		rec.Cells = c.repair(looseCells(raw, c.delimiter))
		rec.Problem = &Problem{
			Code: csvQuote, What: "a quote stands where none may",
			Fix: `put quotes around the whole cell and write a quote inside as ""`,
		}
		rec.extra = "mend the quotes, then empty this cell"
		return rec, nil
	}
	out, unmatched, err := c.um.ReadUnmatched()
	switch {
	case errors.Is(err, csv.ErrFieldCount):
		rec.Cells = c.repair(looseCells(raw, c.delimiter))
		c.ragged(&rec)
		return rec, nil
	case err != nil:
		// The splitter knows the grammar; what it serves can be read.
		return Record{}, fmt.Errorf("read record at line %d: %w", rec.Line, err)
	}
	row, ok := out.(csvRow)
	if !ok {
		return Record{}, fmt.Errorf("read record at line %d: got a %T", rec.Line, out)
	}
	rec.Cells = make([]string, len(c.keys))
	for i, key := range c.keys {
		if i == c.table.address {
			rec.Cells[i] = row.Address
		} else {
			rec.Cells[i] = unmatched[key]
		}
	}
	c.check(&rec, raw)
	if rec.Problem != nil {
		rec.Cells = c.repair(rec.Cells)
		return rec, nil
	}
	return rec, c.swallowed(rec)
}

// check looks for what no cell may hold.
func (c *csvRows) check(rec *Record, raw []byte) {
	if bytes.IndexFunc(raw, isDamage) < 0 && len(raw) <= c.limits.MaxFieldBytes {
		return // IndexFunc gives U+FFFD for a broken byte too
	}
	checkCells(rec, c.table.header, c.limits)
}

// ragged describes a row with too many or too few cells.
func (c *csvRows) ragged(rec *Record) {
	have, want := len(rec.Cells), len(c.table.header)
	rec.Problem = &Problem{
		Code: csvColumns, What: fmt.Sprintf("the row has %d cells, the header %d", have, want),
		Fix: fmt.Sprintf("put quotes around a cell that holds a %s, or add the missing cells", delimiterName(c.delimiter)),
	}
	if have > want {
		rec.extra = strings.Join(rec.Cells[want:], " | ")
		if strings.TrimSpace(strings.ReplaceAll(rec.extra, "|", "")) == "" {
			rec.extra = "too many cells: mend the row, then empty this cell"
		}
		return
	}
	rec.extra = "too few cells: mend the row, then empty this cell"
}

// swallowed stops at an address that holds whole further rows: a quote opened
// there and the next one in the file closed it. Those rows must not be lost in
// a cell.
func (c *csvRows) swallowed(rec Record) error {
	cell := strings.TrimSpace(rec.Cells[c.table.address])
	if !strings.ContainsRune(cell, '\n') || !strings.ContainsRune(cell, c.delimiter) {
		return nil
	}
	return Reject(Problem{
		Code: csvQuoteMisplaced, Line: rec.Line, Column: c.table.address + 1, Field: c.table.header[c.table.address],
		What: fmt.Sprintf("a quote opened in this row swallows the rows below it, up to line %d", c.lines+c.splitter.line),
		Fix:  "remove the stray quote in this line, or close it",
	})
}

// repair makes cells valid UTF-8, so that they can be kept and written. A
// cell never holds the front of the whole record in memory for long: ragged
// rows are rare.
func (c *csvRows) repair(cells []string) []string {
	for i, cell := range cells {
		cells[i] = strings.ToValidUTF8(cell, "\uFFFD")
	}
	return cells
}

// fatal turns what ended the reading into what a person can mend. io.EOF and
// errors of the disk stay what they are.
func (c *csvRows) fatal(err error) error {
	p := Problem{Line: c.lines + c.splitter.start}
	switch {
	case errors.Is(err, errRecordTooLarge):
		p.Code = csvRecordTooLarge
		p.What = fmt.Sprintf("the record that starts here is larger than %s; most likely a quote is never closed", sizeText(int64(c.splitter.max)))
		p.Fix = "close or remove the quote in this line"
	case errors.Is(err, errQuoteUnclosed):
		p.Code = csvQuoteUnclosed
		p.What = "the quote opened in the record that starts here is never closed"
		p.Fix = "close or remove the quote in this line"
	case errors.Is(err, errQuoteMisplaced):
		p.Code = csvQuoteMisplaced
		p.What = fmt.Sprintf("the quotes in the record that starts here do not pair up (noticed in line %d), so where it ends cannot be told", c.lines+c.splitter.line)
		p.Fix = `write a quote inside a quoted cell as "", or remove it`
	default:
		return err
	}
	return Reject(p)
}

// isDamage says whether r shows damage: a control character, or U+FFFD, which
// stands for a letter that was lost here or in an earlier conversion.
func isDamage(r rune) bool {
	return r < 0x20 && r != '\t' && r != '\n' || r == 0x7f || r == utf8.RuneError
}

// checkCells finds the first cell that is damaged or too large.
func checkCells(rec *Record, header []string, limits Limits) {
	for i, cell := range rec.Cells {
		p := Problem{Column: i + 1}
		if i < len(header) {
			p.Field = header[i]
		}
		at := strings.IndexFunc(cell, isDamage)
		switch {
		case len(cell) > limits.MaxFieldBytes:
			p.Code = csvFieldTooLarge
			p.What = fmt.Sprintf("the cell has %s, %s are allowed", sizeText(int64(len(cell))), sizeText(int64(limits.MaxFieldBytes)))
			p.Fix = "shorten the cell"
		case at < 0:
			continue
		case cell[at] >= utf8.RuneSelf:
			p.Code = csvEncoding
			p.What = "a letter of this cell is lost or not in the file's encoding"
			p.Fix = "type it again and save as UTF-8, or set recipients.encoding (windows-1252 for older Excel files)"
		default:
			p.Code = csvControl
			p.What = fmt.Sprintf("the cell holds the control character U+%04X", cell[at])
			p.Fix = "delete it; it often hides at the front or the end of the cell"
		}
		p.Value = shownValue(cell)
		rec.Problem = &p
		return
	}
}

// sizeText is a number of bytes for people.
func sizeText(n int64) string {
	switch {
	case n >= 1<<30 && n%(1<<30) == 0:
		return fmt.Sprintf("%d GiB", n>>30)
	case n >= 1<<20:
		return fmt.Sprintf("%d MiB", n>>20)
	case n >= 1<<10:
		return fmt.Sprintf("%d KiB", n>>10)
	default:
		return fmt.Sprintf("%d bytes", n)
	}
}
