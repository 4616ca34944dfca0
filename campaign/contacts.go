package campaign

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// Bounds of asking whether numbers are on WhatsApp. Asking for many numbers
// fast is what gets a phone banned (dossier §9.2).
const (
	MaxContactsAsked = 50                  // numbers in one question
	ContactsEvery    = 10 * time.Second    // between two questions of one phone, live
	ContactsValid    = 30 * 24 * time.Hour // how long an answer holds
)

// ContactBook keeps what the provider said about numbers.
type ContactBook interface {
	Contacts(ctx context.Context, chats []ChatID) (map[ChatID]ContactCheck, error)
	PutContacts(ctx context.Context, checks []ContactCheck) error
}

// ContactChecker asks the provider which chats are on WhatsApp, at most
// MaxContactsAsked at a time. A chat that the answer does not name is left out
// of the result. CodeNotFound means that there is nobody to ask: the account
// has no such API.
type ContactChecker interface {
	CheckContacts(ctx context.Context, chats []ChatID) ([]ContactCheck, error)
}

// Skipper moves rows that still wait to skipped.
type Skipper interface {
	Skip(ctx context.Context, id ID, skips []Skip) (int64, error)
}

// ContactsConfig steers the check of one sender's recipients.
type ContactsConfig struct {
	// Wanted says whether a campaign has its contacts checked
	// (Spec.ContactCheck). Rows of others pass untouched.
	Wanted func(ID) bool
	// Checked is called after each answer: Feeder.Poke. It may be nil.
	Checked func()

	Every   time.Duration    // between two questions; ContactsEvery if zero
	Valid   time.Duration    // how long an answer holds; ContactsValid if zero
	Ahead   int              // rows looked at beyond those asked for; 2 × MaxContactsAsked if zero
	Slowest time.Duration    // longest wait after failed questions; 5 minutes if zero
	Clock   func() time.Time // time.Now if nil
}

// CheckedBacklog is a Backlog that lets only those rows through whose number is
// known to be on WhatsApp, and skips those that are known not to be. Whoever is
// not known yet waits until Run has asked; groups are not asked for. It looks
// ahead of the feeding window, so that the window stays filled while the pace
// allows no more than the questions answer.
//
// While questions fail, rows wait and the questions come slower. When there is
// nobody to ask (CodeNotFound), everybody is let through, and the log says so
// once.
type CheckedBacklog struct {
	backlog Backlog
	skipper Skipper
	book    ContactBook
	checker ContactChecker
	log     *slog.Logger
	cfg     ContactsConfig
	ask     chan struct{} // capacity 1: there are chats to ask for

	mu      sync.Mutex
	waiting []ChatID        // to be asked for, the next first
	queued  map[ChatID]bool // those of waiting
	silent  map[ChatID]bool // asked for, but the answer did not name them
	off     bool            // there is nobody to ask
}

// NewCheckedBacklog makes the backlog of one sender; checker asks with the
// sender's phone. Give it to NewFeeder in place of the backlog it wraps, and
// call Run beside Feeder.Run.
func NewCheckedBacklog(backlog Backlog, skipper Skipper, book ContactBook, checker ContactChecker, log *slog.Logger, cfg ContactsConfig) *CheckedBacklog {
	if cfg.Every <= 0 {
		cfg.Every = ContactsEvery
	}
	if cfg.Valid <= 0 {
		cfg.Valid = ContactsValid
	}
	if cfg.Ahead <= 0 {
		cfg.Ahead = 2 * MaxContactsAsked
	}
	if cfg.Slowest <= 0 {
		cfg.Slowest = 5 * time.Minute
	}
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	return &CheckedBacklog{
		backlog: backlog, skipper: skipper, book: book, checker: checker, log: log.With("component", "contacts"), cfg: cfg,
		ask: make(chan struct{}, 1), queued: map[ChatID]bool{}, silent: map[ChatID]bool{},
	}
}

// StagedCount is that of the backlog it wraps.
func (b *CheckedBacklog) StagedCount(ctx context.Context, sender SenderID) (int, error) {
	return b.backlog.StagedCount(ctx, sender)
}

