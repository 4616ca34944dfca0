package campaign

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// AddressKind says what the address column holds.
type AddressKind string

// The kinds.
const (
	AddressPhone AddressKind = "phone"   // phone numbers; chat ids are understood too
	AddressChat  AddressKind = "chat_id" // WhatsApp chat ids; bare digits are a whole international number
)

// table is what is known of the columns once the header was checked.
type table struct {
	header  []string
	slugs   []string // variable name per column; "" for Herald's own (_line, _code, …)
	address int      // index of the address column
	kind    AddressKind
	chosen  bool // the address column was guessed by its name
	mark    int  // index of the _extra column of a rejects file, -1 without one
}

// manyHeaderProblems caps how many problems of one header are told.
const manyHeaderProblems = 10

// readTable checks the header of a file against the way the campaign wants to
// read it. All its problems are told at once.
func readTable(header []string, line int64, src Source, limits Limits) (table, []Problem) {
	t := table{mark: -1}
	if len(header) > limits.MaxColumns {
		return t, []Problem{{
			Code: csvTooManyColumns, Line: line,
			What: fmt.Sprintf("the header has %d columns, %d are allowed", len(header), limits.MaxColumns),
			Fix:  "keep the columns that the message uses",
		}}
	}
	for _, h := range header {
		t.header = append(t.header, strings.TrimSpace(h))
	}
	problems := t.nameColumns(line, src.Columns)
	if len(problems) == 0 {
		problems = t.findAddress(line, src)
	}
	if len(problems) > manyHeaderProblems {
		problems = problems[:manyHeaderProblems]
	}
	return t, problems
}

// nameColumns gives every column its variable name: the campaign's own, or the
// header's slug. Two columns must not share one, or the last would win
// silently.
func (t *table) nameColumns(line int64, mapping map[string]string) []Problem {
	var problems []Problem
	t.slugs = make([]string, len(t.header))
	seen := make(map[string]int) // header or slug → column
	for i, h := range t.header {
		if h == "" {
			problems = append(problems, Problem{
				Code: csvHeaderEmpty, Line: line, Column: i + 1, What: fmt.Sprintf("column %d has no header", i+1),
				Fix: "name the column, or delete it with everything in it",
			})
			continue
		}
		if other, twice := seen[h]; twice {
			problems = append(problems, Problem{
				Code: csvHeaderDuplicate, Line: line, Column: i + 1, Field: h,
				What: fmt.Sprintf("columns %d and %d have the same header", other+1, i+1),
				Fix:  "rename one of them",
			})
			continue
		}
		seen[h] = i
		if strings.HasPrefix(h, "_") {
			if h == rejectExtra {
				t.mark = i
			}
			continue
		}
		t.slugs[i] = headerSlug(h, i)
	}
	if len(problems) > 0 {
		return problems
	}
	for _, name := range slices.Sorted(maps.Keys(mapping)) {
		i := t.column(mapping[name])
		if i < 0 {
			problems = append(problems, t.missing(line, "columns."+name, mapping[name]))
			continue
		}
		if name == "" || headerSlug(name, i) != name {
			problems = append(problems, Problem{
				Code: csvColumnMapping, Line: line, Column: i + 1, Field: t.header[i], Value: shownValue(name),
				What: "a variable name has lower-case letters, digits and _ only",
				Fix:  fmt.Sprintf("write recipients.columns.%s", headerSlug(name, i)),
			})
			continue
		}
		t.slugs[i] = name
	}
	named := make(map[string]int)
	for i, slug := range t.slugs {
		if slug == "" {
			continue
		}
		if other, twice := named[slug]; twice {
			problems = append(problems, Problem{
				Code: csvHeaderDuplicate, Line: line, Column: i + 1, Field: t.header[i],
				What: fmt.Sprintf("columns %d (%q) and %d (%q) would both be the variable %s", other+1, t.header[other], i+1, t.header[i], slug),
				Fix:  "rename one of them, or give it another name under recipients.columns",
			})
			continue
		}
		named[slug] = i
	}
	return problems
}

// findAddress finds the column the campaign names, or guesses it.
func (t *table) findAddress(line int64, src Source) []Problem {
	field, want := "phone", src.Phone
	t.kind = AddressPhone
	if src.ChatID != "" {
		field, want = "chat_id", src.ChatID
		t.kind = AddressChat
	}
	if want != "" {
		if t.address = t.column(want); t.address < 0 {
			return []Problem{t.missing(line, field, want)}
		}
		return nil
	}
	t.chosen = true
	if t.address, t.kind = t.guessAddress(); t.address >= 0 {
		return nil
	}
	return []Problem{{
		Code: csvColumnMissing, Line: line,
		What: "no column looks like phone numbers by its header; there are " + t.list(),
		Fix:  "name the column in recipients.phone (or recipients.chat_id)",
	}}
}

