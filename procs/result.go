package procs

import (
	"context"
	"fmt"
	"reflect"
	"sync/atomic"

	"shmkit/procs/internal/wire"
)

// A ResultFunction is a function with a result that processes can run. Make it
// with RegisterFunc, in a package variable.
type ResultFunction[In, Out any] struct {
	entry *entry
	run   func(ctx context.Context, in In) (Out, error)
}

// RegisterFunc is Register for a function with a result. In and Out are types
// as Register describes them. A handle in the result leads to its object only
// if the parent or another living process has that object too: what a child
// made and nobody else opened ends with the child.
func RegisterFunc[In, Out any](name string, f func(ctx context.Context, in In) (Out, error)) *ResultFunction[In, Out] {
	return &ResultFunction[In, Out]{run: f, entry: register(name, f == nil, func(ctx context.Context, args []byte) ([]byte, error) {
		in, err := decodeArgs[In](args)
		if err != nil {
			return nil, err
		}
		out, err := f(ctx, in)
		if err != nil {
			return nil, err
		}
		data, err := wire.Marshal(out, reflect.TypeFor[Out]())
		if err != nil {
			return nil, fmt.Errorf("result %w", err)
		}
		return append([]byte{}, data...), nil // never nil: there is a result
	})}
}

// Process returns a process that will run the function with in once it is
// started.
func (f *ResultFunction[In, Out]) Process(in In, opts ...Option) *ResultProcess[Out] {
	r := &ResultProcess[Out]{}
	r.Process = newProcess(f.entry, func(ctx context.Context) error {
		out, err := f.run(ctx, in)
		if err == nil {
			r.local.Store(&out)
		}
		return err
	}, func() ([]byte, error) { return encodeArgs(in) }, opts)
	return r
}

// A ResultProcess is a process whose function has a result.
type ResultProcess[Out any] struct {
	*Process
	local atomic.Pointer[Out] // of Run, in this process
}

// Result waits for the process as Join does and returns what its function
// returned. The error is that of Join, ErrNoResult if the process ended well
// by os.Exit(0), or a *HandleError of shm if a handle in the result leads to an
// object that ended with the child.
// After Run, Result returns the result of Run.
// Goroutines may share a ResultProcess; each call decodes a value of its own.
func (r *ResultProcess[Out]) Result(ctx context.Context) (Out, error) {
	var out Out
	if local := r.local.Load(); local != nil {
		return *local, nil
	}
	if err := r.Join(ctx); err != nil {
		return out, err
	}
	data, ok := r.outcomeResult()
	if !ok {
		return out, fmt.Errorf("procs: result of %s: %w", r.Name(), ErrNoResult)
	}
	if err := wire.Unmarshal(data, &out); err != nil {
		return out, fmt.Errorf("procs: result of %s: %w", r.Name(), err)
	}
	return out, nil
}
