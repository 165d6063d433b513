package aio

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"

	witRuntime "go.bytecodealliance.org/pkg/wit/runtime"
	control "manifest/bindings/imports/aiohost_aio_control"
	types "manifest/bindings/imports/aiohost_aio_types"
)

// Go may collect garbage when it allocates, and the host asks it for memory in the midst of a call, when nothing else may be
// done. So the collector is called by hand, between two calls.
func init() { debug.SetGCPercent(-1) }

// The heap may grow by so much before garbage is collected.
const garbageMax = 64 << 20

// The goroutines that wait, by the number of their request. There is a single thread: no lock is needed.
var waiting = map[uint64]chan struct{}{}

// await waits for a request, while other goroutines go on.
func await(path string, request *types.Request) (types.Outcome, error) {
	defer request.Drop()
	done := make(chan struct{})
	waiting[request.Id()] = done
	if len(waiting) == 1 {
		go wakeAll()
	}
	<-done
	result := request.Wait() // It is done, and returns at once.
	witRuntime.Unpin()       // The result is in Go's hands.
	if result.IsErr() {
		failure := result.Err()
		return types.Outcome{}, &Error{path, failure.Code, failure.Errno}
	}
	return result.Ok(), nil
}

// wakeAll wakes the goroutines whose requests are done, until none waits.
func wakeAll() {
	for len(waiting) > 0 {
		// Others may have more to submit: the host is waited for when they all wait.
		runtime.Gosched()
		for _, id := range control.WaitAny() {
			close(waiting[id])
			delete(waiting, id)
		}
		witRuntime.Unpin()
		collectGarbage()
	}
}

var heap = []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
var heapAfterCollection uint64

func collectGarbage() {
	metrics.Read(heap)
	if heap[0].Value.Uint64() < heapAfterCollection+garbageMax {
		return
	}
	runtime.GC()
	metrics.Read(heap)
	heapAfterCollection = heap[0].Value.Uint64()
}
