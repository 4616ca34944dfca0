package campaign

import (
	"fmt"
	"math"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/nyaruka/phonenumbers"
	"go.yaml.in/yaml/v3"
)

// Bounds of the campaign file, also in its JSON Schema.
const (
	maxNameLength  = 200
	maxSenders     = 500
	minPollOptions = 2
	maxPollOptions = 12
	minVariants    = 2
	maxVariants    = 10
	maxWeight      = 1000
	maxHoldout     = 0.5
	maxSegments    = 10
)

// spec reads the whole file.
func (f *fileReader) spec(root *yaml.Node) Spec {
	s := f.section("", root, root, "name: …")
	spec := Spec{Name: f.name(s)}

	recipients := s.sub("recipients", "recipients: { csv: recipients.csv }")
	if s.has("recipients") {
		spec.Recipients = f.source(recipients)
	} else {
		s.wants("recipients", "add it: recipients: { csv: recipients.csv }")
	}

	switch {
	case s.has("message") && s.has("variants"):
		s.conflict("variants", "message and variants exclude each other", "keep message for one message, variants for several that share the recipients")
	case s.has("variants"):
		spec.Variants = f.variants(s)
	case s.has("message"):
		spec.Message = f.template(s.sub("message", `message: { text: "Hi {{ name }}" }`))
	default:
		s.wants("message", `add it: message: { text: "Hi {{ name }}" }`)
	}
	spec.Holdout = f.holdout(s)
	spec.Only = f.only(s)

	spec.Senders = f.senders(s, spec.Recipients.Country)
	spec.Pace = f.pace(s.sub("pace", "pace: { rate: 4/m }"))
	spec.Schedule = f.schedule(s.sub("schedule", "schedule: { start: 2026-11-28T10:00:00+05:30 }"))
	spec.UnknownPolicy = unknownPolicy(s)
	if check := s.flag("contact_check"); check != nil {
		spec.ContactCheck = *check
	}
	spec.Notify = f.notify(s)
	spec.Segments = f.segments(s)
	return spec
}

func unknownPolicy(s section) UnknownPolicy {
	var words []string
	for _, policy := range UnknownPolicies() {
		words = append(words, string(policy))
	}
	return UnknownPolicy(s.word("unknown_policy", words...))
}

// sub is the section under key. One without a value is one without keys.
func (s section) sub(key, example string) section {
	at := s.keys[key]
	if at == nil {
		at = s.at
	}
	return s.f.section(join(s.path, key), at, s.optional(key), example)
}

func (f *fileReader) name(s section) string {
	if !s.has("name") {
		s.wants("name", "add a name by which people will know this campaign: name: Spring news")
		return ""
	}
	name, ok := s.text("name")
	if !ok {
		return ""
	}
	if strings.ContainsAny(name, "\r\n") || len([]rune(name)) > maxNameLength {
		s.bad("name", fmt.Sprintf("a name is one line of at most %d characters", maxNameLength), "shorten it")
	}
	return strings.TrimSpace(name)
}

// archives are endings of files the import cannot read, with what to do.
var archives = map[string]string{
	".gz": "unpack it first", ".zip": "unpack it first", ".bz2": "unpack it first", ".zst": "unpack it first",
	".xls": "save it as .xlsx or CSV", ".ods": "save it as .xlsx or CSV", ".numbers": "export it as .xlsx or CSV",
	".json": "export it as CSV", ".pdf": "export it as CSV",
}

var variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

