package examples

import (
	"embed"
	"fmt"
	"io/fs"
)

//go:embed demo/README.md demo/*.yaml demo/*.csv
var files embed.FS

// Demo is the folder of the sample campaign that `herald demo` sends:
// campaign.yaml (a text with an invoice for each person, in two variants),
// poll.yaml (a poll to the same people), and recipients.csv.
func Demo() fs.FS {
	demo, err := fs.Sub(files, "demo")
	if err != nil {
		panic(fmt.Sprintf("examples: embedded folder: %v", err)) // the name above is wrong
	}
	return demo
}
