package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"strings"
	"time"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/templates"
)

// Checked is what a check found (docs/cli-json.md). Nothing was changed and
// nothing sent.
type Checked struct {
	SchemaVersion int           `json:"schema_version"`
	File          string        `json:"file"`
	Name          string        `json:"name"`
	Mode          campaign.Mode `json:"mode"`
	Kind          campaign.Kind `json:"kind"`

	Recipients struct {
		File          string `json:"file"`
		Dialect       string `json:"dialect"`
		AddressColumn string `json:"address_column"`
		Guessed       bool   `json:"address_column_guessed"`
		Rows          int64  `json:"rows"`
		Sendable      int64  `json:"sendable"`
		Bad           int64  `json:"bad"`
		BlankRows     int64  `json:"blank_rows"` // no data rows: not counted
	} `json:"recipients"`
	Skipped  map[campaign.SkipReason]int64 `json:"skipped"`
	Problems []ProblemGroup                `json:"problems"`

	Variants []VariantShare `json:"variants"` // empty without variants
	Holdout  float64        `json:"holdout"`  // share; the rows are in Skipped
	Only     *OnlyShare     `json:"only"`     // nil when the campaign is for everybody

	Variables []VariableUse       `json:"variables"`
	Warnings  []templates.Warning `json:"warnings"`
	Samples   []Sample            `json:"samples"` // the first three messages
	Longest   int                 `json:"longest_characters"`
	Shortest  int                 `json:"shortest_characters"`

	// Existing is the campaign of this name that the data directory has; nil if
	// there is none. ToSend is what a run would still send of it.
	Existing *ExistingCampaign `json:"existing"`

	Senders []SenderPace  `json:"senders"`
	Plan    campaign.Plan `json:"plan"`

	OK     bool   `json:"ok"`               // the campaign could run as it is
	Reason string `json:"reason,omitempty"` // why it could not

	refusal error
}

// ExistingCampaign is a campaign that a run of the checked file would go on
// with.
type ExistingCampaign struct {
	ID     campaign.ID    `json:"id"`
	State  campaign.State `json:"state"`
	ToSend int64          `json:"to_send"`
}

// VariantShare is what a variant gets of the recipients.
type VariantShare struct {
	Name   string        `json:"name"`
	Weight int           `json:"weight"`
	Kind   campaign.Kind `json:"kind"`
	Rows   int64         `json:"rows"`
}

// OnlyShare says how an earlier campaign narrows the recipients.
type OnlyShare struct {
	CampaignID campaign.ID `json:"campaign_id"`
	Name       string      `json:"name"`
	Where      string      `json:"where"`
	There      int64       `json:"there"`    // recipients of the earlier campaign that it chooses
	Here       int64       `json:"here"`     // rows of this file that are among them
	Excluded   int64       `json:"excluded"` // rows of this file that are not
}

// ProblemGroup is all rows with the same problem; the first three in full.
type ProblemGroup struct {
	Code  string             `json:"code"`
	Count int64              `json:"count"`
	First []campaign.Problem `json:"first"`
}

// VariableUse is a column the message uses.
type VariableUse struct {
	Name  string `json:"name"`
	Blank int64  `json:"blank_rows"`
	// Gap says that a blank leaves a gap somewhere: no default stands in.
	Gap bool `json:"gap"`
}

// Sample is one rendered message.
type Sample struct {
	Row  int64  `json:"row"`
	Line int64  `json:"line"`
	To   string `json:"to"` // masked
	Text string `json:"text"`

	Variant string `json:"variant,omitempty"`  // whose message it is
	HeldOut bool   `json:"held_out,omitempty"` // the row is chosen to get none

	message campaign.Message
}

// Terminal draws the message about as WhatsApp shows it.
func (s Sample) Terminal(width int, color bool) string {
	return templates.Preview(s.message).Terminal(width, color)
}

// SenderPace is a sender with the pace that results for it.
type SenderPace struct {
	Sender string        `json:"sender"` // masked
	Pace   campaign.Pace `json:"pace"`
}

// Err is the reason why the campaign could not run, as an error; nil if it
// could.
func (c *Checked) Err() error { return c.refusal }

// LeftOut is how many sound rows get no message.
type LeftOut struct {
	HeldOut  int64 // chosen to be compared with
	OptedOut int64 // asked for no messages
	Excluded int64 // not among those the campaign is for
}

