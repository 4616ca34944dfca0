package web_test

import (
	"bytes"
	"context"
	"os"
	"testing"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/web"
)

// journal is an inbox that appends keys to a file and syncs it.
type journal struct {
	memory
	file *os.File
}

func openLedger(_ context.Context, path string) (web.Inbox, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	return &journal{file: file}, err
}

func (j *journal) Receive(ctx context.Context, deliveries []campaign.Delivery) (int, error) {
	var lines bytes.Buffer
	for _, d := range deliveries {
		lines.WriteString(d.Key + "\n")
	}
	if _, err := j.file.Write(lines.Bytes()); err != nil {
		return 0, err
	}
	if err := j.file.Sync(); err != nil {
		return 0, err
	}
	return j.memory.Receive(ctx, deliveries)
}

func keysIn(tb testing.TB, path string) map[string]bool {
	tb.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	keys := make(map[string]bool)
	for line := range bytes.Lines(raw) {
		keys[string(bytes.TrimSpace(line))] = true
	}
	return keys
}
