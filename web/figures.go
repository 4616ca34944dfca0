package web

import (
	"maps"
	"sync"
	"time"
)

// Stats are figures since the server was made. A delivery that was kept after
// its caller had been told that it took too long is in two of the counts.
type Stats struct {
	Accepted   int64 `json:"accepted"`   // new, and kept
	Duplicate  int64 `json:"duplicate"`  // known already
	Ignored    int64 `json:"ignored"`    // an event nobody follows
	Forged     int64 `json:"forged"`     // unsigned, forged, altered
	Oversize   int64 `json:"oversize"`   // longer than MaxBody
	Unreadable int64 `json:"unreadable"` // signed, but no event; or cut short
	Busy       int64 `json:"busy"`       // too much at once
	Failed     int64 `json:"failed"`     // the ledger did not keep it, or not in time
	Off        int64 `json:"off"`        // there was no signing key

	// Names counts signed deliveries by the provider's name of the event. Names
	// beyond the first 64 are counted as "other".
	Names map[string]int64 `json:"names"`
	// Last is when something signed came in; zero: never.
	Last time.Time `json:"last"`
}

const (
	maxNames  = 64
	otherName = "other"
	warnEvery = time.Minute
)

type figures struct {
	mu sync.Mutex
	Stats
	warned time.Time // when somebody was last told of forged deliveries
}

func newFigures() *figures { return &figures{Stats: Stats{Names: make(map[string]int64)}} }

func (f *figures) stats() Stats {
	f.mu.Lock()
	defer f.mu.Unlock()
	stats := f.Stats
	stats.Names = maps.Clone(f.Names)
	return stats
}

// count adds one to one of the figures.
func (f *figures) count(which *int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	*which++
}

// forged counts a forged delivery, and says whether it is time to tell somebody:
// a flood must not fill the log.
func (f *figures) forged() (tell bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.Forged++
	if now := time.Now(); now.Sub(f.warned) >= warnEvery {
		f.warned, tell = now, true
	}
	return tell
}

// named counts a signed delivery by its name.
func (f *figures) named(name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.Last = time.Now()
	if _, known := f.Names[name]; !known && len(f.Names) >= maxNames {
		name = otherName
	}
	f.Names[name]++
}

func (f *figures) kept(fresh, known int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.Accepted += int64(fresh)
	f.Duplicate += int64(known)
}
