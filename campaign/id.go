package campaign

import (
	"fmt"
	"strings"

	"github.com/oklog/ulid/v2"
)

// ID names one campaign: "cmp_" followed by a ULID. It sorts by creation time
// and selects with one double click.
type ID string

const idPrefix = "cmp_"

// NewID mints a campaign ID.
func NewID() ID { return ID(idPrefix + ulid.Make().String()) }

// ParseID checks that s has the form NewID gives.
func ParseID(s string) (ID, error) {
	rest, ok := strings.CutPrefix(s, idPrefix)
	if ok {
		if _, err := ulid.ParseStrict(rest); err == nil {
			return ID(s), nil
		}
	}
	return "", &Error{
		Code: CodeInvalid,
		What: fmt.Sprintf("%q is not a campaign id", s),
		Hint: "`herald campaigns` lists them; an id looks like cmp_01JD…",
	}
}

// SenderID names one sending phone inside Herald: "snd_" and a ULID. Subjects,
// consumers and log lines carry it, so that none of them carries a number.
type SenderID string

// NewSenderID mints a sender ID.
func NewSenderID() SenderID { return SenderID("snd_" + ulid.Make().String()) }
