package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/herald-campaigns/herald/campaign"
)

// Remote works on a data directory through the service that runs on it. What
// only looks reads the ledger beside it.
type Remote struct {
	*App   // open for reading
	at     address
	client *http.Client
}

// Through finds the service that runs on the configured data directory; nil
// when there is none.
func Through(ctx context.Context, cfg Config, log *slog.Logger) (*Remote, error) {
	at, err := readAddress(cfg.DataDir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("read the address of the service: %w", err)
	}
	r := &Remote{at: at, client: &http.Client{}}
	asking, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	version, err := ask[string](asking, r, "hello", nil)
	switch {
	case campaign.CodeOf(err) == campaign.CodeUnavailable:
		return nil, nil // it is gone, and had no time to say so
	case err != nil:
		return nil, err
	case version != Version() || at.Mode != cfg.Mode:
		return nil, &campaign.Error{
			Code: campaign.CodeConflict,
			What: fmt.Sprintf("the service on %s is herald %s in %s mode, this is %s in %s mode", cfg.DataDir, version, at.Mode, Version(), cfg.Mode),
			Hint: "use the same herald and mode for both, or stop the service",
		}
	}
	r.App, err = OpenToRead(ctx, cfg, log)
	return r, err
}

func readAddress(dir string) (address, error) {
	return readJSON[address](filepath.Join(dir, addressFile))
}

// Close ends the connection; the service goes on.
func (r *Remote) Close() error {
	r.client.CloseIdleConnections()
	return r.App.Close()
}

// Prepare has the service read a campaign file.
func (r *Remote) Prepare(ctx context.Context, path string, options PrepareOptions) (*Prepared, error) {
	in := preparing{Options: options}
	in.Options.Stdin = nil
	var err error
	if in.File, err = filepath.Abs(path); err != nil {
		return nil, err
	}
	if options.Delta != "" && options.Delta != "-" {
		if in.Options.Delta, err = filepath.Abs(options.Delta); err != nil {
			return nil, err
		}
	}
	spec, err := parseFile(path)
	if err != nil {
		return nil, err
	}
	if spec.Recipients.CSV == "-" || options.Delta == "-" {
		name, err := r.spool(options.Stdin)
		if err != nil {
			return nil, err
		}
		defer func() { _ = os.Remove(name) }() // a leftover is harmless
		in.Stdin = name
	}
	got, err := ask[prepared](ctx, r, "prepare", in)
	if err != nil {
		return nil, err
	}
	p := got.Prepared
	p.senders, p.paces = got.Senders, got.Paces
	p.Campaign.Spec.Path = path
	p.Plan.Duration = p.Plan.Finish.Sub(p.Plan.Start) // not in its JSON
	if p.RejectsFile != "" {                          // as this command names the data directory
		p.RejectsFile = filepath.Join(r.folder(p.Campaign.ID), filepath.Base(p.RejectsFile))
	}
	return &p, nil
}

// spool copies standard input to a file that the service can read.
func (r *Remote) spool(in io.Reader) (name string, err error) {
	dir, err := filepath.Abs(r.dir)
	if err != nil {
		return "", err
	}
	f, err := os.CreateTemp(dir, "stdin-*.csv")
	if err != nil {
		return "", fmt.Errorf("copy standard input: %w", err)
	}
	_, err = io.Copy(f, in)
	return f.Name(), errors.Join(err, f.Close())
}

// Discard takes back what nobody confirmed.
func (r *Remote) Discard(ctx context.Context, p *Prepared) error {
	_, err := ask[bool](ctx, r, "discard", p.Campaign.ID)
	return err
}

// HoldMissed leaves the judgment of a missed start to the service.
func (r *Remote) HoldMissed(context.Context, *Prepared) error { return nil }

// Run has the service send a prepared campaign, and returns when every message
// has come as far as opts.Wait asks. When ctx ends before, the campaign goes on
// without this command.
func (r *Remote) Run(ctx context.Context, p *Prepared, opts RunOptions) (RunResult, error) {
	began := time.Now()
	if _, err := ask[bool](ctx, r, "start", starting{Campaign: p.Campaign.ID, Now: opts.Now}); err != nil {
		return RunResult{Campaign: p.Campaign}, err
	}
	w := watch{remote: r, id: p.Campaign.ID, opts: opts, began: began}
	if w.opts.Wait == "" {
		w.opts.Wait = WaitSent
	}
	if w.opts.WaitTimeout <= 0 {
		w.opts.WaitTimeout = 10 * time.Minute
	}
	if w.opts.Progress == nil {
		w.opts.Progress = func(Progress) {}
	}
	return w.loop(ctx)
}

