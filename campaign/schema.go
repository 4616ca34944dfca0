package campaign

import (
	_ "embed" // the schema and the files to start from
	"slices"
)

//go:embed campaign.schema.json
var schema []byte

// Schema is the JSON Schema (draft 2020-12) of the campaign file, for editors
// that complete and check while one types. It accepts every file ParseFile
// accepts; what JSON Schema cannot say (duplicate keys, senders written in two
// ways, clocks that skip an hour), only ParseFile finds.
func Schema() []byte { return slices.Clone(schema) }

//go:embed starter/campaign.yaml
var starter []byte

//go:embed starter/recipients.csv
var starterCSV []byte

// Starter is a campaign file to start from: it works as it is, beside the
// recipients of StarterCSV, and explains every option.
func Starter() []byte { return slices.Clone(starter) }

// StarterCSV is the recipients.csv that Starter names. The people are invented
// and the numbers belong to nobody.
func StarterCSV() []byte { return slices.Clone(starterCSV) }
