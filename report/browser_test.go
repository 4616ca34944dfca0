package report_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"image"
	"image/png"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/report"
)

// browser is a tab of a real Chromium that notes what a report must not do.
type browser struct {
	ctx context.Context //nolint:containedctx // chromedp's tab is a context

	mu  sync.Mutex
	bad []string
}

// openBrowser skips the test where there is no Chromium, unless
// HERALD_REQUIRE_CHROMIUM=1 says that there has to be one.
func openBrowser(t *testing.T) *browser {
	t.Helper()
	var path string
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	if path == "" {
		if os.Getenv("HERALD_REQUIRE_CHROMIUM") == "1" {
			t.Fatal("no Chromium in PATH, and HERALD_REQUIRE_CHROMIUM=1")
		}
		t.Skip("no Chromium in PATH: the report was not looked at in a browser")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewExecAllocator(ctx, append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.WSURLReadTimeout(2*time.Minute),
		chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-component-update", true),
		chromedp.Flag("force-color-profile", "srgb"),
	)...)
	t.Cleanup(cancel)
	b := &browser{}
	b.ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(func() {
		_ = chromedp.Cancel(b.ctx) // waits for the browser to go
		cancel()
	})
	chromedp.ListenTarget(b.ctx, func(event any) {
		switch e := event.(type) {
		case *network.EventRequestWillBeSent:
			if !strings.HasPrefix(e.Request.URL, "file:") {
				b.note("it asked for " + e.Request.URL)
			}
		case *log.EventEntryAdded:
			b.note("the browser complains: " + e.Entry.Text)
		case *page.EventJavascriptDialogOpening:
			b.note("a dialog opened: " + e.Message)
			go func() { _ = chromedp.Run(b.ctx, page.HandleJavaScriptDialog(true)) }()
		}
	})
	b.run(t, network.Enable(), log.Enable(), page.Enable())
	return b
}

func (b *browser) note(what string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.bad = append(b.bad, what)
}

func (b *browser) run(t *testing.T, actions ...chromedp.Action) {
	t.Helper()
	if err := chromedp.Run(b.ctx, actions...); err != nil {
		t.Fatal(err)
	}
}

// open shows a report, and fails the test for whatever the page must not do.
func (b *browser) open(t *testing.T, r *report.Report) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "report.html")
	if err := os.WriteFile(path, asHTML(t, r), 0o600); err != nil {
		t.Fatal(err)
	}
	b.run(t, chromedp.Navigate((&url.URL{Scheme: "file", Path: path}).String()), chromedp.WaitVisible("#verdict"))
	t.Cleanup(func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, what := range b.bad {
			t.Error(what)
		}
	})
}

func (b *browser) look(t *testing.T, width int64, scheme string) {
	t.Helper()
	b.run(t,
		emulation.SetDeviceMetricsOverride(width, 900, 1, false),
		emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}),
	)
}

// asHTML writes the page.
func asHTML(t *testing.T, r *report.Report) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := report.WriteHTML(&b, r); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// axe is the accessibility checker, as it was vendored.
func axe(t *testing.T) string {
	t.Helper()
	code, err := os.ReadFile("testdata/axe/axe.min.js")
	if err != nil {
		t.Fatal(err)
	}
	notes, err := os.ReadFile("testdata/axe/VENDOR.md")
	if err != nil {
		t.Fatal(err)
	}
	if sum := sha256.Sum256(code); !strings.Contains(string(notes), hex.EncodeToString(sum[:])) {
		t.Fatal("axe.min.js is not what VENDOR.md says")
	}
	return string(code)
}

