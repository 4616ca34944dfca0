package templates

import (
	"context"
	"fmt"
	"net/url"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"github.com/herald-campaigns/herald/campaign"
)

// mediaProgram is a compiled attachment: a URL, or a local file.
type mediaProgram struct {
	kind     campaign.MediaType
	url      *program
	file     *program
	filename *program
	mime     *program
	src      campaign.MediaTemplate

	folder string          // rows' files are looked for here and below
	fixed  *campaign.Media // the file without placeholders, read once

	mu    sync.Mutex
	known map[string]campaign.Media // files that rows named, by path; guarded by mu
}

// maxKnownFiles bounds the memory of files seen. A campaign with a file of its
// own for each row gains nothing from it.
const maxKnownFiles = 1024

func (c *compiler) media(t campaign.MediaTemplate) *mediaProgram {
	m := &mediaProgram{kind: t.Type, src: t, known: map[string]campaign.Media{}}
	types := []string{"image", "video", "audio", "document"}
	switch t.Type {
	case campaign.MediaImage, campaign.MediaVideo, campaign.MediaAudio, campaign.MediaDocument:
	case "":
		c.at("message.media.type", CodeMediaType, "", "media.type is missing", "one of "+strings.Join(types, ", "))
	default:
		fix := "one of " + strings.Join(types, ", ")
		if near := campaign.Nearest(string(t.Type), types); near != "" {
			fix = "did you mean " + near + "? " + fix
		}
		c.at("message.media.type", CodeMediaType, string(t.Type), "there is no media type “"+string(t.Type)+"”", fix)
	}
	hasURL, hasFile := strings.TrimSpace(t.URL) != "", strings.TrimSpace(t.File) != ""
	switch {
	case hasURL && hasFile:
		c.at("message.media", CodeMediaSource, "", "url and file are both given", "keep one of them")
	case !hasURL && !hasFile:
		c.at("message.media", CodeMediaSource, "", "neither url nor file is given", "write url for a public address, file for a local path")
	case hasURL:
		m.url = c.compile("message.media.url", t.URL)
		if m.url != nil && m.url.static {
			if p := checkURL(clean(t.URL)); p != nil {
				c.at("message.media.url", p.code, p.value, p.what, p.fix)
			}
		}
	default:
		m.file = c.compile("message.media.file", t.File)
	}
	if strings.TrimSpace(t.Filename) != "" {
		m.filename = c.compile("message.media.filename", t.Filename)
	}
	if strings.TrimSpace(t.MIME) != "" {
		m.mime = c.compile("message.media.mimetype", t.MIME)
	}
	return m
}

// open reads the file that is the same for all rows, and finds the folder of
// files that are not: the part of the path the author wrote out. What a row
// adds cannot lead out of it.
func (m *mediaProgram) open(ctx context.Context, cfg Config) error {
	if m.file == nil {
		return nil
	}
	if !m.file.static {
		written, _, _ := strings.Cut(strings.TrimSpace(m.src.File), "{")
		m.folder = under(cfg.Dir, filepath.Dir(written+"x"))
		return nil
	}
	file := clean(m.src.File)
	media, err := MediaFile(ctx, under(cfg.Dir, file), m.kind, cfg.Media, cfg.Limits)
	if err != nil {
		return atField(err, "message.media.file", 0)
	}
	m.fixed = &media
	return nil
}

func under(dir, file string) string {
	if filepath.IsAbs(file) {
		return file
	}
	return filepath.Join(dir, file)
}

func (m *mediaProgram) render(ctx context.Context, t *Template, s *scene, row campaign.Row) (campaign.Media, error) {
	run := func(p *program) (string, error) {
		if p == nil {
			return "", nil
		}
		text, problem := p.run(s, &t.engine)
		if problem != nil {
			return "", problem.reject(row, p.field)
		}
		return text, nil
	}
	out := campaign.Media{Type: m.kind}
	source := ""
	switch {
	case m.url != nil:
		text, err := run(m.url)
		if err != nil {
			return out, err
		}
		if p := checkURL(text); p != nil {
			return out, p.reject(row, "message.media.url")
		}
		out.URL, source = text, urlBase(text)
	case m.fixed != nil:
		out, source = *m.fixed, m.fixed.Filename
	default:
		text, err := run(m.file)
		if err != nil {
			return out, err
		}
		if out, err = m.lookUp(ctx, t.cfg, text); err != nil {
			return out, atField(err, "message.media.file", row.Line)
		}
		source = out.Filename
	}

	given, err := run(m.mime)
	if err != nil {
		return out, err
	}
	name, err := run(m.filename)
	if err != nil {
		return out, err
	}
	if name == "" {
		name = source
	}
	name = FileName(name)
	switch {
	case given != "":
		out.MIME = strings.ToLower(given)
	case out.MIME != "": // sniffed
	case mimeOf(name) != "":
		out.MIME = mimeOf(name)
	case mimeOf(source) != "":
		out.MIME = mimeOf(source)
	default:
		out.MIME = standardMIME(m.kind)
	}
	if name == "" {
		name = string(m.kind)
	}
	if path.Ext(name) == "" {
		name += extensionOf(out.MIME)
	}
	out.Filename = name
	return out, nil
}

