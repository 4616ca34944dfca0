package campaign

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode"

	"github.com/nyaruka/phonenumbers"
)

// AddressParser turns the cells of the address column into chats. It is safe
// for many goroutines.
//
// A number counts as one when its country code exists and it has the length of
// a mobile or fixed line there, or when libphonenumber knows it as valid. Mere
// validity would be stricter, but its tables lag behind the number ranges that
// countries open (and refuse the British numbers reserved for drama, 07700
// 900xxx): people with new numbers would be left out. A number nobody has
// costs one failed message.
//
// Bare digits, without + or 00, are read with the campaign's country: first as
// a number of that country, with or without its country code; then, from
// eleven digits on, as an international number if libphonenumber knows it as
// valid. Without a country they must have twelve digits or more and be valid,
// for shorter ones are national numbers somewhere: 51987654321 is a mobile
// phone in Porto Alegre, and one in Peru.
//
// Countries with habits of their own:
//
//   - Mexico: the 1 behind 52, which mobile numbers had until 2019 and WhatsApp
//     still shows, is dropped from phone numbers (E.164 has none). In an
//     explicit chat id (521…@c.us) it stays, yet both count as one person.
//   - Argentina: a number written the national way with 15 becomes 549…; one
//     without 9 or 15 cannot be told from a fixed line and stays.
//   - Brazil: the ninth digit is neither added nor removed.
type AddressParser struct {
	kind AddressKind
	home string // region; "" when the campaign names none
	plan numberPlan
	own  callingCode // of home
}

// NewAddressParser checks country, an ISO 3166 alpha-2 code or "".
func NewAddressParser(country string, kind AddressKind) (*AddressParser, error) {
	plan, err := numberPlans()
	if err != nil {
		return nil, fmt.Errorf("load phone metadata: %w", err)
	}
	p := &AddressParser{kind: kind, home: strings.ToUpper(strings.TrimSpace(country)), plan: plan}
	if p.home == "" {
		return p, nil
	}
	own, ok := plan.region[p.home]
	if !ok {
		fix := "write an ISO 3166 code of two letters, e.g. IN, US, BR"
		if p.home == "UK" {
			fix = "the United Kingdom is GB"
		}
		return nil, Reject(Problem{
			Code: csvCountryUnknown, Field: "recipients.country", Value: shownValue(country),
			What: "there is no such country", Fix: fix,
		})
	}
	// Countries that share a code (US and CA) share the lengths of its main one,
	// as in libphonenumber.
	if number, err := strconv.Atoi(own.code); err == nil {
		own.lengths = plan.code[number].lengths
	}
	p.own = own
	return p, nil
}

// Parse reads one cell. The problem, if any, has a code, the value as it may
// be shown, and the fix; where the cell is, its caller knows.
//
// Understood are spaces, dashes, dots, slashes and parentheses, + and 00, a
// leading apostrophe, tel:, whatsapp: and wa.me links, digits of any script,
// and chat ids: …@c.us and …@s.whatsapp.net (a person), …@g.us (a group, in a
// phone column too).
func (p *AddressParser) Parse(cell string) (ChatID, *Problem) {
	if number, ok := p.quickCell(cell); ok {
		return PersonChat(number), nil
	}
	return p.parse(cell, true)
}

// parse reads a cell. Without the shortcut, numbers always go through
// libphonenumber.
func (p *AddressParser) parse(cell string, shortcut bool) (ChatID, *Problem) {
	text := strings.TrimSpace(strings.Map(dropInvisible, cell))
	text, worldwide := trimPrefixes(text)
	if text == "" {
		return "", problemAt(cell, csvPhoneEmpty, "the row has no "+p.noun(), "fill it in, or delete the row")
	}
	if strings.Contains(text, "@") {
		return parseChat(cell, text)
	}
	if strings.ContainsAny(text, "eE") && scientificCell.MatchString(text) {
		return "", problemAt(cell, csvPhoneScientific,
			"a spreadsheet stored this number in scientific notation; its last digits are gone",
			"format the column as Text, enter the numbers again and export anew")
	}
	if strings.HasSuffix(text, "0") && strings.ContainsAny(text, ".,") {
		// "919999990001.0": a number that went through a program as a float.
		if m := trailingZero.FindStringSubmatch(text); m != nil {
			text = m[1]
		}
	}
	plus, digits, problem := cleanNumber(cell, text)
	if problem != nil {
		return "", problem
	}
	if rest, ok := strings.CutPrefix(digits, "00"); ok && !plus {
		plus, digits = true, rest
	}
	worldwide = worldwide || plus || p.kind == AddressChat
	if shortcut {
		if number, ok := p.quick(digits, worldwide); ok {
			return PersonChat(number), nil
		}
	}
	var number string
	if worldwide {
		number, problem = p.international(cell, digits)
	} else {
		number, problem = p.national(cell, digits)
	}
	if problem != nil {
		return "", problem
	}
	if len(number) < minE164 || len(number) > maxE164 {
		return "", lengthProblem(cell, digits, "")
	}
	return PersonChat(number), nil
}

