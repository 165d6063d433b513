// Package aio gives the requests of the host as Go functions: each waits for its result, while other goroutines go on.
//
// It is made of the interface submit, whose functions return a request at once. The interface requests, of WASI 0.3, would need
// a Go runtime that can tell the host that it is idle, which Go 1.27 can't.
package aio

import (
	"fmt"
	"io"

	witTypes "go.bytecodealliance.org/pkg/wit/types"
	submit "manifest/bindings/imports/aiohost_aio_submit"
	types "manifest/bindings/imports/aiohost_aio_types"
)

const (
	RegularFile = types.FileType_RegularFile
	Read        = types.OpenFlags_Read
	Write       = types.OpenFlags_Write
	Create      = types.OpenFlags_Create
	Truncate    = types.OpenFlags_Truncate
	NoFollow    = types.OpenFlags_NoFollow
)

// How many bytes are read or written at a time.
const piece = 128 * 1024

// A path is relative to the working directory here: no other directory is given to start from.
func here() witTypes.Option[*types.Dir] { return witTypes.None[*types.Dir]() }

// Scandir returns the names in a directory.
func Scandir(path string) (types.Scan, error) {
	outcome, err := await(path, submit.Scandir(here(), path, 0))
	if err != nil {
		return types.Scan{}, err
	}
	return outcome.Scan(), nil
}

// Lstat returns the status of what a path names.
func Lstat(path string) (types.Status, error) {
	outcome, err := await(path, submit.Lstat(here(), path))
	if err != nil {
		return types.Status{}, err
	}
	return outcome.Status(), nil
}

// Rename gives a file another name.
func Rename(from, to string) error {
	_, err := await(to, submit.Rename(here(), from, here(), to))
	return err
}

// A File is open, until Close or Drop. It has a position.
type File struct {
	path   string
	handle *types.File
}

// Open opens a regular file.
func Open(path string, flags types.OpenFlags, mode uint16) (*File, error) {
	outcome, err := await(path, submit.Open(here(), path, flags, mode))
	if err != nil {
		return nil, err
	}
	return &File{path, outcome.File()}, nil
}

// WriteTo is what io.Copy calls: it hands on each piece as the host has put it into memory, without a buffer in between.
func (file *File) WriteTo(to io.Writer) (size int64, err error) {
	for {
		outcome, err := await(file.path, submit.Read(file.handle, witTypes.None[uint64](), piece))
		if err != nil || len(outcome.Data()) == 0 {
			return size, err
		}
		written, err := to.Write(outcome.Data())
		size += int64(written)
		if err != nil {
			return size, err
		}
	}
}

// Read is a part of io.Reader.
func (file *File) Read(buffer []byte) (int, error) {
	outcome, err := await(file.path, submit.Read(file.handle, witTypes.None[uint64](), uint32(len(buffer))))
	if err != nil {
		return 0, err
	}
	if len(outcome.Data()) == 0 && len(buffer) > 0 {
		return 0, io.EOF
	}
	return copy(buffer, outcome.Data()), nil
}

// Write writes all of the data.
func (file *File) Write(data []byte) (written int, err error) {
	for written < len(data) {
		rest := data[written:min(len(data), written+piece)]
		outcome, err := await(file.path, submit.Write(file.handle, witTypes.None[uint64](), rest))
		if err != nil {
			return written, err
		}
		written += int(outcome.Count())
	}
	return written, nil
}

// Sync brings what was written to the device.
func (file *File) Sync() error {
	_, err := await(file.path, submit.Fdatasync(file.handle))
	return err
}

// Close closes the file, and tells whether what was written to it is safe with the file system.
func (file *File) Close() error {
	_, err := await(file.path, submit.Close(file.handle))
	return err
}

// Drop closes the file without waiting and without a report: for files that were only read.
func (file *File) Drop() { file.handle.Drop() }

// An Error is why a request failed.
type Error struct {
	Path  string
	Code  types.ErrorCode
	Errno uint32
}

func (err *Error) Error() string {
	return fmt.Sprintf("%s: error code %d, errno %d", err.Path, err.Code, err.Errno)
}
