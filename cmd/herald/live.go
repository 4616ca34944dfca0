package main

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"charm.land/bubbles/v2/progress"
	tea "charm.land/bubbletea/v2"

	"github.com/herald-campaigns/herald/internal/app"
)

// liveView redraws the progress in place and listens to single keys. What
// must stay on the screen is printed after it is closed.
type liveView struct {
	program *tea.Program
	done    chan struct{}
	control chan app.Control
	logs    *logWriter
}

func newLiveView(t *terminal) *liveView {
	v := &liveView{done: make(chan struct{}), control: make(chan app.Control, 1), logs: t.logs}
	model := liveModel{
		bar: progress.New(progress.WithDefaultBlend(), progress.WithWidth(barWidth)), width: 80,
		control: v.control, interrupt: t.interrupt, keys: isTerminal(t.in),
	}
	options := []tea.ProgramOption{tea.WithOutput(t.err), tea.WithoutSignalHandler()}
	if model.keys {
		options = append(options, tea.WithInput(t.in))
	} else {
		options = append(options, tea.WithInput(nil))
	}
	v.program = tea.NewProgram(model, options...)
	// Send, unlike Println, does not wait for a program that has ended.
	v.logs.divert(func(line string) { v.program.Send(tea.Println(line)()) })
	go func() {
		defer close(v.done)
		// Without a screen to draw on the campaign goes on all the same; only a
		// second wish to stop ends the process, once the screen is restored.
		if _, err := v.program.Run(); errors.Is(err, tea.ErrInterrupted) {
			t.interrupt()
		}
	}()
	return v
}

func (v *liveView) show(p app.Progress) { v.program.Send(p) }

func (v *liveView) close() {
	var late []string // what is logged while the screen goes is not lost
	v.logs.divert(func(line string) { late = append(late, line) })
	defer func() {
		v.logs.divert(nil)
		for _, line := range late {
			_, _ = v.logs.Write([]byte(line + "\n"))
		}
	}()
	v.program.Send(closing{}) // the last frame stays on the screen: without keys
	v.program.Quit()
	<-v.done
}

const barWidth = 46

// closing says that no key is listened to any more.
type closing struct{}

// liveModel is what is on the screen.
type liveModel struct {
	bar       progress.Model
	latest    *app.Progress
	control   chan<- app.Control
	interrupt func()
	keys      bool
	stopping  bool
	closed    bool
	width     int // of the terminal
}

func (m liveModel) Init() tea.Cmd { return nil }

func (m liveModel) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case app.Progress:
		m.latest = &msg
	case tea.WindowSizeMsg:
		m.width = msg.Width
		m.bar.SetWidth(min(barWidth, max(msg.Width-20, 10))) // room for the share and a word
	case closing:
		m.closed = true
	case tea.KeyPressMsg:
		switch msg.String() {
		case "p":
			m.ask(app.ControlPause)
		case "r":
			m.ask(app.ControlResume)
		case "q", "ctrl+c":
			if m.stopping {
				return m, tea.Interrupt
			}
			m.stopping = true
			m.interrupt()
		}
	}
	return m, nil
}

// ask passes a wish on; a second one while the first waits is dropped.
func (m liveModel) ask(control app.Control) {
	select {
	case m.control <- control:
	default:
	}
}

func (m liveModel) View() tea.View {
	if m.latest == nil {
		return tea.NewView("")
	}
	p := *m.latest
	var b strings.Builder
	fmt.Fprintf(&b, "%s  %s\n", strings.ToUpper(string(p.Campaign.Mode)), p.Campaign.Name)
	fmt.Fprintf(&b, "%s  %s\n", m.bar.ViewAs(p.Share()), headline(p))
	b.WriteString(wrapped(figures(p), " · ", m.width))
	switch {
	case m.closed:
	case m.stopping:
		fmt.Fprintf(&b, "stopping: waiting for the calls under way (press again to end at once)\n")
	case m.keys:
		fmt.Fprintf(&b, "p pause · r resume · q stop (nothing is lost)\n")
	}
	return tea.NewView(b.String())
}

// wrapped joins parts into lines of at most width characters.
func wrapped(parts []string, separator string, width int) string {
	var b strings.Builder
	used := 0
	for i, part := range parts {
		n := utf8.RuneCountInString(part)
		switch {
		case i == 0:
		case used+utf8.RuneCountInString(separator)+n > width:
			b.WriteByte('\n')
			used = 0
		default:
			b.WriteString(separator)
			used += utf8.RuneCountInString(separator)
		}
		b.WriteString(part)
		used += n
	}
	b.WriteByte('\n')
	return b.String()
}
