package app

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/herald-campaigns/herald/campaign"
)

// addressFile is where a service leaves its address and a key, for commands on
// the same data directory.
const addressFile = "serve.json"

// address is how a command reaches the service of its data directory. Whoever
// may read the file may do what the service can; it has the rights of the
// ledger itself.
type address struct {
	URL     string        `json:"url"` // of the local API
	Key     string        `json:"key"`
	PID     int           `json:"pid"`
	Version string        `json:"version"`
	Mode    campaign.Mode `json:"mode"`
}

// local is the API of a service for the commands of its machine: what changes
// the ledger, or asks how a campaign goes. What only looks reads the ledger.
type local struct {
	service *Service
	key     string

	mu       sync.Mutex
	prepared map[campaign.ID]waiting
}

// waiting is a campaign that waits for a person's yes.
type waiting struct {
	*Prepared
	since time.Time
}

func newLocal(s *Service) *local {
	return &local{service: s, key: rand.Text(), prepared: map[campaign.ID]waiting{}}
}

// publish leaves the address in the data directory, and returns how to take it
// back.
func (l *local) publish(url string) (remove func(), err error) {
	path := filepath.Join(l.service.app.dir, addressFile)
	at := address{URL: url, Key: l.key, PID: os.Getpid(), Version: Version(), Mode: l.service.app.cfg.Mode}
	err = writeJSON(path, at)
	return func() { _ = os.Remove(path) }, err // a leftover is recognized by its answer
}

// call is one thing a command can ask for: a JSON document in, one out.
type call func(ctx context.Context, body json.RawMessage) (any, error)

func (l *local) calls() map[string]call {
	return map[string]call{
		"hello":    func(context.Context, json.RawMessage) (any, error) { return Version(), nil },
		"prepare":  on(l.prepare),
		"discard":  on(l.discard),
		"start":    on(l.start),
		"progress": on(l.progress),
		"control":  on(l.control),
		"pause":    on(l.pause),
		"resume":   on(l.resume),
		"cancel":   on(l.cancel),
		"resolve":  on(l.resolve),
		"retry":    on(l.retry),
		"consent":  on(l.service.consent),
		"review":   on(l.service.review),
	}
}

// on reads the document a call is made with.
func on[In, Out any](do func(ctx context.Context, in In) (Out, error)) call {
	return func(ctx context.Context, body json.RawMessage) (any, error) {
		var in In
		if err := json.Unmarshal(body, &in); err != nil {
			return nil, &campaign.Error{Code: campaign.CodeInvalid, What: "read what the command asked for", Err: err}
		}
		return do(ctx, in)
	}
}

// ServeHTTP answers POST …/<name of the call>.
func (l *local) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	given, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if subtle.ConstantTimeCompare([]byte(given), []byte(l.key)) != 1 {
		http.Error(w, "wrong key", http.StatusUnauthorized)
		return
	}
	do, known := l.calls()[r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]]
	if !known || r.Method != http.MethodPost {
		http.NotFound(w, r)
		return
	}
	// Reading a large recipients file takes its time.
	unhurried := http.NewResponseController(w)
	if err := errors.Join(unhurried.SetReadDeadline(time.Time{}), unhurried.SetWriteDeadline(time.Time{})); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 8<<20))
	if err != nil {
		http.Error(w, "too long", http.StatusRequestEntityTooLarge)
		return
	}
	result, err := do(r.Context(), body)
	w.Header().Set("Content-Type", "application/json")
	if err != nil {
		w.WriteHeader(http.StatusUnprocessableEntity)
		result = troubleOf(err)
	}
	_ = json.NewEncoder(w).Encode(result) // the command has hung up
}

// trouble carries an error over the local API.
type trouble struct {
	Code     campaign.Code        `json:"code"`
	What     string               `json:"what"`
	Hints    []string             `json:"hints,omitempty"`
	Problems *campaign.InputError `json:"problems,omitempty"`
}

func troubleOf(err error) trouble {
	return trouble{Code: campaign.CodeOf(err), What: err.Error(), Hints: campaign.HintsOf(err), Problems: Problems(err)}
}

func (t trouble) err() error {
	if t.Problems != nil {
		return t.Problems
	}
	return &campaign.Error{Code: t.Code, What: t.What, Hint: strings.Join(t.Hints, "; ")}
}

// preparing is a campaign file to be read; the paths are absolute.
type preparing struct {
	File    string
	Options PrepareOptions // without Stdin
	Stdin   string         // a file with what the command read from standard input; "" for none
}

// prepared is a Prepared on its way.
type prepared struct {
	Prepared
	Senders []campaign.Sender
	Paces   []campaign.Pace
}

