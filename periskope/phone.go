package periskope

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"
)

// Phone is one WhatsApp number of the organization (dossier §9.1). It does
// not print its number.
type Phone struct {
	OrgPhone    string // "<digits>@c.us"
	PhoneID     string // "phone-…"
	Name        string
	WAState     string // "CONNECTED", "DISCONNECTED"; the list is not published
	Ready       bool
	UpdatedAt   time.Time
	ConnectedAt time.Time // first connected
}

// Connected says whether the phone can send.
func (p Phone) Connected() bool { return p.Ready && strings.EqualFold(p.WAState, "CONNECTED") }

// Is says whether x-phone, digits or a phone id, names this phone.
func (p Phone) Is(xPhone string) bool {
	number, _, _ := strings.Cut(p.OrgPhone, "@")
	return xPhone != "" && (xPhone == number || xPhone == p.PhoneID)
}

// String names the phone by its id, never by its number.
func (p Phone) String() string {
	return fmt.Sprintf("%s (%s, ready %t)", MaskNumbers(cut(first(p.PhoneID, digitsOf(p.OrgPhone)), 128)), MaskNumbers(p.WAState), p.Ready)
}

// GoString keeps %#v from printing the number.
func (p Phone) GoString() string { return p.String() }

// LogValue keeps structured logs from carrying the number.
func (p Phone) LogValue() slog.Value { return slog.StringValue(p.String()) }

// UnmarshalJSON reads a phone object of the REST API or of a webhook.
func (p *Phone) UnmarshalJSON(b []byte) error {
	var w struct {
		OrgPhone         string   `json:"org_phone"`
		PhoneID          string   `json:"phone_id"`
		PhoneName        string   `json:"phone_name"`
		WAState          string   `json:"wa_state"`
		IsReady          flexBool `json:"is_ready"`
		UpdatedAt        FlexTime `json:"updated_at"`
		FirstConnectedAt FlexTime `json:"first_connected_at"`
	}
	if err := decode(b, &w); err != nil {
		return err
	}
	*p = Phone{
		OrgPhone:    w.OrgPhone,
		PhoneID:     w.PhoneID,
		Name:        w.PhoneName,
		WAState:     cut(w.WAState, 64),
		Ready:       bool(w.IsReady),
		UpdatedAt:   w.UpdatedAt.Time,
		ConnectedAt: w.FirstConnectedAt.Time,
	}
	return nil
}

// Phones lists all phones of the organization (GET /phones/all).
func (c *Client) Phones(ctx context.Context) ([]Phone, Meta, error) {
	request := call{op: "list phones", method: http.MethodGet, url: c.url(nil, "phones", "all")}
	return get(ctx, c, request, decodeList[Phone])
}

// Phone asks for one phone (GET /phones).
func (c *Client) Phone(ctx context.Context, phone string) (Phone, Meta, error) {
	const op = "phone"
	if err := needPhone(op, phone); err != nil {
		return Phone{}, Meta{}, err
	}
	request := call{op: op, method: http.MethodGet, url: c.url(nil, "phones"), phone: phone}
	return get(ctx, c, request, func(b []byte) (Phone, error) {
		phones, err := decodeList[Phone](b)
		if err != nil {
			return Phone{}, err
		}
		for _, p := range phones {
			if len(phones) == 1 || p.Is(phone) {
				return p, nil
			}
		}
		return Phone{}, errNothing
	})
}
