package sandbox

import "strings"

// normalChat gives a bare number its suffix; anything else stays as it came.
func normalChat(id string) string {
	if onlyDigits(id) {
		return id + "@c.us"
	}
	return id
}

// validChat tells whether WhatsApp could know the chat: a number of 5 to 15
// digits or a group. @lid and @newsletter are not documented as accepted.
func validChat(chat string) bool {
	if number, ok := strings.CutSuffix(chat, "@c.us"); ok {
		return onlyDigits(number) && len(number) >= 5 && len(number) <= 15
	}
	id, ok := strings.CutSuffix(chat, "@g.us")
	return ok && onlyDigits(strings.Replace(id, "-", "", 1))
}

func onlyDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}
