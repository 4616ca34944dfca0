package campaign_test

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/herald-campaigns/herald/campaign"
)

func TestParseRate(t *testing.T) {
	t.Parallel()
	rate := func(count float64, per time.Duration) campaign.Rate { return campaign.Rate{Count: count, Per: per} }
	tests := []struct {
		text string
		want campaign.Rate
		back string // how String writes it
	}{
		{"", campaign.Rate{}, ""},
		{"unlimited", campaign.Rate{Unlimited: true}, "unlimited"},
		{"20/m", rate(20, time.Minute), "20/m"},
		{"5/s", rate(5, time.Second), "5/s"},
		{"100/h", rate(100, time.Hour), "100/h"},
		{"500/day", rate(500, 24*time.Hour), "500/d"},
		{"20 / min", rate(20, time.Minute), "20/m"},
		{"1/10s", rate(1, 10*time.Second), "1/10s"},
		{"3/90 second", rate(3, 90*time.Second), "3/90s"},
		{"1/60s", rate(1, time.Minute), "1/m"},
		{"7/2h", rate(7, 2*time.Hour), "7/2h"},
		{"0.5/s", rate(0.5, time.Second), "0.5/s"},
		{"0.3333333333333333/m", rate(0.3333333333333333, time.Minute), "0.3333333333333333/m"},
		{"10000/s", rate(10000, time.Second), "10000/s"},
		{"1/d", rate(1, 24*time.Hour), "1/d"},
	}
	for _, tt := range tests {
		got, err := campaign.ParseRate(tt.text)
		if err != nil {
			t.Errorf("ParseRate(%q): %v", tt.text, err)
			continue
		}
		if got != tt.want || got.String() != tt.back {
			t.Errorf("ParseRate(%q) = %#v, written %q; want %#v, %q", tt.text, got, got.String(), tt.want, tt.back)
		}
		again, err := campaign.ParseRate(got.String())
		if err != nil || again != got {
			t.Errorf("%q does not come back: %v, %v", got.String(), again, err)
		}
	}
}

func TestParseRateRefuses(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"20", "20/", "/m", "20/M", "20/w", "20m", "-1/s", "1e3/s", "0/s", "0.0/d", "1/0s", "1/25h", "0.5/d", "1/90000s",
		"10001/s", "99999999/d", "Unlimited", "none", " 20/m", "20/m ", "20//m", "٢٠/m", "NaN/s", "Inf/s", "20/m\n",
	} {
		got, err := campaign.ParseRate(text)
		var e *campaign.Error
		if !errors.As(err, &e) || e.Code != campaign.CodeInvalid || e.Hint == "" {
			t.Errorf("ParseRate(%q) = %v, %v; want an invalid-Error with a hint", text, got, err)
		}
	}
}

func TestRateAsText(t *testing.T) {
	t.Parallel()
	pace := campaign.Pace{Rate: campaign.Rate{Count: 2.5, Per: 10 * time.Second}, Burst: 3}
	b, err := json.Marshal(pace)
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"rate":"2.5/10s","burst":3}`; string(b) != want {
		t.Errorf("JSON %s, want %s", b, want)
	}
	var fromJSON campaign.Pace
	if err := json.Unmarshal(b, &fromJSON); err != nil || fromJSON != pace {
		t.Errorf("from JSON: %+v, %v", fromJSON, err)
	}
	y, err := yaml.Marshal(pace)
	if err != nil {
		t.Fatal(err)
	}
	var fromYAML campaign.Pace
	if err := yaml.Unmarshal(y, &fromYAML); err != nil || fromYAML != pace {
		t.Errorf("from YAML %s: %+v, %v", y, fromYAML, err)
	}
	if _, err := json.Marshal(campaign.Rate{Count: 1, Per: time.Millisecond}); err == nil {
		t.Error("a rate was written that cannot be read back")
	}
	if err := json.Unmarshal([]byte(`"fast"`), new(campaign.Rate)); err == nil {
		t.Error("fast is no rate")
	}
}

func FuzzParseRate(f *testing.F) {
	for _, s := range []string{"20/m", "1/10s", "unlimited", "0.1/d", "", "9999999.9/9 h"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, err := campaign.ParseRate(s)
		if err != nil {
			return
		}
		b, err := r.MarshalText()
		if err != nil {
			t.Fatalf("%q was read, but cannot be written: %v", s, err)
		}
		var back campaign.Rate
		if err := back.UnmarshalText(b); err != nil || back != r {
			t.Fatalf("%q came back from %q as %v: %v", s, b, back, err)
		}
	})
}
