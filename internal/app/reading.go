package app

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"time"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/storage"
	"github.com/herald-campaigns/herald/templates"
)

// reading is one recipients file being read against one message: the same
// rows, the same rendering and the same complaints for a check, a preview and
// an import.
type reading struct {
	spec     campaign.Spec
	reader   *campaign.Reader
	parser   *campaign.AddressParser
	messages *templates.Set
	stats    *templates.SetStats

	split campaign.Split
	// audience, if any, knows who is left out.
	audience *audience
	// as, if any, is the variant that every row is rendered with, instead of its
	// own.
	as *string
	// look, if any, sees every row that renders.
	look func(row campaign.Row, message campaign.Message)
}

// openReading opens the recipients of spec and compiles its message against their
// columns. media may be nil: then local files are checked, not kept.
func openReading(ctx context.Context, spec campaign.Spec, dir string, stdin io.Reader, media templates.MediaStore, pollID string) (*reading, error) {
	reader, err := campaign.OpenSource(spec.Recipients, dir, stdin, campaign.Limits{})
	if err != nil {
		return nil, err
	}
	r, err := newReading(ctx, spec, reader, media, pollID)
	if err != nil {
		return nil, errors.Join(err, reader.Close())
	}
	return r, nil
}

func newReading(ctx context.Context, spec campaign.Spec, reader *campaign.Reader, media templates.MediaStore, pollID string) (*reading, error) {
	_, kind, _ := reader.AddressColumn()
	parser, err := campaign.NewAddressParser(spec.Recipients.Country, kind)
	if err != nil {
		return nil, err
	}
	messages, err := compile(ctx, spec, reader.Slugs(), reader.Variables(), media, pollID)
	if err != nil {
		return nil, err
	}
	return &reading{
		spec: spec, reader: reader, parser: parser, split: spec.Split(), messages: messages, stats: messages.NewStats(),
	}, nil
}

// checkSegments refuses segments that are no columns of the recipients.
func (r *reading) checkSegments() error {
	return inFile(campaign.CheckSegments(r.spec.Segments, r.reader.Header(), r.reader.Slugs()), r.spec)
}

// compile compiles the messages of a campaign file for columns of these names.
func compile(ctx context.Context, spec campaign.Spec, slugs []string, headers map[string]string, media templates.MediaStore, pollID string) (*templates.Set, error) {
	variables := make([]string, 0, len(slugs))
	for _, slug := range slugs {
		if slug != "" {
			variables = append(variables, slug)
		}
	}
	zone := time.Local
	if spec.Schedule.Timezone != "" {
		var err error
		if zone, err = time.LoadLocation(spec.Schedule.Timezone); err != nil {
			return nil, fmt.Errorf("load the campaign's time zone: %w", err)
		}
	}
	messages, err := templates.CompileSet(ctx, spec.Messages(), templates.Config{
		Variables: variables, Headers: headers, PollID: pollID, Country: spec.Recipients.Country,
		Location: zone, Dir: filepath.Dir(spec.Path), Media: media,
	})
	return messages, inFile(err, spec)
}

// inFile names the campaign file in the problems of its message, and shows the
// place.
func inFile(err error, spec campaign.Spec) error {
	var bad *campaign.InputError
	if !errors.As(err, &bad) {
		return err
	}
	for i := range bad.Problems {
		if bad.Problems[i].File == "" {
			showPlace(&bad.Problems[i], spec)
		}
	}
	return err
}

// run reads every row to the end. sink gets the ledger lines in batches; nil
// for a check.
func (r *reading) run(ctx context.Context, sink func([]campaign.Recipient) error, options campaign.ImportOptions) (campaign.ImportSummary, error) {
	if sink == nil {
		sink = func([]campaign.Recipient) error { return nil }
	}
	options.Examine = func(row *campaign.Recipient) (*campaign.Problem, error) { return r.examine(ctx, row) }
	options.Split = r.split
	if r.audience != nil {
		options.Screen = r.audience.screen
	}
	summary, err := campaign.ImportRecipients(ctx, r.reader, r.parser, sink, options)
	return summary, err
}

// examine renders one row and says what is wrong with it, if anything is.
func (r *reading) examine(ctx context.Context, recipient *campaign.Recipient) (*campaign.Problem, error) {
	row := campaign.Row{
		Seq: recipient.Seq, Line: recipient.Line, Chat: recipient.Chat,
		Fields: campaign.RowFields(r.reader.Slugs(), recipient.Record), Variant: recipient.Variant,
	}
	if r.as != nil {
		row.Variant = *r.as
	}
	r.messages = r.messages.Settle(ctx, row)
	message, err := r.messages.Render(ctx, row)
	r.stats.Add(row, message, err)
	var bad *campaign.InputError
	switch {
	case errors.As(err, &bad):
		problem := bad.Problems[0]
		return &problem, nil
	case err != nil:
		return nil, err
	}
	if r.look != nil {
		r.look(row, message)
	}
	return nil, nil
}

// close ends a reading. The file was only read from: there is nothing to lose.
func (r *reading) close() { _ = r.reader.Close() }

// renderer compiles the messages of a campaign in the ledger, exactly as they
// were when its recipients were imported.
func (a *App) renderer(ctx context.Context, c campaign.Campaign) (*templates.Set, error) {
	if len(c.Imports) == 0 {
		return nil, &campaign.Error{Code: campaign.CodeConflict, What: fmt.Sprintf("campaign %s has no recipients", c.ID)}
	}
	first := c.Imports[0]
	headers := maps.Collect(func(yield func(string, string) bool) {
		for i, slug := range first.Slugs {
			if slug != "" && !yield(slug, first.Header[i]) {
				return
			}
		}
	})
	messages, err := compile(ctx, c.Spec, first.Slugs, headers, a.media, c.PollID)
	if err != nil || len(messages.Unfrozen()) == 0 {
		return messages, err
	}
	// Options with placeholders were frozen with those of the first row of their
	// variant that renders; the ledger still has that row.
	for recipient, err := range a.rows(ctx, c.ID) {
		if err != nil {
			return nil, err
		}
		if recipient.Status == campaign.StatusSkipped {
			continue
		}
		if messages = messages.Settle(ctx, c.RowOf(&recipient)); len(messages.Unfrozen()) == 0 {
			break
		}
	}
	return messages, nil
}

// rows are all lines of a campaign in file order.
func (a *App) rows(ctx context.Context, id campaign.ID) iter.Seq2[campaign.Recipient, error] {
	return a.store.Recipients(ctx, id, storage.Filter{})
}

// fileSHA256 is the lower-case hex digest of a file's bytes.
func fileSHA256(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }() // only read from
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}
