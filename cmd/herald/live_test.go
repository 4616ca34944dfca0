package main

import (
	"strings"
	"testing"

	tea "charm.land/bubbletea/v2"
	"github.com/google/go-cmp/cmp"

	"github.com/herald-campaigns/herald/internal/app"
)

func TestWrapped(t *testing.T) {
	t.Parallel()
	parts := []string{"12/40 accepted", "5.0/s", "3 sent", "about 1:20:00 left"}
	for width, want := range map[int]string{
		80: "12/40 accepted · 5.0/s · 3 sent · about 1:20:00 left\n",
		31: "12/40 accepted · 5.0/s · 3 sent\nabout 1:20:00 left\n",
		30: "12/40 accepted · 5.0/s\n3 sent · about 1:20:00 left\n",
		5:  "12/40 accepted\n5.0/s\n3 sent\nabout 1:20:00 left\n",
	} {
		if diff := cmp.Diff(want, wrapped(parts, " · ", width)); diff != "" {
			t.Errorf("width %d (-want +got):\n%s", width, diff)
		}
	}
}

func press1(m tea.Model, key rune) (tea.Model, tea.Cmd) {
	return m.Update(tea.KeyPressMsg{Code: key, Text: string(key)})
}

// Keys ask once; a second wish to stop does not wait for the drain.
func TestLiveKeys(t *testing.T) {
	t.Parallel()
	control := make(chan app.Control, 1)
	interrupts := 0
	var m tea.Model = liveModel{control: control, interrupt: func() { interrupts++ }, keys: true}
	m, _ = press1(m, 'p')
	m, _ = press1(m, 'r') // dropped: the first wish still waits
	if got := <-control; got != app.ControlPause {
		t.Errorf("p asks for %q", got)
	}
	m, _ = press1(m, 'r')
	if got := <-control; got != app.ControlResume {
		t.Errorf("r asks for %q", got)
	}
	m, _ = press1(m, 'q')
	if interrupts != 1 {
		t.Errorf("q asks %d times to stop", interrupts)
	}
	if _, command := press1(m, 'q'); command == nil || interrupts != 1 {
		t.Error("a second q does not end at once")
	}
}

// The screen says what is going on, and what stays of it names no keys.
func TestLiveView(t *testing.T) {
	t.Parallel()
	var m tea.Model = liveModel{keys: true, width: 80}
	if m.View().Content != "" {
		t.Error("something is drawn before there is anything to tell")
	}
	m, _ = m.Update(app.Progress{Submitting: true, Rows: 4})
	if got := m.View().Content; !strings.Contains(got, "p pause") || !strings.Contains(got, "sending") {
		t.Errorf("not what is going on:\n%s", got)
	}
	m, _ = m.Update(closing{})
	if got := m.View().Content; strings.Contains(got, "p pause") {
		t.Errorf("keys are named that nobody listens to:\n%s", got)
	}
}
