package campaign_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/herald-campaigns/herald/campaign"
)

// A row that cannot be rendered must not take its number away from a sound row
// that comes later.
func TestABadRowIsNoFirstOfADuplicate(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	text := "phone,link\n+12015550101,\n+12015550101,https://example.com/a\n"
	if err := os.WriteFile(filepath.Join(dir, "r.csv"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	reader, err := campaign.OpenSource(campaign.Source{CSV: "r.csv", Phone: "phone"}, dir, nil, campaign.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	parser, err := campaign.NewAddressParser("", campaign.AddressPhone)
	if err != nil {
		t.Fatal(err)
	}
	var statuses []campaign.Status
	_, err = campaign.ImportRecipients(t.Context(), reader, parser, func(rows []campaign.Recipient) error {
		for _, row := range rows {
			statuses = append(statuses, row.Status)
		}
		return nil
	}, campaign.ImportOptions{Examine: func(row *campaign.Recipient) (*campaign.Problem, error) {
		if row.Record[1] == "" {
			return &campaign.Problem{Code: "E_TEST", What: "no link"}, nil
		}
		return nil, nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	if len(statuses) != 2 || statuses[0] != campaign.StatusSkipped || statuses[1] != campaign.StatusPending {
		t.Errorf("statuses %v, want skipped and pending", statuses)
	}
}

func TestACampaignNeedsSomebodyToSendTo(t *testing.T) {
	t.Parallel()
	nobody := campaign.ImportSummary{Number: 1, Rows: 3, Skipped: map[campaign.SkipReason]int64{
		campaign.SkipInvalidPhone: 2, campaign.SkipDuplicate: 1,
	}}
	if err := nobody.TooBad(true); campaign.CodeOf(err) != campaign.CodeInvalid {
		t.Errorf("TooBad = %v for a file without a sound row", err)
	}
	delta := campaign.ImportSummary{Number: 2, Rows: 3, Skipped: map[campaign.SkipReason]int64{campaign.SkipDuplicate: 3}}
	if err := delta.TooBad(false); err != nil {
		t.Errorf("TooBad = %v for a delta that holds nobody new", err)
	}
}
