package procs

import (
	"context"
	"fmt"
	"sync"
)

// A Process is a child of this process: not yet started, running or ended. It
// is made by the Process method of a registered function. All its methods may
// be called by several goroutines at once.
//
// A Process belongs to the process that made it and cannot be sent to another.
type Process struct {
	name     string
	set      settings
	function string

	mu     sync.Mutex
	state  processState
	run    func(ctx context.Context) error // nil once started: what the arguments hold can be freed
	encode func() ([]byte, error)          // likewise
	child  *child                          // from Start on; nil for Current
	pid    int

	done  chan struct{} // closed when the process has ended and everything of it is known
	asked bool          // this process sent it a signal
	out   outcome       // written before done is closed
}

// A processState is where a Process is in its life. It only moves forward.
type processState uint8

const (
	created processState = iota
	ran                  // Run was called: it cannot be joined
	started              // Start was called and the child exists
	ended                // the child has been reaped
	closed               // Close was called
	current              // this very process
)

// An outcome is what is known of a process that has ended.
type outcome struct {
	code   int
	err    error
	result []byte
	has    bool // result was given
}

func newProcess(e *entry, run func(context.Context) error, encode func() ([]byte, error), opts []Option) *Process {
	p := &Process{function: e.name, run: run, encode: encode, done: make(chan struct{})}
	p.set.grace = defaultGrace
	p.set.daemon = self().daemon
	for _, o := range opts {
		o(&p.set)
	}
	if p.name = p.set.name; p.name == "" {
		p.name = e.nextName()
	}
	return p
}

// Start starts the process and returns as soon as the kernel has loaded the
// program. At most one Start succeeds. Errors: ErrNoMain, ErrStarted,
// ErrClosed, ErrDaemonicChildren, ErrEnding; arguments that cannot be sent, with the path
// of the field; what the kernel says. After an error no child is left behind,
// and Start may be tried again; but the ends of pipes (mpqueue.Conn) in the
// arguments are lost, unless Keep was called, if it failed after they had been
// given away, which is the last that is done before the kernel is asked for a
// process. A folder, a file or a descriptor that is missing is found before that.
func (p *Process) Start() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch p.state {
	case closed:
		return p.wrap("start", ErrClosed)
	case created:
	default:
		return p.wrap("start", ErrStarted)
	}
	if !initialized() {
		return p.wrap("start", ErrNoMain)
	}
	if self().daemon {
		return p.wrap("start", ErrDaemonicChildren)
	}
	if family.refuses(p.set.daemon) {
		return p.wrap("start", ErrEnding)
	}
	if attend := self().attend; attend != nil {
		attend() // from now on there is somebody to pass them on to
	}
	c, err := startChild(p)
	if err != nil {
		return p.wrap("start", err)
	}
	p.state, p.child, p.pid = started, c, c.pid
	p.run, p.encode = nil, nil
	family.add(p)
	go p.reap(c)
	return nil
}

// Run runs the function in this process, as Python's run does, and returns its
// error. No process is started: Join returns ErrNotStarted afterwards. Run may
// be called several times, but not after Start (ErrStarted) or Close
// (ErrClosed).
func (p *Process) Run(ctx context.Context) error {
	p.mu.Lock()
	switch p.state {
	case created, ran:
	case closed:
		p.mu.Unlock()
		return p.wrap("run", ErrClosed)
	default:
		p.mu.Unlock()
		return p.wrap("run", ErrStarted)
	}
	p.state = ran
	run := p.run
	p.mu.Unlock()
	return run(ctx)
}

// Join waits until the process has ended. It returns nil if the process ended
// well (exit code 0); *RemoteError if its function returned an error or
// panicked; *ExitError if it was killed by a signal or called os.Exit;
// ErrNotStarted before Start and after Run; ErrClosed after Close.
//
// When ctx is done first, Join returns an error that is ctx.Err() and
// context.Cause(ctx), and the process goes on. No error of the child is ever
// one of these. If ctx is done already, Join reports a process that has ended
// and does not wait for one that runs.
//
// A living grandchild does not delay Join. Any number of goroutines may join.
func (p *Process) Join(ctx context.Context) error {
	p.mu.Lock()
	state := p.state
	p.mu.Unlock()
	switch state {
	case started, ended:
	case closed:
		return p.wrap("join", ErrClosed)
	default:
		return p.wrap("join", ErrNotStarted)
	}
	select {
	case <-p.done:
	default:
		select {
		case <-p.done:
		case <-ctx.Done():
			err, cause := ctx.Err(), context.Cause(ctx)
			if cause == err {
				return p.wrap("join", err)
			}
			return p.wrap("join", fmt.Errorf("%w: %w", err, cause))
		}
	}
	if p.out.err != nil {
		family.joined(p)
	}
	return p.out.err
}

