package procs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"
)

// initialized reports whether Main or Init has run in this process.
func initialized() bool { return initRan.Load() }

var initRan atomic.Bool

// Init makes a program able to have children. Call it first thing in main, or
// in TestMain, if you do not use Main.
//
// In a child, Init runs the function that the child was started for, and does
// not return: the process ends with it. Elsewhere it only notes that it was
// called. A second call does nothing.
func Init() {
	registry.Lock()
	registry.closed = true
	registry.Unlock()
	if !initRan.CompareAndSwap(false, true) {
		return
	}
	if summons.isChild {
		runChild(summons.value)
	}
}

// summons is what made this process a child. It is taken out of the environment,
// and the descriptors that came with it are kept from programs that this process
// may start, while this package is initialized, hence before every package that
// imports it. Packages that know nothing of this one may be initialized earlier:
// a program that one of those starts at that time inherits all, and takes itself
// for the child if it is this program.
var summons = func() (s struct {
	value   string
	isChild bool
}) {
	if s.value, s.isChild = os.LookupEnv(envelopeKey); s.isChild {
		os.Unsetenv(envelopeKey)
		withhold(s.value)
	}
	return s
}()

// Main is the whole main function of a program that has children:
//
//	func main() { procs.Main(run) }
//
// In a child it runs the function that the child was started for, and does not
// return. Elsewhere it calls run. The context ends, with the cause
// ErrTerminated, at the first SIGINT or SIGTERM, which also asks all children
// to end: SIGTERM, their grace, SIGKILL. A second signal kills everything at
// once; one that comes within 200 ms of the first says the same again, as that
// of timeout(1), which signals a process and then the whole group.
//
// When run has returned, Main ends the daemons (SIGTERM, their grace, SIGKILL)
// and waits for the other children; the context goes on meanwhile. A goroutine
// that run has left behind can start no more daemons then, and after a signal no
// children at all: Start returns ErrEnding. Children that ended badly and that nobody
// joined are named on standard error. If run returned an error Main prints it
// and exits with code 1; if the error is that of the ended context, the
// process dies of the signal, as a shell expects it to. Otherwise Main returns.
//
// If run panics or calls os.Exit the children notice that their parent is
// gone: see ErrParentDied.
func Main(run func(ctx context.Context) error) {
	Init()
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := newSignals()
	signals.take()
	go func() {
		if _, ok := <-signals.ch; !ok {
			return
		}
		first := time.Now()
		cancel(ErrTerminated)
		family.ask()
		go family.end(context.Background(), true)
		for range signals.ch {
			if time.Since(first) > sameRequest {
				family.killAll()
				signals.die()
			}
		}
	}()
	err := run(ctx)
	family.finish()
	if signals.got() {
		family.end(context.Background(), true)
	}
	Shutdown(context.Background())
	family.reportFailures(signals.got())
	if err != nil && signals.got() && isCancellation(err) {
		signals.die()
	}
	signals.stop()
	cancel(nil)
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", filepath.Base(os.Args[0]), err)
		os.Exit(1)
	}
}

// sameRequest is how long after a signal another one is no second thought.
const sameRequest = 200 * time.Millisecond

// isCancellation reports whether err says no more than that the context ended.
func isCancellation(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, ErrTerminated) || errors.Is(err, ErrParentDied)
}
