package campaign

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/xuri/excelize/v2"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"
	"pgregory.net/rapid"
)

// openText opens text as standard input.
func openText(tb testing.TB, text string, src Source) (*Reader, error) {
	tb.Helper()
	src.CSV = "-"
	r, err := OpenSource(src, "", strings.NewReader(text), Limits{})
	if err == nil {
		tb.Cleanup(func() {
			if err := r.Close(); err != nil {
				tb.Errorf("close: %v", err)
			}
		})
	}
	return r, err
}

func mustOpen(tb testing.TB, text string, src Source) *Reader {
	tb.Helper()
	r, err := openText(tb, text, src)
	if err != nil {
		tb.Fatalf("open: %v", err)
	}
	return r
}

// readAll is every record to the end.
func readAll(tb testing.TB, r *Reader) []Record {
	tb.Helper()
	records, err := drain(r)
	if err != nil {
		tb.Fatalf("read: %v", err)
	}
	return records
}

func drain(r *Reader) ([]Record, error) {
	var records []Record
	for {
		rec, err := r.Next()
		if errors.Is(err, io.EOF) {
			return records, nil
		}
		if err != nil {
			return records, err
		}
		records = append(records, rec)
	}
}

// rejection is the first problem of an *InputError.
func rejection(tb testing.TB, err error) Problem {
	tb.Helper()
	var input *InputError
	if !errors.As(err, &input) || len(input.Problems) == 0 {
		tb.Fatalf("got %v, want an *InputError", err)
	}
	return input.Problems[0]
}

func TestEveryDialectReadsTheSame(t *testing.T) {
	t.Parallel()
	lines := []string{"Phone{d}First Name{d}Note", "+12015550101{d}José{d}\"two{n}lines\"", "+12015550102{d}Zoë{d}\"a {d} \"\"b\"\"\""}
	encodings := map[string]func(string) string{
		"utf-8":     func(s string) string { return s },
		"utf-8 bom": func(s string) string { return "\ufeff" + s },
		"utf-16le": func(s string) string {
			out, _ := unicode.UTF16(unicode.LittleEndian, unicode.UseBOM).NewEncoder().String(s)
			return out
		},
		"utf-16be": func(s string) string {
			out, _ := unicode.UTF16(unicode.BigEndian, unicode.UseBOM).NewEncoder().String(s)
			return out
		},
		"utf-16le without a mark": func(s string) string {
			out, _ := unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM).NewEncoder().String(s)
			return out
		},
		"windows-1252": func(s string) string { out, _ := charmap.Windows1252.NewEncoder().String(s); return out },
	}
	for name, encode := range encodings {
		for _, d := range delimiters {
			for _, newline := range []string{"\n", "\r\n", "\r"} {
				for _, sep := range []bool{false, true} {
					t.Run(fmt.Sprintf("%s/%s/%q/sep=%v", name, delimiterName(d), newline, sep), func(t *testing.T) {
						t.Parallel()
						text := strings.NewReplacer("{d}", string(d), "{n}", newline).Replace(strings.Join(lines, newline) + newline)
						first := int64(2)
						if sep {
							text, first = "sep="+string(d)+newline+text, 3
						}
						r := mustOpen(t, encode(text), Source{})
						if got := r.Dialect(); got.Delimiter != d || got.HasSep != sep || got.Encoding != strings.Fields(name)[0] {
							t.Errorf("dialect %+v", got)
						}
						want := []Record{
							{Line: first, Cells: []string{"+12015550101", "José", "two\nlines"}},
							{Line: first + 2, Cells: []string{"+12015550102", "Zoë", "a " + string(d) + ` "b"`}},
						}
						if diff := cmp.Diff(want, readAll(t, r), cmp.AllowUnexported(Record{})); diff != "" {
							t.Errorf("records (-want +got):\n%s", diff)
						}
						if diff := cmp.Diff([]string{"phone", "first_name", "note"}, r.Slugs()); diff != "" {
							t.Errorf("slugs (-want +got):\n%s", diff)
						}
						if got := r.BytesRead(); got != int64(len(encode(text))) {
							t.Errorf("read %d bytes of %d", got, len(encode(text)))
						}
					})
				}
			}
		}
	}
}

