package status

import "time"

// SetClock gives the withdrawals another clock; not while they run.
func (w *Withdrawals) SetClock(clock func() time.Time) { w.clock = clock }
