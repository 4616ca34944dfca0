package report_test

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/report"
)

const (
	ownColumns = 19
	// extraColumn is where the cells beyond the header are, among ours.
	extraColumn = 10
)

func parse(tb testing.TB, data []byte) [][]string {
	tb.Helper()
	records, err := csv.NewReader(bytes.NewReader(data)).ReadAll()
	if err != nil {
		tb.Fatal(err)
	}
	return records
}

// The user's own file comes back: every cell of every row, whatever is in it.
func TestCSVRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		columns := rapid.IntRange(1, 5).Draw(rt, "columns")
		cell := rapid.OneOf(
			rapid.String(),
			rapid.StringMatching(`['=+\-@\t\r\n＝＋]{0,3}[0-9A-Z ,."';]{0,6}`),
			rapid.StringMatching(`[+-]?[0-9]{1,12}`),
		)
		l := newLedger(0)
		imp := &l.campaign.Imports[0]
		imp.Header, imp.Slugs = nil, nil
		for i := range columns {
			imp.Header = append(imp.Header, fmt.Sprintf("Column %d", i))
			imp.Slugs = append(imp.Slugs, fmt.Sprintf("column_%d", i))
		}
		rows := rapid.SliceOfN(rapid.SliceOfN(cell, 0, columns+2), 0, 8).Draw(rt, "rows")
		for _, cells := range rows {
			l.add(campaign.StatusSent, record(cells...))
		}
		imp.Rows = int64(len(rows))

		var b bytes.Buffer
		if err := report.WriteCSV(t.Context(), &b, l.deps(), testID, report.CSVOptions{NoBOM: true}); err != nil {
			rt.Fatal(err)
		}
		got, err := csv.NewReader(&b).ReadAll()
		if err != nil {
			rt.Fatal(err)
		}
		if len(got) != len(rows)+1 {
			rt.Fatalf("%d rows of %d", len(got)-1, len(rows))
		}
		for i, cells := range rows {
			back := got[i+1][:columns:columns]
			for j := range back {
				back[j] = restore(back[j])
			}
			if last := restore(got[i+1][columns+extraColumn]); last != "" {
				extra, err := csv.NewReader(strings.NewReader(last)).Read()
				if err != nil {
					rt.Fatal(err)
				}
				back = append(back, extra...)
			}
			want := slices.Clone(cells)
			// An extra cell that is empty and alone leaves no trace but the
			// missing comma; short rows are padded.
			for len(want) < len(back) {
				want = append(want, "")
			}
			for len(back) < len(want) {
				back = append(back, "")
			}
			for j := range want {
				// Reading CSV makes CR LF inside a cell a LF (encoding/csv). An extra
				// cell is CSV within CSV, and read twice.
				unix := strings.ReplaceAll(want[j], "\r\n", "\n")
				if j >= columns {
					unix = strings.ReplaceAll(unix, "\r\n", "\n")
				}
				if unix != back[j] {
					rt.Fatalf("row %d cell %d: %q came back as %q", i, j, want[j], back[j])
				}
			}
		}
	})
}

// restore takes away what made a formula harmless, as docs/csv.md tells it.
func restore(cell string) string {
	bare := strings.TrimLeft(cell, "'")
	if bare != cell && formula(bare) {
		return cell[1:]
	}
	return cell
}

// formula is an independent reading of the rule: a cell that a spreadsheet
// might calculate.
func formula(cell string) bool {
	if cell == "" {
		return false
	}
	first := []rune(cell)[0]
	if strings.ContainsRune("=@\t\r\n\x00＝＠＋－", first) {
		return true
	}
	return (first == '+' || first == '-') && !number.MatchString(cell)
}

// number is what the CSV writer leaves alone behind a sign.
var number = regexp.MustCompile(`^[+-](?:[0-9]+(?:[.,][0-9]+)?|[0-9]+(?: [0-9]+)*)$`)

func TestCSVHasNoFormulas(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		nasty := rapid.OneOf(rapid.String(), rapid.StringMatching(`[=+\-@\t\r\x00＝＋－＠' ]{1,3}.{0,8}`), rapid.StringMatching(`[+-][0-9+\-., ()e]{1,8}`))
		l := newLedger(1)
		l.campaign.Imports[0].Header = []string{nasty.Draw(rt, "header"), "Mobile", "Note"}
		l.senders = nil
		l.add(campaign.StatusFailed, record(nasty.Draw(rt, "a"), nasty.Draw(rt, "b"), nasty.Draw(rt, "c"), nasty.Draw(rt, "extra")),
			failed(campaign.FailProvider, campaign.FailTransient, nasty.Draw(rt, "detail")),
			func(r *campaign.Recipient) {
				r.QueueID, r.MessageID = nasty.Draw(rt, "queue"), nasty.Draw(rt, "message")
				r.Sender = campaign.SenderID(nasty.Draw(rt, "sender"))
			})
		var b bytes.Buffer
		if err := report.WriteCSV(t.Context(), &b, l.deps(), testID, report.CSVOptions{NoBOM: true}); err != nil {
			rt.Fatal(err)
		}
		records, err := csv.NewReader(&b).ReadAll()
		if err != nil {
			rt.Fatal(err)
		}
		for _, rec := range records {
			for _, cell := range rec {
				if formula(cell) {
					rt.Fatalf("a formula: %q", cell)
				}
			}
		}
	})
}