func (p *AddressParser) noun() string {
	if p.kind == AddressChat {
		return "chat id"
	}
	return "phone number"
}

// trailingZero is a whole number as a float prints it.
var trailingZero = regexp.MustCompile(`^(\+?\d{7,})[.,]0+$`)

func problemAt(cell, code, what, fix string) *Problem {
	return &Problem{Code: code, Value: shownValue(cell), What: what, Fix: fix}
}

// dropInvisible removes what address books wrap numbers in: direction marks,
// zero-width spaces, byte order marks.
func dropInvisible(r rune) rune {
	if unicode.Is(unicode.Cf, r) {
		return -1
	}
	return r
}

// trimPrefixes takes off what may stand before a number. worldwide says that
// the prefix implies a country code.
func trimPrefixes(s string) (rest string, worldwide bool) {
	s = strings.TrimLeft(s, "'’`")
	for _, prefix := range []struct {
		text      string
		worldwide bool
	}{
		{"https://", false},
		{"http://", false},
		{"wa.me/", true},
		{"api.whatsapp.com/send?phone=", true},
		{"whatsapp:", false},
		{"tel:", false},
	} {
		if len(s) >= len(prefix.text) && strings.EqualFold(s[:len(prefix.text)], prefix.text) {
			s = s[len(prefix.text):]
			worldwide = worldwide || prefix.worldwide
		}
	}
	return strings.TrimSpace(s), worldwide
}

// cleanNumber keeps the + in front and the digits, mapped to ASCII.
func cleanNumber(cell, text string) (plus bool, digits string, problem *Problem) {
	var b strings.Builder
	for _, r := range text {
		switch {
		case r >= '0' && r <= '9':
			b.WriteByte(byte(r))
		case r == ' ' || r == '-':
		case (r == '+' || r == '＋') && b.Len() == 0 && !plus:
			plus = true
		case unicode.IsDigit(r):
			b.WriteByte(asciiDigit(r))
		case isPhonePunctuation(r) && r != '+' && r != '＋':
		default:
			what := "this is not a phone number"
			if b.Len() >= 7 {
				what = "there is more than one phone number here"
			}
			return false, "", problemAt(cell, csvPhoneInvalid, what, "leave the number alone in its cell: no words, no extension, no second number")
		}
	}
	if b.Len() == 0 {
		return false, "", problemAt(cell, csvPhoneInvalid, "this is not a phone number", "write the number with its country code, e.g. +1 201 555 0123")
	}
	return plus, b.String(), nil
}

// isPhonePunctuation says whether r may stand between the digits of a number.
func isPhonePunctuation(r rune) bool {
	switch r {
	case '+', '＋', '.', '(', ')', '[', ']', '/', '·', '−', '\t':
		return true
	}
	return unicode.Is(unicode.Zs, r) || unicode.Is(unicode.Pd, r)
}

// asciiDigit is a decimal digit of any script in ASCII: Unicode lists them
// in runs of ten from zero on.
func asciiDigit(r rune) byte {
	for _, run := range unicode.Nd.R16 {
		if at := int64(r) - int64(run.Lo); at >= 0 && int64(r) <= int64(run.Hi) {
			return "0123456789"[at%10]
		}
	}
	for _, run := range unicode.Nd.R32 {
		if at := int64(r) - int64(run.Lo); at >= 0 && int64(r) <= int64(run.Hi) {
			return "0123456789"[at%10]
		}
	}
	return '0'
}

// maxE164 is the longest number E.164 allows, country code included. minE164
// is ours: shorter ones are switchboards and services, and no chat ids.
const (
	maxE164 = 15
	minE164 = 7
)

// international reads digits that begin with a country code.
func (p *AddressParser) international(cell, digits string) (string, *Problem) {
	if len(digits) == 13 && strings.HasPrefix(digits, "521") {
		digits = "52" + digits[3:]
	}
	n, err := phonenumbers.Parse("+"+digits, "")
	if err != nil {
		if errors.Is(err, phonenumbers.ErrInvalidCountryCode) {
			return "", problemAt(cell, csvPhoneCountry, "no country has this country code", "check the first digits behind the +")
		}
		return "", lengthProblem(cell, digits, withCode)
	}
	if p.plausible(n) {
		return e164(n), nil
	}
	if possible := phonenumbers.IsPossibleNumberWithReason(n); possible == phonenumbers.INVALID_COUNTRY_CODE {
		return "", problemAt(cell, csvPhoneCountry, "no country has this country code", "check the first digits behind the +")
	}
	return "", lengthProblem(cell, digits, withCode)
}

