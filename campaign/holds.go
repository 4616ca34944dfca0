package campaign

import (
	"slices"
	"strings"
)

// OpenHolds are the holds of a timeline, oldest first, that are not over:
// events of the kind EventHeld whose EventReleased is still to come. They tell
// of now only while somebody sends the campaign.
func OpenHolds(timeline []Event) []Event {
	var open []Event
	for _, e := range timeline {
		switch e.Kind { //nolint:exhaustive // the others say nothing about holds
		case EventHeld:
			open = append(open, e)
		case EventReleased:
			if i := holdEndedBy(open, e); i >= 0 {
				open = slices.Delete(open, i, i+1)
			}
		case EventState:
			open = nil // whoever sends it from now on looks for himself
		}
	}
	return open
}

// holdEndedBy is which hold is over; -1 if none is. Several senders can be held
// for the same reason: then the detail begins with the one it is about.
func holdEndedBy(open []Event, released Event) int {
	subject, _, _ := strings.Cut(released.Detail, ": ")
	same := func(e Event) bool { return e.Reason == released.Reason }
	if i := slices.IndexFunc(open, func(e Event) bool { return same(e) && strings.HasPrefix(e.Detail, subject+": ") }); i >= 0 {
		return i
	}
	return slices.IndexFunc(open, same)
}
