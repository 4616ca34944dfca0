package status

import (
	"cmp"
	"slices"
	"time"

	"github.com/herald-campaigns/herald/campaign"
)

// sighting is one message of the provider's, seen in one list or in several.
type sighting struct {
	campaign.Candidate

	address string
	texts   []string // as the lists show it; they may not agree
	paired  bool     // a message was taken for this job's although no id says so
}

// sightings makes one of each message, whichever lists it is in, in an order
// that does not depend on that of the candidates.
func sightings(candidates []campaign.Candidate) []sighting {
	ordered := slices.SortedFunc(slices.Values(candidates), compareCandidates)
	var (
		list  []sighting
		known = map[string]int{} // id → where in list
	)
	for _, c := range ordered {
		at := -1
		for _, id := range idsOf(c) {
			if found, ok := known[id]; ok {
				at = found
				break
			}
		}
		if at < 0 {
			at = unnamed(list, c)
		}
		if at < 0 {
			at = len(list)
			list = append(list, sighting{Candidate: c, address: address(c.Chat), texts: []string{plain(c.Text)}})
		} else {
			list[at].join(c)
		}
		for _, id := range idsOf(c) {
			known[id] = at
		}
	}
	return list
}

// sameMinute is how far apart a job and a message may be that are one although
// neither list tells the other's id.
const sameMinute = time.Minute

// unnamed is where the job of a message is that shares no kind of id with it:
// same chat, same text and minute. Taken for two, they would settle two rows
// where one message was taken. -1 when there is none.
func unnamed(list []sighting, c campaign.Candidate) int {
	at, text := address(c.Chat), plain(c.Text)
	if c.Source == campaign.EvidenceJobs || at == "" || c.At.IsZero() {
		return -1
	}
	i := slices.IndexFunc(list, func(s sighting) bool {
		return s.Source == campaign.EvidenceJobs && !s.paired && s.address == at && slices.Contains(s.texts, text) &&
			(s.QueueID == "" || c.QueueID == "") && cmp.Or(s.UniqueID, s.MessageID) == "" &&
			!s.At.IsZero() && c.At.Sub(s.At).Abs() <= sameMinute
	})
	if i >= 0 {
		list[i].paired = true
	}
	return i
}

// join adds what another list says of the same message.
func (s *sighting) join(c campaign.Candidate) {
	s.QueueID, s.UniqueID, s.MessageID = cmp.Or(s.QueueID, c.QueueID), cmp.Or(s.UniqueID, c.UniqueID), cmp.Or(s.MessageID, c.MessageID)
	s.Kind, s.Detail = cmp.Or(s.Kind, c.Kind), cmp.Or(s.Detail, c.Detail)
	if s.At.IsZero() {
		s.At = c.At
	}
	if s.address == "" {
		s.Chat, s.address = c.Chat, address(c.Chat)
	}
	if text := plain(c.Text); !slices.Contains(s.texts, text) {
		s.texts = append(s.texts, text)
	}
	s.Status = s.Status.Merge(c.Status)
	s.SentAt, s.DeliveredAt = earlier(s.SentAt, c.SentAt), earlier(s.DeliveredAt, c.DeliveredAt)
	s.ReadAt, s.FailedAt = earlier(s.ReadAt, c.ReadAt), earlier(s.FailedAt, c.FailedAt)
}

func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// says tells whether one of the lists shows the text, and none another kind.
// A file without a caption says nothing by which it could be told from another
// unless the list tells that it is a file.
func (s *sighting) says(text string, kind campaign.Kind) bool {
	if s.Kind != kind && (s.Kind != "" || text == "") {
		return false
	}
	return slices.Contains(s.texts, text)
}

// idsOf is every id of a message, the unique part of its message id instead of
// the whole.
func idsOf(c campaign.Candidate) []string {
	var ids []string
	for _, id := range []string{c.QueueID, uniqueOf(c.UniqueID), uniqueOf(c.MessageID)} {
		if id != "" && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids
}

// compareCandidates puts jobs before messages: a job tells when it was queued,
// a message only when it was sent.
func compareCandidates(a, b campaign.Candidate) int {
	return cmp.Or(
		cmp.Compare(a.Source, b.Source), a.At.Compare(b.At), cmp.Compare(a.QueueID, b.QueueID), cmp.Compare(a.UniqueID, b.UniqueID),
		cmp.Compare(a.MessageID, b.MessageID), cmp.Compare(a.Chat, b.Chat), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Text, b.Text),
		cmp.Compare(a.Status, b.Status), cmp.Compare(a.Detail, b.Detail),
	)
}
