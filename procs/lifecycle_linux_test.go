package procs_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"shmkit/procs"
	"shmkit/shm"
)

var nothing = procs.Register("nothing", func(context.Context, struct{}) error { return nil })

var sleeper = procs.Register("sleeper", func(_ context.Context, d time.Duration) error {
	time.Sleep(d) // a function that does not look at its context
	return nil
})

var patient = procs.Register("patient", func(ctx context.Context, _ struct{}) error {
	<-ctx.Done()
	return context.Cause(ctx)
})

var exits = procs.Register("exits", func(_ context.Context, code int) error {
	os.Exit(code)
	return nil
})

// introduction is what a child says of itself.
type introduction struct {
	Name, ParentName string
	PID, ParentPID   int
	Daemon, Alive    bool
	ParentAlive      bool
	Key              []byte
	Args             []string
	Children         int
}

var introduce = procs.RegisterFunc("introduce", func(context.Context, struct{}) (introduction, error) {
	me, parent := procs.Current(), procs.Parent()
	return introduction{
		Name: me.Name(), PID: me.PID(), Daemon: me.Daemon(), Alive: me.Alive(), Key: me.AuthKey(),
		ParentName: parent.Name(), ParentPID: parent.PID(), ParentAlive: parent.Alive(),
		Args: os.Args, Children: len(procs.Children()),
	}, nil
})

// start starts p and ends it with the test.
func start(t testing.TB, p *procs.Process) *procs.Process {
	t.Helper()
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.Kill()
		<-p.Done()
	})
	return p
}

func wantCode(t testing.TB, p *procs.Process, want int) {
	t.Helper()
	if code, ok := p.ExitCode(); !ok || code != want {
		t.Errorf("%v: exit code %d, %v; want %d", p, code, ok, want)
	}
}

func wantError(t testing.TB, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: %v, want %v", what, err, want)
	}
}

func TestCurrent(t *testing.T) {
	me := procs.Current()
	if !me.Alive() || me.Daemon() || me.PID() != os.Getpid() || me.Name() != "main" || me != procs.Current() {
		t.Errorf("Current() = %v", me)
	}
	if _, ok := me.ExitCode(); ok {
		t.Error("this process has an exit code")
	}
	if len(me.AuthKey()) != 32 || bytes.Equal(me.AuthKey(), make([]byte, 32)) {
		t.Errorf("a key of %d bytes", len(me.AuthKey()))
	}
	if procs.Parent() != nil {
		t.Error("the first process of a family has a parent")
	}
	wantError(t, "Start", me.Start(), procs.ErrStarted)
	wantError(t, "Join", me.Join(t.Context()), procs.ErrNotStarted)
	wantError(t, "Close", me.Close(), procs.ErrRunning)
	if me.Terminate() == nil || me.Kill() == nil {
		t.Error("this process can be ended through Current")
	}
}