// The report is looked at as people see it: light and dark, on a desk and on a
// telephone. HERALD_SCREENSHOTS names a folder for the pictures.
func TestHTMLInChromium(t *testing.T) {
	t.Parallel()
	b := openBrowser(t)
	checker := axe(t)
	for name, scenario := range map[string]func() *ledger{
		"answered": answered, "two_polls": twoPolls, "mixed": mixed, "unbalanced": unbalanced, "running": running, "unknowns": unknowns, "wide": wide,
	} {
		b.open(t, build(t, scenario()))
		b.run(t, chromedp.Evaluate(checker, nil))
		for _, width := range []int64{1100, 360} {
			for _, scheme := range []string{"light", "dark"} {
				if name != "answered" && (width == 360) != (scheme == "dark") {
					continue // two views tell as much, and cost half
				}
				view := fmt.Sprintf("%s_%d_%s", name, width, scheme)
				b.look(t, width, scheme)
				for _, v := range violations(t, b) {
					t.Errorf("%s: %s", view, v)
				}
				var overflow int64
				b.run(t, chromedp.Evaluate(`document.scrollingElement.scrollWidth - innerWidth`, &overflow))
				if overflow > 0 {
					t.Errorf("%s: the page is %d pixels wider than the screen", view, overflow)
				}
				b.picture(t, view, scheme)
			}
		}
	}
}

// On every screen the tiles fill their lines: none is left alone beside a gap.
func TestTilesWrapEvenly(t *testing.T) {
	t.Parallel()
	b := openBrowser(t)
	for name, scenario := range map[string]func() *ledger{"a poll": answered, "a text": mixed} {
		b.open(t, build(t, scenario()))
		for _, width := range []int64{360, 500, 700, 800, 1100} {
			b.look(t, width, "light")
			var ragged []string
			b.run(t, chromedp.Evaluate(`(() => {
				const box = document.querySelector('.tiles').getBoundingClientRect(), lines = {};
				for (const e of document.querySelectorAll('.tile')) {
					const r = e.getBoundingClientRect();
					lines[r.top] = Math.max(lines[r.top] || 0, r.right);
					if (e.scrollWidth > e.clientWidth) lines[r.top] = -1;
				}
				return Object.values(lines).filter(right => Math.abs(right - box.right) > 1).map(String);
			})()`, &ragged))
			if len(ragged) > 0 {
				t.Errorf("%s, %d pixels: lines of tiles end at %v", name, width, ragged)
			}
		}
	}
}

func violations(t *testing.T, b *browser) []string {
	t.Helper()
	var found string
	// Text that may lie on a gradient is not judged at all: the tables are looked at
	// without the shadows at their edges.
	shadows := func(background string) chromedp.Action {
		return chromedp.Evaluate(fmt.Sprintf(`document.querySelectorAll('.scroll').forEach(e => { e.style.background = %q; })`, background), nil)
	}
	b.run(t, shadows("none"))
	defer b.run(t, shadows(""))
	b.run(t, chromedp.Evaluate(`axe.run(document, {resultTypes: ['violations']}).then(r => JSON.stringify({
		passes: r.passes.length,
		bad: r.violations.flatMap(v => v.nodes.map(n => v.id + ': ' + n.failureSummary + ' ' + n.html))}))`,
		&found, func(p *runtime.EvaluateParams) *runtime.EvaluateParams { return p.WithAwaitPromise(true) }))
	var result struct {
		Passes int      `json:"passes"`
		Bad    []string `json:"bad"`
	}
	if err := json.Unmarshal([]byte(found), &result); err != nil {
		t.Fatal(err)
	}
	if result.Passes < 20 {
		t.Errorf("only %d rules were checked", result.Passes)
	}
	return result.Bad
}

