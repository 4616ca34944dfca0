package campaign

import (
	"strings"
	"time"
)

// Spec is a campaign file (design §7) after parsing and validation. It is
// frozen into the ledger when the campaign is created.
type Spec struct {
	Name       string   `yaml:"name" json:"name"`
	Recipients Source   `yaml:"recipients" json:"recipients"`
	Message    Template `yaml:"message" json:"message,omitzero"` // absent with Variants
	Senders    []string `yaml:"senders" json:"senders"`          // digits, or a Periskope phone id
	Pace       Pace     `yaml:"pace" json:"pace,omitzero"`
	Schedule   Schedule `yaml:"schedule" json:"schedule,omitzero"`

	// UnknownPolicy says what becomes of rows that evidence cannot settle; "" is
	// PolicyHold, which OrHold says in full.
	UnknownPolicy UnknownPolicy `yaml:"unknown_policy" json:"unknown_policy,omitempty"`

	// Variants are weighted messages that share the recipients between them,
	// instead of Message. A recipient's choice is stable (VariantFor).
	Variants []Variant `yaml:"variants" json:"variants,omitempty"`
	// Holdout is the share of recipients who get nothing, to compare with; 0 to
	// 0.5.
	Holdout float64 `yaml:"holdout" json:"holdout,omitempty"`
	// Only narrows the recipients to those with an outcome in an earlier
	// campaign.
	Only *Only `yaml:"only" json:"only,omitempty"`
	// ContactCheck asks whether each number is on WhatsApp before sending to it.
	ContactCheck bool `yaml:"contact_check" json:"contact_check,omitempty"`
	// Notify tells another system what becomes of the campaign.
	Notify *Notify `yaml:"notify" json:"notify,omitempty"`
	// Segments are columns by which the report splits its numbers.
	Segments []string `yaml:"segments" json:"segments,omitempty"`

	// Path is where the file was read from; relative paths inside it are
	// relative to its folder. Empty for standard input.
	Path string `yaml:"-" json:"path,omitempty"`
}

// Source says where the recipients are and how to read them.
type Source struct {
	CSV       string            `yaml:"csv" json:"csv"`                       // .csv, .tsv, .txt or .xlsx; "-" reads standard input
	Phone     string            `yaml:"phone" json:"phone,omitempty"`         // column with the number …
	ChatID    string            `yaml:"chat_id" json:"chat_id,omitempty"`     // … or column with a chat id (groups)
	Country   string            `yaml:"country" json:"country,omitempty"`     // ISO 3166 alpha-2, for numbers without a country code
	Columns   map[string]string `yaml:"columns" json:"columns,omitempty"`     // variable name → header, where the slug does not suit
	Delimiter string            `yaml:"delimiter" json:"delimiter,omitempty"` // one of , ; | tab; default: detected
	Encoding  string            `yaml:"encoding" json:"encoding,omitempty"`   // utf-8, utf-16, windows-1252; default: detected
	Sheet     string            `yaml:"sheet" json:"sheet,omitempty"`         // XLSX only; default: the first
}

// Template is a message before it is rendered: every string may hold Liquid.
type Template struct {
	Text        string         `yaml:"text" json:"text,omitempty"`
	Media       *MediaTemplate `yaml:"media" json:"media,omitempty"`
	Poll        *PollTemplate  `yaml:"poll" json:"poll,omitempty"`
	ReplyTo     string         `yaml:"reply_to" json:"reply_to,omitempty"`
	LinkPreview *bool          `yaml:"link_preview" json:"link_preview,omitempty"` // nil means the provider's default, on
}

// Templated says whether a value of a campaign file is known only when it is
// rendered.
func Templated(s string) bool { return strings.Contains(s, "{{") || strings.Contains(s, "{%") }

// Kind is the kind that the message will be of.
func (t Template) Kind() Kind { return kindOfParts(t.Poll != nil, t.Media != nil) }

// MediaTemplate is an attachment before it is rendered. URL or File, not both.
type MediaTemplate struct {
	Type     MediaType `yaml:"type" json:"type"`
	URL      string    `yaml:"url" json:"url,omitempty"`
	File     string    `yaml:"file" json:"file,omitempty"`
	Filename string    `yaml:"filename" json:"filename,omitempty"`
	MIME     string    `yaml:"mimetype" json:"mimetype,omitempty"`
}

// PollTemplate is a poll before it is rendered. The question may differ per
// recipient, the options may be templated only if they come out equal for all.
type PollTemplate struct {
	Question string   `yaml:"question" json:"question"`
	Options  []string `yaml:"options" json:"options"`
	Multiple bool     `yaml:"multiple" json:"multiple,omitempty"`
}

// Schedule says when a campaign may send.
type Schedule struct {
	Start    time.Time `yaml:"start" json:"start,omitzero"`        // zero: at once
	Timezone string    `yaml:"timezone" json:"timezone,omitempty"` // IANA name; the zone of a Start written without an offset
}

// Only narrows the recipients of a campaign to those of an earlier one with a
// certain outcome.
type Only struct {
	Campaign string `yaml:"campaign" json:"campaign"` // name or id
	Where    string `yaml:"where" json:"where"`       // as ParseWhere reads it
}

// Notify is where Herald reports to. The signing secret is not in the campaign
// file: it is one for the data directory.
type Notify struct {
	URL      string `yaml:"url" json:"url"`                     // http only to loopback addresses
	Messages bool   `yaml:"messages" json:"messages,omitempty"` // every message's status, reply and opt-out as well
}
