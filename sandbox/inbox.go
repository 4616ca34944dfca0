package sandbox

import (
	"cmp"
	"strconv"
	"strings"
	"time"
)

// inboxLimit is how many messages of other people are kept; the oldest are
// forgotten.
const inboxLimit = 1 << 16

// inbound is a message somebody wrote to one of our phones. It never changes.
type inbound struct {
	ID     string `json:"id"` // the bare unique id
	At     int64  `json:"at"`
	Chat   string `json:"chat"`             // as our own messages to it name it
	Author string `json:"author,omitempty"` // who wrote it, in a group
	Type   string `json:"type,omitempty"`   // "" is chat
	Body   string `json:"body,omitempty"`
	Quoted string `json:"quoted,omitempty"` // quoted_message_id, verbatim
	Note   bool   `json:"note,omitempty"`   // a colleague's private note
	Org    string `json:"org,omitempty"`    // the number of a phone that is none of ours

	line *line
}

// ballot is the votes on a poll, by voter.
type ballot struct {
	votes   map[string]vote
	updated int64
}

type vote struct {
	options []int
	at      int64
}

// act lets a recipient do what its conduct is.
func (e *engine) act(j *job, a act, h happening) {
	switch a.Kind {
	case actVote:
		e.castVote(j, canonicalChat(j.chat), e.allowed(j, a.Options), h.at)
	case actReply:
		d := newDraws(e.ids.key, "reply", "", strconv.Itoa(h.act), j.seq)
		e.hear(&inbound{ID: inboundID(d), At: h.at, Chat: j.chat, Body: a.Text, Quoted: e.quote(j, a.Quote), line: j.line})
	}
}

// allowed are the options of a vote that the poll has room for.
func (e *engine) allowed(j *job, options []int) []int {
	p := j.poll()
	if p == nil {
		return nil
	}
	var out []int
	for _, i := range options {
		out = append(out, min(i, len(p.Options)-1))
	}
	if len(out) > 1 && !p.multiple() {
		out = out[:1]
	}
	return out
}

func (p *poll) multiple() bool { return p.Choice != nil && p.Choice.Multiple }

func (j *job) poll() *poll {
	if j.more == nil {
		return nil
	}
	return j.more.Poll
}

// quote names a message the way a reply does.
func (e *engine) quote(j *job, how Quote) string {
	switch how {
	case QuoteBare:
		return e.uniqueID(j)
	case QuoteFull:
		return e.messageID(j)
	case QuoteNone:
	}
	return ""
}

// hear takes in what somebody wrote. Of a foreign phone nothing is kept: it
// only makes an event.
func (e *engine) hear(m *inbound) {
	if m.Org == "" {
		if len(e.inbox) >= inboxLimit {
			e.forgetInbound(e.inbox[0])
			e.inbox[0] = nil
			e.inbox = e.inbox[1:]
		}
		e.inbox = append(e.inbox, m)
		e.byID[m.ID] = m
		m.line.said[m.Chat] = append(m.line.said[m.Chat], m)
	}
	if e.observer != nil {
		e.observer.said(m)
	}
}

func (e *engine) forgetInbound(m *inbound) {
	delete(e.byID, m.ID)
	if rest := m.line.said[m.Chat][1:]; len(rest) > 0 {
		m.line.said[m.Chat] = rest
	} else {
		delete(m.line.said, m.Chat)
	}
}

// castVote replaces what a voter chose; no options withdraw the vote.
func (e *engine) castVote(j *job, voter string, options []int, at int64) {
	if j.ballot == nil {
		j.ballot = &ballot{votes: map[string]vote{}}
	}
	j.ballot.updated = at
	if len(options) == 0 {
		delete(j.ballot.votes, voter)
	} else {
		j.ballot.votes[voter] = vote{options: options, at: at}
	}
	if e.observer != nil {
		e.observer.voted(j)
	}
}

