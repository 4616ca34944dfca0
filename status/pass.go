package status

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"github.com/herald-campaigns/herald/campaign"
)

// stumbles is how many chats may fail to be listed before a pass is given up.
const stumbles = 3

// lookBack is how far before a row's intent the messages of its chat are read.
// What is too early to be the row's by our clock, and says the same, raises a
// doubt: the clocks may not agree.
const lookBack = time.Hour

// keepFor bounds writing down what was learned while the process is stopping.
const keepFor = 30 * time.Second

// glance is what one pass saw of a sender's lists.
type glance struct {
	sender campaign.Sender
	began  time.Time

	jobs    []campaign.Candidate // those that bear on the rows
	noJobs  bool                 // there is no job list
	jobIDs  map[string]standing  // of those that are witnesses
	listed  int                  // how many jobs the list has, of anybody's
	oldest  time.Time            // when the first and the last of them were queued
	newest  time.Time
	counted bool // the provider was asked how many there are
	whole   bool // and the list lacks none
	chats   map[string]*chatGlance
	noChats bool // there are no message lists
	failed  int
	asked   int // witnesses looked for among the messages of their chats

	witnesses map[rowKey][]campaign.Tracked // of the rows that are due
}

// standing is what the job list says of one job.
type standing struct {
	status campaign.Status
	at     time.Time // when it was queued; zero when the list does not tell
}

// chatGlance is what one pass saw of a chat.
type chatGlance struct {
	messages []campaign.Candidate
	known    bool // it has messages, of whatever age and of anybody
	refused  bool //  the provider does not list it
	unread   bool // it could not be read this time
}

// pass looks for rows of one sender: the jobs first, then the messages, so that
// a message that moves from one list to the other is seen in one of them; the
// phone connected before and after. Whatever is found, of any row, is adopted
// at once. Only rows that are due are asked about further and judged.
func (r *Reconciler) pass(ctx context.Context, sender campaign.Sender, trails, due []*trail) error {
	g := &glance{
		sender: sender, began: r.cfg.Clock(), jobIDs: map[string]standing{}, chats: map[string]*chatGlance{},
		witnesses: map[rowKey][]campaign.Tracked{},
	}
	if err := r.check(ctx, sender); err != nil {
		return err
	}
	if err := r.callWitnesses(ctx, g, due); err != nil {
		return err
	}
	if err := r.readJobs(ctx, g, trails); err != nil {
		return err
	}
	trails, err := r.adopt(ctx, g, trails)
	if err != nil {
		return err
	}
	due = slices.DeleteFunc(due, func(t *trail) bool { return !slices.Contains(trails, t) })

	trouble := r.readChats(ctx, g, trails, due)
	verdicts, err := r.match(ctx, g, trails)
	if err != nil {
		return err
	}
	if err := r.adoptFound(ctx, trails, verdicts); err != nil {
		return err
	}
	if trouble == nil && len(due) > 0 {
		trouble = r.check(ctx, sender)
	}
	if trouble != nil {
		return trouble
	}
	j := newJudgement(r, g)
	for i, t := range trails {
		if verdicts[i].Finding != Found && !t.returned && slices.Contains(due, t) {
			if err := j.judge(ctx, t, verdicts[i]); err != nil {
				return err
			}
		}
	}
	return j.carryOut(ctx)
}

// ask waits for the budget before a request.
func (r *Reconciler) ask(ctx context.Context, what string, request func() error) error {
	if err := r.budget.Wait(ctx); err != nil {
		return err
	}
	if err := request(); err != nil {
		return &troubleError{what: what, err: err}
	}
	return nil
}

func (r *Reconciler) check(ctx context.Context, sender campaign.Sender) error {
	return r.ask(ctx, "asking for the phone", func() error { return r.lists.Check(ctx, sender) })
}

