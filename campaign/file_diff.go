package campaign

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Part is a part of a campaign file.
type Part string

// The parts, in the order Diff lists them.
const (
	PartMessage    Part = "message"
	PartRecipients Part = "recipients"
	PartOnly       Part = "only"
	PartSenders    Part = "senders"
	PartPace       Part = "pace"
	PartSchedule   Part = "schedule"
	PartUnknowns   Part = "unknown_policy"
	PartContacts   Part = "contact_check"
	PartNotify     Part = "notify"
	PartSegments   Part = "segments"
	PartName       Part = "name"
)

// Change is one difference between two campaign files.
type Change struct {
	Part  Part   `json:"part"`
	Field string `json:"field"`         // key path: "recipients.country"
	Old   string `json:"old,omitempty"` // "" where there was none, or where it is not shown
	New   string `json:"new,omitempty"`
	// Hidden says that the values belong into no error and no log, and so are not
	// here: words of the message, an address with a key.
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
	if len(old.Variants)+len(new.Variants) == 0 {
		d.message("message", old.Message, new.Message)
	} else {
		d.variants(old, new)
	}
	d.shown("holdout", share(old.Holdout), share(new.Holdout))

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

	d.part = PartOnly
	d.only(old.Only, new.Only)

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

	d.part = PartContacts
	d.shown("contact_check", fmt.Sprint(old.ContactCheck), fmt.Sprint(new.ContactCheck))

	d.part = PartNotify
	d.notify(old.Notify, new.Notify)

	d.part = PartSegments
	d.shown("segments", strings.Join(old.Segments, ", "), strings.Join(new.Segments, ", "))

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

// message compares two messages, whose keys lie below path.
func (d *differ) message(path string, old, new Template) {
	d.hidden(path+".text", old.Text, new.Text)
	d.media(path+".media", old.Media, new.Media)
	d.poll(path+".poll", old.Poll, new.Poll)
	d.hidden(path+".reply_to", old.ReplyTo, new.ReplyTo)
	d.shown(path+".link_preview", preview(old.LinkPreview), preview(new.LinkPreview))
}

// variants compares the messages of two files of which at least one has
// variants, by their names.
func (d *differ) variants(old, new Spec) {
	if len(old.Variants) == 0 || len(new.Variants) == 0 {
		d.shown("message", present(len(old.Variants) == 0), present(len(new.Variants) == 0))
		d.shown("variants", variantNames(old.Variants), variantNames(new.Variants))
		return
	}
	if before, after := variantNames(old.Variants), variantNames(new.Variants); before != after {
		d.shown("variants", before, after)
		return
	}
	for i, v := range old.Variants {
		path := "variants." + v.Name
		d.shown(path+".weight", number(v.Weight), number(new.Variants[i].Weight))
		d.message(path, v.Message, new.Variants[i].Message)
	}
}

func variantNames(variants []Variant) string {
	names := make([]string, len(variants))
	for i, v := range variants {
		names[i] = v.Name
	}
	return strings.Join(names, ", ")
}

func (d *differ) only(old, new *Only) {
	if old == nil || new == nil {
		d.shown("only", present(old != nil), present(new != nil))
		return
	}
	d.shown("only.campaign", old.Campaign, new.Campaign)
	d.shown("only.where", old.Where, new.Where)
}

// notify compares without showing addresses, which may hold a key.
func (d *differ) notify(old, new *Notify) {
	if old == nil || new == nil {
		d.shown("notify", present(old != nil), present(new != nil))
		return
	}
	d.hidden("notify.url", old.URL, new.URL)
	d.shown("notify.messages", fmt.Sprint(old.Messages), fmt.Sprint(new.Messages))
}

func (d *differ) media(path string, old, new *MediaTemplate) {
	if old == nil || new == nil {
		d.shown(path, present(old != nil), present(new != nil))
		return
	}
	d.shown(path+".type", string(old.Type), string(new.Type))
	d.hidden(path+".url", old.URL, new.URL)
	d.shown(path+".file", old.File, new.File)
	d.shown(path+".filename", old.Filename, new.Filename)
	d.shown(path+".mimetype", old.MIME, new.MIME)
}

func (d *differ) poll(path string, old, new *PollTemplate) {
	if old == nil || new == nil {
		d.shown(path, present(old != nil), present(new != nil))
		return
	}
	d.hidden(path+".question", old.Question, new.Question)
	d.hidden(path+".options", old.Options, new.Options)
	d.shown(path+".multiple", fmt.Sprint(old.Multiple), fmt.Sprint(new.Multiple))
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

func share(part float64) string {
	if part == 0 {
		return ""
	}
	return strconv.FormatFloat(100*part, 'g', 6, 64) + "%"
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
