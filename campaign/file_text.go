package campaign

import (
	"bytes"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
)

// plainText checks that content can be a YAML file at all, and gives it
// without its byte order mark.
func plainText(content []byte) ([]byte, *Problem) {
	if len(content) > MaxFileSize {
		return nil, &Problem{
			Code: problemTooLarge, What: "the file is larger than 1 MiB, which no campaign file is",
			Fix: "name the campaign file here; recipients belong into the file that recipients.csv names",
		}
	}
	switch {
	case bytes.HasPrefix(content, []byte("\xff\xfe")), bytes.HasPrefix(content, []byte("\xfe\xff")):
		return nil, &Problem{
			Code: problemEncoding, Line: 1, What: "the file is UTF-16",
			Fix: `save it as UTF-8 (in Notepad: Save as, Encoding "UTF-8")`,
		}
	case bytes.HasPrefix(content, []byte("PK\x03\x04")):
		return nil, &Problem{
			Code: problemBinary, What: "this is an Excel or ZIP file, not a campaign file",
			Fix: "name the campaign file here, and a workbook under recipients.csv inside it",
		}
	case bytes.IndexByte(content, 0) >= 0:
		return nil, &Problem{
			Code: problemBinary, What: "this is a binary file, not a campaign file",
			Fix: "`herald init` writes a campaign file to start from",
		}
	}
	content = bytes.TrimPrefix(content, []byte("\xef\xbb\xbf"))
	if problem := badCharacter(content); problem != nil {
		return nil, problem
	}
	return content, nil
}

// badCharacter finds the first byte that is not UTF-8, or not text.
func badCharacter(content []byte) *Problem {
	line, column := int64(1), 1
	for i := 0; i < len(content); {
		r, size := utf8.DecodeRune(content[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			meant := ""
			if c := charmap.Windows1252.DecodeByte(content[i]); c != utf8.RuneError {
				meant = fmt.Sprintf("; in Windows-1252 it would be %q", string(c))
			}
			return &Problem{
				Code: problemEncoding, Line: line, Column: column,
				What: fmt.Sprintf("byte 0x%02X is not UTF-8%s", content[i], meant),
				Fix:  "save the file as UTF-8",
			}
		case r == '\n', r == '\r' && (i+1 == len(content) || content[i+1] != '\n'):
			line, column = line+1, 0
		case r < ' ' && r != '\t' && r != '\r', r == 0x7f:
			return &Problem{
				Code: problemBinary, Line: line, Column: column,
				What: fmt.Sprintf("the invisible control character 0x%02X stands here", r),
				Fix:  "delete it; it often comes along when text is copied from another program",
			}
		}
		i += size
		column++
	}
	return nil
}

var (
	yamlErrorLine = regexp.MustCompile(`^yaml: (?:line ([0-9]+): )?(.*)$`)
	grammarError  = regexp.MustCompile("^did not find expected (?:key|node content|<|'|',' or)")
	unknownAnchor = regexp.MustCompile(`^unknown anchor '(.*)' referenced$`)
	tabIndent     = regexp.MustCompile(`^ *\t`)
	// bareTemplate is a value that begins with an unquoted {{, which YAML takes
	// for the beginning of a mapping.
	bareTemplate = regexp.MustCompile(`^ *(?:- +)?[A-Za-z_]+: +\{\{`)
	bareSpecial  = regexp.MustCompile("^ *(?:- +)?(?:[A-Za-z_]+: +)?([*&!@`%])")
)

// syntaxProblem turns an error of the YAML parser into words. The parser names
// no column and not always the line, so the usual suspects are looked for
// first.
func syntaxProblem(text []byte, err error) *Problem {
	line, what := int64(1), err.Error()
	if m := yamlErrorLine.FindStringSubmatch(what); m != nil {
		what = m[2]
		if n, err := strconv.ParseInt(m[1], 10, 64); err == nil {
			line = n
			// The library counts lines from 0 in errors of grammar, from 1 in
			// errors of spelling.
			if grammarError.MatchString(what) {
				line++
			}
		}
	}
	lines := strings.Split(strings.ReplaceAll(string(text), "\r\n", "\n"), "\n")
	line = min(line, int64(len(lines)))

	problem := &Problem{Code: problemSyntax, Line: line, What: "not valid YAML: " + what, Fix: "put texts with special characters in quotes, or write them below `text: |`"}
	if m := unknownAnchor.FindStringSubmatch(what); m != nil {
		for i, l := range lines {
			if strings.Contains(l, "*"+m[1]) {
				problem.Line = int64(i) + 1
				break
			}
		}
	}
	for i, l := range lines {
		if at := tabIndent.FindStringIndex(l); at != nil && int64(i)+1 == problem.Line {
			problem.Column = at[1]
			problem.What = "the line is indented with a tab, which YAML does not allow"
			problem.Fix = "indent with spaces, two for each level"
			return problem
		}
	}
	for i, l := range lines {
		if at := bareTemplate.FindStringIndex(l); at != nil {
			problem.Line, problem.Column = int64(i)+1, at[1]-1
			problem.What = "a value that begins with {{ must be in quotes"
			problem.Fix = `write it like this: url: "{{ invoice_url }}"`
			return problem
		}
	}
	if at := bareSpecial.FindStringSubmatchIndex(lines[problem.Line-1]); at != nil {
		problem.Column = at[2] + 1
		problem.What = fmt.Sprintf("a value that begins with %s must be in quotes", lines[problem.Line-1][at[2]:at[3]])
		problem.Fix = "put the value in quotes, or write a longer text below `text: |`"
		return problem
	}
	if what == "mapping values are not allowed in this context" {
		if strings.Contains(lines[problem.Line-1], "{{") {
			problem.What = "a value with a template and a colon in it must be in quotes"
			problem.Fix = `write it below "text: |", or in quotes: 'Hi {{ name | default: "there" }}'`
			return problem
		}
		problem.What = "a colon stands where YAML expects none"
		problem.Fix = "put a value that holds a colon and a blank in quotes, and line up the keys of a section"
	}
	return problem
}
