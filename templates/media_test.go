package templates

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/herald-campaigns/herald/campaign"
)

const (
	png = "\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00\x00\x00"
	pdf = "%PDF-1.7\n%âãÏÓ\n"
	wav = "RIFF\x24\x00\x00\x00WAVEfmt "
	mp4 = "\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom"
)

// folderStore keeps content in a folder, as the data directory does.
type folderStore struct {
	dir  string
	puts atomic.Int32
	err  error
}

func (s *folderStore) Put(_ context.Context, content io.Reader) (string, int64, error) {
	s.puts.Add(1)
	if s.err != nil {
		return "", 0, s.err
	}
	b, err := io.ReadAll(content)
	if err != nil {
		return "", 0, err
	}
	hash := hashOf(string(b))
	return hash, int64(len(b)), os.WriteFile(filepath.Join(s.dir, hash), b, 0o600)
}

func hashOf(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

func write(t *testing.T, dir, name, content string) {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestMediaURL(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		tpl  campaign.MediaTemplate
		want campaign.Media
	}{
		{
			"everything written out",
			campaign.MediaTemplate{Type: "document", URL: "{{ link }}", Filename: "invoice-{{ order_id }}.pdf"},
			campaign.Media{Type: "document", URL: "https://example.com/a%20b.PDF?sig=1", Filename: "invoice-42.pdf", MIME: "application/pdf"},
		},
		{
			"the name from the address",
			campaign.MediaTemplate{Type: "document", URL: "{{ link }}"},
			campaign.Media{Type: "document", URL: "https://example.com/a%20b.PDF?sig=1", Filename: "a b.PDF", MIME: "application/pdf"},
		},
		{
			"a name without extension",
			campaign.MediaTemplate{Type: "document", URL: "{{ link }}", Filename: "Invoice {{ order_id }}"},
			campaign.Media{Type: "document", URL: "https://example.com/a%20b.PDF?sig=1", Filename: "Invoice 42.pdf", MIME: "application/pdf"},
		},
		{
			"no extension anywhere",
			campaign.MediaTemplate{Type: "image", URL: "https://example.com/i/{{ order_id }}"},
			campaign.Media{Type: "image", URL: "https://example.com/i/42", Filename: "42.jpg", MIME: "image/jpeg"},
		},
		{
			"no path",
			campaign.MediaTemplate{Type: "document", URL: "https://example.com"},
			campaign.Media{Type: "document", URL: "https://example.com", Filename: "document", MIME: "application/octet-stream"},
		},
		{
			"a given MIME type",
			campaign.MediaTemplate{Type: "document", URL: "https://example.com/x", MIME: "Application/PDF"},
			campaign.Media{Type: "document", URL: "https://example.com/x", Filename: "x.pdf", MIME: "application/pdf"},
		},
		{
			"folders in a name",
			campaign.MediaTemplate{Type: "document", URL: "https://example.com/x.pdf", Filename: "{{ name }}.pdf"},
			campaign.Media{Type: "document", URL: "https://example.com/x.pdf", Filename: "etc-passwd.pdf", MIME: "application/pdf"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tpl := mustCompile(t, campaign.Template{Media: &tt.tpl}, config())
			m, err := tpl.Render(t.Context(), row(map[string]string{"link": "https://example.com/a%20b.PDF?sig=1", "order_id": "42", "name": "../../etc/passwd"}))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(&tt.want, m.Media); diff != "" {
				t.Error(diff)
			}
			if m.Kind() != campaign.KindMedia {
				t.Errorf("kind %s", m.Kind())
			}
		})
	}
}

func TestBadMediaURLs(t *testing.T) {
	t.Parallel()
	tpl := mustCompile(t, campaign.Template{Text: "caption", Media: &campaign.MediaTemplate{Type: "image", URL: "{{ link }}"}}, config())
	for _, link := range []string{
		"", " ", "example.com/a.jpg", "/a.jpg", "ftp://example.com/a.jpg", "file:///etc/passwd", "javascript:alert(1)", "https://", "https:///a.jpg",
		"https://example.com/a b.jpg", "https://user:secret@example.com/a.jpg", "https://exa mple.com", "http://[::1", "https://example.com/" + strings.Repeat("x", 2048),
	} {
		_, err := tpl.Render(t.Context(), row(map[string]string{"link": link}))
		if p := problemOf(t, err); p.Code != CodeBadURL || p.Field != "message.media.url" || p.Line != 2 {
			t.Errorf("%q: got %+v", link, p)
		}
	}
}

func TestMediaFileOfAllRows(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "flyer.png", png)
	store := &folderStore{dir: t.TempDir()}
	cfg := config()
	cfg.Dir, cfg.Media = dir, store
	tpl := mustCompile(t, campaign.Template{Text: "Hi {{ name }}", Media: &campaign.MediaTemplate{Type: "image", File: "flyer.png"}}, cfg)

	// What was read is what is sent: a change of the file afterwards is none
	// of the campaign.
	write(t, dir, "flyer.png", pdf)
	want := &campaign.Media{Type: "image", Hash: hashOf(png), Filename: "flyer.png", MIME: "image/png", Size: int64(len(png))}
	for range 3 {
		m, err := tpl.Render(t.Context(), row(map[string]string{"name": "Asha"}))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, m.Media); diff != "" {
			t.Error(diff)
		}
	}
	if n := store.puts.Load(); n != 1 {
		t.Errorf("stored %d times", n)
	}
	kept, err := os.ReadFile(filepath.Join(store.dir, want.Hash))
	if err != nil || string(kept) != png {
		t.Errorf("kept %q, %v", kept, err)
	}
}

