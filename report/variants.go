package report

import (
	"fmt"
	"slices"
	"strings"

	"github.com/herald-campaigns/herald/campaign"
)

// Variants compares the messages of a campaign that has several.
type Variants struct {
	Rows     []Variant    `json:"rows"`              // in the order of the campaign file
	Holdout  *int64       `json:"holdout,omitempty"` // rows chosen by lot to get nothing; absent: the file asks for none
	Compared []Comparison `json:"compared"`
	Summary  []string     `json:"summary"` // for people
	Note     string       `json:"note"`    // for people
}

// Variant is what became of one message. Accepted and failed are shares of its
// recipients, delivered of what was accepted, the others of what was delivered;
// voted, as turnout, of what was delivered to people and not to groups. There is
// no share of voters of a message that asks nothing.
type Variant struct {
	Name   string `json:"name"`
	Weight int    `json:"weight"`
	Outcome
	Rates map[Measure]Rate `json:"rates"`
}

// votes says whether there can be votes on the variant.
func (v Variant) votes() bool {
	_, ok := v.Rates[MeasureVoted]
	return ok
}

// Measure is what variants are compared by.
type Measure string

// The measures, the most telling first.
const (
	MeasureRead      Measure = "read"
	MeasureReplied   Measure = "replied"
	MeasureVoted     Measure = "voted"
	MeasureOptedOut  Measure = "opted_out"
	MeasureDelivered Measure = "delivered"
	MeasureFailed    Measure = "failed"
	MeasureAccepted  Measure = "accepted"
)

// Measures lists them in the order they are shown.
func Measures() []Measure {
	return []Measure{MeasureRead, MeasureReplied, MeasureVoted, MeasureOptedOut, MeasureDelivered, MeasureFailed, MeasureAccepted}
}

// votes says whether there can be votes on any.
func (v *Variants) votes() bool { return slices.ContainsFunc(v.Rows, Variant.votes) }

// groupsAside says, to be added to what the shares are of, that a share of voters
// leaves out groups, where it does.
func (v *Variants) groupsAside() string {
	if !slices.ContainsFunc(v.Rows, func(row Variant) bool { return row.votes() && row.Rates[MeasureVoted].Of != row.Delivered }) {
		return ""
	}
	return " Voted is of the people among them: how many of a group could have voted, nobody knows."
}

// measures are those to be shown of these variants.
func (v *Variants) measures() []Measure {
	return slices.DeleteFunc(Measures(), func(m Measure) bool { return m == MeasureVoted && !v.votes() })
}

// Comparison is how a variant differs from the first one, with the interval of
// the difference at 95 %. Without zero in it, the two can be told apart.
type Comparison struct {
	Variant    string  `json:"variant"`
	To         string  `json:"to"`
	Measure    Measure `json:"measure"`
	Difference float64 `json:"difference"`
	Low        float64 `json:"low"`
	High       float64 `json:"high"`
	Distinct   bool    `json:"distinct"`
	Words      string  `json:"words"` // for people
}

const variantsNote = "Each interval holds for one comparison on its own: of twenty comparisons between equal messages, " +
	"about one looks different by chance"

// variantsOf is nil for a campaign with one message and no holdout.
func variantsOf(spec campaign.Spec, outcomes map[string]*Outcome, people *tally, skipped map[campaign.SkipReason]int64) *Variants {
	if len(spec.Variants) == 0 && spec.Holdout == 0 && len(outcomes) == 0 {
		return nil
	}
	v := &Variants{Rows: []Variant{}, Compared: []Comparison{}, Summary: []string{}, Note: variantsNote}
	if n := skipped[campaign.SkipHoldout]; n > 0 || spec.Holdout > 0 {
		v.Holdout = &n
	}
	named := []string{}
	for _, variant := range spec.Variants {
		named = append(named, variant.Name)
		v.Rows = append(v.Rows, newVariant(variant, outcomes[variant.Name], people))
	}
	for _, name := range allKeys(named, countsOf(outcomes))[len(named):] {
		v.Rows = append(v.Rows, newVariant(campaign.Variant{Name: name}, outcomes[name], people)) // of a file that was changed since
	}
	v.compare()
	return v
}

