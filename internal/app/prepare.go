package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/herald-campaigns/herald/campaign"
)

// PrepareOptions say how a campaign file meets the ledger.
type PrepareOptions struct {
	SkipInvalid bool      // go on although more than 5 % of the rows are bad
	AsNew       bool      // another campaign, although one of this name exists
	Now         bool      // it is to start at once, whatever the schedule says
	Delta       string    // a file of mended or new rows to add to the campaign
	Stdin       io.Reader // read when the recipients are "-"
}

// Prepared is a campaign that is in the ledger, whole, and ready to run.
type Prepared struct {
	Campaign    campaign.Campaign
	Resumed     bool                    // it was there before
	Imported    *campaign.ImportSummary // what was read now; nil when nothing was
	RejectsFile string                  // "" when every row was sound
	Plan        campaign.Plan           // of what is still to send
	Sendable    int64                   // rows of the campaign that are not skipped

	senders []campaign.Sender
	paces   []campaign.Pace
	fresh   bool // created by this call: discarding it leaves no trace

	// unfinished is the import of this call. Its rows are in the ledger, and
	// are never sent before it is finished, which Run does: until then a person
	// may still say no.
	unfinished *campaign.Import
}

// Live says whether real people get the messages.
func (p *Prepared) Live() bool { return p.Campaign.Mode == campaign.ModeLive }

// SenderNames are the senders, masked.
func (p *Prepared) SenderNames() []string {
	names := make([]string, len(p.senders))
	for i, sender := range p.senders {
		names[i] = sender.Phone.String()
	}
	return names
}

// Prepare brings a campaign file into the ledger, or recognizes the campaign
// that was made from it. Nothing is sent.
func (a *App) Prepare(ctx context.Context, path string, options PrepareOptions) (*Prepared, error) {
	spec, err := parseFile(path)
	if err != nil {
		return nil, err
	}
	existing, err := a.existing(ctx, spec.Name)
	if err != nil {
		return nil, err
	}
	if options.Delta != "" && existing == nil {
		return nil, &campaign.Error{
			Code: campaign.CodeNotFound, What: fmt.Sprintf("there is no campaign %q to add rows to", spec.Name),
			Hint: "run it once without --delta",
		}
	}
	source, cleanUp, err := a.source(spec, options)
	if err != nil {
		return nil, err
	}
	defer cleanUp()

	var p *Prepared
	switch {
	case existing == nil || options.AsNew:
		p, err = a.create(ctx, spec, source, options)
	default:
		p, err = a.resume(ctx, spec, source, *existing, options)
	}
	if err != nil {
		return nil, err
	}
	start := p.Campaign.StartAt
	if options.Now {
		start = time.Time{}
	}
	return p, a.plan(ctx, p, start)
}

// Discard takes back what Prepare read and nobody confirmed: a new campaign, or
// the rows of a delta.
func (a *App) Discard(ctx context.Context, p *Prepared) error {
	switch {
	case p.fresh:
		return a.discard(ctx, p.Campaign.ID)
	case p.unfinished != nil:
		return errors.Join(
			a.store.DiscardImport(ctx, p.Campaign.ID, p.unfinished.Number),
			os.RemoveAll(filepath.Join(a.folder(p.Campaign.ID), rejectsName(p.unfinished.Number))))
	}
	return nil
}

// admit makes the rows that Prepare read part of the campaign. Rows of a delta
// open a campaign again that had sent everything.
func (a *App) admit(ctx context.Context, p *Prepared) error {
	if p.unfinished == nil {
		return nil
	}
	if err := a.store.FinishImport(ctx, p.Campaign.ID, *p.unfinished); err != nil {
		return err
	}
	p.unfinished = nil
	spec := p.Campaign.Spec
	c, err := a.store.Campaign(ctx, p.Campaign.ID)
	if err != nil {
		return err
	}
	if p.Imported.Good > 0 && (c.State == campaign.StateTracking || c.State == campaign.StateCompleted) {
		over := c.State.Over()
		c, err = a.store.Transition(ctx, c.ID, campaign.StateRunning, "", fmt.Sprintf("%d rows added from %s", p.Imported.Good, p.Imported.File))
		if err == nil && over {
			// A campaign that is over keeps its plan; open again, it goes by the file.
			err = a.store.UpdatePlan(ctx, c.ID, spec, spec.Schedule.Start)
			c.Spec, c.StartAt = spec, spec.Schedule.Start
		}
	}
	p.Campaign = c
	return err
}

func (a *App) discard(ctx context.Context, id campaign.ID) error {
	return errors.Join(a.store.DeleteDraft(ctx, id), os.RemoveAll(a.folder(id)))
}

