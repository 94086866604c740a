package procs_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"

	"shmkit/procs"
	"shmkit/shm"
)

// Python's positional and keyword arguments are one struct here.
type orderArgs struct {
	A, B   int
	Hello  int
	Bye    float64
	Any    any
	Map    map[string]any
	Nested [][]string
}

var echo = procs.RegisterFunc("echo", func(_ context.Context, a orderArgs) (orderArgs, error) { return a, nil })

func TestArguments(t *testing.T) {
	for _, v := range []any{1, "str", []any{1}, map[string]any{"count": 3}, nil, true, 2.5, []byte("b"), []string{"a"}} {
		want := orderArgs{A: 1, B: 2, Hello: 23, Bye: 2.54, Any: v, Map: map[string]any{"v": v}, Nested: [][]string{{"x"}, nil}}
		p := echo.Process(want)
		start(t, p.Process)
		if got, err := p.Result(t.Context()); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("sent %v, got %v, %v", want, got, err)
		}
	}
}

var length = procs.RegisterFunc("length", func(_ context.Context, b []byte) (int, error) { return len(b), nil })
var grow = procs.RegisterFunc("grow", func(_ context.Context, n int) ([]byte, error) { return make([]byte, n), nil })

// Arguments of any size neither block Start nor wait for the child, which may
// be stopped; nor do results block the child.
func TestLargeArguments(t *testing.T) {
	const size = 32 << 20
	p := length.Process(make([]byte, size))
	start(t, p.Process)
	if n, err := p.Result(t.Context()); n != size || err != nil {
		t.Errorf("%d bytes arrived, %v", n, err)
	}
	q := grow.Process(size)
	start(t, q.Process)
	<-q.Done() // nobody has read the result
	if b, err := q.Result(t.Context()); len(b) != size || err != nil {
		t.Errorf("%d bytes came back, %v", len(b), err)
	}
}

type kitchen struct {
	Name  string
	Ovens []oven
}

type oven struct {
	Ring chan int
	hot  bool
}

var bake = procs.Register("bake", func(context.Context, kitchen) error { return nil })

func TestArgumentsThatCannotBeSent(t *testing.T) {
	for _, c := range []struct {
		a    kitchen
		want string
	}{
		{kitchen{Ovens: []oven{{}, {Ring: make(chan int)}}}, "argument kitchen.Ovens[1].Ring (chan int): a chan cannot leave its process"},
		{kitchen{Ovens: []oven{{hot: true}}}, "argument kitchen.Ovens[0].hot (bool): an unexported field that holds data"},
	} {
		p := bake.Process(c.a)
		err := p.Start()
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("Start = %v, want %q", err, c.want)
		}
		if p.Alive() || p.PID() != 0 || len(procs.Children()) != 0 {
			t.Errorf("a child is left: %v", procs.Children())
		}
		wantError(t, "Join", p.Join(t.Context()), procs.ErrNotStarted)
	}
	p := start(t, bake.Process(kitchen{Name: "ok", Ovens: []oven{{}}}))
	if err := p.Join(t.Context()); err != nil {
		t.Error(err)
	}
}

// What the arguments hold is free for the collector once the process has
// started, although the process object lives.
func TestArgumentsAreLetGo(t *testing.T) {
	big := &orderArgs{A: 1}
	gone := make(chan bool, 1)
	runtimeAddCleanup(big, gone)
	p := pointers.Process(big)
	big = nil
	start(t, p)
	<-p.Done()
	await(t, "the collection of the arguments", func() bool {
		collect()
		select {
		case <-gone:
			return true
		default:
			return false
		}
	})
	if p.Name() == "" {
		t.Error("no name")
	}
}

var pointers = procs.Register("pointers", func(context.Context, *orderArgs) error { return nil })

type counter struct{ N atomic.Int64 }

// handles of shared objects anywhere in the arguments.
type deep struct {
	One   *shm.Object[counter]
	Many  []*shm.Object[counter]
	Named map[string]inside
	Slice *shm.Slice[int64]
	None  *shm.Object[counter]
}

type inside struct{ Obj *shm.Object[counter] }

var touch = procs.Register("touch", func(_ context.Context, d deep) error {
	if d.None != nil {
		return errors.New("a nil handle arrived as one")
	}
	d.One.Value().N.Add(1)
	for _, o := range d.Many {
		o.Value().N.Add(1)
	}
	for _, in := range d.Named {
		in.Obj.Value().N.Add(1)
	}
	d.Slice.Data()[2] = 7
	return nil
})

func newCounter(t testing.TB) *shm.Object[counter] {
	t.Helper()
	o, err := shm.New[counter]()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { o.Close() })
	return o
}

