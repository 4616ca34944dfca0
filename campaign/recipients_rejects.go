package campaign

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Columns a rejects file has behind the original ones. A reader passes over
// them, so that the file can be mended and fed back as it is.
const (
	rejectLine   = "_line"
	rejectCode   = "_code"
	rejectReason = "_reason"
	// rejectExtra is there only when a row did not fit the columns: it holds
	// the cells too many, or a word about the damage. While it is filled, the
	// row is rejected again: a row that was cut or padded into shape must not
	// be sent unseen.
	rejectExtra = "_extra"
)

// RejectsWriter writes the rows that will get no message into a file that can
// be mended and fed back: the original columns and header, the same delimiter,
// then _line, _code and _reason. It is UTF-8, with a byte order mark when it
// holds more than ASCII, for Excel takes it for Windows-1252 otherwise.
//
// Formulas are left alone here, unlike in every export: this is the person's
// own data on its way back into the import, and a "'" before every "+91…"
// would come back as part of the cell.
//
// The file appears under its name only when it is whole, and only when there
// are rejects. It is for one goroutine.
type RejectsWriter struct {
	path      string
	header    []string
	keep      []int // columns of the source that go into the file
	delimiter rune

	spool *os.File // rows so far, each with its extra cell
	buf   *bufio.Writer
	rows  *csv.Writer
	count int64
	wide  bool // something is more than ASCII
	extra bool // some row has an extra cell
}

// NewRejects makes a writer for the rows of r. Nothing is created before the
// first reject.
func (r *Reader) NewRejects(path string) *RejectsWriter {
	w := &RejectsWriter{path: path, delimiter: r.dialect.Delimiter}
	if w.delimiter == 0 {
		w.delimiter = ','
	}
	for i, h := range r.table.header {
		if !strings.HasPrefix(h, "_") {
			w.keep = append(w.keep, i)
			w.header = append(w.header, h)
			w.wide = w.wide || !isASCII(h)
		}
	}
	return w
}

// Add writes one row with what is wrong with it.
func (w *RejectsWriter) Add(rec Record, p Problem) error {
	if w.spool == nil {
		spool, err := os.CreateTemp(filepath.Dir(w.path), ".rejects-*")
		if err != nil {
			return fmt.Errorf("write rejects: %w", err)
		}
		w.spool, w.buf = spool, bufio.NewWriterSize(spool, 64<<10)
		w.rows = csv.NewWriter(w.buf)
	}
	reason := p.What
	if p.Fix != "" {
		reason += "; " + p.Fix
	}
	row := make([]string, 0, len(w.keep)+4)
	for _, i := range w.keep {
		cell := ""
		if i < len(rec.Cells) {
			cell = rec.Cells[i]
		}
		w.wide = w.wide || !isASCII(cell)
		row = append(row, cell)
	}
	row = append(row, strconv.FormatInt(rec.Line, 10), p.Code, reason, rec.extra)
	w.wide = w.wide || !isASCII(reason) || !isASCII(rec.extra)
	w.extra = w.extra || rec.extra != ""
	w.count++
	if err := w.rows.Write(row); err != nil {
		return fmt.Errorf("write rejects: %w", err)
	}
	return nil
}

// Count is how many rows were added.
func (w *RejectsWriter) Count() int64 { return w.count }

// Path is where the file is, or will be.
func (w *RejectsWriter) Path() string { return w.path }

// Close puts the file in place, if there is anything to put.
func (w *RejectsWriter) Close() error {
	if w.spool == nil {
		return nil
	}
	err := w.finish()
	if err = errors.Join(err, w.Discard()); err != nil {
		return fmt.Errorf("write rejects %s: %w", w.path, err)
	}
	return nil
}

// Discard drops what was written. After Close it does nothing.
func (w *RejectsWriter) Discard() error {
	if w.spool == nil {
		return nil
	}
	name := w.spool.Name()
	err := errors.Join(w.spool.Close(), os.Remove(name))
	w.spool = nil
	return err
}

// finish copies the spool behind the header, whose form is known only now.
func (w *RejectsWriter) finish() (err error) {
	w.rows.Flush()
	if err := errors.Join(w.rows.Error(), w.buf.Flush()); err != nil {
		return err
	}
	if _, err := w.spool.Seek(0, io.SeekStart); err != nil {
		return err
	}
	out, err := os.CreateTemp(filepath.Dir(w.path), ".rejects-*") // mode 0600: it holds numbers
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, out.Close(), os.Remove(out.Name()))
		}
	}()
	buf := bufio.NewWriterSize(out, 64<<10)
	if w.wide {
		if _, err := buf.WriteString("\ufeff"); err != nil {
			return err
		}
	}
	if err := w.copyRows(buf); err != nil {
		return err
	}
	if err := errors.Join(buf.Flush(), out.Sync()); err != nil {
		return err
	}
	if err := os.Rename(out.Name(), w.path); err != nil {
		return err
	}
	return out.Close()
}

func (w *RejectsWriter) copyRows(dst io.Writer) error {
	width := len(w.header) + 3
	header := append(append([]string(nil), w.header...), rejectLine, rejectCode, rejectReason)
	if w.extra {
		header, width = append(header, rejectExtra), width+1
	}
	out := csv.NewWriter(dst)
	out.Comma = w.delimiter
	if err := out.Write(header); err != nil {
		return err
	}
	in := csv.NewReader(bufio.NewReaderSize(w.spool, 64<<10))
	in.ReuseRecord = true
	for {
		row, err := in.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if err := out.Write(row[:width]); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