// callWitnesses asks for the witnesses of the rows before the lists are read, to
// know what to look for in them.
func (r *Reconciler) callWitnesses(ctx context.Context, g *glance, due []*trail) error {
	for _, t := range due {
		witnesses, err := r.ledger.Witnesses(ctx, t.row, r.cfg.Witnesses)
		if err != nil {
			return err
		}
		g.witnesses[t.key()] = witnesses
	}
	return nil
}

// readJobs keeps of the list what bears on the rows and where the witnesses
// stand: the rest of the pass waits for the budget, request by request, and the
// list may be long.
func (r *Reconciler) readJobs(ctx context.Context, g *glance, trails []*trail) error {
	r.recall(ctx, trails)
	relevant, awaited := newConcern(soughtOf(trails)), g.awaited()
	return r.ask(ctx, "listing jobs", func() error {
		var err error
		g.listed, err = r.lists.Jobs(ctx, g.sender, func(c campaign.Candidate) {
			g.oldest = earlier(g.oldest, c.At)
			if c.At.After(g.newest) {
				g.newest = c.At
			}
			for _, id := range idsOf(c) {
				if awaited[id] {
					g.jobIDs[id] = standing{c.Status, c.At}
				}
			}
			if relevant.about(c) {
				g.jobs = append(g.jobs, c)
			}
		})
		if campaign.CodeOf(err) == campaign.CodeNotFound {
			g.noJobs, g.jobs, g.jobIDs = true, nil, map[string]standing{}
			return nil
		}
		return err
	})
}

// awaited is the ids of all witnesses.
func (g *glance) awaited() map[string]bool {
	ids := map[string]bool{}
	for _, witnesses := range g.witnesses {
		for _, w := range witnesses {
			ids[w.QueueID], ids[uniqueOf(w.UniqueID)] = true, true
		}
	}
	return ids
}

// readChats lists the messages of the chats of the rows that are due, each
// back to the oldest row of that chat. A chat that cannot be read leaves its
// rows for another pass; a provider that cannot be asked ends the reading.
func (r *Reconciler) readChats(ctx context.Context, g *glance, trails, due []*trail) error {
	since := map[string]time.Time{}
	for _, t := range trails {
		at := address(t.row.Chat)
		since[at] = earlier(since[at], t.row.ClaimedAt)
	}
	for _, t := range due {
		if t.sought != nil && !t.sought.Readable {
			continue // nothing could be recognized there
		}
		if err := r.readChat(ctx, g, t.row.Chat, since[address(t.row.Chat)].Add(-lookBack)); err != nil {
			return err
		}
	}
	return nil
}

// readChat lists one chat, once a pass.
func (r *Reconciler) readChat(ctx context.Context, g *glance, chat campaign.ChatID, since time.Time) error {
	at := address(chat)
	if g.chats[at] != nil || g.noChats {
		return nil
	}
	c := &chatGlance{}
	err := r.ask(ctx, "listing messages", func() (err error) {
		c.messages, c.known, err = r.lists.Messages(ctx, g.sender, chat, since)
		return err
	})
	switch campaign.CodeOf(err) {
	case "":
		g.chats[at] = c
	case campaign.CodeNotFound:
		g.noChats = true
	case campaign.CodeInvalid:
		g.chats[at], c.refused = c, true
	case campaign.CodeUnavailable:
		g.chats[at], c.unread = c, true
		if g.failed++; g.failed >= stumbles || ctx.Err() != nil {
			return err
		}
	default:
		return err
	}
	return nil
}

// adopt matches the rows with the jobs and takes what is found out of them.
func (r *Reconciler) adopt(ctx context.Context, g *glance, trails []*trail) ([]*trail, error) {
	verdicts, err := r.match(ctx, g, trails)
	if err != nil {
		return nil, err
	}
	if err := r.adoptFound(ctx, trails, verdicts); err != nil {
		return nil, err
	}
	var rest []*trail
	for i, t := range trails {
		if verdicts[i].Finding != Found {
			rest = append(rest, t)
		}
	}
	return rest, nil
}

