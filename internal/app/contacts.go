package app

import (
	"context"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/internal/gateway"
)

// checkContacts is the backlog of a line in which the rows of campaigns that
// want it wait until it is known whether their number is on WhatsApp.
func (e *engine) checkContacts(l *line) *campaign.CheckedBacklog {
	return campaign.NewCheckedBacklog(e.store, e.store, e.store, contactChecker{e.provider.gateway, l.sender}, e.log, campaign.ContactsConfig{
		Wanted: e.wantsContacts, Checked: l.poke, Every: e.app.cfg.contactsEvery(),
	})
}

// wantsContacts says whether the contacts of a campaign are checked.
func (e *engine) wantsContacts(id campaign.ID) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	l, ok := e.lanes[id]
	return ok && l.feeding.Campaign.Spec.ContactCheck
}

// contactChecker asks with the phone of one sender.
type contactChecker struct {
	gateway *gateway.Gateway
	sender  campaign.Sender
}

func (c contactChecker) CheckContacts(ctx context.Context, chats []campaign.ChatID) ([]campaign.ContactCheck, error) {
	return c.gateway.CheckContacts(ctx, c.sender, chats)
}
