package main

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/lmittmann/tint"
	"golang.org/x/term"

	"github.com/herald-campaigns/herald/internal/app"
)

// terminal is where a command's words and data go: data to out, everything
// else to err.
type terminal struct {
	in      io.Reader
	out     io.Writer
	err     io.Writer
	environ []string
	// interrupt asks the running command to drain; a second call ends the
	// process.
	interrupt func()

	json    bool // --json
	noColor bool // --no-color
	logs    *logWriter
	called  bool   // flags and arguments were right, and a command began
	given   string // the flags that decide which ledger and which API, as they were given
}

// say writes a line for people.
func (t *terminal) say(format string, args ...any) {
	t.write(t.err, format+"\n", args...)
}

// print writes to standard output.
func (t *terminal) print(format string, args ...any) { t.write(t.out, format, args...) }

// write is for words to people: nobody is left to tell that they were lost.
func (*terminal) write(w io.Writer, format string, args ...any) {
	_, _ = fmt.Fprintf(w, format, args...)
}

// sayBelow writes text behind a prefix, broken between words and indented as
// far as the prefix on a terminal. In a pipe it stays one line, for grep.
func (t *terminal) sayBelow(prefix, text string) {
	width := 0
	if isTerminal(t.err) {
		width = t.width(t.err)
	}
	t.write(t.err, "%s", hanging(prefix, text, width))
}

// hanging is text behind a prefix in lines of at most width characters, broken
// between words and indented as far as the prefix; one line when width is 0.
func hanging(prefix, text string, width int) string {
	if width == 0 {
		return prefix + text + "\n"
	}
	var b strings.Builder
	hang := strings.Repeat(" ", utf8.RuneCountInString(prefix))
	room := max(width-len(hang), 20)
	line := ""
	for word := range strings.FieldsSeq(text) {
		if line != "" && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > room {
			b.WriteString(prefix + line + "\n")
			prefix, line = hang, ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	b.WriteString(prefix + line + "\n")
	return b.String()
}

// printJSON writes one JSON document to standard output.
func (t *terminal) printJSON(v any) error {
	encoder := json.NewEncoder(t.out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(v)
}

// printLine writes one line of JSON to standard output.
func (t *terminal) printLine(v any) error {
	encoder := json.NewEncoder(t.out)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(v)
}

// interactive says whether a person sits at both ends.
func (t *terminal) interactive() bool { return isTerminal(t.in) && isTerminal(t.err) }

// live says whether progress may redraw itself.
func (t *terminal) live() bool {
	return !t.json && isTerminal(t.err) && t.getenv("TERM") != "dumb"
}

// color says whether what goes to w may be colored (no-color.org, and the
// CLICOLOR convention).
func (t *terminal) color(w io.Writer) bool {
	switch {
	case t.noColor || t.getenv("NO_COLOR") != "":
		return false
	case t.getenv("CLICOLOR_FORCE") != "" && t.getenv("CLICOLOR_FORCE") != "0":
		return true
	default:
		return isTerminal(w) && t.getenv("TERM") != "dumb"
	}
}

// width is how many columns w has; 80 when nobody can tell.
func (t *terminal) width(w io.Writer) int {
	if f, ok := w.(*os.File); ok {
		if width, _, err := term.GetSize(int(f.Fd())); err == nil && width > 20 {
			return min(width, 120)
		}
	}
	return 80
}

func (t *terminal) getenv(name string) string {
	for _, entry := range t.environ {
		if value, found := strings.CutPrefix(entry, name+"="); found {
			return value
		}
	}
	return ""
}

// logger writes logs to standard error: text for a person, JSON otherwise.
func (t *terminal) logger(cfg app.Config) *slog.Logger {
	t.logs = &logWriter{to: t.err}
	var level slog.Level
	// The configuration was validated; an unknown level cannot come here.
	if err := level.UnmarshalText([]byte(cfg.Log.Level)); err != nil {
		level = slog.LevelInfo
	}
	if cfg.Log.Format == "json" || cfg.Log.Format == "auto" && !isTerminal(t.err) {
		return slog.New(slog.NewJSONHandler(t.logs, &slog.HandlerOptions{Level: level}))
	}
	return slog.New(tint.NewTextHandler(t.logs, &tint.Options{Level: level, TimeFormat: time.TimeOnly, NoColor: !t.color(t.err)}))
}

func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// logWriter is standard error for logs. While a live view draws there, lines
// go above it instead of through it.
type logWriter struct {
	mu    sync.Mutex
	to    io.Writer
	above func(line string) // nil: straight to to
}

func (w *logWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.above == nil {
		return w.to.Write(p)
	}
	w.above(strings.TrimSuffix(string(p), "\n"))
	return len(p), nil
}

// divert sends lines to above from now on; nil ends that.
func (w *logWriter) divert(above func(line string)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.above = above
}
