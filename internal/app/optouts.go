package app

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/report"
	"github.com/herald-campaigns/herald/storage"
)

// OptOuts is who must not be written to, from any campaign of a data directory.
type OptOuts struct {
	app  *App
	keep consentKeeper
}

// consentKeeper keeps what a person decides about consent: the service on the
// data directory, or the ledger itself.
type consentKeeper interface {
	// consent keeps decisions that all have the same wish.
	consent(ctx context.Context, list []campaign.Consent) (Decided, error)
	// review keeps what messages meant that Reviews lists.
	review(ctx context.Context, in reviewing) (Decided, error)
}

// reviewing is a decision about messages that may be meant as opt-outs.
type reviewing struct {
	IDs  []string
	Wish campaign.Wish // WishOut: they are; WishIn: they are not
}

// OptOuts is the opt-outs of a ledger that is open here.
func (a *App) OptOuts() *OptOuts { return &OptOuts{app: a, keep: a} }

// OptOuts is the opt-outs of the service's ledger, changed by the service.
func (r *Remote) OptOuts() *OptOuts { return &OptOuts{app: r.App, keep: r} }

// OpenToOptOut opens a data directory to keep opt-outs, and makes it if it is
// not there: the list of those who must not be written to often comes before
// the first campaign. A restored copy takes them too; it sends nothing.
func OpenToOptOut(ctx context.Context, cfg Config, log *slog.Logger) (a *App, made bool, err error) {
	made = campaign.CodeOf(mustExist(cfg)) == campaign.CodeNotFound
	a, err = openAlone(ctx, cfg, log)
	return a, made, besideRun(cfg, err)
}

// OpenToConsent opens an existing data directory to change who may be written
// to.
func OpenToConsent(ctx context.Context, cfg Config, log *slog.Logger) (*App, error) {
	a, err := openToSettle(ctx, cfg, log)
	return a, besideRun(cfg, err)
}

// besideRun says how to keep an opt-out while something else sends.
func besideRun(cfg Config, err error) error {
	if campaign.CodeOf(err) != campaign.CodeConflict {
		return err
	}
	if held, lookErr := storage.DirHeld(cfg.DataDir); !held || lookErr != nil {
		return err
	}
	return &campaign.Error{
		Code: campaign.CodeConflict, What: "nothing was changed: " + err.Error(),
		Hint: "pause it with Ctrl-C (nobody is lost), do this, and run its file again; a campaign sent by `herald serve` takes opt-outs while it sends",
	}
}

// Decided is what decisions about consent came to (docs/cli-json.md).
type Decided struct {
	SchemaVersion int `json:"schema_version"`

	Wish      campaign.Wish `json:"wish"`
	Chats     int64         `json:"chats"`     // decided about; the next three add up to it
	Changed   int64         `json:"changed"`   // what was decided holds now, and did not before
	Already   int64         `json:"already"`   // it held before
	Overruled int64         `json:"overruled"` // a later decision holds against it
	Skipped   int64         `json:"skipped"`   // waiting messages that will not be sent
	Queued    int64         `json:"queued"`    // messages in the provider's queue
	Purging   bool          `json:"purging"`   // the service takes them out of there
}

// count adds one chat: whether it was opted out before the decision, and is now.
func (d *Decided) count(before, after bool) {
	d.Chats++
	switch wanted := d.Wish == campaign.WishOut; {
	case after != wanted:
		d.Overruled++
	case before == wanted:
		d.Already++
	default:
		d.Changed++
	}
}

func (a *App) consent(ctx context.Context, list []campaign.Consent) (Decided, error) {
	d, _, err := a.decide(ctx, list)
	return d, err
}

