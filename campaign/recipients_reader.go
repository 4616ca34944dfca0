package campaign

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
)

// Record is one data row of a recipients file.
type Record struct {
	Line  int64    // physical line (or sheet row) where it starts; 1 is the first
	Cells []string // in file order; as many as the header has, unless Problem is E_CSV_COLUMNS or E_CSV_QUOTE
	// Problem is what keeps the row from being used; nil for a sound one. File
	// and Line are set.
	Problem *Problem

	extra string // what a rejects file shows in its _extra column
}

// rowReader is one kind of table.
type rowReader interface {
	header() ([]string, int64)
	bind(table) error
	next() (Record, error)
}

// Reader reads the rows of one recipients file, one by one: memory does not
// grow with the file. It is for one goroutine, BytesRead excepted.
type Reader struct {
	file    string // as in Problem.File
	limits  Limits
	raw     *rawReader
	rows    rowReader
	table   table
	dialect Dialect

	peeked *Record
	count  int64
	blank  int64
	err    error // ended the reading
	closer func() error
}

// OpenSource opens the recipients file of a campaign, finds out how it is
// written and checks its header. A relative path is relative to dir; "-" reads
// stdin. What a person must mend comes back as *InputError.
//
// A byte order mark decides the encoding; else Source.Encoding; else it is
// detected: UTF-8, UTF-16, and Windows-1252 when the bytes are no UTF-8.
// The delimiter is Source.Delimiter, else Excel's "sep=" line, else detected.
func OpenSource(src Source, dir string, stdin io.Reader, limits Limits) (*Reader, error) {
	r := &Reader{limits: limits.withDefaults(), closer: func() error { return nil }}
	var in io.Reader
	var file *os.File
	switch src.CSV {
	case "":
		return nil, Reject(Problem{Code: csvNotFound, Field: "recipients.csv", What: "no recipients file is named", Fix: "set recipients.csv to a .csv or .xlsx file"})
	case "-":
		r.file, in = "standard input", stdin
		if stdin == nil {
			in = strings.NewReader("")
		}
	default:
		r.file = filepath.Base(src.CSV)
		path := src.CSV
		if !filepath.IsAbs(path) {
			path = filepath.Join(dir, path)
		}
		var problem *Problem
		if file, problem = openRegular(path, r.limits); problem != nil {
			return nil, r.located(Reject(*problem))
		}
		in, r.closer = file, file.Close
	}
	if err := r.open(in, file, src); err != nil {
		return nil, errors.Join(r.located(err), r.Close())
	}
	return r, nil
}

// openRegular opens a file that can be read as a stream.
func openRegular(path string, limits Limits) (*os.File, *Problem) {
	f, err := os.Open(path) // #nosec G304 -- reading the file the user names is the purpose
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, &Problem{Code: csvNotFound, What: fmt.Sprintf("there is no file %s", path), Fix: "a relative path is relative to the campaign file's folder"}
		}
		return nil, unreadable(err)
	}
	info, err := f.Stat()
	var problem *Problem
	switch {
	case err != nil:
		problem = unreadable(err)
	case info.IsDir():
		problem = &Problem{Code: csvDirectory, What: fmt.Sprintf("%s is a folder", path), Fix: "name the .csv or .xlsx file inside"}
	case info.Mode().IsRegular() && info.Size() > limits.MaxBytes:
		problem = tooLarge(limits.MaxBytes)
	}
	if problem != nil {
		_ = f.Close() // nothing was written; the problem says more
		return nil, problem
	}
	return f, nil
}

func unreadable(err error) *Problem {
	if path, ok := errors.AsType[*fs.PathError](err); ok {
		err = path.Err
	}
	return &Problem{Code: csvUnreadable, What: "the file cannot be read: " + err.Error(), Fix: "check that it exists and who may read it"}
}

func tooLarge(limit int64) *Problem {
	return &Problem{Code: csvTooLarge, What: fmt.Sprintf("the file is larger than %s", sizeText(limit)), Fix: "split it into several campaigns"}
}

// open reads the front of the file: encoding, dialect, header, first row.
func (r *Reader) open(in io.Reader, file *os.File, src Source) error {
	r.raw = &rawReader{src: in, limit: r.limits.MaxBytes, sum: sha256.New()}
	front := bufio.NewReaderSize(r.raw, sampleBytes)
	sample, err := front.Peek(sampleBytes)
	complete := errors.Is(err, io.EOF)
	if err != nil && !complete {
		return err
	}
	if len(bytes.TrimSpace(sample)) == 0 && complete {
		return r.empty(0, "the file is empty")
	}
	if bytes.HasPrefix(sample, []byte("PK\x03\x04")) && isWorkbook(sample, tailOf(file)) {
		err = r.openWorkbook(front, src.Sheet)
	} else {
		err = r.openText(front, file, sample, complete, src)
	}
	if err != nil {
		return err
	}
	header, line := r.rows.header()
	table, problems := readTable(header, line, src, r.limits)
	if len(problems) > 0 {
		return Reject(problems...)
	}
	r.table = table
	if err := r.rows.bind(table); err != nil {
		return err
	}
	first, err := r.take()
	if errors.Is(err, io.EOF) {
		return r.empty(line, "the file has a header and no rows")
	}
	if err != nil {
		return err
	}
	r.peeked = &first
	return nil
}

