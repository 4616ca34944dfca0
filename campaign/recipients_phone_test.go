package campaign

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func mustParser(tb testing.TB, country string, kind AddressKind) *AddressParser {
	tb.Helper()
	p, err := NewAddressParser(country, kind)
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

func TestAddresses(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		country string
		kind    AddressKind
		cell    string
		want    string // number, chat, or code
	}{
		// Ways to write one number.
		{"", AddressPhone, "+91 99999-90001", "919999990001"},
		{"", AddressPhone, " +91.99999.90001 ", "919999990001"},
		{"", AddressPhone, "(+91) 99999 90001", "919999990001"},
		{"", AddressPhone, "0091 99999 90001", "919999990001"},
		{"", AddressPhone, "'+919999990001", "919999990001"},
		{"", AddressPhone, "tel:+91-99999-90001", "919999990001"},
		{"", AddressPhone, "WhatsApp:+919999990001", "919999990001"},
		{"", AddressPhone, "https://wa.me/919999990001", "919999990001"},
		{"", AddressPhone, "\u202a+91\u00a099999\u00a090001\u202c", "919999990001"},
		{"", AddressPhone, "+٩١٩٩٩٩٩٩٠٠٠١", "919999990001"},
		{"", AddressPhone, "+९१९९९९९९०००१", "919999990001"},
		{"", AddressPhone, "＋９１９９９９９９０００１", "919999990001"},
		{"", AddressPhone, "919999990001.0", "919999990001"},
		{"", AddressPhone, "919999990001", "919999990001"},
		{"", AddressPhone, "919999990001@c.us", "919999990001"},
		{"", AddressPhone, "919999990001:7@s.whatsapp.net", "919999990001"},
		// With the campaign's country.
		{"IN", AddressPhone, "9999990001", "919999990001"},
		{"in", AddressPhone, "09999990001", "919999990001"},
		{"IN", AddressPhone, "99999 90001", "919999990001"},
		{"IN", AddressPhone, "919999990001", "919999990001"},
		{"IN", AddressPhone, "0919999990001", "919999990001"},
		{"IN", AddressPhone, "12015550123", "12015550123"},
		{"US", AddressPhone, "(201) 555-0123", "12015550123"},
		{"US", AddressPhone, "12015550123", "12015550123"},
		{"US", AddressPhone, "919999990001", "919999990001"},
		{"CA", AddressPhone, "2015550123", "12015550123"},
		{"GB", AddressPhone, "07700 900123", "447700900123"},
		{"GB", AddressPhone, "+44 (0)7700 900123", "447700900123"},
		{"GB", AddressPhone, "7700900123", "447700900123"}, // a spreadsheet took the 0 away
		// Countries with habits.
		{"", AddressPhone, "+52 1 55 1234 5678", "525512345678"},
		{"", AddressPhone, "5215512345678@c.us", "5215512345678"},
		{"AR", AddressPhone, "011 15 2345 6789", "5491123456789"},
		{"", AddressPhone, "+55 31 98765 4321", "5531987654321"},
		{"", AddressPhone, "+55 31 8765 4321", "553187654321"},
		{"", AddressPhone, "+39 06 1234 5678", "390612345678"},
		// Chats.
		{"", AddressChat, "120363012345678901@g.us", "120363012345678901@g.us"},
		{"", AddressPhone, "12015550123-1400000000@g.us", "12015550123-1400000000@g.us"},
		{"IN", AddressChat, "12015550123", "12015550123"},
		// What cannot be read.
		{"IN", AddressPhone, "", csvPhoneEmpty},
		{"IN", AddressPhone, " ' ", csvPhoneEmpty},
		{"IN", AddressPhone, "9.19E+11", csvPhoneScientific},
		{"IN", AddressPhone, "9,19999990001E+11", csvPhoneScientific},
		{"", AddressPhone, "9999990001", csvPhoneNoCountry},
		{"", AddressPhone, "51987654321", csvPhoneNoCountry},
		{"", AddressPhone, "07700900123", csvPhoneNoCountry},
		{"IN", AddressPhone, "99999", csvPhoneLength},
		{"IN", AddressPhone, "+91 99999 900", csvPhoneLength},
		{"IN", AddressPhone, "+91 99999 90001 2345678", csvPhoneLength},
		{"US", AddressPhone, "555-0123", csvPhoneLength},
		{"", AddressPhone, "+999 1234 5678", csvPhoneCountry},
		{"", AddressPhone, "+0 1234 5678", csvPhoneCountry},
		{"DE", AddressPhone, "99000999990001", csvPhoneLength}, // valid in Germany, and longer than E.164 allows
		{"", AddressPhone, "+43 5789", csvPhoneLength},         // valid in Austria, and no chat id has so few digits
		{"", AddressPhone, "+27 000 0000", csvPhoneLength},     // without one trunk 0 there is another behind it
		{"IN", AddressPhone, "call me", csvPhoneInvalid},
		{"IN", AddressPhone, "n/a", csvPhoneInvalid},
		{"US", AddressPhone, "201 555 0123 ext 5", csvPhoneInvalid},
		{"US", AddressPhone, "+12015550123 / +12015550124", csvPhoneInvalid},
		{"", AddressChat, "12345678@lid", csvChatUnsupported},
		{"", AddressChat, "123@newsletter", csvChatUnsupported},
		{"", AddressPhone, "ann@example.com", csvPhoneInvalid},
		{"", AddressChat, "abc@g.us", csvPhoneInvalid},
	} {
		t.Run(fmt.Sprintf("%s/%s/%s", tc.country, tc.kind, tc.cell), func(t *testing.T) {
			t.Parallel()
			chat, problem := mustParser(t, tc.country, tc.kind).Parse(tc.cell)
			if problem != nil {
				if problem.Code != tc.want || problem.Fix == "" {
					t.Errorf("got %v, want %s", problem, tc.want)
				}
				return
			}
			want := tc.want
			if !strings.Contains(want, "@") {
				want += "@c.us"
			}
			if string(chat) != want {
				t.Errorf("got %s, want %s", string(chat), want)
			}
		})
	}
}

