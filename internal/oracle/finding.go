package oracle

import (
	"fmt"
	"slices"
	"strings"
)

// Finding is what Judge saw.
type Finding struct {
	Campaigns    int
	Rows         int64
	Accepted     int64 // messages the provider took
	Known        int64 // rows that say so, under the id
	Found        int64 // of those: rows whose answer was lost, settled by evidence
	Returned     int64 // of those: rows whose answer was lost, sent again after proof that they were not taken
	Unknown      int64 // rows of which nobody knows
	Tried        int64 // of those: rows that have had all their attempts, and are left to a person
	UnknownTaken int64 // messages the provider took that only an unknown row stands for
	Failed       int64
	Left         int64 // skipped or canceled
	Waiting      int64 // not submitted yet
	Lost         int64 // rows that count as done, or as nothing, without a message
	Duplicated   int64 // messages beyond the one that a row stands for

	Problems []string // at most mostProblems; Wrong counts them all
	Wrong    int
}

// mostProblems bounds what a failure prints: with one thing wrong, often
// thousands are.
const mostProblems = 20

// Err is nil when everything is as promised.
func (f Finding) Err() error {
	if f.Wrong == 0 {
		return nil
	}
	more := ""
	if n := f.Wrong - len(f.Problems); n > 0 {
		more = fmt.Sprintf("\n\tand %d more", n)
	}
	return fmt.Errorf("%d things are wrong (%s):\n\t%s%s", f.Wrong, f, strings.Join(f.Problems, "\n\t"), more)
}

// String is the totals in a line.
func (f Finding) String() string {
	return fmt.Sprintf("%d campaigns, %d rows, %d messages taken: %d rows accepted (%d by evidence, %d sent again after proof), %d unknown (%d of them tried three times, %d of them taken), %d failed, %d skipped or canceled, %d waiting; %d lost, %d duplicated",
		f.Campaigns, f.Rows, f.Accepted, f.Known, f.Found, f.Returned, f.Unknown, f.Tried, f.UnknownTaken, f.Failed, f.Left, f.Waiting, f.Lost, f.Duplicated)
}

// Add is two findings together.
func (f Finding) Add(g Finding) Finding {
	f.Campaigns += g.Campaigns
	f.Rows += g.Rows
	f.Accepted += g.Accepted
	f.Known += g.Known
	f.Found += g.Found
	f.Returned += g.Returned
	f.Unknown += g.Unknown
	f.Tried += g.Tried
	f.UnknownTaken += g.UnknownTaken
	f.Failed += g.Failed
	f.Left += g.Left
	f.Waiting += g.Waiting
	f.Lost += g.Lost
	f.Duplicated += g.Duplicated
	f.Wrong += g.Wrong
	f.Problems = append(slices.Clip(f.Problems), g.Problems...)
	f.Problems = f.Problems[:min(len(f.Problems), mostProblems)]
	return f
}

func (f *Finding) wrong(format string, args ...any) {
	f.Wrong++
	if len(f.Problems) < mostProblems {
		f.Problems = append(f.Problems, fmt.Sprintf(format, args...))
	}
}
