package app

import (
	"context"
	"fmt"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/storage"
)

// audience knows who of a file gets no message: whoever opted out, and whoever
// the campaign is not for.
type audience struct {
	only    *campaign.Matching // nil: everybody
	earlier campaign.Campaign  // the one that Only names
	detail  string
	consent suppressions
}

// suppressions know which chats must not be written to.
type suppressions interface {
	Suppressed(ctx context.Context, chats []campaign.ChatID) (map[campaign.ChatID]bool, error)
}

// audience finds out whom the campaign file is for.
func (a *App) audience(ctx context.Context, spec campaign.Spec) (*audience, error) {
	out := &audience{consent: a.store}
	if spec.Only == nil {
		return out, nil
	}
	where, err := campaign.ParseWhere(spec.Only.Where)
	if err != nil {
		return nil, err
	}
	if out.earlier, err = a.earlier(ctx, spec.Only.Campaign); err != nil {
		return nil, err
	}
	if err := canChoose(out.earlier, where); err != nil {
		return nil, &campaign.Error{Code: campaign.CodeInvalid, What: "only.where", Err: err}
	}
	out.detail = fmt.Sprintf("not in %q with %q", out.earlier.Name, where)
	out.only, err = a.matching(ctx, out.earlier.ID, where)
	return out, err
}

// earlier finds the campaign that only.campaign names; of several with the name
// the latest, but none that is still being read: it may be this very one.
func (a *App) earlier(ctx context.Context, idOrName string) (campaign.Campaign, error) {
	list, err := a.named(ctx, idOrName)
	if err != nil && campaign.CodeOf(err) != campaign.CodeNotFound {
		return campaign.Campaign{}, err
	}
	if c, ok := newestRead(list); ok {
		return c, nil
	}
	all, err := a.store.Campaigns(ctx)
	if err != nil {
		return campaign.Campaign{}, err
	}
	var names []string
	for _, c := range all {
		if c.State != campaign.StateDraft {
			names = append(names, c.Name)
		}
	}
	refusal := &campaign.Error{
		Code: campaign.CodeInvalid, What: fmt.Sprintf("only.campaign: there is no campaign %q in %s", idOrName, a.dir),
		Hint: "`herald campaigns` lists them; give the id or the whole name",
	}
	if near := campaign.Nearest(idOrName, names); near != "" {
		refusal.Hint = fmt.Sprintf("did you mean %q? `herald campaigns` lists them", near)
	}
	return campaign.Campaign{}, refusal
}

// newestRead is the first that is not being read.
func newestRead(list []campaign.Campaign) (campaign.Campaign, bool) {
	for _, c := range list {
		if c.State != campaign.StateDraft {
			return c, true
		}
	}
	return campaign.Campaign{}, false
}

// matching are the chats of a campaign that an expression chooses.
func (a *App) matching(ctx context.Context, id campaign.ID, where campaign.Where) (*campaign.Matching, error) {
	chosen := campaign.NewMatching(where)
	for r, err := range a.store.Recipients(ctx, id, storage.Filter{}) {
		if err != nil {
			return nil, err
		}
		chosen.Add(&r)
	}
	return chosen, nil
}

// screen says which of the chats are left out.
func (s *audience) screen(ctx context.Context, chats []campaign.ChatID) (map[campaign.ChatID]campaign.LeftOut, error) {
	left := map[campaign.ChatID]campaign.LeftOut{}
	out, err := s.consent.Suppressed(ctx, chats)
	if err != nil {
		return nil, err
	}
	for _, chat := range chats {
		switch {
		case s.only != nil && !s.only.Has(chat):
			left[chat] = campaign.LeftOut{Reason: campaign.SkipExcluded, Detail: s.detail}
		case out[chat]:
			left[chat] = campaign.LeftOut{Reason: campaign.SkipOptedOut, Detail: "has opted out"}
		}
	}
	return left, nil
}