// A table that is wider than the screen shows at its edges where there is more, and
// no other does; on paper, where nothing scrolls, none.
func TestTablesShowThatTheyScroll(t *testing.T) {
	t.Parallel()
	b := openBrowser(t)
	b.open(t, build(t, twoPolls()))
	b.look(t, 360, "light")
	type table struct {
		Left, Right, Top, More float64
	}
	const list = `[...document.querySelectorAll('.scroll')].map(e => {
		const r = e.getBoundingClientRect();
		return {Left: r.left, Right: r.right, Top: r.top + scrollY, More: e.scrollWidth - e.clientWidth};
	})`
	shaded := func(img image.Image, x, y float64) bool {
		red, _, _, _ := img.At(int(x), int(y)+1).RGBA()
		return red < 0xf000 // the paper is white
	}
	for _, end := range []bool{false, true} {
		var tables []table
		b.run(t,
			chromedp.Evaluate(fmt.Sprintf(`document.querySelectorAll('.scroll').forEach(e => { e.scrollLeft = %v ? e.scrollWidth : 0; })`, end), nil),
			chromedp.Evaluate(list, &tables))
		img, err := png.Decode(bytes.NewReader(b.shoot(t)))
		if err != nil {
			t.Fatal(err)
		}
		wide := 0
		for i, of := range tables {
			more := of.More > 0
			if more {
				wide++
			}
			left, right := shaded(img, of.Left, of.Top), shaded(img, of.Right-1, of.Top)
			if left != (more && end) || right != (more && !end) {
				t.Errorf("table %d, %v pixels wider than the screen, at its end %v: shaded left %v, right %v", i, of.More, end, left, right)
			}
		}
		if wide == 0 || wide == len(tables) {
			t.Fatalf("%d of %d tables are wider than the screen", wide, len(tables))
		}
	}
	var printed string
	b.run(t, emulation.SetEmulatedMedia().WithMedia("print"), chromedp.Evaluate(`getComputedStyle(document.querySelector('.scroll')).backgroundImage`, &printed))
	if printed != "none" {
		t.Errorf("on paper: %s", printed)
	}
}

// tallest is the height of a picture: Chromium takes none above 16,384.
const tallest = 12_000

// shoot takes a picture of the page, as much of it as fits.
func (b *browser) shoot(t *testing.T) []byte {
	t.Helper()
	var shot []byte
	b.run(t, chromedp.ActionFunc(func(ctx context.Context) (err error) {
		_, _, _, _, _, size, err := page.GetLayoutMetrics().Do(ctx)
		if err != nil {
			return err
		}
		clip := &page.Viewport{Width: size.Width, Height: min(size.Height, tallest), Scale: 1}
		shot, err = page.CaptureScreenshot().WithCaptureBeyondViewport(true).WithClip(clip).Do(ctx)
		return err
	}))
	return shot
}

