package campaign

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// MessageHash is the lower-case hex SHA-256 over the message template and the
// content of its local attachment, given as a hash ("" without one). With
// variants it is over all of them, with their names and weights, and there is
// one content hash for each. Two campaign files with the same hash send the
// same messages to the same rows. Where an attachment lies does not count, its
// name does: the recipient may see it.
func (s Spec) MessageHash(fileContentHash ...string) string {
	if len(s.Variants) == 0 {
		return canonicalHash("message/1", withoutFolder(s.Message), strings.Join(fileContentHash, ","))
	}
	variants := slices.Clone(s.Variants)
	for i := range variants {
		variants[i].Message = withoutFolder(variants[i].Message)
	}
	return canonicalHash("variants/1", variants, strings.Join(fileContentHash, ","))
}

// withoutFolder is a template whose local attachment is named by its base name.
func withoutFolder(t Template) Template {
	if t.Media != nil && !Templated(t.Media.File) {
		media := *t.Media
		media.File = path.Base(filepath.ToSlash(media.File))
		if t.Media.File == "" {
			media.File = ""
		}
		t.Media = &media
	}
	return t
}

// Hash is the lower-case hex SHA-256 over the content of the recipients file,
// given as fileSHA256, and the way it is read. Where the file lies does not
// count.
func (s Source) Hash(fileSHA256 string) string {
	s.CSV = ""
	return canonicalHash("recipients/1", s, fileSHA256)
}

// canonicalHash hashes one JSON array. The first element keeps hashes of
// different things, and of later forms of the same thing, apart.
func canonicalHash(form string, value any, contentHash string) string {
	// Strings, bools, and maps, slices and pointers of such cannot fail to
	// marshal; encoding/json sorts the keys of maps.
	b, err := json.Marshal([]any{form, value, contentHash})
	if err != nil {
		panic(fmt.Sprintf("campaign: marshal %s: %v", form, err))
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
