package storagetest

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/storage"
)

// world is two campaigns to the same chats, which no other world has. Two
// worlds are the same but for the names of campaigns and chats.
type world struct {
	*testing.T
	s         *storage.Store
	campaigns []Seeded
	chats     []campaign.ChatID // of rows 1 to 5; the last is a group
	alias     campaign.ChatID   // in no row
}

// newWorld makes a world with rows in every status that news can change: row 1
// is queued, row 2 unknown, row 3 staged, row 4 waits again after a call that
// nobody knows the end of, and row 5 is queued to a group.
func newWorld(t *testing.T, s *storage.Store, number int) *world {
	t.Helper()
	ctx := t.Context()
	w := &world{T: t, s: s, alias: campaign.ChatID(fmt.Sprintf("alias-%06d@c.us", number))}
	for i := range int64(4) {
		w.chats = append(w.chats, Chat(int64(number+1)*10+i))
	}
	w.chats = append(w.chats, campaign.ChatID(fmt.Sprintf("group-%06d@g.us", number)))
	for range 2 {
		seeded := SeedDraft(t, s, 0)
		imp := campaign.Import{File: "world.csv", Rows: int64(len(w.chats))}
		var err error
		imp.Number, err = s.BeginImport(ctx, seeded.ID, imp)
		must(t, err)
		batch := Batch(imp.Number, seeded.Sender.ID, 1, len(w.chats), nil)
		for i := range batch {
			batch[i].Chat, batch[i].Record = w.chats[i], nil
		}
		must(t, s.AddRecipients(ctx, seeded.ID, batch))
		must(t, s.FinishImport(ctx, seeded.ID, imp))
		_, err = s.Transition(ctx, seeded.ID, campaign.StateRunning, "", "")
		must(t, err)
		seeded.Lease, _, err = s.AcquireLease(ctx, seeded.Sender.ID, "seed", time.Hour)
		must(t, err)
		send(t, s, seeded, 1)
		lost := lose(t, s, seeded, 2, 4)
		_, err = s.ReturnUnknown(ctx, seeded.ID, lost[1:], time.Time{}, "")
		must(t, err)
		stage(t, s, seeded, 3)
		send(t, s, seeded, 5)
		w.campaigns = append(w.campaigns, seeded)
	}
	return w
}

// happening is one piece of news, to be told in any world.
type happening func(w *world) campaign.Folding

// scene is what the news of one check is mostly about: pieces of news that never
// meet prove nothing about their order.
type scene struct {
	row   int64
	kinds []string
}

func anyScene(rt *rapid.T) scene {
	kinds := rapid.Permutation([]string{"status", "reply", "consent", "alias", "ballots"}).Draw(rt, "kinds")
	return scene{rapid.Int64Range(1, 5).Draw(rt, "main row"), kinds[:rapid.IntRange(1, 3).Draw(rt, "of them")]}
}

// mostly draws the main one three times in four.
func mostly[T any](rt *rapid.T, main T, other *rapid.Generator[T], label string) T {
	if rapid.IntRange(0, 3).Draw(rt, "main "+label) > 0 {
		return main
	}
	return other.Draw(rt, label)
}

