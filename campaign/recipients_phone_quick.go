package campaign

import (
	"regexp"
	"strconv"
	"strings"
	"sync"

	"github.com/nyaruka/phonenumbers"
)

// callingCode is what the shortcut must know of the numbers behind a country
// code.
type callingCode struct {
	code    string
	lengths uint32 // bit n: mobile or fixed numbers of n digits, without the code
	// trunk matches what libphonenumber may take off the front of a national
	// number: the trunk prefix (0, 1, 8), carrier codes. nil when there is none.
	trunk *regexp.Regexp
	// abroad matches the front of a number dialed out of the country (00, 011).
	abroad *regexp.Regexp
}

// has says whether numbers of n digits exist behind the code.
func (c callingCode) has(n int) bool { return n < 32 && c.lengths&(1<<n) != 0 }

// numberPlan is what the shortcut knows of the world, by country code and by
// region.
type numberPlan struct {
	code   map[int]callingCode
	region map[string]callingCode
}

// numberPlans is computed once and never changed. The metadata is the one
// libphonenumber itself reads; its accessor is not safe for two goroutines.
var numberPlans = sync.OnceValues(func() (numberPlan, error) {
	collection, err := phonenumbers.MetadataCollection()
	if err != nil {
		return numberPlan{}, err
	}
	plan := numberPlan{code: make(map[int]callingCode), region: make(map[string]callingCode)}
	for _, m := range collection.GetMetadata() {
		number := int(m.GetCountryCode())
		c := callingCode{
			code:    strconv.Itoa(number),
			lengths: lineLengths(m),
			trunk:   front(m.GetNationalPrefixForParsing()),
			abroad:  front(m.GetInternationalPrefix()),
		}
		// "001" is no region but the code's own numbering.
		if m.GetId() != phonenumbers.REGION_CODE_FOR_NON_GEO_ENTITY {
			plan.region[m.GetId()] = c
		}
		if m.GetId() == phonenumbers.GetRegionCodeForCountryCode(number) {
			plan.code[number] = c
		}
	}
	return plan, nil
})

// lineLengths is the set of lengths of mobile and fixed lines, from
// possibleLengths of the metadata: none listed means those of the country, -1
// that there are no such lines.
func lineLengths(m *phonenumbers.PhoneMetadata) uint32 {
	var set uint32
	for _, desc := range []*phonenumbers.PhoneNumberDesc{m.GetMobile(), m.GetFixedLine()} {
		lengths := desc.GetPossibleLength()
		if len(lengths) == 0 {
			lengths = m.GetGeneralDesc().GetPossibleLength()
		}
		for _, n := range lengths {
			if n > 0 && n < 32 {
				set |= 1 << n
			}
		}
	}
	return set
}

func front(pattern string) *regexp.Regexp {
	if pattern == "" {
		return nil
	}
	return regexp.MustCompile("^(?:" + pattern + ")")
}

// quickCell is quick for a cell that is nothing but a number already: an
// optional +, then ASCII digits.
func (p *AddressParser) quickCell(cell string) (string, bool) {
	digits, plus := strings.CutPrefix(cell, "+")
	for i := range len(digits) {
		if digits[i] < '0' || digits[i] > '9' {
			return "", false
		}
	}
	return p.quick(digits, plus || p.kind == AddressChat)
}

// quick reads the numbers that make up nearly all of a list, many times as
// fast as libphonenumber: of a country code and length that exist, where no
// rule can take a digit off. It gives what libphonenumber gives, or nothing; a
// test compares them.
func (p *AddressParser) quick(digits string, worldwide bool) (string, bool) {
	if len(digits) < 7 || len(digits) > maxE164 || digits[0] == '0' {
		return "", false
	}
	if !worldwide {
		if p.home == "" {
			return "", false
		}
		if !p.ownInternational(digits) {
			return p.quickNational(digits)
		}
	}
	// No country code is the front of another one.
	for n := 1; n <= 3; n++ {
		number, _ := strconv.Atoi(digits[:n]) // three digits at most
		code, ok := p.plan.code[number]
		if !ok {
			continue
		}
		rest := digits[n:]
		return digits, code.has(len(rest)) && rest[0] != '0' && !matches(code.trunk, rest)
	}
	return "", false
}

// quickNational reads a national number that can be nothing else: too short
// for a foreign one, and with no prefix in front.
func (p *AddressParser) quickNational(digits string) (string, bool) {
	if len(digits) > 10 || !p.own.has(len(digits)) || strings.HasPrefix(digits, p.own.code) ||
		matches(p.own.trunk, digits) || matches(p.own.abroad, digits) {
		return "", false
	}
	return p.own.code + digits, true
}

func matches(re *regexp.Regexp, s string) bool { return re != nil && re.MatchString(s) }
