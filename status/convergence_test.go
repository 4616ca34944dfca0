package status_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/status"
	"github.com/herald-campaigns/herald/storage/storagetest"
)

// tale is what truly happened to the messages of a campaign, and all events that
// tell of it. It depends on its seed only.
type tale struct {
	rows   int
	late   int64 // this row's acceptance is committed only after some events
	events []map[string]any
	// What the provider's lists and its status call show at the end.
	messages []map[string]any
	answers  map[int64]campaign.Evidence
}

// newTale makes one up. Times are such that no two things happen at once.
func newTale(seed uint64, m *mailroom) tale {
	random := rand.New(rand.NewPCG(seed, 1))
	tl := tale{rows: 5, answers: map[int64]campaign.Evidence{}}
	tl.late = 1 + random.Int64N(int64(tl.rows))
	for i := range tl.rows {
		tl.row(random, m, int64(i)+1)
	}
	tl.add("org.phone.disconnected", map[string]any{"org_phone": string(storagetest.Phone) + "@c.us", "wa_state": "DISCONNECTED"}, 0)
	tl.add("org.phone.connected", map[string]any{"org_phone": string(storagetest.Phone) + "@c.us", "wa_state": "CONNECTED", "is_ready": true}, 1)
	tl.add("message.ack.updated", m.own(77, map[string]any{"body": "somebody else's"}), 0)
	slices.SortFunc(tl.messages, func(a, b map[string]any) int {
		return cmp.Compare(b["timestamp"].(string), a["timestamp"].(string)) //nolint:forcetypeassert // row writes it
	})
	return tl
}

// add tells of something in one of the two envelopes.
func (tl *tale) add(name string, data map[string]any, form int) {
	if form == 0 {
		tl.events = append(tl.events, map[string]any{"event": name, "data": data, "org_id": "2997dd64", "timestamp": stampOf(mailTime.Add(time.Minute))})
		return
	}
	tl.events = append(tl.events, map[string]any{"id": fmt.Sprintf("e%d", len(tl.events)), "event_type": name, "data": data, "org_id": "2997dd64"})
}

// row makes up what happens to one message.
func (tl *tale) row(random *rand.Rand, m *mailroom, seq int64) {
	base := mailTime.Add(time.Duration(seq) * time.Minute)
	at := func(second int) time.Time { return base.Add(time.Duration(second) * time.Second) }
	if random.IntN(4) == 0 {
		failed := map[string]any{"queue_id": m.queue(seq), "status": "failed", "status_description": "gave up", "timeline": map[string]any{"failed_at": stampOf(at(2))}}
		tl.add("message.failed", failed, random.IntN(2))
		tl.answers[seq] = campaign.Evidence{Status: campaign.StatusFailed, Detail: "gave up", FailedAt: at(2)}
		return
	}
	words := []string{"sent", "delivered", "read"}
	reached := 1 + random.IntN(3)
	final := m.own(seq, nil)
	for level := range reached {
		object := m.own(seq, map[string]any{"timestamp": stampOf(at(0)), "ack": fmt.Sprint(level + 2), "delivery_info": map[string]any{}})
		timeline := map[string]any{"sent_at": stampOf(at(0))}
		info := map[string]any{}
		if level >= 1 {
			info["delivered"] = map[string]any{"x": at(1).Unix()}
			timeline["delivered_at"] = stampOf(at(1))
		}
		if level >= 2 {
			info["read"] = map[string]any{"x": at(2).Unix()}
			timeline["read_at"] = stampOf(at(2))
		}
		object["delivery_info"] = info
		final = object
		if random.IntN(3) > 0 || level == reached-1 {
			tl.add([]string{"message.ack.updated", "message.created"}[random.IntN(2)], object, random.IntN(2))
		}
		if random.IntN(2) == 0 {
			tl.add("message."+words[level], map[string]any{"queue_id": m.queue(seq), "unique_id": unique(seq), "timeline": timeline}, random.IntN(2))
		}
	}
	tl.answers[seq] = campaign.Evidence{Status: campaign.Status(words[reached-1]), SentAt: at(0)}
	final = tl.votes(random, seq, final, at)
	tl.messages = append(tl.messages, final)
	tl.replies(random, seq, at)
}