// happening draws a piece of news. Few ids and times, so that they meet.
func (sc scene) happening(rt *rapid.T) happening {
	which, seq := mostly(rt, 0, rapid.IntRange(0, 1), "campaign"), mostly(rt, sc.row, rapid.Int64Range(1, 5), "row")
	at := newsTime.Add(time.Duration(rapid.IntRange(0, 3).Draw(rt, "hour")) * time.Hour)
	switch rapid.SampledFrom(sc.kinds).Draw(rt, "news") {
	case "status":
		status := mostly(rt, campaign.StatusFailed, rapid.SampledFrom([]campaign.Status{
			campaign.StatusQueued, campaign.StatusProcessing, campaign.StatusSent, campaign.StatusDelivered, campaign.StatusRead,
		}), "status")
		detail := rapid.SampledFrom([]string{"", "one", "two"}).Draw(rt, "detail")
		return func(w *world) campaign.Folding {
			o := observation(w.campaigns[which], seq, status, at)
			if detail == "two" {
				o.FailClass = campaign.FailTransient
			}
			o.Detail, o.MessageID = detail, fmt.Sprintf("true_x_%d-%d", which, seq)
			return campaign.Folding{Observation: o}
		}
	case "reply":
		id, text := rapid.IntRange(0, 2).Draw(rt, "id"), rapid.SampledFrom([]string{"", "yes", "stop it"}).Draw(rt, "text")
		tie := rapid.SampledFrom([]campaign.Tie{campaign.TieNone, campaign.TieRecent, campaign.TieQuote}).Draw(rt, "tie")
		wish := rapid.SampledFrom([]campaign.Wish{campaign.WishNone, campaign.WishNear}).Draw(rt, "wish")
		return func(w *world) campaign.Folding {
			f := reply(w.campaigns[which], seq, fmt.Sprintf("%s-%d", string(w.alias), id), at, text)
			f.Reply.Tie, f.Reply.Wish, f.Reply.Chat, f.Reply.Author = tie, wish, w.chats[seq-1], w.chats[seq-1]
			if tie == campaign.TieNone {
				f.Reply.Campaign, f.Reply.Seq = "", 0
			}
			return f
		}
	case "consent":
		wish := rapid.SampledFrom([]campaign.Wish{campaign.WishOut, campaign.WishIn}).Draw(rt, "wish")
		spelled, answers := rapid.Bool().Draw(rt, "as the row has it"), rapid.Bool().Draw(rt, "answers")
		return func(w *world) campaign.Folding {
			c := consent(w.campaigns[which], seq, wish, at)
			if c.Chat = w.alias; spelled {
				c.Chat = w.chats[seq-1]
			}
			if !answers {
				c.Campaign, c.Seq, c.Source = "", 0, campaign.ConsentOperator
			}
			return campaign.Folding{Consent: &c}
		}
	case "alias":
		return func(w *world) campaign.Folding {
			return campaign.Folding{Alias: &campaign.ChatAlias{Alias: w.alias, Chat: w.chats[seq-1]}}
		}
	default:
		options := rapid.SampledFrom([][]string{nil, {"Yes"}, {"No"}, {"Yes", "No"}}).Draw(rt, "options")
		voter, told := rapid.IntRange(0, 2).Draw(rt, "voter"), rapid.Bool().Draw(rt, "time told")
		return func(w *world) campaign.Folding {
			b := campaign.Ballot{Voter: []campaign.ChatID{w.chats[seq-1], w.alias, campaign.PersonChat(string(Phone))}[voter], Options: options, At: at.Add(-time.Minute)}
			if !told {
				b.At = time.Time{}
				if voter < 2 && slices.Contains(options, "No") {
					b.Stop = "No"
				}
			}
			located := campaign.LocatedBallots{Campaign: w.campaigns[which].ID, Seq: seq}
			located.AsOf, located.Votes = at, []campaign.Ballot{b}
			if options == nil {
				located.Votes = nil
			}
			return campaign.Folding{Ballots: &located}
		}
	}
}

// tell folds happenings in, in batches of the given sizes and one last.
func (w *world) tell(news []happening, sizes ...int) {
	w.Helper()
	for _, size := range append(sizes, len(news)) {
		size = min(size, len(news))
		var batch []campaign.Folding
		for _, happened := range news[:size] {
			batch = append(batch, happened(w))
		}
		fold(w.T, w.s, batch...)
		news = news[size:]
	}
}

// state is everything that news decides, with the names that worlds differ in
// taken out.
func (w *world) state() string {
	w.Helper()
	ctx := w.Context()
	var all []any
	names := []string{string(w.alias), "alias"}
	for i, chat := range w.chats {
		names = append(names, string(chat), fmt.Sprintf("chat %d", i+1))
	}
	for i, c := range w.campaigns {
		names = append(names, string(c.ID), fmt.Sprintf("campaign %d", i+1))
		for r, err := range w.s.Recipients(ctx, c.ID, storage.Filter{}) {
			must(w.T, err)
			// The ledger's own times, which differ from run to run.
			if !r.QueuedAt.IsZero() {
				r.QueuedAt = newsTime
			}
			r.StagedAt, r.ClaimedAt = time.Time{}, time.Time{}
			all = append(all, r)
		}
		for b, err := range w.s.BallotsOf(ctx, c.ID) {
			must(w.T, err)
			all = append(all, b)
		}
		all = append(all, totals(w.T, w.s, c.ID), replies(w.T, w.s, c.ID), knownChats(w.T, w.s, c.ID))
	}
	reviews, err := w.s.Reviews(ctx)
	must(w.T, err)
	for _, r := range reviews {
		if slices.Contains(w.chats, r.Chat) {
			all = append(all, r)
		}
	}
	chats := append(slices.Clone(w.chats), w.alias)
	out, err := w.s.Suppressed(ctx, chats)
	must(w.T, err)
	for _, chat := range chats {
		history, err := w.s.ConsentOf(ctx, chat)
		must(w.T, err)
		all = append(all, out[chat], history)
	}
	for o, err := range w.s.OptOuts(ctx) {
		must(w.T, err)
		if slices.Contains(chats, o.Chat) {
			all = append(all, o.Consent)
		}
	}
	text, err := json.MarshalIndent(all, "", " ")
	must(w.T, err)
	return strings.NewReplacer(names...).Replace(string(text))
}

