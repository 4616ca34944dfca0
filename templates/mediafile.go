package templates

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/gabriel-vasile/mimetype"

	"github.com/herald-campaigns/herald/campaign"
)

// MediaStore keeps a local file's content until the campaign is over, under
// the hash it returns: lower-case hex SHA-256 of the content. Putting the same
// content again is harmless. The content comes as a reader, not as a path, so
// that what was checked is what is kept.
type MediaStore interface {
	Put(ctx context.Context, content io.Reader) (hash string, size int64, err error)
}

// MediaFile checks a local file for sending as the given type: its size
// against the limits (zero fields are the defaults), and that its content,
// whatever its name, is of that type. It returns the media as Render does,
// with hash, size, sniffed MIME type and a safe file name. A nil store only
// hashes. What is wrong with the file comes as a *campaign.InputError.
func MediaFile(ctx context.Context, path string, kind campaign.MediaType, store MediaStore, limits Limits) (campaign.Media, error) {
	f, err := os.Open(path)
	if err != nil {
		return campaign.Media{}, cannotOpen(err, filepath.Base(path))
	}
	defer func() { _ = f.Close() }() // only read from
	return readMedia(ctx, f, kind, store, limits.withDefaults())
}

// mediaBelow is MediaFile for a path that a row had a part in: nothing outside
// of folder is opened, not by "..", not by a symbolic link.
func mediaBelow(ctx context.Context, folder, path string, kind campaign.MediaType, store MediaStore, limits Limits) (campaign.Media, error) {
	inside, err := filepath.Rel(folder, path)
	if err != nil || !filepath.IsLocal(inside) {
		return campaign.Media{}, outside(path)
	}
	root, err := os.OpenRoot(folder)
	if err != nil {
		return campaign.Media{}, cannotOpen(err, filepath.Base(folder))
	}
	defer func() { _ = root.Close() }()
	f, err := root.Open(inside)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrPermission) && strings.Contains(err.Error(), "escapes") {
			return campaign.Media{}, outside(path)
		}
		return campaign.Media{}, cannotOpen(err, filepath.Base(path))
	}
	defer func() { _ = f.Close() }() // only read from
	return readMedia(ctx, f, kind, store, limits)
}

func readMedia(ctx context.Context, f *os.File, kind campaign.MediaType, store MediaStore, limits Limits) (campaign.Media, error) {
	name := filepath.Base(f.Name())
	info, err := f.Stat()
	if err != nil {
		return campaign.Media{}, cannotOpen(err, name)
	}
	most := limits.sizeLimit(kind)
	switch {
	case !info.Mode().IsRegular():
		return campaign.Media{}, badFile(CodeFileMissing, name, "this is not a file", "name the file itself, not its folder")
	case info.Size() == 0:
		return campaign.Media{}, badFile(CodeFileEmpty, name, "the file is empty", "save it again")
	case info.Size() > most:
		return campaign.Media{}, tooLarge(name, kind, info.Size(), most)
	}

	// The head is sniffed, then read again in front of the rest.
	head := make([]byte, 3072)
	n, err := io.ReadFull(f, head)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return campaign.Media{}, cannotOpen(err, name)
	}
	head = head[:n]
	mime, _, _ := strings.Cut(mimetype.Detect(head).String(), ";")
	mime = betterMIME(mime, name)
	if !agrees(mime, kind) {
		return campaign.Media{}, badFile(CodeFileType, name, fmt.Sprintf("the content is %s, not %s", mime, kind),
			"change media.type, or send another file")
	}
	// The size may change under our hands, so what is read is bounded too.
	content := &counted{r: io.LimitReader(io.MultiReader(bytes.NewReader(head), f), most+1)}
	hash, err := put(ctx, content, store)
	if err != nil {
		return campaign.Media{}, fmt.Errorf("keep media file %s: %w", name, err)
	}
	if content.n > most {
		return campaign.Media{}, tooLarge(name, kind, content.n, most)
	}
	return campaign.Media{Type: kind, Hash: hash, Filename: FileName(name), MIME: mime, Size: content.n}, nil
}

func put(ctx context.Context, content *counted, store MediaStore) (string, error) {
	if store != nil {
		hash, _, err := store.Put(ctx, content)
		return hash, err
	}
	h := sha256.New()
	if _, err := io.Copy(h, content); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// counted counts what was read through it.
type counted struct {
	r io.Reader
	n int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

// betterMIME gives the sniffed type its usual name, and asks the file's name
// where the content tells little: an MP3 without tags, a CSV, an office file
// whose container the sniffer could not see into.
func betterMIME(sniffed, name string) string {
	switch sniffed {
	case "audio/x-m4a":
		return "audio/mp4"
	case "application/ogg":
		return "audio/ogg"
	}
	byName := mimeOf(name)
	switch {
	case sniffed == "application/octet-stream" && byName != "",
		sniffed == "text/plain" && (byName == "text/csv" || byName == "text/calendar" || byName == "text/vcard"),
		sniffed == "application/zip" && strings.HasPrefix(byName, "application/"):
		return byName
	}
	return sniffed
}

// agrees says whether content of the MIME type can be sent as the media type.
// A document may be anything.
func agrees(mime string, kind campaign.MediaType) bool {
	switch kind {
	case campaign.MediaImage:
		return strings.HasPrefix(mime, "image/") && mime != "image/svg+xml"
	case campaign.MediaVideo:
		return strings.HasPrefix(mime, "video/")
	case campaign.MediaAudio:
		return strings.HasPrefix(mime, "audio/")
	case campaign.MediaDocument:
	}
	return true
}

func badFile(code, name, what, fix string) error {
	return campaign.Reject(campaign.Problem{Code: code, Value: quote(name), What: what, Fix: fix})
}

func outside(path string) error {
	return badFile(CodeFileOutside, filepath.Base(path), "the path leads out of the folder that media.file names",
		"keep the rows' files in that folder; a row cannot use .. or another folder")
}

func tooLarge(name string, kind campaign.MediaType, size, most int64) error {
	return badFile(CodeFileSize, name, fmt.Sprintf("the file has %s, %s may have %s", megabytes(size), kind, megabytes(most)),
		"make it smaller, or send it as a document")
}

func cannotOpen(err error, name string) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return badFile(CodeFileMissing, name, "there is no such file", "paths are relative to the folder of the campaign file")
	case errors.Is(err, fs.ErrPermission):
		return badFile(CodeFileMissing, name, "the file may not be read", "give the user who runs herald the right to read it")
	}
	return badFile(CodeFileMissing, name, "the file cannot be read", "check the path")
}

// atField says where in the message, and for which row, a file was asked for.
func atField(err error, field string, line int64) error {
	if input, ok := errors.AsType[*campaign.InputError](err); ok {
		for i := range input.Problems {
			input.Problems[i].Field, input.Problems[i].Line = field, line
		}
	}
	return err
}