func (f *fileReader) source(s section) Source {
	var src Source
	if !s.has("csv") {
		s.wants("csv", "name the file with the recipients: csv: recipients.csv")
	}
	src.CSV, _ = s.text("csv")
	extension := strings.ToLower(filepath.Ext(src.CSV))
	if fix, ok := archives[extension]; ok {
		s.bad("csv", "recipients are read from .csv, .tsv, .txt and .xlsx files, not from "+extension, fix)
	}

	src.Phone, _ = s.text("phone")
	src.ChatID, _ = s.text("chat_id")
	if s.has("phone") && s.has("chat_id") {
		s.conflict("chat_id", "phone and chat_id exclude each other", "keep phone for people, chat_id for groups")
	}
	src.Country = f.country(s)
	src.Columns = f.columns(s)

	workbook := extension == ".xlsx"
	src.Delimiter = s.word("delimiter", ",", ";", "|", "tab")
	src.Encoding = s.word("encoding", "utf-8", "utf-16", "windows-1252")
	src.Sheet, _ = s.text("sheet")
	if s.has("sheet") && src.CSV != "" && !workbook {
		s.conflict("sheet", "only a workbook (.xlsx) has sheets", "remove the key")
	}
	for _, key := range []string{"delimiter", "encoding"} {
		if s.has(key) && workbook {
			s.conflict(key, "a workbook (.xlsx) has no "+key, "remove the key")
		}
	}
	return src
}

// word is one of the words a key may have; "" if it is not there.
func (s section) word(key string, words ...string) string {
	value, ok := s.text(key)
	if !ok {
		return ""
	}
	if slices.Contains(words, value) {
		return value
	}
	fix := "write one of " + strings.Join(words, " ")
	if value == "\t" || value == `\t` {
		fix = "write the word tab"
	} else if near := Nearest(value, words); near != "" && len(value) > 1 {
		fix = "did you mean " + near + "?"
	}
	s.bad(key, "this is none of the values it can have", fix)
	return ""
}

// countryWords are what people write for a country instead of its ISO code.
var countryWords = map[string]string{
	"UK": "GB", "UAE": "AE", "USA": "US", "IND": "IN", "INDIA": "IN", "GBR": "GB", "ARE": "AE", "EN": "GB", "BRA": "BR", "DEU": "DE",
}

var countryCode = regexp.MustCompile(`^[A-Za-z]{2}$`)

func (f *fileReader) country(s section) string {
	n := s.values["country"]
	if n != nil && n.Kind == yaml.ScalarNode && n.ShortTag() == "!!int" && f.plain("recipients.country", n) {
		// 91 or +91: the calling code instead of the country
		fix := "write the two letters of the country, for example IN, GB or US"
		if code, err := strconv.Atoi(n.Value); err == nil {
			if region := phonenumbers.GetRegionCodeForCountryCode(code); countryCode.MatchString(region) && region != "ZZ" {
				fix = "write the country, not its calling code: country: " + region
			}
		}
		f.note(n, Problem{Code: problemType, Field: "recipients.country", Value: shown(n), What: "here must be a country of two letters", Fix: fix})
		return ""
	}
	value, ok := s.text("country")
	if !ok {
		return ""
	}
	country := strings.ToUpper(value)
	if countryCode.MatchString(country) && phonenumbers.GetSupportedRegions()[country] {
		return country
	}
	fix := "write the two letters of ISO 3166, for example IN, GB or US"
	if code := countryWords[country]; code != "" {
		fix = "write " + code
	}
	s.bad("country", "there is no such country", fix)
	return ""
}

// liquidWords cannot be names of variables in a template.
var liquidWords = []string{"true", "false", "nil", "null", "empty", "blank", "and", "or", "contains", "in"}

func (f *fileReader) columns(s section) map[string]string {
	n := s.optional("columns")
	if n == nil || !f.plain("recipients.columns", n) {
		return nil
	}
	if n.Kind != yaml.MappingNode {
		f.note(n, Problem{
			Code: problemType, Field: "recipients.columns", What: "here must be a section of names and columns, not " + kindOf(n),
			Fix: `write variable: "Column header", for example columns: { first_name: "Vorname" }`,
		})
		return nil
	}
	columns := map[string]string{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		field := "recipients.columns." + safe(key.Value, 40)
		switch _, double := columns[key.Value]; {
		case key.Kind == yaml.AliasNode || key.ShortTag() == mergeTag:
			f.noteAlias("recipients.columns", key)
			continue
		case key.Kind != yaml.ScalarNode || !variableName.MatchString(key.Value) || slices.Contains(liquidWords, key.Value):
			f.note(key, Problem{
				Code: problemValue, Field: field, What: "this cannot be the name of a variable",
				Fix: "use letters, digits and _ only, beginning with a letter; the variable stands left, the column's header right",
			})
			continue
		case double:
			f.note(key, Problem{Code: problemDuplicateKey, Field: field, What: "this variable is here twice", Fix: "keep one of the two"})
			continue
		}
		columns[key.Value], _ = f.text(field, value)
	}
	if len(columns) == 0 {
		return nil
	}
	return columns
}

