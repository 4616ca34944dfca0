package campaign

import (
	"hash/maphash"
	"strconv"
	"strings"
)

// seenChats remembers every chat of a campaign with the line it first stood
// on: an open-addressing table of E.164 numbers, which fit a uint64 exactly, at
// 12 bytes a slot. Five million numbers take 96 MiB. It is exact: no two
// numbers share a key.
type seenChats struct {
	keys  []uint64 // 0 is an empty slot; no number is 0
	lines []uint32
	used  int
	// others holds what is no number of at most 15 digits: groups.
	others map[ChatID]uint32
	seed   maphash.Seed
}

const minSeenSlots = 1 << 10

func newSeenChats() *seenChats {
	return &seenChats{
		keys: make([]uint64, minSeenSlots), lines: make([]uint32, minSeenSlots),
		others: make(map[ChatID]uint32), seed: maphash.MakeSeed(),
	}
}

// add remembers chat unless it is known, and returns the line it first stood
// on then. Line 0 is for chats from an earlier import.
func (s *seenChats) add(chat ChatID, line int64) (first int64, known bool) {
	at := uint32(min(line, 1<<32-1)) // #nosec G115 -- bounded; a file of 2 GiB has fewer lines
	key, ok := numberKey(chat)
	if !ok {
		if at, known := s.others[chat]; known {
			return int64(at), true
		}
		s.others[chat] = at
		return 0, false
	}
	if 4*(s.used+1) > 3*len(s.keys) {
		s.grow()
	}
	slot := s.find(key)
	if s.keys[slot] == key {
		return int64(s.lines[slot]), true
	}
	s.keys[slot], s.lines[slot] = key, at
	s.used++
	return 0, false
}

// lineOf is the line chat first stood on, if it is known.
func (s *seenChats) lineOf(chat ChatID) (first int64, known bool) {
	key, ok := numberKey(chat)
	if !ok {
		at, known := s.others[chat]
		return int64(at), known
	}
	slot := s.find(key)
	return int64(s.lines[slot]), s.keys[slot] == key
}

// find is the slot of key, or the free slot where it belongs. The hash is
// seeded, so that no file can be made to collide.
func (s *seenChats) find(key uint64) int {
	mask := uint64(len(s.keys) - 1) // #nosec G115 -- never empty
	for slot := maphash.Comparable(s.seed, key) & mask; ; slot = (slot + 1) & mask {
		if s.keys[slot] == key || s.keys[slot] == 0 {
			return int(slot) // #nosec G115 -- below len(s.keys)
		}
	}
}

func (s *seenChats) grow() {
	keys, lines := s.keys, s.lines
	s.keys, s.lines = make([]uint64, 2*len(keys)), make([]uint32, 2*len(keys))
	for i, key := range keys {
		if key != 0 {
			slot := s.find(key)
			s.keys[slot], s.lines[slot] = key, lines[i]
		}
	}
}

// numberKey is the number of a person's chat. A Mexican mobile number is one
// number with and without the 1 behind 52 (see AddressParser).
func numberKey(chat ChatID) (uint64, bool) {
	if chat.IsGroup() {
		return 0, false
	}
	digits := chat.Number()
	if len(digits) == 13 && strings.HasPrefix(digits, "521") {
		digits = "52" + digits[3:]
	}
	if len(digits) > maxE164 {
		return 0, false
	}
	key, err := strconv.ParseUint(digits, 10, 64)
	return key, err == nil && key > 0
}