// addressNames are headers that mean an address, the surest first.
var addressNames = []struct {
	kind AddressKind
	slug string
}{
	{AddressPhone, "phone"},
	{AddressPhone, "phone_number"},
	{AddressPhone, "whatsapp"},
	{AddressPhone, "whatsapp_number"},
	{AddressPhone, "mobile"},
	{AddressPhone, "mobile_number"},
	{AddressPhone, "mobile_phone"},
	{AddressPhone, "cell"},
	{AddressPhone, "cell_phone"},
	{AddressPhone, "cellphone"},
	{AddressPhone, "msisdn"},
	{AddressPhone, "handynummer"},
	{AddressPhone, "mobilnummer"},
	{AddressPhone, "mobilfunknummer"},
	{AddressPhone, "mobiltelefon"},
	{AddressPhone, "telephone"},
	{AddressPhone, "tel"},
	{AddressPhone, "phone_no"},
	{AddressPhone, "mobile_no"},
	{AddressPhone, "contact_number"},
	{AddressPhone, "contact_no"},
	{AddressPhone, "celular"},
	{AddressPhone, "movil"},
	{AddressPhone, "telemovel"},
	{AddressPhone, "cellulare"},
	{AddressPhone, "portable"},
	{AddressPhone, "gsm"},
	{AddressPhone, "handy"},
	{AddressPhone, "mobil"},
	{AddressPhone, "handphone"},
	{AddressPhone, "ponsel"},
	{AddressPhone, "hp"},
	{AddressPhone, "no_hp"},
	{AddressPhone, "nomor_hp"},
	{AddressPhone, "wa"},
	{AddressPhone, "no_wa"},
	{AddressPhone, "nomor_wa"},
	{AddressPhone, "mobail"},
	{AddressPhone, "telefono"},
	{AddressPhone, "telefone"},
	{AddressPhone, "telefon"},
	{AddressPhone, "telefonnummer"},
	{AddressPhone, "rufnummer"},
	{AddressPhone, "telepon"},
	{AddressPhone, "telp"},
	{AddressPhone, "number"},
	{AddressChat, "chat_id"},
	{AddressChat, "chatid"},
	{AddressChat, "group_id"},
}

// addressWords are parts of a header that hint at numbers of people.
var addressWords = []string{
	"whatsapp", "phone", "mobile", "msisdn",
	"handynummer", "mobilnummer", "handynr", "mobilnr", "handy", "mobil", "mobiltelefon", "movil", "celular", "telemovel", "cellulare", "portable",
	"handphone", "ponsel", "mobail",
	"telephone", "cell", "tel", "telefon", "telefonnummer", "telefonnr", "rufnummer", "telefono", "telefone", "telepon", "telp",
}

// guessAddress finds the address column by its header; -1 when none fits. A
// table of one column has no other choice.
func (t *table) guessAddress() (int, AddressKind) {
	for _, name := range addressNames {
		for i, h := range t.header {
			if t.slugs[i] != "" && (t.slugs[i] == name.slug || headerSlug(h, i) == name.slug) {
				return i, name.kind
			}
		}
	}
	for _, word := range addressWords {
		for i := range t.header {
			if t.slugs[i] != "" && slices.Contains(strings.Split(t.slugs[i], "_"), word) {
				return i, AddressPhone
			}
		}
	}
	if len(t.header) == 1 && t.slugs[0] != "" && !holdsNumber(t.header[0]) {
		return 0, AddressPhone
	}
	return -1, AddressPhone
}

// holdsNumber says whether a header rather is somebody's number: the file has
// no header line then.
func holdsNumber(h string) bool {
	digits := 0
	for _, r := range h {
		if unicode.IsDigit(r) {
			digits++
		}
	}
	return digits >= 7
}

// column finds a column by its header as written, without regard to case, or
// by its variable name; -1 when there is none.
func (t *table) column(name string) int {
	name = strings.TrimSpace(name)
	if i := slices.Index(t.header, name); i >= 0 {
		return i
	}
	for i, h := range t.header {
		if strings.EqualFold(h, name) {
			return i
		}
	}
	if name == "" {
		return -1
	}
	return slices.Index(t.slugs, name)
}

// missing tells that a column the campaign names is not in the file.
func (t *table) missing(line int64, field, want string) Problem {
	p := Problem{
		Code: csvColumnMissing, Line: line, Field: "recipients." + field, Value: shownValue(want),
		What: fmt.Sprintf("there is no column %q; there are %s", shownValue(want), t.list()),
	}
	if near := t.nearest(want); near != "" {
		p.Fix = fmt.Sprintf("did you mean %q?", near)
	} else {
		p.Fix = fmt.Sprintf("set recipients.%s to one of the headers", field)
	}
	return p
}

// list names the columns, the first dozen of them.
func (t *table) list() string {
	const most = 12
	var names []string
	for _, h := range t.header {
		if len(names) == most {
			names = append(names, fmt.Sprintf("and %d more", len(t.header)-most))
			break
		}
		names = append(names, shownValue(h))
	}
	return strings.Join(names, ", ")
}

// nearest is the header most like name, "" when none is like it.
func (t *table) nearest(name string) string { return shownValue(Nearest(name, t.header)) }

// headerSlug is the variable name of a header: lower-case ASCII letters,
// digits and single underscores ("First Name" → first_name, "Prénom" →
// prenom). A header without any becomes column_3, and a leading digit, which
// no template may begin a name with, is put behind "column_".
func headerSlug(header string, index int) string {
	var b strings.Builder
	gap := false
	for _, r := range norm.NFKD.String(header) {
		r = unicode.ToLower(r)
		switch {
		case r >= 'a' && r <= 'z' || r >= '0' && r <= '9':
			if gap && b.Len() > 0 {
				b.WriteByte('_')
			}
			gap = false
			b.WriteRune(r)
		case unicode.Is(unicode.Mn, r): // the accent of the letter before
		case r == '\'' || r == '’': // "customer's" is one word
		default:
			gap = true
		}
	}
	slug := b.String()
	switch {
	case slug == "":
		return fmt.Sprintf("column_%d", index+1)
	case slug[0] >= '0' && slug[0] <= '9':
		return "column_" + slug
	}
	return slug
}