func TestEveryTableRoundTrips(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		columns := rapid.IntRange(1, 6).Draw(t, "columns")
		cell := rapid.StringMatching(`[a-zé0-9 ,;|"'+\t\n]{0,12}`)
		delimiter := rapid.SampledFrom(delimiters).Draw(t, "delimiter")
		var table [][]string
		for range rapid.IntRange(1, 8).Draw(t, "rows") {
			row := rapid.SliceOfN(cell, columns, columns).Draw(t, "row")
			if blank(row) {
				row[0] = "x"
			}
			table = append(table, row)
		}
		// A number in front keeps the address column free of line ends.
		header := []string{"phone"}
		for i := range columns {
			header = append(header, fmt.Sprintf("c%d", i))
		}
		var text bytes.Buffer
		w := csv.NewWriter(&text)
		w.Comma = delimiter
		w.UseCRLF = rapid.Bool().Draw(t, "crlf")
		rows := [][]string{header}
		for i, row := range table {
			rows = append(rows, append([]string{fmt.Sprintf("+120155501%02d", i)}, row...))
		}
		if err := w.WriteAll(rows); err != nil {
			t.Fatal(err)
		}
		r, err := OpenSource(Source{CSV: "-", Delimiter: string(delimiter), Encoding: "utf-8"}, "", &text, Limits{})
		if err != nil {
			t.Fatal(err)
		}
		got, err := drain(r)
		if err != nil {
			t.Fatal(err)
		}
		var cells [][]string
		for _, rec := range got {
			if rec.Problem != nil {
				t.Fatalf("line %d: %v", rec.Line, rec.Problem)
			}
			cells = append(cells, rec.Cells)
		}
		if diff := cmp.Diff(rows[1:], cells); diff != "" {
			t.Fatalf("rows (-want +got):\n%s", diff)
		}
	})
}

