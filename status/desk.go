package status

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/herald-campaigns/herald/campaign"
)

// Finder finds the rows that news is about.
type Finder interface {
	// Locate is the row of each message, in their order; one without a campaign
	// is not known.
	Locate(ctx context.Context, refs []campaign.MessageRef) ([]campaign.Located, error)
	// LatestTo is the latest campaign message that the phone sent to the chat, in
	// the campaign.ReplyWindow before at.
	LatestTo(ctx context.Context, phone campaign.Phone, chat campaign.ChatID, at time.Time) (campaign.Located, bool, error)
}

// Folder writes what news comes to, all of it in one transaction.
type Folder interface {
	Fold(ctx context.Context, foldings []campaign.Folding) (campaign.Suppressed, error)
}

// Suppressions knows the chats that must not be written to.
type Suppressions interface {
	Suppressed(ctx context.Context, chats []campaign.ChatID) (map[campaign.ChatID]bool, error)
}

// Marks keeps how far sweeps have come. One that was never put is zero but for
// what names it.
type Marks interface {
	Sweep(ctx context.Context, sender campaign.SenderID, kind campaign.SweepKind, key string) (campaign.Sweep, error)
	PutSweep(ctx context.Context, sweep campaign.Sweep) error
}

// DeskLedger is the ledger as the desk uses it.
type DeskLedger interface {
	Finder
	Folder
	Suppressions
	Marks
}

// Phones knows which phones of the organization are ours to look after.
type Phones interface {
	// SenderOf is the sender with this number, or with this id of the provider's.
	SenderOf(phone campaign.Phone) (campaign.Sender, bool)
}

// Echoes takes our own messages that no row has, as they were shown to us. They
// may be those of rows whose outcome nobody knows. It says how many were.
type Echoes interface {
	Offer(ctx context.Context, sender campaign.SenderID, echoes []campaign.Candidate) (adopted int, err error)
}

// DeskConfig is what happens besides folding. Its zero value does nothing
// besides.
type DeskConfig struct {
	Words       *Words       // nil: the built-in ones
	Echoes      Echoes       // usually the Reconciler
	Withdrawals *Withdrawals // takes the queued jobs of those who opted out
	// Look is told that one of our phones may have changed its state. It is a
	// reason to look, not a fact; Look must not block.
	Look func(sender campaign.Sender, news campaign.PhoneNews)
	// Confirm tells a person that the opt-out was understood. It is called at
	// most once for each opt-out, also over a crash, since a second message to
	// somebody who wants none is worse than none: a mark is in the ledger before
	// the call. It is called for a person's own message of the last hour only,
	// when it changed something; never for a group, a vote or a decision of ours.
	// It must not block: it hands the message to whoever sends it.
	Confirm func(ctx context.Context, chat campaign.ChatID, phone campaign.Phone) error
	Clock   func() time.Time // time.Now if nil
}

// confirmWithin is how old an opt-out may be that is still confirmed: a delivery
// that is replayed later must never cause a message.
const confirmWithin = time.Hour

// Desk makes foldings of news, wherever it comes from: it finds the row, ties
// replies, reads wishes, and after the folding does what follows from it. What
// it writes is the same for every order and repetition of the same news. It is
// safe for concurrent use.
type Desk struct {
	ledger DeskLedger
	phones Phones
	log    *slog.Logger
	cfg    DeskConfig

	confirming sync.Mutex
}

// NewDesk makes a desk.
func NewDesk(ledger DeskLedger, phones Phones, log *slog.Logger, cfg DeskConfig) (*Desk, error) {
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	if cfg.Words == nil {
		words, err := NewWords(WordList{})
		if err != nil {
			return nil, err
		}
		cfg.Words = words
	}
	return &Desk{ledger: ledger, phones: phones, log: log, cfg: cfg}, nil
}

// fate is what becomes of news.
type fate string

const (
	fateNothing fate = "nothing" // it concerns nothing that Herald follows
	fateForeign fate = "foreign" // of a phone that is not ours
	fatePhone   fate = "phone"
	fateFolded  fate = "folded"
	fateUnknown fate = "unknown" // of a message that no row has, yet
	fateDoubt   fate = "doubt"   // of a failure that the provider must confirm
)

// reading is one piece of news on its way into the ledger.
type reading struct {
	news     campaign.News
	delivery int64     // 0: it did not come as one
	received time.Time // when it came, for what tells no time of its own

	sender   campaign.Sender
	at       campaign.Located // the row of the message, or of the quoted one
	fate     fate
	park     bool // it may say more once another row is known
	foldings []campaign.Folding
}

