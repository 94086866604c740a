package procs

import (
	"context"
	"fmt"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"shmkit/procs/internal/wire"
	"shmkit/shm/fault"
)

// withhold keeps all descriptors that were meant for this child from the programs
// that it starts. The envelope, whose number value is, is the last of them.
func withhold(value string) {
	const most = 1 << 20 // the kernel gives no higher numbers unless it is told to
	last, err := strconv.Atoi(value)
	if err != nil || last < 3 {
		return // runChild complains
	}
	if closeRange(3, uint(last), unix.CLOSE_RANGE_CLOEXEC) == nil {
		return
	}
	for fd := 3; fd <= min(last, most); fd++ { // kernel before 5.11
		unix.CloseOnExec(fd)
	}
}

// closeRange is replaced by the test of the way without.
var closeRange = unix.CloseRange

// runChild is the life of a child. It does not return.
func runChild(value string) {
	fd, err := strconv.Atoi(value)
	var head heading
	var body []byte
	if err == nil {
		head, body, err = unseal(fd)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "procs: %s=%s is set, but leads to no envelope: %v\n", envelopeKey, value, err)
		os.Exit(1)
	}
	unix.Close(fd)
	r := report{head.Report}
	if id := buildID(); head.Build != id {
		r.finish(lastWords{Code: 1, Reason: "other build",
			Message: fmt.Sprintf("%v: its file is %s, that of its parent is %s", ErrOtherBuild, id, head.Build)})
		os.Exit(1)
	}
	var e envelope
	if err := wire.Unmarshal(body, &e); err != nil {
		fmt.Fprintf(os.Stderr, "procs: the envelope cannot be read: %v\n", err)
		os.Exit(1)
	}
	if fault.Enabled {
		fault.Point("procs.init.opened")
	}
	parent := &ParentProcess{name: e.ParentName, pid: e.ParentPID, done: make(chan struct{})}
	me.Store(&identity{name: e.Name, daemon: e.Daemon, parent: parent, key: e.AuthKey, ready: e.Ready})
	setProcessName(e.Name)
	for _, h := range e.Handles {
		adoptHandle(h.ID, os.NewFile(uintptr(h.FD), "shared object"))
	}
	if fault.Enabled {
		fault.Point("procs.init.adopted")
	}
	if err := r.begin(); err != nil {
		fmt.Fprintf(os.Stderr, "procs: %s: %v\n", e.Name, err)
		os.Exit(1)
	}

	requests := newSignals()
	self().attend = requests.take
	inner, cancel := context.WithCancelCause(context.Background())
	ctx := attentive{inner, requests.take}
	go watchLifeline(e.Lifeline, parent.done)
	returned := make(chan struct{})
	go obey(&e, cancel, requests, parent, returned)

	endings := make(chan ending)
	go perform(ctx, &e, endings)
	end := <-endings
	family.finish()
	close(returned)
	if requests.got() {
		family.end(context.Background(), true)
	}
	// Children are waited for, but not by an orphan: they become orphans in
	// turn, learn of it by their lifelines and are as free as this process was.
	wait, stop := context.WithCancel(context.Background())
	go func() {
		<-parent.done
		stop()
	}()
	Shutdown(wait)
	family.reportFailures(requests.got())
	if end.canceled && requests.got() {
		requests.die()
	}
	if err := r.finish(end.words); err != nil {
		fmt.Fprintf(os.Stderr, "procs: %s: cannot report its end: %v\n", e.Name, err)
		os.Exit(max(end.words.Code, 1))
	}
	if fault.Enabled {
		fault.Point("procs.end.reported")
	}
	os.Exit(end.words.Code)
}

// An attentive context takes over the signals that ask the process to end when
// it is looked at for the first time. A function that never looks at its
// context cannot be asked, so for it SIGTERM is what it is for any program: the
// end, at once. It also saves such a function the price of taking over signals,
// which is a tenth of that of starting a process.
type attentive struct {
	context.Context
	attend func()
}

// Done is that of the context.
func (a attentive) Done() <-chan struct{} {
	a.attend()
	return a.Context.Done()
}

// Err is that of the context.
func (a attentive) Err() error {
	a.attend()
	return a.Context.Err()
}

// obey ends the context of this child when it is asked to end or when its
// parent dies, and the child itself if it must and its function has not returned
// within its grace.
func obey(e *envelope, cancel context.CancelCauseFunc, requests *signals, parent *ParentProcess, returned <-chan struct{}) {
	gone := parent.done
	for {
		select {
		case <-requests.ch:
			cancel(e.causeOfRequest(parent))
			family.ask()
			go family.end(context.Background(), true)
		case <-gone:
			cancel(ErrParentDied)
			if !e.Daemon && !e.EndWithParent {
				gone = nil // it may go on, but can still be asked to end
				continue
			}
		}
		select {
		case <-time.After(e.Grace):
		case <-returned:
			// The grace was that of the function. What is left is the
			// children, and each has its own, and a few words to
			// report, for which standard error may make us wait.
			if requests.got() {
				family.ask()
				family.end(context.Background(), true)
				family.join(context.Background())
			}
			time.Sleep(e.Grace + patience)
		}
		family.killAll()
		requests.die()
	}
}

// An ending is how the function of a child ended.
type ending struct {
	words    lastWords
	canceled bool // the error says no more than that the context ended
}

// perform calls the function and sends its ending, whichever way it leaves.
func perform(ctx context.Context, e *envelope, endings chan<- ending) {
	f := lookup(e.Function)
	if f == nil {
		endings <- ending{words: lastWords{Code: 1, Reason: "not registered", Message: fmt.Sprintf("%v: %q", ErrNotRegistered, e.Function)}}
		return
	}
	// What stands here is true if the function neither returns nor panics.
	end := ending{words: lastWords{Code: 1, Message: "the function ended its goroutine by runtime.Goexit"}}
	defer func() {
		if value := recover(); value != nil {
			stack := panicStack()
			end.words = lastWords{Code: 2, Panic: true, Message: fmt.Sprint(value), Stack: stack}
			fmt.Fprintf(os.Stderr, "procs: %s (pid %d): panic: %v\n\n%s\n", e.Name, os.Getpid(), value, stack)
		}
		endings <- end
	}()
	result, err := f.call(ctx, e.Args)
	if err != nil {
		end = ending{words: lastWords{Code: 1, Message: err.Error()}, canceled: isCancellation(err)}
		return
	}
	end = ending{words: lastWords{Has: result != nil, Result: result}}
}

// panicStack returns the stack of the goroutine that panics, from the function
// that called panic upwards: what recovers it is of no interest.
func panicStack() string {
	stack := string(debug.Stack())
	head, frames, _ := strings.Cut(stack, "\n")
	if i := strings.Index(frames, "\npanic("); i >= 0 {
		frames = frames[i+1:]
		for range 2 { // the call of panic, and where it is
			_, frames, _ = strings.Cut(frames, "\n")
		}
	}
	return head + "\n" + strings.TrimSpace(frames)
}
