package status

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"

	"github.com/herald-campaigns/herald/campaign"
)

const (
	nearWords   = 6  // words that a message may have in which a word for stopping is looked for
	nearRunes   = 20 // letters that it may have in a script without spaces
	typoLetters = 5  // letters a word must have for a slip of one to be noticed
)

// Words tells what the text of a message wishes. Only a message that as a whole
// is one of the words counts, in whatever case, width, punctuation and accents,
// with or without spaces and emoji around it; everything else that sounds like
// one is for a person to look at. It is not changed once made, and safe for
// concurrent use.
type Words struct {
	wishes map[string]campaign.Wish // folded
	spaced []string                 // of those that ask to stop, folded, with their spaces
	dense  []string                 // of those, the ones of scripts without spaces
}

// WordList changes the built-in words.
type WordList struct {
	Out    []string // count as an opt-out too
	In     []string // count as an opt-in too
	Remove []string // do not count any more, in whichever language they are
}

// NewWords takes the built-in words with the changes. The error, a
// *campaign.Error, names the word that has no letters, or that is to mean both.
func NewWords(change WordList) (*Words, error) {
	w := &Words{wishes: map[string]campaign.Wish{}}
	for _, l := range tongues() {
		for _, word := range l.out {
			w.wishes[fold(word)] = campaign.WishOut
		}
		for _, word := range l.in {
			w.wishes[fold(word)] = campaign.WishIn
		}
	}
	for _, word := range change.Remove {
		delete(w.wishes, fold(word))
	}
	own := map[string]campaign.Wish{}
	for _, list := range []struct {
		words []string
		wish  campaign.Wish
	}{{change.Out, campaign.WishOut}, {change.In, campaign.WishIn}} {
		for _, word := range list.words {
			folded := fold(word)
			if other, taken := own[folded]; folded == "" || taken && other != list.wish {
				return nil, &campaign.Error{
					Code: campaign.CodeInvalid, What: fmt.Sprintf("the opt-out word %q has no letters, or is to mean both stop and start", word),
					Hint: "give words that a person would write as a whole message, each in one list",
				}
			}
			own[folded], w.wishes[folded] = list.wish, list.wish
		}
	}
	for _, l := range tongues() {
		w.learn(l.out)
	}
	w.learn(change.Out)
	return w, nil
}

// learn takes the words that still count as an opt-out as what near-misses are
// told by.
func (w *Words) learn(words []string) {
	for _, word := range words {
		folded := fold(word)
		if w.wishes[folded] != campaign.WishOut {
			continue
		}
		if dense(folded) {
			w.dense = append(w.dense, folded)
			continue
		}
		if spaced := strings.Join(wordsOf(word), " "); !slices.Contains(w.spaced, spaced) {
			w.spaced = append(w.spaced, spaced)
		}
	}
}

// Of is what the text wishes.
func (w *Words) Of(text string) campaign.Wish {
	const most = 1000 // bytes; nothing that is longer is one word
	if len(text) > most {
		return campaign.WishNone
	}
	folded := fold(text)
	if wish, ok := w.wishes[folded]; ok && folded != "" {
		return wish
	}
	if w.near(text, folded) {
		return campaign.WishNear
	}
	return campaign.WishNone
}

// near says whether a person should look: a word for stopping stands in a short
// message, or nearly does, or there is nothing but a sign for it.
func (w *Words) near(text, folded string) bool {
	if folded == "" {
		return strings.ContainsAny(text, "🛑⛔🚫")
	}
	if utf8.RuneCountInString(folded) <= nearRunes && slices.ContainsFunc(w.dense, func(word string) bool { return strings.Contains(folded, word) }) {
		return true
	}
	words := wordsOf(text)
	if len(words) > nearWords {
		return false
	}
	whole := " " + strings.Join(words, " ") + " "
	for _, word := range w.spaced {
		if strings.Contains(whole, " "+word+" ") {
			return true
		}
		if utf8.RuneCountInString(word) < typoLetters || strings.Contains(word, " ") {
			continue
		}
		if slip(word, folded) || slices.ContainsFunc(words, func(written string) bool { return slip(word, written) }) {
			return true
		}
	}
	return false
}

// fold is a text as wishes are compared: what is left of it without case, width,
// accents, punctuation, emoji and spaces.
func fold(text string) string { return strings.Join(wordsOf(text), "") }

// wordsOf is the folded words of a text. An apostrophe, a dot or a dash does not
// part a word: "s.t.o.p" and "opt-out" are one.
func wordsOf(text string) []string {
	text = cases.Fold().String(norm.NFKD.String(strings.ToValidUTF8(text, " ")))
	text = norm.NFKD.String(text)
	var b strings.Builder
	accents := false // whether marks are accents on the letter before
	for _, r := range text {
		switch {
		case unicode.Is(unicode.Mn, r) && accents:
		case unicode.IsMark(r) && !isSign(r):
			b.WriteRune(r)
		case unicode.IsLetter(r) && r != tatweel:
			accents = unicode.In(r, unicode.Latin, unicode.Greek, unicode.Cyrillic, unicode.Arabic, unicode.Hebrew)
			b.WriteRune(plainLetter(r))
		case unicode.IsNumber(r):
			accents = false
			b.WriteRune(r)
		case unicode.IsSpace(r):
			b.WriteByte(' ')
		}
	}
	words := strings.Fields(norm.NFC.String(b.String()))
	for i, word := range words {
		words[i] = strings.TrimLeftFunc(word, unicode.IsMark)
	}
	return slices.DeleteFunc(words, func(word string) bool { return word == "" })
}

// tatweel stretches Arabic words and means nothing.
const tatweel = 'ـ'

// isSign says whether the mark belongs to an emoji: a variation selector, or
// what encloses a key.
func isSign(r rune) bool {
	return unicode.Is(unicode.Variation_Selector, r) || unicode.Is(unicode.Me, r)
}

// plainLetter is the letter that people write instead of r where they are in a
// hurry, or where their keyboard is another country's.
func plainLetter(r rune) rune {
	if unicode.Is(unicode.Cherokee, r) {
		return unicode.ToUpper(r) // whose cases cases.Fold swaps
	}
	switch r {
	case 'ı':
		return 'i'
	case 'đ':
		return 'd'
	case 'ł':
		return 'l'
	case 'ø':
		return 'o'
	case 'ی', 'ى': // Persian and Urdu, and without dots
		return 'ي'
	case 'ک':
		return 'ك'
	case 'ہ', 'ھ', 'ة', 'ە':
		return 'ه'
	}
	return r
}

// dense says whether the word is of a script that puts no spaces between words.
func dense(word string) bool {
	for _, r := range word {
		if unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Thai) {
			return true
		}
	}
	return false
}

// slip says whether b is a with one letter wrong, missing, added, or swapped
// with the next.
func slip(a, b string) bool {
	x, y := []rune(a), []rune(b)
	if len(x) > len(y) {
		x, y = y, x
	}
	if len(y)-len(x) > 1 || a == b {
		return false
	}
	start := 0
	for start < len(x) && x[start] == y[start] {
		start++
	}
	if len(x) < len(y) {
		return slices.Equal(x[start:], y[start+1:])
	}
	if slices.Equal(x[start+1:], y[start+1:]) {
		return true
	}
	return start+1 < len(x) && x[start] == y[start+1] && x[start+1] == y[start] && slices.Equal(x[start+2:], y[start+2:])
}
