package periskope

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
)

// MaxContacts is how many numbers one ContactsCheck may ask for. The API
// documents no limit; checking many numbers fast is what gets a number banned.
const MaxContacts = 50

// Contact is the answer for one number.
type Contact struct {
	Asked  string // the number as it was asked for
	ChatID string // WhatsApp's own address, which may differ from the number
	Exists bool   // on WhatsApp
	Known  bool   // the answer named this number; without it Exists says nothing
}

// String says what is known, never the number.
func (c Contact) String() string {
	return fmt.Sprintf("contact %s (known %t, exists %t)", MaskNumbers(digitsOf(c.Asked)), c.Known, c.Exists)
}

// GoString keeps %#v from printing the number.
func (c Contact) GoString() string { return c.String() }

// LogValue keeps structured logs from carrying the number.
func (c Contact) LogValue() slog.Value { return slog.StringValue(c.String()) }

type wireContact struct {
	ContactID string   `json:"contact_id"`
	Exists    flexBool `json:"exists"`
}

// ContactsCheck asks which numbers, digits with the country code, are on
// WhatsApp (POST /contacts/check). The answers are matched by digits, not by
// order, and come in the order of the numbers. Where one number and one answer
// are left over, they belong together: WhatsApp's address of a number may have
// other digits (Brazil, Mexico, Argentina).
func (c *Client) ContactsCheck(ctx context.Context, phone string, numbers []string) ([]Contact, Meta, error) {
	const op = "check contacts"
	if err := needPhone(op, phone); err != nil {
		return nil, Meta{}, err
	}
	if len(numbers) == 0 || len(numbers) > MaxContacts {
		return nil, Meta{}, &ArgumentError{Op: op, Name: "contact_ids", What: fmt.Sprintf("must hold 1 to %d numbers", MaxContacts)}
	}
	ids := make([]string, len(numbers))
	for i, number := range numbers {
		if ids[i] = digitsOf(number); ids[i] == "" {
			return nil, Meta{}, &ArgumentError{Op: op, Name: "contact_ids", What: "holds a number without digits"}
		}
	}
	body, err := json.Marshal(map[string][]string{"contact_ids": ids})
	if err != nil {
		return nil, Meta{}, &ArgumentError{Op: op, Name: "contact_ids", What: "cannot be written as JSON"}
	}
	request := call{op: op, method: http.MethodPost, url: c.url(nil, "contacts", "check"), phone: phone, body: body}
	answers, meta, err := get(ctx, c, request, decodeList[wireContact])
	if err != nil {
		return nil, meta, err
	}
	return matchContacts(numbers, ids, answers), meta, nil
}

func matchContacts(numbers, ids []string, answers []wireContact) []Contact {
	byDigits := make(map[string]wireContact, len(answers))
	for _, answer := range answers {
		byDigits[digitsOf(answer.ContactID)] = answer
	}
	contacts := make([]Contact, len(numbers))
	unmatched := -1 // index of the only number without an answer; -2 for several
	for i, id := range ids {
		contacts[i].Asked = numbers[i]
		answer, ok := byDigits[id]
		switch {
		case ok:
			contacts[i].fill(answer)
		case unmatched == -1:
			unmatched = i
		default:
			unmatched = -2
		}
	}
	for _, id := range ids {
		delete(byDigits, id)
	}
	if unmatched >= 0 && len(byDigits) == 1 {
		for _, answer := range byDigits {
			contacts[unmatched].fill(answer)
		}
	}
	return contacts
}

func (c *Contact) fill(answer wireContact) {
	c.ChatID, c.Exists, c.Known = answer.ContactID, bool(answer.Exists), true
}

// digitsOf is the digits of a number or of the part of a chat id before "@".
func digitsOf(s string) string {
	s, _, _ = strings.Cut(s, "@")
	return strings.Map(func(r rune) rune {
		if '0' <= r && r <= '9' {
			return r
		}
		return -1
	}, s)
}