// existing finds the campaign of this name. A draft is what an import that was
// cut short, or never confirmed, left behind; nothing of it was sent, so it
// gives way.
func (a *App) existing(ctx context.Context, name string) (*campaign.Campaign, error) {
	c, err := a.store.CampaignNamed(ctx, name)
	if campaign.CodeOf(err) == campaign.CodeNotFound {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if c.State == campaign.StateDraft {
		return nil, a.discard(ctx, c.ID)
	}
	return &c, nil
}

// create makes a campaign and reads its recipients into the ledger.
func (a *App) create(ctx context.Context, spec campaign.Spec, src source, options PrepareOptions) (*Prepared, error) {
	messageHash, err := a.messageHash(ctx, spec)
	if err != nil {
		return nil, err
	}
	c := campaign.Campaign{
		ID: campaign.NewID(), Name: spec.Name, Mode: a.cfg.Mode, State: campaign.StateDraft,
		Spec: spec, MessageHash: messageHash, StartAt: spec.Schedule.Start, CreatedAt: time.Now(),
	}
	if slices.ContainsFunc(spec.Messages(), func(v campaign.Variant) bool { return v.Message.Poll != nil }) {
		// One id for every copy, so that the votes add up; variants add their name.
		c.PollID = string(c.ID)
	}
	if c.SourceHash, err = sourceHash(spec, src); err != nil {
		return nil, err
	}
	p := &Prepared{Campaign: c, fresh: true}
	if err := a.senders(ctx, p); err != nil {
		return nil, err
	}
	if err := a.store.CreateCampaign(ctx, c); err != nil {
		return nil, err
	}
	if err := a.read(ctx, p, src, options); err != nil {
		return nil, errors.Join(err, a.discard(context.WithoutCancel(ctx), c.ID))
	}
	return p, nil
}

// resume goes on with a campaign, if the file still is the one it was made
// from; with a delta it adds rows to it first.
func (a *App) resume(ctx context.Context, spec campaign.Spec, src source, c campaign.Campaign, options PrepareOptions) (*Prepared, error) {
	if err := wasCanceled(c); err != nil {
		return nil, err
	}
	if err := a.unchanged(ctx, spec, src, c, options.Delta != ""); err != nil {
		return nil, err
	}
	if len(c.Imports) > 0 {
		if err := inFile(campaign.CheckSegments(spec.Segments, c.Imports[0].Header, c.Imports[0].Slugs), spec); err != nil {
			return nil, err
		}
	}
	if err := a.discardUnfinished(ctx, &c); err != nil {
		return nil, err
	}
	spec.Recipients = c.Spec.Recipients
	p := &Prepared{Campaign: c, Resumed: true}
	// A campaign that is over has no plan left to change.
	if !c.State.Over() {
		if err := a.store.UpdatePlan(ctx, c.ID, spec, spec.Schedule.Start); err != nil {
			return nil, err
		}
	}
	p.Campaign.Spec, p.Campaign.StartAt = spec, spec.Schedule.Start
	if err := a.senders(ctx, p); err != nil {
		return nil, err
	}
	if options.Delta != "" {
		return p, a.read(ctx, p, src, options)
	}
	return p, nil
}

// wasCanceled refuses a campaign that was canceled: nothing goes on with it.
func wasCanceled(c campaign.Campaign) error {
	if c.State != campaign.StateCanceled {
		return nil
	}
	return &campaign.Error{
		Code: campaign.CodeConflict, What: fmt.Sprintf("campaign %q (%s) was canceled", c.Name, c.ID),
		Hint: "--as-new sends it again as another campaign, to everyone, also to those who got it already",
	}
}

// senders finds the campaign's senders in the ledger and their paces.
func (a *App) senders(ctx context.Context, p *Prepared) error {
	p.senders, p.paces = nil, nil
	for _, phone := range p.Campaign.Spec.Senders {
		sender, err := a.store.EnsureSender(ctx, campaign.Phone(phone))
		if err != nil {
			return err
		}
		p.senders = append(p.senders, sender)
		p.paces = append(p.paces, p.Campaign.Spec.Pace.ForSender(a.cfg.Senders[phone]))
	}
	return nil
}

// plan adds up what is still to send.
func (a *App) plan(ctx context.Context, p *Prepared, start time.Time) error {
	totals, err := a.store.Totals(ctx, p.Campaign.ID)
	if err != nil {
		return err
	}
	p.Sendable = totals.Sum() - totals.ByStatus[campaign.StatusSkipped]
	p.Plan = planFor(start, totals.Unsubmitted(), p.paces)
	return nil
}

// planFor spreads the messages over the senders the way an import does.
func planFor(start time.Time, messages int64, paces []campaign.Pace) campaign.Plan {
	if now := time.Now(); start.Before(now) {
		start = now
	}
	n := int64(len(paces))
	loads := make([]campaign.SenderLoad, n)
	for i := range loads {
		loads[i] = campaign.SenderLoad{Messages: (messages + n - 1 - int64(i)) / n, Pace: paces[i]}
	}
	return campaign.MakePlan(loads, start)
}

func senderIDs(senders []campaign.Sender) []campaign.SenderID {
	ids := make([]campaign.SenderID, len(senders))
	for i, sender := range senders {
		ids[i] = sender.ID
	}
	return ids
}

// parseFile reads a campaign file. A file that is not there is bad input like
// any other.
func parseFile(path string) (campaign.Spec, error) {
	spec, err := campaign.ParseFile(path)
	if campaign.CodeOf(err) == campaign.CodeNotFound {
		return spec, &campaign.Error{Code: campaign.CodeInvalid, Err: err} // the cause brings its hint
	}
	return spec, err
}