// picture takes the page, and checks that it is one in its scheme.
func (b *browser) picture(t *testing.T, name, scheme string) {
	t.Helper()
	shot := b.shoot(t)
	if dir := os.Getenv("HERALD_SCREENSHOTS"); dir != "" {
		if err := os.WriteFile(filepath.Join(dir, name+".png"), shot, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	img, err := png.Decode(bytes.NewReader(shot))
	if err != nil {
		t.Fatal(err)
	}
	colors := map[[3]uint32]bool{}
	for y := img.Bounds().Min.Y; y < img.Bounds().Max.Y; y += 7 {
		for x := img.Bounds().Min.X; x < img.Bounds().Max.X; x += 7 {
			red, green, blue, _ := img.At(x, y).RGBA()
			colors[[3]uint32{red, green, blue}] = true
		}
	}
	if len(colors) < 8 {
		t.Errorf("%s: %d colors: the page is empty", name, len(colors))
	}
	red, _, _, _ := img.At(img.Bounds().Min.X, img.Bounds().Min.Y).RGBA()
	if dark := red < 0x4000; dark != (scheme == "dark") {
		t.Errorf("%s: the corner is %#x", name, red)
	}
}

func TestHTMLPrintsOnA4(t *testing.T) {
	t.Parallel()
	b := openBrowser(t)
	b.open(t, build(t, answered()))
	b.look(t, 1100, "dark") // paper is white all the same
	var pdf []byte
	b.run(t, chromedp.ActionFunc(func(ctx context.Context) (err error) {
		pdf, _, err = page.PrintToPDF().WithPreferCSSPageSize(true).WithPrintBackground(true).Do(ctx)
		return err
	}))
	if dir := os.Getenv("HERALD_SCREENSHOTS"); dir != "" {
		if err := os.WriteFile(filepath.Join(dir, "answered.pdf"), pdf, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	sheets := regexp.MustCompile(`/MediaBox \[\s*0 0 ([0-9.]+) ([0-9.]+)\s*\]`).FindAllSubmatch(pdf, -1)
	if len(sheets) < 3 || len(sheets) > 12 {
		t.Errorf("%d sheets of paper", len(sheets))
	}
	for _, s := range sheets {
		if !bytes.HasPrefix(s[1], []byte("59")) || !bytes.HasPrefix(s[2], []byte("84")) {
			t.Errorf("a sheet of %s × %s points is not A4", s[1], s[2])
		}
	}
	// What is printed is neither cut nor scrolled away, however much there is.
	b.open(t, build(t, wide()))
	b.run(t, emulation.SetDeviceMetricsOverride(680, 900, 1, false), emulation.SetEmulatedMedia().WithMedia("print"))
	var cut []string
	b.run(t, chromedp.Evaluate(`[...document.querySelectorAll('table, svg[role=img]')].filter(e => e.getBoundingClientRect().right > innerWidth + 1).map(e => e.textContent.slice(0, 60))`, &cut))
	for _, c := range cut {
		t.Errorf("cut on paper: %s", c)
	}
}

// wide is a campaign with more options and variants than fit a line, and long
// names for all of them.
func wide() *ledger {
	l := answered()
	long := func(n int) string {
		return fmt.Sprintf("a rather long name for number %d, %s", n, strings.Repeat("x", 40))
	}
	var options []string
	for n := range 12 {
		options = append(options, long(n))
	}
	l.campaign.Spec.Variants = nil
	for n := range 7 {
		l.campaign.Spec.Variants = append(l.campaign.Spec.Variants, campaign.Variant{
			Name: long(n), Weight: 1, Message: campaign.Template{Poll: &campaign.PollTemplate{Options: options}},
		})
	}
	for i := range l.rows {
		r := &l.rows[i]
		r.Variant = long(i % 7)
		r.Record[2] = strings.Repeat(fmt.Sprintf("city%d", i%30), 12)
		if len(r.Vote) > 0 {
			r.Vote = []string{options[i%12]}
		}
	}
	return l
}

// Whatever people write stays text.
func TestHTMLRunsNothing(t *testing.T) {
	t.Parallel()
	payloads := []string{
		`<script>alert('xss')</script>`, `"><img src=x onerror=alert('xss')>`, `<svg onload=alert('xss')>`,
		`'-alert(1)-'`, `</style><script>alert('xss')</script>`, `</title><script>alert('xss')</script>`,
		`{{.}}<iframe src="javascript:alert('xss')">`, `<a href="javascript:alert(1)">`, `-->`, `]]><script>alert(1)</script>`,
	}
	b := openBrowser(t)
	for i, payload := range payloads {
		l := answered()
		l.campaign.Name = payload
		l.campaign.Imports[0].File = payload
		l.campaign.Detail = payload
		l.campaign.Spec.Segments = []string{payload}
		l.campaign.Imports[0].Header[2] = payload
		l.earlier[0].Name = payload
		l.campaign.Spec.Variants[0].Name = payload
		l.campaign.Spec.Variants[0].Message.Poll.Options = []string{payload, "No"}
		l.timeline = append(l.timeline, campaign.Event{At: start, Kind: campaign.EventHeld, Reason: campaign.PauseReason(payload), Detail: payload})
		for n := range l.rows {
			r := &l.rows[n]
			r.Record[2] = payload
			r.Reply = payload
			r.Detail = payload
			if len(r.Vote) > 0 {
				r.Vote = []string{payload}
			}
			if r.Variant == "A" {
				r.Variant = payload
			}
		}
		r := build(t, l)
		b.open(t, r)
		var got struct {
			Title    string `json:"title"`
			Foreign  int    `json:"foreign"`
			Handlers int    `json:"handlers"`
		}
		b.run(t, chromedp.Evaluate(`({
			title: document.title,
			foreign: document.querySelectorAll('script, iframe, img, object, embed, a, form').length,
			handlers: [...document.querySelectorAll('*')].filter(e => [...e.attributes].some(a => a.name.startsWith('on') || a.name === 'style')).length})`, &got))
		if got.Title != payload+": report" || got.Foreign != 0 || got.Handlers != 0 {
			t.Errorf("payload %d: %+v", i, got)
		}
	}
}
