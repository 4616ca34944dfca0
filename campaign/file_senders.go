package campaign

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/nyaruka/phonenumbers"
	"go.yaml.in/yaml/v3"
)

var (
	// phoneID is the id Periskope gives a phone (send-message page, x-phone).
	phoneID = regexp.MustCompile(`^phone-[A-Za-z0-9_-]{1,64}$`)
	// numberDigits are the digits of an E.164 number (ITU-T E.164: at most 15).
	numberDigits = regexp.MustCompile(`^[1-9][0-9]{6,14}$`)
	// numberFiller is what people put between the digits of a number.
	numberFiller = strings.NewReplacer(" ", "", "-", "", "(", "", ")", "", ".", "", "\u00a0", "", "\u202f", "", "\u2011", "")
	scientific   = regexp.MustCompile(`^[0-9]+\.?[0-9]*[eE]\+?[0-9]+$`)
)

// senders reads the phones to send from. A number in YAML is taken as it is
// written, so quotes are good style and not a trap: a leading + or 0 is still
// seen. Country helps to recognize a number without its country code.
func (f *fileReader) senders(s section, country string) []string {
	const example = `senders: ["12015550123"]`
	if !s.has("senders") {
		s.wants("senders", "name the WhatsApp number to send from, with its country code: "+example)
		return nil
	}
	items := s.list("senders", example)
	if n := s.values["senders"]; n.Kind == yaml.SequenceNode && len(items) == 0 {
		s.quietly("senders", "there is no sender", "name at least one: "+example)
	}
	if len(items) > maxSenders {
		s.quietly("senders", fmt.Sprintf("a campaign has at most %d senders, not %d", maxSenders, len(items)), "make several campaigns of it")
		return nil
	}
	var senders []string
	seen := map[string]int{}
	for i, item := range items {
		sender, ok := f.sender(i+1, item, country)
		if !ok {
			continue
		}
		if first, double := seen[sender]; double {
			f.note(item, Problem{
				Code: problemValue, Field: "senders", Value: Phone(sender).String(),
				What: fmt.Sprintf("sender %d is the same as sender %d", i+1, first), Fix: "remove one of them",
			})
			continue
		}
		seen[sender] = i + 1
		senders = append(senders, sender)
	}
	return senders
}

// sender reads one of them, the number-th.
func (f *fileReader) sender(number int, n *yaml.Node, country string) (string, bool) {
	written := n.Value
	if tag := n.ShortTag(); n.Kind != yaml.ScalarNode || tag != "!!int" && tag != "!!float" {
		var ok bool
		if written, ok = f.text("senders", n); !ok {
			return "", false
		}
	} else if !f.plain("senders", n) {
		return "", false
	}
	written = strings.TrimSpace(written)
	if phoneID.MatchString(written) {
		return written, true
	}
	what, fix := fmt.Sprintf("sender %d is neither a phone number nor a phone id", number),
		`write all digits with the country code, in quotes, for example "12015550123"; or a Periskope phone id (phone-…)`
	digits := strings.TrimPrefix(numberFiller.Replace(written), "+")
	switch {
	case scientific.MatchString(written):
		what, fix = fmt.Sprintf("sender %d is written in scientific notation; its last digits are gone", number),
			"write all digits, in quotes"
	case strings.HasPrefix(digits, "00"):
		fix = "write the country code without 00 in front"
	case strings.HasPrefix(digits, "0"):
		what, fix = fmt.Sprintf("sender %d begins with 0, so its country code is missing", number),
			"write the country code in place of the 0"
		if code := phonenumbers.GetCountryCodeForRegion(country); code > 0 {
			fix = fmt.Sprintf("write %d in place of the 0", code)
		}
	case !numberDigits.MatchString(digits):
	default:
		code, ok := missingCountryCode(digits, country)
		if ok {
			return digits, true
		}
		what, fix = fmt.Sprintf("sender %d is not a number of any country", number), "check the digits and the country code in front"
		if code > 0 {
			what, fix = fmt.Sprintf("sender %d seems to lack its country code", number), fmt.Sprintf("write %d in front", code)
		}
	}
	f.note(n, Problem{Code: problemValue, Field: "senders", Value: safe(written, 40), What: what, Fix: fix})
	return "", false
}

// missingCountryCode says whether digits can be a whole international number.
// If they cannot, or are a valid number only with the calling code of country
// in front, ok is false; code is then that calling code. A number that is
// merely unusual passes: numbering plans change faster than our tables.
func missingCountryCode(digits, country string) (code int, ok bool) {
	number, err := phonenumbers.Parse("+"+digits, "")
	if err == nil && phonenumbers.IsValidNumber(number) {
		return 0, true
	}
	possible := err == nil && phonenumbers.IsPossibleNumber(number)
	if country != "" {
		national, err := phonenumbers.Parse(digits, country)
		if err == nil && phonenumbers.IsValidNumberForRegion(national, country) {
			return int(national.GetCountryCode()), false
		}
	}
	return 0, possible
}