func TestWhatIsWrongWithTheFile(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		text     string
		src      Source
		want     string // position and code
		fix      string // part of it
		deferred bool   // found while reading, not on opening
	}{
		"empty":                    {text: " \n", want: "standard input E_CSV_EMPTY", fix: "first line names"},
		"header only":              {text: "phone,name\n\n", want: "standard input:1 E_CSV_EMPTY"},
		"only blank rows":          {text: "phone,name\n,\n , \n", want: "standard input:1 E_CSV_EMPTY"},
		"zip":                      {text: "PK\x03\x04 something", want: "standard input E_CSV_ARCHIVE", fix: "unpack"},
		"gzip":                     {text: "\x1f\x8b\x08abc", want: "standard input E_CSV_ARCHIVE", fix: "unpack"},
		"pdf":                      {text: "%PDF-1.7\n", want: "standard input E_CSV_BINARY", fix: "CSV or XLSX"},
		"old excel":                {text: "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1..", want: "standard input E_CSV_BINARY", fix: ".xlsx"},
		"noise":                    {text: strings.Repeat("\x01\x02\x93\x00\x7f\x05", 50), want: "standard input E_CSV_BINARY"},
		"utf-32":                   {text: "\xff\xfe\x00\x00p\x00\x00\x00", want: "standard input E_CSV_ENCODING_UNKNOWN", fix: "UTF-8"},
		"unknown encoding":         {text: "phone\n1\n", src: Source{Encoding: "klingon"}, want: "standard input E_CSV_ENCODING_UNKNOWN", fix: "windows-1252"},
		"unknown delimiter":        {text: "phone\n1\n", src: Source{Delimiter: "#"}, want: "standard input E_CSV_DELIMITER", fix: "leave it out"},
		"sep line":                 {text: "sep=#\nphone#name\n", want: "standard input:1 E_CSV_DELIMITER"},
		"empty header":             {text: "phone,,name\n+12015550101,a,b\n", want: "standard input:1:2 E_CSV_HEADER_EMPTY", fix: "delete it"},
		"duplicate header":         {text: "phone,name,name\n+12015550101,a,b\n", want: "standard input:1:3 E_CSV_HEADER_DUPLICATE", fix: "rename"},
		"duplicate slug":           {text: "phone,First Name,first-name\n+12015550101,a,b\n", want: "standard input:1:3 E_CSV_HEADER_DUPLICATE", fix: "recipients.columns"},
		"no such column":           {text: "mobil,name\n+12015550101,a\n", src: Source{Phone: "mobile"}, want: "standard input:1 E_CSV_COLUMN_MISSING", fix: `did you mean "mobil"?`},
		"nothing like a phone":     {text: "a,b\n1,2\n", want: "standard input:1 E_CSV_COLUMN_MISSING", fix: "recipients.phone"},
		"no header line":           {text: "+12015550101\n+12015550102\n", want: "standard input:1 E_CSV_COLUMN_MISSING"},
		"mapping to nothing":       {text: "phone,Vorname\n1,2\n", src: Source{Columns: map[string]string{"name": "Vornamen"}}, want: "standard input:1 E_CSV_COLUMN_MISSING", fix: `"Vorname"`},
		"mapping to a bad name":    {text: "phone,Vorname\n1,2\n", src: Source{Columns: map[string]string{"First Name": "Vorname"}}, want: "standard input:1:2 E_CSV_COLUMN_MAPPING", fix: "first_name"},
		"too many columns":         {text: "phone" + strings.Repeat(",c", 1000) + "\n1\n", want: "standard input:1 E_CSV_TOO_MANY_COLUMNS"},
		"header with a quote":      {text: "phone,na\"me\n1,2\n", want: "standard input:1 E_CSV_HEADER_DAMAGED"},
		"unclosed quote":           {text: "phone,name\n+12015550101,a\n+12015550102,\"b\n+12015550103,c\n", want: "standard input:3 E_CSV_QUOTE_UNCLOSED", fix: "close or remove", deferred: true},
		"quote closes rows later":  {text: "phone,name\n+12015550101,a\n+12015550102,\"b\n+12015550103,\"c\"\n", want: "standard input:3 E_CSV_QUOTE_MISPLACED", deferred: true},
		"quote swallows an number": {text: "name,phone\na,+12015550101\nb,\"+12015550102\nc,+12015550103\nd,+12015550104\"\n", want: "standard input:3:2 E_CSV_QUOTE_MISPLACED", fix: "stray quote", deferred: true},
		"odd stray quote":          {text: "phone,name,note\n+12015550101,a,b\n+12015550102,\"a\"b,\"multi\n+12015550103,x,y\n", want: "standard input:3 E_CSV_QUOTE_MISPLACED", deferred: true},
		"record over 1 MiB":        {text: "phone,name\n+12015550101,a\n+12015550102,\"" + strings.Repeat("x,y\n", 300_000), want: "standard input:3 E_CSV_RECORD_TOO_LARGE", fix: "quote", deferred: true},
		"line over 1 MiB":          {text: "phone,name\n+12015550101,a\n\n+12015550102," + strings.Repeat("x", 2<<20) + "\n", want: "standard input:4 E_CSV_RECORD_TOO_LARGE", deferred: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, err := openText(t, tc.text, tc.src)
			if tc.deferred {
				if err != nil {
					t.Fatalf("open: %v", err)
				}
				_, err = drain(r)
			}
			p := rejection(t, err)
			if got := p.Position() + " " + p.Code; got != tc.want {
				t.Errorf("got %q, want %q (%v)", got, tc.want, p)
			}
			if !strings.Contains(p.Fix, tc.fix) || p.Fix == "" {
				t.Errorf("fix %q does not say %q", p.Fix, tc.fix)
			}
		})
	}
}

func TestFilesThatCannotBeOpened(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "big.csv"), bytes.Repeat([]byte("phone\n"), 100), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"none.csv": "none.csv E_CSV_NOT_FOUND",
		".":        ". E_CSV_DIRECTORY",
		"big.csv":  "big.csv E_CSV_TOO_LARGE",
		"":         " E_CSV_NOT_FOUND",
	} {
		_, err := OpenSource(Source{CSV: name}, dir, nil, Limits{MaxBytes: 100})
		p := rejection(t, err)
		if got := p.Position() + " " + p.Code; got != want {
			t.Errorf("%q: got %q, want %q", name, got, want)
		}
	}
}

func TestCapsWhileReading(t *testing.T) {
	t.Parallel()
	text := "phone\n" + strings.Repeat("+12015550101\n", 20)
	r, err := OpenSource(Source{CSV: "-"}, "", strings.NewReader(text), Limits{MaxRows: 10})
	if err != nil {
		t.Fatal(err)
	}
	records, err := drain(r)
	if p := rejection(t, err); p.Code != csvTooManyRows || p.Line != 12 || len(records) != 10 {
		t.Errorf("after %d rows: %v", len(records), p)
	}
	_, err = OpenSource(Source{CSV: "-"}, "", strings.NewReader(text), Limits{MaxBytes: 100})
	if p := rejection(t, err); p.Code != csvTooLarge {
		t.Errorf("got %v", p)
	}
}