// Pending lists up to limit rows that may be sent, in ledger order. A row behind
// one that still waits for its answer may come first.
func (b *CheckedBacklog) Pending(ctx context.Context, id ID, sender SenderID, now time.Time, limit int) ([]Recipient, error) {
	if !b.cfg.Wanted(id) || b.nobodyToAsk() {
		return b.backlog.Pending(ctx, id, sender, now, limit)
	}
	rows, err := b.backlog.Pending(ctx, id, sender, now, limit+b.cfg.Ahead)
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	known, err := b.book.Contacts(ctx, peopleOf(rows))
	if err != nil {
		return nil, fmt.Errorf("look up contacts: %w", err)
	}
	passed, skips := b.sift(rows, known, limit)
	if len(skips) > 0 {
		if _, err := b.skipper.Skip(ctx, id, skips); err != nil {
			return nil, fmt.Errorf("skip rows without WhatsApp: %w", err)
		}
	}
	return passed, nil
}

func peopleOf(rows []Recipient) []ChatID {
	chats := make([]ChatID, 0, len(rows))
	for i := range rows {
		if !rows[i].Chat.IsGroup() {
			chats = append(chats, rows[i].Chat)
		}
	}
	return chats
}

// sift parts the rows into those that pass and those to be skipped; the others
// are asked for.
func (b *CheckedBacklog) sift(rows []Recipient, known map[ChatID]ContactCheck, limit int) (passed []Recipient, skips []Skip) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, row := range rows {
		check, ok := known[row.Chat]
		fresh := ok && b.cfg.Clock().Sub(check.At) < b.cfg.Valid
		switch {
		case fresh && !check.Exists:
			skips = append(skips, Skip{Seq: row.Seq, Reason: SkipNotOnWhatsApp, Detail: "the number is not on WhatsApp"})
		case fresh, row.Chat.IsGroup(), b.silent[row.Chat]:
			if len(passed) < limit {
				passed = append(passed, row)
			}
		case !b.queued[row.Chat]:
			b.queued[row.Chat] = true
			b.waiting = append(b.waiting, row.Chat)
		}
	}
	if len(b.waiting) > 0 {
		select {
		case b.ask <- struct{}{}:
		default:
		}
	}
	return passed, skips
}

func (b *CheckedBacklog) nobodyToAsk() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.off
}

// Run asks for the numbers that rows wait for until ctx ends, or until there is
// nobody to ask.
func (b *CheckedBacklog) Run(ctx context.Context) {
	pause := b.cfg.Every
	for {
		select {
		case <-ctx.Done():
			return
		case <-b.ask:
		}
		err := b.askOnce(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case CodeOf(err) == CodeNotFound:
			b.giveUp(ctx, err)
			return
		case err != nil:
			pause = min(2*pause, b.cfg.Slowest)
			b.log.WarnContext(ctx, "numbers cannot be checked, their rows wait", "err", err, "duration", pause)
		default:
			pause = b.cfg.Every
		}
		if !rest(ctx, pause) {
			return
		}
	}
}

// rest waits, and says whether ctx lasted that long.
func rest(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// askOnce asks one question. Chats stay in the queue until they are answered.
func (b *CheckedBacklog) askOnce(ctx context.Context) error {
	b.mu.Lock()
	chats := append([]ChatID(nil), b.waiting[:min(len(b.waiting), MaxContactsAsked)]...)
	b.mu.Unlock()
	if len(chats) == 0 {
		return nil
	}
	checks, err := b.checker.CheckContacts(ctx, chats)
	if err == nil {
		err = b.book.PutContacts(ctx, checks)
	}
	b.settle(chats, checks, err)
	if err == nil && b.cfg.Checked != nil {
		b.cfg.Checked()
	}
	return err
}

// settle takes the answered chats off the queue; after a failure they keep
// their place.
func (b *CheckedBacklog) settle(chats []ChatID, checks []ContactCheck, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err == nil {
		for _, check := range checks {
			delete(b.queued, check.Chat)
		}
		for _, chat := range chats {
			if b.queued[chat] { // without an answer nothing speaks against it
				b.silent[chat] = true
				delete(b.queued, chat)
			}
		}
		b.waiting = b.waiting[len(chats):]
	}
	if len(b.waiting) > 0 {
		select {
		case b.ask <- struct{}{}:
		default:
		}
	}
}

// giveUp lets everybody through from now on.
func (b *CheckedBacklog) giveUp(ctx context.Context, err error) {
	b.mu.Lock()
	b.off, b.waiting = true, nil
	b.mu.Unlock()
	b.log.WarnContext(ctx, "numbers cannot be checked with this account: they are sent to unchecked", "err", err)
	if b.cfg.Checked != nil {
		b.cfg.Checked()
	}
}
