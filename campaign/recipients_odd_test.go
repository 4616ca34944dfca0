package campaign

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// oddities are recipients files as they come out of spreadsheets, shops, mail
// programs and accidents. want is what becomes of each: a line per row, the
// line it starts on and its cells or the code of its problem; last, what ended
// the reading early. They also seed the fuzz targets.
var oddities = map[string]struct {
	text string
	want []string
}{
	"plain":                      {"phone,name\n1,a\n2,b\n", []string{"2 1|a", "3 2|b"}},
	"no line end at the end":     {"phone,name\n1,a", []string{"2 1|a"}},
	"CRLF":                       {"phone,name\r\n1,a\r\n", []string{"2 1|a"}},
	"CR only":                    {"phone,name\r1,a\r2,b", []string{"2 1|a", "3 2|b"}},
	"line ends mixed":            {"phone,name\r\n1,a\n2,b\r3,c\r\n", []string{"2 1|a", "3 2|b", "4 3|c"}},
	"CR CR LF":                   {"phone,name\r\r\n1,a\r\r\n", []string{"3 1|a"}},
	"blank lines":                {"\n\nphone,name\n\n1,a\n\n\n2,b\n\n", []string{"5 1|a", "8 2|b"}},
	"rows of commas":             {"phone,name\n,\n1,a\n,,\n,\n", []string{"3 1|a", "4 E_CSV_COLUMNS"}},
	"rows of blanks":             {"phone,name\n , \n1,a\n", []string{"3 1|a"}},
	"one column":                 {"phone\n1\n2\n", []string{"2 1", "3 2"}},
	"byte order mark":            {"\ufeffphone,name\n1,a\n", []string{"2 1|a"}},
	"byte order mark and quote":  {"\ufeff\"phone\",\"name\"\n1,a\n", []string{"2 1|a"}},
	"two byte order marks":       {"\ufeff\ufeffphone,name\n1,a\n", []string{"2 1|a"}},
	"byte order mark in a cell":  {"phone,name\n1,\ufeffa\n", []string{"2 1|\ufeffa"}},
	"UTF-16 LE":                  {"\xff\xfep\x00h\x00o\x00n\x00e\x00\n\x001\x00\n\x00", []string{"2 1"}},
	"UTF-16 BE":                  {"\xfe\xff\x00p\x00h\x00o\x00n\x00e\x00\n\x001\x00\n", []string{"2 1"}},
	"UTF-16 cut in a letter":     {"\xff\xfep\x00h\x00o\x00n\x00e\x00\n\x001", []string{"2 E_CSV_ENCODING"}},
	"UTF-16 half a pair":         {"\xff\xfep\x00h\x00o\x00n\x00e\x00\n\x001\x00\x00\xd8\n\x00", []string{"2 E_CSV_ENCODING"}},
	"Windows-1252":               {"phone,name\n1,Jos\xe9\n2,\x80 5\n", []string{"2 1|José", "3 2|€ 5"}},
	"UTF-8 with one broken byte": {"phone,name\n1,José Zoë Çağ\n2,\xff\n", []string{"2 1|José Zoë Çağ", "3 E_CSV_ENCODING"}},
	"letters lost earlier":       {"phone,name\n1,Jos\ufffd\n", []string{"2 E_CSV_ENCODING"}},
	"emoji":                      {"phone,name\n1,👩‍👩‍👧‍👦\n", []string{"2 1|👩‍👩‍👧‍👦"}},
	"right to left":              {"phone,name\n1,\u202eabc\n", []string{"2 1|\u202eabc"}},
	"semicolons":                 {"phone;name;amount\n1;a;1,50\n2;b;2,50\n", []string{"2 1|a|1,50", "3 2|b|2,50"}},
	"tabs":                       {"phone\tname\n1\ta, b\n", []string{"2 1|a, b"}},
	"pipes":                      {"phone|name\n1|a\n", []string{"2 1|a"}},
	"sep line":                   {"sep=;\r\nphone;name\r\n1;a\r\n", []string{"3 1|a"}},
	"sep line in quotes":         {"\"sep=|\"\nphone|name\n1|a\n", []string{"3 1|a"}},
	"sep line in capitals":       {"SEP=,\nphone,name\n1,a\n", []string{"3 1|a"}},
	"sep line with a tab":        {"sep=\t\nphone\tname\n1\ta\n", []string{"3 1|a"}},
	"sep line unreadable":        {"sep=#\nphone#name\n1#a\n", []string{"1 E_CSV_DELIMITER"}},
	"sep column":                 {"sep=x,phone\na,1\n", []string{"2 a|1"}},
	"quoted line break":          {"phone,name\n1,\"a\nb\"\n2,c\n", []string{"2 1|a\nb", "4 2|c"}},
	"quoted CRLF":                {"phone,name\r\n1,\"a\r\nb\"\r\n", []string{"2 1|a\nb"}},
	"quoted delimiter":           {"phone,name\n1,\"a,b\"\n", []string{"2 1|a,b"}},
	"doubled quotes":             {"phone,name\n1,\"say \"\"hi\"\"\"\n", []string{"2 1|say \"hi\""}},
	"only quotes":                {"phone,name\n1,\"\"\"\"\n", []string{"2 1|\""}},
	"empty quotes":               {"phone,name\n1,\"\"\n", []string{"2 1|"}},
	"everything quoted":          {"\"phone\",\"name\"\n\"1\",\"a\"\n", []string{"2 1|a"}},
	"inches":                     {"phone,name\n1,12\" pizza\n2,b\n", []string{"2 E_CSV_QUOTE", "3 2|b"}},
	"backslash quotes":           {"phone,name\n1,\"a \\\"b\\\" c\"\n2,b\n", []string{"2 E_CSV_QUOTE", "3 2|b"}},
	"blank before the quote":     {"phone,name\n1, \"a\"\n2,b\n", []string{"2 E_CSV_QUOTE", "3 2|b"}},
	"blank behind the quote":     {"phone,name\n1,\"a\" \n2,b\n", []string{"2 E_CSV_QUOTE", "3 2|b"}},
	"single quotes":              {"phone,name\n1,'a,b'\n", []string{"2 E_CSV_COLUMNS"}},
	"curly quotes":               {"phone,name\n1,“a”\n", []string{"2 1|“a”"}},
	"unclosed quote":             {"phone,name\n1,a\n2,\"b\n3,c\n", []string{"2 1|a", "3 E_CSV_QUOTE_UNCLOSED"}},
	"unclosed in the header":     {"phone,\"name\n1,a\n", []string{"1 E_CSV_QUOTE_UNCLOSED"}},
	"quote closed rows later":    {"phone,name\n1,\"a\n2,\"b\"\n", []string{"2 E_CSV_QUOTE_MISPLACED"}},
	"quote swallows rows":        {"name,phone\na,\"1\nb,2\nc,3\"\n", []string{"2 E_CSV_QUOTE_MISPLACED"}},
	"too few cells":              {"phone,name,city\n1,a\n2,b,c\n", []string{"2 E_CSV_COLUMNS", "3 2|b|c"}},
	"too many cells":             {"phone,name\n1,a,b,c\n2,b\n", []string{"2 E_CSV_COLUMNS", "3 2|b"}},
	"a comma at every end":       {"phone,name,\n1,a,\n", []string{"1 E_CSV_HEADER_EMPTY"}},
	"NUL":                        {"phone,name\n1,a\x00b\n2,b\n", []string{"2 E_CSV_CONTROL", "3 2|b"}},
	"escape sequence":            {"phone,name\n1,\x1b[31mred\n", []string{"2 E_CSV_CONTROL"}},
	"form feed":                  {"phone,name\n1,a\f\n", []string{"2 E_CSV_CONTROL"}},
	"Ctrl-Z at the end":          {"phone,name\n1,a\n\x1a", []string{"2 1|a", "3 E_CSV_COLUMNS"}},
	"NEL and line separator":     {"phone,name\n1,a\u0085b\u2028c\n", []string{"2 1|a\u0085b\u2028c"}},
	"control in the header":      {"phone,na\x01me\n1,a\n", []string{"1 E_CSV_HEADER_DAMAGED"}},
	"header twice":               {"phone,name\n1,a\nphone,name\n2,b\n", []string{"2 1|a", "3 phone|name", "4 2|b"}},
	"duplicate columns":          {"phone,name,Name\n1,a,b\n", []string{"1 E_CSV_HEADER_DUPLICATE"}},
	"empty column":               {"phone,,name\n1,,a\n", []string{"1 E_CSV_HEADER_EMPTY"}},
	"no address column":          {"a,b\n1,2\n", []string{"1 E_CSV_COLUMN_MISSING"}},
	"no header":                  {"+12015550101,Ann\n+12015550102,Bob\n", []string{"1 E_CSV_COLUMN_MISSING"}},
	"title above the header":     {"Our customers\n\nphone,name\n1,a\n", []string{"3 E_CSV_COLUMNS", "4 E_CSV_COLUMNS"}},
	"formulas":                   {"phone,name\n1,=HYPERLINK(\"\"x\"\")\n2,@SUM(A1)\n", []string{"2 E_CSV_QUOTE", "3 2|@SUM(A1)"}},
	"placeholder in a value":     {"phone,name\n1,{{ secret }}\n2,{% raw %}\n", []string{"2 1|{{ secret }}", "3 2|{% raw %}"}},
	"HTML":                       {"<!doctype html><table><tr><td>phone</table>\n", []string{"1 E_CSV_EMPTY"}},
	"JSON":                       {"[{\"phone\":\"1\"}]\n", []string{"1 E_CSV_HEADER_DAMAGED"}},
	"zip":                        {"PK\x03\x04\x14\x00", []string{"0 E_CSV_ARCHIVE"}},
	"gzip":                       {"\x1f\x8b\x08\x00", []string{"0 E_CSV_ARCHIVE"}},
	"UTF-32":                     {"\xff\xfe\x00\x00p\x00\x00\x00", []string{"0 E_CSV_ENCODING_UNKNOWN"}},
	"only a byte order mark":     {"\ufeff", []string{"0 E_CSV_EMPTY"}},
	"only blanks":                {" \n\t\n", []string{"0 E_CSV_EMPTY"}},
	"only a header":              {"phone,name\n", []string{"1 E_CSV_EMPTY"}},
	"only quotes and commas":     {"\"\",\"\"\n", []string{"1 E_CSV_HEADER_EMPTY"}},
	"large cell":                 {"phone,name\n1," + strings.Repeat("x", 65<<10) + "\n2,b\n", []string{"2 E_CSV_FIELD_TOO_LARGE", "3 2|b"}},
	"large record":               {"phone,name\n1," + strings.Repeat("x", 1<<20) + "\n2,b\n", []string{"2 E_CSV_RECORD_TOO_LARGE"}},
}

func TestOddFiles(t *testing.T) {
	t.Parallel()
	for name, test := range oddities {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(test.want, storyOf(t, test.text)); diff != "" {
				t.Errorf("rows (-want +got):\n%s", diff)
			}
		})
	}
}

// storyOf is what becomes of a file, in the words of oddities.
func storyOf(t *testing.T, text string) []string {
	t.Helper()
	var story []string
	r, err := openText(t, text, Source{})
	var records []Record
	if err == nil {
		records, err = drain(r)
	}
	for _, rec := range records {
		what := strings.Join(rec.Cells, "|")
		if rec.Problem != nil {
			what = rec.Problem.Code
		}
		story = append(story, fmt.Sprintf("%d %s", rec.Line, what))
	}
	var input *InputError
	switch {
	case errors.As(err, &input):
		story = append(story, fmt.Sprintf("%d %s", input.Problems[0].Line, input.Problems[0].Code))
	case err != nil:
		t.Fatal(err)
	}
	return story
}
