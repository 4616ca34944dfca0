package examples_test

import (
	"encoding/csv"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	_ "time/tzdata" // zones must not depend on the machine

	"golang.org/x/text/encoding/charmap"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/examples"
)

// campaignFiles are all campaign files of the examples.
func campaignFiles(t *testing.T) []string {
	t.Helper()
	paths, err := filepath.Glob("*/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if len(paths) < 9 {
		t.Fatalf("only %d campaign files: %v", len(paths), paths)
	}
	return paths
}

func TestCampaignFiles(t *testing.T) {
	t.Parallel()
	for _, path := range campaignFiles(t) {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			spec, err := campaign.ParseFile(path)
			if err != nil {
				t.Fatal(err)
			}
			folder := filepath.Dir(path)
			header := table(t, filepath.Join(folder, spec.Recipients.CSV))[0]
			if address := spec.Recipients.Phone + spec.Recipients.ChatID; !slices.Contains(header, address) {
				t.Errorf("there is no column %q in %v", address, header)
			}
			if m := spec.Message.Media; m != nil && m.File != "" {
				if info, err := os.Stat(filepath.Join(folder, m.File)); err != nil || info.Size() > 20<<10 {
					t.Errorf("attachment: %v, %v", info, err)
				}
			}
			if _, err := os.Stat(filepath.Join(folder, "README.md")); err != nil {
				t.Errorf("nothing says what to expect: %v", err)
			}
			for _, sender := range spec.Senders {
				if !allowed(sender) {
					t.Errorf("sender %s may be somebody's number", campaign.Phone(sender))
				}
			}
		})
	}
}

// reserved are the numbers that belong to nobody, as digits with and without
// what stands in front inside their countries.
var reserved = []*regexp.Regexp{
	regexp.MustCompile(`^(?:00)?1[2-9][0-9]{2}55501[0-9]{2}$`),      // NANP: 555-0100 to 555-0199
	regexp.MustCompile(`^(?:(?:00)?440?|0)7700900[0-9]{3}$`),        // Ofcom: drama numbers
	regexp.MustCompile(`^(?:(?:00)?91|0)?999999[0-9]{4}$`),          // a block of nines in India
	regexp.MustCompile(`^1555555[0-9]{4}$`),                         // NANP: area code 555, which nobody has; for magic numbers
	regexp.MustCompile(`^[0-9]{18}@g\.us$`),                         // a group, not a number
	regexp.MustCompile(`^(?:9\.19E\+11|9\.19999E\+11|n/a|12345|)$`), // broken on purpose
	regexp.MustCompile(`^\+91 99999 9OO12$`),                        // broken on purpose
}

var filler = strings.NewReplacer(" ", "", "+", "", "-", "", "(", "", ")", "", ".", "")

func allowed(cell string) bool {
	for _, written := range []string{cell, filler.Replace(cell)} {
		for _, r := range reserved {
			if r.MatchString(written) {
				return true
			}
		}
	}
	return false
}

// TestNumbersBelongToNobody looks at the addresses, and for anything like a
// number in the other cells.
func TestNumbersBelongToNobody(t *testing.T) {
	t.Parallel()
	long := regexp.MustCompile(`[0-9]{7,}`)
	for _, path := range campaignFiles(t) {
		spec, err := campaign.ParseFile(path)
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(filepath.Dir(path), spec.Recipients.CSV)
		rows := table(t, file)
		address := slices.Index(rows[0], spec.Recipients.Phone+spec.Recipients.ChatID)
		for i, row := range rows[1:] {
			for column, cell := range row {
				if column == address && !allowed(cell) || column != address && long.MatchString(cell) {
					t.Errorf("%s, record %d, column %d: %q may be somebody's number", file, i+1, column+1, cell)
				}
			}
		}
	}
}

func TestDemo(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"campaign.yaml", "poll.yaml"} {
		f, err := examples.Demo().Open(name)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = f.Close() }()
		spec, err := campaign.Parse(f, name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := fs.Stat(examples.Demo(), spec.Recipients.CSV); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	rows := table(t, filepath.Join("demo", "recipients.csv"))
	if got := len(rows) - 1; got != 200 {
		t.Errorf("%d rows; the README says 200", got)
	}
}

// table reads a CSV of ours: UTF-8 with commas, or Windows-1252 with semicolons.
func table(t *testing.T, path string) [][]string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	r := csv.NewReader(strings.NewReader(string(content)))
	if strings.HasPrefix(path, "messy-csv") {
		text, err := charmap.Windows1252.NewDecoder().Bytes(content)
		if err != nil {
			t.Fatal(err)
		}
		r = csv.NewReader(strings.NewReader(string(text)))
		r.Comma = ';'
	}
	r.FieldsPerRecord = -1
	rows, err := r.ReadAll()
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	if len(rows) < 2 {
		t.Fatalf("%s is empty", path)
	}
	return rows
}