// votes makes up votes that are changed and withdrawn. Only the last may be the
// one for stopping: the others are not told by anything but their event.
func (tl *tale) votes(random *rand.Rand, seq int64, final map[string]any, at func(int) time.Time) map[string]any {
	cast, last, since := random.IntN(4), "", time.Time{}
	told := seq%2 == 1 // of every second poll the votes come without times, and it says when they last changed
	for i := range cast {
		results := map[string]any{}
		options := []string{"Yes", "No", ""}
		if i == cast-1 {
			options = append(options, "Stop")
		}
		option := options[random.IntN(len(options))]
		if option != last { // or else it stands since then
			last, since = option, at(10+i)
		}
		if option != "" {
			results[option] = map[string]any{string(storagetest.Chat(seq)): stampOf(since)}
			if !told {
				results = map[string]any{string(storagetest.Chat(seq)): []string{option}}
			}
		}
		updated := at(10 + i)
		if !told && !since.IsZero() {
			updated = since
		}
		poll := with(cloneOf(final), map[string]any{
			"poll_info": map[string]any{"pollOptions": []string{"Yes", "No", "Stop"}}, "poll_results": results, "updated_at": stampOf(updated),
		})
		tl.add("message.updated", poll, random.IntN(2))
		if !told && i == cast-1 { // the last vote is seen again and again, and no new one
			for again := range 3 {
				tl.add("message.ack.updated", with(cloneOf(poll), map[string]any{"updated_at": stampOf(at(14 + again))}), again%2)
			}
		}
		if i == cast-1 {
			return poll
		}
	}
	return final
}

// replies makes up what the person writes. A message whose row is committed late
// is quoted, since nothing else ties to what is not known yet.
func (tl *tale) replies(random *rand.Rand, seq int64, at func(int) time.Time) {
	for i := range random.IntN(4) {
		text := []string{"Hello", "STOP", "Start!", "please stop", "बंद करो", "👍"}[random.IntN(6)]
		quoted := []string{"", unique(seq), "true_x@c.us_" + unique(seq)}[random.IntN(3)]
		if seq == tl.late && quoted == "" {
			quoted = unique(seq)
		}
		message := theirs(seq, fmt.Sprintf("r%d-%d", seq, i), text, at(20+i), map[string]any{"quoted_message_id": quoted})
		tl.add("message.created", message, random.IntN(2))
		tl.messages = append(tl.messages, message)
	}
}

func cloneOf(object map[string]any) map[string]any { return with(map[string]any{}, object) }

// telling is one way in which the events reach us.
type telling struct {
	name   string
	losses float64 // share of the events that never come; then lists and status calls make up for them
	times  int     // how often each comes
	order  func(events []map[string]any, random *rand.Rand)
}

func tellings() []telling {
	return []telling{
		{"as it happened", 0, 1, nil},
		{"reversed", 0, 1, func(events []map[string]any, _ *rand.Rand) { slices.Reverse(events) }},
		{"shuffled, three times each", 0, 3, shuffle},
		{"half of it lost", 0.5, 2, shuffle},
		{"all of it lost", 1, 1, nil},
	}
}

func shuffle(events []map[string]any, random *rand.Rand) {
	random.Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
}

// TestEveryTellingEndsTheSame: whatever order, repetition or loss the events of a
// campaign suffer, the ledger says the same in the end.
func TestEveryTellingEndsTheSame(t *testing.T) {
	t.Parallel()
	seeds := uint64(12)
	if testing.Short() {
		seeds = 3
	}
	for seed := range seeds {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			var first []string
			for _, way := range tellings() {
				got := ending(t, seed, way)
				if first == nil {
					first = got
				}
				want := first
				if way.losses > 0 { // nobody can know of moves that nobody told
					want, got = forget(want), forget(got)
				}
				if diff := gocmp.Diff(want, got); diff != "" {
					t.Fatalf("%s ends otherwise (-%s +%s):\n%s", way.name, tellings()[0].name, way.name, diff)
				}
			}
			if len(first) == 0 || !strings.Contains(strings.Join(first, "\n"), "row 5") {
				t.Fatalf("the ledger says nothing: %v", first)
			}
		})
	}
}

