package campaign

import (
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

// FuzzDialect feeds whole files: every record has the shape the header
// promises or a problem, every problem says where it is, what it is and what
// to do, without a whole number in it. And the file is read the same, to the
// last byte, however its bytes arrive.
func FuzzDialect(f *testing.F) {
	for _, seed := range []string{
		mixed, "sep=;\nphone;a\n1;2\n", "\ufeff\"phone\"\r1\r", "phone\tx\r\n1\t\"a\nb\"\r\n", "phone|x\n1|\"a\"b\"|\n", "\xff\xfep\x00\n\x001\x00",
		"phone,x\n1,\"\n", "phone,x\n\x00,\x80\n",
	} {
		f.Add([]byte(seed))
	}
	for _, text := range smallOddities() {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		whole := readDialect(t, text, strings.NewReader(string(text)))
		if bytewise := readDialect(t, text, iotest.OneByteReader(strings.NewReader(string(text)))); whole != bytewise {
			t.Fatalf("read at once:\n%s\nread byte by byte:\n%s", whole, bytewise)
		}
	})
}

// smallOddities are those worth mutating: large ones take all the time there
// is. Their order is always the same, so that a failing seed can be named.
func smallOddities() []string {
	var small []string
	for _, name := range slices.Sorted(maps.Keys(oddities)) {
		if text := oddities[name].text; len(text) <= 1024 {
			small = append(small, text)
		}
	}
	return small
}

// readDialect reads the file to its end, holds what each record promises, and
// gives what there was in words.
func readDialect(t *testing.T, text []byte, in io.Reader) string {
	t.Helper()
	const most = 4096
	var seen strings.Builder
	r, err := OpenSource(Source{CSV: "-"}, "", in, Limits{MaxRecordBytes: most, MaxRows: 100})
	if err != nil {
		checkRefusal(t, err)
		return err.Error()
	}
	fmt.Fprintf(&seen, "%s\n%q\n", r.Dialect(), r.Header())
	for last := int64(0); ; {
		rec, err := r.Next()
		if errors.Is(err, io.EOF) {
			if sum := sha256.Sum256(text); r.SHA256() != hex.EncodeToString(sum[:]) || r.BytesRead() != int64(len(text)) {
				t.Fatalf("read %d bytes of %d to the end", r.BytesRead(), len(text))
			}
			return seen.String()
		}
		if err != nil {
			checkRefusal(t, err)
			return seen.String() + err.Error()
		}
		if rec.Line <= last {
			t.Fatalf("line %d after line %d", rec.Line, last)
		}
		last = rec.Line
		size := 0
		for _, cell := range rec.Cells {
			size += len(cell)
			if !utf8.ValidString(cell) {
				t.Fatalf("line %d: invalid text %q", rec.Line, cell)
			}
		}
		if size > 3*most { // a byte that is no letter becomes three
			t.Fatalf("line %d has %d bytes", rec.Line, size)
		}
		if rec.Problem == nil && len(rec.Cells) != len(r.Header()) {
			t.Fatalf("line %d has %d cells of %d and no problem", rec.Line, len(rec.Cells), len(r.Header()))
		}
		if rec.Problem != nil {
			checkProblem(t, *rec.Problem)
			if rec.Problem.Line != rec.Line {
				t.Fatalf("line %d has a problem on line %d", rec.Line, rec.Problem.Line)
			}
		}
		fmt.Fprintf(&seen, "%d %q %v\n", rec.Line, rec.Cells, rec.Problem)
	}
}

func checkRefusal(t *testing.T, err error) {
	t.Helper()
	var input *InputError
	if !errors.As(err, &input) || len(input.Problems) == 0 {
		t.Fatalf("not an *InputError: %v", err)
	}
	for _, p := range input.Problems {
		checkProblem(t, p)
	}
}

