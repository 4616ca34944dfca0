package app

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/report"
)

// FollowUp is a campaign file written for some of the recipients of an earlier
// campaign (docs/cli-json.md).
type FollowUp struct {
	SchemaVersion int         `json:"schema_version"`
	CampaignID    campaign.ID `json:"campaign_id"`
	Earlier       string      `json:"name"`
	Where         string      `json:"where"`
	Recipients    int64       `json:"recipients"` // that the expression chooses
	Of            int64       `json:"of"`         // rows of the earlier campaign
	NewName       string      `json:"new_name"`

	File           string `json:"file"`            // "" while nothing was written
	RecipientsFile string `json:"recipients_file"` // where File takes its recipients from
	Exported       bool   `json:"exported"`        // RecipientsFile was written as well

	campaign campaign.Campaign
	where    campaign.Where
}

// FollowUp counts the recipients of a campaign that an expression chooses.
// Nothing is written yet.
func (a *App) FollowUp(ctx context.Context, idOrName, expression string) (*FollowUp, error) {
	where, err := campaign.ParseWhere(expression)
	if bad, ok := errors.AsType[*campaign.InputError](err); ok {
		p := bad.Problems[0]
		return nil, &campaign.Error{Code: campaign.CodeInvalid, What: "the expression: " + p.What, Hint: p.Fix}
	}
	if err != nil {
		return nil, err
	}
	c, err := a.find(ctx, idOrName)
	if err != nil {
		return nil, err
	}
	if err := canChoose(c, where); err != nil {
		return nil, err
	}
	chosen, err := a.matching(ctx, c.ID, where)
	if err != nil {
		return nil, err
	}
	f := &FollowUp{
		SchemaVersion: 1, CampaignID: c.ID, Earlier: c.Name, Where: where.String(), Recipients: chosen.Len(), Of: c.Rows(),
		campaign: c, where: where,
	}
	f.NewName, err = a.freeName(ctx, c.Name)
	return f, err
}

// canChoose refuses an expression that names what the campaign does not have: a
// typing mistake must not be a choice of nobody.
func canChoose(c campaign.Campaign, where campaign.Where) error {
	if err := hasVariants(c, where); err != nil {
		return err
	}
	return hasOptions(c, where)
}

// hasVariants refuses an expression with a variant that the campaign does not
// have: nobody would ever be there with it.
func hasVariants(c campaign.Campaign, where campaign.Where) error {
	names := make([]string, len(c.Spec.Variants))
	for i, v := range c.Spec.Variants {
		names[i] = v.Name
	}
	for _, wanted := range where.Variants() {
		if !slices.ContainsFunc(names, func(name string) bool { return strings.EqualFold(name, wanted) }) {
			return noVariant(fmt.Sprintf("campaign %q", c.Name), wanted, names)
		}
	}
	return nil
}

// noVariant says which variants there are.
func noVariant(of, wanted string, names []string) *campaign.Error {
	return noneSuch(fmt.Sprintf("%s has no variant %q", of, report.Printable(wanted)), wanted, "variants", "%s", names,
		"it has one message, without variants")
}

// noneSuch refuses a name, and says which there are, or that there is none. shown
// is how one is written.
func noneSuch(what, wanted, kind, shown string, names []string, none string) *campaign.Error {
	refusal := &campaign.Error{Code: campaign.CodeInvalid, What: what, Hint: none}
	if len(names) == 0 {
		return refusal
	}
	refusal.Hint = fmt.Sprintf("its %s are %s", kind, strings.Join(names, ", "))
	if near := campaign.Nearest(wanted, names); near != "" && len(wanted) > 1 { // one letter is as near to any other
		refusal.Hint = fmt.Sprintf("did you mean "+shown+"? Its %s are %s", near, kind, strings.Join(names, ", "))
	}
	return refusal
}

// hasOptions refuses an expression with an option that no poll of the campaign
// has. Options with placeholders were the same for all, but the file does not
// say what they came to: then any may be there.
func hasOptions(c campaign.Campaign, where campaign.Where) error {
	options := c.Spec.PollOptions()
	if slices.ContainsFunc(options, campaign.Templated) {
		return nil
	}
	for _, wanted := range where.Options() {
		if !slices.ContainsFunc(options, func(option string) bool { return strings.EqualFold(strings.TrimSpace(option), wanted) }) {
			return noOption(c.Name, wanted, options)
		}
	}
	return nil
}

// noOption says which options there are.
func noOption(name, wanted string, options []string) *campaign.Error {
	return noneSuch(fmt.Sprintf("campaign %q has no poll with the option %q", name, report.Printable(wanted)), wanted, "options", "'%s'", options,
		"none of its messages is a poll, so nobody voted")
}

// freeName is the name of a follow-up that no campaign has yet: a name is what
// a campaign is known by.
func (a *App) freeName(ctx context.Context, earlier string) (string, error) {
	for number := 1; ; number++ {
		name := campaign.FollowUpName(earlier, number)
		_, err := a.store.CampaignNamed(ctx, name)
		if campaign.CodeOf(err) == campaign.CodeNotFound {
			return name, nil
		}
		if err != nil {
			return "", err
		}
	}
}