func (l *local) prepare(ctx context.Context, in preparing) (prepared, error) {
	if in.Stdin != "" {
		f, err := os.Open(in.Stdin)
		if err != nil {
			return prepared{}, err
		}
		defer func() { _ = f.Close() }() // only read from
		in.Options.Stdin = f
	}
	if err := l.unanswered(ctx, in); err != nil {
		return prepared{}, err
	}
	p, err := l.service.app.Prepare(ctx, in.File, in.Options)
	if err != nil {
		return prepared{}, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.prepared[p.Campaign.ID] = waiting{p, time.Now()}
	return prepared{Prepared: *p, Senders: p.senders, Paces: p.paces}, nil
}

// unanswered refuses a second look at a new campaign while somebody is asked
// about the first: reading the file again would throw the first away.
func (l *local) unanswered(ctx context.Context, in preparing) error {
	spec, err := parseFile(in.File)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for id, p := range l.prepared {
		if p.Campaign.Name != spec.Name || p.unfinished == nil {
			continue
		}
		if time.Since(p.since) < answerWithin {
			return &campaign.Error{
				Code: campaign.CodeConflict, What: fmt.Sprintf("campaign %q waits for an answer in another terminal", spec.Name),
				Hint: "answer there, or try again in a few minutes",
			}
		}
		delete(l.prepared, id)
		if err := l.service.app.Discard(ctx, p.Prepared); err != nil {
			return err
		}
	}
	return nil
}

// answerWithin is how long a person may think about what was prepared before
// somebody else may prepare it again.
const answerWithin = 10 * time.Minute

// take is what was prepared, once.
func (l *local) take(id campaign.ID) (*Prepared, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p, ok := l.prepared[id]
	if !ok {
		return nil, &campaign.Error{
			Code: campaign.CodeConflict, What: fmt.Sprintf("campaign %s was not prepared, or is taken back meanwhile", id), Hint: "run the file again",
		}
	}
	delete(l.prepared, id)
	return p.Prepared, nil
}

func (l *local) discard(ctx context.Context, id campaign.ID) (bool, error) {
	p, err := l.take(id)
	if err != nil {
		return false, nil //nolint:nilerr // it is gone already
	}
	return true, l.service.app.Discard(ctx, p)
}

// starting is what was prepared, and may be sent.
type starting struct {
	Campaign campaign.ID
	Now      bool
}

func (l *local) start(ctx context.Context, in starting) (bool, error) {
	p, err := l.take(in.Campaign)
	if err != nil {
		return false, err
	}
	if err = l.service.reachable(ctx, p); err == nil {
		err = l.service.begin(ctx, p, in.Now)
	}
	if err != nil && p.unfinished != nil {
		return false, errors.Join(err, l.service.app.Discard(context.WithoutCancel(ctx), p))
	}
	return err == nil, err
}

// standing is where a campaign of a service is.
type standing struct {
	Progress Progress
	Known    bool // Progress says more than the ledger
	Over     bool // the service is done with it
	Trouble  *trouble
}

func (l *local) progress(ctx context.Context, id campaign.ID) (standing, error) {
	if one := l.service.find(id); one != nil {
		p, known, over, err := one.progress()
		at := standing{Progress: p, Known: known, Over: over}
		if err != nil {
			t := troubleOf(err)
			at.Trouble = &t
		}
		return at, nil
	}
	c, err := l.service.app.store.Campaign(ctx, id)
	if err != nil {
		return standing{}, err
	}
	totals, err := l.service.app.store.Totals(ctx, id)
	return standing{Progress: Progress{Campaign: c, Rows: c.Rows(), Totals: totals}, Known: true, Over: true}, err
}

// controlling is a key pressed where a campaign is watched.
type controlling struct {
	Campaign campaign.ID
	Control  Control
}

func (l *local) control(ctx context.Context, in controlling) (bool, error) {
	if in.Control == ControlPause {
		return true, l.service.Pause(ctx, in.Campaign)
	}
	return true, l.service.Resume(ctx, in.Campaign)
}

func (l *local) pause(ctx context.Context, id campaign.ID) (bool, error) {
	return true, l.service.Pause(ctx, id)
}

func (l *local) resume(ctx context.Context, id campaign.ID) (bool, error) {
	return true, l.service.Resume(ctx, id)
}

func (l *local) cancel(ctx context.Context, id campaign.ID) (Canceled, error) {
	return l.service.Cancel(ctx, id)
}

// resolving is a decision about unknown rows.
type resolving struct {
	Campaign campaign.ID
	Rows     []int64
	Decision Resolving
}

func (l *local) resolve(ctx context.Context, in resolving) (*Resolved, error) {
	u, err := l.service.app.Unknowns(ctx, string(in.Campaign))
	if err != nil {
		return nil, err
	}
	rows, err := u.Choose(UnknownChoice{Rows: in.Rows})
	if err != nil {
		return nil, err
	}
	r, err := l.service.app.Resolve(ctx, u, rows, in.Decision, false)
	if err != nil || in.Decision != ResolveResend || r.Rows == 0 {
		return r, err
	}
	r.Sending, err = l.service.sendAgain(ctx, in.Campaign, u.State)
	return r, err
}

// retrying names failed rows as they were counted.
type retrying struct {
	Campaign campaign.ID
	AsOf     time.Time
}

// retried is what came of it.
type retried struct {
	Rows    int64
	Sending bool
}

func (l *local) retry(ctx context.Context, in retrying) (retried, error) {
	c, err := l.service.app.store.Campaign(ctx, in.Campaign)
	if err != nil {
		return retried{}, err
	}
	n, err := l.service.app.store.Retry(ctx, in.Campaign, in.AsOf)
	if err != nil || n == 0 {
		return retried{Rows: n}, err
	}
	sending, err := l.service.sendAgain(ctx, in.Campaign, c.State)
	return retried{Rows: n, Sending: sending}, err
}