// national reads digits that stand without + or 00.
func (p *AddressParser) national(cell, digits string) (string, *Problem) {
	if len(digits) < 5 {
		where := ""
		if p.home != "" {
			where = " in " + p.home
		}
		return "", lengthProblem(cell, digits, where)
	}
	if p.home == "" {
		if number, ok := p.knownAbroad(digits); ok && len(digits) >= 12 {
			return number, nil
		}
		return "", problemAt(cell, csvPhoneNoCountry, "the number has no country code",
			"set recipients.country to the country of such numbers (e.g. IN), or write them with + and the country code")
	}
	if p.ownInternational(digits) {
		return p.international(cell, digits)
	}
	n, err := phonenumbers.Parse(digits, p.home)
	if err == nil && phonenumbers.IsValidNumber(n) {
		return e164(n), nil
	}
	if len(digits) >= 11 {
		// A 0 before the country code is a common slip; no country code
		// begins with one.
		if number, ok := p.knownAbroad(strings.TrimPrefix(digits, "0")); ok {
			return number, nil
		}
	}
	if err == nil && p.plausible(n) {
		return e164(n), nil
	}
	problem := lengthProblem(cell, digits, " in "+p.home)
	problem.Fix = "check the number; one from another country needs + and its country code"
	return "", problem
}

// ownInternational says whether digits are a number of the campaign's country
// with its country code in front, by their lengths: too many for a national
// number, and the right many behind the code.
func (p *AddressParser) ownInternational(digits string) bool {
	rest, ok := strings.CutPrefix(digits, p.own.code)
	return ok && len(digits) >= 11 && !p.own.has(len(digits)) && p.own.has(len(rest)) && rest[0] != '0'
}

// knownAbroad reads digits with a country code that libphonenumber knows as a
// valid number.
func (p *AddressParser) knownAbroad(digits string) (string, bool) {
	if len(digits) == 13 && strings.HasPrefix(digits, "521") {
		digits = "52" + digits[3:]
	}
	n, err := phonenumbers.Parse("+"+digits, "")
	if err != nil || !phonenumbers.IsValidNumber(n) {
		return "", false
	}
	return e164(n), true
}

// plausible is the rule of AddressParser: the length of a mobile or fixed
// line, or known as valid.
func (p *AddressParser) plausible(n *phonenumbers.PhoneNumber) bool {
	code := p.plan.code[int(n.GetCountryCode())]
	return code.has(len(phonenumbers.GetNationalSignificantNumber(n))) && settled(n) || phonenumbers.IsValidNumber(n)
}

// settled says whether the number as we write it is read as itself. After the
// trunk prefix was taken off ("+44 (0)7700…") a second one may stand behind the
// country code; the number would shrink every time it is read.
func settled(n *phonenumbers.PhoneNumber) bool {
	number := e164(n)
	again, err := phonenumbers.Parse("+"+number, "")
	return err == nil && e164(again) == number
}

// e164 is the number as digits only.
func e164(n *phonenumbers.PhoneNumber) string {
	return strings.TrimPrefix(phonenumbers.Format(n, phonenumbers.E164), "+")
}

// withCode says where digits with a country code make no number.
const withCode = " with this country code"

// lengthProblem is about digits that make no number, for instance in the country
// that was named.
func lengthProblem(cell, digits, where string) *Problem {
	return problemAt(cell, csvPhoneLength, fmt.Sprintf("%d digits do not make a phone number%s", len(digits), where),
		"check for a missing or an extra digit, or a missing area code")
}

var (
	personID = regexp.MustCompile(`^[1-9][0-9]{6,14}$`)
	// A group is named by 18 digits or so; older ones by their founder's
	// number, a dash and a time.
	groupID = regexp.MustCompile(`^[0-9]{10,30}(?:-[0-9]{6,20})?$`)
)

// parseChat reads a WhatsApp chat id as exports write it. The id is taken as
// it is: WhatsApp made it.
func parseChat(cell, text string) (ChatID, *Problem) {
	id, suffix, _ := strings.Cut(text, "@")
	switch strings.ToLower(suffix) {
	case "c.us", "s.whatsapp.net":
		id, _, _ = strings.Cut(strings.TrimPrefix(id, "+"), ":") // "…:12@s.whatsapp.net" names a device
		if personID.MatchString(id) {
			return PersonChat(id), nil
		}
		return "", problemAt(cell, csvPhoneInvalid, "a person's chat id is the whole number in digits, then @c.us", "write it like 12015550123@c.us")
	case "g.us":
		if groupID.MatchString(id) {
			return ChatID(id + groupSuffix), nil
		}
		return "", problemAt(cell, csvPhoneInvalid, "this is no group id", "a group's chat id looks like 120363012345678901@g.us")
	case "lid", "newsletter", "broadcast":
		return "", problemAt(cell, csvChatUnsupported, "messages cannot be sent to @"+strings.ToLower(suffix)+" chats",
			"use the person's number, or a group's …@g.us id")
	}
	return "", problemAt(cell, csvPhoneInvalid, "this is neither a phone number nor a chat id", "write the number with its country code, or …@c.us, or …@g.us")
}
