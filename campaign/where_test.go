package campaign_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/herald-campaigns/herald/campaign"
)

// people of one campaign, one for each thing that can become of a message.
func outcomes() map[string]campaign.Recipient {
	at := time.Date(2026, 11, 28, 10, 0, 0, 0, time.UTC)
	return map[string]campaign.Recipient{
		"pending":     {Status: campaign.StatusPending, Variant: "A"},
		"staged":      {Status: campaign.StatusStaged, Variant: "A"},
		"submitting":  {Status: campaign.StatusSubmitting, Variant: "A"},
		"unknown":     {Status: campaign.StatusUnknown, Variant: "B"},
		"queued":      {Status: campaign.StatusQueued, Variant: "B"},
		"processing":  {Status: campaign.StatusProcessing, Variant: "B"},
		"sent":        {Status: campaign.StatusSent, Variant: "A"},
		"delivered":   {Status: campaign.StatusDelivered, Variant: "A", OptedOut: at},
		"read":        {Status: campaign.StatusRead, Variant: "A", Replies: 2},
		"yes":         {Status: campaign.StatusRead, Variant: "B", Vote: []string{"Yes"}, VotedAt: at},
		"group vote":  {Status: campaign.StatusDelivered, Variant: "B", VotedAt: at},
		"gave up":     {Status: campaign.StatusFailed, FailReason: campaign.FailProvider, FailClass: campaign.FailTransient, Variant: "A"},
		"rejected":    {Status: campaign.StatusFailed, FailReason: campaign.FailRejected, FailClass: campaign.FailPermanent, Variant: "A"},
		"held out":    {Status: campaign.StatusSkipped, SkipReason: campaign.SkipHoldout},
		"out already": {Status: campaign.StatusSkipped, SkipReason: campaign.SkipOptedOut},
		"canceled":    {Status: campaign.StatusCanceled, Variant: "A"},
	}
}

func TestWhere(t *testing.T) {
	t.Parallel()
	for expression, want := range map[string]string{
		"accepted":                        "queued processing sent delivered read yes group_vote gave_up",
		"sent":                            "sent delivered read yes group_vote",
		"delivered":                       "delivered read yes group_vote",
		"read":                            "read yes",
		"delivered and not read":          "delivered group_vote",
		"failed":                          "gave_up rejected",
		"failed and retryable":            "gave_up",
		"retryable":                       "gave_up",
		"replied":                         "read",
		"voted":                           "yes group_vote",
		"voted 'Yes'":                     "yes",
		`VOTED "yes"`:                     "yes",
		"voted ‘Yes’":                     "yes",
		"voted 'No'":                      "",
		"opted out":                       "delivered",
		"opted_out":                       "delivered",
		"unknown":                         "unknown",
		"skipped":                         "held_out out_already",
		"skipped 'opted_out'":             "out_already",
		"skipped 'Opted out'":             "out_already",
		"canceled or cancelled":           "canceled", //nolint:misspell // some people write it so
		"waiting":                         "pending staged",
		"variant 'B' and delivered":       "yes group_vote",
		"variant b and delivered":         "yes group_vote",
		"holdout":                         "held_out",
		"not accepted and not skipped":    "pending staged submitting unknown rejected canceled",
		"replied or voted and not read":   "read group_vote", // and binds stronger
		"(replied or voted) and not read": "group_vote",
		"not (replied or not read)":       "yes",
		"not not replied":                 "read",
		"read and read":                   "read yes",
	} {
		where, err := campaign.ParseWhere(expression)
		if err != nil {
			t.Errorf("%s: %v", expression, err)
			continue
		}
		chosen := map[string]bool{}
		for name := range strings.FieldsSeq(want) {
			chosen[strings.ReplaceAll(name, "_", " ")] = true
		}
		for name, r := range outcomes() {
			if got := where.Match(&r); got != chosen[name] {
				t.Errorf("%s: %s is chosen: %t", expression, name, got)
			}
		}
	}
}

func TestWhereZeroIsEverybody(t *testing.T) {
	t.Parallel()
	if (campaign.Where{}).String() != "" {
		t.Error("the zero expression has words")
	}
	for name, r := range outcomes() {
		if !(campaign.Where{}).Match(&r) {
			t.Errorf("%s is left out", name)
		}
	}
}

