package procstest_test

import (
	"context"
	"errors"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"shmkit/procs"
	"shmkit/procs/procstest"
	"shmkit/shm"
	"shmkit/shm/fault"
)

func TestMain(m *testing.M) { procstest.Main(m) }

type meeting struct{ Arrived, Word atomic.Uint32 }

var pointer = procstest.Role("pointer", func(ctx context.Context, o *shm.Object[meeting]) error {
	for range 10 {
		o.Value().Arrived.Add(1)
		if fault.Enabled {
			fault.Point("procstest.pointer")
		}
	}
	return nil
})

var waiter = procstest.Role("waiter", func(ctx context.Context, o *shm.Object[meeting]) error {
	o.Value().Arrived.Add(1)
	for o.Value().Word.Load() == 0 {
		o.Segment().Sleep(ctx, &o.Value().Word, 0, 0)
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return nil
})

var spinner = procstest.Role("spinner", func(ctx context.Context, o *shm.Object[meeting]) error {
	for ctx.Err() == nil {
		o.Value().Arrived.Add(1)
	}
	return nil
})

var parent = procstest.Role("parent", func(ctx context.Context, o *shm.Object[meeting]) error {
	p := child.Process(o)
	if err := p.Start(); err != nil {
		return err
	}
	return p.Join(ctx)
})

var child = procs.Register("child", func(ctx context.Context, o *shm.Object[meeting]) error {
	o.Value().Arrived.Add(1)
	return nil
})

func newMeeting(t *testing.T) *shm.Object[meeting] {
	o, err := shm.New[meeting]()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { o.Close() })
	return o
}

func TestKillAt(t *testing.T) {
	o := newMeeting(t)
	p := pointer.Start(t, o, procstest.KillAt("procstest.pointer", 4))
	if s := p.Wait(); !s.Killed() {
		t.Errorf("ended with %v, want killed", s)
	}
	if n := o.Value().Arrived.Load(); n != 4 {
		t.Errorf("killed after %d passes, want 4", n)
	}
}

func TestStopAt(t *testing.T) {
	o := newMeeting(t)
	p := pointer.Start(t, o, procstest.StopAt("procstest.pointer", 7))
	p.WaitStopped()
	if n := o.Value().Arrived.Load(); n != 7 {
		t.Errorf("stopped after %d passes, want 7", n)
	}
	p.Cont()
	if s := p.Wait(); s.Code != 0 {
		t.Errorf("continued role: %v", s)
	}
}

func TestWaitBlocked(t *testing.T) {
	o := newMeeting(t)
	p, q := waiter.Start(t, o), spinner.Start(t, o)
	procstest.WaitBlocked(t, p.PID(), 1)
	if n := procstest.Blocked(q.PID()); n != 0 {
		t.Errorf("a spinning role has %d blocked threads", n)
	}
	go o.Segment().Sleep(context.Background(), &o.Value().Word, 0, 0)
	procstest.WaitBlocked(t, 0, 1)

	q.Stop()
	before := o.Value().Arrived.Load()
	time.Sleep(5 * time.Millisecond) // long enough to see a spinner move
	if after := o.Value().Arrived.Load(); after != before {
		t.Errorf("a stopped role moved from %d to %d", before, after)
	}
	q.Cont()
	q.Kill()

	o.Value().Word.Store(1)
	shm.Wake(&o.Value().Word, -1)
	if s := p.Wait(); s.Code != 0 {
		t.Errorf("woken role: %v", s)
	}
}

func TestMayStart(t *testing.T) {
	o := newMeeting(t)
	if s := parent.Start(t, o, procstest.MayStart()).Wait(); s.Err != nil {
		t.Error(s)
	}
	if n := o.Value().Arrived.Load(); n != 1 {
		t.Errorf("%d grandchildren, want 1", n)
	}
	if s := parent.Start(t, o).Wait(); s.Code != 1 {
		t.Errorf("a role without MayStart started a child: %v", s)
	}
}

func TestJoin(t *testing.T) {
	p := waiter.Start(t, newMeeting(t))
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if err := p.Join(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Join = %v", err)
	}
	p.Kill()
	if err := p.Join(t.Context()); err == nil {
		t.Error("a killed role ended well")
	}
}

func TestFolder(t *testing.T) {
	dir := os.Getenv("SHMKIT_DIR")
	o, err := shm.Create[meeting]("named")
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("%s holds %v, %v", dir, entries, err)
	}
	if err := shm.Remove("named"); err != nil {
		t.Error(err)
	}
}
