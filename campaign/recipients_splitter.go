package campaign

import (
	"bytes"
	"errors"
	"io"
)

// splitter cuts UTF-8 text into CSV records and hands them to a csv.Reader one
// at a time. It stands in front of encoding/csv for three reasons:
//
//   - A record is capped. encoding/csv reads one unclosed quote to the end of
//     the file, at five times its size in memory.
//   - The physical line a record starts on is known, whatever went wrong in it.
//   - After a malformed record reading goes on exactly behind it, because the
//     csv.Reader never holds a byte of the next one.
//
// Line ends are made "\n" on the way: LF, CRLF and CR alone may be mixed.
type splitter struct {
	src       io.Reader
	delimiter byte
	max       int // bytes of a record

	buf    []byte
	r, w   int
	skipLF bool  // the last byte taken was CR: an LF right behind belongs to it
	err    error // from src; reported when buf is used up

	line    int64 // lines taken so far
	start   int64 // line the current record starts on
	record  []byte
	serving []byte // the part of record Read has not handed out
}

// recordState says what splitter.next found.
type recordState int

const (
	recordWhole    recordState = iota // fits the grammar; serve it to the csv.Reader
	recordBadQuote                    // a stray quote, but where the record ends is not in doubt
)

// Errors that end the reading; splitter.start is the line to name.
var (
	errRecordTooLarge = errors.New("record too large")
	errQuoteUnclosed  = errors.New("quote not closed")
	errQuoteMisplaced = errors.New("text behind a closing quote")
)

// newSplitter wants an ASCII delimiter.
func newSplitter(src io.Reader, delimiter rune, maxRecord int) *splitter {
	return &splitter{src: src, delimiter: byte(delimiter), max: maxRecord, buf: make([]byte, 64<<10)} // #nosec G115 -- one of delimiters
}

// Positions of the CSV grammar (RFC 4180, as encoding/csv reads it).
const (
	atFieldStart = iota
	inPlain
	inQuoted
	behindQuote
)

// next takes the next record that is not an empty line. It returns io.EOF at
// the end.
func (s *splitter) next() (recordState, error) {
	s.record, s.serving = s.record[:0], nil
	for {
		s.start = s.line + 1
		if err := s.takeLine(); err != nil {
			return recordWhole, err
		}
		if len(s.record) > 1 { // more than the line end
			break
		}
		s.record = s.record[:0]
	}
	state, place, from := recordWhole, atFieldStart, 0
	for {
		line := s.record[from:]
		if place != inQuoted && bytes.IndexByte(line, '"') < 0 {
			break
		}
		var bare, stray bool
		place, bare, stray = scanQuotes(line[:len(line)-1], place, s.delimiter)
		if bare {
			state = recordBadQuote
		}
		if stray {
			// `"He said "hi"",…`: which quote is the wrong one cannot be told.
			// With an even number of quotes on a record's only line, the line
			// end is outside quotes under every reading worth having; otherwise
			// going on would take the rest of a cell for people.
			if from > 0 || bytes.Count(line, []byte{'"'})%2 != 0 {
				return state, errQuoteMisplaced
			}
			state = recordBadQuote
			break
		}
		if place != inQuoted {
			break
		}
		from = len(s.record)
		if err := s.takeLine(); err != nil {
			if errors.Is(err, io.EOF) {
				err = errQuoteUnclosed
			}
			return state, err
		}
	}
	if state == recordWhole {
		s.serving = s.record
	}
	return state, nil
}

// scanQuotes follows the grammar over one line without its line end. bare is
// a quote inside an unquoted cell, stray is text behind a closing quote; the
// scan stops there.
func scanQuotes(line []byte, place int, delimiter byte) (end int, bare, stray bool) {
	for i := 0; i < len(line); i++ {
		c := line[i]
		switch place {
		case atFieldStart:
			switch c {
			case '"':
				place = inQuoted
			case delimiter:
			default:
				place = inPlain
			}
		case inPlain:
			switch c {
			case delimiter:
				place = atFieldStart
			case '"':
				bare = true
			}
		case inQuoted:
			next := bytes.IndexByte(line[i:], '"')
			if next < 0 {
				return inQuoted, bare, false
			}
			i += next
			place = behindQuote
		case behindQuote:
			switch c {
			case '"':
				place = inQuoted
			case delimiter:
				place = atFieldStart
			default:
				return place, bare, true
			}
		}
	}
	return place, bare, false
}

// takeLine appends the next physical line to the record, ended by "\n".
// io.EOF means that there was none.
func (s *splitter) takeLine() error {
	began := false
	for {
		if s.r == s.w {
			if err := s.fill(); err != nil {
				if !errors.Is(err, io.EOF) {
					return err
				}
				if !began {
					return io.EOF
				}
				s.endLine()
				return nil
			}
		}
		if s.skipLF {
			s.skipLF = false
			if s.buf[s.r] == '\n' {
				s.r++
				continue
			}
		}
		chunk := s.buf[s.r:s.w]
		end := bytes.IndexByte(chunk, '\n')
		if end >= 0 {
			chunk = chunk[:end]
		}
		if cr := bytes.IndexByte(chunk, '\r'); cr >= 0 {
			chunk, end = chunk[:cr], cr
			s.skipLF = true
		}
		if len(s.record)+len(chunk) > s.max {
			return errRecordTooLarge
		}
		s.record = append(s.record, chunk...)
		if end >= 0 {
			s.r += end + 1
			s.endLine()
			return nil
		}
		s.r = s.w
		began = true
	}
}

func (s *splitter) endLine() {
	s.record = append(s.record, '\n')
	s.line++
}

// fill reads more into the empty buffer.
func (s *splitter) fill() error {
	if s.err != nil {
		return s.err
	}
	for range 100 { // as bufio: a reader that gives nothing this often is broken
		n, err := s.src.Read(s.buf)
		s.r, s.w, s.err = 0, n, err
		if n > 0 {
			return nil
		}
		if err != nil {
			return err
		}
	}
	s.err = io.ErrNoProgress
	return s.err
}

// Read hands the current record, and nothing behind it, to the csv.Reader.
func (s *splitter) Read(p []byte) (int, error) {
	if len(s.serving) == 0 {
		return 0, io.EOF
	}
	n := copy(p, s.serving)
	s.serving = s.serving[n:]
	return n, nil
}
