package gateway

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/periskope"
)

// News reads the body of one webhook delivery whose signature was verified, in
// either envelope and either vocabulary. An event that concerns nothing Herald
// follows gives news without content: private notes, deleted messages, what
// people or broadcasts sent from the console, edits of inbound messages,
// reactions, events of unknown names. The error has campaign.CodeInvalid: the
// body is no event. It carries nothing of the body.
func News(raw []byte) (campaign.News, error) {
	e, err := periskope.ParseEvent(raw)
	if err != nil {
		return campaign.News{}, &campaign.Error{Code: campaign.CodeInvalid, What: "read a webhook delivery", Err: err}
	}
	news := campaign.News{Key: e.Key, Name: e.Name, At: e.At, Sender: numberOf(e.OrgPhone())}
	switch {
	case e.Phone != nil:
		news.Phone = phoneNews(e.Kind, *e.Phone, e.At)
	case e.Job != nil:
		news.Message = jobNews(e)
	case e.Message != nil:
		witness{source: campaign.EvidenceWebhook, kind: e.Kind, at: e.At}.tell(&news, *e.Message)
	}
	return news, nil
}

// numberOf is the digits of one of our phones.
func numberOf(address string) campaign.Phone {
	number, _, _ := strings.Cut(address, "@")
	return campaign.Phone(strings.TrimPrefix(number, "+"))
}

// jobNews is what one of the four events tells that are named for a status. It
// has the timeline, but does not show the message.
func jobNews(e periskope.Event) *campaign.MessageNews {
	job, m := e.Job, e.Message
	if job.BroadcastID != "" || !byAPI(job.PerformedBy) {
		return nil
	}
	evidence := fill(campaign.Evidence{Source: campaign.EvidenceWebhook}, *job)
	if evidence.Status != campaign.StatusFailed {
		evidence.Detail = "" // says the status once more
	}
	supply(&evidence, firstTime(m.UpdatedAt, e.At))
	return &campaign.MessageNews{
		Ref: campaign.MessageRef{
			QueueID: cmp.Or(job.QueueID, m.SentMessageID), UniqueID: cmp.Or(job.UniqueID, m.UniqueID),
			MessageID: cmp.Or(job.MessageID, m.MessageID), Chat: addressOf(cmp.Or(job.ChatID, m.ChatID)),
		},
		Evidence: evidence,
	}
}

// supply gives the evidence the time of its own status where the provider told
// no better one.
func supply(e *campaign.Evidence, at time.Time) {
	var own *time.Time
	switch e.Status {
	case campaign.StatusSent:
		own = &e.SentAt
	case campaign.StatusDelivered:
		own = &e.DeliveredAt
	case campaign.StatusRead:
		own = &e.ReadAt
	case campaign.StatusFailed:
		own = &e.FailedAt
	default:
		return
	}
	if own.IsZero() {
		*own = at
	}
}

// witness tells of message objects, in a webhook or in a list.
type witness struct {
	source campaign.EvidenceSource
	kind   periskope.EventKind // in a list every message counts as created
	at     time.Time           // when the provider says it was so; zero when not told
}

// tell adds to the news what the message says.
func (w witness) tell(news *campaign.News, m periskope.Message) {
	if news.Sender == "" {
		news.Sender = numberOf(m.To)
		if m.FromMe {
			news.Sender = numberOf(m.From)
		}
	}
	switch {
	case m.PrivateNote || m.Deleted:
	case !m.FromMe && w.kind == periskope.EventMessageCreated:
		news.Inbound = inbound(m, news.Sender, w.at)
	case m.FromMe && ours(m):
		news.Message = w.message(m)
		news.Ballots = w.ballots(m, news.Message.Ref)
	}
}

// message is what our own message, shown back, proves.
func (w witness) message(m periskope.Message) *campaign.MessageNews {
	chat := addressOf(m.ChatID)
	news := &campaign.MessageNews{
		Ref: campaign.MessageRef{QueueID: cmp.Or(m.QueueID, m.SentMessageID), UniqueID: m.UniqueID, MessageID: m.MessageID, Chat: chat},
		Evidence: campaign.Evidence{
			Source: w.source, Status: statusOf(m.Status()), MessageID: m.MessageID,
		},
	}
	e := &news.Evidence
	if e.Status.Out() {
		e.SentAt = m.Timestamp
	}
	if info := m.DeliveryInfo; info != nil {
		if e.Status.Merge(campaign.StatusDelivered) == e.Status {
			e.DeliveredAt = earliest(info.Delivered)
		}
		if e.Status == campaign.StatusRead {
			e.ReadAt = earliest(info.Read)
		}
	}
	told := m.UpdatedAt
	if w.source == campaign.EvidenceWebhook { // a list tells when it was looked at, not when it happened
		told = firstTime(told, w.at)
	}
	supply(e, told)
	if w.kind != periskope.EventMessageUpdated || m.PreviousBody == "" { // an edited text is not the one that was sent
		echo := messageCandidate(m, chat)
		echo.Source = w.source
		echo.DeliveredAt, echo.ReadAt, echo.FailedAt = e.DeliveredAt, e.ReadAt, e.FailedAt
		news.Echo = &echo
	}
	return news
}

