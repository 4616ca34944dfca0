package campaign

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// imported is what an import of text gave.
type imported struct {
	rows    []Recipient
	summary ImportSummary
	rejects string // the rejects file, "" when there is none
}

func importText(tb testing.TB, text string, src Source, options ImportOptions) imported {
	tb.Helper()
	r := mustOpen(tb, text, src)
	_, kind, _ := r.AddressColumn()
	options.Rejects = r.NewRejects(filepath.Join(tb.TempDir(), "rejects.csv"))
	var out imported
	summary, err := ImportRecipients(tb.Context(), r, mustParser(tb, src.Country, kind), func(batch []Recipient) error {
		out.rows = append(out.rows, batch...)
		return nil
	}, options)
	if err != nil {
		tb.Fatalf("import: %v", err)
	}
	if err := options.Rejects.Close(); err != nil {
		tb.Fatal(err)
	}
	out.summary = summary
	content, err := os.ReadFile(options.Rejects.Path())
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		tb.Fatal(err)
	}
	out.rejects = string(content)
	return out
}

const mixed = "name,phone,city\n" +
	"Ann,+1 201 555 0101,\n" +
	"Bob,9.19E+11,Pune\n" +
	"Cy,(201) 555-0102,Rome\n" +
	"Ann again,12015550101,Oslo\n" +
	"Dee,+12015550103\n" +
	"Eve,,Paris\n" +
	"Finn,2015550104,Bonn\n"