// LeftOutOf is what a check or an import left out, of what it skipped.
func LeftOutOf(skipped map[campaign.SkipReason]int64) LeftOut {
	return LeftOut{HeldOut: skipped[campaign.SkipHoldout], OptedOut: skipped[campaign.SkipOptedOut], Excluded: skipped[campaign.SkipExcluded]}
}

const shownSamples = 3

// Check reads and renders every row and says what a run would do. What is
// wrong with the campaign file itself comes as an error; what is wrong with
// its rows, in the result.
func Check(ctx context.Context, cfg Config, path string, stdin io.Reader, skipInvalid bool) (*Checked, error) {
	spec, err := parseFile(path)
	if err != nil {
		return nil, err
	}
	ledger, err := openToCheck(ctx, cfg, spec)
	if err != nil {
		return nil, err
	}
	checked, err := checkFile(ctx, cfg, ledger, spec, path, stdin, skipInvalid)
	if ledger != nil {
		err = errors.Join(err, ledger.Close()) //nolint:contextcheck // closing is never canceled
	}
	return checked, err
}

// openToCheck opens the ledger, if there is one that can be read; a file that
// builds on an earlier campaign needs one.
func openToCheck(ctx context.Context, cfg Config, spec campaign.Spec) (*App, error) {
	a, err := OpenToRead(ctx, cfg, slog.New(slog.DiscardHandler))
	if err == nil {
		return a, nil
	}
	if spec.Only != nil {
		return nil, &campaign.Error{Code: campaign.CodeInvalid, What: "only.campaign: look up " + spec.Only.Campaign, Err: err}
	}
	return nil, nil // run will say what there is to say
}

// checkFile is Check with the ledger open; nil if there is none.
func checkFile(ctx context.Context, cfg Config, ledger *App, spec campaign.Spec, path string, stdin io.Reader, skipInvalid bool) (*Checked, error) {
	r, err := openReading(ctx, spec, filepath.Dir(spec.Path), stdin, nil, "check")
	if err != nil {
		return nil, err
	}
	defer r.close()
	if err := r.checkSegments(); err != nil {
		return nil, err
	}
	if ledger != nil {
		if r.audience, err = ledger.audience(ctx, spec); err != nil {
			return nil, err
		}
	}
	c := &Checked{SchemaVersion: 1, File: path, Name: spec.Name, Mode: cfg.Mode, Samples: []Sample{}}
	r.look = func(row campaign.Row, message campaign.Message) {
		if len(c.Samples) < shownSamples {
			c.Samples = append(c.Samples, sampleOf(row, message))
		}
	}
	summary, err := r.run(ctx, nil, campaign.ImportOptions{})
	if err != nil {
		return nil, err
	}
	c.read(spec, r, summary)
	paces := make([]campaign.Pace, len(spec.Senders))
	for i, phone := range spec.Senders {
		paces[i] = spec.Pace.ForSender(cfg.Senders[phone])
		c.Senders = append(c.Senders, SenderPace{Sender: campaign.Phone(phone).String(), Pace: paces[i]})
	}
	if spec.UnknownPolicy == campaign.PolicyResend {
		c.Warnings = append(c.Warnings, templates.Warning{
			Code: campaign.WarnResend, Field: "unknown_policy", What: ResendWarning(inFlight(paces)),
			Fix: "hold (the default) waits for proof, then for you; resend is for messages that do no harm twice",
		})
	}
	toSend := summary.Good
	if c.refusal = summary.TooBad(skipInvalid); c.refusal != nil {
		c.Reason = c.refusal.Error()
	}
	if c.refusal == nil && spec.Recipients.CSV != "-" && ledger != nil {
		if err := c.meet(ctx, ledger, spec); err != nil {
			return nil, err
		}
	}
	if c.Existing != nil { // a run would go on with it
		toSend = c.Existing.ToSend
	}
	c.Plan = planFor(spec.Schedule.Start, toSend, paces)
	if over := startOver(spec.Schedule, time.Now()); over != "" && c.Existing == nil {
		c.Warnings = append(c.Warnings, templates.Warning{
			Code: campaign.WarnStartOver, Field: "schedule.start", What: over, Fix: "write a time to come, or remove it",
		})
	}
	c.OK = c.refusal == nil
	return c, nil
}

