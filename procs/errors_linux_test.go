package procs_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"

	"shmkit/procs"
)

func runtimeAddCleanup[T any](p *T, gone chan bool) {
	runtime.AddCleanup(p, func(c chan bool) { c <- true }, gone)
}

func collect() { runtime.GC() }

// fate is how a child shall fail.
type fate int

const (
	returnsError fate = iota
	wrapsCanceled
	panics
	panicsWithError
	panicsElsewhere
	dereferencesNil
	goexits
	fatal
	panicsNil
	abort
)

var errPlain = errors.New("the oven is cold")

var fails = procs.Register("fails", func(_ context.Context, f fate) error {
	switch f {
	case returnsError:
		return errPlain
	case wrapsCanceled:
		return fmt.Errorf("inside: %w", context.Canceled)
	case panics:
		panicHere()
	case panicsWithError:
		panic(errPlain)
	case panicsElsewhere:
		go panicHere()
		select {}
	case dereferencesNil:
		var p *int
		*p = 1
	case goexits:
		runtime.Goexit()
	case fatal:
		var mu sync.Mutex
		mu.Unlock()
	case panicsNil:
		panic(nil)
	case abort:
		syscall.Kill(os.Getpid(), syscall.SIGABRT)
		select {}
	}
	return nil
})

func panicHere() { panic("the oven burns") }

func TestErrors(t *testing.T) {
	for _, c := range []struct {
		name    string
		fate    fate
		code    int
		panic   bool
		message string
		stack   string
	}{
		{"error", returnsError, 1, false, "the oven is cold", ""},
		{"wrapped error", wrapsCanceled, 1, false, "inside: context canceled", ""},
		{"panic", panics, 2, true, "the oven burns", "procs_test.panicHere("},
		{"panic with an error", panicsWithError, 2, true, "the oven is cold", "errors_linux_test.go:"},
		{"panic elsewhere", panicsElsewhere, 2, true, "the oven burns", "procs_test.panicHere("},
		{"nil dereference", dereferencesNil, 2, true, "invalid memory address or nil pointer dereference", "errors_linux_test.go:"},
		{"Goexit", goexits, 1, false, "runtime.Goexit", ""},
		{"fatal error", fatal, 2, true, "fatal error of the Go runtime", "errors_linux_test.go:"},
		{"panic(nil)", panicsNil, 2, true, "panic called with nil argument", "errors_linux_test.go:"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var stderr strings.Builder
			p := start(t, fails.Process(c.fate, procs.Name("cook"), procs.Stderr(&stderr)))
			err := p.Join(t.Context())
			wantCode(t, p, c.code)
			var remote *procs.RemoteError
			if !errors.As(err, &remote) {
				t.Fatalf("Join = %#v", err)
			}
			if remote.Process != "cook" || remote.PID != p.PID() || remote.Code != c.code || remote.Panic != c.panic ||
				!strings.Contains(remote.Message, c.message) || !strings.Contains(remote.Stack, c.stack) || (remote.Stack == "") != (c.stack == "") {
				t.Errorf("Join = %+v", remote)
			}
			// The stack begins where the panic was, not where it was caught.
			if strings.Contains(remote.Stack, "debug.Stack") || strings.Contains(remote.Stack, "panicStack") {
				t.Errorf("stack:\n%s", remote.Stack)
			}
			if errors.Is(err, context.Canceled) {
				t.Error("the child's error passes for one of Join")
			}
			var exit *procs.ExitError
			if !errors.As(err, &exit) || exit.Code != c.code {
				t.Errorf("no exit code in the error: %v", exit)
			}
			// Whoever watches the terminal sees a panic too, with its stack.
			said := c.message
			if c.fate == fatal {
				said = "unlock of unlocked mutex"
			}
			if c.panic && (!strings.Contains(stderr.String(), said) || !strings.Contains(stderr.String(), "goroutine ")) {
				t.Errorf("standard error:\n%s", stderr.String())
			}
			if !c.panic && stderr.Len() > 0 {
				t.Errorf("standard error:\n%s", stderr.String())
			}
		})
	}
}

// A signal that the runtime answers with its stacks is a fatal error as well.
func TestAbort(t *testing.T) {
	p := start(t, fails.Process(abort, procs.Stderr(&strings.Builder{})))
	err := p.Join(t.Context())
	var remote *procs.RemoteError
	if !errors.As(err, &remote) || !strings.Contains(remote.Message, "SIGABRT") {
		t.Errorf("Join = %v", err)
	}
}

func TestNoMain(t *testing.T) {
	restore := procs.ForgetInit()
	err := nothing.Process(struct{}{}).Start()
	restore()
	wantError(t, "Start", err, procs.ErrNoMain)

	// A whole program that forgot: it must end, alone and with a clear word.
	cmd := program(t, "forgetful")
	out, err := cmd.CombinedOutput()
	if err == nil || strings.Count(string(out), "here I am") != 1 || !strings.Contains(string(out), "procs.Main or procs.Init") {
		t.Errorf("%v\n%s", err, out)
	}
}

func init() {
	bare["forgetful"] = func() {
		fmt.Println("here I am")
		if err := nothing.Process(struct{}{}).Start(); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
	}
	bare["leaves early"] = func() {
		if procs.IsChild() {
			os.Exit(0) // as a program does whose flags are wrong, before Main
		}
		procs.Init()
		p := nothing.Process(struct{}{})
		p.Start()
		fmt.Println(p.Join(context.Background()))
	}
	bare["stray variable"] = func() { procs.Init() }
}

