package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/herald-campaigns/herald/internal/app"
)

// numbers is a flag that names rows or lines, which are counted from 1: "2",
// "2,3", and as often as one likes.
type numbers struct {
	of   string // "row" or "line"
	list *[]int64
}

func (n numbers) Set(text string) error {
	for word := range strings.SplitSeq(text, ",") {
		number, err := strconv.ParseInt(strings.TrimSpace(word), 10, 64)
		if err != nil {
			return fmt.Errorf("a %s is a number, such as 17", n.of)
		}
		if number < 1 {
			return fmt.Errorf("there is no such %s: they are counted from 1", n.of)
		}
		*n.list = append(*n.list, number)
	}
	return nil
}

// String is empty without numbers, so that the help shows no default.
func (n numbers) String() string {
	if n.list == nil || len(*n.list) == 0 {
		return ""
	}
	return fmt.Sprint(*n.list)
}

func (n numbers) Type() string { return n.of }

// check looks whether the flags make sense together.
func (f unknownFlags) check() error {
	named := len(f.choice.Rows) + len(f.choice.Lines) + len(f.choice.Phones)
	for _, phone := range f.choice.Phones {
		if strings.TrimSpace(phone) == "" {
			return &usageError{err: errors.New("--phone is empty"), hint: `it takes a number, such as --phone "+1 201 555 0163"`}
		}
	}
	switch {
	case f.assumeSent && f.resend:
		return &usageError{err: errors.New("--assume-sent and --resend exclude each other"), hint: "were these messages sent or not?"}
	case !f.assumeSent && !f.resend:
		if f.choice.All || named > 0 || f.yes || f.dryRun {
			return &usageError{err: errors.New("these flags need --assume-sent or --resend"), hint: "without either, unknowns only lists the rows"}
		}
	case f.choice.All && named > 0:
		return &usageError{err: errors.New("--all excludes --row, --line and --phone"), hint: "name the rows, or take them all"}
	case !f.choice.All && named == 0:
		return &usageError{err: errors.New("which rows?"), hint: "name them with --row, --line or --phone, or take them all with --all"}
	}
	return nil
}

// oneCampaign refuses what is probably a name without quotes, or a row without
// its flag.
func oneCampaign(args []string) error {
	switch len(args) {
	case 0:
		return &usageError{err: errors.New("which campaign?"), hint: "`herald campaigns` lists them; give the id or the whole name"}
	case 1:
		return nil
	}
	hint := "put quotes around a name with blanks: " + shellWord(strings.Join(args, " "))
	if _, err := strconv.ParseInt(args[1], 10, 64); err == nil {
		hint = "name a row with --row " + args[1]
	}
	return &usageError{err: fmt.Errorf("one campaign at a time, not %q", args), hint: hint}
}

// nameRows lists the first rows, for a person to notice one that is wrong.
func (t *terminal) nameRows(rows []app.UnknownView) {
	const named = 10
	for _, v := range rows[:min(len(rows), named)] {
		t.say("  row %d, line %d, %s", v.Row, v.Line, v.Chat)
	}
	if more := len(rows) - named; more > 0 {
		t.say("  and %s more", comma(int64(more)))
	}
}
