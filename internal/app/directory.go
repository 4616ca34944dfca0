package app

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/herald-campaigns/herald/campaign"
)

// directory knows our phones by whatever the provider calls them, and what there
// is to look after at the moment.
type directory struct {
	app      *App
	provider *provider

	mu      sync.Mutex
	senders map[campaign.Phone]campaign.Sender // by number, and by the provider's id
	guessed bool                               // numbers of phones are missing from senders
	looked  time.Time                          // when the charge was read
	charge  []campaign.Sender
	polls   []campaign.ID
}

const (
	// chargeEvery is how often it is read what there is to look after.
	chargeEvery = 5 * time.Second
	// afterwards is how long after its last message a campaign is still looked
	// after: replies and votes come for so long.
	afterwards = campaign.ReplyWindow
)

func newDirectory(a *App, p *provider) *directory {
	return &directory{app: a, provider: p, senders: map[campaign.Phone]campaign.Sender{}}
}

// SenderOf is the sender with this number, or with this id of the provider's.
func (d *directory) SenderOf(phone campaign.Phone) (campaign.Sender, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	sender, ok := d.senders[phone]
	return sender, ok
}

// learn reads which phones are ours. Those that a campaign names by the
// provider's id are asked for by their number: events name that.
func (d *directory) learn(ctx context.Context) error {
	all, err := d.app.store.Senders(ctx)
	if err != nil {
		return err
	}
	senders := make(map[campaign.Phone]campaign.Sender, len(all))
	named, guessed := false, false
	for _, sender := range all {
		senders[sender.Phone] = sender
		named = named || strings.HasPrefix(string(sender.Phone), "phone-")
	}
	if named {
		phones, _, err := d.provider.client.Phones(ctx)
		if err != nil {
			d.app.log.WarnContext(ctx, "the numbers of phones that are named by their id are not known yet; webhooks about them are passed over, the lists are looked through", "err", err)
		}
		guessed = err != nil
		for _, phone := range phones {
			number, _, _ := strings.Cut(phone.OrgPhone, "@")
			if sender, ok := senders[campaign.Phone(phone.PhoneID)]; ok {
				senders[campaign.Phone(number)] = sender
			}
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.senders, d.guessed = senders, guessed
	return nil
}

// Senders is the phones whose chats are looked through for replies.
func (d *directory) Senders(ctx context.Context) ([]campaign.Sender, error) {
	err := d.look(ctx)
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.charge, err
}

// Polls is the campaigns whose votes are still asked for.
func (d *directory) Polls(ctx context.Context) ([]campaign.ID, error) {
	err := d.look(ctx)
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.polls, err
}

// look reads what there is to look after, not more often than it changes.
func (d *directory) look(ctx context.Context) error {
	d.mu.Lock()
	fresh, guessed := time.Since(d.looked) < chargeEvery, d.guessed
	d.mu.Unlock()
	if fresh {
		return nil
	}
	if guessed {
		if err := d.learn(ctx); err != nil {
			return err
		}
	}
	campaigns, err := d.app.store.Campaigns(ctx)
	if err != nil {
		return err
	}
	var (
		charge []campaign.Sender
		polls  []campaign.ID
		known  = map[campaign.SenderID]bool{}
	)
	for _, c := range campaigns {
		over := c.State.Over() && time.Since(c.FinishedAt) > afterwards
		if c.StartedAt.IsZero() || over {
			continue
		}
		if asks(c.Spec) {
			polls = append(polls, c.ID)
		}
		for _, phone := range c.Spec.Senders {
			if sender, ok := d.SenderOf(campaign.Phone(phone)); ok && !known[sender.ID] {
				known[sender.ID] = true
				charge = append(charge, sender)
			}
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.charge, d.polls, d.looked = charge, polls, time.Now()
	return nil
}

// asks says whether a campaign sends polls.
func asks(spec campaign.Spec) bool {
	if spec.Message.Poll != nil {
		return true
	}
	for _, v := range spec.Variants {
		if v.Message.Poll != nil {
			return true
		}
	}
	return false
}
