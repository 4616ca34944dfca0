package templates

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/osteele/liquid/render"

	"github.com/herald-campaigns/herald/campaign"
)

// Config is what a template is compiled for. The zero value compiles a
// message without placeholders.
type Config struct {
	// Variables are the names a template may use: the slugs of the file's
	// columns, in file order. None means that the file has no columns to use.
	Variables []string
	// Headers maps a variable to the header it came from, for messages. A
	// variable without one is shown by its own name.
	Headers map[string]string

	// PollID is the id every copy of a poll carries. It may be empty for a
	// check; a poll without it cannot be tallied over its copies.
	PollID string
	// PollOptions are the options the campaign's poll has, where the template
	// writes them with placeholders: those of the first row. See
	// Template.Freeze. Empty: not known yet.
	PollOptions []string

	// Country is the ISO 3166 alpha-2 country of numbers without a country
	// code; it also decides how 03/04/2026 is read and how amounts are
	// grouped. Empty: none.
	Country string
	// Location is the zone in which the date filter writes. Nil: UTC.
	Location *time.Location

	// RefuseBlank makes a blank cell an error of its row wherever it would be
	// printed without a default. Off by default: blanks are only counted
	// (Stats).
	RefuseBlank bool

	// Dir is the folder that media.file is relative to. Empty: the working
	// directory.
	Dir string
	// Media keeps local files under their hash. Nil: they are only checked and
	// hashed, which is enough for a preview.
	Media MediaStore

	Limits Limits
}

// Limits bound what a row may render to. Periskope publishes none; the
// defaults are those of WhatsApp's own clients (dossier §11.2). Characters are
// UTF-16 code units, sizes bytes.
type Limits struct {
	Text       int // characters of a text; 0 is 65,536, which is also the most
	Caption    int // characters of a caption; 0 is 1,024
	Question   int // characters of a poll's question; 0 is 255
	PollOption int // characters of one option; 0 is 100

	Image    int64 // size of a local image; 0 is 5 MB
	Video    int64 // size of a local video; 0 is 16 MB
	Audio    int64 // size of a local audio file; 0 is 16 MB
	Document int64 // size of a local document; 0 is 100 MB
}

// DefaultMaxText is the most characters a text may have.
const DefaultMaxText = 65_536

const megabyte = 1_000_000

func (l Limits) withDefaults() Limits {
	for _, d := range []struct {
		field    *int
		standard int
	}{{&l.Text, DefaultMaxText}, {&l.Caption, 1_024}, {&l.Question, 255}, {&l.PollOption, 100}} {
		if *d.field <= 0 {
			*d.field = d.standard
		}
	}
	l.Text = min(l.Text, DefaultMaxText)
	for _, d := range []struct {
		field    *int64
		standard int64
	}{{&l.Image, 5 * megabyte}, {&l.Video, 16 * megabyte}, {&l.Audio, 16 * megabyte}, {&l.Document, 100 * megabyte}} {
		if *d.field <= 0 {
			*d.field = d.standard
		}
	}
	return l
}

func (c Config) withDefaults() Config {
	c.Limits = c.Limits.withDefaults()
	if c.Location == nil {
		c.Location = time.UTC
	}
	c.Country = strings.ToUpper(c.Country)
	return c
}

// Template is a compiled message. It is safe for use by several goroutines at
// once and never changes.
type Template struct {
	source campaign.Template
	cfg    Config
	engine render.Config

	text    *program
	media   *mediaProgram
	poll    *pollProgram
	replyTo *program

	variables []string
	usage     []Variable
	needed    []int // variables that are printed somewhere without a default
	scenes    *sync.Pool
}

var _ campaign.Renderer = (*Template)(nil)