func TestEveryRowIsALineOfTheLedger(t *testing.T) {
	t.Parallel()
	got := importText(t, mixed, Source{Country: "US"}, ImportOptions{
		Campaign: "cmp_1", StartSeq: 11, Number: 2, Senders: []SenderID{"a", "b"}, BatchRows: 3,
	})
	var lines []string
	for _, r := range got.rows {
		lines = append(lines, fmt.Sprintf("%d %d %d %s %s %s %s %q %q", r.Seq, r.Import, r.Line, string(r.Chat), r.Sender, r.Status, r.SkipReason, r.Detail, r.Record))
	}
	want := []string{
		`11 2 2 12015550101@c.us a pending  "" ["Ann" "+1 201 555 0101" ""]`,
		`12 2 3   skipped invalid_phone "a spreadsheet stored this number in scientific notation; its last digits are gone" ["Bob" "9.19E+11" "Pune"]`,
		`13 2 4 12015550102@c.us b pending  "" ["Cy" "(201) 555-0102" "Rome"]`,
		`14 2 5 12015550101@c.us  skipped duplicate "same number as line 2" ["Ann again" "12015550101" "Oslo"]`,
		`15 2 6   skipped malformed_row "the row has 2 cells, the header 3" ["Dee" "+12015550103"]`,
		`16 2 7   skipped invalid_phone "the row has no phone number" ["Eve" "" "Paris"]`,
		`17 2 8 12015550104@c.us a pending  "" ["Finn" "2015550104" "Bonn"]`,
	}
	if diff := cmp.Diff(want, lines); diff != "" {
		t.Errorf("ledger (-want +got):\n%s", diff)
	}
	s := got.summary
	sum := sha256.Sum256([]byte(mixed))
	if s.Rows != 7 || s.Good != 3 || s.LastSeq != 17 || s.Bad() != 3 || s.Bytes != int64(len(mixed)) || s.SHA256 != hex.EncodeToString(sum[:]) {
		t.Errorf("summary %+v", s)
	}
	if diff := cmp.Diff([]int64{0, 0, 1}, s.BlankCells); diff != "" {
		t.Errorf("blank cells (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[SkipReason]int64{SkipInvalidPhone: 2, SkipDuplicate: 1, SkipMalformed: 1}, s.Skipped); diff != "" {
		t.Errorf("skipped (-want +got):\n%s", diff)
	}
	if got := s.Problems[2].First[0].String(); got != "standard input:7:2: phone: the row has no phone number (E_CSV_PHONE_EMPTY)" {
		t.Errorf("problem %q", got)
	}
	imp := s.Import()
	if imp.Number != 2 || imp.Rows != 7 || !imp.Complete || len(imp.Slugs) != 3 {
		t.Errorf("import %+v", imp)
	}
}

func TestRejectsAreMendedAndFedBack(t *testing.T) {
	t.Parallel()
	src := Source{Country: "US"}
	first := importText(t, strings.Replace(mixed, "Pune", "Zürich", 1), src, ImportOptions{})
	want := "\ufeffname,phone,city,_line,_code,_reason,_extra\n" +
		"Bob,9.19E+11,Zürich,3,E_CSV_PHONE_SCIENTIFIC,a spreadsheet stored this number in scientific notation; its last digits are gone; \"format the column as Text, enter the numbers again and export anew\",\n"
	want = strings.Replace(want, "a spreadsheet stored this number in scientific notation; its last digits are gone; \"format the column as Text, enter the numbers again and export anew\"",
		"\"a spreadsheet stored this number in scientific notation; its last digits are gone; format the column as Text, enter the numbers again and export anew\"", 1)
	if !strings.HasPrefix(first.rejects, want) {
		t.Fatalf("rejects:\n%s", first.rejects)
	}
	known := func(rows []Recipient) iter.Seq2[ChatID, error] {
		return func(yield func(ChatID, error) bool) {
			for _, r := range rows {
				if r.Status == StatusPending && !yield(r.Chat, nil) {
					return
				}
			}
		}
	}
	options := ImportOptions{Number: 2, StartSeq: first.summary.LastSeq + 1, Known: known(first.rows)}

	// As it is, nothing is sent to: the row that was cut short neither.
	again := importText(t, first.rejects, src, options)
	if again.summary.Good != 0 || again.summary.Skipped[SkipDuplicate] != 0 || again.summary.Rows != 3 {
		t.Errorf("fed back unmended: %+v", again.summary)
	}
	if _, doubled := again.summary.Skipped[SkipMalformed]; !doubled || strings.Count(again.rejects, "_code") != 1 {
		t.Errorf("rejects of rejects:\n%s", again.rejects)
	}

	mended := strings.NewReplacer("9.19E+11", "+12015550105", "Eve,,", "Eve,2015550104,",
		"\"too few cells: mend the row, then empty this cell\"", "", "too few cells: mend the row, then empty this cell", "").Replace(first.rejects)
	delta := importText(t, mended, src, options)
	var got []string
	for _, r := range delta.rows {
		got = append(got, fmt.Sprintf("%d %s %s %s", r.Seq, r.Record[0], r.Status, r.Detail))
	}
	wantRows := []string{
		"8 Bob pending ", "9 Dee pending ",
		"10 Eve skipped same number as a row of an earlier import of this campaign",
	}
	if diff := cmp.Diff(wantRows, got); diff != "" {
		t.Errorf("delta (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"name", "phone", "city", "", "", "", ""}, delta.summary.Slugs); diff != "" {
		t.Errorf("slugs (-want +got):\n%s", diff)
	}
}

func TestRejectsKeepTheirShape(t *testing.T) {
	t.Parallel()
	clean := importText(t, "phone;x\n+12015550101;=1+1\n+12015550102;b\n", Source{}, ImportOptions{})
	if clean.rejects != "" {
		t.Errorf("a clean file has rejects:\n%s", clean.rejects)
	}
	twice := importText(t, "phone;x\n+12015550101;a\n+12015550101;b\n", Source{}, ImportOptions{})
	if twice.rejects != "" || twice.summary.Skipped[SkipDuplicate] != 1 {
		t.Errorf("a duplicate is to be mended:\n%s", twice.rejects)
	}
	got := importText(t, "phone;x\n+12015550101;a\n;=1+1\n", Source{}, ImportOptions{})
	want := "phone;x;_line;_code;_reason\n" + `;=1+1;3;E_CSV_PHONE_EMPTY;"the row has no phone number; fill it in, or delete the row"` + "\n"
	if diff := cmp.Diff(want, got.rejects); diff != "" {
		t.Errorf("rejects (-want +got):\n%s", diff)
	}
}

func TestRejectsLeaveNothingBehind(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	r := mustOpen(t, "phone\nx\n", Source{})
	w := r.NewRejects(filepath.Join(dir, "rejects.csv"))
	if err := w.Add(Record{Line: 2, Cells: []string{"x"}}, Problem{Code: csvPhoneInvalid}); err != nil {
		t.Fatal(err)
	}
	if err := w.Discard(); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("left %v, %v", left, err)
	}
}

func TestFivePercent(t *testing.T) {
	t.Parallel()
	file := func(good, bad, twice int) string {
		var b strings.Builder
		b.WriteString("phone\n")
		for i := range good {
			fmt.Fprintf(&b, "+1201555%04d\n", 100+i)
		}
		b.WriteString(strings.Repeat("nobody\n", bad) + strings.Repeat("+12015550100\n", twice))
		return b.String()
	}
	for name, tc := range map[string]struct {
		text        string
		skipInvalid bool
		refused     string // part of the first problem; "" accepted
	}{
		"exactly five percent":        {text: file(95, 5, 0)},
		"more than five percent":      {text: file(94, 6, 0), refused: "6 of 100 rows (6.0 %) are bad"},
		"more, and skipped":           {text: file(50, 50, 0), skipInvalid: true},
		"duplicates do not count":     {text: file(10, 0, 50)},
		"nobody left":                 {text: file(0, 3, 0), skipInvalid: true, refused: "none of the 3 rows"},
		"one bad row in a short list": {text: file(10, 1, 0), refused: "1 of 11 rows"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := importText(t, tc.text, Source{}, ImportOptions{}).summary.TooBad(tc.skipInvalid)
			if tc.refused == "" {
				if err != nil {
					t.Errorf("refused: %v", err)
				}
				return
			}
			p := rejection(t, err)
			if p.Code != csvTooManyBad || !strings.Contains(p.What, tc.refused) {
				t.Errorf("got %v", p)
			}
			if !tc.skipInvalid && !strings.Contains(p.Fix, "--skip-invalid") {
				t.Errorf("fix %q", p.Fix)
			}
			var input *InputError
			if errors.As(err, &input) && (len(input.Problems) > 4 || len(input.Problems) < 2) {
				t.Errorf("%d problems listed", len(input.Problems))
			}
		})
	}
}