// say takes in a message put in by hand.
func (e *engine) say(l *line, m inbound) (*inbound, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := e.now()
	e.catchUp(now)
	e.wrote++
	m.ID, m.At, m.line = inboundID(newDraws(e.ids.key, "said", "", "", e.wrote)), now, l
	if err := e.journal.write(record{Op: opSay, At: now, Phone: l.phone.Number, Said: &m, Made: e.wrote}); err != nil {
		return nil, err
	}
	e.hear(&m)
	return &m, nil
}

// voteOn is a vote put in by hand.
func (e *engine) voteOn(j *job, voter string, options []int, now int64) error {
	if err := e.journal.write(record{Op: opVote, At: now, Seq: j.seq, Chat: voter, Options: options}); err != nil {
		return err
	}
	e.castVote(j, voter, options, now)
	return nil
}

// inboundID draws the id of a message from a phone: 3A and 18 hex digits.
func inboundID(d draws) string {
	id := strings.ToUpper(strconv.FormatUint(d.next(), 16) + strconv.FormatUint(d.next(), 16))
	return "3A" + (id + "000000000000000000")[:18]
}

// heard finds a message of somebody else by its bare or its whole id. The lock
// must be held.
func (e *engine) heard(id string) *inbound {
	if parts := strings.Split(id, "_"); len(parts) >= 3 && parts[0] == "false" {
		id = parts[2]
	}
	return e.byID[strings.ToUpper(id)]
}

// orgPhone is the chat id of the phone the message came to.
func (m *inbound) orgPhone() string {
	if m.Org != "" {
		return m.Org + "@c.us"
	}
	return m.line.chat()
}

func (m *inbound) messageID() string {
	id := "false_" + canonicalChat(m.Chat) + "_" + m.ID
	if m.Author != "" {
		id += "_" + m.Author
	}
	return id
}

// body is the message as the API shows it.
func (m *inbound) body(org string) messageBody {
	chat, full := canonicalChat(m.Chat), m.messageID()
	sender := cmp.Or(m.Author, chat)
	out := messageBody{
		MessageID: full, UniqueID: m.ID, ID: messageKey{ID: m.ID, Remote: chat, Serialized: full},
		OrgID: org, OrgPhone: m.orgPhone(), ChatID: chat, From: sender, To: m.orgPhone(), SenderPhone: sender,
		MessageType: cmp.Or(m.Type, "chat"), Body: m.Body, Timestamp: wireTime(m.At), Ack: "1",
		MentionedIDs: []string{}, DeviceType: "android", Links: "[]", VCards: []string{},
		DeliveryInfo:  deliveryInfo{Delivered: map[string]int64{}, Read: map[string]int64{}, Pending: []string{}},
		IsPrivateNote: m.Note,
	}
	if m.Author != "" {
		out.Author = &m.Author
	}
	if m.Quoted != "" {
		out.QuotedMessageID, out.HasQuotedMsg = &m.Quoted, true
	}
	switch m.Type {
	case "", "chat":
	default:
		out.HasMedia = true
		out.Media = &messageMedia{Path: "/storage/v1/object/public/message-media/" + m.ID, MIME: mimeOf(m.Type), Filename: m.Type, Size: urlMediaSize}
	}
	return out
}

func mimeOf(messageType string) string {
	switch messageType {
	case "image":
		return "image/jpeg"
	case "video":
		return "video/mp4"
	case "audio", "ptt":
		return "audio/ogg"
	}
	return "application/octet-stream"
}

// results are the votes as the API shows them.
func (e *engine) results(j *job) pollResults {
	out := pollResults{}
	p := j.poll()
	if !e.cfg.Wire.PollsByVoter {
		for _, option := range p.Options {
			out[option] = map[string]string{}
		}
	}
	if j.ballot == nil {
		return out
	}
	for voter, v := range j.ballot.votes {
		for _, i := range v.options {
			outer, inner := p.Options[i], voter
			if e.cfg.Wire.PollsByVoter {
				outer, inner = inner, outer
			}
			if out[outer] == nil {
				out[outer] = map[string]string{}
			}
			out[outer][inner] = stamp(v.at)
		}
	}
	return out
}

// wireTime is a time as message objects show it.
func wireTime(t int64) string { return time.Unix(0, t).UTC().Format("2006-01-02T15:04:05+00:00") }