// template reads the message. Texts may hold Liquid and are looked at by
// package templates; here only the structure is checked.
func (f *fileReader) template(s section) Template {
	var t Template
	t.Text, _ = s.text("text")
	if s.has("media") {
		t.Media = f.media(s.sub("media", `media: { type: image, url: "https://…" }`))
	}
	if s.has("poll") {
		t.Poll = f.poll(s.sub("poll", `poll: { question: "…", options: ["Yes", "No"] }`))
	}
	switch {
	case s.has("poll") && (s.has("text") || s.has("media")):
		s.conflict("poll", "a poll stands alone, without text or media", "remove one of them, or make a second campaign of it")
	case !s.broken && !s.has("text") && !s.has("media") && !s.has("poll"):
		s.f.note(s.at, Problem{
			Code: problemMissing, Field: s.path, What: "the message is empty",
			Fix: "give it text, media or a poll",
		})
	}
	t.ReplyTo, _ = s.text("reply_to")
	t.LinkPreview = s.flag("link_preview")
	return t
}

// mediaWords are what people write instead of a media type.
var mediaWords = map[string]MediaType{
	"pdf": MediaDocument, "doc": MediaDocument, "docx": MediaDocument, "xlsx": MediaDocument, "file": MediaDocument,
	"png": MediaImage, "jpg": MediaImage, "jpeg": MediaImage, "photo": MediaImage, "picture": MediaImage, "webp": MediaImage,
	"mp4": MediaVideo, "movie": MediaVideo, "mp3": MediaAudio, "ogg": MediaAudio, "voice": MediaAudio, "sound": MediaAudio,
}

var (
	mimeType = regexp.MustCompile(`^[A-Za-z0-9.+-]+/[A-Za-z0-9.+-]+$`)
	webURL   = regexp.MustCompile(`^https?://[^ ]`)
)

