package campaign

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"
)

// Part is a part of a campaign file.
type Part string

// The parts, in the order Diff lists them.
const (
	PartMessage    Part = "message"
	PartRecipients Part = "recipients"
	PartSenders    Part = "senders"
	PartPace       Part = "pace"
	PartSchedule   Part = "schedule"
	PartUnknowns   Part = "unknown_policy"
	PartName       Part = "name"
)

// Change is one difference between two campaign files.
type Change struct {
	Part  Part   `json:"part"`
	Field string `json:"field"`         // key path: "recipients.country"
	Old   string `json:"old,omitempty"` // "" where there was none, or where it is not shown
	New   string `json:"new,omitempty"`
	// Hidden says that the values are part of the message, which belongs into
	// no error and no log, and so are not here.
	Hidden bool `json:"hidden,omitempty"`
}

// String is the change in words: "recipients.country: IN → AE", "message.text".
func (c Change) String() string {
	if c.Hidden {
		return c.Field
	}
	return fmt.Sprintf("%s: %s → %s", c.Field, orNone(c.Old), orNone(c.New))
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

// Diff lists what a person changed from old to new, grouped by part. Senders
// are masked and the message's own words left out. Where the file lies is no
// difference.
func Diff(old, new Spec) []Change {
	d := &differ{}

	d.part = PartMessage
	d.hidden("message.text", old.Message.Text, new.Message.Text)
	d.media(old.Message.Media, new.Message.Media)
	d.poll(old.Message.Poll, new.Message.Poll)
	d.hidden("message.reply_to", old.Message.ReplyTo, new.Message.ReplyTo)
	d.shown("message.link_preview", preview(old.Message.LinkPreview), preview(new.Message.LinkPreview))

	d.part = PartRecipients
	d.shown("recipients.csv", old.Recipients.CSV, new.Recipients.CSV)
	d.shown("recipients.phone", old.Recipients.Phone, new.Recipients.Phone)
	d.shown("recipients.chat_id", old.Recipients.ChatID, new.Recipients.ChatID)
	d.shown("recipients.country", old.Recipients.Country, new.Recipients.Country)
	names := slices.Collect(maps.Keys(old.Recipients.Columns))
	for name := range new.Recipients.Columns {
		if _, both := old.Recipients.Columns[name]; !both {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		d.shown("recipients.columns."+name, old.Recipients.Columns[name], new.Recipients.Columns[name])
	}
	d.shown("recipients.delimiter", old.Recipients.Delimiter, new.Recipients.Delimiter)
	d.shown("recipients.encoding", old.Recipients.Encoding, new.Recipients.Encoding)
	d.shown("recipients.sheet", old.Recipients.Sheet, new.Recipients.Sheet)

	d.part = PartSenders
	if !slices.Equal(old.Senders, new.Senders) {
		d.changes = append(d.changes, Change{Part: d.part, Field: "senders", Old: maskedList(old.Senders), New: maskedList(new.Senders)})
	}

	d.part = PartPace
	d.shown("pace.rate", old.Pace.Rate.String(), new.Pace.Rate.String())
	d.shown("pace.burst", number(old.Pace.Burst), number(new.Pace.Burst))
	d.shown("pace.jitter", number(old.Pace.Jitter), number(new.Pace.Jitter))
	d.shown("pace.in_flight", number(old.Pace.InFlight), number(new.Pace.InFlight))
	d.shown("pace.hourly", number(old.Pace.Hourly), number(new.Pace.Hourly))
	d.shown("pace.daily", number(old.Pace.Daily), number(new.Pace.Daily))

	d.part = PartSchedule
	if !old.Schedule.Start.Equal(new.Schedule.Start) {
		d.shown("schedule.start", moment(old.Schedule.Start), moment(new.Schedule.Start))
	}
	d.shown("schedule.timezone", old.Schedule.Timezone, new.Schedule.Timezone)

	d.part = PartUnknowns
	d.shown("unknown_policy", string(old.UnknownPolicy.OrHold()), string(new.UnknownPolicy.OrHold()))

	d.part = PartName
	d.shown("name", old.Name, new.Name)
	return d.changes
}

// differ collects the changes of one part after the other.
type differ struct {
	part    Part
	changes []Change
}

func (d *differ) shown(field, old, new string) {
	if old != new {
		d.changes = append(d.changes, Change{Part: d.part, Field: field, Old: old, New: new})
	}
}

func (d *differ) hidden(field string, old, new any) {
	if !reflect.DeepEqual(old, new) {
		d.changes = append(d.changes, Change{Part: d.part, Field: field, Hidden: true})
	}
}

func (d *differ) media(old, new *MediaTemplate) {
	if old == nil && new == nil {
		return
	}
	if old == nil || new == nil {
		d.shown("message.media", present(old != nil), present(new != nil))
		return
	}
	d.shown("message.media.type", string(old.Type), string(new.Type))
	d.hidden("message.media.url", old.URL, new.URL)
	d.shown("message.media.file", old.File, new.File)
	d.shown("message.media.filename", old.Filename, new.Filename)
	d.shown("message.media.mimetype", old.MIME, new.MIME)
}

func (d *differ) poll(old, new *PollTemplate) {
	if old == nil && new == nil {
		return
	}
	if old == nil || new == nil {
		d.shown("message.poll", present(old != nil), present(new != nil))
		return
	}
	d.hidden("message.poll.question", old.Question, new.Question)
	d.hidden("message.poll.options", old.Options, new.Options)
	d.shown("message.poll.multiple", fmt.Sprint(old.Multiple), fmt.Sprint(new.Multiple))
}

func present(is bool) string {
	if is {
		return "present"
	}
	return ""
}

func preview(on *bool) string {
	if on == nil {
		return ""
	}
	return fmt.Sprint(*on)
}

func number[N int | float64](n N) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprint(n)
}

func moment(t time.Time) string {
	if t.IsZero() {
		return "at once"
	}
	return t.UTC().Format(time.RFC3339)
}

func maskedList(senders []string) string {
	masked := make([]string, len(senders))
	for i, s := range senders {
		masked[i] = Phone(s).String()
	}
	return strings.Join(masked, ", ")
}
