package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/herald-campaigns/herald/campaign"
)

// unchanged refuses a file that is not the one the campaign was made from:
// going on with it could send some people one message and some another, or
// leave new rows out unseen.
func (a *App) unchanged(ctx context.Context, spec campaign.Spec, src source, c campaign.Campaign, delta bool) error {
	messageHash, err := a.messageHash(ctx, spec)
	if err != nil {
		return err
	}
	hint := "put the old file back to go on, or use --as-new to send the new one to everyone as another campaign, also to those who got it already"
	var changes []string
	for _, change := range campaign.Diff(c.Spec, spec) {
		switch change.Part {
		case campaign.PartMessage, campaign.PartOnly, campaign.PartSenders:
			changes = append(changes, change.String())
		case campaign.PartRecipients:
			if !delta {
				changes = append(changes, change.String())
			}
		default: // the plan, and what is only told or looked at, may change freely
		}
	}
	if messageHash != c.MessageHash && len(changes) == 0 {
		changes = append(changes, "the content of "+mediaFields(spec))
	}
	if !delta && len(changes) == 0 {
		known, err := imported(c, spec, src)
		if err != nil {
			return err
		}
		if !known {
			changes = append(changes, "the content of "+src.name())
			hint = fmt.Sprintf("`herald run %s --delta %s` adds the rows that are new and repeats nobody; --as-new sends to everyone as another campaign, also to those who got it already",
				fromHere(spec.Path), src.fromHere())
		}
	}
	if len(changes) == 0 {
		return nil
	}
	return &campaign.Error{
		Code: campaign.CodeConflict,
		What: fmt.Sprintf("campaign %q (%s) was made from another version of this file; changed: %s", c.Name, c.ID, strings.Join(changes, "; ")),
		Hint: hint,
	}
}

// mediaFields names the fields with a local file.
func mediaFields(spec campaign.Spec) string {
	var fields []string
	for _, v := range spec.Messages() {
		switch media := v.Message.Media; {
		case media == nil || media.File == "":
		case v.Name == "":
			fields = append(fields, "message.media.file")
		default:
			fields = append(fields, "variants."+v.Name+".media.file")
		}
	}
	return strings.Join(fields, " or ")
}

// messageHash covers the message templates and their local files, those that
// are the same for every row.
func (a *App) messageHash(_ context.Context, spec campaign.Spec) (string, error) {
	var contents []string
	for _, v := range spec.Messages() {
		content, err := mediaHash(v.Message.Media, spec)
		if err != nil {
			return "", err
		}
		contents = append(contents, content)
	}
	return spec.MessageHash(contents...), nil
}

// mediaHash is the hash of a local file that is the same for every row; "" when
// there is none.
func mediaHash(media *campaign.MediaTemplate, spec campaign.Spec) (string, error) {
	if media == nil || media.File == "" || strings.Contains(media.File, "{{") {
		return "", nil
	}
	path := media.File
	if !filepath.IsAbs(path) {
		path = filepath.Join(filepath.Dir(spec.Path), path)
	}
	content, err := fileSHA256(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("read media.file: %w", err)
	}
	// A missing file is reported, with its place, when the message is compiled.
	return content, nil
}

// imported says whether the campaign has the recipients file as it is now: it
// was made from it, or a delta brought it in.
func imported(c campaign.Campaign, spec campaign.Spec, src source) (bool, error) {
	sum, err := fileSHA256(src.path)
	if err != nil {
		return false, fmt.Errorf("read the recipients: %w", err)
	}
	byDelta := slices.ContainsFunc(c.Imports, func(imp campaign.Import) bool { return imp.Complete && imp.SHA256 == sum })
	return byDelta || spec.Recipients.Hash(sum) == c.SourceHash, nil
}

func sourceHash(spec campaign.Spec, src source) (string, error) {
	sum, err := fileSHA256(src.path)
	if err != nil {
		if info, statErr := os.Stat(src.path); errors.Is(err, fs.ErrNotExist) || statErr == nil && info.IsDir() {
			return "", nil // OpenSource says it better
		}
		return "", fmt.Errorf("read the recipients: %w", err)
	}
	return spec.Recipients.Hash(sum), nil
}