// decide keeps decisions, and says which messages are in the provider's queue.
func (a *App) decide(ctx context.Context, list []campaign.Consent) (Decided, []campaign.Located, error) {
	d := Decided{SchemaVersion: 1}
	if len(list) == 0 {
		return d, nil, nil
	}
	d.Wish = list[0].Wish
	chats := chatsOf(list)
	before, err := a.store.Suppressed(ctx, chats)
	if err != nil {
		return d, nil, err
	}
	changed, err := a.store.Decide(ctx, list)
	d.Skipped, d.Queued = changed.Skipped, int64(len(changed.Queued))
	if err != nil {
		return d, changed.Queued, err
	}
	after, err := a.store.Suppressed(ctx, chats)
	for _, chat := range chats {
		d.count(before[chat], after[chat])
	}
	return d, changed.Queued, err
}

// chatsOf are the chats that are decided about, each once.
func chatsOf(list []campaign.Consent) []campaign.ChatID {
	chats := make([]campaign.ChatID, 0, len(list))
	seen := make(map[campaign.ChatID]bool, len(list))
	for _, c := range list {
		if !seen[c.Chat] {
			seen[c.Chat] = true
			chats = append(chats, c.Chat)
		}
	}
	return chats
}

func (a *App) review(ctx context.Context, in reviewing) (Decided, error) {
	d, _, err := a.decideReviews(ctx, in)
	return d, err
}

func (a *App) decideReviews(ctx context.Context, in reviewing) (Decided, []campaign.Located, error) {
	d := Decided{SchemaVersion: 1, Wish: in.Wish}
	var queued []campaign.Located
	for _, id := range in.IDs {
		changed, err := a.store.DecideReview(ctx, id, in.Wish)
		d.Skipped += changed.Skipped
		d.Queued += int64(len(changed.Queued))
		queued = append(queued, changed.Queued...)
		if err != nil {
			return d, queued, fmt.Errorf("message %s: %w", report.Printable(id), err)
		}
		d.Chats++
		d.Changed++
	}
	return d, queued, nil
}

// consent keeps decisions, and has the jobs of those who opted out purged.
func (s *Service) consent(ctx context.Context, list []campaign.Consent) (Decided, error) {
	d, queued, err := s.app.decide(ctx, list)
	return s.takeOut(d, queued), err
}

func (s *Service) review(ctx context.Context, in reviewing) (Decided, error) {
	d, queued, err := s.app.decideReviews(ctx, in)
	return s.takeOut(d, queued), err
}

// takeOut hands over what can still be taken out of the provider's queue.
func (s *Service) takeOut(d Decided, queued []campaign.Located) Decided {
	if len(queued) > 0 {
		s.engine.answers.withdrawals.Take(queued)
		d.Purging = true
	}
	return d
}

func (r *Remote) consent(ctx context.Context, list []campaign.Consent) (Decided, error) {
	return ask[Decided](ctx, r, "consent", list)
}

func (r *Remote) review(ctx context.Context, in reviewing) (Decided, error) {
	return ask[Decided](ctx, r, "review", in)
}

// Live says whether real people are concerned, whatever mode this command was
// called in.
func (o *OptOuts) Live(ctx context.Context) (bool, error) {
	if o.app.cfg.Mode == campaign.ModeLive {
		return true, nil
	}
	all, err := o.app.store.Campaigns(ctx)
	return slices.ContainsFunc(all, func(c campaign.Campaign) bool { return c.Mode == campaign.ModeLive }), err
}

// Chats reads phone numbers, or chat ids, as a person writes them. country, an
// ISO 3166 code, is for numbers without a country code; "" refuses those.
func (o *OptOuts) Chats(phones []string, country string) ([]Chat, error) {
	parser, err := campaign.NewAddressParser(country, campaign.AddressPhone)
	if err != nil {
		return nil, forOptOuts(err)
	}
	chats := make([]Chat, 0, len(phones))
	for _, phone := range phones {
		chat, problem := parser.Parse(phone)
		if problem != nil {
			byFlags(problem)
			asTyped(problem)
			return nil, &campaign.Error{
				Code: campaign.CodeInvalid, What: fmt.Sprintf("%q: %s", problem.Value, problem.What), Hint: problem.Fix,
			}
		}
		chats = append(chats, chat)
	}
	return chats, nil
}

// Chat is a person's or a group's address. It masks itself when printed.
type Chat = campaign.ChatID

