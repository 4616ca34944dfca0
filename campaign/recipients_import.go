package campaign

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"runtime"
	"strings"

	"golang.org/x/sync/errgroup"
)

// ImportOptions steer one import. Zero fields have defaults.
type ImportOptions struct {
	Campaign ID
	Number   int   // which import of the campaign; default 1
	StartSeq int64 // sequence number of the first row; default 1

	// Senders get the good rows in turn. None leaves Recipient.Sender empty.
	Senders []SenderID
	// Known are the chats of earlier imports: a row with one of them is a
	// duplicate. nil for the first import.
	Known iter.Seq2[ChatID, error]
	// Split shares the rows out between variants and holdout. The zero value
	// gives everybody the one message.
	Split Split
	// Screen, if any, says which of these chats are left out, and why: those
	// that opted out, or that the campaign is not for. It is asked for a few
	// hundred rows at a time, in file order.
	Screen func(ctx context.Context, chats []ChatID) (map[ChatID]LeftOut, error)
	// Examine, if any, has a last look at every sound row, in file order: a
	// problem skips the row as template_error.
	Examine func(*Recipient) (*Problem, error)
	// Rejects, if any, gets every skipped row but duplicates and those that are
	// left out: there is nothing to mend about them. The import does not close it.
	Rejects *RejectsWriter

	BatchRows  int                  // rows per call of the sink; default 5000
	Workers    int                  // goroutines that parse addresses; default GOMAXPROCS
	OnProgress func(ImportProgress) // called after every batch, on the caller's goroutine
}

// LeftOut says why a sound row gets no message.
type LeftOut struct {
	Reason SkipReason
	Detail string // for people
}

// ImportProgress is how far an import is.
type ImportProgress struct {
	Rows  int64
	Good  int64
	Bytes int64 // of the file
}

func (o ImportOptions) withDefaults() ImportOptions {
	if o.Number <= 0 {
		o.Number = 1
	}
	if o.StartSeq <= 0 {
		o.StartSeq = 1
	}
	if o.BatchRows <= 0 {
		o.BatchRows = 5000
	}
	if o.Workers <= 0 {
		o.Workers = runtime.GOMAXPROCS(0)
	}
	return o
}

// parseBatch is how many records go from one goroutine to the next at a time.
const parseBatch = 256

// parseJob is a stretch of the file between the reader and the ledger.
type parseJob struct {
	records  []Record
	chats    []ChatID // per record, "" where problems has one
	problems []*Problem
	parsed   chan struct{} // closed when chats and problems are filled
}

// ImportRecipients reads every row into a ledger line and hands them to sink in file
// order, in batches. Sound rows are pending and have a chat; every other row
// is skipped with its reason, and keeps its cells. One goroutine reads,
// several parse addresses, and the caller's own removes duplicates and calls
// sink, which may take its time: the file waits. The slice sink gets is used
// again for the next batch.
//
// An error leaves the import incomplete, whatever sink was given: *InputError
// for a file that must be mended.
func ImportRecipients(ctx context.Context, r *Reader, parser *AddressParser, sink func([]Recipient) error, options ImportOptions) (ImportSummary, error) {
	imp := newImporter(r, sink, options.withDefaults())
	if err := imp.learn(ctx); err != nil {
		return imp.summary, err
	}
	work := make(chan *parseJob, imp.options.Workers)
	ordered := make(chan *parseJob, 4*imp.options.Workers)

	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		defer close(work)
		defer close(ordered)
		return readJobs(ctx, r, work, ordered)
	})
	for range imp.options.Workers {
		group.Go(func() error {
			for job := range work {
				job.parse(parser, r.table)
			}
			return nil
		})
	}
	// The collector runs here; its failure must stop the others before Wait.
	collected := make(chan error, 1)
	group.Go(func() error { return <-collected })
	collected <- imp.collect(ctx, ordered)
	if err := group.Wait(); err != nil {
		return imp.finish(), err
	}
	return imp.finish(), nil
}