func (r *Reader) empty(line int64, what string) error {
	return Reject(Problem{Code: csvEmpty, Line: line, What: what, Fix: "the first line names the columns, every line below it is one recipient"})
}

// maxWorkbook bounds a workbook as stored, for it is unpacked from memory. A
// sheet of a million rows takes about a third of it.
const maxWorkbook = 256 << 20

func (r *Reader) openWorkbook(in io.Reader, sheet string) error {
	r.raw.limit = min(r.raw.limit, maxWorkbook)
	x, err := openXLSX(in, sheet, r.limits)
	if errors.Is(err, io.EOF) {
		return r.empty(0, "the sheet is empty")
	}
	if err != nil {
		if r.raw.err != nil {
			return r.raw.err // the file cap, not the half workbook read until then
		}
		return err
	}
	closeFile := r.closer
	r.closer = func() error { return errors.Join(x.close(), closeFile()) }
	r.rows, r.dialect = x, Dialect{Encoding: "xlsx", Sheet: x.sheet}
	return nil
}

func (r *Reader) openText(front *bufio.Reader, file *os.File, sample []byte, complete bool, src Source) error {
	enc, problem := detectEncoding(sample, firstNonASCII(file, sample), complete, src.Encoding)
	if problem != nil {
		return Reject(*problem)
	}
	delimiter, problem := parseDelimiter(src.Delimiter)
	if problem != nil {
		return Reject(*problem)
	}
	// A front of a valid text decodes; what does not becomes U+FFFD.
	text, err := io.ReadAll(enc.decoder(bytes.NewReader(sample[enc.bom:])))
	if err != nil {
		return fmt.Errorf("decode %s: %w", enc.name, err)
	}
	sep, rest, problem := sepLine(text)
	if problem != nil && delimiter == 0 {
		return Reject(*problem)
	}
	r.dialect = Dialect{Encoding: enc.name, Guessed: enc.guessed, Delimiter: delimiter, HasSep: sep != 0 || problem != nil}
	if delimiter == 0 {
		r.dialect.Delimiter = sep
	}
	if r.dialect.Delimiter == 0 {
		r.dialect.Delimiter = detectDelimiter(rest, complete, r.limits.MaxRecordBytes)
	}
	if _, err := front.Discard(enc.bom); err != nil {
		return err
	}
	s := newSplitter(enc.decoder(front), r.dialect.Delimiter, r.limits.MaxRecordBytes)
	if r.dialect.HasSep {
		if err := s.takeLine(); err != nil {
			return err
		}
	}
	c, err := openCSV(s, r.dialect.Delimiter, 0, r.limits)
	if errors.Is(err, io.EOF) {
		return r.empty(0, "the file is empty")
	}
	r.rows = c
	return err
}

// firstNonASCII reads on to the first byte above ASCII when sample has none:
// an export with its first "é" in row 5,000 must not be taken for UTF-8. Only
// a file can be looked at twice.
func firstNonASCII(file *os.File, sample []byte) []byte {
	if file == nil || bytes.ContainsFunc(sample, func(c rune) bool { return c > 0x7f }) {
		return nil
	}
	if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil
	}
	buf := make([]byte, 256<<10)
	for at := int64(len(sample)); ; {
		n, err := file.ReadAt(buf, at)
		if i := bytes.IndexFunc(buf[:n], func(c rune) bool { return c > 0x7f }); i >= 0 {
			n, _ = file.ReadAt(buf[:sampleBytes], at+int64(i)) // a short end is fine
			return buf[:min(n, sampleBytes)]
		}
		at += int64(n)
		if err != nil {
			return nil // the end; a broken disk shows itself when the rows are read
		}
	}
}

// tailOf is the end of a file, where a zip archive lists its contents.
func tailOf(file *os.File) []byte {
	if file == nil {
		return nil
	}
	info, err := file.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return nil
	}
	buf := make([]byte, min(info.Size(), sampleBytes))
	n, _ := file.ReadAt(buf, info.Size()-int64(len(buf))) // a short read is looked at as it is
	return buf[:n]
}

// Next is the next row, sound or not; io.EOF after the last. Any other error
// ends the reading: *InputError for what a person must mend.
func (r *Reader) Next() (Record, error) {
	if r.peeked != nil {
		rec := *r.peeked
		r.peeked = nil
		return rec, nil
	}
	return r.take()
}

