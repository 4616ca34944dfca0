package storagetest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/storage"
)

// seenVotes is the votes on a row's poll as a look shows them: without times, and
// of each voter the one option. "Stop" asks for no more messages.
func seenVotes(seeded Seeded, seq int64, at time.Time, options map[campaign.ChatID]string) campaign.Folding {
	b := campaign.LocatedBallots{Campaign: seeded.ID, Seq: seq}
	b.AsOf = at
	for voter, option := range options {
		vote := campaign.Ballot{Voter: voter, Options: []string{option}}
		if option == "Stop" {
			vote.Stop = option
		}
		b.Votes = append(b.Votes, vote)
	}
	return campaign.Folding{Ballots: &b}
}

// wishesOf is what was decided about a chat, the latest first, each with its
// hour.
func wishesOf(t *testing.T, s *storage.Store, chat campaign.ChatID) []string {
	t.Helper()
	history, err := s.ConsentOf(t.Context(), chat)
	must(t, err)
	var list []string
	for _, c := range history {
		list = append(list, fmt.Sprintf("%s by %s at %g", c.Wish, c.Source, c.At.Sub(newsTime).Hours()))
	}
	return list
}

// testUndatedVotes: a vote whose time nobody tells opts out from when it was
// first seen to stand, once, whatever the order in which the views come.
func testUndatedVotes(t *testing.T, s *storage.Store) {
	number := 0
	for _, test := range []struct {
		name  string
		views []string // hour by hour; "" is no vote
		start float64  // the hour of a START; 0: none
		want  []string
		out   bool
	}{
		{"it stands", []string{"Stop", "Stop", "Stop", "Stop"}, 0, []string{"opt_out by vote at 0"}, true},
		{"a START between", []string{"Stop", "Stop", "Stop", "Stop"}, 1.5, []string{"opt_in by reply at 1.5", "opt_out by vote at 0"}, false},
		{
			"changed, and back after a START",
			[]string{"Stop", "Yes", "Stop", "Stop"},
			0.5,
			[]string{"opt_out by vote at 2", "opt_in by reply at 0.5", "opt_out by vote at 0"},
			true,
		},
		{
			"withdrawn, and given again before a START",
			[]string{"Stop", "", "Stop", "Stop"},
			2.5,
			[]string{"opt_in by reply at 2.5", "opt_out by vote at 2", "opt_out by vote at 0"},
			false,
		},
		{"changed for good", []string{"Yes", "Stop", "Yes", ""}, 0, []string{"opt_out by vote at 1"}, true},
	} {
		for _, order := range permutations(len(test.views)) {
			number++
			w := newWorld(t, s, number)
			seeded, chat := w.campaigns[0], w.chats[0]
			if test.start > 0 {
				start := consent(seeded, 1, campaign.WishIn, newsTime.Add(time.Duration(test.start*float64(time.Hour))))
				start.Chat = chat
				fold(t, s, campaign.Folding{Consent: &start})
			}
			for _, i := range append(order, order...) {
				votes := map[campaign.ChatID]string{chat: test.views[i]}
				if test.views[i] == "" {
					votes = nil
				}
				fold(t, s, seenVotes(seeded, 1, newsTime.Add(time.Duration(i)*time.Hour), votes))
			}
			if diff := cmp.Diff(test.want, wishesOf(t, s, chat)); diff != "" {
				t.Fatalf("%s, seen in the order %v (-want +got):\n%s", test.name, order, diff)
			}
			out, err := s.Suppressed(t.Context(), []campaign.ChatID{chat})
			must(t, err)
			if out[chat] != test.out {
				t.Errorf("%s, seen in the order %v: opted out %v", test.name, order, out[chat])
			}
			if r := row(t, s, seeded, 1); r.OptedOut.IsZero() {
				t.Errorf("%s, seen in the order %v: the row does not say that its recipient opted out", test.name, order)
			}
		}
	}
	testUndatedInGroup(t, s)
	testTimeToldLater(t, s)
	testSeenAtOnce(t, s)
	testKeptBefore(t, s)
	testOneVoteToldDifferently(t, s)
}