// lookUp reads a file a row names, once.
func (m *mediaProgram) lookUp(ctx context.Context, cfg Config, file string) (campaign.Media, error) {
	if file == "" {
		p := rowError{code: CodeFileMissing, what: "the row names no file", fix: "fill the cell"}
		return campaign.Media{}, p.reject(campaign.Row{}, "")
	}
	m.mu.Lock()
	media, ok := m.known[file]
	m.mu.Unlock()
	if ok {
		return media, nil
	}
	media, err := mediaBelow(ctx, m.folder, under(cfg.Dir, file), m.kind, cfg.Media, cfg.Limits)
	if err != nil {
		return campaign.Media{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.known) >= maxKnownFiles {
		clear(m.known)
	}
	m.known[file] = media
	return media, nil
}

// checkURL accepts what Periskope can fetch: an absolute http or https
// address.
func checkURL(s string) *rowError {
	bad := func(what, fix string) *rowError {
		return &rowError{code: CodeBadURL, value: s, what: what, fix: fix}
	}
	const shape = "write it as https://example.com/file.pdf"
	switch {
	case s == "":
		return bad("the media URL is blank", "fill the cell, or give it a default")
	case len(s) > 2048:
		return bad("the media URL is longer than 2,048 characters", "use a shorter address")
	case strings.IndexFunc(s, unicode.IsSpace) >= 0:
		return bad("the media URL has a blank in it", "write a blank inside an address as %20")
	}
	u, err := url.Parse(s)
	switch {
	case err != nil:
		return bad("this is no URL", shape)
	case u.Scheme != "http" && u.Scheme != "https":
		return bad("the media URL must start with https:// or http://", shape)
	case u.Hostname() == "":
		return bad("the media URL has no host", shape)
	case u.User != nil:
		return bad("the media URL holds a user name or password, which every recipient's provider would see", "use a signed or public address")
	}
	return nil
}

// urlBase is the last part of a URL's path, without escapes.
func urlBase(s string) string {
	u, err := url.Parse(s)
	if err != nil {
		return ""
	}
	base := path.Base(u.Path)
	if base == "." || base == "/" {
		return ""
	}
	return base
}

// FileName makes a name safe to show and to save: no folders, no control or
// direction-changing characters, no leading dots, at most 120 characters with
// the extension kept.
func FileName(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '/' || r == '\\' || r == ':':
			return '-'
		case unicode.IsControl(r) || isBidi(r) || r == utf8.RuneError:
			return -1
		case unicode.IsSpace(r):
			return ' '
		}
		return r
	}, s)
	s = strings.TrimLeft(strings.TrimSpace(s), ". -")
	s = strings.TrimRight(s, ". ")
	const most = 120
	if runes := []rune(s); len(runes) > most {
		ext := []rune(path.Ext(s))
		if len(ext) > 10 {
			ext = nil
		}
		s = strings.TrimSpace(string(runes[:most-len(ext)])) + string(ext)
	}
	return s
}

// mimeTable is ours rather than the system's, so that a message is the same on
// every machine. Only read; the first extension of a type is the one to add.
var mimeTable = []struct{ ext, mime string }{
	{".pdf", "application/pdf"},
	{".jpg", "image/jpeg"},
	{".jpeg", "image/jpeg"},
	{".png", "image/png"},
	{".webp", "image/webp"},
	{".gif", "image/gif"},
	{".mp4", "video/mp4"},
	{".3gp", "video/3gpp"},
	{".mov", "video/quicktime"},
	{".webm", "video/webm"},
	{".mp3", "audio/mpeg"},
	{".ogg", "audio/ogg"},
	{".opus", "audio/ogg"},
	{".m4a", "audio/mp4"},
	{".aac", "audio/aac"},
	{".amr", "audio/amr"},
	{".wav", "audio/wav"},
	{".docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"},
	{".xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"},
	{".pptx", "application/vnd.openxmlformats-officedocument.presentationml.presentation"},
	{".doc", "application/msword"},
	{".xls", "application/vnd.ms-excel"},
	{".ppt", "application/vnd.ms-powerpoint"},
	{".csv", "text/csv"},
	{".txt", "text/plain"},
	{".ics", "text/calendar"},
	{".vcf", "text/vcard"},
	{".html", "text/html"},
	{".json", "application/json"},
	{".xml", "text/xml"},
	{".zip", "application/zip"},
}

func mimeOf(name string) string {
	ext := strings.ToLower(path.Ext(name))
	for _, row := range mimeTable {
		if row.ext == ext {
			return row.mime
		}
	}
	return ""
}

func extensionOf(mime string) string {
	i := slices.IndexFunc(mimeTable, func(row struct{ ext, mime string }) bool { return row.mime == mime })
	if i < 0 {
		return ""
	}
	return mimeTable[i].ext
}

// standardMIME is what a URL without a telling extension is sent as. WhatsApp
// goes by the type; the MIME type must only not contradict it.
func standardMIME(kind campaign.MediaType) string {
	switch kind {
	case campaign.MediaImage:
		return "image/jpeg"
	case campaign.MediaVideo:
		return "video/mp4"
	case campaign.MediaAudio:
		return "audio/mpeg"
	case campaign.MediaDocument:
	}
	return "application/octet-stream"
}

// sizeLimit is the most bytes a local file of the type may have.
func (l Limits) sizeLimit(kind campaign.MediaType) int64 {
	switch kind {
	case campaign.MediaImage:
		return l.Image
	case campaign.MediaVideo:
		return l.Video
	case campaign.MediaAudio:
		return l.Audio
	case campaign.MediaDocument:
	}
	return l.Document
}

func megabytes(n int64) string {
	if n >= megabyte {
		return fmt.Sprintf("%.1f MB", float64(n)/megabyte)
	}
	return fmt.Sprintf("%d bytes", n)
}
