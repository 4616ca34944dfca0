package dispatcher

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/herald-campaigns/herald/campaign"
)

// Hold keeps one sender from beginning calls for as long as there is a reason
// to: its phone is disconnected, the disk is full. Nothing is lost meanwhile:
// tasks wait where they are, calls under way come to their end. Its methods may
// be called from any goroutine.
type Hold struct {
	mu      sync.Mutex
	reasons map[campaign.PauseReason]Held
	// tried remembers a reason that was taken away, until a call proves that
	// rightly so; see Proven.
	tried   map[campaign.PauseReason]Held
	changed chan struct{} // closed and renewed whenever reasons changes
}

// Held is one reason why a sender is held.
type Held struct {
	Reason campaign.PauseReason
	Detail string // for people; may be empty
	// Since is when the trouble began: it goes on over a Clear after which
	// nothing worked before the next Set.
	Since time.Time
	// Relapsed says that the reason was taken away before, and came back without
	// a call that worked in between.
	Relapsed bool
}

// NewHold makes a hold without a reason.
func NewHold() *Hold {
	return &Hold{
		reasons: make(map[campaign.PauseReason]Held),
		tried:   make(map[campaign.PauseReason]Held),
		changed: make(chan struct{}),
	}
}

// Set holds the sender for the reason, and says whether it was not held for it
// before. The detail that came first stays.
func (h *Hold) Set(reason campaign.PauseReason, detail string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, held := h.reasons[reason]; held {
		return false
	}
	before, again := h.tried[reason]
	since := before.Since
	if !again {
		since = time.Now()
	}
	delete(h.tried, reason)
	h.reasons[reason] = Held{Reason: reason, Detail: detail, Since: since, Relapsed: again}
	h.signal()
	return true
}

// Clear takes the reason away, and says whether the sender was held for it.
// When no reason is left the sender goes on.
func (h *Hold) Clear(reason campaign.PauseReason) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	held, ok := h.reasons[reason]
	if !ok {
		return false
	}
	delete(h.reasons, reason)
	h.tried[reason] = held
	h.signal()
	return true
}

// Proven says that a call of the sender was accepted: whatever held it is over.
func (h *Hold) Proven() {
	h.mu.Lock()
	defer h.mu.Unlock()
	clear(h.tried)
}

// Doubted is a reason that was taken away, came back, was taken away again and
// has not been proven over since: whoever takes it away is contradicted by the
// calls.
func (h *Hold) Doubted(reason campaign.PauseReason) (Held, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	held := h.tried[reason]
	return held, held.Relapsed
}

// Held are the reasons for which the sender is held now, the oldest first.
func (h *Hold) Held() []Held {
	h.mu.Lock()
	defer h.mu.Unlock()
	held := make([]Held, 0, len(h.reasons))
	for _, reason := range h.reasons {
		held = append(held, reason)
	}
	slices.SortFunc(held, func(a, b Held) int {
		return cmp.Or(a.Since.Compare(b.Since), cmp.Compare(a.Reason, b.Reason))
	})
	return held
}

// Open says whether nothing holds the sender.
func (h *Hold) Open() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.reasons) == 0
}

// Wait returns when nothing holds the sender, or with the context's cause.
func (h *Hold) Wait(ctx context.Context) error {
	for {
		h.mu.Lock()
		open, changed := len(h.reasons) == 0, h.changed
		h.mu.Unlock()
		if open {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-changed:
		}
	}
}

// signal wakes waiters; the caller holds mu.
func (h *Hold) signal() {
	close(h.changed)
	h.changed = make(chan struct{})
}