func TestCSVNeutralizes(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"":                      "",
		"Priya":                 "Priya",
		"=1+1":                  "'=1+1",
		"@SUM(A1)":              "'@SUM(A1)",
		"+cmd|' /C calc'!A0":    "'+cmd|' /C calc'!A0",
		"-cmd":                  "'-cmd",
		"\t=1":                  "'\t=1",
		"\r=1":                  "'\r=1",
		"\x00=1":                "'\x00=1",
		"＝1+1":                  "'＝1+1",
		"'=1+1":                 "''=1+1",
		"'tis":                  "'tis",
		"-":                     "'-",
		"-5":                    "-5",
		"-5.25":                 "-5.25",
		"-1,5":                  "-1,5",
		"+919999990001":         "+919999990001",
		"+44 7700 900123":       "+44 7700 900123",
		"+1 (201) 555-0100":     "'+1 (201) 555-0100",
		"+1-201-555-0100":       "'+1-201-555-0100",
		"-2+3":                  "'-2+3",
		"-1e5":                  "'-1e5",
		"+ 1":                   "'+ 1",
		"1-2":                   "1-2",
		" =1+1":                 " =1+1",
		"12:30, \"quoted\"\n=x": "12:30, \"quoted\"\n=x",
	} {
		l := newLedger(1)
		l.add(campaign.StatusSent, record(in))
		if got := parse(t, asCSV(t, l, report.CSVOptions{NoBOM: true}))[1][0]; got != strings.ReplaceAll(want, "\r\n", "\n") {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
}

func TestCSVColumns(t *testing.T) {
	t.Parallel()
	columns := func(l *ledger) []string { return parse(t, asCSV(t, l, report.CSVOptions{NoBOM: true}))[0] }
	own := func(prefix string) []string {
		var names []string
		for n := range strings.FieldsSeq("status reason detail sent_at delivered_at read_at queue_id message_id sender attempts extra resolution " +
			"variant replied_at reply replies vote voted_at opted_out_at") {
			names = append(names, prefix+n)
		}
		return names
	}

	t.Run("later imports keep their cells under the same column", func(t *testing.T) {
		t.Parallel()
		records := parse(t, asCSV(t, running(), report.CSVOptions{NoBOM: true}))
		if diff := cmp.Diff(append([]string{"Name", "Mobile", "Note", "City"}, own("herald_")...), records[0]); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff([]string{"Mended", "+12125550142", "", "नई दिल्ली", "waiting"}, records[9][:5]); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("a file that has our columns already", func(t *testing.T) {
		t.Parallel()
		l := newLedger(0)
		l.campaign.Imports[0].Header = []string{"Mobile", "Herald_Status ", "herald2_extra"}
		l.campaign.Imports[0].Slugs = []string{"mobile", "herald_status", "herald2_extra"}
		want := append([]string{"Mobile", "Herald_Status ", "herald2_extra"}, own("herald3_")...)
		if diff := cmp.Diff(want, columns(l)); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("columns of one name stay two", func(t *testing.T) {
		t.Parallel()
		l := newLedger(1)
		l.campaign.Imports[0].Header, l.campaign.Imports[0].Slugs = []string{"Note", "Note"}, nil
		l.add(campaign.StatusSent, record("one", "two"))
		records := parse(t, asCSV(t, l, report.CSVOptions{NoBOM: true}))
		if diff := cmp.Diff([][]string{{"Note", "Note"}, {"one", "two"}}, [][]string{records[0][:2], records[1][:2]}); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("a row of an import the campaign does not list is kept whole", func(t *testing.T) {
		t.Parallel()
		l := newLedger(1)
		l.add(campaign.StatusSent, record("a", "b,c"), func(r *campaign.Recipient) { r.Import = 9 })
		rec := parse(t, asCSV(t, l, report.CSVOptions{NoBOM: true}))[1]
		if got := rec[len(rec)-ownColumns+extraColumn]; got != `a,"b,c"` {
			t.Errorf("extra %q", got)
		}
	})
}

func TestCSVOptions(t *testing.T) {
	t.Parallel()
	l := mixed()
	if out := asCSV(t, l, report.CSVOptions{}); !bytes.HasPrefix(out, []byte("\xef\xbb\xbfName,")) {
		t.Errorf("no byte order mark: %q", out[:20])
	}
	out := string(asCSV(t, l, report.CSVOptions{NoBOM: true, Comma: ';', Location: time.FixedZone("IST", 5*3600+1800)}))
	if !strings.HasPrefix(out, "Name;Mobile;") || !strings.Contains(out, ";2026-11-28T10:00:16+05:30;") {
		t.Errorf("%q", out[:400])
	}
	if strings.Contains(out, "\r") {
		t.Error("CR in the output: it would change line breaks inside cells")
	}
}

// A full disk is an error, not a shorter file.
func TestWritersReportErrors(t *testing.T) {
	t.Parallel()
	r := build(t, mixed())
	if err := report.WriteText(full{}, r, report.TextOptions{}); err == nil {
		t.Error("text")
	}
	if err := report.WriteJSON(full{}, r); err == nil {
		t.Error("JSON")
	}
	for _, noBOM := range []bool{true, false} {
		if err := report.WriteCSV(t.Context(), full{}, mixed().deps(), testID, report.CSVOptions{NoBOM: noBOM}); err == nil {
			t.Error("CSV")
		}
	}
	for name, write := range exports(t, answered(), build(t, answered())) {
		if err := write(full{}); err == nil {
			t.Error(name)
		}
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }
