package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestColorIsForTerminalsAndThoseWhoInsist(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		environ []string
		flag    bool
		want    bool
	}{
		{name: "a pipe"},
		{name: "insisting", environ: []string{"CLICOLOR_FORCE=1"}, want: true},
		{name: "not insisting", environ: []string{"CLICOLOR_FORCE=0"}},
		{name: "NO_COLOR wins", environ: []string{"CLICOLOR_FORCE=1", "NO_COLOR=1"}},
		{name: "the flag wins", environ: []string{"CLICOLOR_FORCE=1"}, flag: true},
	} {
		terminal := &terminal{environ: c.environ, noColor: c.flag}
		if got := terminal.color(&bytes.Buffer{}); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

// Logs of a run that is drawn go above the drawing, and none is lost.
func TestLogsAreDiverted(t *testing.T) {
	t.Parallel()
	var straight bytes.Buffer
	var above []string
	w := &logWriter{to: &straight}
	write := func(line string) {
		if n, err := w.Write([]byte(line)); err != nil || n != len(line) {
			t.Errorf("%q: %d bytes written, %v", line, n, err)
		}
	}
	write("one\n")
	w.divert(func(line string) { above = append(above, line) })
	write("two\n")
	w.divert(nil)
	write("three\n")
	if diff := cmp.Diff("one\nthree\n", straight.String()); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"two"}, above); diff != "" {
		t.Error(diff)
	}
}

func TestShellWord(t *testing.T) {
	t.Parallel()
	for word, want := range map[string]string{
		"campaign.yaml": "campaign.yaml", "a/b-c_d.csv": "a/b-c_d.csv", "": "''",
		"my offer.yaml": "'my offer.yaml'", "it's": `'it'\''s'`, "$HOME": "'$HOME'", "दिवाली": "'दिवाली'",
	} {
		if got := shellWord(word); got != want {
			t.Errorf("%q: %s, want %s", word, got, want)
		}
	}
}

func TestWordsForNumbers(t *testing.T) {
	t.Parallel()
	var got []string
	for _, d := range []time.Duration{0, 42 * time.Second, 725 * time.Second, 200 * time.Minute} {
		got = append(got, clock(d))
	}
	for _, d := range []time.Duration{0, 40 * time.Second, 75 * time.Minute, 5 * time.Hour, 60 * time.Hour} {
		got = append(got, long(d))
	}
	for _, perSecond := range []float64{0.05, 2.5, 48.7} {
		got = append(got, rate(perSecond))
	}
	want := "0:00, 0:42, 12:05, 3:20:00, 1 s, 40 s, 75 min, 5.0 h, 2.5 days, 3.0/m, 2.5/s, 49/s"
	if diff := cmp.Diff(want, strings.Join(got, ", ")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
