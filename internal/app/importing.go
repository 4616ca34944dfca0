package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/storage"
)

// read imports the recipients of src into the campaign. The import stays
// unfinished, and its rows unsent, until Run admits it.
func (a *App) read(ctx context.Context, p *Prepared, src source, options PrepareOptions) error {
	r, err := openReading(ctx, src.spec, filepath.Dir(src.spec.Path), nil, a.media, p.Campaign.PollID)
	if err != nil {
		return err
	}
	defer r.close()
	if r.audience, err = a.audience(ctx, p.Campaign.Spec); err != nil {
		return err
	}
	if p.Resumed {
		if r.messages, err = a.renderer(ctx, p.Campaign); err != nil {
			return err
		}
		r.stats = r.messages.NewStats()
	} else if err := r.checkSegments(); err != nil {
		return err
	}
	if err := os.MkdirAll(a.folder(p.Campaign.ID), 0o700); err != nil {
		return err
	}
	imp := campaign.Import{File: r.reader.File(), Header: r.reader.Header(), Slugs: r.reader.Slugs(), At: time.Now()}
	if src.piped {
		imp.File = src.name()
	}
	if imp.Number, err = a.store.BeginImport(ctx, p.Campaign.ID, imp); err != nil {
		return err
	}
	rejects := r.reader.NewRejects(filepath.Join(a.folder(p.Campaign.ID), rejectsName(imp.Number)))
	add := addRows(func(batch []campaign.Recipient) error { return a.store.AddRecipients(ctx, p.Campaign.ID, batch) })
	if a.tuning.added != nil {
		add = a.tuning.added(add)
	}
	summary, err := r.run(ctx, add, campaign.ImportOptions{
		Campaign: p.Campaign.ID, Number: imp.Number, StartSeq: p.Campaign.Rows() + 1,
		Senders: senderIDs(p.senders), Known: a.known(ctx, p), Rejects: rejects,
	})
	if err == nil {
		err = summary.TooBad(options.SkipInvalid)
	}
	if err = errors.Join(err, rejects.Close()); err != nil {
		return errors.Join(err, a.store.DiscardImport(context.WithoutCancel(ctx), p.Campaign.ID, imp.Number))
	}
	imp.SHA256, imp.Rows, imp.Complete = summary.SHA256, summary.Rows, true
	p.Imported, p.unfinished = &summary, &imp
	if rejects.Count() > 0 {
		p.RejectsFile = rejects.Path()
	}
	c, err := a.store.Campaign(ctx, p.Campaign.ID)
	c.Spec, c.StartAt = p.Campaign.Spec, p.Campaign.StartAt
	p.Campaign = c
	return err
}

// addRows writes a batch of an import to the ledger.
type addRows func(batch []campaign.Recipient) error

// known are the people a delta must not repeat; nil for a first import.
func (a *App) known(ctx context.Context, p *Prepared) func(yield func(campaign.ChatID, error) bool) {
	if !p.Resumed {
		return nil
	}
	return func(yield func(campaign.ChatID, error) bool) {
		for known, err := range a.store.KnownChats(ctx, p.Campaign.ID) {
			if !yield(known.Chat, err) {
				return
			}
		}
		// Those held out have no message, but are people of the campaign: twice
		// among them, they would spoil what it is compared with.
		heldOut := storage.Filter{SkipReasons: []campaign.SkipReason{campaign.SkipHoldout}}
		for r, err := range a.store.Recipients(ctx, p.Campaign.ID, heldOut) {
			if !yield(r.Chat, err) {
				return
			}
		}
	}
}

// discardUnfinished takes back a delta whose import was cut short. Its rows
// can never be sent, and would be waited for.
func (a *App) discardUnfinished(ctx context.Context, c *campaign.Campaign) error {
	complete := c.Imports[:0]
	for _, imp := range c.Imports {
		if imp.Complete {
			complete = append(complete, imp)
			continue
		}
		if err := a.store.DiscardImport(ctx, c.ID, imp.Number); err != nil {
			return err
		}
		a.log.WarnContext(ctx, "an import that was cut short is taken back; import the file again", "campaign_id", c.ID, "file", imp.File)
	}
	c.Imports = complete
	return nil
}

// rejectsName keeps the rejects of every import apart: those of a delta must
// not overwrite the ones it was made from.
func rejectsName(number int) string {
	if number == 1 {
		return "rejects.csv"
	}
	return fmt.Sprintf("rejects-%d.csv", number)
}
