package procs_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"shmkit/procs"
)

func TestMain(m *testing.M) {
	if os.Getenv(doNothingKey) != "" {
		os.Exit(0)
	}
	procs.Init()
	os.Exit(m.Run())
}

type echoArgs struct {
	Text string
	Num  []int
	M    map[string]*int
}

var failing = procs.Register("failing", func(ctx context.Context, a echoArgs) error {
	return fmt.Errorf("got %s %v %d", a.Text, a.Num, *a.M["x"])
})
var nothing = procs.Register("nothing", func(ctx context.Context, _ struct{}) error { return nil })
var add = procs.RegisterFunc("add", func(ctx context.Context, a [2]int) (int, error) { return a[0] + a[1], nil })
var panics = procs.Register("panics", func(ctx context.Context, in bool) error {
	if in {
		go panic("elsewhere")
		select {}
	}
	panic("here")
})
var sleeper = procs.Register("sleeper", func(ctx context.Context, d time.Duration) error {
	time.Sleep(d)
	return nil
})

func TestQuick(t *testing.T) {
	ctx := context.Background()
	zero := 0
	p := failing.Process(echoArgs{"hi", []int{1, 2}, map[string]*int{"x": &zero}})
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	err := p.Join(ctx)
	t.Log(err, p)
	var re *procs.RemoteError
	if !errors.As(err, &re) || re.Code != 1 {
		t.Error(err)
	}
	r := add.Process([2]int{3, 4})
	r.Start()
	t.Log(r.Result(ctx))
	for _, b := range []bool{true, false} {
		p := panics.Process(b)
		p.Start()
		err := p.Join(ctx)
		t.Log(err, p)
		if errors.As(err, &re) {
			t.Logf("%q\n%s", re.Message, re.Stack)
		}
	}
	p = sleeper.Process(time.Hour)
	p.Start()
	t.Log(p.Alive())
	p.Terminate()
	t.Log(p.Join(ctx), p)
	p = sleeper.Process(time.Hour)
	p.Start()
	p.Kill()
	t.Log(p.Join(ctx), p)
	t0 := time.Now()
	for range 50 {
		p := nothing.Process(struct{}{})
		p.Start()
		if err := p.Join(ctx); err != nil {
			t.Fatal(err)
		}
	}
	t.Log(time.Since(t0) / 50)
}