// Add keeps that these people must not be written to, from now on. What waits
// for them is not sent any more.
func (o *OptOuts) Add(ctx context.Context, chats []Chat, reason string) (Decided, error) {
	return o.keep.consent(ctx, o.decisions(chats, campaign.WishOut, reason))
}

// Remove keeps that these people may be written to again. What was skipped
// meanwhile stays so.
func (o *OptOuts) Remove(ctx context.Context, chats []Chat, reason string) (Decided, error) {
	if strings.TrimSpace(reason) == "" {
		return Decided{}, &campaign.Error{
			Code: campaign.CodeInvalid, What: "whoever lets somebody be written to again has to say why", Hint: `for instance --reason "asked for it by phone"`,
		}
	}
	return o.keep.consent(ctx, o.decisions(chats, campaign.WishIn, reason))
}

// OptedOut is how many of these people must not be written to now.
func (o *OptOuts) OptedOut(ctx context.Context, chats []Chat) (int64, error) {
	out, err := o.app.store.Suppressed(ctx, chats)
	var n int64
	counted := make(map[Chat]bool, len(chats))
	for _, chat := range chats {
		if out[chat] && !counted[chat] {
			counted[chat] = true
			n++
		}
	}
	return n, err
}

func (*OptOuts) decisions(chats []Chat, wish campaign.Wish, reason string) []campaign.Consent {
	reason = reasonOf(reason)
	if reason == "" {
		reason = unsaid("by " + operator())
	}
	list := make([]campaign.Consent, len(chats))
	for i, chat := range chats {
		list[i] = campaign.Consent{Chat: chat, Wish: wish, Source: campaign.ConsentOperator, Reason: reason}
	}
	return list
}

// maxReason is how long the reason of a decision may be, in bytes.
const maxReason = 200

// unsaid is the reason of a decision that nobody gave one for.
func unsaid(from string) string {
	return campaign.Unsaid(lineOf(from, maxReason-len(campaign.Unsaid(""))))
}

// reasonOf is what the ledger keeps of a reason: one line.
func reasonOf(text string) string { return lineOf(text, maxReason) }

// lineOf is a text as one line of at most so many bytes.
func lineOf(text string, most int) string {
	text = strings.Join(strings.Fields(report.Printable(strings.ToValidUTF8(text, ""))), " ")
	if len(text) <= most {
		return text
	}
	end := most - len("…")
	for !utf8.RuneStart(text[end]) {
		end--
	}
	return strings.TrimSpace(text[:end]) + "…"
}

// OptOutView is a line of `herald optouts list` (docs/cli-json.md).
type OptOutView struct {
	Chat     string                 `json:"chat"` // masked, unless revealed
	At       time.Time              `json:"at"`   // of the decision that holds
	Known    time.Time              `json:"known_since"`
	Source   campaign.ConsentSource `json:"source"`
	Reason   string                 `json:"reason"` // for people
	Campaign campaign.ID            `json:"campaign_id,omitempty"`
	Name     string                 `json:"campaign,omitempty"` // its name

	chat campaign.ChatID
}

// Reveal puts the whole number in place of the masked one.
func (v OptOutView) Reveal() OptOutView {
	v.Chat = string(v.chat)
	return v
}

// All walks those who must not be written to.
func (o *OptOuts) All(ctx context.Context) iter.Seq2[OptOutView, error] {
	return func(yield func(OptOutView, error) bool) {
		names := o.names()
		for out, err := range o.app.store.OptOuts(ctx) {
			v := OptOutView{
				Chat: out.Chat.String(), At: out.At.UTC(), Known: out.Since.UTC(), Source: out.Source,
				Reason: report.Printable(out.Reason), Campaign: out.Campaign, chat: out.Chat,
			}
			if err == nil {
				v.Name, err = names.of(ctx, out.Campaign)
			}
			if !yield(v, err) || err != nil {
				return
			}
		}
	}
}

// campaignNames looks names up once.
type campaignNames struct {
	app   *App
	known map[campaign.ID]string
}