// The whole life of a process, with every question asked at every stage.
func TestLifeCycle(t *testing.T) {
	p := introduce.Process(struct{}{}, procs.Name("SomeProcess"), procs.Daemon())
	if p.Alive() || p.PID() != 0 || slices.Contains(procs.Children(), p.Process) || p.Name() != "SomeProcess" || !p.Daemon() {
		t.Errorf("before the start: %v", p)
	}
	if _, ok := p.ExitCode(); ok {
		t.Error("an exit code before the start")
	}
	if !bytes.Equal(p.AuthKey(), procs.Current().AuthKey()) {
		t.Error("the key is not inherited")
	}
	start(t, p.Process)
	pid := p.PID()
	if !p.Alive() || pid == 0 || !slices.Contains(procs.Children(), p.Process) {
		t.Errorf("after the start: %v", p)
	}
	got, err := p.Result(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := introduction{
		Name: "SomeProcess", PID: pid, Daemon: true, Alive: true, Key: procs.Current().AuthKey(),
		ParentName: "main", ParentPID: os.Getpid(), ParentAlive: true, Args: os.Args,
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("the child says\n%v, want\n%v", got, want)
	}
	wantCode(t, p.Process, 0)
	if p.Alive() || p.PID() != pid || slices.Contains(procs.Children(), p.Process) {
		t.Errorf("after the end: %v", p)
	}
	if err := p.Join(t.Context()); err != nil {
		t.Errorf("second Join: %v", err)
	}
	if again, err := p.Result(t.Context()); err != nil || fmt.Sprint(again) != fmt.Sprint(want) {
		t.Errorf("second Result: %v, %v", again, err)
	}
}

func TestDefaultNames(t *testing.T) {
	f := nothing
	a, b := f.Process(struct{}{}), f.Process(struct{}{})
	if a.Name() == b.Name() || !strings.HasPrefix(a.Name(), "nothing-") {
		t.Errorf("names %q and %q", a.Name(), b.Name())
	}
}

func TestNotStarted(t *testing.T) {
	p := nothing.Process(struct{}{})
	wantError(t, "Join", p.Join(t.Context()), procs.ErrNotStarted)
	wantError(t, "Terminate", p.Terminate(), procs.ErrNotStarted)
	wantError(t, "Kill", p.Kill(), procs.ErrNotStarted)
	if err := p.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	wantError(t, "Start after Close", p.Start(), procs.ErrClosed)
	wantError(t, "Run after Close", p.Run(t.Context()), procs.ErrClosed)
}

// Run is the call in this process: join cannot join what run started.
func TestRun(t *testing.T) {
	sum := 0
	p := counting.Process(&sum)
	if err := p.Run(t.Context()); err != nil || sum != 1 {
		t.Errorf("Run: %v, sum %d, want 1", err, sum)
	}
	wantError(t, "Join after Run", p.Join(t.Context()), procs.ErrNotStarted)
	wantError(t, "Start after Run", p.Start(), procs.ErrStarted)
	if p.Alive() || p.PID() != 0 {
		t.Errorf("after Run: %v", p)
	}

	r := doubling.Process(21)
	if err := r.Run(t.Context()); err != nil {
		t.Error(err)
	}
	if got, err := r.Result(t.Context()); got != 42 || err != nil {
		t.Errorf("Result after Run: %d, %v", got, err)
	}
}

var counting = procs.Register("counting", func(_ context.Context, n *int) error {
	*n++
	return nil
})

var doubling = procs.RegisterFunc("doubling", func(_ context.Context, n int) (int, error) { return 2 * n, nil })

func TestStartTwice(t *testing.T) {
	p := start(t, nothing.Process(struct{}{}))
	wantError(t, "second Start", p.Start(), procs.ErrStarted)
	wantError(t, "Run after Start", p.Run(t.Context()), procs.ErrStarted)
	<-p.Done()
	wantError(t, "Start after the end", p.Start(), procs.ErrStarted)
}

// shortly is a context that is done at once, or nearly.
func shortly(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func TestTerminateAndKill(t *testing.T) {
	for _, c := range []struct {
		name string
		p    *procs.Process
		end  func(*procs.Process) error
		code int
	}{
		{"terminate, deaf function", sleeper.Process(100*time.Second, procs.Grace(time.Hour)), (*procs.Process).Terminate, -int(syscall.SIGTERM)},
		{"terminate, function that ends with its context", patient.Process(struct{}{}), (*procs.Process).Terminate, -int(syscall.SIGTERM)},
		{"kill", sleeper.Process(100 * time.Second), (*procs.Process).Kill, -int(syscall.SIGKILL)},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := start(t, c.p)
			canceled, cancel := context.WithCancel(t.Context())
			cancel()
			wantError(t, "Join of a canceled context", p.Join(canceled), context.Canceled)
			wantError(t, "Join of 0", p.Join(shortly(t, 0)), context.DeadlineExceeded)
			wantError(t, "Join of -1", p.Join(shortly(t, -1)), context.DeadlineExceeded)
			if !p.Alive() {
				t.Fatal("not alive")
			}
			begin := time.Now()
			if err := c.end(p); err != nil {
				t.Fatal(err)
			}
			err := p.Join(t.Context())
			t.Logf("ended after %v: %v", time.Since(begin), err)
			var exit *procs.ExitError
			if !errors.As(err, &exit) || exit.Code != c.code || int(exit.Signal) != -c.code || exit.PID != p.PID() {
				t.Errorf("Join = %#v", err)
			}
			wantCode(t, p, c.code)
			if p.Alive() || slices.Contains(procs.Children(), p) {
				t.Errorf("%v is still there", p)
			}
			if err := errors.Join(p.Terminate(), p.Kill()); err != nil {
				t.Errorf("ending a process that has ended: %v", err)
			}
			if p.Join(canceled) == nil || errors.Is(p.Join(canceled), context.Canceled) {
				t.Error("Join of a process that has ended looks at the context first")
			}
		})
	}
}

// A flag is what a child raises for its parent to see.
type flag struct{ Raised atomic.Uint32 }

func newFlag(t testing.TB) *shm.Object[flag] {
	t.Helper()
	f, err := shm.New[flag]()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// await polls until ok.
func await(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("%s does not come about", what)
		}
		time.Sleep(200 * time.Microsecond)
	}
}

func awaitFlag(t testing.TB, f *shm.Object[flag], n uint32) {
	t.Helper()
	await(t, "the flag", func() bool { return f.Value().Raised.Load() >= n })
}

// A function that cleans up when it is asked to end, and says that all is well,
// has ended well.
var graceful = procs.RegisterFunc("graceful", func(ctx context.Context, f *shm.Object[flag]) (string, error) {
	done := ctx.Done() // from here on it can be asked
	f.Value().Raised.Store(1)
	<-done
	return context.Cause(ctx).Error(), nil
})