// read finds out what each piece of news comes to.
func (d *Desk) read(ctx context.Context, readings []*reading) error {
	var (
		refs  []campaign.MessageRef
		whose []*reading
	)
	for _, r := range readings {
		r.fate = fateNothing
		if !d.ours(r) {
			r.fate = fateForeign
			continue
		}
		if ref, told := r.ref(); told {
			refs, whose = append(refs, ref), append(whose, r)
		}
	}
	if len(refs) > 0 {
		located, err := d.ledger.Locate(ctx, refs)
		if err != nil {
			return fmt.Errorf("locate messages: %w", err)
		}
		for i, r := range whose {
			r.at = located[i]
		}
	}
	for _, r := range readings {
		if r.fate == fateForeign {
			continue
		}
		if err := d.decide(ctx, r); err != nil {
			return err
		}
	}
	return nil
}

// ours says whether the news is of one of our phones, or of none that is named.
func (d *Desk) ours(r *reading) bool {
	names := []campaign.Phone{r.news.Sender}
	if p := r.news.Phone; p != nil {
		names = []campaign.Phone{p.Phone, p.PhoneID}
	}
	named := false
	for _, name := range names {
		if name == "" {
			continue
		}
		named = true
		if sender, ok := d.phones.SenderOf(name); ok {
			r.sender = sender
			return true
		}
	}
	return !named && r.news.Phone == nil
}

// ref is the message of ours that the news is about, or answers.
func (r *reading) ref() (campaign.MessageRef, bool) {
	switch {
	case r.news.Message != nil:
		return r.news.Message.Ref, true
	case r.news.Ballots != nil:
		return r.news.Ballots.Ref, true
	case r.news.Inbound != nil && r.news.Inbound.Quoted != "":
		unique := uniqueOf(r.news.Inbound.Quoted)
		return campaign.MessageRef{UniqueID: unique, MessageID: unique, Chat: r.news.Inbound.Chat}, true
	}
	return campaign.MessageRef{}, false
}

func (d *Desk) decide(ctx context.Context, r *reading) error {
	switch {
	case r.news.Phone != nil:
		r.fate = fatePhone
	case r.news.Inbound != nil:
		return d.reply(ctx, r)
	case r.news.Message == nil && r.news.Ballots == nil:
	case r.at.Campaign == "":
		r.fate, r.park = fateUnknown, true
	default:
		r.fate = fateFolded
		d.message(r)
		d.ballots(r)
	}
	if r.fate == fateFolded && len(r.foldings) > 0 {
		r.foldings[0].Delivery = r.delivery
	}
	return nil
}

// message makes an observation of what the news says of our message. A failure
// that only a webhook tells of is none yet (reliability page §6.13).
func (d *Desk) message(r *reading) {
	m := r.news.Message
	if m == nil {
		return
	}
	if m.Evidence.Status == campaign.StatusFailed && m.Evidence.Source == campaign.EvidenceWebhook && !r.at.Former {
		r.fate, r.park = fateDoubt, true
		return
	}
	r.foldings = append(r.foldings, campaign.Folding{Observation: r.observation(), Alias: r.alias(m.Ref.Chat)})
}

// observation is the news of our message as evidence about its row.
func (r *reading) observation() *campaign.Observation {
	m := r.news.Message
	o := &campaign.Observation{Evidence: m.Evidence, QueueID: m.Ref.QueueID, UniqueID: uniqueOf(m.Ref.UniqueID), Former: r.at.Former}
	o.Campaign, o.Seq = r.at.Campaign, r.at.Seq
	if r.delivery != 0 {
		own := map[campaign.Status]*time.Time{
			campaign.StatusSent: &o.SentAt, campaign.StatusDelivered: &o.DeliveredAt, campaign.StatusRead: &o.ReadAt, campaign.StatusFailed: &o.FailedAt,
		}[o.Status]
		if own != nil && own.IsZero() { // when we heard of it is the best that is known
			*own = r.received
		}
	}
	return o
}

// alias is another spelling of the row's chat; nil when there is none. WhatsApp
// knows some numbers under another one.
func (r *reading) alias(chat campaign.ChatID) *campaign.ChatAlias {
	row := r.at.Chat
	if chat == "" || row == "" || chat.IsGroup() || row.IsGroup() || !alike(address(chat), address(row)) {
		return nil
	}
	return &campaign.ChatAlias{Alias: chat, Chat: row}
}