// readJobs cuts the file into jobs. A job is queued for its parse before its
// turn is queued, so the collector never waits for one nobody works on.
func readJobs(ctx context.Context, r *Reader, work, ordered chan<- *parseJob) error {
	for {
		job := &parseJob{records: make([]Record, 0, parseBatch), parsed: make(chan struct{})}
		var err error
		for len(job.records) < parseBatch {
			var rec Record
			if rec, err = r.Next(); err != nil {
				break
			}
			job.records = append(job.records, rec)
		}
		if len(job.records) > 0 {
			for _, queue := range []chan<- *parseJob{work, ordered} {
				select {
				case queue <- job:
				case <-ctx.Done():
					return context.Cause(ctx)
				}
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// parse finds the chat of every record.
func (j *parseJob) parse(parser *AddressParser, t table) {
	defer close(j.parsed)
	j.chats = make([]ChatID, len(j.records))
	j.problems = make([]*Problem, len(j.records))
	for i, rec := range j.records {
		if rec.Problem != nil {
			continue
		}
		chat, problem := parser.Parse(rec.Cells[t.address])
		if problem != nil {
			problem.Column, problem.Field = t.address+1, t.header[t.address]
		}
		j.chats[i], j.problems[i] = chat, problem
	}
}

// importer is the collecting end of an import.
type importer struct {
	reader  *Reader
	sink    func([]Recipient) error
	options ImportOptions
	seen    *seenChats
	groups  problemGroups
	batch   []Recipient
	summary ImportSummary
}

func newImporter(r *Reader, sink func([]Recipient) error, options ImportOptions) *importer {
	return &importer{
		reader: r, sink: sink, options: options,
		seen: newSeenChats(), groups: make(problemGroups),
		batch: make([]Recipient, 0, options.BatchRows),
		summary: ImportSummary{
			Number: options.Number, File: r.File(), Dialect: r.Dialect(), Header: r.Header(), Slugs: r.Slugs(),
			Skipped: make(map[SkipReason]int64), BlankCells: make([]int64, len(r.Header())),
			LastSeq: options.StartSeq - 1,
		},
	}
}

// learn remembers the chats of earlier imports.
func (m *importer) learn(ctx context.Context) error {
	if m.options.Known == nil {
		return nil
	}
	for chat, err := range m.options.Known {
		if err != nil {
			return fmt.Errorf("read known recipients: %w", err)
		}
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		m.seen.add(chat, 0)
	}
	return nil
}

// collect takes the jobs in file order.
func (m *importer) collect(ctx context.Context, ordered <-chan *parseJob) error {
	for {
		var job *parseJob
		var open bool
		select {
		case job, open = <-ordered:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if !open {
			return m.flush() // also after a read error, which Wait returns
		}
		select {
		case <-job.parsed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		left, err := m.screen(ctx, job)
		if err != nil {
			return err
		}
		for i, rec := range job.records {
			if err := m.take(rec, job.chats[i], job.problems[i], left); err != nil {
				return err
			}
		}
	}
}

// screen asks which of the job's chats are left out.
func (m *importer) screen(ctx context.Context, job *parseJob) (map[ChatID]LeftOut, error) {
	if m.options.Screen == nil {
		return nil, nil
	}
	var chats []ChatID
	for _, chat := range job.chats {
		if chat != "" {
			chats = append(chats, chat)
		}
	}
	if len(chats) == 0 {
		return nil, nil
	}
	left, err := m.options.Screen(ctx, chats)
	if err != nil {
		return nil, fmt.Errorf("look up who is left out: %w", err)
	}
	return left, nil
}

// take makes the ledger line of one row.
func (m *importer) take(rec Record, chat ChatID, problem *Problem, left map[ChatID]LeftOut) error {
	m.summary.Rows++
	m.summary.LastSeq++
	row := Recipient{
		Campaign: m.options.Campaign, Seq: m.summary.LastSeq, Import: m.options.Number,
		Line: rec.Line, Record: rec.Cells, Status: StatusPending,
	}
	switch {
	case rec.Problem != nil:
		row.SkipReason, problem = SkipMalformed, rec.Problem
	case problem != nil:
		row.SkipReason = SkipInvalidPhone
	default:
		if first, known := m.seen.lineOf(chat); known {
			row.SkipReason, problem = SkipDuplicate, duplicateOf(first, chat)
			problem.Column, problem.Field = m.reader.table.address+1, m.reader.Header()[m.reader.table.address]
			problem.Value = shownValue(rec.Cells[m.reader.table.address])
		}
		row.Chat = chat
	}
	if problem == nil && m.leftOut(&row, left) {
		return m.leave(row)
	}
	if problem == nil && m.options.Examine != nil {
		var err error
		if problem, err = m.options.Examine(&row); err != nil {
			return err
		}
		if problem != nil {
			row.SkipReason = SkipTemplateError
		}
	}
	if problem == nil {
		// Only now: a row that cannot be sent must not make a sound one with
		// the same number a duplicate.
		m.seen.add(chat, rec.Line)
	}
	if problem != nil {
		problem.File, problem.Line = m.reader.File(), rec.Line
		row.Status, row.Detail = StatusSkipped, problem.What
		m.summary.Skipped[row.SkipReason]++
		m.groups.add(*problem)
		if m.options.Rejects != nil && row.SkipReason != SkipDuplicate {
			if err := m.options.Rejects.Add(rec, *problem); err != nil {
				return err
			}
		}
	} else {
		if n := int64(len(m.options.Senders)); n > 0 {
			row.Sender = m.options.Senders[m.summary.Good%n]
		}
		m.summary.Good++
		for i, cell := range rec.Cells {
			if strings.TrimSpace(cell) == "" {
				m.summary.BlankCells[i]++
			}
		}
	}
	return m.put(row)
}

// leftOut says whether a sound row gets no message, and why; else it gets its
// variant.
func (m *importer) leftOut(row *Recipient, left map[ChatID]LeftOut) bool {
	if out, ok := left[row.Chat]; ok {
		row.SkipReason, row.Detail = out.Reason, out.Detail
		return true
	}
	if m.options.Split.HeldOut(row.Chat) {
		row.SkipReason, row.Detail = SkipHoldout, "chosen by lot to get no message"
		return true
	}
	row.Variant = m.options.Split.Variant(row.Chat)
	return false
}

// leave makes the ledger line of a row that is left out. Its chat counts as
// seen: a second row of it is a duplicate, not one person more.
func (m *importer) leave(row Recipient) error {
	m.seen.add(row.Chat, row.Line)
	row.Status = StatusSkipped
	m.summary.Skipped[row.SkipReason]++
	return m.put(row)
}

func (m *importer) put(row Recipient) error {
	m.batch = append(m.batch, row)
	if len(m.batch) < m.options.BatchRows {
		return nil
	}
	return m.flush()
}

func duplicateOf(first int64, chat ChatID) *Problem {
	what := "same number as"
	if chat.IsGroup() {
		what = "same group as"
	}
	if first == 0 {
		what += " a row of an earlier import of this campaign"
	} else {
		what += fmt.Sprintf(" line %d", first)
	}
	return &Problem{Code: csvDuplicate, What: what, Fix: "nothing to do: the first row counts"}
}

func (m *importer) flush() error {
	if len(m.batch) > 0 {
		if err := m.sink(m.batch); err != nil {
			return err
		}
		clear(m.batch) // the cells must not live until they are overwritten
		m.batch = m.batch[:0]
	}
	if m.options.OnProgress != nil {
		m.options.OnProgress(ImportProgress{Rows: m.summary.Rows, Good: m.summary.Good, Bytes: m.reader.BytesRead()})
	}
	return nil
}

// finish completes the summary once the reader is at rest.
func (m *importer) finish() ImportSummary {
	s := m.summary
	s.Skipped = maps.Clone(s.Skipped)
	s.SHA256, s.Bytes, s.BlankRows = m.reader.SHA256(), m.reader.BytesRead(), m.reader.Blank()
	s.Problems = m.groups.sorted()
	return s
}