// TestWherePrints the plain form: what is kept, shown and read again.
func TestWherePrints(t *testing.T) {
	t.Parallel()
	for expression, want := range map[string]string{
		" Delivered  AND not Read ":                "delivered and not read",
		"((read))":                                 "read",
		"read and (sent and (replied))":            "read and sent and replied",
		"(read and sent) or replied":               "read and sent or replied",
		"(read or sent) and replied":               "(read or sent) and replied",
		"not (read)":                               "not read",
		"NOT (read and sent)":                      "not (read and sent)",
		`voted "it's"`:                             "voted 'it''s'",
		"voted 'it''s'":                            "voted 'it''s'",
		`voted "say ""yes"""`:                      `voted 'say "yes"'`,
		"variant B":                                "variant 'B'",
		"skipped 'Not on WhatsApp' or opted_out":   "skipped 'not_on_whatsapp' or opted out",
		"cancelled":                                "canceled", //nolint:misspell // some people write it so
		"failed\nand\tretryable and voted “ Ja  ”": "failed and retryable and voted 'Ja'",
	} {
		where, err := campaign.ParseWhere(expression)
		if err != nil {
			t.Errorf("%q: %v", expression, err)
			continue
		}
		if got := where.String(); got != want {
			t.Errorf("%q prints %q, want %q", expression, got, want)
		}
	}
}

func TestWhereProblems(t *testing.T) {
	t.Parallel()
	for expression, want := range map[string]struct {
		column    int
		what, fix string
	}{
		"":                               {1, "empty", "delivered and not read"},
		"  ":                             {3, "empty", ""},
		"delivered and not raed":         {19, `"raed"`, "did you mean read?"},
		"delivered an read":              {11, "is missing before this", ""},
		"delivered und read":             {11, "is missing before this", ""},
		"delivered & read":               {11, `"&" has no meaning`, "and, or, not"},
		"delivered, read":                {10, `","`, ""},
		"and read":                       {1, `before "and"`, ""},
		"read and":                       {9, "something is missing", ""},
		"read or or sent":                {9, `before "or"`, ""},
		"not":                            {4, "something is missing", ""},
		"(read or sent":                  {1, "not closed", ")"},
		"read)":                          {5, "never opened", ""},
		"()":                             {2, "never opened, or nothing", ""},
		"read 'x'":                       {6, "behind voted, skipped or variant", ""},
		"'x'":                            {1, "behind voted, skipped or variant", ""},
		"voted 'Yes":                     {7, "quote is not closed", ""},
		"voted Yes":                      {7, "stands in quotes", "write voted 'Yes'"},
		"voted Yes, please":              {7, "stands in quotes", "write voted 'Yes'"},
		"not voted At once and read":     {11, "stands in quotes", "write voted 'At once'"},
		"voted read":                     {7, `"and" or "or" is missing before this`, ""},
		"voted opted out":                {7, "is missing before this", ""},
		"skipped opted out":              {9, "stands in quotes", "write skipped 'opted out'"},
		"skipped delivered":              {9, "is missing before this", ""},
		"voted ''":                       {7, "nothing stands between", "voted 'Yes'"},
		"variant":                        {8, "which variant?", "variant 'A'"},
		"variant and read":               {9, "which variant?", "variant 'A'"},
		"skipped 'optedout'":             {9, "no row is skipped", "did you mean 'opted_out'?"},
		"skipped 'because'":              {9, "no row is skipped", "malformed_row"},
		"opted in":                       {1, `"opted"`, "did you mean opted out?"},
		"deliverd":                       {1, `"deliverd"`, ""},
		"seen":                           {1, `"seen"`, "did you mean read?"},
		"delivred":                       {1, `"delivred"`, "did you mean delivered?"},
		"zzz":                            {1, `"zzz"`, "the words are accepted, sent, "},
		strings.Repeat("read or ", 200):  {0, "too long", ""},
		strings.Repeat("(", 60) + "read": {51, "nested too deeply", ""},
		"voted \"" + strings.Repeat("'", 600) + "\"": {0, "too long", ""},
		"read\xff": {0, "no text", ""},
	} {
		_, err := campaign.ParseWhere(expression)
		var input *campaign.InputError
		if !errors.As(err, &input) || len(input.Problems) != 1 {
			t.Errorf("%q: %v, want one problem", expression, err)
			continue
		}
		p := input.Problems[0]
		if p.Code != campaign.CodeWhere || p.Column != want.column || !strings.Contains(p.What, want.what) || !strings.Contains(p.Fix, want.fix) {
			t.Errorf("%q: column %d, %s\n  fix: %s\nwant column %d, %s, fix: %s", expression, p.Column, p.What, p.Fix, want.column, want.what, want.fix)
		}
		if p.Column == 0 {
			continue
		}
		lines := strings.Split(p.What, "\n")
		if len(lines) != 3 || strings.Index(lines[2], "^") != 4+p.Column-1 {
			t.Errorf("%q: the caret is not below column %d:\n%s", expression, p.Column, p.What)
		}
	}
}

