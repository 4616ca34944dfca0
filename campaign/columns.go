package campaign

import "fmt"

// CodeSegment is the code of a segment that is no column of the recipients.
const CodeSegment = "E_FILE_SEGMENT"

// CheckSegments says which of the segments of a campaign file are no columns of
// its recipients; nil if all are. A column is named by its header, or by its
// variable name.
func CheckSegments(segments, header, slugs []string) error {
	t := table{header: header, slugs: slugs}
	refusal := &InputError{}
	for _, segment := range segments {
		if i := t.column(segment); i >= 0 && t.slugs[i] != "" {
			continue
		}
		p := Problem{
			Code: CodeSegment, Field: "segments", Value: shownValue(segment),
			What: fmt.Sprintf("there is no column %q; there are %s", shownValue(segment), t.list()), Fix: "name one of the headers",
		}
		if near := t.nearest(segment); near != "" {
			p.Fix = fmt.Sprintf("did you mean %q?", near)
		}
		refusal.Problems = append(refusal.Problems, p)
	}
	if len(refusal.Problems) == 0 {
		return nil
	}
	return refusal
}