// Compile reads the message once. What is wrong with it comes as a
// *campaign.InputError that lists every problem found, with the field, the
// line and the column within that field's text (Caret draws the place). A
// media.file without placeholders is read, checked and stored here; any other
// error is from doing that.
func Compile(ctx context.Context, t campaign.Template, cfg Config) (*Template, error) {
	cfg = cfg.withDefaults()
	c := &compiler{
		names: cfg.Variables, headers: cfg.Headers, limits: cfg.Limits,
		engine: newEngine(locale{country: cfg.Country, location: cfg.Location}),
	}
	out := &Template{source: t, cfg: cfg, engine: c.engine}

	switch {
	case t.Poll != nil && t.Media != nil:
		c.at("message", CodeKind, "", "a message is either a poll or media", "send them as two campaigns")
	case t.Poll != nil && strings.TrimSpace(t.Text) != "":
		c.at("message", CodeKind, "", "a poll has a question and no text", "move the text into the question")
	case t.Poll == nil && t.Media == nil && strings.TrimSpace(t.Text) == "":
		c.at("message", CodeEmpty, "", "the message is empty", "write a text, media or a poll under message")
	}
	if t.Text != "" {
		out.text = c.compile("message.text", t.Text)
	}
	if t.Media != nil {
		out.media = c.media(*t.Media)
	}
	if t.Poll != nil {
		out.poll = c.poll(*t.Poll, cfg)
	}
	if strings.TrimSpace(t.ReplyTo) != "" {
		out.replyTo = c.compile("message.reply_to", t.ReplyTo)
	}
	if err := c.err(); err != nil {
		return nil, err
	}

	out.variables = c.variables
	out.usage = c.usage()
	for i, v := range c.variables {
		if slices.ContainsFunc(out.usage, func(u Variable) bool { return u.Name == v && u.NeedsValue() }) {
			out.needed = append(out.needed, i)
		}
	}
	out.scenes = &sync.Pool{New: func() any { return newScene(len(c.variables), c.constants) }}

	if out.media != nil {
		if err := out.media.open(ctx, cfg); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Render makes the message of one row. An error about the row is a
// *campaign.InputError with one problem, whose Line is that of the row; any
// other error (ctx, or a media store that cannot write) says nothing about the
// row and must not be held against it.
func (t *Template) Render(ctx context.Context, row campaign.Row) (campaign.Message, error) {
	s := t.scenes.Get().(*scene) // the pool holds nothing else
	defer t.scenes.Put(s)

	if p := s.fill(t.variables, row); p != nil {
		return campaign.Message{}, p.reject(row, "message")
	}
	if p := t.refuseBlank(s); p != nil {
		return campaign.Message{}, p.reject(row, "message")
	}
	m := campaign.Message{HidePreview: t.source.LinkPreview != nil && !*t.source.LinkPreview}

	text, p := t.body(s)
	if p != nil {
		return campaign.Message{}, p.reject(row, "message.text")
	}
	m.Text = text

	if t.media != nil {
		media, err := t.media.render(ctx, t, s, row)
		if err != nil {
			return campaign.Message{}, err
		}
		m.Media = &media
	}
	if t.poll != nil {
		poll, err := t.poll.render(t, s, row)
		if err != nil {
			return campaign.Message{}, err
		}
		m.Poll = &poll
	}
	if t.replyTo != nil {
		reply, p := t.reply(s)
		if p != nil {
			return campaign.Message{}, p.reject(row, "message.reply_to")
		}
		m.ReplyTo = reply
	}
	return m, nil
}

// body renders the text, or the caption of media, which may be blank.
func (t *Template) body(s *scene) (string, *rowError) {
	if t.text == nil {
		return "", nil
	}
	text, p := t.text.run(s, &t.engine)
	if p != nil {
		return "", p
	}
	what, most := "the text", t.cfg.Limits.Text
	if t.media != nil {
		what, most = "the caption", t.cfg.Limits.Caption
	} else if blank(text) {
		return "", &rowError{
			code: CodeEmptyText, what: "the text comes out empty",
			fix: `fill the cell, or give it a default: {{ column | default: "…" }}`,
		}
	}
	if len(text) > most && utf16Length(text) > most {
		return "", tooLong(what, most)
	}
	return text, nil
}

// blank says whether nothing of the text can be seen.
func blank(text string) bool {
	return strings.Trim(text, " \t\n\u00a0\u200b\u200c\u200d\u2060\ufeff\u200e\u200f") == ""
}

// reply renders the quoted message's id. A blank one is an error where its
// column should have held a value; a template that says what to do with a
// blank ("default", or a condition) sends without a quote.
func (t *Template) reply(s *scene) (string, *rowError) {
	id, p := t.replyTo.run(s, &t.engine)
	switch {
	case p != nil:
		return "", p
	case id == "" && t.fieldNeedsValue("message.reply_to"):
		return "", &rowError{
			code: CodeReply, what: "there is no message to reply to",
			fix: `fill the cell, or write {{ column | default: "" }} to send without a quote then`,
		}
	case len(id) > 256 || strings.ContainsAny(id, " \t\n\u00a0"):
		return "", &rowError{
			code: CodeReply, value: id, what: "this is no message id",
			fix: "use the message_id of a message in the same chat, true_…@c.us_…",
		}
	}
	return id, nil
}

func (t *Template) refuseBlank(s *scene) *rowError {
	if !t.cfg.RefuseBlank {
		return nil
	}
	for _, i := range t.needed {
		if s.cells[i].isBlank() {
			return &rowError{
				code: CodeBlank, what: fmt.Sprintf("the cell of column %s is blank", t.variables[i]),
				fix: "fill the cell, or give it a default: {{ " + t.variables[i] + ` | default: "…" }}`,
			}
		}
	}
	return nil
}

func (t *Template) fieldNeedsValue(field string) bool {
	for _, v := range t.usage {
		for _, u := range v.Uses {
			if u.Field == field && u.NeedsValue() {
				return true
			}
		}
	}
	return false
}
