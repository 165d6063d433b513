// Writes MANIFEST.sha256: the SHA-256 of every regular file below the working directory, as sha256sum writes it.
//
// An ordinary Go program: a goroutine for each file, up to 64 at a time, each of which calls the host and waits. The package
// aio makes that of the host's requests.
package main

import (
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"manifest/aio"
)

const (
	manifest, temporary = "MANIFEST.sha256", "MANIFEST.sha256.tmp"
	inFlight            = 64
)

// Never called: the program is built as a library, since Go must be set up before the host asks it for memory.
func main() {}

// run is the entry, by the name that it has in wit/world.wit. 0 stands for success, and 1 for failure.
//
//go:wasmexport wasi:cli/run@0.2.0#run
func run() int32 {
	start := time.Now()
	entries, err := hashTree()
	if err == nil {
		err = writeFile(manifest, temporary, sumLines(entries))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	var bytes int64
	for _, entry := range entries {
		bytes += entry.size
	}
	fmt.Printf("%d files, %d bytes, %.3f s\n", len(entries), bytes, time.Since(start).Seconds())
	return 0
}

// hashTree hashes every file, or returns the first error.
func hashTree() (entries []entry, failed error) {
	var group sync.WaitGroup
	places := make(chan struct{}, inFlight) // One is taken by each goroutine.
	// There is a single thread, so that goroutines may share these variables without a lock.
	for directories := []string{"."}; len(directories) > 0 && failed == nil; {
		directory := directories[len(directories)-1]
		directories = directories[:len(directories)-1]
		scan, err := aio.Scandir(directory)
		if err != nil {
			failed = err // The scan is empty, and the loop ends.
		}
		for _, name := range scan.Directories {
			directories = append(directories, below(directory, name))
		}
		for _, name := range scan.Others {
			places <- struct{}{}
			group.Go(func() {
				defer func() { <-places }()
				if found, err := hashFile(below(directory, name)); err != nil {
					failed = err
				} else if found != nil {
					entries = append(entries, *found)
				}
			})
		}
	}
	group.Wait()
	return entries, failed
}

// hashFile returns nothing for anything but a regular file, for a symbolic link for instance.
func hashFile(path string) (*entry, error) {
	status, err := aio.Lstat(path)
	if err != nil || status.Type != aio.RegularFile || path == manifest || path == temporary {
		return nil, err
	}
	file, err := aio.Open(path, aio.Read|aio.NoFollow, 0)
	if err != nil {
		return nil, err
	}
	defer file.Drop()
	hash := sha256.New()
	size, err := io.Copy(hash, file)
	return &entry{path: rawPath(path), hash: hash.Sum(nil), size: size}, err
}

func below(directory, name string) string {
	if directory == "." {
		return name
	}
	return directory + "/" + name
}
