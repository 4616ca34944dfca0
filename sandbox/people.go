package sandbox

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ReplyOptions say more about a message put in with Server.Reply.
type ReplyOptions struct {
	// Quote says whether and how it quotes one of our messages.
	Quote Quote
	// Message is the one it quotes: queue_id, unique_id or message_id. Empty is
	// the newest in the chat.
	Message string
	// Author is who wrote it in a group: country code and number.
	Author string
	// Type is the message_type. Default chat; image, video, audio, ptt,
	// document and sticker come with a file.
	Type string
	// Note makes it a private note of a colleague, which no customer wrote.
	Note bool
	// OrgPhone makes it an event about a phone that is not ours, by its number.
	// Nothing is kept of it.
	OrgPhone string
}

var inboundTypes = []string{"chat", "image", "video", "audio", "ptt", "document", "sticker", "vcard", "location"}

// Reply lets a person write to one of our phones. chat is a number or a chat
// id, of a group too; nothing need have been sent to it. It returns the
// message_id of what they wrote.
func (s *Server) Reply(phone, chat, text string, o ReplyOptions) (string, error) {
	l, chat, err := s.chatOf(phone, chat)
	if err != nil {
		return "", err
	}
	m := inbound{Chat: chat, Body: text, Type: o.Type, Note: o.Note, Org: o.OrgPhone}
	switch {
	case o.Type != "" && !slices.Contains(inboundTypes, o.Type):
		return "", fmt.Errorf("a message cannot be of type %q, want one of %v", o.Type, inboundTypes)
	case text == "" && (o.Type == "" || o.Type == "chat"):
		return "", errors.New("the reply has no text")
	case o.OrgPhone != "" && !digitsOnly.MatchString(o.OrgPhone):
		return "", errors.New("the other phone's number is not 7 to 15 digits")
	case o.Author != "" && !strings.HasSuffix(chat, "@g.us"):
		return "", errors.New("only in a group has a message an author besides the chat")
	}
	if len(m.Body) > s.cfg.BodyCap {
		m.Body = strings.ToValidUTF8(m.Body[:s.cfg.BodyCap], "")
	}
	if o.Author != "" {
		if m.Author = normalChat(o.Author); !validChat(m.Author) {
			return "", errors.New("the author is not country code and number")
		}
	}
	if o.Quote != QuoteNone {
		j, err := s.ours(l, chat, o.Message, func(j *job) bool { return j.sent() })
		if err != nil {
			return "", err
		}
		switch o.Quote {
		case QuoteBare, QuoteFull:
			m.Quoted = s.engine.quote(j, o.Quote)
		case QuoteNone:
		default:
			return "", fmt.Errorf("quote is %q, want bare, full or nothing", o.Quote)
		}
	}
	said, err := s.engine.say(l, m)
	if err != nil {
		return "", err
	}
	return said.messageID(), nil
}

// VoteOptions say more about a vote.
type VoteOptions struct {
	// Message is the poll: queue_id, unique_id or message_id. Empty is the
	// newest one in the chat.
	Message string
	// Voter is who votes in a group. Default: the person of the chat.
	Voter string
}

// Vote lets a person vote on a poll of ours, by the options' text. A vote
// replaces the person's last one; no options withdraw it.
func (s *Server) Vote(phone, chat string, options []string, o VoteOptions) error {
	l, chat, err := s.chatOf(phone, chat)
	if err != nil {
		return err
	}
	voter := canonicalChat(chat)
	if o.Voter != "" {
		if voter = normalChat(o.Voter); !validChat(voter) {
			return errors.New("the voter is not country code and number")
		}
	} else if strings.HasSuffix(chat, "@g.us") {
		return errors.New("in a group somebody has to vote: no voter is given")
	}
	j, err := s.ours(l, chat, o.Message, func(j *job) bool { return j.sent() && j.poll() != nil })
	if err != nil {
		return err
	}
	p, indexes := j.poll(), []int{}
	for _, option := range options {
		i := slices.Index(p.Options, option)
		if i < 0 {
			return fmt.Errorf("the poll has no option %q", option)
		}
		if !slices.Contains(indexes, i) {
			indexes = append(indexes, i)
		}
	}
	if len(indexes) > 1 && !p.multiple() {
		return errors.New("the poll allows one answer")
	}
	e := s.engine
	e.mu.Lock()
	defer e.mu.Unlock()
	now := e.now()
	e.catchUp(now)
	return e.voteOn(j, voter, indexes, now)
}

// React lets a person react to a message of ours with an emoji. It makes an
// event and nothing more. message as in VoteOptions.
func (s *Server) React(phone, chat, emoji, message string) error {
	l, chat, err := s.chatOf(phone, chat)
	if err != nil {
		return err
	}
	if emoji == "" {
		return errors.New("the reaction has no emoji")
	}
	j, err := s.ours(l, chat, message, func(j *job) bool { return j.sent() })
	if err != nil {
		return err
	}
	s.engine.react(s.announcer, j, emoji)
	return nil
}

// reaction is the data of reaction.created.
type reaction struct {
	MessageID  string     `json:"message_id"` // what it is a reaction to
	UniqueID   string     `json:"unique_id"`
	Reaction   string     `json:"reaction"`
	ReactionID string     `json:"reaction_id"`
	SenderID   string     `json:"sender_id"`
	ChatID     string     `json:"chat_id"`
	OrgPhone   string     `json:"org_phone"`
	Ack        string     `json:"ack"`
	Timestamp  string     `json:"timestamp"`
	ID         messageKey `json:"id"`
	MsgID      messageKey `json:"msg_id"`
}

