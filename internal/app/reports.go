package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"time"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/report"
	"github.com/herald-campaigns/herald/storage"
)

// Reports are a campaign's reports: one value, many forms.
type Reports struct {
	Folder      string // where WriteReports put them; "" if it did not
	RejectsFile string // "" when every row was sound

	value *report.Report
}

// The files WriteReports writes.
const (
	reportText = "report.txt"
	reportJSON = "report.json"
	resultsCSV = "results.csv"
)

// Report builds the report of a campaign. quick leaves out what needs a look
// at every row.
func (a *App) Report(ctx context.Context, id campaign.ID, quick bool) (*Reports, error) {
	rejects := a.rejectsFile(id)
	c, err := a.store.Campaign(ctx, id)
	if err != nil {
		return nil, err
	}
	interrupted, err := a.interrupted(ctx, c)
	if err != nil {
		return nil, err
	}
	value, err := report.Build(ctx, a.reportDeps(), id, report.Options{
		Location: time.Local, Quick: quick, Interrupted: interrupted, RejectsFile: rejects,
	})
	if err != nil {
		return nil, err
	}
	return &Reports{RejectsFile: rejects, value: value}, nil
}

// WriteReports builds the report and writes it in every form into the
// campaign's folder.
func (a *App) WriteReports(ctx context.Context, id campaign.ID) (*Reports, error) {
	r, err := a.Report(ctx, id, false)
	if err != nil {
		return nil, err
	}
	r.Folder = a.folder(id)
	if err := os.MkdirAll(r.Folder, 0o700); err != nil {
		return nil, err
	}
	for name, write := range map[string]func(io.Writer) error{
		reportText: func(w io.Writer) error { return r.Text(w, 80, false) },
		reportJSON: r.JSON,
		resultsCSV: func(w io.Writer) error { return a.ResultsCSV(ctx, w, id, true) },
	} {
		if err := writeFile(filepath.Join(r.Folder, name), write); err != nil {
			return nil, fmt.Errorf("write %s: %w", name, err)
		}
	}
	return r, nil
}

// ResultsCSV writes the user's own rows back, with what became of each. bom
// starts the file with a byte order mark, so that Excel reads it as UTF-8.
func (a *App) ResultsCSV(ctx context.Context, w io.Writer, id campaign.ID, bom bool) error {
	return report.WriteCSV(ctx, w, a.reportDeps(), id, report.CSVOptions{NoBOM: !bom})
}

// Balanced says whether the books account for every row.
func (r *Reports) Balanced() bool { return r.value.Balanced }

// AssumedSent counts unknown rows that were decided to count as sent.
func (r *Reports) AssumedSent() int64 {
	if n := r.value.Unknown.AssumedSent; n != nil {
		return *n
	}
	return 0
}

// Missed counts recipients that failed or are unknown, without those that were
// decided to count as sent.
func (r *Reports) Missed() int64 { return missed(r.value.Balance.ByStatus, r.AssumedSent()) }

// UnknownOpen counts unknown rows that nobody has decided about.
func (r *Reports) UnknownOpen() int64 { return r.value.Unknown.Total - r.AssumedSent() }

// Text writes the report for a terminal.
func (r *Reports) Text(w io.Writer, width int, color bool) error {
	return report.WriteText(w, r.value, report.TextOptions{Width: width, Color: color})
}

// Brief writes what a person asks first at the end of a run.
func (r *Reports) Brief(w io.Writer, width int, color bool) error {
	return report.WriteText(w, r.value, report.TextOptions{Width: width, Color: color, Brief: true})
}

// TextFile is where WriteReports put the whole report as text.
func (r *Reports) TextFile() string { return filepath.Join(r.Folder, reportText) }

// ResultsFile is where WriteReports put the user's rows with what became of
// each.
func (r *Reports) ResultsFile() string { return filepath.Join(r.Folder, resultsCSV) }

// JSON writes the report as one document.
func (r *Reports) JSON(w io.Writer) error { return report.WriteJSON(w, r.value) }

// Summary is the object `run --json` ends with.
func (r *Reports) Summary() report.Summary {
	file := ""
	if r.Folder != "" {
		file = filepath.Join(r.Folder, reportJSON)
	}
	return report.Summarize(r.value, file)
}

// Unbalanced is the error of a campaign whose books do not account for every
// row: a bug of ours, never hidden.
func Unbalanced(id campaign.ID) error {
	return &campaign.Error{
		Code: campaign.CodeInternal, What: fmt.Sprintf("the books of campaign %s do not account for every row", id),
		Hint: "the report lists the rows; please report this with the report attached",
	}
}

// Unconfirmed is the error of a campaign that nobody confirmed.
func Unconfirmed(what, hint string) error {
	return &campaign.Error{Code: campaign.CodeUnconfirmed, What: what, Hint: hint}
}

// rejectsFile is the latest rejects file of the campaign, if there is one.
func (a *App) rejectsFile(id campaign.ID) string {
	found, err := filepath.Glob(filepath.Join(a.folder(id), "rejects*.csv"))
	if err != nil || len(found) == 0 {
		return ""
	}
	latest := filepath.Join(a.folder(id), rejectsName(1))
	for n := 2; n <= len(found)+1; n++ {
		name := filepath.Join(a.folder(id), rejectsName(n))
		if _, err := os.Stat(name); err == nil {
			latest = name
		}
	}
	return latest
}

func (a *App) reportDeps() report.Deps {
	l := reportLedger{a.store}
	return report.Deps{Campaigns: l, Counts: l, Rows: l, Senders: l, Timeline: l}
}

// reportLedger lets the report read the ledger.
type reportLedger struct{ *storage.Store }

func (l reportLedger) Rows(ctx context.Context, id campaign.ID) iter.Seq2[campaign.Recipient, error] {
	return l.Recipients(ctx, id, storage.Filter{})
}

func (l reportLedger) Senders(ctx context.Context, _ campaign.ID) ([]campaign.Sender, error) {
	return l.Store.Senders(ctx)
}

// writeFile writes a file whole or not at all.
func writeFile(path string, write func(io.Writer) error) error {
	temp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(temp.Name()) }() // gone already once it was renamed
	if err := errors.Join(write(temp), temp.Sync(), temp.Close()); err != nil {
		return err
	}
	return os.Rename(temp.Name(), path)
}