// WriteFollowUp writes the campaign file, and its recipients beside it unless
// the earlier campaign's own file is still there, unchanged. Files that exist
// are never overwritten. Path "" stands for a name of its own in the working
// directory.
func (a *App) WriteFollowUp(ctx context.Context, f *FollowUp, path string) error {
	if f.Recipients == 0 {
		return &campaign.Error{
			Code: campaign.CodeNotFound, What: fmt.Sprintf("none of the recipients of %q is there with %q", f.Earlier, f.Where),
			Hint: "nothing was written; wait for more statuses, or choose others with --where",
		}
	}
	if path == "" {
		path = fileStem(f.Earlier, f.CampaignID) + "-follow-up.yaml"
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	content := campaign.FollowUp{
		Earlier: f.campaign, Name: f.NewName, Where: f.where, Count: f.Recipients, File: nearName(path), Recipients: f.campaign.Spec.Recipients,
		Folder: leads(filepath.Dir(path), filepath.Dir(f.campaign.Spec.Path)),
	}
	source, exported := originalRecipients(f.campaign), false
	if source == "" {
		source, exported = strings.TrimSuffix(path, filepath.Ext(path))+".csv", true
		content.Recipients.Delimiter, content.Recipients.Encoding, content.Recipients.Sheet = "", "", ""
	}
	content.Recipients.CSV = filepath.ToSlash(source)
	if near, err := filepath.Rel(filepath.Dir(path), source); err == nil {
		content.Recipients.CSV = filepath.ToSlash(near)
	}
	text, err := content.YAML()
	if err != nil {
		return err
	}
	file, err := createNew(path)
	if err != nil {
		return err
	}
	_, err = file.Write(text)
	err = errors.Join(err, file.Close())
	if err == nil && exported {
		err = a.exportRecipients(ctx, f.campaign, source)
	}
	if err != nil {
		return errors.Join(err, os.Remove(path))
	}
	f.File, f.RecipientsFile, f.Exported = nearName(path), nearName(source), exported
	return nil
}

// originalRecipients is the path of the file that all rows of the campaign came
// from, if it still is what it was; else "".
func originalRecipients(c campaign.Campaign) string {
	if len(c.Imports) != 1 || c.Spec.Path == "" || c.Spec.Recipients.CSV == "-" {
		return ""
	}
	path := c.Spec.Recipients.CSV
	if !filepath.IsAbs(path) {
		path = filepath.Join(filepath.Dir(c.Spec.Path), path)
	}
	if sum, err := fileSHA256(path); err != nil || sum != c.Imports[0].SHA256 {
		return ""
	}
	return path
}

// exportRecipients writes the rows of a campaign that have a chat, with the
// columns of its first import: the same columns under later imports' headers
// are one column. Cells are as they were read, for Herald is to read them
// again.
func (a *App) exportRecipients(ctx context.Context, c campaign.Campaign, path string) (err error) {
	file, err := createNew(path)
	if err != nil {
		return err
	}
	defer func() {
		if err = errors.Join(err, file.Close()); err != nil {
			err = errors.Join(err, os.Remove(path))
		}
	}()
	var header, slugs []string
	for i, slug := range c.Imports[0].Slugs {
		if slug != "" {
			header, slugs = append(header, c.Imports[0].Header[i]), append(slugs, slug)
		}
	}
	rows := csv.NewWriter(file)
	if err := rows.Write(header); err != nil {
		return err
	}
	record := make([]string, len(slugs))
	for r, err := range a.rows(ctx, c.ID) {
		if err != nil {
			return err
		}
		if r.Chat == "" || r.SkipReason == campaign.SkipDuplicate {
			continue
		}
		fields := c.RowOf(&r).Fields
		for i, slug := range slugs {
			record[i] = fields[slug]
		}
		if err := rows.Write(record); err != nil {
			return err
		}
	}
	rows.Flush()
	return rows.Error()
}

// createNew creates a file that only its owner reads; one that exists is left
// alone.
func createNew(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600) // #nosec G304 -- the person names the file to write
	if errors.Is(err, fs.ErrExist) {
		return nil, &campaign.Error{
			Code: campaign.CodeConflict, What: nearName(path) + " exists, and is not overwritten",
			Hint: "name another file with --output",
		}
	}
	if err != nil {
		return nil, &campaign.Error{Code: campaign.CodeInvalid, What: "write " + nearName(path), Err: errors.Unwrap(err), Hint: "name another file with --output"}
	}
	return f, nil
}

// leads is the way from one folder to another, with slashes; "" when they are
// the same.
func leads(from, to string) string {
	way, err := filepath.Rel(from, to)
	if err != nil {
		return filepath.ToSlash(to)
	}
	if way == "." {
		return ""
	}
	return filepath.ToSlash(way)
}

// fileStem is a campaign's name as part of a file name.
func fileStem(name string, id campaign.ID) string {
	words := strings.FieldsFunc(strings.ToLower(name), func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9')
	})
	stem := strings.Join(words, "-")
	if stem == "" || len(stem) > 80 {
		return string(id)
	}
	return stem
}