func TestHandles(t *testing.T) {
	s, err := shm.NewSlice[int64](4)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	all := []*shm.Object[counter]{newCounter(t), newCounter(t), newCounter(t), newCounter(t)}
	d := deep{One: all[0], Many: all[1:3], Named: map[string]inside{"x": {all[3]}}, Slice: s}
	for i := range 3 {
		p := start(t, touch.Process(d))
		if err := p.Join(t.Context()); err != nil {
			t.Fatal(err)
		}
		for j, o := range all {
			if n := o.Value().N.Load(); n != int64(i+1) {
				t.Errorf("object %d was touched %d times, want %d", j, n, i+1)
			}
		}
	}
	if s.Data()[2] != 7 {
		t.Error("the slice was not written")
	}
}

// relay passes its argument on to a child of its own.
var relay = procs.Register("relay", func(ctx context.Context, a relayArgs) error {
	a.Obj.Value().N.Add(1)
	if a.Depth == 0 {
		return nil
	}
	a.Depth--
	p := nextRelay(a)
	if err := p.Start(); err != nil {
		return err
	}
	return p.Join(ctx)
})

var nextRelay func(relayArgs) *procs.Process

func init() { nextRelay = func(a relayArgs) *procs.Process { return relay.Process(a) } }

type relayArgs struct {
	Obj   *shm.Object[counter]
	Depth int
}

func TestHandlesReachGrandchildren(t *testing.T) {
	o := newCounter(t)
	p := start(t, relay.Process(relayArgs{o, 3}))
	if err := p.Join(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := o.Value().N.Load(); n != 4 {
		t.Errorf("%d processes came by, want 4", n)
	}
}

// The parent may let go of an object right after Start: the child has it.
func TestHandleClosedAfterStart(t *testing.T) {
	f := newFlag(t)
	o, err := shm.New[counter]()
	if err != nil {
		t.Fatal(err)
	}
	p := start(t, outlive.Process(outliveArgs{o, f}))
	if err := o.Close(); err != nil {
		t.Fatal(err)
	}
	if err := p.Join(t.Context()); err != nil {
		t.Error(err)
	}
}

type outliveArgs struct {
	Obj  *shm.Object[counter]
	Flag *shm.Object[flag]
}

var outlive = procs.Register("outlive", func(_ context.Context, a outliveArgs) error {
	if n := a.Obj.Value().N.Add(1); n != 1 {
		return fmt.Errorf("counted to %d", n)
	}
	return nil
})

// A closed handle cannot be sent.
func TestClosedHandle(t *testing.T) {
	o, err := shm.New[counter]()
	if err != nil {
		t.Fatal(err)
	}
	o.Close()
	p := touch.Process(deep{One: o})
	err = p.Start()
	if err == nil || !strings.Contains(err.Error(), "deep.One") {
		start(t, touch.Process(deep{}))
		t.Errorf("Start with a closed handle: %v", err)
	}
}

// Env, Dir and ExtraFiles.
type surroundings struct {
	Dir, Env, Old string
	Extra         []string
	Variable      bool
}

var lookAround = procs.RegisterFunc("look around", func(_ context.Context, extra int) (s surroundings, err error) {
	s.Dir, err = os.Getwd()
	s.Env, s.Old = os.Getenv("PROCS_TEST_A"), os.Getenv("PROCS_TEST_B")
	_, s.Variable = os.LookupEnv("SHMKIT_PROCS")
	for i := range extra {
		b := make([]byte, 100)
		n, err := os.NewFile(uintptr(3+i), "extra").Read(b)
		s.Extra = append(s.Extra, fmt.Sprint(string(b[:n]), err))
	}
	return s, err
})

func TestSurroundings(t *testing.T) {
	t.Setenv("PROCS_TEST_A", "old")
	t.Setenv("PROCS_TEST_B", "kept")
	dir := t.TempDir()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	w.WriteString("hello")
	w.Close()
	p := lookAround.Process(2, procs.Env("PROCS_TEST_A=1"), procs.Env("PROCS_TEST_A=2"), procs.Dir(dir), procs.ExtraFiles(r, nil))
	start(t, p.Process)
	got, err := p.Result(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := surroundings{Dir: dir, Env: "2", Old: "kept", Extra: []string{"hello<nil>", "EOF"}}
	if got.Dir != want.Dir || got.Env != want.Env || got.Old != want.Old || got.Variable || got.Extra[0] != want.Extra[0] {
		t.Errorf("the child sees %+v, want %+v", got, want)
	}

	bad := nothing.Process(struct{}{}, procs.Dir(dir+"/missing"))
	if err := bad.Start(); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Start in a missing folder: %v", err)
	}
}