func checkProblem(t *testing.T, p Problem) {
	t.Helper()
	if p.Code == "" || p.Fix == "" || p.File == "" || p.What == "" || p.Line < 0 || p.Column < 0 {
		t.Fatalf("incomplete: %+v", p)
	}
	if strings.ContainsAny(p.Value, "\r\n") || showsNumber(p.Value) {
		t.Fatalf("shows %q", p.Value)
	}
}

// showsNumber says whether a value that may be shown holds a whole number.
func showsNumber(value string) bool {
	digits := 0
	for _, r := range value {
		if r < '0' || r > '9' {
			digits = 0
		} else if digits++; digits >= 7 {
			return !scientificCell.MatchString(value) && !strings.HasSuffix(value, "…")
		}
	}
	return false
}

// FuzzRecordSplitter compares the splitter, which reads one record at a time
// from whatever pieces arrive, with encoding/csv over the whole text; what it
// takes, put together again, is the text; no record is larger than its cap.
func FuzzRecordSplitter(f *testing.F) {
	for i, seed := range []string{
		"a,b\n1,2\n", "a,\"b\nc\"\n\n1,2", "\"a\"\"\",\n", "a\"b,c\n", "\"a\"b,c\n", "\"a", "a\r\nb\rc\n", "\"\r\n\"\n",
		"\r\r\n\n\r", "\n\n\na", "a\r", "\"a\r", "a,\"b,\r\n\r\nc\",d\r\ne", strings.Repeat("x", 300) + "\n", "\"" + strings.Repeat("x\n", 300), "a;b|c\td\n",
	} {
		f.Add(seed, uint16(i*13), uint8(i), uint8(i))
	}
	for _, text := range smallOddities() {
		f.Add(text, uint16(len(text)), uint8(3), uint8(1))
	}
	f.Fuzz(func(t *testing.T, text string, limit uint16, piece, delimiter uint8) {
		comma := delimiters[int(delimiter)%len(delimiters)]
		plain := strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\r", "\n")
		whole := csv.NewReader(strings.NewReader(plain))
		whole.Comma, whole.FieldsPerRecord = comma, -1

		most := int(limit) + 1
		s := newSplitter(pieces(text, int(piece)+1), comma, most)
		each := csv.NewReader(s)
		each.Comma, each.FieldsPerRecord = comma, -1
		var taken strings.Builder
		lines := int64(0)
		for {
			state, err := s.next()
			if err == nil {
				if s.start <= lines {
					t.Fatalf("record %q starts on line %d, which the one before ended on", s.record, s.start)
				}
				taken.WriteString(strings.Repeat("\n", int(s.start-lines-1)))
				taken.Write(s.record)
				if lines = s.line; lines != s.start+int64(strings.Count(string(s.record), "\n"))-1 {
					t.Fatalf("record %q of line %d ends on line %d", s.record, s.start, lines)
				}
				if !strings.HasPrefix(plain+"\n", taken.String()) {
					t.Fatalf("taken %q of %q", taken.String(), plain)
				}
			}
			if len(s.record) > most+1 { // and its line end
				t.Fatalf("a record of %d bytes, at most %d", len(s.record), most)
			}
			if errors.Is(err, errRecordTooLarge) {
				return
			}
			if errors.Is(err, io.EOF) && strings.TrimRight(taken.String(), "\n") != strings.TrimRight(plain, "\n") {
				t.Fatalf("taken %q of %q", taken.String(), plain)
			}
			want, wantErr := whole.Read()
			if err != nil || state != recordWhole {
				if wantErr == nil {
					t.Fatalf("the splitter stops with %v (%d) at line %d, encoding/csv reads %q", err, state, s.start, want)
				}
				return
			}
			if wantErr != nil {
				t.Fatalf("the splitter reads %q, encoding/csv stops: %v", s.record, wantErr)
			}
			got, err := each.Read()
			if err != nil {
				t.Fatalf("record %q: %v", s.record, err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("record (-want +got):\n%s", diff)
			}
			if line, _ := whole.FieldPos(0); int64(line) != s.start {
				t.Fatalf("record %q starts on line %d, encoding/csv says %d", s.record, s.start, line)
			}
		}
	})
}

// pieces is a reader that gives n bytes at a time.
func pieces(text string, n int) io.Reader { return &inPieces{text: text, n: n} }

type inPieces struct {
	text string
	n    int
}

func (r *inPieces) Read(p []byte) (int, error) {
	if r.text == "" {
		return 0, io.EOF
	}
	n := copy(p, r.text[:min(r.n, len(r.text))])
	r.text = r.text[n:]
	return n, nil
}

// FuzzPhone looks for ids that are none, for leaks, for cells on which the
// shortcut and the whole parse differ, and holds that a number that was read
// is read again as itself, however it is written.
func FuzzPhone(f *testing.F) {
	for _, seed := range []string{
		"+919999990001", "9999990001", "07700 900123", "9.19E+11", "12015550123-1400000000@g.us", "+52 1 55 1234 5678", "tel:+1(201)555-0123", "٩١",
		"+91 ९९९९९ ९०००१", "'0091 99999 90001", "919999990001.0", "+55 31 8765 4321", "011 15 2345 6789", "+39 06 1234 5678", "https://wa.me/919999990001", "\u202a+1 201 555 0123\u202c",
	} {
		for _, country := range []string{"IN", "", "US", "GB", "AR"} {
			f.Add(seed, country, []byte{0, 3, 1, 4})
		}
	}
	f.Fuzz(func(t *testing.T, cell, country string, style []byte) {
		for _, kind := range []AddressKind{AddressPhone, AddressChat} {
			p, err := NewAddressParser(country, kind)
			if err != nil {
				return
			}
			quickAgrees(t, p, cell)
			chat, problem := p.Parse(cell)
			if (problem == nil) == (chat == "") {
				t.Fatalf("%q: %q and %v", cell, string(chat), problem)
			}
			if problem != nil {
				problem.File = "recipients.csv"
				checkProblem(t, *problem)
				if !strings.HasPrefix(problem.Code, "E_CSV_") {
					t.Fatalf("%q: %+v", cell, problem)
				}
				continue
			}
			if !chat.IsGroup() && !personID.MatchString(chat.Number()) {
				t.Fatalf("%q: %q is no person", cell, string(chat))
			}
			if again, problem := p.Parse(string(chat)); problem != nil || again != chat {
				t.Fatalf("%q is %q, which is %q (%v)", cell, string(chat), string(again), problem)
			}
			if strings.Contains(cell, "@") {
				continue // the id is WhatsApp's, also where it is no number of today
			}
			for _, written := range []string{"+" + chat.Number(), formatted(chat.Number(), style)} {
				if again, problem := p.Parse(written); problem != nil || again != chat {
					t.Fatalf("%q is %q; %q is %q (%v)", cell, string(chat), written, string(again), problem)
				}
			}
		}
	})
}

// formatted writes an international number in one of the many ways.
func formatted(number string, style []byte) string {
	at := func(i int) int {
		if len(style) == 0 {
			return 0
		}
		return int(style[i%len(style)])
	}
	prefixes := []string{"+", "00", "tel:+", "'+", " (+", "\u202a+", "https://wa.me/", "whatsapp:+", "＋"}
	gaps := []string{"", "", " ", "-", ".", "\u00a0", ") ", "\u200b", "–"}
	zeros := []rune{'0', '0', '٠', '०', '０'}
	var b strings.Builder
	b.WriteString(prefixes[at(0)%len(prefixes)])
	for i, digit := range number {
		if i > 0 {
			b.WriteString(gaps[at(2*i)%len(gaps)])
		}
		b.WriteRune(digit - '0' + zeros[at(2*i+1)%len(zeros)])
	}
	return b.String()
}
