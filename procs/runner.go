package procs

import "context"

// A Runner is a task that is a type: its fields are the arguments, its Run the
// function. It is what a subclass of Process with a run method is in Python.
type Runner interface {
	Run(ctx context.Context) error
}

// A RunnerFunction makes processes that run the Run method of a T. Make it with
// RegisterRunner, in a package variable.
type RunnerFunction[T Runner] struct {
	f *Function[T]
}

// RegisterRunner makes the Run method of T known under name. T is a struct, or
// a pointer to one if Run has a pointer receiver, as Register describes it.
//
//	type Task struct{ Name string }
//
//	func (t Task) Run(ctx context.Context) error { … }
//
//	var tasks = procs.RegisterRunner[Task]("task")
func RegisterRunner[T Runner](name string) *RunnerFunction[T] {
	return &RunnerFunction[T]{Register(name, func(ctx context.Context, t T) error { return t.Run(ctx) })}
}

// Process returns a process that will call t.Run once it is started, on a copy
// of t: what Run changes in it stays in the child.
func (r *RunnerFunction[T]) Process(t T, opts ...Option) *Process {
	return r.f.Process(t, opts...)
}
