package templates

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/herald-campaigns/herald/campaign"
)

// A poll has 2 to 12 options (dossier §11.2).
const (
	minOptions = 2
	maxOptions = 12
)

// pollProgram is a compiled poll.
type pollProgram struct {
	question *program
	options  []*program
	multiple bool
	id       string
	frozen   []string // the campaign's options; nil when they are not known yet
}

func (c *compiler) poll(t campaign.PollTemplate, cfg Config) *pollProgram {
	p := &pollProgram{multiple: t.Multiple, id: cfg.PollID}
	if blank(t.Question) {
		c.at("message.poll.question", CodePollQuestion, "", "the poll has no question", "write one")
	} else {
		p.question = c.compile("message.poll.question", t.Question)
	}
	if n := len(t.Options); n < minOptions || n > maxOptions {
		c.at("message.poll.options", CodePollOptionCount, "", fmt.Sprintf("a poll has %d to %d options, not %d", minOptions, maxOptions, n), "add or remove options")
	}
	static := true
	for i, option := range t.Options {
		program := c.compile(optionField(i), option)
		p.options = append(p.options, program)
		static = static && program != nil && program.static
	}
	if len(c.problems) > 0 {
		return p
	}
	// Written out options are the campaign's options; with placeholders only
	// the first row can tell.
	if static {
		options := make([]string, len(p.options))
		for i, o := range p.options {
			options[i] = clean(o.text)
		}
		if bad, i := checkOptions(options, cfg.Limits); bad != nil {
			c.at(optionField(i), bad.code, bad.value, bad.what, bad.fix)
			return p
		}
		p.frozen = options
	}
	if len(cfg.PollOptions) > 0 {
		if static && !slices.Equal(p.frozen, cfg.PollOptions) {
			c.at("message.poll.options", CodePollOptionsDiffer, "", "the options are not those the campaign started with", "make a new campaign for another poll")
		}
		p.frozen = cfg.PollOptions
	}
	return p
}

// checkOptions returns what is wrong with the options and with which of them.
func checkOptions(options []string, l Limits) (*rowError, int) {
	for i, o := range options {
		switch {
		case blank(o):
			return &rowError{code: CodePollOption, what: fmt.Sprintf("option %d is blank", i+1), fix: "write it"}, i
		case utf16Length(o) > l.PollOption:
			return &rowError{code: CodePollOption, value: o, what: fmt.Sprintf("option %d is longer than %d characters", i+1, l.PollOption), fix: "shorten it"}, i
		case slices.Contains(options[:i], o):
			return &rowError{code: CodePollOption, value: o, what: fmt.Sprintf("option %d is given twice", i+1), fix: "options must differ, or their votes cannot be told apart"}, i
		}
	}
	return nil, 0
}

// OptionsVary says whether the poll's options hold placeholders and are not
// frozen yet: then OptionsFor the campaign's first row and Freeze come before
// the first Render.
func (t *Template) OptionsVary() bool { return t.poll != nil && t.poll.frozen == nil }

// OptionsFor renders the poll's options for a row. It is nil for a message
// without a poll. Errors are as Render's.
func (t *Template) OptionsFor(_ context.Context, row campaign.Row) ([]string, error) {
	if t.poll == nil {
		return nil, nil
	}
	s := t.scenes.Get().(*scene) // the pool holds nothing else
	defer t.scenes.Put(s)
	if p := s.fill(t.variables, row); p != nil {
		return nil, p.reject(row, "message.poll.options")
	}
	return t.poll.renderOptions(t, s, row)
}

// Freeze returns a copy of the template whose poll has these options. Every
// row whose own come out otherwise is refused: the copies share one poll, and
// votes for different options would be added up as one. Freezing with the
// options of the first row that renders gives the same result on every run
// over the same file; Config.PollOptions freezes at once.
func (t *Template) Freeze(options []string) *Template {
	if t.poll == nil {
		return t
	}
	frozen, poll := *t, *t.poll
	poll.frozen = slices.Clone(options)
	frozen.poll = &poll
	return &frozen
}

var errNotFrozen = errors.New("render poll: options with placeholders were not frozen with those of the first row")

func (p *pollProgram) renderOptions(t *Template, s *scene, row campaign.Row) ([]string, error) {
	options := make([]string, len(p.options))
	for i, o := range p.options {
		text, problem := o.run(s, &t.engine)
		if problem != nil {
			return nil, problem.reject(row, optionField(i))
		}
		options[i] = text
	}
	if problem, i := checkOptions(options, t.cfg.Limits); problem != nil {
		return nil, problem.reject(row, optionField(i))
	}
	return options, nil
}

func (p *pollProgram) render(t *Template, s *scene, row campaign.Row) (campaign.Poll, error) {
	if p.frozen == nil {
		return campaign.Poll{}, errNotFrozen
	}
	question, problem := p.question.run(s, &t.engine)
	switch {
	case problem != nil:
	case blank(question):
		problem = &rowError{code: CodePollQuestion, what: "the question comes out empty", fix: "fill the cell, or give it a default"}
	case utf16Length(question) > t.cfg.Limits.Question:
		problem = tooLong("the question", t.cfg.Limits.Question)
	}
	if problem != nil {
		return campaign.Poll{}, problem.reject(row, "message.poll.question")
	}
	options := p.frozen
	if slices.ContainsFunc(p.options, func(o *program) bool { return !o.static }) {
		own, err := p.renderOptions(t, s, row)
		if err != nil {
			return campaign.Poll{}, err
		}
		if !slices.Equal(own, p.frozen) {
			i := 0
			for i < min(len(own), len(p.frozen))-1 && own[i] == p.frozen[i] {
				i++
			}
			differ := rowError{
				code: CodePollOptionsDiffer, value: own[i],
				what: "the options are not those of the first row, and all copies share one poll",
				fix:  "give every row the same options, or make one campaign for each set",
			}
			return campaign.Poll{}, differ.reject(row, optionField(i))
		}
	}
	// A copy, so that no caller can change what the next row gets.
	return campaign.Poll{Question: question, Options: slices.Clone(options), Multiple: p.multiple, PollID: p.id}, nil
}
