package sandbox

import (
	"bytes"
	"cmp"
	"embed"
	"fmt"
	"html/template"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

//go:embed page
var pageFiles embed.FS

// The sizes of the page's lists.
const (
	chatsAPage    = 50
	messagesAPage = 30
)

// pages is the page at /_sim/: what the people at the other end see, and a way
// to answer for them. Plain HTML, no script, nothing from elsewhere.
type pages struct {
	s    *Server
	html *template.Template
}

func (s *Server) pageRoutes(mux *http.ServeMux) {
	p := &pages{s: s, html: template.Must(template.ParseFS(pageFiles, "page/page.html"))}
	mux.HandleFunc("GET /_sim/{$}", p.home)
	mux.HandleFunc("GET /_sim/chat", p.chat)
	mux.HandleFunc("GET /_sim/webhooks/log", p.deliveries)
	mux.HandleFunc("POST /_sim/page/redeliver", p.redeliver)
	mux.HandleFunc("GET /_sim/page.css", func(w http.ResponseWriter, r *http.Request) {
		http.ServeFileFS(w, r, pageFiles, "page/page.css")
	})
	mux.HandleFunc("POST /_sim/page/reply", p.reply)
	mux.HandleFunc("POST /_sim/page/vote", p.vote)
	mux.HandleFunc("POST /_sim/page/phone", p.phone)
}

// frame is what all pages have.
type frame struct {
	Title        string
	Live         bool
	Still, Again string // the same page without and with refreshing
}

func newFrame(r *http.Request, title string) frame {
	q := r.URL.Query()
	f := frame{Title: title, Live: q.Has("live")}
	q.Del("live")
	q.Del("problem")
	f.Still = r.URL.Path + "?" + q.Encode()
	q.Set("live", "1")
	f.Again = r.URL.Path + "?" + q.Encode()
	return f
}

type homePage struct {
	frame
	Accepted     uint64
	Inbound      int
	Hooks        int
	Counts       WebhookCounts
	Phones       []pagePhone
	Phone        string
	Total        int
	Chats        []pageChat
	Newer, Older string
}

type pagePhone struct {
	Number, Name, State   string
	Waiting, Sent, Failed int
	Here                  bool
}

type pageChat struct {
	Name, URL, At, Last string
	Replied             bool
}

type chatPage struct {
	frame
	Home, Phone, Chat, Name string
	Behavior, Problem       string
	Group                   bool
	Bubbles                 []bubble
	Newer, Older            string
}

// bubble is one message. Kept is one that has not reached anybody.
type bubble struct {
	Theirs, Kept, Note, Read bool
	Author, Quote, Text      string
	File                     string
	Poll                     *pagePoll
	At, Tick, Status         string
}

type pagePoll struct {
	ID, Question string
	Options      []pageOption
}

type pageOption struct {
	ID, Kind, Text string
	Chosen         bool
	Votes, Of      int
}

// number reads a page number from a query, 0 for the first.
func number(r *http.Request) int {
	n, err := strconv.Atoi(r.URL.Query().Get("page"))
	if err != nil || n < 0 {
		return 0
	}
	return min(n, 1<<20)
}

// around makes the links to the pages beside this one.
func around(r *http.Request, page int, more bool) (newer, older string) {
	link := func(n int) string {
		q := r.URL.Query()
		q.Del("problem")
		q.Set("page", strconv.Itoa(n))
		return r.URL.Path + "?" + q.Encode()
	}
	if page > 0 {
		newer = link(page - 1)
	}
	if more {
		older = link(page + 1)
	}
	return newer, older
}

func (p *pages) home(w http.ResponseWriter, r *http.Request) {
	e, page := p.s.engine, number(r)
	out := homePage{frame: newFrame(r, "Sandbox"), Counts: p.s.WebhookCounts()}
	shown := p.line(r)
	e.mu.Lock()
	now := e.now()
	e.catchUp(now)
	out.Accepted, out.Inbound, out.Hooks = e.accepted, len(e.inbox), len(e.hooks)
	for _, l := range e.lines {
		n := l.counts(now)
		out.Phones = append(out.Phones, pagePhone{
			Number: l.phone.Number, Name: l.phone.Name, State: string(l.state), Waiting: n.Waiting + n.Delayed + n.Active,
			Sent: n.Completed, Failed: n.Failed, Here: l == shown,
		})
	}
	out.Phone = shown.phone.Number
	chats, total := e.recent(shown, page*chatsAPage, chatsAPage)
	out.Chats, out.Total = chats, total
	e.mu.Unlock()
	out.Newer, out.Older = around(r, page, (page+1)*chatsAPage < total)
	p.render(w, "home", out)
}

// line is the phone a page is about: the named one, or the first.
func (p *pages) line(r *http.Request) *line {
	e := p.s.engine
	e.mu.Lock()
	defer e.mu.Unlock()
	if l, ok := e.byPhone[cmp.Or(r.FormValue("phone"), " ")]; ok {
		return l
	}
	return e.lines[0]
}

// recent lists the chats of a phone, the liveliest first. It goes back from
// the newest message only as far as the page needs.
func (e *engine) recent(l *line, skip, limit int) ([]pageChat, int) {
	type active struct {
		chat string
		at   int64
	}
	var said []active // chats somebody wrote in
	total := len(l.chats)
	for chat, in := range l.said {
		last := active{chat, in[len(in)-1].At}
		if j := e.lastIn(l, chat); j != nil {
			last.at = max(last.at, j.accepted)
		}
		if _, both := l.chats[chat]; !both {
			total++
		}
		said = append(said, last)
	}
	slices.SortFunc(said, func(a, b active) int {
		return cmp.Or(cmp.Compare(b.at, a.at), cmp.Compare(a.chat, b.chat))
	})
	var out []pageChat
	add := func(chat string) bool {
		if skip--; skip < 0 {
			out = append(out, e.summary(l, chat))
		}
		return len(out) < limit
	}
	for n := e.jobs.next; n > e.jobs.first; {
		n--
		j := e.jobs.at(n)
		if j == nil || j.line != l || l.chats[j.chat] != j.seq+1 || len(l.said[j.chat]) > 0 {
			continue
		}
		for len(said) > 0 && said[0].at >= j.accepted {
			if !add(said[0].chat) {
				return out, total
			}
			said = said[1:]
		}
		if !add(j.chat) {
			return out, total
		}
	}
	for _, s := range said {
		if !add(s.chat) {
			break
		}
	}
	return out, total
}

func (e *engine) summary(l *line, chat string) pageChat {
	in := l.said[chat]
	out := pageChat{Name: nameOf(chat), URL: chatURL(l.phone.Number, chat), Replied: len(in) > 0}
	j := e.lastIn(l, chat)
	switch {
	case len(in) > 0 && (j == nil || in[len(in)-1].At >= j.accepted):
		last := in[len(in)-1]
		out.At, out.Last = clockTime(last.At), "→ "+cmp.Or(last.Body, last.Type)
	case j != nil:
		out.At, out.Last = clockTime(j.accepted), cmp.Or(j.body, j.messageType())
	}
	return out
}

// nameOf is a chat as a person would call it.
func nameOf(chat string) string {
	if digits, ok := strings.CutSuffix(chat, "@c.us"); ok {
		return "+" + digits
	}
	return chat
}

func chatURL(phone, chat string) string {
	return "/_sim/chat?" + url.Values{"phone": {phone}, "chat": {chat}}.Encode()
}

func clockTime(t int64) string { return time.Unix(0, t).UTC().Format("2 Jan 15:04:05") }

func (p *pages) chat(w http.ResponseWriter, r *http.Request) {
	l, page, e := p.line(r), number(r), p.s.engine
	// People type +1 (201) 555-0404; what is left of it is digits.
	chat := givenChat(normalChat(plain(r.URL.Query().Get("chat"))))
	if !validChat(chat) {
		say(w, http.StatusNotFound, "That is neither country code and number nor the id of a group.")
		return
	}
	out := chatPage{
		frame: newFrame(r, nameOf(chat)+" · Sandbox"), Home: "/_sim/?phone=" + l.phone.Number, Phone: l.phone.Number,
		Chat: chat, Name: nameOf(chat), Group: strings.HasSuffix(chat, "@g.us"), Problem: r.URL.Query().Get("problem"),
	}
	if m, ok := magicFor(chat); ok {
		out.Behavior = "Magic number: " + m.Behavior + "."
	}
	e.mu.Lock()
	now := e.now()
	e.catchUp(now)
	skip, more := page*messagesAPage, false
	add := func(b func() bubble) bool {
		if skip--; skip >= 0 {
			return true
		}
		if len(out.Bubbles) == messagesAPage {
			more = true
			return false
		}
		out.Bubbles = append(out.Bubbles, b())
		return true
	}
	e.backwards(l, chat, func(j *job, in *inbound) bool {
		if in != nil {
			return add(func() bubble { return e.theirs(l, in) })
		}
		return add(func() bubble { return e.ours(j, now) })
	})
	e.mu.Unlock()
	slices.Reverse(out.Bubbles)
	out.Newer, out.Older = around(r, page, more)
	p.render(w, "chat", out)
}

// plain takes out of a typed number what people put between its digits.
func plain(typed string) string {
	if strings.Contains(typed, "@") {
		return typed
	}
	return strings.NewReplacer(" ", "", "+", "", "-", "", "(", "", ")", "", ".", "").Replace(typed)
}

// backwards goes through a chat from its newest message until f returns false.
func (e *engine) backwards(l *line, chat string, f func(*job, *inbound) bool) {
	said := l.said[chat]
	for j := e.lastIn(l, chat); j != nil; j = e.before(j) {
		at := j.leftAt
		if at == never {
			at = j.accepted
		}
		for ; len(said) > 0 && said[len(said)-1].At >= at; said = said[:len(said)-1] {
			if !f(nil, said[len(said)-1]) {
				return
			}
		}
		if !j.gone && !f(j, nil) {
			return
		}
	}
	for _, m := range slices.Backward(said) {
		if !f(nil, m) {
			return
		}
	}
}

// theirs is a message somebody wrote.
func (e *engine) theirs(l *line, m *inbound) bubble {
	b := bubble{Theirs: true, Note: m.Note, Text: m.Body, At: clockTime(m.At)}
	if m.Author != "" {
		b.Author = nameOf(m.Author)
	}
	if m.Type != "" && m.Type != "chat" {
		b.File = m.Type
	}
	if n, ok := e.ids.seq(m.Quoted); ok {
		if j := e.jobs.at(n); j != nil && j.line == l {
			b.Quote = j.body
		}
	}
	return b
}

// ours is a message of ours, with what became of it.
func (e *engine) ours(j *job, now int64) bubble {
	b := bubble{Text: j.body, At: clockTime(j.accepted)}
	if j.sent() {
		b.At = clockTime(j.leftAt)
	}
	if j.more != nil && j.more.Media != nil {
		m := j.more.Media
		b.File = fmt.Sprintf("%s · %s · %d KiB", m.Type, m.Filename, (m.Size+1023)/1024)
	}
	switch j.phase(now) {
	case phaseWaiting, phaseDelayed, phaseActive:
		b.Kept, b.Tick, b.Status = true, "🕓", "not sent yet"
	case phaseFailed:
		b.Kept, b.Tick, b.Status = true, "✗", "failed: "+j.fate.Reason.String()
	case phaseSent:
		b.Tick, b.Status = "✓", "sent, not delivered"
	case phaseDelivered:
		b.Tick, b.Status = "✓✓", "delivered"
	case phaseRead:
		b.Tick, b.Status, b.Read = "✓✓", "read", true
	}
	if j.poll() != nil && j.sent() {
		b.Poll = e.pagePoll(j)
	}
	return b
}

func (e *engine) pagePoll(j *job) *pagePoll {
	info, kind := j.poll(), "radio"
	if info.multiple() {
		kind = "checkbox"
	}
	out := &pagePoll{ID: e.uniqueID(j), Question: info.Name}
	voters := 1
	if j.ballot != nil {
		voters = max(1, len(j.ballot.votes))
	}
	for i, text := range info.Options {
		option := pageOption{ID: out.ID + "-" + strconv.Itoa(i), Kind: kind, Text: text, Of: voters}
		if j.ballot != nil {
			for voter, v := range j.ballot.votes {
				if slices.Contains(v.options, i) {
					option.Votes++
					option.Chosen = option.Chosen || voter == canonicalChat(j.chat)
				}
			}
		}
		out.Options = append(out.Options, option)
	}
	return out
}

// deliveriesAPage is how much of the delivery log a page shows.
const deliveriesAPage = 50

type deliveriesPage struct {
	frame
	Problem      string
	Counts       WebhookCounts
	Log          []pageDelivery
	Newer, Older string
}

type pageDelivery struct {
	Delivery
	When  string
	Again bool // can be redelivered
}

// deliveries shows the delivery log, newest first.
func (p *pages) deliveries(w http.ResponseWriter, r *http.Request) {
	page, log := number(r), p.s.Deliveries()
	out := deliveriesPage{
		frame: newFrame(r, "Webhooks · Sandbox"), Counts: p.s.WebhookCounts(), Problem: r.URL.Query().Get("problem"),
	}
	slices.Reverse(log)
	log = log[min(len(log), page*deliveriesAPage):]
	for _, d := range log[:min(len(log), deliveriesAPage)] {
		out.Log = append(out.Log, pageDelivery{Delivery: d, When: clockTime(d.At.UnixNano()), Again: d.body != nil})
	}
	out.Newer, out.Older = around(r, page, len(log) > deliveriesAPage)
	p.render(w, "deliveries", out)
}

func (p *pages) redeliver(w http.ResponseWriter, r *http.Request) {
	if !p.form(w, r) {
		return
	}
	to := "/_sim/webhooks/log"
	if err := p.s.Redeliver(r.PostFormValue("id")); err != nil { //nolint:contextcheck // the delivery outlives this request
		to += "?problem=" + url.QueryEscape(err.Error())
	}
	http.Redirect(w, r, to, http.StatusSeeOther)
}

// form checks that a form was sent from this page and reads it.
func (p *pages) form(w http.ResponseWriter, r *http.Request) bool {
	r.Body = http.MaxBytesReader(w, r.Body, 1<<20)
	if err := p.s.same.Check(r); err != nil {
		say(w, http.StatusForbidden, err.Error())
		return false
	}
	if err := r.ParseForm(); err != nil {
		say(w, http.StatusBadRequest, err.Error())
		return false
	}
	return true
}

func (p *pages) reply(w http.ResponseWriter, r *http.Request) {
	if !p.form(w, r) {
		return
	}
	_, err := p.s.Reply(r.PostFormValue("phone"), r.PostFormValue("chat"), r.PostFormValue("text"), ReplyOptions{
		Quote: Quote(r.PostFormValue("quote")), Author: plain(r.PostFormValue("author")),
	})
	p.back(w, r, err)
}

func (p *pages) vote(w http.ResponseWriter, r *http.Request) {
	if !p.form(w, r) {
		return
	}
	options := r.PostForm["option"]
	if r.PostFormValue("do") == "withdraw" {
		options = nil
	}
	err := p.s.Vote(r.PostFormValue("phone"), r.PostFormValue("chat"), options, VoteOptions{
		Message: r.PostFormValue("message"), Voter: plain(r.PostFormValue("voter")),
	})
	p.back(w, r, err)
}

// back shows the chat again, with what was wrong.
func (p *pages) back(w http.ResponseWriter, r *http.Request, err error) {
	to := chatURL(r.PostFormValue("phone"), r.PostFormValue("chat"))
	if err != nil {
		to += "&problem=" + url.QueryEscape(err.Error())
	}
	http.Redirect(w, r, to, http.StatusSeeOther)
}

func (p *pages) phone(w http.ResponseWriter, r *http.Request) {
	if !p.form(w, r) {
		return
	}
	if err := p.s.SetPhone(r.PostFormValue("phone"), r.PostFormValue("state")); err != nil {
		say(w, http.StatusUnprocessableEntity, err.Error())
		return
	}
	http.Redirect(w, r, "/_sim/?"+url.Values{"phone": {r.PostFormValue("phone")}}.Encode(), http.StatusSeeOther)
}

// say answers a browser in plain words.
func say(w http.ResponseWriter, status int, what string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, what+"\n") //nolint:gosec // plain text, and nosniff; the reader may be gone
}

// render writes a page. Nothing in it may run, and nothing comes from
// elsewhere.
func (p *pages) render(w http.ResponseWriter, name string, data any) {
	var b bytes.Buffer
	if err := p.html.ExecuteTemplate(&b, name, data); err != nil {
		p.s.cfg.Logger.Error("sandbox could not show its page", slog.Any("err", err))
		say(w, http.StatusInternalServerError, "the page could not be made")
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
	_, _ = w.Write(b.Bytes()) // the reader may be gone
}
