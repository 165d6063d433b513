// Works in a tree of its own with what the standard library has for files, and prints what it finds: the same on each system.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const (
	folders = 20
	files   = 150
)

// must gives up with what went wrong.
func must(err error) {
	if err != nil {
		fmt.Println("unexpected:", err)
		os.Exit(3)
	}
}

// kind tells an error in words that are the same on each system.
func kind(err error) string {
	switch {
	case err == nil:
		return "fine"
	case errors.Is(err, fs.ErrNotExist):
		return "not there"
	case errors.Is(err, fs.ErrExist):
		return "there already"
	}
	return "refused"
}

func plant() {
	for folder := range folders {
		path := filepath.Join("tree", fmt.Sprintf("folder %d", folder))
		must(os.MkdirAll(path, 0o777))
		for file := range files {
			name := filepath.Join(path, fmt.Sprintf("file %d", file))
			must(os.WriteFile(name, []byte(strings.Repeat(fmt.Sprintf("%d/%d\n", folder, file), file)), 0o666))
		}
	}
}

// walk prints how many entries there are, and a sum over their names, sizes and contents in order.
func walk(what string) {
	sum, entries, bytes := crc32.NewIEEE(), 0, int64(0)
	must(filepath.WalkDir("tree", func(path string, entry fs.DirEntry, err error) error {
		must(err)
		entries++
		fmt.Fprintln(sum, path, entry.IsDir(), entry.Type())
		if !entry.Type().IsRegular() {
			return nil
		}
		info, err := entry.Info()
		must(err)
		file, err := os.Open(path)
		must(err)
		defer file.Close()
		copied, err := io.Copy(sum, file)
		must(err)
		if copied != info.Size() {
			fmt.Println(path, "has", copied, "bytes of", info.Size())
		}
		bytes += copied
		return nil
	}))
	fmt.Printf("%s: %d entries, %d bytes, %08x\n", what, entries, bytes, sum.Sum32())
}

func rename() {
	must(os.Rename("tree/folder 1", "tree/moved"))
	must(os.Rename("tree/folder 2/file 3", "tree/moved/file 4"))
	fmt.Println("onto a full folder:", os.Rename("tree/folder 3", "tree/folder 4") != nil)
	fmt.Println("what is not there:", kind(os.Rename("tree/none", "tree/some")))
	fmt.Println("a folder that is there:", kind(os.Mkdir("tree/moved", 0o777)))
	fmt.Println("a full folder:", os.Remove("tree/moved") != nil)
	must(os.Symlink("folder 5/file 6", "tree/link"))
	target, err := os.Readlink("tree/link")
	must(err)
	through, err := os.Stat("tree/link")
	must(err)
	itself, err := os.Lstat("tree/link")
	must(err)
	fmt.Println("link:", target, through.Size(), itself.Mode()&fs.ModeSymlink != 0)
	must(os.Link("tree/folder 5/file 6", "tree/hard"))
	hard, err := os.Stat("tree/hard")
	must(err)
	fmt.Println("the same file:", os.SameFile(hard, through))
}

// temporary makes files with names that are free, and a folder that is emptied while it is read.
func temporary() {
	dir, err := os.MkdirTemp(".", "temporary-*")
	must(err)
	names := map[string]bool{}
	for range 500 {
		file, err := os.CreateTemp(dir, "part-*.tmp")
		must(err)
		names[file.Name()] = true
		must(file.Close())
	}
	listed, err := os.ReadDir(dir)
	must(err)
	open, err := os.Open(dir)
	must(err)
	removed := 0
	for {
		some, err := open.ReadDir(7)
		for _, entry := range some {
			must(os.Remove(filepath.Join(dir, entry.Name())))
			removed++
		}
		if err == io.EOF {
			break
		}
		must(err)
	}
	must(open.Close())
	fmt.Println("temporary:", len(names), len(listed), removed, kind(os.Remove(dir)))
}

func positions() {
	file, err := os.OpenFile("log", os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o666)
	must(err)
	_, again := os.OpenFile("log", os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o666)
	fmt.Println("exclusively:", kind(again))
	writer := bufio.NewWriter(file)
	for line := range 50_000 {
		fmt.Fprintf(writer, "line %d\n", line)
	}
	must(writer.Flush())
	_, err = file.WriteAt([]byte("LINE"), 7)
	must(err)
	must(file.Truncate(300_000))
	end, err := file.Seek(0, io.SeekEnd)
	must(err)
	_, err = file.Seek(-10, io.SeekCurrent)
	must(err)
	tail, err := io.ReadAll(file)
	must(err)
	must(file.Sync())
	must(file.Close())
	appended, err := os.OpenFile("log", os.O_WRONLY|os.O_APPEND, 0)
	must(err)
	_, err = appended.WriteString("the end\n")
	must(err)
	must(appended.Close())
	moment := time.Unix(981173106, 789_000_000)
	must(os.Chtimes("log", moment, moment))
	info, err := os.Stat("log")
	must(err)
	whole, err := os.ReadFile("log")
	must(err)
	fmt.Printf("log: %d, %q, %d, %08x, %d\n", end, tail, info.Size(), crc32.ChecksumIEEE(whole), info.ModTime().UnixNano())
}

func main() {
	plant()
	walk("planted")
	rename()
	walk("renamed")
	temporary()
	positions()
	must(os.RemoveAll("tree/folder 0"))
	walk("removed")
	os.Exit(9)
}
