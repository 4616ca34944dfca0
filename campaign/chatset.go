package campaign

// ChatSet is a set of chats that costs about 25 bytes each: a campaign of a
// million people can be held against another. It is for one goroutine.
type ChatSet struct{ seen *seenChats }

// NewChatSet makes an empty set.
func NewChatSet() *ChatSet { return &ChatSet{seen: newSeenChats()} }

// Add puts a chat into the set.
func (s *ChatSet) Add(chat ChatID) { s.seen.add(chat, 0) }

// Has says whether the chat is in the set.
func (s *ChatSet) Has(chat ChatID) bool {
	_, known := s.seen.lineOf(chat)
	return known
}

// Len is how many chats are in the set.
func (s *ChatSet) Len() int { return s.seen.used + len(s.seen.others) }

// lackedBy is how many of the chats the other set has not.
func (s *ChatSet) lackedBy(other *ChatSet) int {
	n := 0
	for _, key := range s.seen.keys {
		if key != 0 && other.seen.keys[other.seen.find(key)] != key {
			n++
		}
	}
	for chat := range s.seen.others {
		if !other.Has(chat) {
			n++
		}
	}
	return n
}
