// Lists the working directory: each file with its size, and the sum.
package main

import (
	"fmt"
	"os"
	"runtime/debug"
	"slices"

	submit "example.com/my-plugin/bindings/imports/aiohost_aio_submit"
	types "example.com/my-plugin/bindings/imports/aiohost_aio_types"

	witTypes "go.bytecodealliance.org/pkg/wit/types"
)

// How many requests are in flight at most. 64 keep a fast disk busy.
const inFlight = 64

// Go may collect garbage when it allocates, and the host asks it for memory in the midst of a call, when nothing else may be
// done. A plugin that runs for long calls runtime.GC() itself, between two calls.
func init() { debug.SetGCPercent(-1) }

// Never called: the program is built as a library.
func main() {}

// run is the entry, by the name that it has in wit/world.wit. 0 stands for success, and 1 for failure.
//
//go:wasmexport wasi:cli/run@0.2.0#run
func run() int32 {
	if err := list(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func list() error {
	// The directory to start from is none: the working directory, which is the first one that was granted.
	here := witTypes.None[*types.Dir]()
	outcome, err := take(".", submit.Readdir(here, "."))
	if err != nil {
		return err
	}
	names := outcome.Names()
	slices.Sort(names)
	var requests []*types.Request
	var bytes uint64
	for shown, name := range names {
		// A request returns at once: the host looks at some files while we print others.
		for len(requests) < min(len(names), shown+inFlight) {
			requests = append(requests, submit.Lstat(here, names[len(requests)]))
		}
		outcome, err := take(name, requests[shown])
		if err != nil {
			return err
		}
		switch status := outcome.Status(); status.Type {
		case types.FileType_RegularFile:
			fmt.Printf("%10d  %s\n", status.Size, name)
			bytes += status.Size
		case types.FileType_Directory:
			fmt.Printf("%10s  %s/\n", "-", name)
		default:
			fmt.Printf("%10s  %s\n", "-", name)
		}
	}
	fmt.Printf("%d entries, %d bytes\n", len(names), bytes)
	return nil
}

// take waits for a request and takes what it has come to.
func take(path string, request *types.Request) (types.Outcome, error) {
	defer request.Drop()
	result := request.Wait()
	if result.IsErr() {
		failure := result.Err()
		return types.Outcome{}, fmt.Errorf("%s: error code %d, errno %d", path, failure.Code, failure.Errno)
	}
	return result.Ok(), nil
}
