package gateway

import (
	"context"
	"errors"
	"time"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/periskope"
)

// Phones is the state of every phone of the organization. Errors carry a
// campaign.Code, as Status gives it.
func (g *Gateway) Phones(ctx context.Context) ([]campaign.PhoneNews, error) {
	phones, _, err := g.client.Phones(ctx)
	if err != nil {
		return nil, g.explain("list the phones", campaign.Sender{}, err)
	}
	list := make([]campaign.PhoneNews, len(phones))
	for i, p := range phones {
		list[i] = campaign.PhoneNews{
			Phone: numberOf(p.OrgPhone), PhoneID: campaign.Phone(p.PhoneID),
			State: stateOf(p), Connected: p.Connected(), At: p.UpdatedAt,
		}
	}
	return list, nil
}

// CheckContacts asks which of the chats are on WhatsApp, at most
// periskope.MaxContacts (50) of them. Groups are passed over, and so are numbers
// that the answer does not name: nothing is known of them. Errors carry a
// campaign.Code, as Status gives it; CodeInvalid for too many.
func (g *Gateway) CheckContacts(ctx context.Context, sender campaign.Sender, chats []campaign.ChatID) ([]campaign.ContactCheck, error) {
	var (
		people  []campaign.ChatID
		numbers []string
	)
	for _, chat := range chats {
		if !chat.IsGroup() {
			people, numbers = append(people, chat), append(numbers, chat.Number())
		}
	}
	if len(people) == 0 {
		return nil, nil
	}
	contacts, meta, err := g.client.ContactsCheck(ctx, string(sender.Phone), numbers)
	if err != nil {
		return nil, g.explain("check numbers", sender, err)
	}
	at := firstTime(meta.Date, time.Now())
	var checks []campaign.ContactCheck
	for i, contact := range contacts {
		if !contact.Known {
			continue
		}
		check := campaign.ContactCheck{Chat: people[i], Exists: contact.Exists, At: at}
		if contact.Exists {
			check.Canonical = addressOf(contact.ChatID)
		}
		checks = append(checks, check)
	}
	return checks, nil
}

// OverreachError says that the provider did not purge the named jobs and no other,
// as far as its answer tells: it may have emptied its queue. Its code is the
// campaign.Error's.
type OverreachError struct{ Err *campaign.Error }

func (e *OverreachError) Error() string { return e.Err.Error() }

func (e *OverreachError) Unwrap() error { return e.Err }

// Overreached tells the error from one after which the request may be made again.
func (e *OverreachError) Overreached() bool { return true }

// Purge takes jobs out of the provider's queue, by their queue ids and nothing
// else, and returns those that the provider says it purged, also along with an
// error. One that was being sent may still go out. Errors carry a
// campaign.Code, as Status gives it; a *SenderError when our phone is refused. An
// *OverreachError says that nothing may be purged again before somebody has looked
// at the queue.
func (g *Gateway) Purge(ctx context.Context, sender campaign.Sender, queueIDs []string) ([]string, error) {
	if len(queueIDs) == 0 {
		return nil, nil
	}
	purged, err := g.client.PurgeQueue(ctx, string(sender.Phone), queueIDs)
	if odd := (*periskope.ResponseError)(nil); errors.As(err, &odd) && odd.Reason == periskope.ReasonEcho {
		return purged, &OverreachError{&campaign.Error{
			Code: campaign.CodeUnavailable, What: "purge jobs: the answer is not about the named jobs alone",
			Hint: "look at the queue in the Periskope console: it may have been emptied; restart herald to have it try again", Err: err,
		}}
	}
	if err != nil {
		return purged, g.explain("purge jobs", sender, err)
	}
	return purged, nil
}
