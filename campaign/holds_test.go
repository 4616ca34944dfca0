package campaign

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestOpenHolds(t *testing.T) {
	t.Parallel()
	minute := 0
	at := func(kind EventKind, reason PauseReason, detail string) Event {
		minute++
		return Event{At: time.Date(2026, 11, 28, 10, minute, 0, 0, time.UTC), Kind: kind, Reason: reason, Detail: detail}
	}
	stale := at(EventHeld, PauseDiskFull, "40 MiB left")
	began := at(EventState, "", "")
	disk := at(EventHeld, PauseDiskFull, "30 MiB left")
	first := at(EventHeld, PauseDisconnected, "12*****0123: no QR code")
	second := at(EventHeld, PauseDisconnected, "12*****0124: no QR code")
	over := at(EventReleased, PauseDisconnected, "12*****0124: it is over")
	room := at(EventReleased, PauseDiskFull, "it is over")
	for name, test := range map[string]struct{ timeline, want []Event }{
		"nothing happened":      {nil, nil},
		"held":                  {[]Event{began, disk}, []Event{disk}},
		"over":                  {[]Event{began, disk, room}, []Event{}},
		"of an earlier run":     {[]Event{stale, began}, nil},
		"one of two senders":    {[]Event{began, first, second, over}, []Event{first}},
		"one of two reasons":    {[]Event{began, disk, first, room}, []Event{first}},
		"over without a begin":  {[]Event{began, room}, nil},
		"both senders are held": {[]Event{began, first, second}, []Event{first, second}},
	} {
		if diff := cmp.Diff(test.want, OpenHolds(test.timeline)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}