// testNewsOrder folds the same random news into two worlds, once as drawn and
// once shuffled, repeated and cut into other batches. Both must end the same,
// whatever came before what. More of it:
//
//	go test ./storage -run 'TestConformance/news' -rapid.checks=5000
func testNewsOrder(t *testing.T, s *storage.Store) {
	worlds := 0
	next := func() *world { worlds++; return newWorld(t, s, worlds) }
	rapid.Check(t, func(rt *rapid.T) {
		about := anyScene(rt)
		news := make([]happening, rapid.IntRange(2, 8).Draw(rt, "much"))
		order := make([]int, 0, 2*len(news))
		for i := range news {
			news[i] = about.happening(rt)
			for range rapid.IntRange(1, 2).Draw(rt, "times") {
				order = append(order, i)
			}
		}
		order = rapid.Permutation(order).Draw(rt, "order")
		shuffled := make([]happening, len(order))
		for i, j := range order {
			shuffled[i] = news[j]
		}
		first, second := next(), next()
		first.tell(news, rapid.IntRange(0, 8).Draw(rt, "first batch"))
		second.tell(shuffled, rapid.IntRange(0, 4).Draw(rt, "one batch"), rapid.IntRange(0, 4).Draw(rt, "another"))
		if diff := gocmp.Diff(first.state(), second.state()); diff != "" {
			rt.Fatalf("another order ends otherwise (-drawn +shuffled %v):\n%s", order, diff)
		}
	})
}

// testVotes: what a row says of its vote, as the votes were seen one after the
// other, whenever that became known.
func testVotes(t *testing.T, s *storage.Store) {
	ctx := t.Context()
	w := newWorld(t, s, 1)
	seeded := w.campaigns[0]
	seen := func(seq int64, minute int, votes ...campaign.Ballot) {
		t.Helper()
		b := campaign.LocatedBallots{Campaign: seeded.ID, Seq: seq}
		b.AsOf, b.Votes = newsTime.Add(time.Duration(minute)*time.Minute), votes
		fold(t, s, campaign.Folding{Ballots: &b})
	}
	vote := func(voter campaign.ChatID, minute int, options ...string) campaign.Ballot {
		return campaign.Ballot{Voter: voter, Options: options, At: newsTime.Add(time.Duration(minute) * time.Minute)}
	}
	want := func(moves, minute int, options ...string) {
		t.Helper()
		r := row(t, s, seeded, 1)
		at := time.Time{}
		if options != nil {
			at = newsTime.Add(time.Duration(minute) * time.Minute)
		}
		if !slices.Equal(r.Vote, options) || r.VoteMoves != moves || !r.VotedAt.Equal(at) {
			t.Errorf("row 1 has chosen %q at %v after %d moves, want %q at %v after %d", r.Vote, r.VotedAt, r.VoteMoves, options, at, moves)
		}
		voted := int64(min(len(options), 1))
		if got := totals(t, s, seeded.ID).Voted; got != voted {
			t.Errorf("%d rows voted, want %d", got, voted)
		}
	}
	them, us := w.chats[0], campaign.PersonChat(string(Phone))
	seen(1, 0)
	seen(1, 1, vote(us, 1, "No"))
	want(0, 0)
	seen(1, 10, vote(them, 9, "Yes"), vote(us, 1, "No"))
	want(0, 9, "Yes")
	seen(1, 20, vote(them, 9, "Yes"))
	want(0, 9, "Yes")
	seen(1, 40) // withdrawn
	want(1, 0)
	seen(1, 30, vote(them, 29, "No")) // seen late
	want(2, 0)
	seen(1, 50, vote("another-spelling@lid", 49, "Yes", "No"))
	want(2, 49, "Yes", "No")
	seen(1, 60, campaign.Ballot{Voter: them, Options: []string{"No"}})
	want(3, 60, "No")

	// Of a group the row says nothing, and an empty ballot is a withdrawn one.
	seen(5, 0, vote("b@c.us", 0, "Yes"), vote("a@c.us", 0, "No"), vote("c@c.us", 0))
	seen(99, 0, vote(them, 0, "Yes"))
	if r := row(t, s, seeded, 5); r.Vote != nil || !r.VotedAt.IsZero() {
		t.Errorf("a group voted %v at %v", r.Vote, r.VotedAt)
	}
	var got []string
	for b, err := range s.BallotsOf(ctx, seeded.ID) {
		must(t, err)
		for _, v := range b.Votes {
			got = append(got, fmt.Sprintf("%d %s %v", b.Seq, cmp.Or(string(b.Ref.Chat), "?")[:1], v.Options))
		}
	}
	if diff := gocmp.Diff([]string{"1 1 [No]", "5 g [No]", "5 g [Yes]"}, got); diff != "" {
		t.Errorf("votes now (-want +got):\n%s", diff)
	}
}
