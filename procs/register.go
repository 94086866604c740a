package procs

import (
	"context"
	"fmt"
	"reflect"
	"runtime"
	"strings"
	"sync"

	"shmkit/procs/internal/wire"
)

// A Function is a function that processes can run. Make it with Register, in a
// package variable, so that parent and child both know it.
type Function[A any] struct {
	entry *entry
	run   func(ctx context.Context, a A) error
}

// Register makes f known under name, so that a child can be told to run it.
// Call it in a package variable:
//
//	var cook = procs.Register("cook", func(ctx context.Context, a CookArgs) error { … })
//
// A is any type whose value means something in another process: numbers,
// strings, structs, slices, maps, pointers to such, and everything with a
// binary, text or gob marshaler, among them the handles of shared objects. What
// stands in an interface, such as an any, must be of a basic type, a []any or
// map[string]any of such, or of a type that gob.Register was given: for a handle
// that is its pointer, gob.Register(&mpqueue.Conn{}).
// Register panics if name is empty or taken or f is nil, and after Main or Init: the child
// runs its function there and never comes to a later Register.
func Register[A any](name string, f func(ctx context.Context, a A) error) *Function[A] {
	return &Function[A]{run: f, entry: register(name, f == nil, func(ctx context.Context, args []byte) ([]byte, error) {
		a, err := decodeArgs[A](args)
		if err != nil {
			return nil, err
		}
		return nil, f(ctx, a)
	})}
}

// Process returns a process that will run the function with a once it is
// started. Nothing happens yet: Start encodes a.
func (f *Function[A]) Process(a A, opts ...Option) *Process {
	return newProcess(f.entry,
		func(ctx context.Context) error { return f.run(ctx, a) },
		func() ([]byte, error) { return encodeArgs(a) }, opts)
}

// decodeArgs returns the arguments that encodeArgs put into data.
func decodeArgs[A any](data []byte) (a A, err error) {
	if err := wire.Unmarshal(data, &a); err != nil {
		return a, fmt.Errorf("argument %w", err)
	}
	self().handlesOpened()
	return a, nil
}

func encodeArgs[A any](a A) ([]byte, error) {
	data, err := wire.Marshal(a, reflect.TypeFor[A]())
	if err != nil {
		return nil, fmt.Errorf("argument %w", err)
	}
	return data, nil
}

// An entry is one registered function.
type entry struct {
	name    string
	where   string // file and line of its registration
	started int    // processes made of it by this process, for their names
	call    func(ctx context.Context, args []byte) (result []byte, err error)
}

var registry struct {
	sync.Mutex
	entries map[string]*entry
	closed  bool // Main or Init has run
}

// register adds a function; missing says that there is none. Its caller is what user code calls.
func register(name string, missing bool, call func(context.Context, []byte) ([]byte, error)) *entry {
	where := registrationSite()
	registry.Lock()
	defer registry.Unlock()
	switch other := registry.entries[name]; {
	case name == "":
		panic("procs: a function without a name is registered at " + where)
	case missing:
		panic(fmt.Sprintf("procs: nil is registered as the function %q at %s", name, where))
	case other != nil:
		panic(fmt.Sprintf("procs: %q is registered twice: at %s and at %s", name, other.where, where))
	case registry.closed:
		panic(fmt.Sprintf("procs: %q is registered at %s after procs.Main or procs.Init: a child would not know it. Register it in a package variable", name, where))
	}
	if registry.entries == nil {
		registry.entries = make(map[string]*entry)
	}
	e := &entry{name: name, where: where, call: call}
	registry.entries[name] = e
	return e
}

// registrationSite returns file and line of the first caller outside this
// package and procstest, which registers for its users.
func registrationSite() string {
	pcs := make([]uintptr, 16)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs)])
	for {
		frame, more := frames.Next()
		if !strings.HasPrefix(frame.Function, "shmkit/procs.") && !strings.HasPrefix(frame.Function, "shmkit/procs/procstest.") {
			return fmt.Sprintf("%s:%d", frame.File, frame.Line)
		}
		if !more {
			return "an unknown place"
		}
	}
}

// lookup returns the function of that name, or nil.
func lookup(name string) *entry {
	registry.Lock()
	defer registry.Unlock()
	return registry.entries[name]
}

// nextName returns the default name of the next process of e.
func (e *entry) nextName() string {
	registry.Lock()
	defer registry.Unlock()
	e.started++
	return fmt.Sprintf("%s-%d", e.name, e.started)
}
