package campaign

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// ImportSummary is what an import came to.
type ImportSummary struct {
	Number  int    // which import of the campaign; 1 is the first
	File    string // base name
	SHA256  string // lower-case hex over the whole file as stored
	Bytes   int64  // of the file
	Dialect Dialect
	Header  []string
	Slugs   []string

	Rows      int64 // data rows; each is one line of the ledger
	Good      int64 // rows that will get a message
	Skipped   map[SkipReason]int64
	BlankRows int64 // rows without any text, which are no data rows
	LastSeq   int64 // sequence number of the last row

	// BlankCells counts good rows with an empty cell, per column.
	BlankCells []int64
	// Problems groups what is wrong with skipped rows, the most frequent first.
	Problems []ProblemGroup
}

// ProblemGroup is all rows with the same problem.
type ProblemGroup struct {
	Code  string
	Count int64
	First []Problem // the first three
}

// shownPerGroup is how many examples of a problem are kept.
const shownPerGroup = 3

// maxBadShare is the share of bad rows an import accepts unasked.
const maxBadShare = 0.05

// Import is the ledger's line for this import; its time is the caller's.
func (s ImportSummary) Import() Import {
	return Import{
		Number: s.Number, File: s.File, SHA256: s.SHA256, Header: s.Header, Slugs: s.Slugs,
		Rows: s.Rows, Complete: true,
	}
}

// Bad is how many rows a person should mend. Duplicates are none of them.
func (s ImportSummary) Bad() int64 {
	var n int64
	for reason, count := range s.Skipped {
		if reason.Bad() {
			n += count
		}
	}
	return n
}

// LeftOut is how many sound rows get no message: left out by Only, opted out, or
// held out.
func (s ImportSummary) LeftOut() int64 {
	return s.Skipped[SkipExcluded] + s.Skipped[SkipOptedOut] + s.Skipped[SkipHoldout]
}

func (s ImportSummary) leftOutWords() string {
	var words []string
	for _, reason := range []SkipReason{SkipExcluded, SkipOptedOut, SkipHoldout, SkipDuplicate} {
		if n := s.Skipped[reason]; n > 0 {
			words = append(words, fmt.Sprintf("%d %s", n, reason))
		}
	}
	return strings.Join(words, ", ")
}

// TooBad refuses a file in which more than 5 % of the rows are bad, unless
// skipInvalid, and one in which all are, in any case. The *InputError lists
// the problems by group. A file of good rows that are all left out is refused
// with a code of its own.
func (s ImportSummary) TooBad(skipInvalid bool) error {
	bad := s.Bad()
	// A delta may well hold nobody new; a campaign must have somebody.
	all := s.Good == 0 && (s.Number <= 1 || bad == s.Rows)
	if !all && (skipInvalid || float64(bad) <= maxBadShare*float64(s.Rows)) {
		return nil
	}
	head := Problem{Code: csvTooManyBad, File: s.File}
	if left := s.LeftOut(); all && left > 0 {
		words := s.leftOutWords()
		if bad > 0 {
			words += fmt.Sprintf(", %d bad", bad)
		}
		head.Code, head.What = csvNobodyLeft, fmt.Sprintf("none of the %d rows gets a message: %s", s.Rows, words)
		head.Fix = "check `only`, `holdout` and the file itself"
	} else if all {
		head.What = fmt.Sprintf("none of the %d rows can be sent to", s.Rows)
		head.Fix = "mend the file and run again"
	} else {
		head.What = fmt.Sprintf("%d of %d rows (%.1f %%) are bad; up to 5 %% are skipped without asking", bad, s.Rows, 100*float64(bad)/float64(s.Rows))
		head.Fix = "mend them, or pass --skip-invalid to send to the other rows"
	}
	refusal := Reject(head)
	for _, group := range s.Problems {
		if group.Code == csvDuplicate {
			continue
		}
		for i, p := range group.First {
			if i == 0 && group.Count > 1 {
				p.What = fmt.Sprintf("%s (%d rows)", p.What, group.Count)
			}
			refusal.Problems = append(refusal.Problems, p)
		}
		refusal.More += int(group.Count) - len(group.First)
	}
	return refusal
}

// problemGroups collects problems by code.
type problemGroups map[string]*ProblemGroup

func (g problemGroups) add(p Problem) {
	group := g[p.Code]
	if group == nil {
		group = &ProblemGroup{Code: p.Code}
		g[p.Code] = group
	}
	group.Count++
	if len(group.First) < shownPerGroup {
		group.First = append(group.First, p)
	}
}

// sorted is the groups by count, then by code.
func (g problemGroups) sorted() []ProblemGroup {
	var groups []ProblemGroup
	for _, code := range slices.Sorted(maps.Keys(g)) {
		groups = append(groups, *g[code])
	}
	slices.SortStableFunc(groups, func(a, b ProblemGroup) int { return int(b.Count - a.Count) })
	return groups
}