func TestMediaFilesOfRows(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "bills/42.pdf", pdf+"42")
	write(t, dir, "bills/more/43.pdf", pdf+"43")
	write(t, dir, "secret.pdf", pdf+"secret")
	if err := os.Symlink(filepath.Join(dir, "secret.pdf"), filepath.Join(dir, "bills", "link.pdf")); err != nil {
		t.Skip("no symbolic links here:", err)
	}
	store := &folderStore{dir: t.TempDir()}
	cfg := config()
	cfg.Dir, cfg.Media = dir, store
	tpl := mustCompile(t, campaign.Template{Media: &campaign.MediaTemplate{Type: "document", File: "bills/{{ code }}.pdf"}}, cfg)

	for range 2 {
		m, err := tpl.Render(t.Context(), row(map[string]string{"code": "42"}))
		if err != nil || m.Media.Hash != hashOf(pdf+"42") || m.Media.Filename != "42.pdf" || m.Media.MIME != "application/pdf" {
			t.Fatalf("got %+v, %v", m.Media, err)
		}
	}
	if n := store.puts.Load(); n != 1 {
		t.Errorf("stored %d times", n)
	}
	if m, err := tpl.Render(t.Context(), row(map[string]string{"code": "more/43"})); err != nil || m.Media.Filename != "43.pdf" {
		t.Errorf("below the folder: %+v, %v", m.Media, err)
	}
	for code, want := range map[string]string{
		"44": CodeFileMissing, "../secret": CodeFileOutside, "more/../../secret": CodeFileOutside, "link": CodeFileOutside,
		"../bills/42": "", "more/../42": "",
	} {
		_, err := tpl.Render(t.Context(), row(map[string]string{"code": code}))
		if want == "" {
			if err != nil {
				t.Errorf("%q: %v", code, err)
			}
			continue
		}
		if p := problemOf(t, err); p.Code != want || p.Field != "message.media.file" || p.Line != 2 {
			t.Errorf("%q: got %+v, want %s", code, p, want)
		}
	}

	whole := mustCompile(t, campaign.Template{Media: &campaign.MediaTemplate{Type: "document", File: "{{ code }}"}}, cfg)
	if _, err := whole.Render(t.Context(), row(map[string]string{"code": "secret.pdf"})); err != nil {
		t.Errorf("a file beside the campaign file: %v", err)
	}
	for code, want := range map[string]string{"": CodeFileMissing, "/etc/hostname": CodeFileOutside, "bills": CodeFileMissing} {
		_, err := whole.Render(t.Context(), row(map[string]string{"code": code}))
		if p := problemOf(t, err); p.Code != want {
			t.Errorf("%q: got %+v, want %s", code, p, want)
		}
	}
}