// WatchCampaign follows a campaign that the service sends until it has come as
// far as opts.Wait asks.
func (r *Remote) WatchCampaign(ctx context.Context, id campaign.ID, opts RunOptions) (RunResult, error) {
	w := watch{remote: r, id: id, opts: opts, began: time.Now()}
	return w.loop(ctx)
}

// watch is a command that looks on while a service sends.
type watch struct {
	remote *Remote
	id     campaign.ID
	opts   RunOptions

	began     time.Time
	submitted time.Time
	first     int64 // accepted before; -1 until known
	known     bool
}

func (w *watch) loop(ctx context.Context) (RunResult, error) {
	tick := time.NewTicker(progressEvery)
	defer tick.Stop()
	var latest Progress
	for {
		at, err := ask[standing](ctx, w.remote, "progress", w.id)
		switch {
		case ctx.Err() != nil:
			return w.result(latest, true), nil
		case err != nil:
			return w.lost(latest, err)
		case at.Known:
			latest = at.Progress
			w.opts.Progress(latest)
			if done, err := w.over(at); done {
				return w.result(latest, false), err
			}
		}
		select {
		case <-ctx.Done():
			return w.result(latest, true), nil
		case control := <-w.opts.Control:
			if _, err := ask[bool](ctx, w.remote, "control", controlling{Campaign: w.id, Control: control}); err != nil {
				return w.lost(latest, err)
			}
		case <-tick.C:
		}
	}
}

// lost ends a wait that an error ends. A service that is stopped in order takes
// its address away before it answers no more.
func (w *watch) lost(p Progress, err error) (RunResult, error) {
	result := w.result(p, false)
	if _, gone := errors.AsType[noAnswerError](err); !gone {
		return result, err
	}
	result.TimedOut = false
	switch now, err := readAddress(w.remote.dir); {
	case errors.Is(err, fs.ErrNotExist):
		result.Left = true
		return result, nil
	case err == nil && now.Key != w.remote.at.Key: // another one has the campaign
		result.Detached = true
		return result, nil
	}
	return result, &campaign.Error{
		Code: campaign.CodeUnavailable, What: fmt.Sprintf("the service (pid %d) is gone without a word; the campaign waits", w.remote.at.PID),
		Hint: "`herald serve` goes on with it, or run the same file again; nothing is lost",
	}
}

// over says whether the wait is, and why it ended if not well.
func (w *watch) over(at standing) (bool, error) {
	p := at.Progress
	if !w.known {
		w.first, w.known = p.Totals.Accepted(), true
	}
	switch c := p.Campaign; {
	case c.State == campaign.StateCanceled:
		return true, canceledError(c, p.Totals)
	case at.Trouble != nil && c.State != campaign.StatePaused:
		return true, at.Trouble.err()
	case c.State.Over():
		return true, nil
	case c.State == campaign.StatePaused && c.Reason != campaign.PauseOperator && at.Over:
		return true, pausedErrorBy(c, resumeIt(c.Name))
	case c.State != campaign.StateTracking:
		return false, nil
	}
	if w.submitted.IsZero() {
		w.submitted = time.Now()
	}
	return reached(p.Totals, w.opts.Wait) && p.Unclear == 0 || time.Since(w.submitted) > w.opts.WaitTimeout, nil
}

func (w *watch) result(p Progress, detached bool) RunResult {
	finished := w.submitted
	if finished.IsZero() {
		finished = time.Now()
	}
	r := RunResult{
		Campaign: p.Campaign, Totals: p.Totals, Duration: finished.Sub(w.began), Detached: detached,
		Accepted: max(0, p.Totals.Accepted()-w.first), // as in run.accepted
	}
	if p.Campaign.ID == "" { // nothing was heard of it
		r.Campaign.ID = w.id
	}
	if !detached && p.Campaign.State == campaign.StateTracking && (!reached(p.Totals, w.opts.Wait) || p.Unclear > 0) {
		r.TimedOut, r.Behind, r.Unclear = true, behind(p.Totals, w.opts.Wait), p.Unclear
	}
	return r
}

