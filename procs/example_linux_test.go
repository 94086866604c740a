package procs_test

import (
	"context"
	"errors"
	"fmt"

	"shmkit/procs"
)

var greet = procs.Register("greet", func(ctx context.Context, name string) error {
	fmt.Println(name, "is running")
	return nil
})

func Example() {
	run := func(ctx context.Context) error {
		p := greet.Process("Alex")
		if err := p.Start(); err != nil {
			return err
		}
		return p.Join(ctx)
	}
	// In a program: func main() { procs.Main(run) }
	fmt.Println(run(context.Background()))
	// Output:
	// Alex is running
	// <nil>
}

type order struct{ Count, Price int }

var bill = procs.RegisterFunc("bill", func(ctx context.Context, o order) (int, error) {
	if o.Count < 0 {
		return 0, errors.New("a negative order")
	}
	return o.Count * o.Price, nil
})

func ExampleRegisterFunc() {
	ctx := context.Background()
	for _, o := range []order{{3, 5}, {-1, 5}} {
		p := bill.Process(o)
		if err := p.Start(); err != nil {
			fmt.Println(err)
			return
		}
		total, err := p.Result(ctx)
		var remote *procs.RemoteError
		if errors.As(err, &remote) {
			fmt.Println("failed:", remote.Message)
			continue
		}
		fmt.Println("total:", total)
	}
	// Output:
	// total: 15
	// failed: a negative order
}

// Cleaner is a task that is a type.
type Cleaner struct{ Rooms []string }

// Run is called in the child.
func (c Cleaner) Run(ctx context.Context) error {
	for _, r := range c.Rooms {
		fmt.Println("cleaned", r)
	}
	return nil
}

var cleaners = procs.RegisterRunner[Cleaner]("cleaner")

func ExampleRegisterRunner() {
	p := cleaners.Process(Cleaner{Rooms: []string{"kitchen", "hall"}}, procs.Name("Maria"))
	if err := p.Start(); err != nil {
		fmt.Println(err)
	}
	fmt.Println(p.Name(), p.Join(context.Background()))
	// Output:
	// cleaned kitchen
	// cleaned hall
	// Maria <nil>
}

func ExampleProcess_Terminate() {
	p := patient.Process(struct{}{})
	if err := p.Start(); err != nil {
		fmt.Println(err)
	}
	p.Terminate()
	err := p.Join(context.Background())
	var exit *procs.ExitError
	fmt.Println(errors.As(err, &exit), exit.Signal)
	fmt.Println(p.ExitCode())
	// Output:
	// true terminated
	// -15 true
}
