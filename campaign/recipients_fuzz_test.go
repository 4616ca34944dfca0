package campaign

import (
	"bytes"
	"encoding/csv"
	"errors"
	"io"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

// FuzzDialect feeds whole files: nothing panics, every record has the shape
// the header promises or a problem, every refusal has a code and a fix.
func FuzzDialect(f *testing.F) {
	for _, seed := range []string{
		mixed, "sep=;\nphone;a\n1;2\n", "\ufeff\"phone\"\r1\r", "phone\tx\r\n1\t\"a\nb\"\r\n", "phone|x\n1|\"a\"b\"|\n", "\xff\xfep\x00\n\x001\x00",
		"phone,x\n1,\"\n", "phone,x\n\x00,\x80\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := OpenSource(Source{CSV: "-"}, "", bytes.NewReader(text), Limits{MaxRecordBytes: 4096, MaxRows: 100})
		if err != nil {
			checkRefusal(t, err)
			return
		}
		last := int64(0)
		for {
			rec, err := r.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				checkRefusal(t, err)
				break
			}
			if rec.Line <= last {
				t.Fatalf("line %d after line %d", rec.Line, last)
			}
			last = rec.Line
			if rec.Problem == nil && len(rec.Cells) != len(r.Header()) {
				t.Fatalf("line %d has %d cells of %d and no problem", rec.Line, len(rec.Cells), len(r.Header()))
			}
			for _, cell := range rec.Cells {
				if !utf8.ValidString(cell) {
					t.Fatalf("line %d: invalid text %q", rec.Line, cell)
				}
			}
		}
	})
}

func checkRefusal(t *testing.T, err error) {
	t.Helper()
	var input *InputError
	if !errors.As(err, &input) {
		t.Fatalf("not an *InputError: %v", err)
	}
	for _, p := range input.Problems {
		if p.Code == "" || p.Fix == "" || p.File == "" {
			t.Fatalf("incomplete: %+v", p)
		}
	}
}

// FuzzRecordSplitter compares the splitter, which reads one record at a time,
// with encoding/csv over the whole text.
func FuzzRecordSplitter(f *testing.F) {
	for _, seed := range []string{"a,b\n1,2\n", "a,\"b\nc\"\n\n1,2", "\"a\"\"\",\n", "a\"b,c\n", "\"a\"b,c\n", "\"a", "a\r\nb\rc\n", "\"\r\n\"\n"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s := newSplitter(strings.NewReader(text), ',', 1<<16)
		each := csv.NewReader(s)
		each.FieldsPerRecord = -1
		whole := csv.NewReader(strings.NewReader(strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\r", "\n")))
		whole.FieldsPerRecord = -1
		for {
			state, err := s.next()
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

// FuzzPhone looks for panics, for ids that are none, for leaks, and for cells
// on which the shortcut and the whole parse differ.
func FuzzPhone(f *testing.F) {
	for _, seed := range []string{"+919999990001", "9999990001", "07700 900123", "9.19E+11", "12015550123-1400000000@g.us", "+52 1 55 1234 5678", "tel:+1(201)555-0123", "٩١"} {
		f.Add(seed, "IN")
		f.Add(seed, "")
	}
	f.Fuzz(func(t *testing.T, cell, country string) {
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
			if problem == nil && !chat.IsGroup() && !personID.MatchString(chat.Number()) {
				t.Fatalf("%q: %q is no person", cell, string(chat))
			}
			if problem != nil && (problem.Fix == "" || !strings.HasPrefix(problem.Code, "E_CSV_")) {
				t.Fatalf("%q: %+v", cell, problem)
			}
		}
	})
}
