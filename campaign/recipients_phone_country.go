package campaign

import (
	"strconv"

	"github.com/nyaruka/phonenumbers"
)

// Countries says which country a person's number belongs to. It remembers what
// it found out, so that a list of a million numbers takes a second, not half a
// minute. It is for one goroutine.
type Countries struct {
	plan  numberPlan
	alone map[int]string    // country code → its only region; "" when regions share it
	known map[string]string // front of a number → region, of shared codes
}

// NewCountries loads the numbering plans.
func NewCountries() (*Countries, error) {
	plan, err := numberPlans()
	if err != nil {
		return nil, err
	}
	return &Countries{plan: plan, alone: map[int]string{}, known: map[string]string{}}, nil
}

// maxFronts bounds what is remembered of countries that share a code. Those
// with one area after another (US, CA) need a few hundred.
const maxFronts = 1 << 14

// Of is the country a chat's number was issued in, as an ISO 3166 alpha-2
// code; where several share a country code and the number does not tell which,
// the largest. "" for groups and for what is no number. People carry their
// number abroad: this is no place.
func (c *Countries) Of(chat ChatID) string {
	digits := chat.Number()
	if chat.IsGroup() || digits == "" || digits[0] == '0' {
		return ""
	}
	for n := 1; n <= 3 && n < len(digits); n++ {
		number, err := strconv.Atoi(digits[:n])
		if err != nil {
			return ""
		}
		if _, ok := c.plan.code[number]; ok {
			return c.behind(number, digits)
		}
	}
	return ""
}

// behind is the country of digits, which begin with the country code.
func (c *Countries) behind(code int, digits string) string {
	region, ok := c.alone[code]
	if !ok {
		if all := phonenumbers.GetRegionCodesForCountryCode(code); len(all) == 1 && len(all[0]) == 2 {
			region = all[0]
		}
		c.alone[code] = region
	}
	if region != "" {
		return region
	}
	// In North America the area decides, elsewhere up to five digits more.
	front, whole := digits[:min(8, len(digits))], digits
	if code == 1 && len(digits) == 11 {
		front, whole = digits[:4], digits[:4]+"2345678"
	}
	region, ok = c.known[front]
	if !ok {
		region = regionOf(code, whole)
		if len(c.known) < maxFronts {
			c.known[front] = region
		}
	}
	return region
}

// regionOf asks libphonenumber; of a number it does not know as valid, the
// country code's main region is the best that can be said.
func regionOf(code int, digits string) string {
	if n, err := phonenumbers.Parse("+"+digits, ""); err == nil {
		if region := phonenumbers.GetRegionCodeForNumber(n); len(region) == 2 && region != "ZZ" {
			return region
		}
	}
	if region := phonenumbers.GetRegionCodeForCountryCode(code); len(region) == 2 && region != "ZZ" {
		return region
	}
	return ""
}