func (o *OptOuts) names() campaignNames {
	return campaignNames{app: o.app, known: map[campaign.ID]string{"": ""}}
}

func (n campaignNames) of(ctx context.Context, id campaign.ID) (string, error) {
	if name, ok := n.known[id]; ok {
		return name, nil
	}
	c, err := n.app.store.Campaign(ctx, id)
	if err != nil && !errors.Is(err, campaign.ErrNotFound) {
		return "", err
	}
	n.known[id] = c.Name
	return c.Name, nil
}

// History is every decision about one chat (docs/cli-json.md).
type History struct {
	SchemaVersion int            `json:"schema_version"`
	Chat          string         `json:"chat"` // masked, unless revealed
	OptedOut      bool           `json:"opted_out"`
	Decisions     []DecisionView `json:"decisions"` // the latest first: it holds

	chat campaign.ChatID
}

// DecisionView is one of them.
type DecisionView struct {
	Wish     campaign.Wish          `json:"wish"`
	At       time.Time              `json:"at"`
	Source   campaign.ConsentSource `json:"source"`
	Reason   string                 `json:"reason"` // for people
	Campaign campaign.ID            `json:"campaign_id,omitempty"`
	Name     string                 `json:"campaign,omitempty"`
}

// Reveal puts the whole number in place of the masked one.
func (h *History) Reveal() { h.Chat = string(h.chat) }

// History is what was decided about a chat, in all spellings that are known of
// it.
func (o *OptOuts) History(ctx context.Context, chat Chat) (*History, error) {
	list, err := o.app.store.ConsentOf(ctx, chat)
	if err != nil {
		return nil, err
	}
	h := &History{SchemaVersion: 1, Chat: chat.String(), Decisions: []DecisionView{}, chat: chat}
	names := o.names()
	for i, c := range list {
		h.OptedOut = h.OptedOut || i == 0 && c.Wish == campaign.WishOut
		v := DecisionView{Wish: c.Wish, At: c.At.UTC(), Source: c.Source, Reason: report.Printable(c.Reason), Campaign: c.Campaign}
		if v.Name, err = names.of(ctx, c.Campaign); err != nil {
			return nil, err
		}
		h.Decisions = append(h.Decisions, v)
	}
	return h, nil
}

// ReviewView is a message that may be meant as an opt-out (docs/cli-json.md).
type ReviewView struct {
	ID       string      `json:"id"`
	At       time.Time   `json:"at"`
	Chat     string      `json:"chat"` // masked, unless revealed
	Campaign campaign.ID `json:"campaign_id,omitempty"`
	Name     string      `json:"campaign,omitempty"`
	Text     string      `json:"text"` // what they wrote; for the terminal, never for logs

	chat campaign.ChatID
}

// Reveal puts the whole number in place of the masked one.
func (v ReviewView) Reveal() ReviewView {
	v.Chat = string(v.chat)
	return v
}

// Line is the text as one line that is safe for a terminal.
func (v ReviewView) Line() string { return report.Printable(v.Text) }

// Reviews are the messages that nobody has decided about, the oldest first.
func (o *OptOuts) Reviews(ctx context.Context) ([]ReviewView, error) {
	list, err := o.app.store.Reviews(ctx)
	if err != nil {
		return nil, err
	}
	views := make([]ReviewView, len(list))
	names := o.names()
	for i, r := range list {
		views[i] = ReviewView{ID: r.ID, At: r.At.UTC(), Chat: r.Chat.String(), Campaign: r.Campaign, Text: r.Text, chat: r.Chat}
		if views[i].Name, err = names.of(ctx, r.Campaign); err != nil {
			return nil, err
		}
	}
	return views, nil
}

// Review keeps whether messages were meant as opt-outs, which then hold from
// the time they were written.
func (o *OptOuts) Review(ctx context.Context, ids []string, optOut bool) (Decided, error) {
	in := reviewing{IDs: ids, Wish: campaign.WishIn}
	if optOut {
		in.Wish = campaign.WishOut
	}
	return o.keep.review(ctx, in)
}
