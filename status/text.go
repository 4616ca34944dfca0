package status

import (
	"strings"

	"golang.org/x/text/unicode/norm"

	"github.com/herald-campaigns/herald/campaign"
)

// plain is a text as it is compared: the provider may store line ends, spaces
// at the ends of lines and the parts of a letter in another way than they were
// sent, and it is still the same text.
func plain(text string) string {
	text = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(text)
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		lines[i] = strings.TrimRight(line, " \t")
	}
	return norm.NFC.String(strings.TrimSpace(strings.Join(lines, "\n")))
}

// said is the text that lists show of a message: its body, caption or question.
func said(m campaign.Message) string {
	if m.Poll != nil && m.Text == "" {
		return m.Poll.Question
	}
	return m.Text
}

// address is a chat as it is compared: the digits of a person, with or without
// the suffix; any other chat whole.
func address(chat campaign.ChatID) string {
	number, suffix, found := strings.Cut(string(chat), "@")
	if found && suffix != "c.us" && suffix != "s.whatsapp.net" {
		return string(chat)
	}
	return strings.TrimPrefix(number, "+")
}

// alike says whether two addresses may be one person's although they differ:
// WhatsApp knows some numbers under another one, with a digit more, less or
// changed (Brazil, Mexico, Argentina), and lists show that one. No address at
// all may be anybody's, and so may one of a kind that tells no number, such as
// "@lid".
func alike(a, b string) bool {
	switch {
	case a == "" || b == "":
		return true
	case a == b:
		return false
	case strings.Contains(a, "@") || strings.Contains(b, "@"):
		return nameless(a) != nameless(b) && !isGroup(a) && !isGroup(b)
	}
	if len(a) > len(b) {
		a, b = b, a
	}
	if len(b)-len(a) > 1 {
		return false
	}
	start := 0
	for start < len(a) && a[start] == b[start] {
		start++
	}
	if len(a) == len(b) {
		return a[start+1:] == b[start+1:]
	}
	return a[start:] == b[start+1:]
}

// nameless says whether an address is of a kind that is neither a number's nor a
// group's.
func nameless(address string) bool { return strings.Contains(address, "@") && !isGroup(address) }

func isGroup(address string) bool { return strings.HasSuffix(address, "@g.us") }

// uniqueOf is the unique part of a message id, which comes bare or as
// "true_<chat>_<unique>", in groups with "_<participant>" after it.
func uniqueOf(id string) string {
	parts := strings.Split(id, "_")
	if len(parts) >= 3 && (parts[0] == "true" || parts[0] == "false") {
		return parts[2]
	}
	return id
}
