package campaign_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/herald-campaigns/herald/campaign"
)

func TestParseFileThatIsNone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()

	_, err := campaign.ParseFile(filepath.Join(dir, "absent.yaml"))
	if campaign.CodeOf(err) != campaign.CodeNotFound || len(campaign.HintsOf(err)) == 0 {
		t.Errorf("absent file: %v, code %s", err, campaign.CodeOf(err))
	}

	_, err = campaign.ParseFile(dir)
	if campaign.CodeOf(err) != campaign.CodeInvalid || !strings.Contains(err.Error(), "E_FILE_DIRECTORY") {
		t.Errorf("folder: %v", err)
	}

	locked := filepath.Join(dir, "locked.yaml")
	if err := os.WriteFile(locked, []byte(valid), 0o000); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() != 0 && runtime.GOOS != "windows" {
		_, err = campaign.ParseFile(locked)
		if campaign.CodeOf(err) != campaign.CodeInvalid || len(campaign.HintsOf(err)) == 0 {
			t.Errorf("locked file: %v", err)
		}
	}

	broken := errors.New("disk on fire")
	if _, err := campaign.Parse(iotest.ErrReader(broken), "x.yaml"); !errors.Is(err, broken) {
		t.Errorf("failing reader: %v", err)
	}

	_, err = campaign.Parse(strings.NewReader("phone,name\n"), "people.CSV")
	var input *campaign.InputError
	if !errors.As(err, &input) || !strings.Contains(input.Problems[0].Fix, "recipients.csv") {
		t.Errorf("recipients in place of the campaign: %v", err)
	}
}

func TestFileSize(t *testing.T) {
	t.Parallel()
	padding := "#" + strings.Repeat(" ", campaign.MaxFileSize-len(valid)-2) + "\n"
	mustParse(t, valid+padding)
	if _, problems := parse(t, valid+padding+"\n"); len(problems) != 1 || problems[0].Code != "E_FILE_TOO_LARGE" {
		t.Errorf("one byte too many: %v", problems)
	}
}

func TestParseLeavesPathEmpty(t *testing.T) {
	t.Parallel()
	if spec := mustParse(t, valid); spec.Path != "" {
		t.Errorf("path %q for a stream", spec.Path)
	}
}

func TestStart(t *testing.T) {
	t.Parallel()
	utc := func(s string) time.Time {
		at, err := time.Parse(time.RFC3339, s)
		if err != nil {
			t.Fatal(err)
		}
		return at
	}
	tests := []struct {
		name, start, zone string
		want              time.Time
	}{
		{"offset", "2026-11-28T10:00:00+05:30", "", utc("2026-11-28T04:30:00Z")},
		{"utc", "2026-11-28T10:00:00Z", "", utc("2026-11-28T10:00:00Z")},
		{"offset as people write it", "2026-11-28 10:00 -03:00", "", utc("2026-11-28T13:00:00Z")},
		{"the offset wins over the zone", "2026-11-28T10:00:00Z", "Asia/Kolkata", utc("2026-11-28T10:00:00Z")},
		{"local", "2026-11-28 10:00", "Asia/Kolkata", utc("2026-11-28T04:30:00Z")},
		{"local with T and seconds", "2026-11-28T10:00:30", "Asia/Kolkata", utc("2026-11-28T04:30:30Z")},
		{"summer", "2027-07-01 09:00", "Europe/London", utc("2027-07-01T08:00:00Z")},
		{"winter", "2027-01-01 09:00", "Europe/London", utc("2027-01-01T09:00:00Z")},
		{"twice: the first", "2026-10-25 01:30", "Europe/London", utc("2026-10-25T00:30:00Z")},
		{"twice in New York", "2026-11-01 01:30", "America/New_York", utc("2026-11-01T05:30:00Z")},
		{"just before the gap", "2027-03-28 00:59", "Europe/London", utc("2027-03-28T00:59:00Z")},
		{"just after the gap", "2027-03-28 02:00", "Europe/London", utc("2027-03-28T01:00:00Z")},
		{"half an hour of summer time", "2027-04-04 01:45", "Australia/Lord_Howe", utc("2027-04-03T14:45:00Z")},
		{"past", "2001-01-01 00:00", "UTC", utc("2001-01-01T00:00:00Z")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			content := valid + "schedule:\n  start: " + tt.start + "\n"
			if tt.zone != "" {
				content += "  timezone: " + tt.zone + "\n"
			}
			spec := mustParse(t, content)
			if spec.Schedule.Start != tt.want || spec.Schedule.Timezone != tt.zone {
				t.Errorf("start %v in %q, want %v in %q", spec.Schedule.Start, spec.Schedule.Timezone, tt.want, tt.zone)
			}
		})
	}
}

