package campaign

import (
	"slices"
	"strings"
)

// Where chooses recipients by what became of their message: "delivered and not
// read", "voted 'Yes' or replied". The zero value chooses everybody.
type Where struct {
	root clause // nil: everybody
}

// Match says whether the recipient is chosen.
func (w Where) Match(r *Recipient) bool { return w.root == nil || w.root.match(r) }

// String is the expression in its plain form, which ParseWhere reads back as
// the same.
func (w Where) String() string {
	if w.root == nil {
		return ""
	}
	return w.root.text()
}

// Variants are the variants that the expression names, as it writes them.
func (w Where) Variants() []string { return w.arguments(variantWord) }

// Options are the options of a poll that the expression names, as it writes
// them.
func (w Where) Options() []string { return w.arguments(votedWord) }

// arguments are what stands behind a word, in the order of the expression.
func (w Where) arguments(word string) []string {
	var list []string
	var walk func(clause)
	walk = func(c clause) {
		switch c := c.(type) {
		case term:
			if c.word.name == word && c.argued {
				list = append(list, c.argument)
			}
		case negation:
			walk(c.of)
		case junction:
			for _, part := range c.of {
				walk(part)
			}
		}
	}
	walk(w.root)
	return list
}

// The words that name something of the campaign itself.
const (
	variantWord = "variant"
	votedWord   = "voted"
)

// clause is a part of an expression.
type clause interface {
	match(r *Recipient) bool
	text() string
}

// term is a single word with what it looks at; its argument, if any, in quotes.
type term struct {
	word     *whereWord
	argument string
	argued   bool
}

func (t term) match(r *Recipient) bool { return t.word.match(r, t.argument, t.argued) }

func (t term) text() string {
	if !t.argued {
		return t.word.name
	}
	return t.word.name + " '" + strings.ReplaceAll(t.argument, "'", "''") + "'"
}

// negation holds where its clause does not.
type negation struct{ of clause }

func (n negation) match(r *Recipient) bool { return !n.of.match(r) }

func (n negation) text() string { return "not " + inParentheses(n.of, true) }

// junction joins two or more clauses by "and" (all), or by "or".
type junction struct {
	all bool
	of  []clause
}

func (j junction) match(r *Recipient) bool {
	for _, c := range j.of {
		if c.match(r) != j.all {
			return !j.all
		}
	}
	return j.all
}

func (j junction) text() string {
	parts := make([]string, len(j.of))
	for i, c := range j.of {
		parts[i] = inParentheses(c, j.all)
	}
	if j.all {
		return strings.Join(parts, " and ")
	}
	return strings.Join(parts, " or ")
}

// inParentheses is the text of a clause where one that binds less tightly needs
// parentheses.
func inParentheses(c clause, tight bool) string {
	if _, ok := c.(junction); ok && tight {
		return "(" + c.text() + ")"
	}
	return c.text()
}

// joined joins clauses; those that are joined the same way become one.
func joined(all bool, clauses []clause) clause {
	if len(clauses) == 1 {
		return clauses[0]
	}
	j := junction{all: all}
	for _, c := range clauses {
		if inner, ok := c.(junction); ok && inner.all == all {
			j.of = append(j.of, inner.of...)
			continue
		}
		j.of = append(j.of, c)
	}
	return j
}

// whereArgument says whether a word takes a text in quotes behind it.
type whereArgument int

const (
	noArgument whereArgument = iota
	mayArgue
	mustArgue
)

// whereWord is a word of the language.
type whereWord struct {
	name     string
	argument whereArgument
	shown    string // how an argument looks
	match    func(r *Recipient, argument string, argued bool) bool
}

// plain is a word without an argument.
func plain(name string, match func(r *Recipient) bool) whereWord {
	return whereWord{name: name, match: func(r *Recipient, _ string, _ bool) bool { return match(r) }}
}

// whereWords are the words, in the order in which they are listed.
func whereWords() []whereWord {
	return []whereWord{
		plain("accepted", func(r *Recipient) bool {
			return r.Status.Evident() && (r.Status != StatusFailed || r.FailReason == FailProvider)
		}),
		plain("sent", func(r *Recipient) bool { return r.Status.Out() }),
		plain("delivered", func(r *Recipient) bool { return rank[r.Status] >= rank[StatusDelivered] }),
		plain("read", func(r *Recipient) bool { return r.Status == StatusRead }),
		plain("failed", func(r *Recipient) bool { return r.Status == StatusFailed }),
		plain("retryable", func(r *Recipient) bool { return r.Status == StatusFailed && r.FailClass == FailTransient }),
		plain("replied", func(r *Recipient) bool { return r.Replies > 0 }),
		{name: votedWord, argument: mayArgue, shown: "voted 'Yes'", match: func(r *Recipient, option string, argued bool) bool {
			if !argued {
				return !r.VotedAt.IsZero()
			}
			return slices.ContainsFunc(r.Vote, func(chosen string) bool { return strings.EqualFold(strings.TrimSpace(chosen), option) })
		}},
		plain("opted out", func(r *Recipient) bool { return !r.OptedOut.IsZero() }),
		plain("unknown", func(r *Recipient) bool { return r.Status == StatusUnknown }),
		{name: "skipped", argument: mayArgue, shown: "skipped 'opted_out'", match: func(r *Recipient, reason string, argued bool) bool {
			return r.Status == StatusSkipped && (!argued || string(r.SkipReason) == reason)
		}},
		plain("canceled", func(r *Recipient) bool { return r.Status == StatusCanceled }),
		plain("waiting", func(r *Recipient) bool { return r.Status.Waiting() }),
		{name: variantWord, argument: mustArgue, shown: "variant 'A'", match: func(r *Recipient, name string, _ bool) bool {
			return r.Variant != "" && strings.EqualFold(r.Variant, name)
		}},
		plain("holdout", func(r *Recipient) bool { return r.SkipReason == SkipHoldout }),
	}
}
