package storage

import "context"

const minuteMillis = 60_000

// The two spans a cap looks back over, in minutes.
const (
	hourMinutes = 60
	dayMinutes  = 24 * 60
)

// usageKey is a sender's minute.
type usageKey struct{ sender, minute int64 }

// bucket is how many intents a sender had in one minute.
type bucket struct {
	Minute int64 `db:"minute"`
	N      int64 `db:"n"`
}

// window is a sender's last 24 hours, oldest minute first.
type window []bucket

// used is the number of intents since the given minute, that one included. A
// minute that lies only partly inside the span counts whole, so that no 60
// minutes or 24 hours ever hold more than the cap.
func (w window) used(since int64) int64 {
	var n int64
	for _, b := range w {
		if b.Minute >= since {
			n += b.N
		}
	}
	return n
}

// freeAt is when a cap over the given minutes allows one more intent: now if
// it does already, else when enough old minutes have left the span.
func (w window) freeAt(now int64, limit int, span int64) int64 {
	if limit <= 0 {
		return now
	}
	since := now/minuteMillis - span
	over := w.used(since) - int64(limit) + 1
	if over <= 0 {
		return now
	}
	for _, b := range w {
		if b.Minute < since {
			continue
		}
		if over -= b.N; over <= 0 {
			return (b.Minute + 1 + span) * minuteMillis
		}
	}
	return now // not reached: the sum over all minutes exceeds any over
}

// window is the sender's usage, read once per transaction and kept current by
// spend.
func (t *tx) window(ctx context.Context, sender, now int64) (window, error) {
	if w, ok := t.windows[sender]; ok {
		return *w, nil
	}
	w := window{}
	err := t.SelectContext(ctx, &w, t.Rebind(
		"SELECT minute, n FROM sender_usage WHERE sender_n = ? AND minute >= ? ORDER BY minute"),
		sender, now/minuteMillis-dayMinutes)
	if err != nil {
		return nil, err
	}
	for key, n := range t.usage { // spent in this transaction before anybody looked
		if key.sender == sender {
			w.add(key.minute, n)
		}
	}
	t.windows[sender] = &w
	return w, nil
}

func (w *window) add(minute, n int64) {
	for i := len(*w) - 1; i >= 0; i-- {
		switch b := &(*w)[i]; {
		case b.Minute == minute:
			b.N = max(0, b.N+n)
			return
		case b.Minute < minute:
			*w = append(*w, bucket{})
			copy((*w)[i+2:], (*w)[i+1:])
			(*w)[i+1] = bucket{minute, n}
			return
		}
	}
	*w = append(window{{minute, n}}, *w...)
}

// spend counts an intent of a sender; refund takes one back.
func (t *tx) spend(sender, at, n int64) {
	minute := at / minuteMillis
	t.usage[usageKey{sender, minute}] += n
	if w, ok := t.windows[sender]; ok {
		w.add(minute, n)
	}
}

func (t *tx) refund(sender, at int64) { t.spend(sender, at, -1) }

func (t *tx) addUsage(ctx context.Context, key usageKey, n int64) error {
	switch {
	case n > 0:
		_, err := t.exec(ctx, `
			INSERT INTO sender_usage (sender_n, minute, n) VALUES (?, ?, ?)
			ON CONFLICT (sender_n, minute) DO UPDATE SET n = sender_usage.n + excluded.n`,
			key.sender, key.minute, n)
		return err
	case n < 0: // a minute that was forgotten since, or a clock set back, is no error
		_, err := t.exec(ctx, "UPDATE sender_usage SET n = CASE WHEN n > ? THEN n - ? ELSE 0 END WHERE sender_n = ? AND minute = ?",
			-n, -n, key.sender, key.minute)
		return err
	}
	return nil
}

// forgetUsage drops what no cap looks back to any more.
func (t *tx) forgetUsage(ctx context.Context, sender, now int64) error {
	_, err := t.exec(ctx, "DELETE FROM sender_usage WHERE sender_n = ? AND minute < ?", sender, now/minuteMillis-2*dayMinutes)
	if err != nil {
		return err
	}
	_, err = t.exec(ctx, "DELETE FROM sender_activity WHERE sender_n = ? AND minute < ?", sender, now/minuteMillis-2*dayMinutes)
	return err
}
