package templates

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/osteele/liquid/expressions"

	"github.com/herald-campaigns/herald/campaign"
)

// The codes of problems in a template. They are stable and searchable.
const (
	CodeEmpty         = "E_TPL_EMPTY"          // the message has neither text, media nor poll
	CodeKind          = "E_TPL_KIND"           // parts that cannot go into one message
	CodeSourceTooLong = "E_TPL_SOURCE_LONG"    // the template itself is longer than the longest message
	CodeTooComplex    = "E_TPL_TOO_COMPLEX"    // too many placeholders, filters or nested blocks
	CodeUnfinished    = "E_TPL_UNFINISHED"     // "{{" or "{%" without its end on the same line
	CodeSyntax        = "E_TPL_SYNTAX"         // not an expression
	CodeNoName        = "E_TPL_NO_NAME"        // "{{}}"
	CodePositional    = "E_TPL_POSITIONAL"     // "{{1}}"
	CodeSingleBrace   = "E_TPL_SINGLE_BRACE"   // "{name}"
	CodeQuotes        = "E_TPL_QUOTES"         // curly or unfinished quotation marks
	CodeUnknownColumn = "E_TPL_UNKNOWN_COLUMN" // no such variable
	CodeUnknownFilter = "E_TPL_UNKNOWN_FILTER"
	CodeUnknownTag    = "E_TPL_UNKNOWN_TAG"
	CodeBlock         = "E_TPL_BLOCK"      // if, case and their ends do not match
	CodeFilterArg     = "E_TPL_FILTER_ARG" // a filter's arguments do not fit

	CodeMediaType   = "E_TPL_MEDIA_TYPE"   // media.type is none of the four
	CodeMediaSource = "E_TPL_MEDIA_SOURCE" // neither or both of url and file
	CodeBadURL      = "E_TPL_BAD_URL"
	CodeFileMissing = "E_TPL_FILE_MISSING"
	CodeFileOutside = "E_TPL_FILE_OUTSIDE" // a row's path leaves its folder
	CodeFileEmpty   = "E_TPL_FILE_EMPTY"
	CodeFileSize    = "E_TPL_FILE_SIZE"
	CodeFileType    = "E_TPL_FILE_TYPE" // the content is not what media.type says

	CodePollQuestion      = "E_TPL_POLL_QUESTION"
	CodePollOptionCount   = "E_TPL_POLL_OPTION_COUNT"
	CodePollOption        = "E_TPL_POLL_OPTION" // blank, too long or given twice
	CodePollOptionsDiffer = "E_TPL_POLL_OPTIONS_DIFFER"

	CodeEmptyText = "E_TPL_EMPTY_TEXT" // renders to white space only
	CodeTooLong   = "E_TPL_TOO_LONG"   // renders to more than may be sent
	CodeNoColumn  = "E_TPL_NO_COLUMN"  // the row's file lacks a column that the template uses
	CodeBlank     = "E_TPL_BLANK"      // a blank cell where Config.RefuseBlank forbids one
	CodeReply     = "E_TPL_REPLY"      // reply_to is blank or no message id
	CodeNotNumber = "E_TPL_NOT_NUMBER"
	CodeBadDate   = "E_TPL_BAD_DATE"
	CodeBadPhone  = "E_TPL_BAD_PHONE"
	CodeDivision  = "E_TPL_DIVIDED_BY_ZERO"
	CodeRender    = "E_TPL_RENDER" // the engine gave up
)

// maxProblems caps what Compile lists; the rest is counted.
const maxProblems = 20

// Source is the text of one field of a message, by the Field of a Problem or
// Warning: "message.text", "message.poll.options[2]". It is "" for a field
// that is not there.
func Source(t campaign.Template, field string) string {
	if name, ok := strings.CutPrefix(field, "message.media."); ok && t.Media != nil {
		switch name {
		case "url":
			return t.Media.URL
		case "file":
			return t.Media.File
		case "filename":
			return t.Media.Filename
		case "mimetype":
			return t.Media.MIME
		}
		return ""
	}
	if name, ok := strings.CutPrefix(field, "message.poll."); ok && t.Poll != nil {
		if name == "question" {
			return t.Poll.Question
		}
		for i, option := range t.Poll.Options {
			if field == optionField(i) {
				return option
			}
		}
		return ""
	}
	switch field {
	case "message.text":
		return t.Text
	case "message.reply_to":
		return t.ReplyTo
	}
	return ""
}

