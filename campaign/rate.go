package campaign

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Bounds of a Rate that is a number. Above the upper one "unlimited" is what is
// meant; below the lower one a campaign would outlive its readers.
const (
	maxRatePerSecond = 10_000
	minRatePerDay    = 1
)

const unlimitedWord = "unlimited"

// rateUnits are the units of a rate, largest first, with every way of writing
// them; the first is how String writes it.
var rateUnits = []struct {
	per   time.Duration
	words []string
}{
	{24 * time.Hour, []string{"d", "day"}},
	{time.Hour, []string{"h", "hour"}},
	{time.Minute, []string{"m", "min", "minute"}},
	{time.Second, []string{"s", "sec", "second"}},
}

// ratePattern is also in the JSON Schema of the campaign file.
var ratePattern = regexp.MustCompile(`^([0-9]{1,7}(?:\.[0-9]{1,20})?) ?/ ?([0-9]{0,5}) ?(s|sec|second|m|min|minute|h|hour|d|day)$`)

// bareNumber is a rate without its unit, too short to be somebody's number.
var bareNumber = regexp.MustCompile(`^[0-9]{1,6}(?:\.[0-9]{1,3})?$`)

// ParseRate reads a rate as people write it: messages, a slash, and a unit of
// time: "20/m", "5/s", "100/h", "500/day", "0.5/s", "1/10s"; or "unlimited".
// The empty text is the zero Rate. A rate is at least one a day and at most
// 10,000 a second.
func ParseRate(s string) (Rate, error) {
	switch s {
	case "":
		return Rate{}, nil
	case unlimitedWord:
		return Rate{Unlimited: true}, nil
	}
	m := ratePattern.FindStringSubmatch(s)
	if m == nil {
		return Rate{}, badRate(s)
	}
	count, err := strconv.ParseFloat(m[1], 64)
	if err != nil {
		return Rate{}, badRate(s)
	}
	r := Rate{Count: count, Per: rateUnit(m[3])}
	if m[2] != "" {
		times, err := strconv.Atoi(m[2])
		if err != nil {
			return Rate{}, badRate(s)
		}
		r.Per *= time.Duration(times)
	}
	if err := r.check(); err != nil {
		return Rate{}, err
	}
	return r, nil
}

func rateUnit(word string) time.Duration {
	for _, u := range rateUnits {
		if slices.Contains(u.words, word) {
			return u.per
		}
	}
	return 0
}

// badRate says what a rate looks like, and which one s probably meant.
func badRate(s string) *Error {
	hint := `write messages per second, minute, hour or day: 20/m, 5/s, 100/h, 500/d; or "unlimited"`
	if number := strings.TrimSpace(s); bareNumber.MatchString(number) {
		hint = fmt.Sprintf("say per what: %s/m is per minute, %s/s per second, %s/h per hour", number, number, number)
	}
	return &Error{Code: CodeInvalid, What: fmt.Sprintf("%q is not a rate", safe(s, 40)), Hint: hint}
}

// check says whether r can be written and read back.
func (r Rate) check() error {
	switch {
	case r.IsZero(), r.Unlimited:
		return nil
	case r.Count <= 0 || r.Per < time.Second:
		return &Error{
			Code: CodeInvalid, What: "a rate of nothing would never end",
			Hint: "write at least 1/d; to stop a campaign, pause it",
		}
	case r.Per > 24*time.Hour || r.Per%time.Second != 0 || r.PerSecond()*86400 < minRatePerDay:
		return &Error{
			Code: CodeInvalid, What: "a rate is counted in whole seconds, up to a day, and is at least one a day",
			Hint: "write for example 1/10s, 30/h or 1/d",
		}
	case r.PerSecond() > maxRatePerSecond:
		return &Error{
			Code: CodeInvalid, What: "a rate above 10000/s is no limit",
			Hint: `write "unlimited"`,
		}
	}
	return nil
}

// String is the rate as ParseRate reads it; "" when not set.
func (r Rate) String() string {
	switch {
	case r.IsZero():
		return ""
	case r.Unlimited:
		return unlimitedWord
	}
	count := strconv.FormatFloat(r.Count, 'f', -1, 64)
	for _, u := range rateUnits {
		if r.Per >= u.per && r.Per%u.per == 0 {
			if times := r.Per / u.per; times > 1 {
				return fmt.Sprintf("%s/%d%s", count, times, u.words[0])
			}
			return count + "/" + u.words[0]
		}
	}
	return fmt.Sprintf("%s/%s", count, r.Per) // no rate ParseRate gives
}

// MarshalText lets JSON and YAML carry a rate as text. It refuses a rate that
// UnmarshalText would not take back.
func (r Rate) MarshalText() ([]byte, error) {
	if err := r.check(); err != nil {
		return nil, err
	}
	text := r.String()
	if text != "" && !r.Unlimited && !ratePattern.MatchString(text) {
		return nil, badRate(text)
	}
	return []byte(text), nil
}

// UnmarshalText reads what MarshalText wrote.
func (r *Rate) UnmarshalText(text []byte) error {
	parsed, err := ParseRate(string(text))
	if err != nil {
		return err
	}
	*r = parsed
	return nil
}
