package app

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// mediaStore keeps local media files under their content hash, so that what
// was checked is what is sent, whatever happens to the original.
type mediaStore struct {
	dir string
}

// Put copies content into the store and returns its hash and size.
func (m *mediaStore) Put(_ context.Context, content io.Reader) (hash string, size int64, err error) {
	if err := os.MkdirAll(m.dir, 0o700); err != nil {
		return "", 0, fmt.Errorf("create the media folder: %w", err)
	}
	temp, err := os.CreateTemp(m.dir, "incoming-*")
	if err != nil {
		return "", 0, fmt.Errorf("keep a media file: %w", err)
	}
	defer func() { _ = os.Remove(temp.Name()) }() // gone already once it was renamed
	sum := sha256.New()
	size, copyErr := io.Copy(io.MultiWriter(temp, sum), content)
	if err := errors.Join(copyErr, temp.Sync(), temp.Close()); err != nil {
		return "", 0, fmt.Errorf("keep a media file: %w", err)
	}
	hash = hex.EncodeToString(sum.Sum(nil))
	return hash, size, os.Rename(temp.Name(), filepath.Join(m.dir, hash))
}

// OpenMedia opens a stored file.
func (m *mediaStore) OpenMedia(hash string) (io.ReadCloser, error) {
	if _, err := hex.DecodeString(hash); err != nil || len(hash) != sha256.Size*2 {
		return nil, fmt.Errorf("media hash %q is malformed", hash)
	}
	return os.Open(filepath.Join(m.dir, hash))
}