func TestMediaFileChecks(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, content := range map[string]string{
		"a.png": png, "a.pdf": pdf, "a.wav": wav, "a.mp3": "\x01\x02\x03\x04", "a.mp4": mp4, "empty.png": "", "fake.png": "hello, I am text", "big.png": png + strings.Repeat("x", 2000),
		"rows.csv": "a,b\n1,2\n", "picture.svg": "<svg xmlns='http://www.w3.org/2000/svg'/>",
	} {
		write(t, dir, name, content)
	}
	for _, tt := range []struct {
		name string
		kind campaign.MediaType
		code string // "" is accepted
		mime string
	}{
		{"a.png", "image", "", "image/png"},
		{"a.png", "document", "", "image/png"},
		{"a.pdf", "document", "", "application/pdf"},
		{"a.wav", "audio", "", "audio/wav"},
		{"a.mp3", "audio", "", "audio/mpeg"}, // content that tells nothing goes by its name
		{"a.mp4", "video", "", "video/mp4"},
		{"rows.csv", "document", "", "text/csv"},
		{"a.pdf", "image", CodeFileType, ""},
		{"a.png", "video", CodeFileType, ""},
		{"a.mp4", "audio", CodeFileType, ""},
		{"fake.png", "image", CodeFileType, ""},
		{"picture.svg", "image", CodeFileType, ""},
		{"empty.png", "image", CodeFileEmpty, ""},
		{"big.png", "image", CodeFileSize, ""},
		{"big.png", "document", "", "image/png"},
		{"none.png", "image", CodeFileMissing, ""},
		{".", "document", CodeFileMissing, ""},
	} {
		got, err := MediaFile(t.Context(), filepath.Join(dir, tt.name), tt.kind, nil, Limits{Image: 1000})
		if tt.code == "" {
			if err != nil || got.MIME != tt.mime || got.Type != tt.kind || len(got.Hash) != 64 || got.Size == 0 {
				t.Errorf("%s as %s: got %+v, %v", tt.name, tt.kind, got, err)
			}
			continue
		}
		if p := problemOf(t, err); p.Code != tt.code {
			t.Errorf("%s as %s: got %+v, want %s", tt.name, tt.kind, p, tt.code)
		}
	}
}

func TestCompileReadsTheFile(t *testing.T) {
	t.Parallel()
	cfg := config()
	cfg.Dir = t.TempDir()
	_, err := Compile(t.Context(), campaign.Template{Media: &campaign.MediaTemplate{Type: "image", File: "none.png"}}, cfg)
	if p := problemOf(t, err); p.Code != CodeFileMissing || p.Field != "message.media.file" || p.Value != "none.png" {
		t.Errorf("got %+v", p)
	}
}

func TestAFailingStoreIsNoErrorOfTheRow(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "a.png", png)
	full := errors.New("disk full")
	cfg := config()
	cfg.Dir, cfg.Media = dir, &folderStore{err: full}
	tpl := mustCompile(t, campaign.Template{Media: &campaign.MediaTemplate{Type: "image", File: "{{ name }}.png"}}, cfg)
	_, err := tpl.Render(t.Context(), row(map[string]string{"name": "a"}))
	var input *campaign.InputError
	if !errors.Is(err, full) || errors.As(err, &input) {
		t.Errorf("got %v", err)
	}
}

func TestFileName(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"invoice.pdf": "invoice.pdf", " a\tb.pdf ": "ab.pdf", "../../a.pdf": "a.pdf", `C:\x\y.pdf`: "C--x-y.pdf", ".htaccess": "htaccess",
		"exe\u202efdp.exe": "exefdp.exe", "a\x00b.pdf": "ab.pdf", "": "", "...": "", "रसीद.pdf": "रसीद.pdf", "a\u00a0b.pdf": "a b.pdf",
		strings.Repeat("x", 300) + ".pdf": strings.Repeat("x", 116) + ".pdf",
	} {
		if got := FileName(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}