// drawnWhere is any expression, built from its grammar.
func drawnWhere(t *rapid.T, depth int) string {
	kinds := 4
	if depth == 0 {
		kinds = 1
	}
	switch rapid.IntRange(0, kinds-1).Draw(t, "kind") {
	case 1:
		return "not " + drawnWhere(t, depth-1)
	case 2:
		return "(" + drawnWhere(t, depth-1) + ")"
	case 3:
		return drawnWhere(t, depth-1) + rapid.SampledFrom([]string{" and ", " or "}).Draw(t, "joint") + drawnWhere(t, depth-1)
	}
	return rapid.SampledFrom([]string{
		"accepted", "sent", "delivered", "read", "failed", "retryable", "replied", "voted", "voted 'Yes'", `voted "it's"`,
		"opted out", "unknown", "skipped", "skipped 'holdout'", "canceled", "waiting", "variant 'B'", "variant a", "holdout",
	}).Draw(t, "term")
}

// TestWhereSurvivesPrinting: what is printed reads back as the same and chooses
// the same people.
func TestWhereSurvivesPrinting(t *testing.T) {
	t.Parallel()
	people := outcomes()
	rapid.Check(t, func(t *rapid.T) {
		text := drawnWhere(t, 4)
		where, err := campaign.ParseWhere(text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		again, err := campaign.ParseWhere(where.String())
		if err != nil {
			t.Fatalf("%s prints %s: %v", text, where, err)
		}
		if again.String() != where.String() {
			t.Fatalf("%s prints %s, and that %s", text, where, again)
		}
		for name, r := range people {
			if where.Match(&r) != again.Match(&r) {
				t.Fatalf("%s and its printed form %s differ about %s", text, where, name)
			}
		}
	})
}

// FuzzWhere: any text is refused at a place in it, with a fix, or reads back as
// it prints.
func FuzzWhere(f *testing.F) {
	for _, seed := range []string{
		"delivered and not read", "voted 'Yes' or (replied and not opted out)", "failed and retryable", "variant B", "skipped 'holdout'",
		"voted “it's”", "((", "not not", "voted 'a''b'", "delivered and not raed", "opted  out",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		where, err := campaign.ParseWhere(text)
		var input *campaign.InputError
		switch {
		case errors.As(err, &input):
			p := input.Problems[0]
			if p.Fix == "" || p.Column < 0 || p.Column > len([]rune(text))+1 {
				t.Fatalf("%q: %+v", text, p)
			}
			return
		case err != nil:
			t.Fatal(err)
		}
		again, err := campaign.ParseWhere(where.String())
		if err != nil || again.String() != where.String() {
			t.Fatalf("%q prints %q, which reads as %q, %v", text, where, again, err)
		}
		for name, r := range outcomes() {
			if where.Match(&r) != again.Match(&r) {
				t.Fatalf("%q and %q differ about %s", text, where, name)
			}
		}
	})
}

// TestWhereVariants names the variants that an expression asks for, wherever
// they stand in it.
func TestWhereVariants(t *testing.T) {
	t.Parallel()
	for expression, want := range map[string][]string{
		"read":      nil,
		"variant A": {"A"},
		"not (variant 'A' or read) and not variant 'Long one'": {"A", "Long one"},
	} {
		where, err := campaign.ParseWhere(expression)
		if err != nil {
			t.Fatal(err)
		}
		if got := where.Variants(); !slices.Equal(got, want) {
			t.Errorf("%q names %q, want %q", expression, got, want)
		}
	}
	if names := (campaign.Where{}).Variants(); names != nil {
		t.Errorf("everybody names %q", names)
	}
}

// TestWhereOptions names the options of a poll that an expression asks for.
func TestWhereOptions(t *testing.T) {
	t.Parallel()
	for expression, want := range map[string][]string{
		"voted":       nil,
		"voted 'Yes'": {"Yes"},
		"not (voted 'Yes' or replied) and (variant A or not voted 'I''m in')": {"Yes", "I'm in"},
	} {
		where, err := campaign.ParseWhere(expression)
		if err != nil {
			t.Fatal(err)
		}
		if got := where.Options(); !slices.Equal(got, want) {
			t.Errorf("%q names %q, want %q", expression, got, want)
		}
	}
}