func (e *engine) react(a *announcer, j *job, emoji string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	now, chat := e.now(), canonicalChat(j.chat)
	e.wrote++
	id := inboundID(newDraws(e.ids.key, "reaction", "", "", e.wrote))
	full, unique := e.messageID(j), e.uniqueID(j)
	a.now("reaction.created", j.line.phone.Number, j.chat, id, now, reaction{
		MessageID: full, UniqueID: unique, Reaction: emoji, ReactionID: id, SenderID: chat, ChatID: chat,
		OrgPhone: j.line.chat(), Ack: "0", Timestamp: wireTime(now),
		ID:    messageKey{ID: id, Remote: chat, Serialized: "false_" + chat + "_" + id},
		MsgID: messageKey{ID: unique, FromMe: true, Remote: chat, Serialized: full},
	})
}

// chatOf finds the phone, and the chat by the id our messages to it have.
func (s *Server) chatOf(phone, chat string) (*line, string, error) {
	l, ok := s.engine.find(phone)
	if !ok {
		return nil, "", fmt.Errorf("the sandbox has no such phone (%d digits)", len(phone))
	}
	chat = givenChat(normalChat(chat))
	if !validChat(chat) {
		return nil, "", errors.New("the chat is neither country code and number nor the id of a group")
	}
	return l, chat, nil
}

// ours finds the newest message of ours to a chat that fits, or the named one.
func (s *Server) ours(l *line, chat, id string, fits func(*job) bool) (*job, error) {
	e := s.engine
	e.mu.Lock()
	defer e.mu.Unlock()
	e.catchUp(e.now())
	if id != "" {
		n, ok := e.ids.seq(id)
		if j := e.jobs.at(n); ok && j != nil && !j.gone && j.line == l && j.chat == chat && fits(j) {
			return j, nil
		}
		return nil, errors.New("no such message was sent to this chat")
	}
	for j := e.lastIn(l, chat); j != nil; j = e.before(j) {
		if !j.gone && fits(j) {
			return j, nil
		}
	}
	return nil, errors.New("nothing that fits was sent to this chat yet")
}

// PhoneState names what SetPhone sets.
const (
	PhoneConnected    = string(connected)
	PhoneDisconnected = string(disconnected)
	PhoneLoggedOut    = string(loggedOut) // needs a QR scan: a restart does not help
	PhoneBanned       = string(banned)    // never comes back
)

// SetPhone changes a phone's connection to one of the Phone… states, and
// tells the webhooks.
func (s *Server) SetPhone(phone, state string) error {
	switch to := connection(state); to {
	case connected, disconnected, loggedOut, banned:
		return s.connection(phone, to)
	}
	return fmt.Errorf("a phone cannot be %q, want connected, disconnected, logged_out or banned", state)
}

// RestartPhone does what the API's restart does: it brings back a phone that
// is merely disconnected.
func (s *Server) RestartPhone(phone string) error {
	l, ok := s.engine.find(phone)
	if !ok {
		return fmt.Errorf("the sandbox has no such phone (%d digits)", len(phone))
	}
	return s.engine.restartPhone(l)
}

// SetWebhookFaults replaces what goes wrong with webhooks, for events from now
// on; Hold and its end apply to those that wait, too.
func (s *Server) SetWebhookFaults(f WebhookFaults) error {
	if err := f.validate(); err != nil {
		return fmt.Errorf("webhook faults: %w", err)
	}
	s.courier.set(f)
	return nil
}

// WebhookFaults are the faults in force.
func (s *Server) WebhookFaults() WebhookFaults {
	s.courier.mu.Lock()
	defer s.courier.mu.Unlock()
	return s.courier.faults
}

// WebhookCounts is webhook delivery in numbers.
func (s *Server) WebhookCounts() WebhookCounts {
	planned := s.engine.planned() // first: what is not planned any more is pending or done
	s.courier.mu.Lock()
	defer s.courier.mu.Unlock()
	out := s.courier.counts
	out.Planned = planned
	return out
}

// planned counts what will still happen by itself.
func (e *engine) planned() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.catchUp(e.now())
	n := len(e.agenda)
	for _, l := range e.lines {
		if l.state == connected {
			n += len(l.queue) + len(l.late)
		}
	}
	return n
}

// Deliveries is the delivery log, oldest first: the last 2,048 attempts.
func (s *Server) Deliveries() []Delivery { return s.courier.deliveries() }

// Redeliver offers an event of the delivery log once more, byte for byte.
func (s *Server) Redeliver(eventID string) error { return s.courier.redeliver(eventID) }

// hooksChanged brings webhook delivery in line with what is registered. The
// engine's lock must be held.
func (s *Server) hooksChanged() {
	e := s.engine
	if !s.courier.subscribe(e.hooks) {
		e.observer = nil
		e.agenda.dropTicks() // or they would be told twice after the next subscription
		return
	}
	if e.observer != nil {
		return
	}
	now := e.now()
	e.catchUp(now)
	e.observer = s.announcer
	s.announcer.resume(now)
	if !s.watching {
		s.watching = true
		s.background.Go(s.watch)
	}
	s.announcer.poke()
}
