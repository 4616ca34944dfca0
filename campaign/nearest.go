package campaign

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Nearest is the candidate that a typing mistake most likely meant, or "" when
// none is near. It compares words, so "First-Nme" is near first_name.
func Nearest(name string, candidates []string) string {
	plain := wordsOf(name)
	letters := utf8.RuneCountInString(plain)
	const worst = 100
	best, least := "", (2+letters/5)*worst
	for _, c := range candidates {
		if wordsOf(c) == plain {
			return c
		}
		// One name inside the other is nearer than the count of edits says:
		// "name" for first_name.
		edits := min(editDistance(plain, wordsOf(c)), worst-1)
		d := edits
		if letters >= 3 && (strings.Contains(c, plain) || strings.Contains(plain, c)) {
			d = min(d, 1)
		}
		if score := d*worst + edits; score < least {
			best, least = c, score
		}
	}
	return best
}

// SameWords says whether two names are the same but for case, spaces and
// punctuation: "First Name" and first_name. Names without a letter or digit
// are the same as nothing.
func SameWords(a, b string) bool {
	words := wordsOf(a)
	return words != "" && words == wordsOf(b)
}

// editDistance counts insertions, deletions, substitutions and swaps of
// neighbors (optimal string alignment).
func editDistance(a, b string) int {
	x, y := []rune(a), []rune(b)
	if len(x) > 64 || len(y) > 64 {
		return 64
	}
	var twoAgo, last []int
	row := make([]int, len(y)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(x); i++ {
		twoAgo, last, row = last, row, make([]int, len(y)+1)
		row[0] = i
		for j := 1; j <= len(y); j++ {
			cost := 1
			if x[i-1] == y[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && x[i-1] == y[j-2] && x[i-2] == y[j-1] {
				row[j] = min(row[j], twoAgo[j-2]+1)
			}
		}
	}
	return row[len(y)]
}

// wordsOf is a name with everything but letters and digits folded away. It only
// serves suggestions.
func wordsOf(s string) string {
	var b strings.Builder
	gap := false
	for _, r := range s {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.IsMark(r) {
			gap = b.Len() > 0
			continue
		}
		if gap {
			b.WriteByte('_')
			gap = false
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}