// A child that ends well but never comes to Main has not run its function.
func TestChildEndsBeforeMain(t *testing.T) {
	out, err := program(t, "leaves early").CombinedOutput()
	if err != nil || !strings.Contains(string(out), procs.ErrNoMain.Error()) {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestStrayVariable(t *testing.T) {
	for _, value := range []string{"0", "77", "x", ""} {
		cmd := program(t, "stray variable")
		cmd.Env = append(cmd.Env, "SHMKIT_PROCS="+value)
		out, err := cmd.CombinedOutput()
		if err == nil || !strings.Contains(string(out), "leads to no envelope") {
			t.Errorf("%q: %v\n%s", value, err, out)
		}
	}
}

func TestOtherBuild(t *testing.T) {
	restore := procs.ClaimBuild("another file")
	p := nothing.Process(struct{}{})
	err := p.Start()
	restore()
	if err != nil {
		t.Fatal(err)
	}
	err = p.Join(t.Context())
	wantError(t, "Join", err, procs.ErrOtherBuild)
	if !strings.Contains(err.Error(), "another file") {
		t.Error(err)
	}
}

func TestNotRegistered(t *testing.T) {
	p, err := procs.StartUnregistered("never heard of")
	if err != nil {
		t.Fatal(err)
	}
	err = p.Join(t.Context())
	wantError(t, "Join", err, procs.ErrNotRegistered)
	if !strings.Contains(err.Error(), `"never heard of"`) {
		t.Error(err)
	}
}

// Registering twice, under no name or too late are mistakes of the program.
func TestRegisterPanics(t *testing.T) {
	for name, want := range map[string]string{
		"nothing": `procs: "nothing" is registered twice: at .*lifecycle_linux_test.go:\d+ and at .*errors_linux_test.go:\d+`,
		"":        `procs: a function without a name is registered at .*errors_linux_test.go:\d+`,
		"late":    `procs: "late" is registered at .*errors_linux_test.go:\d+ after procs.Main or procs.Init`,
	} {
		func() {
			defer func() {
				if got := fmt.Sprint(recover()); !matches(want, got) {
					t.Errorf("%q: panic %q, want %q", name, got, want)
				}
			}()
			procs.Register(name, func(context.Context, struct{}) error { return nil })
		}()
	}
	defer func() {
		if got := fmt.Sprint(recover()); !matches(`procs: nil is registered as the function "none" at .*errors_linux_test.go:\d+`, got) {
			t.Errorf("panic %q", got)
		}
	}()
	procs.RegisterFunc[int, int]("none", nil)
}

var noResult = procs.RegisterFunc("no result", func(context.Context, struct{}) (int, error) {
	os.Exit(0)
	return 1, nil
})

var badResult = procs.RegisterFunc("bad result", func(context.Context, struct{}) (oven, error) { return oven{hot: true}, nil })
var emptyResult = procs.RegisterFunc("empty result", func(context.Context, struct{}) (struct{}, error) { return struct{}{}, nil })
var failedResult = procs.RegisterFunc("failed result", func(context.Context, struct{}) (int, error) { return 3, errPlain })

func TestResultErrors(t *testing.T) {
	p := noResult.Process(struct{}{})
	start(t, p.Process)
	_, err := p.Result(t.Context())
	wantError(t, "Result after os.Exit(0)", err, procs.ErrNoResult)

	q := badResult.Process(struct{}{})
	start(t, q.Process)
	if _, err := q.Result(t.Context()); err == nil || !strings.Contains(err.Error(), "result oven.hot (bool)") {
		t.Errorf("Result = %v", err)
	}
	r := emptyResult.Process(struct{}{})
	start(t, r.Process)
	if _, err := r.Result(t.Context()); err != nil {
		t.Errorf("Result = %v", err)
	}
	f := failedResult.Process(struct{}{})
	start(t, f.Process)
	if n, err := f.Result(t.Context()); n != 0 || err == nil || !strings.Contains(err.Error(), "cold") {
		t.Errorf("Result = %d, %v", n, err)
	}
	n := doubling.Process(1)
	_, err = n.Result(t.Context())
	wantError(t, "Result before the start", err, procs.ErrNotStarted)
}

// Many goroutines join one process, with contexts of all kinds; each is told
// its own story.
func TestJoinTogether(t *testing.T) {
	p := start(t, fails.Process(returnsError, procs.Env("X=1")))
	q := start(t, patient.Process(struct{}{}))
	boom := errors.New("boom")
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			var remote *procs.RemoteError
			if err := p.Join(t.Context()); !errors.As(err, &remote) {
				t.Errorf("Join = %v", err)
			}
		})
		wait.Go(func() {
			ctx, cancel := context.WithCancelCause(t.Context())
			cancel(boom)
			err := q.Join(ctx)
			wantError(t, "Join", err, context.Canceled)
			wantError(t, "Join", err, boom)
			if !strings.Contains(err.Error(), q.Name()) {
				t.Errorf("%v does not name the process", err)
			}
		})
		wait.Go(func() {
			err := q.Join(shortly(t, 1))
			wantError(t, "Join", err, context.DeadlineExceeded)
			var exit *procs.ExitError
			if errors.As(err, &exit) {
				t.Errorf("%v passes for an error of the child", err)
			}
		})
	}
	wait.Wait()
	if !q.Alive() {
		t.Error("a Join that was canceled ended the process")
	}
}

// What the kernel refuses is said with what was asked of it.
func TestRefusedByKernel(t *testing.T) {
	p := fails.Process(returnsError, procs.Env("LONG="+strings.Repeat("x", 1<<20)))
	err := p.Start()
	wantError(t, "Start", err, syscall.E2BIG)
	if err == nil || !strings.Contains(err.Error(), "fork/exec") || len(procs.Children()) != 0 {
		t.Errorf("Start = %v, and %d children", err, len(procs.Children()))
	}
}
