package main

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"

	"manifest/aio"
)

// An entry is a file and its hash.
type entry struct {
	path string // Its bytes; need not be UTF-8.
	hash []byte
	size int64
}

// rawPath gives the bytes of a path. The host gives each byte that is not UTF-8, 0x80 to 0xFF, as a character from U+F780 to
// U+F7FF.
func rawPath(path string) string {
	var raw strings.Builder
	for _, character := range path {
		if 0xF780 <= character && character <= 0xF7FF {
			raw.WriteByte(byte(character))
		} else {
			raw.WriteRune(character)
		}
	}
	return raw.String()
}

// sumLines makes a line for each file. Three characters are escaped, and a backslash at the start of the line tells so.
func sumLines(entries []entry) []byte {
	slices.SortFunc(entries, func(a, b entry) int { return cmp.Compare(a.path, b.path) })
	escape := strings.NewReplacer("\\", "\\\\", "\n", "\\n", "\r", "\\r")
	var text bytes.Buffer
	for _, entry := range entries {
		path := escape.Replace(entry.path)
		if path != entry.path {
			text.WriteByte('\\')
		}
		fmt.Fprintf(&text, "%x  %s\n", entry.hash, path)
	}
	return text.Bytes()
}

// writeFile writes a file under another name and renames it, so that nobody ever sees half of it.
func writeFile(path, temporary string, text []byte) error {
	file, err := aio.Open(temporary, aio.Write|aio.Create|aio.Truncate|aio.NoFollow, 0o666)
	if err != nil {
		return err
	}
	if _, err := file.Write(text); err != nil {
		return err
	}
	if err := file.Sync(); err != nil {
		return err
	}
	if err := file.Close(); err != nil {
		return err
	}
	return aio.Rename(temporary, path)
}
