package procs

import (
	"os"
	"os/signal"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// signals are the requests to end that reach this process.
type signals struct {
	in   chan os.Signal
	ch   chan os.Signal // what came in, after it was noted
	last atomic.Int32   // the first signal, 0: none
	once sync.Once
}

func newSignals() *signals {
	return &signals{in: make(chan os.Signal, 8), ch: make(chan os.Signal, 8)}
}

// take takes over SIGTERM, and SIGINT unless the process was started with it
// ignored, as a shell starts what runs in the background. When it returns they
// no longer kill. Only the first call does anything.
func (s *signals) take() {
	s.once.Do(func() {
		go s.note()
		if signal.Ignored(syscall.SIGINT) {
			signal.Notify(s.in, syscall.SIGTERM)
			return
		}
		signal.Notify(s.in, syscall.SIGTERM, syscall.SIGINT)
	})
}

func (s *signals) note() {
	defer close(s.ch)
	for sig := range s.in {
		s.last.CompareAndSwap(0, int32(sig.(syscall.Signal)))
		s.ch <- sig
	}
}

// got reports whether a signal came.
func (s *signals) got() bool { return s.last.Load() != 0 }

// stop gives the signals back.
func (s *signals) stop() {
	signal.Stop(s.in)
	close(s.in)
}

// die ends this process by the signal that came, or by SIGTERM, so that its
// parent sees why.
func (s *signals) die() {
	sig := syscall.Signal(s.last.Load())
	if sig == 0 {
		sig = syscall.SIGTERM
	}
	signal.Notify(s.in, sig) // in case the program ignores it, which Reset alone does not end
	signal.Reset(sig)
	// To this thread, which dies of it on its way back from the call. One for the
	// whole process may go to a thread that has to wait for a processor.
	runtime.LockOSThread()
	unix.Tgkill(os.Getpid(), unix.Gettid(), sig)
	time.Sleep(100 * time.Millisecond)
	os.Exit(128 + int(sig))
}
