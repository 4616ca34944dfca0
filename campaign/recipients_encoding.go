package campaign

import (
	"bytes"
	"io"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"
)

// Names of the encodings a recipients file may have.
const (
	encodingUTF8        = "utf-8"
	encodingUTF16LE     = "utf-16le"
	encodingUTF16BE     = "utf-16be"
	encodingWindows1252 = "windows-1252"
)

// sampleBytes is how much of a file is looked at before it is read.
const sampleBytes = 64 << 10

// textEncoding is how the bytes of a file become text.
type textEncoding struct {
	name    string
	bom     int  // bytes to leave out at the front
	guessed bool // neither a mark in the file, nor the campaign, nor the bytes themselves prove it
}

// detectEncoding looks at the front of a file. declared is Source.Encoding; a
// byte order mark wins over it, because the mark is written by the program
// that wrote the file. middle is a piece of the file around its first
// non-ASCII byte when sample has none; complete says that sample is all there
// is.
func detectEncoding(sample, middle []byte, complete bool, declared string) (textEncoding, *Problem) {
	switch {
	case bytes.HasPrefix(sample, []byte{0xEF, 0xBB, 0xBF}):
		return textEncoding{name: encodingUTF8, bom: 3}, nil
	case bytes.HasPrefix(sample, []byte{0xFF, 0xFE, 0, 0}):
		return textEncoding{}, &Problem{
			Code: csvEncodingUnknown, What: "the file is UTF-32, which is not read",
			Fix: "save it as \"CSV UTF-8\"",
		}
	case bytes.HasPrefix(sample, []byte{0xFF, 0xFE}):
		return textEncoding{name: encodingUTF16LE, bom: 2}, nil
	case bytes.HasPrefix(sample, []byte{0xFE, 0xFF}):
		return textEncoding{name: encodingUTF16BE, bom: 2}, nil
	}
	if problem := refuseBinary(sample); problem != nil {
		return textEncoding{}, problem
	}
	wide := wideEncoding(sample)
	switch strings.ToLower(strings.TrimSpace(declared)) {
	case "":
	case "utf-8", "utf8":
		return textEncoding{name: encodingUTF8}, nil
	case "windows-1252", "cp1252", "latin1", "latin-1", "iso-8859-1":
		// What calls itself Latin-1 is Windows-1252 in practice (WHATWG
		// Encoding Standard, §4.2).
		return textEncoding{name: encodingWindows1252}, nil
	case "utf-16", "utf16":
		if wide == "" {
			wide = encodingUTF16LE
		}
		return textEncoding{name: wide}, nil
	case encodingUTF16LE, encodingUTF16BE:
		return textEncoding{name: strings.ToLower(strings.TrimSpace(declared))}, nil
	default:
		return textEncoding{}, &Problem{
			Code: csvEncodingUnknown, Value: shownValue(declared), What: "there is no such encoding",
			Fix: "set recipients.encoding to utf-8, utf-16 or windows-1252, or leave it out",
		}
	}
	if wide != "" {
		return textEncoding{name: wide, guessed: true}, nil
	}
	if controls := countControls(sample); controls*10 > len(sample) {
		return textEncoding{}, binaryProblem()
	}
	if mostlyUTF8(sample, complete) && mostlyUTF8(middle, false) {
		return textEncoding{name: encodingUTF8}, nil
	}
	return textEncoding{name: encodingWindows1252, guessed: true}, nil
}

// refuseBinary names what is certainly no text by its first bytes.
func refuseBinary(sample []byte) *Problem {
	archive := func(kind string) *Problem {
		return &Problem{
			Code: csvArchive, What: "the file is a " + kind + " archive",
			Fix: "unpack it and name the .csv or .xlsx inside",
		}
	}
	for _, magic := range []struct {
		front   string
		problem func() *Problem
	}{
		{"PK\x03\x04", func() *Problem { return archive("zip") }},
		{"PK\x05\x06", func() *Problem { return archive("zip") }},
		{"\x1f\x8b", func() *Problem { return archive("gzip") }},
		{"BZh", func() *Problem { return archive("bzip2") }},
		{"\xfd7zXZ\x00", func() *Problem { return archive("xz") }},
		{"7z\xbc\xaf\x27\x1c", func() *Problem { return archive("7-zip") }},
		{"\x28\xb5\x2f\xfd", func() *Problem { return archive("zstd") }},
		{"Rar!", func() *Problem { return archive("RAR") }},
		{"%PDF-", func() *Problem {
			return &Problem{Code: csvBinary, What: "the file is a PDF", Fix: "export the table itself as CSV or XLSX"}
		}},
		{"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", func() *Problem {
			return &Problem{
				Code: csvBinary, What: "the file is an old Excel workbook (.xls) or one with a password",
				Fix: "save it as \"Excel workbook (.xlsx)\" without a password, or as \"CSV UTF-8\"",
			}
		}},
	} {
		if bytes.HasPrefix(sample, []byte(magic.front)) {
			return magic.problem()
		}
	}
	return nil
}

func binaryProblem() *Problem {
	return &Problem{
		Code: csvBinary, What: "the file is not text",
		Fix: "recipients are read from CSV (comma, semicolon, tab or | separated) and XLSX files",
	}
}

// wideEncoding recognizes UTF-16 without a mark: a table holds enough ASCII
// (digits, delimiters, line ends) that in a fifth of the byte pairs one side is
// zero and the other a character, and hardly ever the other way round.
func wideEncoding(sample []byte) string {
	little, big := 0, 0
	for i := 0; i+1 < len(sample); i += 2 {
		switch low, high := sample[i], sample[i+1]; {
		case high == 0 && isPlainASCII(low):
			little++
		case low == 0 && isPlainASCII(high):
			big++
		}
	}
	pairs := len(sample) / 2
	switch {
	case pairs == 0:
		return ""
	case little*5 >= pairs && big*20 <= little:
		return encodingUTF16LE
	case big*5 >= pairs && little*20 <= big:
		return encodingUTF16BE
	}
	return ""
}

func isPlainASCII(b byte) bool {
	return b >= 0x20 && b < 0x7f || b == '\t' || b == '\n' || b == '\r'
}

func countControls(sample []byte) int {
	n := 0
	for _, b := range sample {
		if b < 0x20 && b != '\t' && b != '\n' && b != '\r' {
			n++
		}
	}
	return n
}

// mostlyUTF8 says whether b is UTF-8, be it with a few broken places:
// multi-byte sequences do not come about by chance, so many of them outweigh
// some damage, which then is a matter of single rows.
func mostlyUTF8(b []byte, complete bool) bool {
	sequences, broken := 0, 0
	for len(b) > 0 {
		if b[0] < utf8.RuneSelf {
			b = b[1:]
			continue
		}
		r, size := utf8.DecodeRune(b)
		switch {
		case r != utf8.RuneError || size > 1:
			sequences++
		case !complete && !utf8.FullRune(b):
			return broken*4 <= sequences // cut by the end of the sample
		default:
			broken++
		}
		b = b[size:]
	}
	return broken*4 <= sequences
}

// decoder turns src, which stands behind the byte order mark, into UTF-8.
// UTF-8 itself passes: its damage is found record by record.
func (e textEncoding) decoder(src io.Reader) io.Reader {
	var enc encoding.Encoding
	switch e.name {
	case encodingUTF16LE:
		enc = unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM)
	case encodingUTF16BE:
		enc = unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM)
	case encodingWindows1252:
		enc = charmap.Windows1252
	default:
		return src
	}
	return enc.NewDecoder().Reader(src)
}
