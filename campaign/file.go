package campaign

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v3"
)

// MaxFileSize is the most bytes a campaign file may have. A long message with
// every option explained needs a hundredth of it.
const MaxFileSize = 1 << 20

// Codes of the problems in a campaign file. They are stable: people search for
// them.
const (
	problemDirectory    = "E_FILE_DIRECTORY"     // a folder was named
	problemTooLarge     = "E_FILE_TOO_LARGE"     // more than MaxFileSize
	problemEmpty        = "E_FILE_EMPTY"         // nothing but blanks and comments
	problemEncoding     = "E_FILE_ENCODING"      // not UTF-8
	problemBinary       = "E_FILE_BINARY"        // not a text file
	problemSyntax       = "E_FILE_SYNTAX"        // not YAML, or YAML we do not take (aliases, tags, several documents)
	problemDuplicateKey = "E_FILE_DUPLICATE_KEY" // the same key twice
	problemUnknownKey   = "E_FILE_UNKNOWN_KEY"   // no such key
	problemNotYet       = "E_FILE_NOT_YET"       // a key of a later version
	problemMissing      = "E_FILE_MISSING"       // a key that must be there
	problemType         = "E_FILE_TYPE"          // a number where text must be, and the like
	problemValue        = "E_FILE_VALUE"         // the right type, but not a possible value
	problemConflict     = "E_FILE_CONFLICT"      // two keys that exclude each other
)

// WarnResend is the code of the warning about PolicyResend.
const WarnResend = "W_FILE_RESEND"

// WarnStartOver is the code of the warning about a start that is over.
const WarnStartOver = "W_FILE_START_OVER"

// ParseFile reads the campaign file at path. Spec.Path becomes its absolute
// path. Everything wrong with the content comes back at once, as an
// *InputError; a file that cannot be opened is an *Error.
//
// Nothing the file points to is opened here: recipients and attachments are
// looked at when the campaign is checked.
func ParseFile(path string) (Spec, error) {
	f, err := os.Open(path) // #nosec G304 -- the person names the file to read
	if err != nil {
		return Spec{}, cannotOpen(path, err)
	}
	defer func() { _ = f.Close() }() // nothing was written

	if info, err := f.Stat(); err == nil && info.IsDir() {
		return Spec{}, Reject(Problem{
			Code: problemDirectory, File: path, What: "this is a folder, not a campaign file",
			Fix: "name the file inside it, for example " + filepath.Join(path, "campaign.yaml"),
		})
	}
	spec, err := Parse(f, path)
	if err != nil {
		return Spec{}, err
	}
	spec.Path, err = filepath.Abs(path)
	if err != nil {
		return Spec{}, fmt.Errorf("find the folder of %s: %w", path, err)
	}
	return spec, nil
}

// cannotOpen says in words why a campaign file cannot be opened.
func cannotOpen(path string, err error) *Error {
	if pathErr, ok := errors.AsType[*fs.PathError](err); ok {
		err = pathErr.Err // without the path, which What names
	}
	e := &Error{Code: CodeInvalid, What: "open campaign file " + path, Err: err}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		e.Code = CodeNotFound
		e.Hint = "check the path; `herald init` writes a campaign file to start from"
	case errors.Is(err, fs.ErrPermission):
		e.Hint = "let this user read the file"
	}
	return e
}

// Parse reads a campaign file from r; name is what problems call it. Relative
// paths inside it are left as they are and Spec.Path stays empty, because a
// stream has no folder. See ParseFile for the errors.
func Parse(r io.Reader, name string) (Spec, error) {
	content, err := io.ReadAll(io.LimitReader(r, MaxFileSize+1))
	if err != nil {
		return Spec{}, fmt.Errorf("read campaign file %s: %w", name, err)
	}
	text, problem := plainText(content)
	if problem != nil {
		problem.File = name
		return Spec{}, Reject(*problem)
	}
	root, problem := parseYAML(text)
	if problem != nil {
		problem.File = name
		if strings.EqualFold(filepath.Ext(name), ".csv") {
			problem.Fix = "name the campaign file here, and this file under recipients.csv inside it"
		}
		return Spec{}, Reject(*problem)
	}
	f := &fileReader{}
	spec := f.spec(root)
	if err := f.rejection(name); err != nil {
		return Spec{}, err
	}
	return spec, nil
}

// parseYAML turns text into the mapping at its root. It refuses what is no
// single mapping; the nodes below are looked at by fileReader. Decoding into
// nodes expands no alias, so a file cannot make itself larger than it is.
func parseYAML(text []byte) (*yaml.Node, *Problem) {
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	var document, second yaml.Node
	switch err := decoder.Decode(&document); {
	case errors.Is(err, io.EOF):
		return nil, emptyProblem(text)
	case err != nil:
		return nil, syntaxProblem(text, err)
	}
	root := document.Content[0]
	if root.Kind == yaml.ScalarNode && root.ShortTag() == nullTag {
		return nil, emptyProblem(text)
	}
	if root.Kind != yaml.MappingNode {
		return nil, &Problem{
			Code: problemSyntax, Line: int64(root.Line), Column: root.Column,
			What: "this is no campaign file: it must begin with keys such as `name:`",
			Fix:  "`herald init` writes a campaign file to start from",
		}
	}
	switch err := decoder.Decode(&second); {
	case errors.Is(err, io.EOF):
		return root, nil
	case err != nil:
		return nil, syntaxProblem(text, err)
	}
	return nil, &Problem{
		Code: problemSyntax, Line: int64(second.Line), Column: second.Column,
		What: "a second document begins here (after ---); a file holds one campaign",
		Fix:  "remove the --- line, or put each campaign into its own file",
	}
}

func emptyProblem(text []byte) *Problem {
	if len(bytes.TrimSpace(text)) == 0 {
		return &Problem{
			Code: problemEmpty, What: "the file is empty",
			Fix: "`herald init` writes a campaign file to start from",
		}
	}
	return &Problem{
		Code: problemEmpty, What: "the file holds nothing but comments",
		Fix: "remove the # in front of name, recipients, message and senders",
	}
}
