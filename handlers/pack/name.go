// Package pack writes and reads evidence: packages, seals, manifests. It is pure over io.
//
// A package is a ZIP of natives, extracted text and a load file; items and exceptions are lists beside it; a seal tells
// the hashes of the three and how far each custodian got; a manifest closes a batch, names its seals, and is linked to the
// source's manifest before it. FORMAT.md, which every container of evidence carries, is the specification.
package pack

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"path"
	"regexp"
	"strconv"
	"strings"
	"unicode"

	"chainmail/handlers/capture"

	"golang.org/x/text/unicode/norm"
)

// The fixed names of a package's and a batch's files.
const (
	LoadFileName    = "loadfile.dat"
	NativesFolder   = "OriginalNatives/"
	TextFolder      = "ExtractedData/"
	ManifestFile    = "manifest.json"
	ManifestSumFile = "manifest.json.sha256"
)

const (
	zipSuffix        = ".zip"
	itemsSuffix      = ".items.jsonl"
	exceptionsSuffix = ".exceptions.csv"
	deletionsSuffix  = ".deletions.jsonl"
	sealSuffix       = ".seal.json"
)

// A Name names one part of a chunk and all its files. Part counts from 1.
type Name struct {
	Source string `json:"source"`
	Batch  string `json:"batch"`
	Lane   int    `json:"lane"`
	Part   int    `json:"part"`
}

// Stem is the package's file name without ".zip", the load file's Trace Data Batch: "<source>.<batch>.<lane>-<part>".
func (n Name) Stem() string { return fmt.Sprintf("%s.%s.%03d-%d", n.Source, n.Batch, n.Lane, n.Part) }

// Base is what the names of the part's blobs have in common: Folder and Stem.
func (n Name) Base() string { return Folder(n.Source, n.Batch) + n.Stem() }

// Zip is the package's blob name, below the container; the methods that follow give those of the files beside it.
func (n Name) Zip() string        { return n.Base() + zipSuffix }
func (n Name) Items() string      { return n.Base() + itemsSuffix }
func (n Name) Exceptions() string { return n.Base() + exceptionsSuffix }
func (n Name) Deletions() string  { return n.Base() + deletionsSuffix }
func (n Name) Seal() string       { return n.Base() + sealSuffix }

// Folder is where a batch's evidence lies below the container: "<source>/<batch>/".
func Folder(source, batch string) string { return source + "/" + batch + "/" }

var partName = regexp.MustCompile(
	`^([a-z0-9-]{1,24})\.(\d{14}UTC-\d{14}UTC(?:-[1-9]\d{0,5})?)\.(\d{3,5})-([1-9]\d{0,8})$`)

// ParseName reads a part's name from the name of any of its blobs, or from its file name or stem alone.
func ParseName(s string) (Name, error) {
	folder, stem := path.Split(s)
	for _, suffix := range []string{zipSuffix, itemsSuffix, exceptionsSuffix, deletionsSuffix, sealSuffix} {
		if cut, ok := strings.CutSuffix(stem, suffix); ok {
			stem = cut
			break
		}
	}
	m := partName.FindStringSubmatch(stem)
	if m == nil {
		return Name{}, errors.New("parse part name: it is not <source>.<batch>.<lane>-<part>")
	}
	n := Name{Source: m[1], Batch: m[2]}
	n.Lane, _ = strconv.Atoi(m[3]) // the pattern admits only what fits
	n.Part, _ = strconv.Atoi(m[4])
	switch {
	case n.Stem() != stem:
		return Name{}, errors.New("parse part name: its lane is not written with three digits")
	case folder != "" && folder != Folder(n.Source, n.Batch):
		return Name{}, errors.New("parse part name: folder and file name differ")
	}
	return n, nil
}

// valid reports whether a part may have this name: it is read back as it is written.
func (n Name) valid() bool {
	again, err := ParseName(n.Stem())
	return err == nil && again == n
}

