package report_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/report"
)

// A status screen asks for the numbers only: a quick report reads no rows.
func ExampleBuild() {
	ledger := newLedger(3)
	ledger.add(campaign.StatusRead)
	ledger.add(campaign.StatusDelivered)
	ledger.add(campaign.StatusSkipped, skipped(campaign.SkipDuplicate, "same number as line 2"))

	r, err := report.Build(context.Background(), ledger.deps(), testID, report.Options{Quick: true, Now: start})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(r.Verdict)
	fmt.Println("balanced:", r.Balanced)
	// Output:
	// 2 of 2 delivered (100 %), 50.0 % of those read
	// balanced: true
}

// `run --json` ends with the report in short.
func ExampleSummarize() {
	ledger := newLedger(1)
	ledger.add(campaign.StatusSkipped, skipped(campaign.SkipOptedOut, ""))
	r, err := report.Build(context.Background(), ledger.deps(), testID, report.Options{Now: start})
	if err != nil {
		fmt.Println(err)
		return
	}
	s := report.Summarize(r, "")
	_ = json.NewEncoder(os.Stdout).Encode(map[string]any{"rows": s.Rows, "opted_out": s.Skipped[campaign.SkipOptedOut], "report_file": s.ReportFile})
	// Output:
	// {"opted_out":1,"report_file":null,"rows":1}
}