// testOneVoteToldDifferently: a vote that nobody changed is one, in whatever order
// a report lists its options, and also where two reports of one time differ.
func testOneVoteToldDifferently(t *testing.T, s *storage.Store) {
	t.Helper()
	const group = 5 // the row
	a, z := campaign.ChatID("told-a@c.us"), campaign.ChatID("told-z@c.us")
	type report = map[campaign.ChatID][]string
	for i, hours := range [][][]report{
		{{{a: {"Yes", "Stop"}}}, {{a: {"Stop", "Yes"}}}, {{a: {"Yes", "Stop"}}}},
		{{{a: {"Stop"}}}, {{a: {"Stop"}}, {z: {"Yes"}}}, {{a: {"Stop"}}}}, // of two reports of one time one is kept
		{{{a: {"Stop"}}, {z: {"Yes"}}}, {{a: {"Stop"}}}, {{a: {"Stop"}}}},
	} {
		for j, order := range permutations(len(hours)) {
			seeded := newWorld(t, s, 710+10*i+j).campaigns[0]
			voter := campaign.ChatID(fmt.Sprintf("told-%d-%d@c.us", i, j))
			for _, hour := range append(order, order...) {
				for _, votes := range hours[hour] {
					b := campaign.LocatedBallots{Campaign: seeded.ID, Seq: group}
					b.AsOf = newsTime.Add(time.Duration(hour) * time.Hour)
					for who, options := range votes {
						vote := campaign.Ballot{Voter: who, Options: options}
						if who == a {
							vote.Voter, vote.Stop = voter, "Stop"
						}
						b.Votes = append(b.Votes, vote)
					}
					fold(t, s, campaign.Folding{Ballots: &b})
				}
			}
			if diff := cmp.Diff([]string{"opt_out by vote at 0"}, wishesOf(t, s, voter)); diff != "" {
				t.Errorf("%v, seen in the order %v (-want +got):\n%s", hours, order, diff)
			}
		}
	}
}