// Numbers set aside for films and tests must pass, whatever the tables say.
func TestReservedNumbersAreAccepted(t *testing.T) {
	t.Parallel()
	p := mustParser(t, "", AddressPhone)
	for i := range 100 {
		for _, number := range []string{fmt.Sprintf("1201555%04d", 100+i), fmt.Sprintf("447700900%03d", i), fmt.Sprintf("9199999900%02d", i)} {
			if chat, problem := p.Parse("+" + number); problem != nil || chat.Number() != number {
				t.Errorf("+%s: %q %v", number, string(chat), problem)
			}
		}
	}
}

func TestAnyFormattingOfANumberIsOneNumber(t *testing.T) {
	t.Parallel()
	p := mustParser(t, "IN", AddressPhone)
	rapid.Check(t, func(t *rapid.T) {
		digits := fmt.Sprintf("99999%05d", rapid.IntRange(90000, 99999).Draw(t, "number"))
		prefix := rapid.SampledFrom([]string{"+91", "0091", "91", "0", "", "tel:+91 ", "'+91"}).Draw(t, "prefix")
		var b strings.Builder
		b.WriteString(prefix)
		for _, d := range digits {
			b.WriteString(rapid.SampledFrom([]string{"", "", "", " ", "-", ".", "\u00a0"}).Draw(t, "gap"))
			b.WriteRune(d + rapid.SampledFrom([]rune{0, 0, '٠' - '0', '０' - '0'}).Draw(t, "script"))
		}
		if chat, problem := p.Parse(b.String()); problem != nil || chat != PersonChat("91"+digits) {
			t.Fatalf("%q: %q %v", b.String(), string(chat), problem)
		}
	})
}

func TestCountryIsChecked(t *testing.T) {
	t.Parallel()
	_, err := NewAddressParser("UK", AddressPhone)
	if p := rejection(t, err); p.Code != csvCountryUnknown || !strings.Contains(p.Fix, "GB") {
		t.Errorf("got %v", p)
	}
}

// quickAgrees fails when the shortcut gives anything but what libphonenumber
// gives.
func quickAgrees(t *testing.T, p *AddressParser, cell string) {
	t.Helper()
	chat, problem := p.Parse(cell)
	whole, wholeProblem := p.parse(cell, false)
	if chat != whole || !cmp.Equal(problem, wholeProblem) {
		t.Fatalf("%q in %q (%s): shortcut %q %v, whole %q %v", cell, p.home, p.kind, string(chat), problem, string(whole), wholeProblem)
	}
}

func TestQuickGivesWhatTheWholeParseGives(t *testing.T) {
	t.Parallel()
	plan, err := numberPlans()
	if err != nil {
		t.Fatal(err)
	}
	hits := 0
	for region, own := range plan.region {
		p := mustParser(t, region, AddressPhone)
		for n := 6; n <= 13; n++ {
			for front := 10; front < 100; front += 17 {
				rest := (fmt.Sprint(front) + "34567890123")[:n]
				for _, cell := range []string{"+" + own.code + rest, own.code + rest, rest} {
					if _, ok := p.quickCell(cell); ok {
						hits++
					}
					quickAgrees(t, p, cell)
				}
			}
		}
	}
	if hits < 2_000 {
		t.Errorf("the shortcut was taken %d times only", hits)
	}
}
