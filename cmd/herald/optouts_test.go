package main

import (
	"bytes"
	"testing"

	"github.com/herald-campaigns/herald/internal/app"
)

// TestReviewedCountsMessages, whatever was decided about them.
func TestReviewedCountsMessages(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		messages int64
		optOut   bool
		want     string
	}{
		{1, false, "1 message counts as no opt-out.\n"},
		{3, false, "3 messages count as no opt-out.\n"},
		{1, true, "1 message counts as an opt-out.\nNo message was waiting for them.\n"},
	} {
		var said bytes.Buffer
		if err := (&terminal{err: &said}).reviewed(app.Decided{Chats: c.messages}, c.optOut); err != nil || said.String() != c.want {
			t.Errorf("%+v: said %q, %v", c, &said, err)
		}
	}
}

// TestEffectOfAnOptOut says what becomes of messages, also of those that are
// out of Herald's hands.
func TestEffectOfAnOptOut(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		skipped, queued int64
		purging         bool
		want            string
	}{
		{0, 0, false, "No message was waiting for them.\n"},
		{1, 0, false, "1 waiting message will not be sent.\n"},
		{3, 1, false, "3 waiting messages will not be sent, 1 in Periskope's queue; it may still arrive.\n"},
		{0, 2, false, "0 waiting messages will not be sent, 2 in Periskope's queue; they may still arrive.\n"},
		{3, 1, true, "3 waiting messages will not be sent, 1 in Periskope's queue; Herald takes it out of there.\n"},
		{1200, 40, true, "1,200 waiting messages will not be sent, 40 in Periskope's queue; Herald takes them out of there.\n"},
	} {
		var said bytes.Buffer
		(&terminal{err: &said}).effect(c.skipped, c.queued, c.purging)
		if said.String() != c.want {
			t.Errorf("%+v: said %q", c, &said)
		}
	}
}