// testUndatedInGroup: each voter for itself.
func testUndatedInGroup(t *testing.T, s *storage.Store) {
	t.Helper()
	w := newWorld(t, s, 900)
	seeded := w.campaigns[0]
	a, b := campaign.ChatID("stops-a@c.us"), campaign.ChatID("stops-b@c.us")
	for hour, votes := range []map[campaign.ChatID]string{{a: "Stop"}, {a: "Stop", b: "Stop"}, {b: "Stop"}, {a: "Stop", b: "Stop"}} {
		fold(t, s, seenVotes(seeded, 5, newsTime.Add(time.Duration(hour)*time.Hour), votes))
	}
	if diff := cmp.Diff([]string{"opt_out by vote at 3", "opt_out by vote at 0"}, wishesOf(t, s, a)); diff != "" {
		t.Errorf("who voted, withdrew it and voted again (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"opt_out by vote at 1"}, wishesOf(t, s, b)); diff != "" {
		t.Errorf("who voted later (-want +got):\n%s", diff)
	}
	if list := wishesOf(t, s, w.chats[4]); list != nil {
		t.Errorf("the group has decided: %v", list)
	}
}

// testTimeToldLater: once the time of a vote is told, it counts.
func testTimeToldLater(t *testing.T, s *storage.Store) {
	t.Helper()
	w := newWorld(t, s, 901)
	seeded, chat := w.campaigns[0], w.chats[0]
	stop := consent(seeded, 1, campaign.WishOut, newsTime.Add(30*time.Minute))
	stop.Chat, stop.Source = chat, campaign.ConsentVote
	dated := seenVotes(seeded, 1, newsTime.Add(2*time.Hour), map[campaign.ChatID]string{chat: "Stop"})
	dated.Ballots.Votes[0].At, dated.Ballots.Votes[0].Stop = stop.At, ""
	fold(t, s, seenVotes(seeded, 1, newsTime.Add(time.Hour), map[campaign.ChatID]string{chat: "Stop"}))
	fold(t, s, dated, campaign.Folding{Consent: &stop})
	fold(t, s, seenVotes(seeded, 1, newsTime.Add(3*time.Hour), map[campaign.ChatID]string{"another-spelling@lid": "Stop"}))
	if diff := cmp.Diff([]string{"opt_out by vote at 0.5"}, wishesOf(t, s, chat)); diff != "" {
		t.Errorf("a vote whose time is told later (-want +got):\n%s", diff)
	}
}

// testKeptBefore: a ledger from before has views that do not say who opts out, and
// a decision for each of them.
func testKeptBefore(t *testing.T, s *storage.Store) {
	t.Helper()
	w := newWorld(t, s, 903)
	seeded, chat := w.campaigns[0], w.chats[0]
	stop := map[campaign.ChatID]string{chat: "Stop"}
	for hour := range 2 {
		at := newsTime.Add(time.Duration(hour) * time.Hour)
		seen := seenVotes(seeded, 1, at, stop)
		seen.Ballots.Votes[0].Stop = ""
		c := consent(seeded, 1, campaign.WishOut, at)
		c.Chat, c.Source = chat, campaign.ConsentVote
		fold(t, s, seen, campaign.Folding{Consent: &c})
	}
	start := consent(seeded, 1, campaign.WishIn, newsTime.Add(90*time.Minute))
	start.Chat = chat
	fold(t, s, campaign.Folding{Consent: &start}, seenVotes(seeded, 1, newsTime.Add(2*time.Hour), stop))
	want := []string{"opt_in by reply at 1.5", "opt_out by vote at 1", "opt_out by vote at 0"}
	if diff := cmp.Diff(want, wishesOf(t, s, chat)); diff != "" {
		t.Errorf("a vote that a ledger from before has (-want +got):\n%s", diff)
	}
}

// testSeenAtOnce: one look shows the votes on two polls, or two reports differ.
func testSeenAtOnce(t *testing.T, s *storage.Store) {
	t.Helper()
	w := newWorld(t, s, 902)
	first, second, chat := w.campaigns[0], w.campaigns[1], w.chats[0]
	stop := map[campaign.ChatID]string{chat: "Stop"}
	at := func(hour int) time.Time { return newsTime.Add(time.Duration(hour) * time.Hour) }
	fold(t, s, seenVotes(first, 1, at(1), stop), seenVotes(second, 1, at(1), stop))
	fold(t, s, seenVotes(second, 1, at(0), stop)) // it moves; that of the first poll stays
	if diff := cmp.Diff([]string{"opt_out by vote at 1", "opt_out by vote at 0"}, wishesOf(t, s, chat)); diff != "" {
		t.Errorf("votes on two polls (-want +got):\n%s", diff)
	}
	if r := row(t, s, first, 1); !r.OptedOut.Equal(at(1)) {
		t.Errorf("the first poll's row says opted out at %v", r.OptedOut)
	}
	other := w.chats[1]
	for _, option := range []string{"Stop", "Yes", "Stop"} {
		fold(t, s, seenVotes(first, 2, at(0), map[campaign.ChatID]string{other: option}))
	}
	if diff := cmp.Diff([]string{"opt_out by vote at 0"}, wishesOf(t, s, other)); diff != "" {
		t.Errorf("two reports about the same time (-want +got):\n%s", diff)
	}
	if r := row(t, s, first, 2); !slices.Equal(r.Vote, []string{"Yes"}) || r.VoteMoves != 0 {
		t.Errorf("of two reports about the same time the row says %v after %d moves", r.Vote, r.VoteMoves)
	}
}

// testUndatedVoteNotice: many views of one vote are told of once, also when an
// earlier one comes late.
func testUndatedVoteNotice(t *testing.T, s *storage.Store) {
	seeded := Seed(t, s, 1)
	reportTo(t, s, seeded, &campaign.Notify{URL: "https://example.com/hook", Messages: true})
	see := func(hour int, option string) {
		t.Helper()
		fold(t, s, seenVotes(seeded, 1, newsTime.Add(time.Duration(hour)*time.Hour), map[campaign.ChatID]string{Chat(1): option}))
	}
	want := func(times int) {
		t.Helper()
		n := 0
		for _, line := range told(t, s, "source", "reason") {
			if line == "recipient.opted_out vote Stop" {
				n++
			}
		}
		if n != times {
			t.Errorf("told %d times of an opt-out, want %d: %v", n, times, told(t, s, "source", "reason"))
		}
	}
	for _, hour := range []int{2, 3, 5, 1, 2} {
		see(hour, "Stop")
		want(1)
	}
	see(6, "Yes")
	see(7, "Stop")
	see(8, "Stop")
	want(2)
}
