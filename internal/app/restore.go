package app

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/herald-campaigns/herald/campaign"
)

// Restored is a data directory that was put back from a copy: rows that were
// sent after the copy was made still wait in it. It holds everything back until
// a person confirms (docs/cli-json.md).
type Restored struct {
	SchemaVersion int                `json:"schema_version"`
	DataDir       string             `json:"data_dir"`
	Since         time.Time          `json:"restored_since"`     // when it was noticed
	BackupAt      time.Time          `json:"backup_at,omitzero"` // when the copy was made, if that is known
	Reason        string             `json:"reason"`             // by what it was noticed, for people
	Campaigns     []RestoredCampaign `json:"campaigns"`          // those with rows to send, in any state
	Waiting       int64              `json:"waiting"`
	// MayRepeat is how many of those that wait may have been sent since: at most,
	// if nobody changed the pace that the copy knows. What was begun after
	// BackupAt is not in the copy, and in no number.
	MayRepeat int64 `json:"may_repeat"`
	Confirmed bool  `json:"confirmed"`
}

// RestoredCampaign is a campaign of it that has rows to send.
type RestoredCampaign struct {
	ID        campaign.ID    `json:"id"`
	Name      string         `json:"name"`
	Mode      campaign.Mode  `json:"mode"`
	State     campaign.State `json:"state"` // a draft's import may have ended since
	Waiting   int64          `json:"waiting"`
	MayRepeat int64          `json:"may_repeat"`

	file string
}

// File is the campaign file, as a person in the working directory would write it.
func (c RestoredCampaign) File() string { return fileOf(c.file) }

// RestoredCopy says, in a line for people, that this data directory is a
// restored copy and holds its campaigns; "" when it does not.
func (a *App) RestoredCopy(ctx context.Context) (string, error) {
	found, held, err := a.store.Restored(ctx)
	if err != nil || !held {
		return "", err
	}
	return fmt.Sprintf("%s is a restored copy (%s)", a.dir, found.Reason), nil
}

// refuseRestored keeps a restored copy from sending.
func (a *App) refuseRestored(ctx context.Context) error {
	copied, err := a.RestoredCopy(ctx)
	if err != nil || copied == "" {
		return err
	}
	return &campaign.Error{
		Code: campaign.CodeConflict, What: copied + ": it does not know what was sent since",
		Hint: "nothing was sent; `herald resume --after-restore` says what would be sent again, and lets you confirm",
	}
}

// OpenRestored opens a data directory to confirm that it was restored.
func OpenRestored(ctx context.Context, cfg Config, log *slog.Logger) (*App, error) {
	return openToSettle(ctx, cfg, log)
}

// Restored says what this data directory holds back. One that holds nothing
// back is a conflict.
func (a *App) Restored(ctx context.Context) (*Restored, error) {
	found, held, err := a.store.Restored(ctx)
	if err != nil {
		return nil, err
	}
	if !held {
		return nil, &campaign.Error{
			Code: campaign.CodeConflict, What: fmt.Sprintf("%s is no restored copy, or was confirmed already", a.dir),
			Hint: "to go on with a campaign, run its file again: `herald run FILE`",
		}
	}
	r := &Restored{
		SchemaVersion: 1, DataDir: a.dir, Since: found.Since.UTC(), BackupAt: found.BackupAt.UTC(), Reason: found.Reason,
		Campaigns: []RestoredCampaign{},
	}
	if found.BackupAt.IsZero() {
		r.BackupAt = time.Time{}
	}
	campaigns, err := a.store.Campaigns(ctx)
	if err != nil {
		return nil, err
	}
	for _, c := range campaigns {
		totals, err := a.store.Totals(ctx, c.ID)
		if err != nil {
			return nil, err
		}
		if waiting := totals.Waiting(); waiting > 0 {
			r.add(c, waiting, a.sentSince(c, waiting, found.BackupAt))
		}
	}
	return r, nil
}

func (r *Restored) add(c campaign.Campaign, waiting, again int64) {
	r.Campaigns = append(r.Campaigns, RestoredCampaign{
		ID: c.ID, Name: c.Name, Mode: c.Mode, State: c.State, Waiting: waiting, MayRepeat: again, file: c.Spec.Path,
	})
	r.Waiting += waiting
	r.MayRepeat += again
}

// sentSince is how many of the rows that wait can have been sent since a time,
// at most: the pace is a promise, as long as it is the one that the copy knows.
// Without a time it can be all of them.
func (a *App) sentSince(c campaign.Campaign, waiting int64, since time.Time) int64 {
	if since.IsZero() {
		return waiting
	}
	var most int64
	for _, phone := range c.Spec.Senders {
		most += mostIn(c.Spec.Pace.ForSender(a.cfg.Senders[phone]), time.Since(since), waiting)
	}
	return min(most, waiting)
}

// mostIn is how many messages, of so many, a pace lets go in a time.
func mostIn(pace campaign.Pace, passed time.Duration, of int64) int64 {
	low, high := int64(0), of // low can go in that time, more than high cannot
	for low < high {
		middle := high - (high-low)/2
		if took, _ := pace.Takes(middle); took <= passed {
			low = middle
		} else {
			high = middle - 1
		}
	}
	return low + int64(pace.Burst)
}

// ConfirmRestored lets a restored data directory send again. Its campaigns stay
// paused until they are run.
func (a *App) ConfirmRestored(ctx context.Context, r *Restored) error {
	if err := a.store.ConfirmRestore(ctx); err != nil {
		return err
	}
	r.Confirmed = true
	return nil
}

// fileOf is a campaign file as a person in the working directory would write
// it; "FILE" for one that came through standard input.
func fileOf(path string) string {
	if path == "" {
		return "FILE"
	}
	return nearName(path)
}