func optionField(i int) string { return fmt.Sprintf("message.poll.options[%d]", i) }

// Caret is the line of src that holds the place, and under it a caret:
//
//	Hi {{ frist_name }},
//	      ^
//
// Line and column count from 1, columns in characters. A long line is cut
// around the place. It is "" when there is no such place.
func Caret(src string, line, column int) string {
	lines := strings.Split(src, "\n")
	if line < 1 || line > len(lines) || column < 1 {
		return ""
	}
	text := []rune(strings.TrimSuffix(lines[line-1], "\r"))
	at := min(column-1, len(text))

	const before, width = 40, 76
	from := max(0, at-before)
	to := min(len(text), from+width)
	shown := text[from:to]
	at -= from
	if from > 0 {
		shown = append([]rune("…"), shown...)
		at++
	}
	if to < len(text) {
		shown = append(slices.Clip(shown), '…')
	}
	head, tail := visible(string(shown[:at])), visible(string(shown[at:]))
	return head + tail + "\n" + strings.Repeat(" ", displayWidth(head)) + "^"
}

// position is the line and the column, both from 1 and in characters, of a
// byte offset.
func position(src string, offset int) (line, column int) {
	head := src[:offset]
	line = 1 + strings.Count(head, "\n")
	return line, 1 + utf8.RuneCountInString(head[strings.LastIndexByte(head, '\n')+1:])
}

// rowError is what is wrong with one row. Filters and comparisons return it
// from inside the engine; fault digs it out again.
type rowError struct {
	code, what, fix string
	value           string
}

func (p *rowError) Error() string { return p.what }

// reject makes the error that Render returns for a row.
func (p *rowError) reject(row campaign.Row, field string) error {
	return campaign.Reject(campaign.Problem{
		Code: p.code, Line: row.Line, Field: field, Value: quote(p.value), What: p.what, Fix: p.fix,
	})
}

// fault finds the rowError behind an error of the engine, whose types know
// Cause but not Unwrap.
func fault(err error) *rowError {
	for depth := 0; err != nil && depth < 16; depth++ {
		if errors.Is(err, errOverflow) {
			return tooLong("the text", DefaultMaxText)
		}
		if p, ok := errors.AsType[*rowError](err); ok {
			return p
		}
		if filter, ok := errors.AsType[expressions.FilterError](err); ok {
			err = filter.Err
			continue
		}
		var caused interface{ Cause() error }
		if !errors.As(err, &caused) {
			break
		}
		err = caused.Cause()
	}
	// The engine's own words may hold the cell, so they are not passed on.
	return &rowError{
		code: CodeRender,
		what: "the template could not be rendered for this row",
		fix:  "look at the row with `herald preview`",
	}
}

// quote shortens a value for a Problem and masks long runs of digits, which
// may be a telephone number.
func quote(s string) string {
	const longest = 60
	runes := []rune(s)
	if len(runes) > longest {
		runes = append(runes[:longest-1:longest-1], '…')
	}
	var b strings.Builder
	for len(runes) > 0 {
		n := 0
		for n < len(runes) && runes[n] >= '0' && runes[n] <= '9' {
			n++
		}
		switch {
		case n >= 7:
			b.WriteString(campaign.MaskDigits(string(runes[:n])))
		case n > 0:
			b.WriteString(string(runes[:n]))
		default:
			n = 1
			b.WriteRune(runes[0])
		}
		runes = runes[n:]
	}
	return visible(b.String())
}

// listed is "a, b, c" of at most twelve names.
func listed(names []string) string {
	const most = 12
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return strings.Join(names[:most], ", ") + fmt.Sprintf(" and %d more", len(names)-most)
}
