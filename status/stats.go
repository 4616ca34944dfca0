package status

import (
	"maps"

	"github.com/herald-campaigns/herald/campaign"
)

// Stats counts what the inbox has seen since the process started.
type Stats struct {
	Taken      int64 // deliveries looked at for the first time
	Folded     int64 // of those, told something about a row or a person at once
	Parked     int64 // of those, wait for a row or for the provider's confirmation
	Found      int64 // parked ones that came to something later
	Adopted    int64 // unknown rows that an echo settled
	Foreign    int64 // about phones that are not ours
	Ignored    int64 // concern nothing that Herald follows
	Unreadable int64 // no event
	Refused    int64 // the ledger did not take them
	Dropped    int64 // waited for a row in vain

	Statuses, Replies, OptOuts, OptIns, Reviews, Votes, Phones int64 // what they came to

	Events map[string]int64 // deliveries by the provider's name of the event; those beyond 64 names under "other"
}

// maxEvents is how many names of events are counted one by one.
const maxEvents = 64

// Stats is a copy of the counters.
func (b *Inbox) Stats() Stats {
	b.counting.Lock()
	defer b.counting.Unlock()
	s := b.stats
	s.Events = maps.Clone(s.Events)
	return s
}

func (b *Inbox) count(add func(*Stats)) {
	b.counting.Lock()
	defer b.counting.Unlock()
	add(&b.stats)
}

// add counts a delivery that was looked at for the first time.
func (s *Stats) add(r *reading) {
	s.Taken++
	if s.Events == nil {
		s.Events = map[string]int64{}
	}
	name := r.news.Name
	if _, known := s.Events[name]; !known && len(s.Events) >= maxEvents {
		name = "other"
	}
	if name != "" {
		s.Events[name]++
	}
	switch r.fate {
	case fateForeign:
		s.Foreign++
	case fateNothing:
		if r.news.Name != "" { // else it is counted as unreadable
			s.Ignored++
		}
	case fateUnknown, fateDoubt:
		s.Parked++
	case fateFolded:
		s.Folded++
		s.kind(r)
	case fatePhone:
		s.Phones++
	}
}

// kind counts what a delivery came to.
func (s *Stats) kind(r *reading) {
	for _, f := range r.foldings {
		switch {
		case f.Observation != nil:
			s.Statuses++
		case f.Reply != nil:
			s.Replies++
			if f.Reply.Wish == campaign.WishNear {
				s.Reviews++
			}
		case f.Ballots != nil:
			s.Votes++
			for _, vote := range f.Ballots.Votes {
				if vote.Stop != "" {
					s.OptOuts++
				}
			}
		}
		if f.Consent == nil {
			continue
		}
		if f.Consent.Wish == campaign.WishOut {
			s.OptOuts++
		} else {
			s.OptIns++
		}
	}
}