// PauseCampaign has the service pause a campaign.
func (r *Remote) PauseCampaign(ctx context.Context, idOrName string) (CampaignView, error) {
	return r.manage(ctx, "pause", idOrName)
}

// ResumeCampaign has the service go on with a campaign.
func (r *Remote) ResumeCampaign(ctx context.Context, idOrName string) (CampaignView, error) {
	return r.manage(ctx, "resume", idOrName)
}

func (r *Remote) manage(ctx context.Context, what, idOrName string) (CampaignView, error) {
	c, err := r.find(ctx, idOrName)
	if err != nil {
		return CampaignView{}, err
	}
	if _, err := ask[bool](ctx, r, what, c.ID); err != nil {
		return CampaignView{}, err
	}
	return r.Campaign(ctx, string(c.ID))
}

// CancelCampaign has the service cancel a campaign.
func (r *Remote) CancelCampaign(ctx context.Context, idOrName string) (CampaignView, Canceled, error) {
	c, err := r.find(ctx, idOrName)
	if err != nil {
		return CampaignView{}, Canceled{}, err
	}
	canceled, err := ask[Canceled](ctx, r, "cancel", c.ID)
	if err != nil {
		return CampaignView{}, Canceled{}, err
	}
	v, err := r.Campaign(ctx, string(c.ID))
	return v, canceled, err
}

// Resolve has the service carry out a decision about unknown rows.
func (r *Remote) Resolve(ctx context.Context, u *Unknowns, rows []UnknownView, decision Resolving, dryRun bool) (*Resolved, error) {
	if dryRun {
		return r.App.Resolve(ctx, u, rows, decision, true)
	}
	in := resolving{Campaign: u.CampaignID, Decision: decision}
	for _, row := range rows {
		in.Rows = append(in.Rows, row.Row)
	}
	return ask[*Resolved](ctx, r, "resolve", in)
}

// Retry has the service send failed rows again.
func (r *Remote) Retry(ctx context.Context, rows *Retry) error {
	if err := rows.possible(); err != nil {
		return err
	}
	got, err := ask[retried](ctx, r, "retry", retrying{Campaign: rows.CampaignID, AsOf: rows.asOf})
	rows.Retried, rows.Sending, rows.served = got.Rows, got.Sending, true
	return err
}

// noAnswerError is why nobody answered a call of the local API.
type noAnswerError struct{ error }

func (n noAnswerError) Unwrap() error { return n.error }

// ask makes one call of the local API.
func ask[Out any](ctx context.Context, r *Remote, name string, in any) (Out, error) {
	var out Out
	body, err := json.Marshal(in)
	if err != nil {
		return out, fmt.Errorf("ask the service: %w", err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, r.at.URL+name, bytes.NewReader(body))
	if err != nil {
		return out, fmt.Errorf("ask the service: %w", err)
	}
	request.Header.Set("Authorization", "Bearer "+r.at.Key)
	response, err := r.client.Do(request)
	if err != nil {
		return out, &campaign.Error{
			Code: campaign.CodeUnavailable, What: fmt.Sprintf("the service (pid %d) does not answer", r.at.PID),
			Hint: "look at what `herald serve` says; nothing is lost", Err: noAnswerError{withoutURL(err)},
		}
	}
	defer func() { _ = response.Body.Close() }() // read to its end
	switch response.StatusCode {
	case http.StatusOK:
		return out, json.NewDecoder(response.Body).Decode(&out)
	case http.StatusUnprocessableEntity:
		var t trouble
		if err := json.NewDecoder(response.Body).Decode(&t); err != nil {
			return out, fmt.Errorf("ask the service: %w", err)
		}
		return out, t.err()
	case http.StatusUnauthorized, http.StatusNotFound:
		// Something else has taken over the port of a service that is gone; it may
		// be the next service.
		return out, &campaign.Error{
			Code: campaign.CodeUnavailable, What: "the service does not know this command", Hint: "start it again with `herald serve`",
			Err: noAnswerError{errors.New(response.Status)},
		}
	default:
		return out, fmt.Errorf("ask the service: HTTP status %d", response.StatusCode)
	}
}