// ballots makes foldings of the votes on our poll. Whoever chose an option that
// asks for no more messages has opted out; a vote never opts in, and one that
// is withdrawn takes no opt-out back. Of a vote without a time a look says only
// that it stands: since when, the ledger knows from the looks before.
func (d *Desk) ballots(r *reading) {
	b := r.news.Ballots
	if b == nil {
		return
	}
	located := campaign.LocatedBallots{Campaign: r.at.Campaign, Seq: r.at.Seq, Ballots: *b}
	located.Votes = slices.Clone(b.Votes)
	r.foldings = append(r.foldings, campaign.Folding{Ballots: &located})
	for i, vote := range b.Votes {
		if vote.Voter.Number() == string(r.news.Sender) {
			continue // our own phone can vote, too
		}
		for _, option := range vote.Options {
			if d.cfg.Words.Of(option) != campaign.WishOut {
				continue
			}
			if vote.At.IsZero() {
				located.Votes[i].Stop = reason(option)
				break
			}
			consent := campaign.Consent{
				Chat: vote.Voter, Wish: campaign.WishOut, At: vote.At, Source: campaign.ConsentVote, Reason: reason(option),
				Campaign: r.at.Campaign, Seq: r.at.Seq,
			}
			if !r.at.Chat.IsGroup() {
				consent.Chat = r.at.Chat
			}
			r.foldings = append(r.foldings, campaign.Folding{Consent: &consent})
			break
		}
	}
}

// fold writes the readings in one transaction and does what follows.
func (d *Desk) fold(ctx context.Context, readings []*reading) error {
	var foldings []campaign.Folding
	for _, r := range readings {
		foldings = append(foldings, r.foldings...)
	}
	if len(foldings) == 0 {
		return nil
	}
	fresh, err := d.unconfirmed(ctx, readings)
	if err != nil {
		return err
	}
	suppressed, err := d.ledger.Fold(ctx, foldings)
	if err != nil {
		return fmt.Errorf("fold %d pieces of news: %w", len(foldings), err)
	}
	if d.cfg.Withdrawals != nil {
		d.cfg.Withdrawals.Take(suppressed.Queued)
	}
	for _, r := range fresh {
		d.confirm(ctx, r)
	}
	return nil
}

// unconfirmed is the readings that are an opt-out to be confirmed: what a person
// wrote just now who was not opted out before.
func (d *Desk) unconfirmed(ctx context.Context, readings []*reading) ([]*reading, error) {
	if d.cfg.Confirm == nil {
		return nil, nil
	}
	var (
		list  []*reading
		chats []campaign.ChatID
		now   = d.cfg.Clock()
	)
	for _, r := range readings {
		m := r.news.Inbound
		if m == nil || len(r.foldings) == 0 || r.foldings[0].Consent == nil || r.foldings[0].Consent.Wish != campaign.WishOut {
			continue
		}
		if age := now.Sub(m.At); m.Chat.IsGroup() || m.At.IsZero() || age > confirmWithin || age < -confirmWithin {
			continue
		}
		list, chats = append(list, r), append(chats, m.Chat)
	}
	if len(list) == 0 {
		return nil, nil
	}
	out, err := d.ledger.Suppressed(ctx, chats)
	if err != nil {
		return nil, fmt.Errorf("look up opt-outs: %w", err)
	}
	var fresh []*reading
	for _, r := range list {
		if !out[r.news.Inbound.Chat] {
			out[r.news.Inbound.Chat] = true // the same person twice in one batch
			fresh = append(fresh, r)
		}
	}
	return fresh, nil
}

// confirm calls Confirm once for the opt-out, whatever becomes of the call.
func (d *Desk) confirm(ctx context.Context, r *reading) {
	d.confirming.Lock()
	defer d.confirming.Unlock()
	m := r.news.Inbound
	mark, err := d.ledger.Sweep(ctx, r.sender.ID, campaign.SweepConfirm, m.ID)
	if err == nil && mark.Times > 0 {
		return
	}
	if err == nil {
		err = d.ledger.PutSweep(ctx, campaign.Sweep{
			Sender: r.sender, Kind: campaign.SweepConfirm, Key: m.ID, Mark: m.At, Next: m.At.AddDate(1000, 0, 0), Times: 1,
		})
	}
	if err == nil {
		err = d.cfg.Confirm(ctx, m.Chat, r.sender.Phone)
	}
	if err != nil {
		d.log.WarnContext(ctx, "an opt-out holds, but was not confirmed to who asked for it", "chat", m.Chat, "err", err)
	}
}

// offer gives the echoes that no row has to whoever looks for lost messages.
func (d *Desk) offer(ctx context.Context, readings []*reading) (adopted int, err error) {
	if d.cfg.Echoes == nil {
		return 0, nil
	}
	echoes := map[campaign.SenderID][]campaign.Candidate{}
	var order []campaign.SenderID
	for _, r := range readings {
		if r.fate != fateUnknown || r.sender.ID == "" || r.news.Message == nil || r.news.Message.Echo == nil {
			continue
		}
		if echoes[r.sender.ID] == nil {
			order = append(order, r.sender.ID)
		}
		echoes[r.sender.ID] = append(echoes[r.sender.ID], *r.news.Message.Echo)
	}
	for _, sender := range order {
		n, err := d.cfg.Echoes.Offer(ctx, sender, echoes[sender])
		adopted += n
		if err != nil {
			return adopted, fmt.Errorf("fit echoes to unknown rows: %w", err)
		}
	}
	return adopted, nil
}
