package main

import (
	"bytes"
	"errors"
	"testing"

	"github.com/herald-campaigns/herald/internal/app"
)

// TestEffectOfACancel says what becomes of messages, also of those that are out
// of Herald's hands.
func TestEffectOfACancel(t *testing.T) {
	t.Parallel()
	const later = "One that was on its way may arrive all the same: `herald serve`, or running any campaign here, finds that out.\n"
	for _, c := range []struct {
		canceled app.Canceled
		want     string
	}{
		{app.Canceled{Waiting: 1}, "Canceled. 1 waiting row will not be sent.\n"},
		{
			app.Canceled{Waiting: 1200, Queued: 1, Purging: true},
			"Canceled. 1,200 waiting rows will not be sent.\n1 message is in Periskope's queue; Herald takes it out of there.\n",
		},
		{
			app.Canceled{Queued: 40, Purging: true},
			"Canceled. 0 waiting rows will not be sent.\n40 messages are in Periskope's queue; Herald takes them out of there.\n",
		},
		{
			app.Canceled{Waiting: 2, Queued: 40, TakenOut: 40},
			"Canceled. 2 waiting rows will not be sent.\nOf 40 messages in Periskope's queue 40 were taken out.\n" + later,
		},
		{
			app.Canceled{Waiting: 2, Queued: 40, TakenOut: 30, GoneOut: 7},
			"Canceled. 2 waiting rows will not be sent.\nOf 40 messages in Periskope's queue 30 were taken out, 7 had gone out, 3 may still arrive.\n" + later,
		},
		{
			app.Canceled{Waiting: 2, Queued: 1, Trouble: errors.New("the API is away")},
			"Canceled. 2 waiting rows will not be sent.\nOf 1 message in Periskope's queue 0 were taken out, 1 may still arrive.\n" + later +
				"  the API is away\n  `herald serve` takes out what is still there.\n",
		},
		{
			app.Canceled{Waiting: 5, Unclear: 2},
			"Canceled. 5 waiting rows will not be sent.\n" +
				"2 calls went unanswered: Periskope may have taken the messages. `herald serve` finds that out, and takes out what is in its queue.\n",
		},
	} {
		var said bytes.Buffer
		(&terminal{err: &said}).canceled(c.canceled)
		if said.String() != c.want {
			t.Errorf("%+v: said %q", c.canceled, &said)
		}
	}
}