// ending lets the events of a tale come in one way, and is what the ledger says in
// the end.
func ending(t *testing.T, seed uint64, way telling) []string {
	t.Helper()
	m := openMail(t, 5)
	tl := newTale(seed, m)
	random := rand.New(rand.NewPCG(seed, 2))
	m.messages = tl.messages
	m.provider.answers = tl.answers
	for i := range tl.rows { // they were sent: there is nothing left to purge
		m.gone = append(m.gone, m.queue(int64(i)+1))
	}
	for i := range tl.rows {
		if seq := int64(i) + 1; seq != tl.late {
			m.send(seq)
		}
	}
	row, claim := m.claim(tl.late)
	var coming []map[string]any
	for _, event := range tl.events {
		if random.Float64() < way.losses {
			continue
		}
		for range way.times {
			coming = append(coming, event)
		}
	}
	if way.order != nil {
		way.order(coming, random)
	}
	commit := random.IntN(len(coming) + 1)
	for i, event := range coming {
		if i == commit {
			m.accept(row, claim)
		}
		m.deliverAs(event)
		if random.IntN(3) == 0 {
			m.later(time.Second)
		}
	}
	if commit == len(coming) {
		m.accept(row, claim)
	}
	m.later(time.Second)
	if way.losses > 0 {
		m.now = mailTime.Add(time.Hour)
		m.sweep()
		m.poll()
	}
	m.now = mailTime.Add(2 * time.Hour)
	m.sort()
	return m.account()
}

// poll asks for every message that is not settled, as the poller does.
func (m *mailroom) poll() {
	m.t.Helper()
	poller := status.New(m.ledger, m.provider, free{}, slog.New(slog.DiscardHandler), status.Config{
		Clock: func() time.Time { return m.now }, Schedule: status.Schedule{Waits: []time.Duration{time.Hour}},
	})
	_, err := poller.Round(m.t.Context())
	check(m.t, err)
}

// forget leaves out what only the events tell: how often a vote was moved.
func forget(account []string) []string {
	var out []string
	for _, line := range account {
		before, _, _ := strings.Cut(line, "; moves")
		out = append(out, before)
	}
	return out
}

// account is all that the ledger says of the campaign and its people, a line
// for each thing.
func (m *mailroom) account() []string {
	m.t.Helper()
	var lines []string
	say := func(format string, args ...any) {
		line := fmt.Sprintf(format, args...)
		lines = append(lines, strings.ReplaceAll(line, string(m.seeded.ID), "cmp"))
	}
	stamp := func(at time.Time) string {
		if at.IsZero() {
			return "-"
		}
		return at.Sub(mailTime).String()
	}
	totals, err := m.ledger.Totals(m.t.Context(), m.seeded.ID)
	check(m.t, err)
	text, err := json.Marshal(totals)
	check(m.t, err)
	say("totals %s", text)
	for seq := range int64(5) {
		r := m.row(seq + 1)
		say("row %d %s %s %s sent %s delivered %s read %s failed %s; %d replies, the first at %s %q; vote %q at %s; opted out %s; moves %d",
			r.Seq, r.Status, r.FailReason, r.Detail, stamp(r.SentAt), stamp(r.DeliveredAt), stamp(r.ReadAt), stamp(r.FailedAt),
			r.Replies, stamp(r.RepliedAt), r.Reply, r.Vote, stamp(r.VotedAt), stamp(r.OptedOut), r.VoteMoves)
		history, err := m.ledger.ConsentOf(m.t.Context(), r.Chat)
		check(m.t, err)
		for _, c := range history {
			say("consent of %d: %s at %s by %s %q for %d", r.Seq, c.Wish, stamp(c.At), c.Source, c.Reason, c.Seq)
		}
		say("suppressed %d: %t", r.Seq, m.suppressed(r.Chat))
	}
	for _, line := range m.replies() {
		say("reply %s", line)
	}
	for b, err := range m.ledger.BallotsOf(m.t.Context(), m.seeded.ID) {
		check(m.t, err)
		for _, v := range b.Votes {
			say("ballot %d: %q at %s", b.Seq, v.Options, stamp(v.At))
		}
	}
	counted, err := m.ledger.Recount(m.t.Context(), m.seeded.ID)
	check(m.t, err)
	if diff := gocmp.Diff(counted, totals); diff != "" {
		m.t.Errorf("the totals are not those of the rows (-rows +totals):\n%s", diff)
	}
	return lines
}
