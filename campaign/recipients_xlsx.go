package campaign

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/big"
	"regexp"
	"strings"

	"github.com/xuri/excelize/v2"
)

// xlsxRows reads the rows of one sheet as they are stored, not as Excel shows
// them: a phone typed as a number comes back whole. The price is that a date
// is its serial number (46023 for 2026-01-01): a column whose dates go into a
// message must be formatted as text.
type xlsxRows struct {
	book   *excelize.File
	rows   *excelize.Rows
	limits Limits
	table  table
	sheet  string

	line   int64 // sheet row
	head   []string
	headAt int64
}

// openXLSX opens a workbook of at most limits.MaxBytes unpacked. Sheets larger
// than 16 MiB are unpacked to a temporary file, so memory stays flat.
func openXLSX(src io.Reader, sheet string, limits Limits) (*xlsxRows, error) {
	book, err := excelize.OpenReader(src, excelize.Options{
		RawCellValue:      true,
		UnzipSizeLimit:    limits.MaxBytes,
		UnzipXMLSizeLimit: min(limits.MaxBytes, 16<<20),
	})
	if err != nil {
		return nil, Reject(Problem{
			Code: csvUnreadable, What: "the workbook cannot be opened: " + err.Error(),
			Fix: "save it anew as \"Excel workbook (.xlsx)\" without a password, or as \"CSV UTF-8\"",
		})
	}
	x := &xlsxRows{book: book, limits: limits, sheet: sheet}
	names := book.GetSheetList()
	if sheet == "" && len(names) > 0 {
		x.sheet = names[0]
	}
	if x.rows, err = book.Rows(x.sheet); err != nil {
		problem := Problem{Code: csvUnreadable, What: "the sheet cannot be read: " + err.Error()}
		var missing excelize.ErrSheetNotExist
		if errors.As(err, &missing) || len(names) == 0 {
			problem = Problem{
				Code: csvSheetMissing, Value: shownValue(x.sheet),
				What: "the workbook has no such sheet; there are " + strings.Join(names, ", "),
				Fix:  "set recipients.sheet to one of them, or leave it out for the first",
			}
		}
		return nil, errors.Join(Reject(problem), book.Close())
	}
	for {
		cells, err := x.cells()
		if err != nil {
			return nil, errors.Join(err, x.close())
		}
		if !blank(cells) {
			// Formatting alone can stretch a row; trailing cells without text
			// are no columns.
			for strings.TrimSpace(cells[len(cells)-1]) == "" {
				cells = cells[:len(cells)-1]
			}
			x.head, x.headAt = cells, x.line
			return x, nil
		}
	}
}

func (x *xlsxRows) header() ([]string, int64) { return x.head, x.headAt }

func (x *xlsxRows) bind(t table) error {
	x.table = t
	return nil
}

func (x *xlsxRows) next() (Record, error) {
	cells, err := x.cells()
	if err != nil {
		return Record{}, err
	}
	rec := Record{Line: x.line, Cells: make([]string, len(x.head))}
	size := 0
	for i, cell := range cells {
		size += len(cell)
		if i < len(rec.Cells) {
			rec.Cells[i] = strings.ToValidUTF8(wholeNumber(cell), "\uFFFD")
		}
	}
	if size > x.limits.MaxRecordBytes {
		return Record{}, Reject(Problem{
			Code: csvRecordTooLarge, Line: x.line,
			What: fmt.Sprintf("the row is larger than %s", sizeText(int64(x.limits.MaxRecordBytes))),
			Fix:  "shorten its cells",
		})
	}
	checkCells(&rec, x.table.header, x.limits)
	if len(cells) > len(x.head) && !blank(cells[len(x.head):]) {
		rec.Problem = &Problem{
			Code: csvColumns, What: "the row has cells to the right of the last header",
			Fix: "give the column a header, or empty the cells",
		}
		rec.extra = strings.Join(cells[len(x.head):], " | ")
	}
	return rec, nil
}

// cells takes the next row of the sheet.
func (x *xlsxRows) cells() ([]string, error) {
	if !x.rows.Next() {
		if err := x.rows.Error(); err != nil {
			return nil, fmt.Errorf("read sheet %s: %w", x.sheet, err)
		}
		return nil, io.EOF
	}
	x.line++
	cells, err := x.rows.Columns()
	if err != nil {
		return nil, fmt.Errorf("read sheet %s row %d: %w", x.sheet, x.line, err)
	}
	return cells, nil
}

func (x *xlsxRows) close() error { return errors.Join(x.rows.Close(), x.book.Close()) }

// storedFloat is how some programs store a whole number in a sheet:
// "9.19999990001E11" or "919999990001.0".
var storedFloat = regexp.MustCompile(`^\d+\.\d+(?:[eE]\+?\d{1,2})?$`)

// wholeNumber gives a stored whole number its plain form. Seven decimals or
// more tell a stored number from the text "9.19E+11" that Excel shows in a
// narrow column, and that somebody pasted: its last digits are gone.
func wholeNumber(cell string) string {
	if !storedFloat.MatchString(cell) {
		return cell
	}
	mantissa, _, float := strings.Cut(strings.ToLower(cell), "e")
	_, decimals, _ := strings.Cut(mantissa, ".")
	if float && len(decimals) < 7 || !float && strings.Trim(decimals, "0") != "" {
		return cell
	}
	n, ok := new(big.Rat).SetString(cell)
	if !ok || !n.IsInt() {
		return cell
	}
	return n.Num().String()
}

// isWorkbook says whether a zip archive is an XLSX workbook by the names at
// its front and end. Without an end, as on standard input, any Office document
// passes; opening it tells.
func isWorkbook(front, tail []byte) bool {
	if tail == nil && bytes.Contains(front, []byte("[Content_Types].xml")) {
		return true
	}
	for _, part := range [][]byte{front, tail} {
		if bytes.Contains(part, []byte("xl/workbook.xml")) || bytes.Contains(part, []byte("xl/worksheets/")) {
			return true
		}
	}
	return false
}
