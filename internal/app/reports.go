package app

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode"

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
	reportHTML = "report.html"
	resultsCSV = "results.csv"
	resultsXLS = "results.xlsx"
)

// maxWorkbook is the campaign up to which WriteReports makes a workbook: it
// takes 30 µs for each row, and programs that show one grow slow. On demand it
// is made up to the size of a sheet.
const maxWorkbook = 200_000

// Report builds the report of a campaign. quick leaves out what needs a look
// at every row.
func (a *App) Report(ctx context.Context, id campaign.ID, quick bool) (*Reports, error) {
	return a.report(ctx, id, quick, "")
}

func (a *App) report(ctx context.Context, id campaign.ID, quick bool, fingerprint string) (*Reports, error) {
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
		Location: time.Local, Quick: quick, Interrupted: interrupted, RejectsFile: rejects, Fingerprint: fingerprint,
	})
	if err != nil {
		return nil, err
	}
	return &Reports{RejectsFile: rejects, value: value}, nil
}

// WriteReports builds the report and writes it in every form into the
// campaign's folder; as a workbook only up to 200,000 rows.
func (a *App) WriteReports(ctx context.Context, id campaign.ID) (*Reports, error) {
	// Taken first: what happens while the files are written makes the next
	// fingerprint differ.
	fingerprint, err := a.fingerprint(ctx, id)
	if err != nil {
		return nil, err
	}
	r, err := a.report(ctx, id, false, fingerprint)
	if err != nil {
		return nil, err
	}
	r.Folder = a.folder(id)
	if err := os.MkdirAll(r.Folder, 0o700); err != nil {
		return nil, err
	}
	// report.json comes last: it holds the fingerprint of all.
	for _, form := range []struct {
		name  string
		write func(io.Writer) error
	}{
		{reportText, func(w io.Writer) error { return r.Text(w, 80, false) }},
		{resultsCSV, func(w io.Writer) error { return a.ResultsCSV(ctx, w, id, true) }},
		{reportHTML, r.HTML},
		{resultsXLS, func(w io.Writer) error { return a.Workbook(ctx, w, r) }},
		{reportJSON, r.JSON},
	} {
		path := filepath.Join(r.Folder, form.name)
		if form.name == resultsXLS && r.value.Rows > maxWorkbook {
			// One of an earlier day, when there were fewer rows, would mislead.
			if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return nil, err
			}
			continue
		}
		if err := writeFile(path, form.write); err != nil {
			return nil, fmt.Errorf("write %s: %w", form.name, err)
		}
	}
	return r, nil
}

// RefreshReports writes the files of WriteReports again if anything happened
// to the campaign since they were written, and says whether it did. Receipts,
// replies and votes come for days after the last message was sent. Finding out
// costs a few counters, not a look at the rows, so it can be asked often.
func (a *App) RefreshReports(ctx context.Context, id campaign.ID) (bool, error) {
	now, err := a.fingerprint(ctx, id)
	if err != nil {
		return false, err
	}
	if now == writtenFingerprint(filepath.Join(a.folder(id), reportJSON)) {
		return false, nil
	}
	_, err = a.WriteReports(ctx, id)
	return err == nil, err
}

// fingerprint is equal for as long as a report would say the same, but for the
// time of day.
func (a *App) fingerprint(ctx context.Context, id campaign.ID) (string, error) {
	c, err := a.store.Campaign(ctx, id)
	if err != nil {
		return "", err
	}
	totals, err := a.store.Totals(ctx, id)
	if err != nil {
		return "", err
	}
	timeline, err := a.store.Timeline(ctx, id)
	if err != nil {
		return "", err
	}
	answers, err := a.store.AnswersSeen(ctx, id)
	if err != nil {
		return "", err
	}
	var awaited int64 // of a campaign that is over: whether its report is final goes by it
	if c.State.Over() {
		if awaited, err = a.store.AwaitingEvidence(ctx, id); err != nil {
			return "", err
		}
	}
	var last time.Time
	if n := len(timeline); n > 0 {
		last = timeline[n-1].At
	}
	h := sha256.New()
	// fmt prints maps in the order of their keys.
	_, _ = fmt.Fprintf(h, "%s %s %s %d %d %v %d %d %v %d", Version(), c.State, c.Reason, c.Rows(), c.FinishedAt.UnixMilli(), totals,
		len(timeline), last.UnixMilli(), answers, awaited)
	return hex.EncodeToString(h.Sum(nil)[:16]), nil
}

