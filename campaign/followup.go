package campaign

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// FollowUp is a campaign file to be written from what an earlier campaign came
// to: for the recipients that an expression chooses.
type FollowUp struct {
	Earlier    Campaign
	Name       string // of the new campaign
	Recipients Source // with CSV relative to the new file's folder
	Where      Where
	Count      int64 // recipients it chooses now
	// Folder leads from the new file's folder to the earlier file's, with slashes;
	// "" when they are the same. Local attachments are found through it.
	Folder string
	File   string // what the new file will be called
}

// FollowUpName is the name of the number-th follow-up to a campaign.
func FollowUpName(name string, number int) string {
	suffix := " – follow-up"
	if number > 1 {
		suffix += " " + strconv.Itoa(number)
	}
	if runes := []rune(name); len(runes)+len([]rune(suffix)) > maxNameLength {
		name = strings.TrimSpace(string(runes[:maxNameLength-len([]rune(suffix))]))
	}
	return name + suffix
}

// YAML is the campaign file: the earlier one's message as a starting point, its
// senders and pace, and comments that say what to change. When to start, the
// holdout and whom the earlier campaign was for are not taken over.
func (f FollowUp) YAML() ([]byte, error) {
	spec := f.Earlier.Spec
	root := &fileSection{}
	root.put("name", f.Name)
	root.comment(fmt.Sprintf("A follow-up to %q (%s), for %s of its recipients.\n\nWrite the message below, then:\n  herald check %s\n  herald run %s",
		f.Earlier.Name, f.Earlier.ID, strconv.FormatInt(f.Count, 10), f.File, f.File))

	root.sub("recipients", sourceSection(f.Recipients))

	only := &fileSection{}
	only.put("campaign", string(f.Earlier.ID))
	only.put("where", f.Where.String())
	root.sub("only", only)
	root.comment(fmt.Sprintf("Only those of them with this outcome in %q. They are\nlooked up when this file is run first, so they may be some more or fewer by then.", f.Earlier.Name))

	const change = "The words of the earlier campaign, as a starting point: change them."
	if len(spec.Variants) == 0 {
		root.sub("message", f.messageSection(spec.Message, &fileSection{}))
		root.comment(change)
	} else {
		list := &yaml.Node{Kind: yaml.SequenceNode}
		for _, v := range spec.Variants {
			section := &fileSection{}
			section.put("name", v.Name)
			section.putNumber("weight", float64(v.Weight))
			list.Content = append(list.Content, f.messageSection(v.Message, section).node())
		}
		root.putNode("variants", list)
		root.comment(change)
	}

	senders := &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
	for _, sender := range spec.Senders {
		senders.Content = append(senders.Content, quotedNode(sender))
	}
	root.putNode("senders", senders)
	root.sub("pace", paceSection(spec.Pace))
	schedule := &fileSection{}
	schedule.put("timezone", spec.Schedule.Timezone)
	root.sub("schedule", schedule)
	root.put("unknown_policy", string(spec.UnknownPolicy))
	root.putFlag("contact_check", spec.ContactCheck)
	if spec.Notify != nil {
		notify := &fileSection{}
		notify.put("url", spec.Notify.URL)
		notify.putFlag("messages", spec.Notify.Messages)
		root.sub("notify", notify)
	}
	root.putList("segments", spec.Segments)

	var out bytes.Buffer
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(2)
	if err := encoder.Encode(root.node()); err != nil {
		return nil, fmt.Errorf("write the campaign file: %w", err)
	}
	return out.Bytes(), encoder.Close()
}

func sourceSection(src Source) *fileSection {
	s := &fileSection{}
	s.put("csv", src.CSV)
	s.put("phone", src.Phone)
	s.put("chat_id", src.ChatID)
	s.put("country", src.Country)
	s.putMap("columns", src.Columns)
	s.put("delimiter", src.Delimiter)
	s.put("encoding", src.Encoding)
	s.put("sheet", src.Sheet)
	return s
}

func (f FollowUp) messageSection(t Template, s *fileSection) *fileSection {
	s.put("text", t.Text)
	if m := t.Media; m != nil {
		media := &fileSection{}
		media.put("type", string(m.Type))
		media.put("url", m.URL)
		media.put("file", f.found(m.File))
		media.put("filename", m.Filename)
		media.put("mimetype", m.MIME)
		s.sub("media", media)
	}
	if p := t.Poll; p != nil {
		poll := &fileSection{}
		poll.put("question", p.Question)
		poll.putList("options", p.Options)
		poll.putFlag("multiple", p.Multiple)
		s.sub("poll", poll)
	}
	s.put("reply_to", t.ReplyTo)
	if t.LinkPreview != nil {
		s.putNode("link_preview", plainNode(strconv.FormatBool(*t.LinkPreview)))
	}
	return s
}

// found is the path of a local attachment as the new file has to write it.
func (f FollowUp) found(file string) string {
	if file == "" || f.Folder == "" || strings.HasPrefix(file, "/") || len(file) > 1 && file[1] == ':' {
		return file
	}
	return f.Folder + "/" + file
}

func paceSection(p Pace) *fileSection {
	s := &fileSection{}
	s.put("rate", p.Rate.String())
	s.putNumber("burst", float64(p.Burst))
	s.putNumber("jitter", p.Jitter)
	s.putNumber("in_flight", float64(p.InFlight))
	s.putNumber("hourly", float64(p.Hourly))
	s.putNumber("daily", float64(p.Daily))
	return s
}
