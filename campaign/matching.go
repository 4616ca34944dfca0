package campaign

// Matching are the chats of a campaign that an expression chooses. A chat can
// have several lines in a ledger, of which all but one are skipped: then that
// one speaks for it, so that nobody is chosen because of a duplicate.
type Matching struct {
	where   Where
	sent    *ChatSet // chats with a line that is not skipped
	chosen  *ChatSet // of those, the chosen ones
	skipped *ChatSet // chats with a skipped line that is chosen
}

// NewMatching begins with no chat.
func NewMatching(where Where) *Matching {
	return &Matching{where: where, sent: NewChatSet(), chosen: NewChatSet(), skipped: NewChatSet()}
}

// Add looks at one line of the campaign.
func (m *Matching) Add(r *Recipient) {
	if r.Chat == "" {
		return
	}
	skipped := r.Status == StatusSkipped
	if !skipped {
		m.sent.Add(r.Chat)
	}
	switch {
	case !m.where.Match(r):
	case skipped:
		m.skipped.Add(r.Chat)
	default:
		m.chosen.Add(r.Chat)
	}
}

// Has says whether the chat is chosen.
func (m *Matching) Has(chat ChatID) bool {
	return m.chosen.Has(chat) || m.skipped.Has(chat) && !m.sent.Has(chat)
}

// Len is how many chats are chosen.
func (m *Matching) Len() int64 { return int64(m.chosen.Len() + m.skipped.lackedBy(m.sent)) }