func (f *fileReader) media(s section) *MediaTemplate {
	m := &MediaTemplate{}
	const types = "document, image, video or audio"
	if !s.has("type") {
		s.wants("type", "say what it is: type: document (or image, video, audio)")
	}
	if kind, ok := s.text("type"); ok {
		switch m.Type = MediaType(kind); m.Type {
		case MediaDocument, MediaImage, MediaVideo, MediaAudio:
		default:
			fix := "write " + types
			if meant := mediaWords[strings.ToLower(kind)]; meant != "" {
				fix = "write " + string(meant)
			} else if near := Nearest(kind, []string{"document", "image", "video", "audio"}); near != "" {
				fix = "did you mean " + near + "?"
			}
			s.bad("type", "an attachment is "+types, fix)
		}
	}

	m.URL, _ = s.text("url")
	m.File, _ = s.text("file")
	switch {
	case s.has("url") && s.has("file"):
		s.conflict("file", "url and file exclude each other", "keep url for an attachment on the web, file for one on this machine")
	case !s.has("url") && !s.has("file"):
		s.wants("url", "say where the attachment is: url: https://… or file: flyer.png")
	case m.URL != "" && !webURL.MatchString(m.URL) && !Templated(m.URL):
		s.quietly("url", "an address begins with https:// or http://", "write the whole address; a file on this machine goes under file:")
	case webURL.MatchString(m.File):
		s.quietly("file", "this is an address on the web, not a file", "put it under url:")
	}
	m.Filename, _ = s.text("filename")
	if strings.ContainsAny(m.Filename, `/\`) && !Templated(m.Filename) {
		s.bad("filename", "a file name has no folders", "write only the name the recipient sees, for example invoice.pdf")
	}
	m.MIME, _ = s.text("mimetype")
	if m.MIME != "" && !mimeType.MatchString(m.MIME) && !Templated(m.MIME) {
		s.bad("mimetype", "this is no MIME type", "write one such as application/pdf, or remove the key: it is guessed from the file name")
	}
	return m
}

func (f *fileReader) poll(s section) *PollTemplate {
	p := &PollTemplate{}
	if !s.has("question") {
		s.wants("question", `add it: question: "Which day suits you?"`)
	}
	p.Question, _ = s.text("question")
	if multiple := s.flag("multiple"); multiple != nil {
		p.Multiple = *multiple
	}
	if !s.has("options") {
		s.wants("options", `add 2 to 12 of them: options: ["Yes", "No"]`)
		return p
	}
	items := s.list("options", `["Yes", "No"]`)
	if n := s.values["options"]; n.Kind == yaml.SequenceNode && (len(items) < minPollOptions || len(items) > maxPollOptions) {
		s.bad("options", fmt.Sprintf("a poll has %d to %d options, not %d", minPollOptions, maxPollOptions, len(items)), "add or remove options")
	}
	seen := map[string]int{}
	for i, item := range items {
		option, ok := f.text(join(s.path, "options"), item)
		if !ok {
			continue
		}
		option = strings.TrimSpace(option)
		if first, double := seen[option]; double {
			f.note(item, Problem{
				Code: problemValue, Field: join(s.path, "options"),
				What: fmt.Sprintf("option %d is the same as option %d", i+1, first), Fix: "every option must differ, or the votes cannot be told apart",
			})
			continue
		}
		seen[option] = i + 1
		p.Options = append(p.Options, option)
	}
	return p
}

func (f *fileReader) pace(s section) Pace {
	return Pace{
		Rate:     f.rate(s),
		Burst:    s.count("burst", MaxBurst),
		Jitter:   f.jitter(s),
		InFlight: s.count("in_flight", MaxInFlight),
		Hourly:   s.count("hourly", MaxCap),
		Daily:    s.count("daily", MaxCap),
	}
}

func (f *fileReader) rate(s section) Rate {
	n := s.values["rate"]
	if n == nil {
		return Rate{}
	}
	value := n.Value
	if tag := n.ShortTag(); n.Kind != yaml.ScalarNode || tag != "!!int" && tag != "!!float" {
		var ok bool
		if value, ok = s.text("rate"); !ok {
			return Rate{}
		}
	} else if !f.plain("pace.rate", n) {
		return Rate{}
	}
	rate, err := ParseRate(value)
	if err != nil {
		p := Problem{Code: problemValue, Field: "pace.rate", Value: shown(n), What: err.Error()}
		if hints := HintsOf(err); len(hints) > 0 {
			p.Fix = hints[0]
		}
		f.note(n, p)
		return Rate{}
	}
	return rate
}

// jitterPercent is also in the JSON Schema of the campaign file.
var jitterPercent = regexp.MustCompile(`^(100|[0-9]{1,2}(?:\.[0-9]{1,6})?) ?%$`)

func (f *fileReader) jitter(s section) float64 {
	n := s.values["jitter"]
	if n == nil {
		return 0
	}
	const fix = `write a share from 0 to 1, or a percentage such as 30%`
	if n.Kind == yaml.ScalarNode && (n.ShortTag() == "!!float" || n.ShortTag() == "!!int") {
		if !f.plain("pace.jitter", n) {
			return 0
		}
		jitter, err := strconv.ParseFloat(n.Value, 64)
		if err != nil || math.IsNaN(jitter) || jitter < 0 || jitter > 1 {
			s.bad("jitter", "jitter is the part of the gap that is left to chance, from 0 to 1", fix)
			return 0
		}
		return jitter
	}
	value, ok := s.text("jitter")
	if !ok {
		return 0
	}
	m := jitterPercent.FindStringSubmatch(value)
	if m == nil {
		s.bad("jitter", "jitter is the part of the gap that is left to chance, from 0% to 100%", fix)
		return 0
	}
	percent, err := strconv.ParseFloat(m[1], 64)
	if err != nil {
		s.bad("jitter", "this is no percentage", fix)
		return 0
	}
	return percent / 100
}