func TestWhatIsWrongWithARow(t *testing.T) {
	t.Parallel()
	const text = "phone,name,note\n" +
		"+12015550101,good,\"two\nlines\"\n" +
		"+12015550102,short\n" +
		"+12015550103,a,b,c,d\n" +
		"+12015550104,12\" pizza,x\n" +
		"+12015550105,\"He said \"hi\", ok\",x\n" +
		"+12015550106,nul\x00,x\n" +
		"+12015550107,broken\xff\xfe,x\n" +
		",,\n" +
		"+12015550108,good,again\n"
	r := mustOpen(t, text, Source{Encoding: "utf-8"})
	var got []string
	for _, rec := range readAll(t, r) {
		s := fmt.Sprintf("%d %d", rec.Line, len(rec.Cells))
		if p := rec.Problem; p != nil {
			s += " " + p.Position() + " " + p.Code
			if p.Fix == "" {
				t.Errorf("%v has no fix", p)
			}
		}
		got = append(got, s)
	}
	want := []string{
		"2 3", "4 2 standard input:4 E_CSV_COLUMNS", "5 5 standard input:5 E_CSV_COLUMNS",
		"6 3 standard input:6 E_CSV_QUOTE", "7 4 standard input:7 E_CSV_QUOTE",
		"8 3 standard input:8:2 E_CSV_CONTROL", "9 3 standard input:9:2 E_CSV_ENCODING", "11 3",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
	if r.Blank() != 1 {
		t.Errorf("%d blank rows, want 1", r.Blank())
	}
}

func TestACellTooLarge(t *testing.T) {
	t.Parallel()
	r := mustOpen(t, "phone,name\n+12015550101,"+strings.Repeat("x", 65<<10)+"\n+12015550102,b\n", Source{})
	records := readAll(t, r)
	if p := records[0].Problem; p == nil || p.Code != csvFieldTooLarge || p.Column != 2 || len(p.Value) > 50 {
		t.Errorf("got %v", p)
	}
	if records[1].Problem != nil {
		t.Errorf("the next row: %v", records[1].Problem)
	}
}

// The first letter above ASCII may stand far behind the sample.
func TestEncodingIsJudgedByTheWholeFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "late.csv")
	text := "phone,name\n" + strings.Repeat("+12015550101,plain\n", 20_000) + "+12015550102,Jos\xe9\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	r, err := OpenSource(Source{CSV: path}, "", nil, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	records := readAll(t, r)
	if last := records[len(records)-1]; last.Problem != nil || last.Cells[1] != "José" {
		t.Errorf("got %q, %v", last.Cells, last.Problem)
	}
	if got := r.Dialect().String(); got != "windows-1252 (guessed), comma separated" {
		t.Errorf("dialect %q", got)
	}
}

func TestDelimiterWithDecimalCommas(t *testing.T) {
	t.Parallel()
	r := mustOpen(t, "phone;amount;city\n+12015550101;1,50;Bonn, Rhein\n+12015550102;2,75;Köln\n", Source{})
	if r.Dialect().Delimiter != ';' {
		t.Errorf("dialect %v", r.Dialect())
	}
}

func TestSlugsAndMapping(t *testing.T) {
	t.Parallel()
	r := mustOpen(t, "Mobile No.,Prénom,2nd line,नाम,_line,Kunde\n+12015550101,a,b,c,d,e\n",
		Source{Columns: map[string]string{"customer": "Kunde"}})
	want := []string{"mobile_no", "prenom", "column_2nd_line", "column_4", "", "customer"}
	if diff := cmp.Diff(want, r.Slugs()); diff != "" {
		t.Errorf("slugs (-want +got):\n%s", diff)
	}
	if got := r.Variables(); got["customer"] != "Kunde" || len(got) != 5 {
		t.Errorf("variables %v", got)
	}
	if i, kind, guessed := r.AddressColumn(); i != 0 || kind != AddressPhone || !guessed {
		t.Errorf("address column %d %s %v", i, kind, guessed)
	}
	fields := RowFields(r.Slugs(), readAll(t, r)[0].Cells)
	if fields["customer"] != "e" || fields["prenom"] != "a" || len(fields) != 5 {
		t.Errorf("fields %v", fields)
	}
}

