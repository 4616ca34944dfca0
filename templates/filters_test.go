package templates

import (
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"
	_ "time/tzdata" // the zones of TestDates, wherever the tests run

	"pgregory.net/rapid"

	"github.com/herald-campaigns/herald/campaign"
)

// The examples that help pages show are true.
func TestFilterExamples(t *testing.T) {
	t.Parallel()
	filters := Filters()
	if !slices.IsSortedFunc(filters, func(a, b Filter) int { return strings.Compare(a.Name, b.Name) }) {
		t.Error("the filters are not in alphabetical order")
	}
	for _, f := range filters {
		t.Run(f.Name, func(t *testing.T) {
			t.Parallel()
			cells := map[string]string{}
			var names []string
			for cell := range strings.SplitSeq(f.Input, "; ") {
				name, value, _ := strings.Cut(cell, "=")
				names, cells[name] = append(names, name), value
			}
			if !strings.Contains(f.Example, f.Name) || f.Does == "" {
				t.Errorf("example %q, does %q", f.Example, f.Does)
			}
			tpl := mustCompile(t, campaign.Template{Text: f.Example}, Config{Variables: names})
			m, err := tpl.Render(t.Context(), campaign.Row{Fields: cells})
			if err != nil || m.Text != f.Output {
				t.Errorf("%s with %s: got %q, %v, want %q", f.Example, f.Input, m.Text, err, f.Output)
			}
		})
	}
}

func TestFilters(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ expression, cell, want string }{
		{"amount | plus: 0.1 | plus: 0.2", "0", "0.3"},
		{"amount | times: 3", "1.10", "3.3"},
		{"amount | times: 2", "1,234.50", "2469"},
		{"amount | minus: 10", "3", "-7"},
		{"amount | minus: 3", "3.00", "0"},
		{"amount | divided_by: 4", "10", "2"},
		{"amount | divided_by: 4", "-10", "-3"},
		{"amount | divided_by: -4", "10", "-3"},
		{"amount | divided_by: 4.0 ", "10", "2"},
		{"amount | divided_by: 4", "10.5", "2.625"},
		{"amount | divided_by: 3", "0.1", "0.0333333333"},
		{"amount | round", "2.5", "3"},
		{"amount | round", "-2.5", "-3"},
		{"amount | round: 2", "1.005", "1.01"},
		{"amount | plus: '5'", "1", "6"},
		{"amount | money", "1234567.891", "1,234,567.89"},
		{"amount | money", "0", "0.00"},
		{"amount | money", "", ""},
		{"amount | money: '$'", "-0.001", "$0.00"},
		{"amount | money: '₹'", "1234567.5", "₹12,34,567.50"},
		{"amount | money: 'Rs.'", "-123456", "-Rs. 1,23,456.00"},
		{"amount | money: 'USD'", "1234", "USD 1,234.00"},
		{"amount | money: '¥', 0", "1234.5", "¥1,235"},
		{"amount | times: 1.18 | round: 2 | money: '€'", "99.99", "€117.99"},
		{"amount | capitalize", "élan VITAL", "Élan vital"},
		{"amount | capitalize", "", ""},
		{"amount | title", "mary-jane o'neil's  BOOK 2nd", "Mary-Jane O'Neil's  Book 2nd"},
		{"amount | first_word", "Asha\u00a0Rao", "Asha"},
		{"amount | truncate: 5", "abcdef", "ab..."},
		{"amount | truncate: 6", "abcdef", "abcdef"},
		{"amount | truncate: 2", "abcdef", "ab"},
		{"amount | truncate: 3", "abcdef", "abc"},
		{"amount | truncate: 2, ''", "👩‍👩‍👧x👩‍👩‍👧", "👩‍👩‍👧x"},
		{"amount | truncate", strings.Repeat("x", 60), strings.Repeat("x", 47) + "..."},
		{"amount | size", "👩‍👩‍👧e\u0301", "2"},
		{"amount | remove: ''", "abc", "abc"},
		{"amount | replace: '', 'x'", "abc", "abc"},
		{"amount | default: 0 | plus: 1", "", "1"},
		{"amount | phone", "447700900123", "+44 7700 900123"},
		{"amount | phone", "+1 (201) 555-0123", "+1 201-555-0123"},
		{"amount | phone", "", ""},
	} {
		t.Run(tt.expression+" of "+tt.cell, func(t *testing.T) {
			t.Parallel()
			// The frame keeps an empty result from being an empty message.
			got, err := renderText(t, "<{{ "+tt.expression+" }}>", map[string]string{"amount": tt.cell})
			if want := "<" + tt.want + ">"; err != nil || got != want {
				t.Errorf("got %q, %v, want %q", got, err, want)
			}
		})
	}
}

