package app

import (
	"context"
	"fmt"
	"strings"
	"unicode"

	"github.com/herald-campaigns/herald/campaign"
)

// named are the campaigns that somebody may mean, the newest first: the one of
// an id, else those of the name, else those whose names differ from it only in
// dashes and spaces, which not everybody can type. It is never empty without an
// error.
func (a *App) named(ctx context.Context, idOrName string) ([]campaign.Campaign, error) {
	if id, err := campaign.ParseID(idOrName); err == nil {
		c, err := a.store.Campaign(ctx, id)
		if err != nil {
			return nil, err
		}
		return []campaign.Campaign{c}, nil
	}
	all, err := a.store.Campaigns(ctx)
	if err != nil {
		return nil, err
	}
	var exact, alike []campaign.Campaign
	names := make([]string, len(all))
	for i, c := range all {
		names[i] = c.Name
		switch {
		case c.Name == idOrName:
			exact = append(exact, c)
		case sameName(c.Name, idOrName):
			alike = append(alike, c)
		}
	}
	switch {
	case len(exact) > 0:
		return exact, nil
	case len(alike) > 0:
		return alike, nil
	}
	refusal := &campaign.Error{
		Code: campaign.CodeNotFound, What: fmt.Sprintf("no campaign %q in %s", idOrName, a.dir),
		Hint: "`herald campaigns` lists them; give the id or the whole name",
	}
	if near := campaign.Nearest(idOrName, names); near != "" {
		refusal.Hint = fmt.Sprintf("did you mean %q? `herald campaigns` lists them", near)
	}
	return nil, refusal
}

// sameName says whether two names differ in dashes and spaces at most.
func sameName(one, other string) bool {
	words := func(name string) string {
		return strings.Join(strings.FieldsFunc(name, func(r rune) bool {
			return unicode.IsSpace(r) || unicode.Is(unicode.Pd, r) || r == '−'
		}), " ")
	}
	plain := words(one)
	return plain != "" && plain == words(other)
}

// find is the campaign of an id or a name; of several the newest, and whoever
// looks is told of the others.
func (a *App) find(ctx context.Context, idOrName string) (campaign.Campaign, error) {
	list, err := a.named(ctx, idOrName)
	if err != nil {
		return campaign.Campaign{}, err
	}
	if len(list) > 1 && a.told != nil {
		a.told(fmt.Sprintf("%d campaigns are called %q. This is the newest, %s; name another by its id: %s.",
			len(list), list[0].Name, list[0].ID, listedCampaigns(list[1:])))
	}
	return list[0], nil
}

// TellOfOthers has it told when a campaign that is looked at is the newest of
// several with its name.
func (a *App) TellOfOthers(tell func(text string)) { a.told = tell }

// listedCampaigns tells campaigns of one name apart.
func listedCampaigns(list []campaign.Campaign) string {
	const most = 10
	var words []string
	for i, c := range list {
		if i == most {
			words = append(words, fmt.Sprintf("and %d more", len(list)-most))
			break
		}
		words = append(words, fmt.Sprintf("%s (%s, made %s)", c.ID, c.State, c.CreatedAt.Local().Format("2006-01-02 15:04")))
	}
	return strings.Join(words, ", ")
}

// Change is what is to be done to a campaign.
type Change string

// The changes, as the commands for them are called.
const (
	ChangePause    Change = "pause"
	ChangeResume   Change = "resume"
	ChangeCancel   Change = "cancel"
	ChangeRetry    Change = "retry"
	ChangeUnknowns Change = "unknowns"
)

// ToChange is the campaign that somebody means who wants to change it. Of several
// with its name it must be the only one that the change can be for: nobody is to
// be written to, or not, by a guess.
func (a *App) ToChange(ctx context.Context, change Change, idOrName string) (campaign.ID, error) {
	list, err := a.named(ctx, idOrName)
	if err != nil {
		return "", err
	}
	if len(list) == 1 {
		return list[0].ID, nil
	}
	var meant []campaign.Campaign
	for _, c := range list {
		concerned, err := a.concerned(ctx, change, c)
		if err != nil {
			return "", err
		}
		if concerned {
			meant = append(meant, c)
		}
	}
	switch len(meant) {
	case 0: // the newest says why not
		return list[0].ID, nil
	case 1:
		return meant[0].ID, nil
	}
	return "", &campaign.Error{
		Code: campaign.CodeConflict,
		What: fmt.Sprintf("%d campaigns that this may be for are called %q: %s", len(meant), meant[0].Name, listedCampaigns(meant)),
		Hint: fmt.Sprintf("nothing was changed; give the id of the one you mean, for instance `herald %s %s`", change, meant[0].ID),
	}
}

// concerned says whether a campaign has what a change is for.
func (a *App) concerned(ctx context.Context, change Change, c campaign.Campaign) (bool, error) {
	switch change {
	case ChangePause:
		return c.State == campaign.StateRunning || c.State == campaign.StateScheduled, nil
	case ChangeResume:
		return c.State == campaign.StatePaused, nil
	case ChangeRetry:
		if c.State == campaign.StateCanceled {
			return false, nil
		}
		reasons, err := a.store.Retryable(ctx, c.ID)
		return len(reasons) > 0, err
	case ChangeUnknowns:
		rows, err := a.store.UnknownRows(ctx, c.ID)
		return len(rows) > 0, err
	default:
		return !c.State.Over(), nil
	}
}
