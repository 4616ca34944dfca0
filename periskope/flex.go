package periskope

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math"
	"strconv"
	"strings"
	"time"
)

// FlexInt is a whole number that comes as 3, "3", 3.0, null or "". It never
// fails: one odd field must not cost the whole answer.
type FlexInt struct {
	V   int64
	Set bool // false for null, absent and unreadable
}

// UnmarshalJSON reads any of the forms.
func (f *FlexInt) UnmarshalJSON(b []byte) error {
	*f = FlexInt{}
	x, err := strconv.ParseFloat(strings.Trim(string(b), `" `), 64)
	if err != nil || math.IsNaN(x) || math.Abs(x) > 1<<53 {
		return nil //nolint:nilerr // an unreadable number is one that is not set: it must not spoil the payload
	}
	f.V, f.Set = int64(x), true
	return nil
}

// MarshalJSON writes a number, or null when not set.
func (f FlexInt) MarshalJSON() ([]byte, error) {
	if !f.Set {
		return []byte("null"), nil
	}
	return strconv.AppendInt(nil, f.V, 10), nil
}

// flexBool is a truth value that comes as true, "true", 1, "1" or null.
type flexBool bool

func (f *flexBool) UnmarshalJSON(b []byte) error {
	s := strings.ToLower(strings.Trim(string(b), `" `))
	*f = s == "true" || s == "1"
	return nil
}

// FlexTime is a time that comes in any of the provider's five forms:
// "2024-05-13 11:19:34+00", RFC 3339 with or without fraction and with any
// offset, and epoch seconds or milliseconds as number or string. Null, empty
// and unreadable are the zero time. It is always UTC.
type FlexTime struct{ time.Time }

var timeLayouts = []string{
	time.RFC3339, // a fraction is accepted without being named
	"2006-01-02T15:04:05Z07",
	"2006-01-02T15:04:05Z0700",
	"2006-01-02T15:04:05",
	"2006-01-02",
}

// ParseTime reads any of the forms of FlexTime. What cannot be read, and any
// time outside the years 1970 to 9999, is the zero time.
func ParseTime(s string) time.Time {
	s = strings.TrimSpace(s)
	if s == "" || len(s) > 64 {
		return time.Time{}
	}
	if n, err := strconv.ParseFloat(s, 64); err == nil {
		return epoch(n)
	}
	if len(s) > 10 && s[10] == ' ' {
		s = s[:10] + "T" + s[11:]
	}
	for _, layout := range timeLayouts {
		if t, err := time.Parse(layout, s); err == nil {
			return inRange(t)
		}
	}
	return time.Time{}
}

// epoch takes seconds, milliseconds or microseconds, told apart by their size:
// 1e11 seconds is the year 5138, 1e11 milliseconds is 1973.
func epoch(n float64) time.Time {
	switch {
	case math.IsNaN(n) || n <= 0 || n >= 1e17:
		return time.Time{}
	case n >= 1e14:
		return inRange(time.UnixMicro(int64(n)))
	case n >= 1e11:
		return inRange(time.UnixMilli(int64(n)))
	default:
		return inRange(time.UnixMilli(int64(n * 1e3)))
	}
}

func inRange(t time.Time) time.Time {
	t = t.UTC()
	if t.Year() < 1970 || t.Year() > 9999 {
		return time.Time{}
	}
	return t
}

// UnmarshalJSON reads any of the forms.
func (f *FlexTime) UnmarshalJSON(b []byte) error {
	f.Time = time.Time{}
	var s string
	if len(b) > 0 && b[0] == '"' {
		if err := json.Unmarshal(b, &s); err != nil {
			return nil //nolint:nilerr // one odd field must not cost the whole answer
		}
	} else {
		s = string(b)
	}
	f.Time = ParseTime(s)
	return nil
}

// MarshalJSON writes RFC 3339 in UTC with milliseconds, or null for the zero
// time.
func (f FlexTime) MarshalJSON() ([]byte, error) {
	if f.IsZero() {
		return []byte("null"), nil
	}
	return []byte(f.UTC().Format(`"2006-01-02T15:04:05.000Z"`)), nil
}

// decode reads JSON into v. A field of another type than expected is left
// empty (encoding/json reads the rest all the same); only what is no JSON, or
// altogether something else, is an error.
func decode(b []byte, v any) error {
	return tolerate(json.Unmarshal(b, v))
}

// tolerate forgives a field of another type than expected.
func tolerate(err error) error {
	var odd *json.UnmarshalTypeError
	if errors.As(err, &odd) && odd.Field != "" {
		return nil
	}
	return err
}

// listKeys are the names under which a list was seen, or may come, inside an
// object.
var listKeys = []string{"data", "jobs", "queues", "messages", "phones", "contacts", "results", "items"}

// decodeList reads a list that comes as an array, as an array inside an
// object, or, when it has one element, as that element. Null is an empty list.
func decodeList[T any](b []byte) ([]T, error) {
	b = bytes.TrimSpace(b)
	if bytes.Equal(b, []byte("null")) {
		return nil, nil
	}
	if len(b) > 0 && b[0] == '{' {
		var object map[string]json.RawMessage
		if err := json.Unmarshal(b, &object); err != nil {
			return nil, err
		}
		for _, key := range listKeys {
			if inner := object[key]; len(inner) > 0 && inner[0] == '[' {
				var list []T
				err := decode(inner, &list)
				return list, err
			}
		}
		list := make([]T, 1)
		err := decode(b, &list[0])
		return list, err
	}
	var list []T
	err := decode(b, &list)
	return list, err
}

// eachOf is decodeList for a list that may be too long to be held: what comes
// as an array is read element by element, and each is shown and let go. After
// an error, what was shown does not count.
func eachOf[T any](r io.Reader, show func(T)) error {
	text := bufio.NewReader(r)
	if first, err := firstOf(text); err != nil || first != '[' {
		rest, _ := io.ReadAll(text) // an answer that was cut says so itself
		list, err := decodeList[T](rest)
		for _, element := range list {
			show(element)
		}
		return err
	}
	in := json.NewDecoder(text)
	if _, err := in.Token(); err != nil {
		return err
	}
	for in.More() {
		var element T
		if err := tolerate(in.Decode(&element)); err != nil {
			return err
		}
		show(element)
	}
	if _, err := in.Token(); err != nil { // the closing bracket
		return err
	}
	if _, err := in.Token(); !errors.Is(err, io.EOF) {
		return errors.Join(errTrailing, err)
	}
	return nil
}

var errTrailing = errors.New("the answer goes on after its end")

// firstOf is the first byte that is no space; it is left to be read.
func firstOf(text *bufio.Reader) (byte, error) {
	for {
		b, err := text.ReadByte()
		if err != nil || !strings.ContainsRune(" \t\r\n", rune(b)) {
			return b, errors.Join(err, text.UnreadByte())
		}
	}
}
