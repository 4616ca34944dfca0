package app

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/go-viper/mapstructure/v2"

	"github.com/herald-campaigns/herald/campaign"
)

// wrongTypes says which values of the configuration are not what their keys
// take, and where they came from. The values themselves are left out: one may
// be a secret.
func wrongTypes(err error, origin map[string]string) error {
	bad := wrongValues(err)
	if len(bad) == 0 {
		return &campaign.Error{Code: campaign.CodeInvalid, What: "read configuration", Hint: "`herald init` writes a commented herald.yaml", Err: err}
	}
	words, hints := make([]string, len(bad)), []string{}
	for i, one := range bad {
		key := keyOf(one.Name())
		words[i] = fmt.Sprintf("%s: %s %s", place(origin, key, "configuration"), masked(key), wrongType(one))
		hints = append(hints, campaign.HintsOf(one)...)
	}
	slices.Sort(words)
	refusal := &campaign.Error{Code: campaign.CodeInvalid, What: strings.Join(words, "; "), Hint: "`herald init` writes a commented herald.yaml"}
	if len(hints) > 0 {
		refusal.Hint = hints[0]
	}
	return refusal
}

// wrongValues are the innermost errors that name a key.
func wrongValues(err error) []*mapstructure.DecodeError {
	if several, ok := err.(interface{ Unwrap() []error }); ok {
		var all []*mapstructure.DecodeError
		for _, one := range several.Unwrap() {
			all = append(all, wrongValues(one)...)
		}
		return all
	}
	if one := errors.Unwrap(err); one != nil {
		if inner := wrongValues(one); len(inner) > 0 {
			return inner
		}
	}
	if bad, ok := err.(*mapstructure.DecodeError); ok { //nolint:errorlint // each layer is looked at
		return []*mapstructure.DecodeError{bad}
	}
	return nil
}

// wrongType says what a value should be.
func wrongType(bad *mapstructure.DecodeError) string {
	var kind reflect.Type
	if parse, ok := errors.AsType[*mapstructure.ParseError](bad); ok {
		kind = parse.Expected.Type()
	} else if convert, ok := errors.AsType[*mapstructure.UnconvertibleTypeError](bad); ok {
		kind = convert.Expected.Type()
	} else if ours, ok := errors.AsType[*campaign.Error](bad); ok {
		return "is wrong: " + ours.Error()
	} else {
		return "has a value of the wrong kind"
	}
	switch kind.Kind() {
	case reflect.Bool:
		return "is true or false"
	case reflect.Int, reflect.Int64, reflect.Uint64, reflect.Uint:
		return "is a whole number"
	case reflect.Float64:
		return "is a number"
	case reflect.String:
		return "is a text"
	case reflect.Slice:
		return "is a list"
	default:
		return "has a value of the wrong kind"
	}
}

// keyOf is a key as a person writes it: senders.12015550123.in_flight for
// senders[12015550123].InFlight.
func keyOf(name string) string {
	name = fieldStart.ReplaceAllString(strings.NewReplacer("[", ".", "]", "").Replace(name), "${1}_${2}")
	return strings.ToLower(name)
}

var fieldStart = regexp.MustCompile(`([a-z])([A-Z])`)

// asWritten refuses what the decoder would bend to fit: 1.5 would become 1, -1 a
// number of twenty digits, true a 1, and nothing a 0.
func asWritten(from, to reflect.Value) (any, error) {
	value := from.Interface()
	bent := false
	switch to.Kind() { //nolint:exhaustive // the configuration has no others, or they are not bent
	case reflect.Int, reflect.Uint64:
		switch from.Kind() { //nolint:exhaustive // the rest is refused, or is what it says
		case reflect.Float64:
			bent = from.Float() != math.Trunc(from.Float()) || math.Abs(from.Float()) > 1<<53
		case reflect.Int, reflect.Int64:
			bent = to.Kind() == reflect.Uint64 && from.Int() < 0
		case reflect.Uint64:
			bent = to.Kind() == reflect.Int && from.Uint() > math.MaxInt
		case reflect.String:
			bent = from.Len() == 0
		case reflect.Bool:
			bent = true
		}
	case reflect.Float64:
		bent = from.Kind() == reflect.Bool || from.Kind() == reflect.String && from.Len() == 0
	case reflect.String:
		bent = from.Kind() == reflect.Bool
	}
	if bent {
		return nil, &mapstructure.UnconvertibleTypeError{Expected: to, Value: value}
	}
	return value, nil
}