// ballots are the votes on the poll; nil when the message tells of none, or
// when they cannot be placed in time: an empty poll without a date may be the
// one before the first vote. A look at the message itself tells then.
func (w witness) ballots(m periskope.Message, ref campaign.MessageRef) *campaign.Ballots {
	votes, known := periskope.PollResults(m)
	if !known {
		return nil
	}
	b := &campaign.Ballots{Ref: ref, AsOf: firstTime(m.UpdatedAt, w.at)}
	for _, vote := range votes {
		voter := addressOf(vote.Voter)
		last := len(b.Votes) - 1
		if last < 0 || b.Votes[last].Voter != voter {
			b.Votes = append(b.Votes, campaign.Ballot{Voter: voter})
			last++
		}
		ballot := &b.Votes[last]
		ballot.Options = append(ballot.Options, vote.Option)
		if vote.At.After(ballot.At) {
			ballot.At = vote.At
		}
		if vote.At.After(b.AsOf) { // it has been seen, so it was so by then
			b.AsOf = vote.At
		}
	}
	if b.AsOf.IsZero() {
		return nil
	}
	if m.PollInfo != nil {
		for _, ballot := range b.Votes {
			slices.SortStableFunc(ballot.Options, func(x, y string) int {
				return cmp.Compare(place(m.PollInfo.Options, x), place(m.PollInfo.Options, y))
			})
		}
	}
	return b
}

// place is where the option stands in the poll; one that is not in it comes
// last.
func place(options []string, option string) int {
	if i := slices.Index(options, option); i >= 0 {
		return i
	}
	return len(options)
}

// inbound is a message that somebody wrote to us; nil for what comes from no
// person and no group, such as a channel.
func inbound(m periskope.Message, phone campaign.Phone, at time.Time) *campaign.Inbound {
	chat, author := addressOf(m.ChatID), addressOf(cmp.Or(m.Author, m.SenderPhone, m.From))
	switch _, suffix, _ := strings.Cut(string(chat), "@"); suffix {
	case "g.us":
	case "lid": // the address hides the number; the writer's may tell it
		if strings.HasSuffix(string(author), "@c.us") {
			chat = author
		}
		author = chat
	case "c.us":
		author = chat
	default:
		return nil
	}
	if m.UniqueID == "" {
		return nil
	}
	return &campaign.Inbound{
		ID: m.UniqueID, Phone: phone, Chat: chat, Author: author, Quoted: periskope.UniqueOf(m.QuotedID), Kind: m.Type, Text: m.Body,
		At: firstTime(m.Timestamp, at),
	}
}

// addressOf is a chat id in the one spelling that the ledger uses.
func addressOf(id string) campaign.ChatID {
	if number, found := strings.CutSuffix(id, "@s.whatsapp.net"); found {
		id = number
	}
	return chatOf(id)
}

// phoneNews is what an event about a phone says of it. The event's name tells
// when the object does not.
func phoneNews(kind periskope.EventKind, p periskope.Phone, at time.Time) *campaign.PhoneNews {
	said := strings.TrimPrefix(string(kind), "org.phone.")
	news := &campaign.PhoneNews{
		Phone: numberOf(p.OrgPhone), PhoneID: campaign.Phone(p.PhoneID),
		State: stateOf(p), Connected: p.Connected(), At: firstTime(p.UpdatedAt, at),
	}
	if news.State == "" {
		news.State = campaign.PhoneState(said)
		news.Connected = kind == periskope.EventPhoneConnected
	}
	if kind == periskope.EventPhoneDisconnected || kind == periskope.EventPhoneQR {
		news.Connected = false
	}
	return news
}

// stateOf is the phone's state in the provider's words.
func stateOf(p periskope.Phone) campaign.PhoneState {
	return campaign.PhoneState(strings.ToLower(periskope.MaskNumbers(p.WAState)))
}

func earliest(times map[string]periskope.FlexTime) time.Time {
	var first time.Time
	for _, t := range times {
		if !t.IsZero() && (first.IsZero() || t.Before(first)) {
			first = t.Time
		}
	}
	return first
}

// firstTime is the first of the times that was told.
func firstTime(times ...time.Time) time.Time {
	for _, t := range times {
		if !t.IsZero() {
			return t
		}
	}
	return time.Time{}
}
