package report

import (
	"time"

	"github.com/herald-campaigns/herald/campaign"
)

// Uncertainty is how far an unknown row is from being settled.
type Uncertainty string

// The uncertainties, in the order of an unknown row's life.
const (
	Searching   Uncertainty = "searching"    // evidence is still looked for
	Unresolved  Uncertainty = "unresolved"   // the time for evidence is over: a person decides
	AssumedSent Uncertainty = "assumed_sent" // a person or the campaign's policy has decided
)

// UncertaintyOf says where an unknown row stands at now, whose call was begun at
// claimed.
func UncertaintyOf(claimed time.Time, resolution campaign.Resolution, now time.Time) Uncertainty {
	row := campaign.UnknownRow{ClaimedAt: claimed, Resolution: resolution}
	switch {
	case row.Resolution != campaign.ResolutionNone:
		return AssumedSent
	case row.Unresolved(now):
		return Unresolved
	default:
		return Searching
	}
}

var uncertaintyWords = map[Uncertainty]Word{
	Unresolved: {
		Label: "unresolved", Meaning: "nothing proved within 24 hours whether they were sent",
		Advice: "decide with `herald unknowns`: look into the chat; is the message there, --assume-sent says so, and --resend sends it again where it is not",
	},
	Searching: {
		Label: "being looked for", Meaning: "they may have been sent; the provider's lists are searched while the campaign is run, for 24 hours after the call",
		Advice: "keep the run going, or run the same file again",
	},
	AssumedSent: {
		Label: "assumed sent", Meaning: "nothing was proved, and it was decided to count them as sent; proof that comes late still counts",
		Advice: "nothing; to send one again all the same, name it with `herald unknowns --resend --row`",
	},
}

// uncertainties lists them with what asks for a decision first.
func uncertainties() []Uncertainty { return []Uncertainty{Unresolved, Searching, AssumedSent} }

// UncertaintyWord is the wording of an uncertainty.
func UncertaintyWord(u Uncertainty) Word { return uncertaintyWords[u] }

// addUnknown keeps the first rows of all, and the first of each kind, so that
// many rows of one kind do not hide the others.
func (p *pass) addUnknown(r *campaign.Recipient) {
	line := lineOf(r)
	line.Since = instant(r.ClaimedAt)
	line.State = UncertaintyOf(r.ClaimedAt, r.Resolution, p.now)
	p.unknowns = appendUpTo(p.unknowns, maxUnknowns, line)
	kind := p.uncertain[line.State]
	kind.Total++
	kind.Rows = appendUpTo(kind.Rows, maxUnknowns, line)
	p.uncertain[line.State] = kind
}

// unknown is what the pass found out about unknown rows.
func (p *pass) unknown() Unknown {
	u := Unknown{Lines: Lines{Rows: p.unknowns}, kinds: p.uncertain}
	u.Searching = new(p.uncertain[Searching].Total)
	u.Unresolved = new(p.uncertain[Unresolved].Total)
	u.AssumedSent = new(p.uncertain[AssumedSent].Total)
	u.UnresolvedRows = p.uncertain[Unresolved].Rows
	return u
}
