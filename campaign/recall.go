package campaign

// RecallLooks is how many answers in a row that do not have a message in the
// provider's queue end the asking for one that was taken back.
const RecallLooks = 4

// Recall is how far the asking is for a message that was taken back out of the
// provider's queue (Status.TakenBack). The ledger keeps it in the place of the
// count of requests, so that one number says three things: how many requests
// there were, how many of the last answers did not have the message in the queue,
// and, by being negative, that the last answer had it there still and nobody has
// asked since to have it taken out. The zero value is that of a message that was
// taken back just now.
type Recall int

// recallBase parts the two counts: n requests before the last looks, of which
// there are fewer than the base, are n × base + looks.
const recallBase = 8

func (r Recall) parts() (before, looks int) {
	n := max(int(r), -int(r))
	return n / recallBase, n % recallBase
}

// Requests is how often the provider was asked.
func (r Recall) Requests() int {
	before, looks := r.parts()
	return before + looks
}

// InQueue says whether the provider said that it has the message in its queue
// still, and was not asked since to take it out.
func (r Recall) InQueue() bool { return r < 0 }

// Over says whether enough answers did not have it there.
func (r Recall) Over() bool {
	_, looks := r.parts()
	return looks >= RecallLooks
}

// After is r after one more request that came to this. What nobody answered says
// nothing about the message: the looks stay as many, and only the wait grows.
func (r Recall) After(o Observation) Recall {
	before, looks := r.parts()
	switch {
	case o.Unanswered && r.InQueue():
		return r - recallBase
	case o.Unanswered:
		return r + recallBase
	case o.Status == StatusQueued || o.Status == StatusProcessing:
		return -Recall((before + looks + 1) * recallBase)
	default:
		return Recall(before*recallBase + min(looks+1, recallBase-1))
	}
}
