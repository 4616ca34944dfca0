package campaign

import (
	"slices"
	"strings"
)

// fileKeys are the keys of each section of a campaign file, in the order of
// Spec; "" is the file itself. Spec's yaml tags, this table and the JSON Schema
// are held together by a test.
var fileKeys = map[string][]string{
	"": {
		"name", "recipients", "message", "variants", "holdout", "only", "senders", "pace", "schedule", "unknown_policy",
		"contact_check", "notify", "segments",
	},
	"recipients":    {"csv", "phone", "chat_id", "country", "columns", "delimiter", "encoding", "sheet"},
	"message":       {"text", "media", "poll", "reply_to", "link_preview"},
	"message.media": {"type", "url", "file", "filename", "mimetype"},
	"message.poll":  {"question", "options", "multiple"},
	"pace":          {"rate", "burst", "jitter", "in_flight", "hourly", "daily"},
	"schedule":      {"start", "timezone"},

	"variants":       {"name", "weight", "text", "media", "poll", "reply_to", "link_preview"},
	"variants.media": {"type", "url", "file", "filename", "mimetype"},
	"variants.poll":  {"question", "options", "multiple"},
	"only":           {"campaign", "where"},
	"notify":         {"url", "messages"},
}

// fileSections lists the sections in the order of a file.
var fileSections = []string{
	"", "recipients", "message", "message.media", "message.poll", "pace", "schedule",
	"variants", "variants.media", "variants.poll", "only", "notify",
}

// laterKeys are keys of later versions of the file (design §7), with what they
// are for. They are told apart from typing errors: whoever writes one must not
// believe that it works.
var laterKeys = map[string]string{
	"exclude":      "leave out recipients of files or earlier campaigns",
	"canary":       "stop for a look after the first recipients",
	"expire_after": "drop messages that have waited too long",
	"window":       "keep to hours of the day",
	"quiet_hours":  "keep to hours of the day",
	"finish_by":    "spread a campaign over the time until a deadline",
	"repeat":       "repeat a campaign",
	"ramp":         "raise the daily cap of a new number day by day",
	"rest":         "rest after every so many messages",
}

// otherWords are words people use for our keys that no spelling distance finds.
var otherWords = map[string]string{
	"body": "text", "caption": "text", "attachment": "media", "from": "senders", "to": "recipients",
	"tz": "timezone", "mime": "mimetype", "answers": "options", "choices": "options", "title": "name",
	"source": "csv", "speed": "rate", "concurrency": "in_flight", "at": "start", "number": "phone",
	"webhook": "notify", "callback": "notify", "share": "weight", "control": "holdout", "condition": "where", "filter": "where",
}

// unknownKey says what to do about a key that a section does not have.
func unknownKey(section, key string) (code, what, fix string) {
	if purpose, ok := laterKeys[key]; ok {
		return problemNotYet, "this version cannot " + purpose, "remove the key `" + key + "`"
	}
	what = "there is no key `" + safe(key, 40) + "` " + inSection(section)
	if section == "variants" && key == "message" {
		return problemUnknownKey, what, "the keys of a variant's message stand beside its name: text, media, poll, reply_to, link_preview"
	}
	for _, other := range fileSections {
		if other != section && slices.Contains(fileKeys[other], key) && !slices.Contains(fileKeys[section], Nearest(key, fileKeys[section])) {
			return problemUnknownKey, what, "`" + key + "` belongs " + inSection(other)
		}
	}
	known := fileKeys[section]
	if near := Nearest(key, known); near != "" {
		return problemUnknownKey, what, "did you mean `" + near + "`?"
	}
	if word := otherWords[strings.ToLower(key)]; word != "" {
		for _, other := range append([]string{section}, fileSections...) {
			if slices.Contains(fileKeys[other], word) {
				return problemUnknownKey, what, "did you mean `" + word + "` " + inSection(other) + "?"
			}
		}
	}
	return problemUnknownKey, what, "remove it; the keys here are " + strings.Join(known, ", ")
}

// inSection names a section for people: "under `message:`".
func inSection(section string) string {
	if section == "" {
		return "at the top level"
	}
	return "under `" + strings.ReplaceAll(section, ".", ": ") + ":`"
}
