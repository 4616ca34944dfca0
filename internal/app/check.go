package app

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"path/filepath"

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

const shownSamples = 3

// Check reads and renders every row and says what a run would do. What is
// wrong with the campaign file itself comes as an error; what is wrong with
// its rows, in the result.
func Check(ctx context.Context, cfg Config, path string, stdin io.Reader, skipInvalid bool) (*Checked, error) {
	spec, err := parseFile(path)
	if err != nil {
		return nil, err
	}
	r, err := openReading(ctx, spec, filepath.Dir(spec.Path), stdin, nil, "check")
	if err != nil {
		return nil, err
	}
	defer r.close()
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
	c.Plan = planFor(spec.Schedule.Start, summary.Good, paces)
	if c.refusal = summary.TooBad(skipInvalid); c.refusal != nil {
		c.Reason = c.refusal.Error()
	}
	if c.refusal == nil && spec.Recipients.CSV != "-" {
		if err := c.meet(ctx, cfg, spec); err != nil {
			return nil, err
		}
	}
	c.OK = c.refusal == nil
	return c, nil
}

// meet looks whether the ledger has the campaign already, and whether it would
// go on with this file.
func (c *Checked) meet(ctx context.Context, cfg Config, spec campaign.Spec) error {
	a, err := OpenToRead(ctx, cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil //nolint:nilerr // no ledger that can be read: run will say what there is to say
	}
	existing, err := a.store.CampaignNamed(ctx, spec.Name)
	if err != nil || existing.State == campaign.StateDraft {
		return a.Close() //nolint:contextcheck // closing is never canceled
	}
	totals, err := a.store.Totals(ctx, existing.ID)
	if err != nil {
		return errors.Join(err, a.Close()) //nolint:contextcheck // closing is never canceled
	}
	c.Existing = &ExistingCampaign{ID: existing.ID, State: existing.State, ToSend: totals.Unsubmitted()}
	src, _, err := a.source(spec, PrepareOptions{})
	if err == nil {
		err = a.unchanged(ctx, spec, src, existing, false)
	}
	if err != nil {
		c.refusal = &campaign.Error{Code: campaign.CodeInvalid, Err: err}
		c.Reason = err.Error()
	}
	return a.Close() //nolint:contextcheck // closing is never canceled
}

func (c *Checked) read(spec campaign.Spec, r *reading, summary campaign.ImportSummary) {
	rows := r.stats.Summary()
	column, _, guessed := r.reader.AddressColumn()
	c.Kind = kindOf(spec.Message)
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
	c.Warnings = append([]templates.Warning{}, r.template.Lint()...)
	if rows.Longest != nil {
		c.Longest, c.Shortest = rows.Longest.Characters, rows.Shortest.Characters
	}
}

func sampleOf(row campaign.Row, message campaign.Message) Sample {
	text := message.Text
	if message.Poll != nil {
		text = message.Poll.Question
	}
	return Sample{Row: row.Seq, Line: row.Line, To: row.Chat.String(), Text: text, message: message}
}

func kindOf(t campaign.Template) campaign.Kind {
	switch {
	case t.Poll != nil:
		return campaign.KindPoll
	case t.Media != nil:
		return campaign.KindMedia
	default:
		return campaign.KindText
	}
}

// Choice says which row a preview shows. Exactly one field is set.
type Choice struct {
	Row     int64  // by number; 1 is the first data row
	Phone   string // by number as the recipient would write it
	Extreme string // longest, shortest or blankest
}

// Preview renders one row. Rows that cannot be sent are an error that says
// why.
func Preview(ctx context.Context, path string, stdin io.Reader, choice Choice) (Sample, error) {
	spec, err := parseFile(path)
	if err != nil {
		return Sample{}, err
	}
	r, err := openReading(ctx, spec, filepath.Dir(spec.Path), stdin, nil, "preview")
	if err != nil {
		return Sample{}, err
	}
	defer r.close()
	var wanted campaign.ChatID
	if choice.Phone != "" {
		chat, problem := r.parser.Parse(choice.Phone)
		if problem != nil {
			return Sample{}, campaign.Reject(*problem)
		}
		wanted = chat
	}
	sift := sifter{choice: choice, chat: wanted}
	r.look = sift.look
	found := errors.New("found")
	_, err = r.run(ctx, func([]campaign.Recipient) error {
		if sift.done {
			return found // the rest of a long file need not be read
		}
		return nil
	}, campaign.ImportOptions{BatchRows: 256})
	if err != nil && !errors.Is(err, found) {
		return Sample{}, err
	}
	if sift.found == nil {
		return Sample{}, &campaign.Error{
			Code: campaign.CodeNotFound, What: "no such row, or it cannot be sent to",
			Hint: "`herald check " + path + "` lists the rows that are skipped, and why",
		}
	}
	return *sift.found, nil
}

// sifter keeps the row a preview asks for.
type sifter struct {
	choice Choice
	chat   campaign.ChatID
	found  *Sample
	best   int
	done   bool
}

func (s *sifter) look(row campaign.Row, message campaign.Message) {
	switch {
	case s.done:
	case s.choice.Extreme != "":
		if score := s.score(row, message); s.found == nil || score > s.best {
			sample := sampleOf(row, message)
			s.found, s.best = &sample, score
		}
	case s.chat != "" && row.Chat == s.chat, s.chat == "" && row.Seq == s.choice.Row:
		sample := sampleOf(row, message)
		s.found, s.done = &sample, true
	}
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