// match matches the rows with everything that was read by now.
func (r *Reconciler) match(ctx context.Context, g *glance, trails []*trail) ([]Verdict, error) {
	rows := soughtOf(trails)
	candidates := slices.Clone(g.jobs)
	for _, at := range slices.Sorted(maps.Keys(g.chats)) {
		candidates = append(candidates, g.chats[at].messages...)
	}
	candidates = concerning(rows, candidates)
	chats := map[campaign.ChatID]bool{}
	for _, c := range candidates {
		chats[c.Chat] = c.Chat != ""
	}
	if len(candidates) > 0 { // a list may show a chat in another way than the ledger
		for _, row := range rows {
			chats[row.Row.Chat] = true
		}
	}
	var bound []string
	for _, chat := range slices.Sorted(maps.Keys(chats)) {
		if !chats[chat] {
			continue
		}
		ids, err := r.ledger.BoundIDs(ctx, chat)
		if err != nil {
			return nil, err
		}
		bound = append(bound, ids...)
	}
	return Match(rows, candidates, bound, r.cfg.window()), nil
}

// recall renders the rows' messages, each once. One that cannot be had now may be
// in a later pass, but not within this one: what was kept of the lists depends
// on it.
func (r *Reconciler) recall(ctx context.Context, trails []*trail) {
	for _, t := range trails {
		if t.sought != nil {
			continue
		}
		message, err := r.contents.Message(ctx, t.row)
		if err != nil {
			r.log.DebugContext(ctx, "message not rendered again", "campaign_id", t.row.Campaign, "row", t.row.Seq, "err", err)
			continue
		}
		sought := Seek(t.row, message)
		sought.Upload = r.cfg.upload(message)
		t.sought = &sought
	}
}

// soughtOf is the rows with their messages, as far as those could be had.
func soughtOf(trails []*trail) []Sought {
	rows := make([]Sought, len(trails))
	for i, t := range trails {
		if t.sought != nil {
			rows[i] = *t.sought
		}
		rows[i].Row = t.row
	}
	return rows
}

// adoptFound gives the rows the messages that are theirs. It is kept even when
// the process is stopping.
func (r *Reconciler) adoptFound(ctx context.Context, trails []*trail, verdicts []Verdict) error {
	now := r.cfg.Clock()
	var observations []campaign.Observation
	for i, t := range trails {
		if verdicts[i].Finding != Found {
			continue
		}
		if t.adopted { // and still unknown: the ledger will not have it
			t.relax(now, r.cfg.Slow)
			continue
		}
		t.adopted, t.gone = true, true
		t.next = now.Add(r.cfg.PassGap)
		observations = append(observations, r.observation(t.row, verdicts[i].Candidate, now))
	}
	if len(observations) == 0 {
		return nil
	}
	keep, cancel := context.WithTimeout(context.WithoutCancel(ctx), keepFor)
	defer cancel()
	if err := r.ledger.Observe(keep, observations); err != nil {
		for i, t := range trails {
			if verdicts[i].Finding == Found {
				t.adopted, t.gone = false, false
			}
		}
		return err
	}
	r.log.InfoContext(ctx, "unknown rows were found in the provider's lists", "sender", trails[0].row.Sender.ID, "rows", len(observations))
	return nil
}

// observation is a found message as evidence. A list that does not tell where
// the message stands still shows that it was taken.
func (r *Reconciler) observation(row campaign.UnknownRow, c campaign.Candidate, now time.Time) campaign.Observation {
	o := campaign.Observation{
		Evidence: campaign.Evidence{
			Campaign: row.Campaign, Seq: row.Seq, Source: c.Source, Status: cmp.Or(c.Status, campaign.StatusQueued), MessageID: c.MessageID,
			Detail: c.Detail, SentAt: c.SentAt, DeliveredAt: c.DeliveredAt, ReadAt: c.ReadAt, FailedAt: c.FailedAt,
		},
		QueueID: c.QueueID, UniqueID: c.UniqueID,
	}
	if !o.Status.Settled() {
		o.NextPoll = r.cfg.Schedule.Next(row.ClaimedAt, now, 0)
	}
	return o
}