// meet looks whether the ledger has the campaign already, and whether it would
// go on with this file.
func (c *Checked) meet(ctx context.Context, a *App, spec campaign.Spec) error {
	existing, err := a.store.CampaignNamed(ctx, spec.Name)
	if err != nil || existing.State == campaign.StateDraft {
		return nil //nolint:nilerr // there is none, or run will say what there is to say
	}
	totals, err := a.store.Totals(ctx, existing.ID)
	if err != nil {
		return err
	}
	c.Existing = &ExistingCampaign{ID: existing.ID, State: existing.State, ToSend: totals.Unsubmitted()}
	src, _, err := a.source(spec, PrepareOptions{})
	if err == nil {
		err = wasCanceled(existing)
	}
	if err == nil {
		err = a.unchanged(ctx, spec, src, existing, false)
	}
	if err != nil {
		c.refusal = &campaign.Error{Code: campaign.CodeInvalid, Err: err}
		c.Reason = err.Error()
	}
	return nil
}

func (c *Checked) read(spec campaign.Spec, r *reading, summary campaign.ImportSummary) {
	rows := r.stats.Summary()
	column, _, guessed := r.reader.AddressColumn()
	c.Kind = kindsOf(spec.Messages())
	c.Recipients.File = summary.File
	c.Recipients.Dialect = summary.Dialect.String()
	c.Recipients.AddressColumn = summary.Header[column]
	c.Recipients.Guessed = guessed
	c.Recipients.Rows = summary.Rows
	c.Recipients.Sendable = summary.Good
	c.Recipients.Bad = summary.Bad()
	c.Recipients.BlankRows = summary.BlankRows
	c.Skipped = map[campaign.SkipReason]int64{}
	for _, reason := range campaign.SkipReasons() {
		c.Skipped[reason] = summary.Skipped[reason]
	}
	c.Problems = []ProblemGroup{}
	for _, group := range summary.Problems {
		c.Problems = append(c.Problems, ProblemGroup(group))
	}
	c.Variables = []VariableUse{}
	for _, blank := range rows.Blanks {
		c.Variables = append(c.Variables, VariableUse{Name: blank.Variable.Name, Blank: blank.Rows, Gap: blank.Variable.NeedsValue()})
	}
	c.Warnings = append([]templates.Warning{}, r.messages.Lint()...)
	c.share(spec, r, summary)
	if rows.Longest != nil {
		c.Longest, c.Shortest = rows.Longest.Characters, rows.Shortest.Characters
	}
}

// share says how the recipients are shared out.
func (c *Checked) share(spec campaign.Spec, r *reading, summary campaign.ImportSummary) {
	c.Holdout, c.Variants = spec.Holdout, []VariantShare{}
	for _, v := range spec.Variants {
		c.Variants = append(c.Variants, VariantShare{
			Name: v.Name, Weight: v.Weight, Kind: v.Message.Kind(), Rows: r.stats.Variant(v.Name).Rendered,
		})
	}
	if spec.Only != nil {
		excluded := summary.Skipped[campaign.SkipExcluded]
		c.Only = &OnlyShare{
			CampaignID: r.audience.earlier.ID, Name: r.audience.earlier.Name, Where: spec.Only.Where, There: r.audience.only.Len(),
			Here:     summary.Good + summary.Skipped[campaign.SkipOptedOut] + summary.Skipped[campaign.SkipHoldout],
			Excluded: excluded,
		}
	}
}

// kindMixed is the kind of a campaign whose variants are of several.
const kindMixed campaign.Kind = "mixed"

func kindsOf(messages []campaign.Variant) campaign.Kind {
	kind := messages[0].Message.Kind()
	for _, v := range messages[1:] {
		if v.Message.Kind() != kind {
			return kindMixed
		}
	}
	return kind
}

func sampleOf(row campaign.Row, message campaign.Message) Sample {
	text := message.Text
	if message.Poll != nil {
		text = message.Poll.Question
	}
	return Sample{Row: row.Seq, Line: row.Line, To: row.Chat.String(), Text: text, Variant: row.Variant, message: message}
}

// Choice says which row a preview shows. Exactly one of Row, Phone and Extreme
// is set, or Variant alone.
type Choice struct {
	Row     int64  // by number; 1 is the first data row
	Phone   string // by number as the recipient would write it
	Extreme string // longest, shortest or blankest

	// Variant alone shows the first row that gets it. With Row or Phone it shows
	// that row as if it got it, with Extreme it looks at its rows only.
	Variant string
}