// ControlNumber is the control number of a part's seq-th document, from 1:
// "<prefix>-20260302T000000[-<number>]-<lane>-<part>-000001". The batch's number stands in it from the second batch of
// the same period on.
func (n Name) ControlNumber(prefix string, window capture.Window, number, seq int) string {
	s := prefix + "-" + window.Start.UTC().Format("20060102T150405")
	if number > 1 {
		s += "-" + strconv.Itoa(number)
	}
	return fmt.Sprintf("%s-%03d-%d-%06d", s, n.Lane, n.Part, seq)
}

// NativeName is the entry of an item's native: "OriginalNatives/<custodian>/<item>.eml", ".ics" for an event.
func NativeName(c capture.Custodian, i capture.Item) string {
	extension := ".eml"
	if i.Kind == capture.Event {
		extension = ".ics"
	}
	return NativesFolder + c.Name() + "/" + i.Key() + extension
}

// AttachmentName is the entry of an item's number-th attachment, from 1: "OriginalNatives/<custodian>/<item>/<nn>-<name>",
// the name made safe by [SafeName].
func AttachmentName(c capture.Custodian, i capture.Item, number int, name string) string {
	return fmt.Sprintf("%s%s/%s/%02d-%s", NativesFolder, c.Name(), i.Key(), number, SafeName(name))
}

// TextName is the entry of a document's text: "ExtractedData/<custodian>/<item>[-<nn>].txt"; number 0 is the item itself.
func TextName(c capture.Custodian, i capture.Item, number int) string {
	if number == 0 {
		return TextFolder + c.Name() + "/" + i.Key() + ".txt"
	}
	return fmt.Sprintf("%s%s/%s-%02d.txt", TextFolder, c.Name(), i.Key(), number)
}

const (
	maxSafeName  = 60  // bytes
	maxEntryName = 150 // bytes; a path that every system unpacks
)

// SafeName makes a name from mail fit for a file: no path parts, control, format or reserved characters, no device names
// of Windows, no dots or spaces at its ends, NFC, at most 60 bytes with its extension kept. It is never empty.
func SafeName(name string) string {
	name = strings.ToValidUTF8(name, "_")
	name = name[strings.LastIndexAny(name, `/\`)+1:]
	name = strings.Map(func(r rune) rune {
		switch {
		case r < 0x20, r == 0x7F, strings.ContainsRune(`<>:"|?*`, r):
			return '_'
		case unseen(r):
			return -1
		}
		return r
	}, name)
	name = norm.NFC.String(name) // after what stood between two characters that compose has gone
	name = strings.Trim(name, " .")
	stem, _, _ := strings.Cut(name, ".")
	if device(stem) {
		name = "_" + name
	}
	if name = shorten(name, maxSafeName); name == "" {
		return "unnamed"
	}
	return name
}

// unseen reports whether a character is not seen itself and may change how a name looks, such as an override of the
// direction, which makes "exe.txt" of "txt.exe".
func unseen(r rune) bool { return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp) }

func device(stem string) bool {
	switch stem = strings.ToUpper(strings.TrimRight(stem, " ")); stem {
	case "CON", "PRN", "AUX", "NUL":
		return true
	}
	return len(stem) == 4 && (stem[:3] == "COM" || stem[:3] == "LPT") && stem[3] >= '0' && stem[3] <= '9'
}

// shorten cuts a name to n bytes between two characters and keeps an extension of usual length.
func shorten(name string, n int) string {
	if len(name) <= n {
		return name
	}
	extension := path.Ext(name)
	if len(extension) > 12 {
		extension = ""
	}
	stem := name[:n-len(extension)]
	for len(stem) > 0 && name[len(stem)]&0xC0 == 0x80 {
		stem = stem[:len(stem)-1]
	}
	return strings.TrimRight(stem, " .") + extension
}

// Sum is the SHA-256 of b in lower-case hexadecimal, as all files of evidence name it.
func Sum(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