func TestStartInTheGap(t *testing.T) {
	t.Parallel()
	for zone, tt := range map[string]struct{ start, next string }{
		"Europe/London":       {"2027-03-28 01:30", "2027-03-28 02:30"},
		"America/New_York":    {"2027-03-14 02:00", "2027-03-14 03:00"},
		"Australia/Lord_Howe": {"2026-10-04 02:10", "2026-10-04 02:40"},
		"Pacific/Apia":        {"2011-12-30 12:00", "2011-12-31 12:00"}, // a whole day was skipped
	} {
		_, problems := parse(t, valid+"schedule: { start: "+tt.start+", timezone: "+zone+" }\n")
		if len(problems) != 1 || problems[0].Field != "schedule.start" || !strings.Contains(problems[0].Fix, tt.next) {
			t.Errorf("%s in %s: %+v, want a fix naming %s", tt.start, zone, problems, tt.next)
		}
	}
}

// TestProblemsKeepSecrets plants words of the message and numbers, breaks the
// file around them, and looks for them in what is said.
func TestProblemsKeepSecrets(t *testing.T) {
	t.Parallel()
	files := []string{
		"name: a\nmessage: { text: [PLANTED] }\n",
		"name: a\nmessage: { txt: PLANTED }\n",
		"name: a\nmessage: { text: PLANTED, poll: { question: PLANTED, options: [PLANTED, PLANTED] } }\n",
		"name: a\nmessage: { media: { type: image, url: \"ftp://PLANTED\" } }\n",
		"name: a\nmessage:\n  text: PLANTED: and: more\n",
		"name: a\nmessage:\n  text: \"PLANTED\n",
		"name: a\nsenders: [919999990012, \"+91 99999 90012\", {919999990012: 1}]\n919999990012: 1\n",
		"name: 919999990012\nrecipients: { country: 919999990012, delimiter: \"919999990012\" }\npace: { rate: 919999990012, daily: 919999990012 }\n",
		"senders: [9999990012]\nrecipients: { csv: a.csv, country: IN }\n",
	}
	for _, content := range files {
		_, err := campaign.Parse(strings.NewReader(content), "campaign.yaml")
		var input *campaign.InputError
		if !errors.As(err, &input) {
			t.Errorf("%q was taken", content)
			continue
		}
		for _, p := range input.Problems {
			all := p.String() + p.Value + p.Fix
			for _, secret := range []string{"PLANTED", "9999990012", "99999 90012"} {
				if strings.Contains(all, secret) {
					t.Errorf("%q leaks: %s value %q fix %q", content, p, p.Value, p.Fix)
				}
			}
		}
	}
}

// TestHostileFiles has files made to exhaust a parser. Each must be answered
// with a problem, not with a crash; what one costs grows with its size only, so
// a tenth of the size that is taken is enough here.
func TestHostileFiles(t *testing.T) {
	t.Parallel()
	const size = campaign.MaxFileSize / 10
	laughs := "a: &a [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n"
	for c := 'b'; c <= 'j'; c++ {
		prev := string(c - 1)
		laughs += string(c) + ": &" + string(c) + " [" + strings.Repeat("*"+prev+", ", 8) + "*" + prev + "]\n"
	}
	for name, content := range map[string]string{
		"billion laughs":   laughs + "senders: *j\n",
		"self reference":   "senders: &s [*s]\n",
		"merge of itself":  "pace: &p\n  <<: *p\n",
		"deep brackets":    "name: " + strings.Repeat("[", size),
		"deep braces":      "name: " + strings.Repeat("{a: ", size/4),
		"deep dashes":      strings.Repeat("- ", size/2),
		"many keys":        strings.Repeat("abcdefghij: 1\n", size/14),
		"many colons":      "name: " + strings.Repeat(": ", size/2),
		"one long word":    strings.Repeat("a", size),
		"one long key":     strings.Repeat("a", size) + ": 1",
		"long anchor":      "name: *" + strings.Repeat("a", size),
		"many comments":    strings.Repeat("#\n", size/2-len(valid)) + valid,
		"comments and key": strings.Repeat("a:\n#\n", size/5),
		"many documents":   strings.Repeat("---\n", size/4),
		"many senders":     valid[:strings.Index(valid, "senders")] + "senders: [" + strings.Repeat("1,", size/2-80) + "1]\n",
		"real senders":     valid[:strings.Index(valid, "senders")] + "senders: [" + strings.Repeat("12015550123,", size/12-20) + "1]\n",
		"many options":     "message: { poll: { options: [" + strings.Repeat("a,", size/2-40) + "a] } }\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if name == "many comments" {
				mustParse(t, content)
				return
			}
			_, problems := parse(t, content)
			if len(problems) == 0 {
				t.Error("no problem was found")
			}
		})
	}
}

func TestStarter(t *testing.T) {
	t.Parallel()
	spec, err := campaign.Parse(bytes.NewReader(campaign.Starter()), "campaign.yaml")
	if err != nil {
		t.Fatal(err)
	}
	header, _, _ := strings.Cut(string(campaign.StarterCSV()), "\n")
	for _, column := range []string{spec.Recipients.Phone, "first_name", "order_id", "delivery_day"} {
		if !strings.Contains(header, column) {
			t.Errorf("column %s is not in the header %q", column, header)
		}
		if !bytes.Contains(campaign.Starter(), []byte(column)) {
			t.Errorf("column %s is not used", column)
		}
	}
	if !spec.Pace.Rate.IsZero() {
		t.Error("a first campaign must have the safe pace")
	}
}
