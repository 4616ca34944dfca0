package campaign

import (
	"log/slog"
	"strings"
)

// Suffixes of the two kinds of chat Periskope sends to
// (send-message page, "chat_id").
const (
	personSuffix = "@c.us"
	groupSuffix  = "@g.us"
)

// ChatID is the normalised address of a recipient: "<country code><number>@c.us"
// for a person, "<id>@g.us" for a group. It masks itself when printed or
// logged; string(id) gives the whole address to the code that must have it.
type ChatID string

// PersonChat is the chat of an E.164 number given as digits only.
func PersonChat(digits string) ChatID { return ChatID(digits + personSuffix) }

// IsGroup says whether the chat is a group.
func (c ChatID) IsGroup() bool { return strings.HasSuffix(string(c), groupSuffix) }

// Number is the address without its suffix: the E.164 digits of a person, the
// id of a group.
func (c ChatID) Number() string {
	number, _, _ := strings.Cut(string(c), "@")
	return number
}

// String is the masked form, e.g. "91******3210@c.us".
func (c ChatID) String() string {
	if c == "" {
		return ""
	}
	number, suffix, found := strings.Cut(string(c), "@")
	if found {
		suffix = "@" + suffix
	}
	return MaskDigits(number) + suffix
}

// GoString keeps %#v from printing the number.
func (c ChatID) GoString() string { return "campaign.ChatID(" + c.String() + ")" }

// LogValue keeps structured logs from carrying the number.
func (c ChatID) LogValue() slog.Value { return slog.StringValue(c.String()) }

// Phone is the number (or Periskope phone id) of one of our own senders. It
// masks itself like ChatID.
type Phone string

// String is the masked form; a phone id ("phone-…") is no number and stays.
func (p Phone) String() string {
	if strings.HasPrefix(string(p), "phone-") {
		return string(p)
	}
	return MaskDigits(string(p))
}

// GoString keeps %#v from printing the number.
func (p Phone) GoString() string { return "campaign.Phone(" + p.String() + ")" }

// LogValue keeps structured logs from carrying the number.
func (p Phone) LogValue() slog.Value { return slog.StringValue(p.String()) }

// MaskDigits hides the middle of a number: the first two and the last four
// characters stay, so that a person can tell two numbers apart and nobody can
// dial them. Six characters or fewer are hidden whole.
func MaskDigits(s string) string {
	if len(s) <= 6 {
		return strings.Repeat("*", len(s))
	}
	return s[:2] + strings.Repeat("*", len(s)-6) + s[len(s)-4:]
}
