package gateway

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/periskope"
)

// DisconnectedError says that the API answered, and that the phone is not
// connected to WhatsApp or not known. Its code is the campaign.Error's.
type DisconnectedError struct {
	Err   *campaign.Error
	State campaign.PhoneState // in the provider's words, lower case; PhoneMissing when it has no such phone
}

// What Check says of a phone besides the provider's own words.
const (
	PhoneConnected campaign.PhoneState = "connected"
	PhoneMissing   campaign.PhoneState = "missing"   // Periskope has no such phone
	PhoneNotReady  campaign.PhoneState = "not ready" // though the provider calls it connected
)

func (e *DisconnectedError) Error() string { return e.Err.Error() }

func (e *DisconnectedError) Unwrap() error { return e.Err }

// Check asks whether the sender can send, before a live run starts. Errors are
// a *campaign.Error or wrap one: CodeUnauthorized when the token is refused,
// CodeUnavailable when the API cannot be reached, CodeThrottled (a
// *ThrottledError), CodeNotFound when Periskope does not know the phone, and
// CodeUnavailable too when the phone is not connected to WhatsApp. The last two
// are a *DisconnectedError.
func (g *Gateway) Check(ctx context.Context, sender campaign.Sender) error {
	phone, _, err := g.client.Phone(ctx, string(sender.Phone))
	if err != nil {
		err = g.explain("ask for the sender", sender, err)
		if e := (*campaign.Error)(nil); errors.As(err, &e) && e.Code == campaign.CodeNotFound {
			e.What = fmt.Sprintf("Periskope has no %s", masked(sender))
			e.Hint = "name a number or phone id of your Periskope organization under senders"
			return &DisconnectedError{Err: e, State: PhoneMissing}
		}
		return err
	}
	if !phone.Connected() {
		state := string(PhoneNotReady)
		if phone.WAState != "" && phone.WAState != "CONNECTED" {
			state = strings.ToLower(periskope.MaskNumbers(phone.WAState))
		}
		return &DisconnectedError{State: campaign.PhoneState(state), Err: &campaign.Error{
			Code: campaign.CodeUnavailable,
			What: fmt.Sprintf("%s is not connected to WhatsApp (%s)", masked(sender), state),
			Hint: "open the phone in the Periskope console and scan the QR code again",
		}}
	}
	return nil
}
