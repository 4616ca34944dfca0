package app

import (
	"bytes"
	"fmt"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/herald-campaigns/herald/internal/faults"
	"github.com/herald-campaigns/herald/sandbox"
	"github.com/herald-campaigns/herald/storage"
)

// TestFrozenBeforeTheFirstByte stops a process where it hurts most, and lets it
// go on: between the intent and the call, and when the call has a connection
// already. Either is given back, not made late: once because the lease is over,
// once because the intent is too old, under a lease that is not over.
func TestFrozenBeforeTheFirstByte(t *testing.T) {
	t.Parallel()
	const recipients, frozenFor = 60, 5 * time.Second
	for _, point := range []faults.Point{faults.AfterIntent, faults.Connected} {
		for name, part := range map[string]part{
			"the lease is over":     {LeaseTTL: 3 * time.Second},
			"the intent is too old": {LeaseTTL: time.Minute, Deadline: 3 * time.Second},
		} {
			t.Run(string(point)+", "+name, func(t *testing.T) {
				t.Parallel()
				th := newTheater(t, nil)
				part.File = th.text(recipients, "pace: { rate: 200/s, in_flight: 1 }\n")
				child := th.child(part, faults.Plan{Point: point, Pass: 7, Act: faults.ActFreeze})
				check(t, child.Start())
				th.awaitFrozen(child.Process.Pid)
				before, frozen := len(th.sim.Acceptances()), time.Now()
				if before != 6 {
					t.Errorf("%d messages were taken before the seventh call", before)
				}
				<-time.After(frozenFor)
				if n := len(th.sim.Acceptances()); n != before {
					t.Errorf("a frozen process sent %d messages", n-before)
				}
				check(t, child.Process.Signal(syscall.SIGCONT))
				check(t, child.Wait())

				a := th.open()
				defer func() { check(t, a.Close()) }()
				found := th.audit(a)
				wantOnce(t, found)
				if found.Found+found.Returned > 0 {
					t.Errorf("nothing was ever under way while it stood still: %s", found)
				}
				if n := th.api.answered(200); n != recipients {
					t.Errorf("%d calls were answered for %d recipients", n, recipients)
				}
				late := th.latest(a)
				if late >= frozenFor {
					t.Errorf("a call was made %s after its intent", late)
				}
				t.Logf("frozen for %s under a lease of %s; the latest call came %s after its intent; %s",
					time.Since(frozen).Round(time.Millisecond), part.LeaseTTL, late, found)
			})
		}
	}
}

// TestFrozenAgainAndAgain stops a busy process at random instants for longer
// than its lease lives, lets it go on and kills it.
func TestFrozenAgainAndAgain(t *testing.T) {
	t.Parallel()
	const recipients, freezes = 1500, 5
	th := newTheater(t, func(c *sandbox.Config) { c.Latency = sandbox.Range{Max: 20 * time.Millisecond} })
	file := th.text(recipients, "pace: { rate: 400/s, in_flight: 8 }\n")
	killer := newKiller(t)
	for range freezes {
		th.killChild(killer, part{File: file, LeaseTTL: 600 * time.Millisecond}, faults.Strike{
			Working: th.api.after(20), Within: 200 * time.Millisecond, Freeze: 1500 * time.Millisecond,
		})
	}
	found := th.finish(file)
	wantOnce(t, found)
	a := th.open()
	defer func() { check(t, a.Close()) }()
	t.Logf("%d freezes and kills, the latest call came %s after its intent; %s", freezes, th.latest(a), found)
}

// awaitFrozen waits until all of a process stands still.
func (th *theater) awaitFrozen(pid int) {
	th.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for timeout := time.After(time.Minute); ; {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		check(th.t, err)
		if _, state, ok := bytes.Cut(stat, []byte(") ")); ok && state[0] == 'T' {
			return
		}
		select {
		case <-tick.C:
		case <-timeout:
			th.t.Fatal("the child was never stopped")
		}
	}
}

// latest is the longest time between the intent of a row and its acceptance by
// the provider.
func (th *theater) latest(a *App) time.Duration {
	th.t.Helper()
	at := map[string]time.Time{}
	for _, acceptance := range th.sim.Acceptances() {
		at[acceptance.QueueID] = acceptance.At
	}
	all, err := a.store.Campaigns(th.t.Context())
	check(th.t, err)
	var latest time.Duration
	for _, c := range all {
		for r, err := range a.store.Recipients(th.t.Context(), c.ID, storage.Filter{}) {
			check(th.t, err)
			if taken, ok := at[r.QueueID]; ok {
				latest = max(latest, taken.Sub(r.ClaimedAt))
			}
		}
	}
	return latest
}