func TestOrderIsKeptOverManyBatches(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteString("phone,n\n")
	const rows = 10_000
	for i := range rows {
		fmt.Fprintf(&b, "+91 99999 %05d,%d\n", (i*7919)%5000+90000, i)
	}
	first := make(map[string]int)
	got := importText(t, b.String(), Source{}, ImportOptions{Workers: 4, BatchRows: 777})
	for i, r := range got.rows {
		if r.Seq != int64(i+1) || r.Line != int64(i+2) || r.Record[1] != fmt.Sprint(i) {
			t.Fatalf("row %d: %+v", i, r)
		}
		number := r.Record[0]
		if at, twice := first[number]; twice != (r.SkipReason == SkipDuplicate) ||
			twice && r.Detail != fmt.Sprintf("same number as line %d", at) {
			t.Fatalf("row %d: %s %q, first at %d", i, r.SkipReason, r.Detail, at)
		} else if !twice {
			first[number] = i + 2
		}
	}
	if got.summary.Good != 5000 || len(got.rows) != rows {
		t.Errorf("%d good of %d", got.summary.Good, len(got.rows))
	}
}

func TestImportStops(t *testing.T) {
	t.Parallel()
	text := "phone,n\n" + strings.Repeat("+12015550101,x\n", 20_000)
	full := errors.New("disk full")
	r := mustOpen(t, text, Source{})
	_, err := ImportRecipients(t.Context(), r, mustParser(t, "", AddressPhone), func([]Recipient) error { return full }, ImportOptions{})
	if !errors.Is(err, full) {
		t.Errorf("sink failed: got %v", err)
	}

	ctx, cancel := context.WithCancel(t.Context())
	r = mustOpen(t, text, Source{})
	_, err = ImportRecipients(ctx, r, mustParser(t, "", AddressPhone), func([]Recipient) error { cancel(); return nil }, ImportOptions{BatchRows: 100})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: got %v", err)
	}

	r = mustOpen(t, text+"\"+12015550102,open\n", Source{})
	_, err = ImportRecipients(t.Context(), r, mustParser(t, "", AddressPhone), func([]Recipient) error { return nil }, ImportOptions{})
	if p := rejection(t, err); p.Code != csvQuoteUnclosed || p.Line != 20_002 {
		t.Errorf("broken file: got %v", p)
	}

	broken := errors.New("ledger gone")
	r = mustOpen(t, text, Source{})
	_, err = ImportRecipients(t.Context(), r, mustParser(t, "", AddressPhone), func([]Recipient) error { return nil }, ImportOptions{
		Known: func(yield func(ChatID, error) bool) { yield("", broken) },
	})
	if !errors.Is(err, broken) {
		t.Errorf("known chats: got %v", err)
	}
}

func TestSeenChatsAreExact(t *testing.T) {
	t.Parallel()
	seen, model := newSeenChats(), make(map[ChatID]int64)
	random := rand.New(rand.NewPCG(1, 2)) // #nosec G404 -- a repeatable test
	for line := int64(1); line <= 50_000; line++ {
		chat := PersonChat(fmt.Sprintf("91%010d", random.IntN(40_000)*250_000))
		if random.IntN(10) == 0 {
			chat = ChatID(fmt.Sprintf("12036301234567%04d@g.us", random.IntN(3000)))
		}
		want, known := model[chat]
		if got, twice := seen.add(chat, line); twice != known || got != want {
			t.Fatalf("line %d: got %d %v, want %d %v", line, got, twice, want, known)
		}
		if !known {
			model[chat] = line
		}
	}
	if _, twice := seen.add("5215512345678@c.us", 7); twice {
		t.Error("a new Mexican number is known")
	}
	if at, twice := seen.add("525512345678@c.us", 8); !twice || at != 7 {
		t.Errorf("the same Mexican number: %d %v", at, twice)
	}
}