// Preview renders one row. Rows that cannot be sent are an error that says
// why.
func Preview(ctx context.Context, path string, stdin io.Reader, choice Choice) (Sample, error) {
	spec, err := parseFile(path)
	if err != nil {
		return Sample{}, err
	}
	variant, err := choice.variant(spec)
	if err != nil {
		return Sample{}, err
	}
	choice.Variant = variant
	r, err := openReading(ctx, spec, filepath.Dir(spec.Path), stdin, nil, "preview")
	if err != nil {
		return Sample{}, err
	}
	defer r.close()
	if variant != "" && (choice.Row > 0 || choice.Phone != "") {
		r.as = &variant
	}
	r.split.Holdout = 0 // whoever is held out can be looked at as well
	var wanted campaign.ChatID
	if choice.Phone != "" {
		chat, problem := r.parser.Parse(choice.Phone)
		if problem != nil {
			asTyped(problem)
			return Sample{}, campaign.Reject(*problem)
		}
		wanted = chat
	}
	sift := sifter{choice: choice, chat: wanted}
	r.look = sift.look
	found := errors.New("found")
	read, err := r.run(ctx, func([]campaign.Recipient) error {
		if sift.done {
			return found // the rest of a long file need not be read
		}
		return nil
	}, campaign.ImportOptions{BatchRows: 256})
	if err != nil && !errors.Is(err, found) {
		return Sample{}, err
	}
	if sift.found == nil {
		return Sample{}, choice.notFound(path, read.Rows)
	}
	sift.found.HeldOut = spec.Split().HeldOut(sift.chosen)
	return *sift.found, nil
}

// notFound says that none of so many rows is the one.
func (c Choice) notFound(path string, rows int64) error {
	if c.Row > rows {
		return &campaign.Error{
			Code: campaign.CodeNotFound, What: fmt.Sprintf("there is no row %d: the recipients file has %d", c.Row, rows),
			Hint: "--row counts from 1, without the header",
		}
	}
	what := "no such row, or it is skipped"
	if c.Row > 0 {
		what = fmt.Sprintf("row %d is skipped: it gets no message", c.Row)
	}
	return &campaign.Error{
		Code: campaign.CodeNotFound, What: what,
		Hint: "`herald check " + path + "` counts the skipped rows by reason, with examples; " +
			"once the campaign is run, `herald recipients NAME --status skipped` lists all of them",
	}
}

// variant is the variant that the choice names, as the campaign file writes it.
func (c Choice) variant(spec campaign.Spec) (string, error) {
	if c.Variant == "" {
		return "", nil
	}
	names := make([]string, len(spec.Variants))
	for i, v := range spec.Variants {
		if strings.EqualFold(v.Name, c.Variant) {
			return v.Name, nil
		}
		names[i] = v.Name
	}
	refusal := noVariant("the campaign", c.Variant, names)
	refusal.Code = campaign.CodeNotFound
	return "", refusal
}

// sifter keeps the row a preview asks for.
type sifter struct {
	choice Choice
	chat   campaign.ChatID
	found  *Sample
	chosen campaign.ChatID // of the row found
	best   int
	done   bool
}

func (s *sifter) look(row campaign.Row, message campaign.Message) {
	others := s.choice.Variant != "" && row.Variant != s.choice.Variant
	switch {
	case s.done, others:
	case s.choice.Extreme != "":
		if score := s.score(row, message); s.found == nil || score > s.best {
			s.keep(row, message)
			s.best = score
		}
	case s.chat != "" && row.Chat == s.chat,
		s.chat == "" && row.Seq == s.choice.Row,
		s.chat == "" && s.choice.Row == 0: // the first of a variant
		s.keep(row, message)
		s.done = true
	}
}

func (s *sifter) keep(row campaign.Row, message campaign.Message) {
	sample := sampleOf(row, message)
	s.found, s.chosen = &sample, row.Chat
}

func (s *sifter) score(row campaign.Row, message campaign.Message) int {
	length := len([]rune(sampleOf(row, message).Text))
	switch s.choice.Extreme {
	case "shortest":
		return -length
	case "blankest":
		blanks := 0
		for _, cell := range row.Fields {
			if cell == "" {
				blanks++
			}
		}
		return blanks
	default:
		return length
	}
}
