package report

import (
	"context"
	"hash/maphash"
	"slices"

	"github.com/herald-campaigns/herald/campaign"
)

// Safety says whether anybody got the message twice, and what was tried again.
type Safety struct {
	// DuplicateSends counts acceptances beyond the first for the same chat. It
	// has to be 0.
	DuplicateSends int64  `json:"duplicate_sends"`
	DuplicateRows  []Line `json:"duplicate_rows"` // the first 20
	// Retried counts recipients with more than one call of the send API, and
	// Retries their further calls. A call is repeated only when the one before
	// was refused, or proved not to have been taken, or a person decided so.
	Retried  int64      `json:"retried"`
	Retries  int64      `json:"retries"`
	Attempts []Attempts `json:"attempts"` // fewest first
	// Resent counts decisions, noted in the timeline, to send failed rows again:
	// campaign.EventRetried.
	Resent int64 `json:"resent"`
	// Unproven counts decisions, of a person or of unknown_policy, to send unknown
	// rows again without proof that they were not taken: campaign.EventResent.
	Unproven int64 `json:"unproven"`
}

// Attempts is how many recipients took so many calls.
type Attempts struct {
	Attempts   int   `json:"attempts"` // 20 is 20 or more
	Recipients int64 `json:"recipients"`
}

const maxAttempts = 20

// chats remembers whom something was accepted for, by a print of eight bytes:
// the only memory of a pass that grows with the rows. Equal chats come into the
// same shelf, so each can be sorted on its own.
type chats struct {
	seed    maphash.Seed
	shelves [256][]uint64
}

func newChats() *chats { return &chats{seed: maphash.MakeSeed()} }

func (c *chats) print(chat campaign.ChatID) uint64 { return maphash.String(c.seed, string(chat)) }

func (c *chats) add(chat campaign.ChatID) {
	print := c.print(chat)
	shelf := &c.shelves[print>>56]
	*shelf = append(*shelf, print)
}

// twice is the prints that were added more than once.
func (c *chats) twice() map[uint64]bool {
	found := map[uint64]bool{}
	for _, shelf := range c.shelves {
		slices.Sort(shelf)
		for i := 1; i < len(shelf); i++ {
			if shelf[i] == shelf[i-1] {
				found[shelf[i]] = true
			}
		}
	}
	return found
}

// confirm looks at the rows once more for chats whose print was seen twice. In
// a healthy campaign there are none, and the rows are read once.
func (c *chats) confirm(ctx context.Context, rows Rows, id campaign.ID, s *Safety) error {
	twice := c.twice()
	if len(twice) == 0 {
		return nil
	}
	seen := map[campaign.ChatID]bool{}
	for r, err := range rows.Rows(ctx, id) {
		if err != nil {
			return err
		}
		if r.QueuedAt.IsZero() || !twice[c.print(r.Chat)] {
			continue
		}
		if !seen[r.Chat] {
			seen[r.Chat] = true
			continue
		}
		s.DuplicateSends++
		line := lineOf(&r)
		line.Detail = ""
		s.DuplicateRows = appendUpTo(s.DuplicateRows, maxMismatches, line)
	}
	return nil
}