func TestMoneyAndPhoneOfACountry(t *testing.T) {
	t.Parallel()
	cfg := Config{Variables: []string{"amount", "phone"}, Country: "in"}
	tpl := mustCompile(t, campaign.Template{Text: "{{ amount | money }} {{ amount | money: '$' }} {{ phone | phone }}"}, cfg)
	m, err := tpl.Render(t.Context(), campaign.Row{Fields: map[string]string{"amount": "123456", "phone": "9999990012"}})
	if want := "1,23,456.00 $123,456.00 +91 99999 90012"; err != nil || m.Text != want {
		t.Errorf("got %q, %v, want %q", m.Text, err, want)
	}
}

func TestDates(t *testing.T) {
	t.Parallel()
	india, err := time.LoadLocation("Asia/Kolkata")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ cell, country, format, want string }{
		{"2026-11-28", "", "%Y-%m-%d %H:%M", "2026-11-28 00:00"},
		{"2026-11-28T10:00:00Z", "", "%-d %b %Y %I:%M %p", "28 Nov 2026 03:30 PM"},
		{"2026-11-28 15:04", "", "%-I:%M %P", "3:04 pm"},
		{"03/04/2026", "", "%-d %B", "3 April"},
		{"03/04/2026", "US", "%-d %B", "4 March"},
		{"28/11/2026 9:30 PM", "IN", "%F %R", "2026-11-28 21:30"},
		{"28.11.2026", "DE", "%A", "Saturday"},
		{"28 Nov 2026", "", "%a %e %j %y", "Sat 28 332 26"},
		{"November 28, 2026", "", "100%% on %d 2006", "100% on 28 2006"},
		{"", "", "%Y", ""},
	} {
		l := locale{country: tt.country, location: india}
		if got, err := dateFilter(l, tt.cell, []string{tt.format}); err != nil || got != tt.want {
			t.Errorf("%q as %q: got %q, %v, want %q", tt.cell, tt.format, got, err, tt.want)
		}
	}
	for _, cell := range []string{"31/02/2026", "28/11/26", "11/28/2026", "today", "1e9", "2026", strings.Repeat("1", 100)} {
		if got, err := dateFilter(locale{location: india}, cell, nil); err == nil {
			t.Errorf("%q was read as %q", cell, got)
		}
	}
	if got, err := dateFilter(locale{location: india}, "2026-11-28", nil); err != nil || got != "28 Nov 2026" {
		t.Errorf("without a format: %q, %v", got, err)
	}
}

func TestEveryDirectiveIsAccepted(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 8, 9, 5, 3, 0, time.UTC)
	for _, d := range directives() {
		if bad := badDirective("x" + d + "y"); bad != "" {
			t.Errorf("%s is refused as %q", d, bad)
		}
		if got := strftime(d, at); got == "" || got != "%" && strings.Contains(got, "%") {
			t.Errorf("%s gives %q", d, got)
		}
	}
	for format, want := range map[string]string{"%": "%", "%Q": "%Q", "%-": "%-", "%10000000Y": "%1", "%é": "%é", "a%%%": "%"} {
		if got := badDirective(format); got != want {
			t.Errorf("%q: got %q, want %q", format, got, want)
		}
	}
}

func TestParseNumber(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"0": "0", "007": "7", "-1.50": "-3/2", "1,234": "1234", "12,34,567.5": "2469135/2", " 5 ": "5",
	} {
		if got, ok := parseNumber(text); !ok || got.RatString() != want {
			t.Errorf("%q: got %v, %v, want %s", text, got, ok, want)
		}
	}
	for _, text := range []string{
		"", "-", ".", "1.", ".5", "1e5", "0x10", "1/2", "+5", "1_000", "1,2", "1,2345", "1234,567", ",123", "1,,234", "--1", "NaN", "Inf", "٣", "₹5", "1.2.3",
		strings.Repeat("9", 41),
	} {
		if got, ok := parseNumber(text); ok {
			t.Errorf("%q was read as %v", text, got)
		}
	}
}

func TestNumbersSurviveFormatting(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		r := big.NewRat(rapid.Int64().Draw(t, "numerator"), 1)
		r.Quo(r, new(big.Rat).SetInt64(int64([]int{1, 10, 100, 1000}[rapid.IntRange(0, 3).Draw(t, "places")])))
		got, ok := parseNumber(formatNumber(r))
		if !ok || got.Cmp(r) != 0 {
			t.Fatalf("%v became %q became %v", r, formatNumber(r), got)
		}
	})
}

// Whatever the kinds, a comparison is not contradictory.
func TestOrderIsConsistent(t *testing.T) {
	t.Parallel()
	number := rapid.StringMatching(`-?[0-9]{1,4}(\.[0-9]{1,2})?`)
	rapid.Check(t, func(t *rapid.T) {
		a := &value{text: number.Draw(t, "a")}
		b := &value{text: number.Draw(t, "b"), kind: kindNumber}
		less, more, equal := a.Less(b), b.Less(a), a.Equal(b)
		n := 0
		for _, x := range []bool{less, more, equal} {
			if x {
				n++
			}
		}
		if n != 1 || equal != b.Equal(a) {
			t.Fatalf("%q and %q: less %v, more %v, equal %v", a.text, b.text, less, more, equal)
		}
	})
}