// An unclosed quote in 256 MB must cost a record, not the file (M8): neither
// memory nor, beyond the record's cap, reading.
func TestAnUnclosedQuoteCostsNoMemory(t *testing.T) { //nolint:paralleltest // measures the heap
	const rest = 256 << 20
	row := "+12015550101,Ann,hello there\n"
	for name, tc := range map[string]struct { //nolint:paralleltest // measures the heap
		front, block string
		line         int64
	}{
		"in the first row":     {"phone,name,note\n+12015550100,\"x,y\n", row, 2},
		"in the header":        {"phone,name,\"note\n", row, 1},
		"behind what was seen": {"phone,name,note\n" + strings.Repeat(row, 20_000) + "+12015550100,x,\"y\n", row, 20_002},
		"without a line end":   {"phone,name,note\n" + row + "\"", "x", 3},
		"nothing but quotes":   {"phone,name,note\n" + row + "\"", `""`, 3},
		"no quote, one line":   {"phone,name,note\n" + row, "+12015550101,", 3},
	} {
		t.Run(name, func(t *testing.T) {
			tail := &repeated{block: []byte(tc.block), left: rest}
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			r, err := OpenSource(Source{CSV: "-"}, "", io.MultiReader(strings.NewReader(tc.front), tail), Limits{})
			for err == nil {
				_, err = r.Next()
			}
			runtime.ReadMemStats(&after)
			if p := rejection(t, err); p.Code != csvRecordTooLarge || p.Line != tc.line {
				t.Errorf("got %v", p)
			}
			if spent := after.TotalAlloc - before.TotalAlloc; spent > 32<<20 {
				t.Errorf("allocated %d MiB", spent>>20)
			}
			if read := rest - tail.left; read > 2<<20 {
				t.Errorf("read on for %d KiB", read>>10)
			}
		})
	}
}

// repeated is a long stream of one block.
type repeated struct {
	block []byte
	at    int
	left  int64
}

func (r *repeated) Read(p []byte) (int, error) {
	if r.left <= 0 {
		return 0, io.EOF
	}
	n := copy(p, r.block[r.at:])
	r.at = (r.at + n) % len(r.block)
	r.left -= int64(n)
	return n, nil
}

func TestWorkbook(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "list.xlsx")
	f := excelize.NewFile()
	for cell, value := range map[string]any{
		"A1": "Phone", "B1": "Name", "C1": "Amount",
		"A2": int64(12015550101), "B2": "Ann", "C2": 1.5,
		"A3": 12015550102.0, "B3": "José",
		"A5": "+12015550103", "B5": "Cy", "D5": "stray",
		"A6": "9.19999990001E11", "B6": "as Java stores it",
		"A7": "9.19E+11", "B7": "pasted",
	} {
		if err := f.SetCellValue("Sheet1", cell, value); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(f.SaveAs(path), f.Close()); err != nil {
		t.Fatal(err)
	}
	r, err := OpenSource(Source{CSV: path}, "", nil, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	var got []string
	for _, rec := range readAll(t, r) {
		code := ""
		if rec.Problem != nil {
			code = rec.Problem.Code
		}
		got = append(got, fmt.Sprintf("%d %q %s", rec.Line, rec.Cells, code))
	}
	want := []string{
		`2 ["12015550101" "Ann" "1.5"] `,
		`3 ["12015550102" "José" ""] `,
		`5 ["+12015550103" "Cy" ""] E_CSV_COLUMNS`,
		`6 ["919999990001" "as Java stores it" ""] `,
		`7 ["9.19E+11" "pasted" ""] `,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
	if got := r.Dialect().String(); got != `xlsx, sheet "Sheet1"` {
		t.Errorf("dialect %q", got)
	}
	_, err = OpenSource(Source{CSV: path, Sheet: "Leads"}, "", nil, Limits{})
	if p := rejection(t, err); p.Code != csvSheetMissing || !strings.Contains(p.What, "Sheet1") {
		t.Errorf("got %v", p)
	}
}

func TestShownValueHidesNumbers(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"+91 99999 90001":       "+91 ***** *0001",
		"919999990001":          "91******0001",
		"9.19999990001E+11":     "9.19999990001E+11",
		"order 123456":          "order 123456",
		"a\nb":                  "a b",
		strings.Repeat("é", 60): strings.Repeat("é", 39) + "…",
	} {
		if got := shownValue(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}