// writtenFingerprint is that of the files as they are; "" when there are none,
// or none that can be read.
func writtenFingerprint(path string) string {
	content, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	var written struct {
		Fingerprint string `json:"fingerprint"`
	}
	if json.Unmarshal(content, &written) != nil {
		return ""
	}
	return written.Fingerprint
}

// ResultsCSV writes the user's own rows back, with what became of each. bom
// starts the file with a byte order mark, so that Excel reads it as UTF-8.
func (a *App) ResultsCSV(ctx context.Context, w io.Writer, id campaign.ID, bom bool) error {
	return report.WriteCSV(ctx, w, a.reportDeps(), id, report.CSVOptions{NoBOM: !bom})
}

// FailedCSV writes the recipients that failed in the form of an import.
func (a *App) FailedCSV(ctx context.Context, w io.Writer, id campaign.ID, bom bool) error {
	return report.WriteFailedCSV(ctx, w, a.reportDeps(), id, report.CSVOptions{NoBOM: !bom})
}

// RepliesCSV writes every message people wrote back.
func (a *App) RepliesCSV(ctx context.Context, w io.Writer, id campaign.ID, bom bool) error {
	return report.WriteRepliesCSV(ctx, w, a.reportDeps(), id, report.CSVOptions{NoBOM: !bom})
}

// Workbook writes the report with every row as XLSX.
func (a *App) Workbook(ctx context.Context, w io.Writer, r *Reports) error {
	return report.WriteXLSX(ctx, w, r.value, a.reportDeps())
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

// HTML writes the report as one file for a browser.
func (r *Reports) HTML(w io.Writer) error { return report.WriteHTML(w, r.value) }

// PollCSV writes the tally of a poll; only the header when there is none.
func (r *Reports) PollCSV(w io.Writer, bom bool) error {
	return report.WritePollCSV(w, r.value, report.CSVOptions{NoBOM: !bom})
}

// HTMLFile is where WriteReports put the report for a browser.
func (r *Reports) HTMLFile() string { return filepath.Join(r.Folder, reportHTML) }

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
	return report.Deps{
		Campaigns: l, Counts: l, Rows: l, Senders: l, Timeline: l, Earlier: l, Replies: l, Ballots: l, Reviews: l, Awaited: l,
	}
}

// reportLedger lets the report read the ledger.
type reportLedger struct{ *storage.Store }

func (l reportLedger) Rows(ctx context.Context, id campaign.ID) iter.Seq2[campaign.Recipient, error] {
	return l.Recipients(ctx, id, storage.Filter{})
}

func (l reportLedger) Senders(ctx context.Context, _ campaign.ID) ([]campaign.Sender, error) {
	return l.Store.Senders(ctx)
}

// Earlier are the campaigns of the same mode that read the same recipients
// file; if there are too few, also those whose name differs only in the number
// or date at its end ("Offer 3", "Offer 2026-03").
func (l reportLedger) Earlier(ctx context.Context, c campaign.Campaign, n int) ([]campaign.Campaign, error) {
	all, err := l.Campaigns(ctx)
	if err != nil {
		return nil, err
	}
	var alike []campaign.Campaign
	for _, other := range all {
		before := !other.StartedAt.IsZero() && other.CreatedAt.Before(c.CreatedAt)
		if other.ID != c.ID && other.Mode == c.Mode && before && (report.SameList(c, other) || series(other.Name) == series(c.Name)) {
			alike = append(alike, other)
		}
	}
	latest := func(a, b campaign.Campaign) int { return b.StartedAt.Compare(a.StartedAt) }
	slices.SortStableFunc(alike, func(x, y campaign.Campaign) int {
		if same := report.SameList(c, x); same != report.SameList(c, y) {
			if same {
				return -1
			}
			return 1
		}
		return latest(x, y)
	})
	alike = alike[:min(len(alike), n)]
	slices.SortStableFunc(alike, latest)
	return alike, nil
}

// series is a campaign's name without the number or date at its end.
func series(name string) string {
	return strings.ToLower(strings.TrimRightFunc(name, func(r rune) bool { return !unicode.IsLetter(r) }))
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