func (r *Reader) take() (Record, error) {
	if r.err != nil {
		return Record{}, r.err
	}
	for {
		rec, err := r.rows.next()
		if err != nil {
			if r.raw.err != nil {
				err = r.raw.err // the file cap or the disk, not what it did to the record
			}
			r.err = r.located(err)
			return Record{}, r.err
		}
		if rec.Problem == nil && blank(rec.Cells) {
			r.blank++ // ",,,," below the table, as Excel leaves it
			continue
		}
		if r.count++; r.count > r.limits.MaxRows {
			r.err = r.located(Reject(Problem{
				Code: csvTooManyRows, Line: rec.Line, What: fmt.Sprintf("the file has more than %d rows", r.limits.MaxRows),
				Fix: "split it into several campaigns",
			}))
			return Record{}, r.err
		}
		if rec.Problem == nil && r.table.mark >= 0 && strings.TrimSpace(rec.Cells[r.table.mark]) != "" {
			rec.Problem = &Problem{
				Code: csvColumns, Column: r.table.mark + 1, Field: rejectExtra, Value: shownValue(rec.Cells[r.table.mark]),
				What: "the row was rejected for its shape and is still marked",
				Fix:  "mend the row, then empty its _extra cell",
			}
			rec.extra = rec.Cells[r.table.mark]
		}
		if rec.Problem != nil {
			rec.Problem.File, rec.Problem.Line = r.file, rec.Line
		}
		return rec, nil
	}
}

// located puts the file's name into the problems of an error.
func (r *Reader) located(err error) error {
	if input, ok := errors.AsType[*InputError](err); ok {
		for i := range input.Problems {
			input.Problems[i].File = r.file
		}
		return input
	}
	if err == nil || errors.Is(err, io.EOF) {
		return err
	}
	return fmt.Errorf("read %s: %w", r.file, err)
}

// Close closes the file. Standard input stays open.
func (r *Reader) Close() error { return r.closer() }

// File is the base name of the file, "standard input" for "-".
func (r *Reader) File() string { return r.file }

// Dialect is how the file is written.
func (r *Reader) Dialect() Dialect { return r.dialect }

// Header is the header as in the file, one entry per cell of a record.
func (r *Reader) Header() []string { return r.table.header }

// Slugs is the variable name of each column; "" for a column that is none:
// its header starts with "_", like those Herald adds to a rejects file.
func (r *Reader) Slugs() []string { return r.table.slugs }

// Variables is every variable a message can use, with the header it stands
// for.
func (r *Reader) Variables() map[string]string {
	m := make(map[string]string, len(r.table.slugs))
	for i, slug := range r.table.slugs {
		if slug != "" {
			m[slug] = r.table.header[i]
		}
	}
	return m
}

// AddressColumn is the column messages go to: its index, what it holds, and
// whether it was guessed by its header because the campaign names none.
func (r *Reader) AddressColumn() (index int, kind AddressKind, guessed bool) {
	return r.table.address, r.table.kind, r.table.chosen
}

// Column finds a column by its header, without regard to case, or by its
// variable name. field is what named it.
func (r *Reader) Column(field, name string) (int, error) {
	if i := r.table.column(name); i >= 0 {
		return i, nil
	}
	p := r.table.missing(0, field, name)
	p.File = r.file
	return -1, Reject(p)
}

// Blank is how many rows without any text were passed over so far.
func (r *Reader) Blank() int64 { return r.blank }

// BytesRead is how much of the file was read so far. Any goroutine may ask.
func (r *Reader) BytesRead() int64 { return r.raw.n.Load() }

// SHA256 is the lower-case hex digest over the bytes read: over the whole file
// once Next has returned io.EOF.
func (r *Reader) SHA256() string { return hex.EncodeToString(r.raw.sum.Sum(nil)) }

// RowFields is a record as templates see it: variable name → cell. slugs is
// Reader.Slugs or Import.Slugs.
func RowFields(slugs, record []string) map[string]string {
	fields := make(map[string]string, len(slugs))
	for i, slug := range slugs {
		if slug != "" && i < len(record) {
			fields[slug] = record[i]
		}
	}
	return fields
}

// blank says whether no cell has text.
func blank(cells []string) bool {
	for _, cell := range cells {
		if strings.TrimSpace(cell) != "" {
			return false
		}
	}
	return true
}

// rawReader counts, hashes and caps the bytes of the file.
type rawReader struct {
	src   io.Reader
	limit int64
	sum   hash.Hash
	n     atomic.Int64
	err   error // other than io.EOF
}

func (r *rawReader) Read(p []byte) (int, error) {
	n, err := r.src.Read(p)
	r.sum.Write(p[:n]) // never fails
	if r.n.Add(int64(n)) > r.limit {
		n, err = 0, Reject(*tooLarge(r.limit))
	}
	if err != nil && !errors.Is(err, io.EOF) {
		r.err = err
	}
	return n, err
}