func countsOf(outcomes map[string]*Outcome) map[string]int64 {
	counts := make(map[string]int64, len(outcomes))
	for name, o := range outcomes {
		counts[name] = o.Recipients
	}
	return counts
}

func newVariant(variant campaign.Variant, o *Outcome, people *tally) Variant {
	if o == nil {
		o = &Outcome{}
	}
	v := Variant{Name: variant.Name, Weight: variant.Weight, Outcome: *o, Rates: map[Measure]Rate{
		MeasureAccepted:  rate(o.Accepted, o.Recipients),
		MeasureFailed:    rate(o.Failed, o.Recipients),
		MeasureDelivered: rate(o.Delivered, o.Accepted),
		MeasureRead:      rate(o.Read, o.Delivered),
		MeasureReplied:   rate(o.Replied, o.Delivered),
		MeasureOptedOut:  rate(o.OptedOut, o.Delivered),
	}}
	if variant.Message.Poll != nil || o.Voted > 0 {
		v.Rates[MeasureVoted] = rate(o.Voted, people.delivered(variant.Name))
	}
	return v
}

// compare holds every variant against the first one.
func (v *Variants) compare() {
	if len(v.Rows) == 0 {
		return
	}
	first := v.Rows[0]
	for _, other := range v.Rows[1:] {
		var alike []string
		for _, m := range Measures() {
			if m == MeasureAccepted {
				continue // what was not accepted failed, or waits
			}
			if m == MeasureVoted && (!first.votes() || !other.votes()) {
				continue // one of the two asks nothing
			}
			a, b := first.Rates[m], other.Rates[m]
			if a.Low == nil || b.Low == nil || a.Count+b.Count == 0 {
				continue // nothing happened that could be compared
			}
			c := Comparison{Variant: other.Name, To: first.Name, Measure: m}
			c.Difference, c.Low, c.High = newcombe(b, a)
			c.Distinct = c.Low > 0 || c.High < 0
			c.Words = c.words(a, b)
			v.Compared = append(v.Compared, c)
			if c.Distinct {
				v.Summary = append(v.Summary, sentence(c.Words))
			} else if slices.Contains(Measures()[:4], m) {
				alike = append(alike, measureWords[m].nouns)
			}
		}
		if len(alike) > 0 {
			v.Summary = append(v.Summary, fmt.Sprintf("%q and %q cannot be told apart by their %s.", first.Name, other.Name, and(alike)))
		}
	}
}

// measureWords is how a measure is said of a message: it "is read more often",
// or cannot be told apart by its reads.
var measureWords = map[Measure]struct{ verb, nouns string }{
	MeasureRead:      {"is read", "reads"},
	MeasureReplied:   {"is answered", "replies"},
	MeasureVoted:     {"is voted on", "votes"},
	MeasureOptedOut:  {"makes people opt out", "opt-outs"},
	MeasureDelivered: {"is delivered", "deliveries"},
	MeasureFailed:    {"fails", "failures"},
}

// words is the comparison in a clause. The names are quoted, so that they stay
// as the campaign file has them where a sentence begins.
func (c Comparison) words(first, other Rate) string {
	w := measureWords[c.Measure]
	if !c.Distinct {
		return fmt.Sprintf("%q and %q cannot be told apart by their %s", c.To, c.Variant, w.nouns)
	}
	often := "more"
	if c.Difference < 0 {
		often = "less"
	}
	return fmt.Sprintf("%q %s %s often than %q: %s against %s", c.Variant, w.verb, often, c.To,
		percent(other.Count, other.Of), percent(first.Count, first.Of))
}

// and lists words as people do.
func and(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " and " + words[len(words)-1]
}

// points is a difference in percentage points, with its sign.
func points(difference float64) string {
	return strings.Replace(fmt.Sprintf("%+.1f", difference*100), "-", "−", 1)
}
