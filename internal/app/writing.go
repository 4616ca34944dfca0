package app

import (
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"

	"github.com/herald-campaigns/herald/campaign"
)

// CreateOutput opens a file that a person named to write into, emptied; only
// its owner reads it.
func CreateOutput(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600) // #nosec G304 -- the person names the file to write
	if err != nil {
		return nil, notWritable(path, err, "name a file in a folder that exists and that you may write to")
	}
	return f, nil
}

// notWritable says where the system refused to write, once, and the way out.
func notWritable(path string, err error, hint string) error {
	if at, ok := errors.AsType[*fs.PathError](err); ok {
		path, err = at.Path, at.Err
	}
	return &campaign.Error{Code: campaign.CodeInvalid, What: "write " + path, Err: err, Hint: hint}
}

// writeJSON leaves a value in a file for another process on the data directory,
// whole or not at all.
func writeJSON(path string, value any) error {
	return writeFile(path, func(w io.Writer) error { return json.NewEncoder(w).Encode(value) })
}

// readJSON reads what writeJSON left.
func readJSON[T any](path string) (value T, err error) {
	raw, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(raw, &value)
	}
	return value, err
}