// Alive reports whether the process has been started and has not ended. Once
// Done is closed it is false for ever.
func (p *Process) Alive() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.state == started || p.state == current
}

// Terminate asks the process to end (SIGTERM): its context ends with
// ErrTerminated, and after its grace the process dies by the signal. A function
// that has not looked at its context until then, and has no children, dies at
// once. Terminate does not wait.
//
// Locks that the process holds go to the next one in line, and queues that it
// was using work on. A process that has ended is left alone, and that is no
// error; before Start the error is ErrNotStarted, after Close ErrClosed.
func (p *Process) Terminate() error { return p.signal("terminate", false) }

// Kill ends the process at once (SIGKILL). Otherwise it is as Terminate.
func (p *Process) Kill() error { return p.signal("kill", true) }

func (p *Process) signal(operation string, force bool) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch p.state {
	case started:
		p.asked = true
		return p.wrap(operation, p.child.signal(force, p.set.group))
	case ended:
		return nil
	case closed:
		return p.wrap(operation, ErrClosed)
	case current:
		return p.wrap(operation, fmt.Errorf("this is the current process"))
	default:
		return p.wrap(operation, ErrNotStarted)
	}
}

// Close declares that the process object is no longer needed: every operation
// but Name, PID, Daemon and Close then returns ErrClosed, Alive is false and
// ExitCode unknown. While the process runs, Close does nothing and returns
// ErrRunning. A process that is never closed leaks nothing: its descriptors
// are freed when it ends.
func (p *Process) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch p.state {
	case started, current:
		return p.wrap("close", ErrRunning)
	}
	p.state = closed
	p.run, p.encode, p.child = nil, nil, nil
	return nil
}

// ExitCode returns how the process ended: the code that it gave to os.Exit, 0
// if its function returned nil, 1 if it returned an error, 2 after a panic, −N
// if signal N killed it. ok is false until it has ended, and after Close.
func (p *Process) ExitCode() (code int, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.state != ended {
		return 0, false
	}
	return p.out.code, true
}

// Name returns the name of the process: that of the option Name, or else the
// name of its function and a number.
func (p *Process) Name() string { return p.name }

// PID returns the process id, 0 before Start.
func (p *Process) PID() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.pid
}

// Daemon reports whether the process is a daemon. See the option Daemon.
func (p *Process) Daemon() bool { return p.set.daemon }

// AuthKey returns the authentication key of the process: 32 random bytes that
// the first process of a family makes and all its descendants inherit, unless
// the option AuthKey gave it another one. Two processes that prove to each
// other that they know the key, as both ends of a network connection, are of
// one family. The key is in no argument list and no environment, no method
// prints it and no codec sends it along with a Process.
// The bytes are a copy.
func (p *Process) AuthKey() []byte {
	if p.set.authKey != nil {
		return append([]byte(nil), p.set.authKey...)
	}
	return append([]byte(nil), self().authKey()...)
}

// Done returns a channel that is closed when the process has ended: it has
// been reaped, its exit code is known, its output has been written, and the
// locks and queue slots that it held in segments which this process has open
// have been released. It is closed once, without polling. Before Start it
// is the same channel.
func (p *Process) Done() <-chan struct{} { return p.done }

// outcomeResult returns the bytes of the result of a process that has ended.
func (p *Process) outcomeResult() ([]byte, bool) { return p.out.result, p.out.has }

// wrap adds operation and name to err, which may be nil.
func (p *Process) wrap(operation string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("procs: %s %s: %w", operation, p.name, err)
}

// String returns, for example, "cook-1 (pid 4711, running)".
func (p *Process) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch p.state {
	case created:
		return p.name + " (not started)"
	case ran:
		return p.name + " (run here)"
	case ended:
		return fmt.Sprintf("%s (pid %d, exit code %d)", p.name, p.pid, p.out.code)
	case closed:
		return p.name + " (closed)"
	default:
		return fmt.Sprintf("%s (pid %d, running)", p.name, p.pid)
	}
}

// Format writes what String returns, for every verb, so that no verb prints
// the fields and the key among them.
func (p *Process) Format(f fmt.State, verb rune) {
	if p == nil {
		fmt.Fprint(f, "<nil>")
		return
	}
	fmt.Fprint(f, p.String())
}
