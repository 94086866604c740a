package shm_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"shmkit/futexlock"
	"shmkit/procs/procstest"
	"shmkit/shm"
	"shmkit/shm/fault"
)

// points returns the declared fault points that begin with one of the prefixes.
func points(prefixes ...string) (all []string) {
	for _, name := range fault.Names() {
		if slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(name, p) }) {
			all = append(all, name)
		}
	}
	return all
}

// names lists the folder of names.
func names(t testing.TB) (all []string) {
	t.Helper()
	entries, err := os.ReadDir(os.Getenv("SHMKIT_DIR"))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}

// creator makes, uses and closes a named account.
var creator = procstest.Role("creator", func(ctx context.Context, name string) error {
	o, err := shm.Create[account](name)
	if err != nil {
		return err
	}
	o.Value().Mu.Lock()
	o.Value().Balance = 42
	return o.Close()
})

// A creator killed at any point leaves a whole segment or none, and nothing that
// gc does not take away.
func TestCrashCreate(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	for _, point := range points("shm.create.", "shm.attach.", "shm.detach.") {
		t.Run(point, func(t *testing.T) {
			if point == "shm.create.unlink" { // passed only where something stale is replaced
				if s := creator.Start(t, "crash").Wait(); s.Err != nil {
					t.Fatal(s)
				}
			}
			if s := creator.Start(t, "crash", procstest.KillAt(point, 1)).Wait(); !s.Killed() {
				t.Fatalf("the creator did not die at the point: %v", s)
			}
			left := names(t)
			o, err := shm.Open[account]("crash")
			t.Logf("left %v; Open: %v", left, err)
			switch {
			case err == nil:
				err := o.Value().Mu.Lock()
				if b := o.Value().Balance; b != 0 && b != 42 || b == 42 && !errors.Is(err, futexlock.ErrOwnerDied) {
					t.Errorf("balance %d, lock: %v", b, err)
				}
				for _, err := range shm.Check(o.Segment()) {
					t.Error(err)
				}
				o.Close()
			case !errors.Is(err, fs.ErrNotExist):
				t.Error(err)
			case len(left) > 0:
				t.Errorf("no segment, but %v", left)
			}
			if o, err = shm.Create[account]("crash"); err != nil {
				t.Fatalf("the next creator: %v", err)
			}
			if o.Value().Balance != 0 {
				t.Error("the next creator sees the balance of the dead one")
			}
			o.Close()
			if gone, err := shm.Collect(); err != nil || len(gone) != 1 || len(names(t)) != 0 {
				t.Errorf("after gc: %v, %v, %v", gone, err, names(t))
			}
		})
	}
}

// estate is what a process dies in: locks on their own and in arrays.
type estate struct {
	Mu    futexlock.Mutex
	Balls [3]struct {
		Value int64
		Locks [2]futexlock.Mutex
	}
}

func (e *estate) locks() []*futexlock.Mutex {
	all := []*futexlock.Mutex{&e.Mu}
	for i := range e.Balls {
		for j := range e.Balls[i].Locks {
			all = append(all, &e.Balls[i].Locks[j])
		}
	}
	return all
}

// testator locks everything and stays.
var testator = procstest.Role("testator", func(ctx context.Context, name string) error {
	o, _, err := shm.OpenOrCreate[estate](name)
	if err != nil {
		return err
	}
	for _, m := range o.Value().locks() {
		m.Lock()
	}
	o.Value().Balls[2].Value = 1 // all locked
	<-ctx.Done()
	return nil
})

// sweeper opens, and so sweeps whoever died there.
var sweeper = procstest.Role("sweeper", func(ctx context.Context, name string) error {
	o, err := shm.Open[estate](name)
	if err != nil {
		return err
	}
	return o.Close()
})

// leaveEstate leaves a segment in which a process died with seven locks, and
// nobody has swept.
func leaveEstate(t testing.TB, name string) {
	p := testator.Start(t, name)
	waitFor(t, "all locked", func() bool { return willMade(name) })
	p.Kill()
}

// willMade reports whether the testator of that name has locked everything,
// without attaching to the segment.
func willMade(name string) bool {
	b, err := os.ReadFile(nameFile(name))
	return err == nil && len(b) > 36864+8+2*24 && b[36864+8+2*24] == 1
}

// inherit opens the estate after the sweepers: everything is released and told,
// and the dead are gone from the table.
func inherit(t testing.TB, name string) {
	t.Helper()
	o, err := shm.Open[estate](name)
	if err != nil {
		t.Fatal(err)
	}
	for i, m := range o.Value().locks() {
		if ok, err := m.TryLock(); !ok || !errors.Is(err, futexlock.ErrOwnerDied) {
			t.Errorf("lock %d: %v, %v", i, ok, err)
			continue
		}
		m.Consistent()
		m.Unlock()
	}
	for _, p := range o.Segment().Participants() {
		if !p.Self {
			t.Errorf("still there: %+v", p)
		}
	}
	for _, err := range shm.Check(o.Segment()) {
		t.Error(err)
	}
	o.Close()
	if err := shm.Remove(name); err != nil {
		t.Error(err)
	}
}

// A sweeper killed at any point, once or again and again, leaves the rest to the
// next one, which finds everything released and told.
func TestCrashSweep(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	for _, point := range points("shm.sweep.") {
		for n := 1; ; n++ {
			leaveEstate(t, "estate")
			s := sweeper.Start(t, "estate", procstest.KillAt(point, n)).Wait()
			inherit(t, "estate")
			if !s.Killed() {
				if n == 1 {
					t.Errorf("the sweeper never passes %s", point)
				}
				t.Logf("%s: died at each of %d passes", point, n-1)
				break
			}
		}
	}
	leaveEstate(t, "estate")
	for _, point := range points("shm.sweep.") { // one after the other in the same estate
		sweeper.Start(t, "estate", procstest.KillAt(point, 1)).Wait()
	}
	inherit(t, "estate")
}

// The oracle of TestCrashSweep sees a sweep that forgets something: here the
// hooks are not run at all, and the slot is freed all the same.
func TestCrashSweepOracle(t *testing.T) {
	leaveEstate(t, "estate")
	defer shm.Remove("estate")
	forget := shm.ForgetHooks()
	o, err := shm.Open[estate]("estate")
	forget()
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	seen := 0
	for _, err := range shm.Check(o.Segment()) {
		t.Log("seen:", err)
		seen++
	}
	if seen != len(o.Value().locks()) {
		t.Errorf("Check sees %d of %d locks that a swept process holds", seen, len(o.Value().locks()))
	}
	for _, m := range o.Value().locks() { // put right again
		m.TryLock()
		m.Consistent()
		m.Unlock()
	}
}

// arenaUser opens and closes an object of the test's arena, and makes one in its
// own.
var arenaUser = procstest.Role("arena user", func(ctx context.Context, o *shm.Object[pair]) error {
	o.Value().Mu.Lock()
	if err := o.Close(); err != nil {
		return err
	}
	n, err := shm.New[pair]()
	if err != nil {
		return err
	}
	return n.Close()
})

// Killed at any point of its dealings with an arena, a process leaves no block
// taken for ever.
func TestCrashArena(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	for _, point := range points("shm.arena.") {
		o, err := shm.New[pair]()
		if err != nil {
			t.Fatal(err)
		}
		p := arenaUser.Start(t, o, procstest.KillAt(point, 1))
		if s := p.Wait(); !s.Killed() {
			t.Errorf("%s: %v", point, s)
		}
		waitFor(t, "swept", func() bool { return len(shm.Check(o.Segment())) == 0 })
		if ok, err := o.Value().Mu.TryLock(); !ok || err != nil && !errors.Is(err, futexlock.ErrOwnerDied) {
			t.Errorf("%s: lock of the dead: %v, %v", point, ok, err)
		}
		if n := shm.Holders(o.Segment()); n != 1 {
			t.Errorf("%s: %d participants hold the block, want this one", point, n)
		}
		o.Close()
	}
}

// writing closes a segment while a goroutine writes into it, holding a lock.
var writing = procstest.Role("writing", func(ctx context.Context, a writingArgs) error {
	shm.BlankLate(a.Late)
	d := a.Diary.Value()
	d.Mu.Lock()
	go func() {
		for {
			d.Lines++ // as a goroutine that was not told
		}
	}()
	for shm.LoadInt64(&d.Stage) != 1 {
		time.Sleep(time.Millisecond)
	}
	a.Diary.Close()
	<-ctx.Done()
	return nil
})

type writingArgs struct {
	Diary *shm.Object[diary]
	Late  time.Duration
}

type diary struct {
	Mu    futexlock.Mutex
	Stage int64
	Lines int64
	_     [1 << 16]byte // its own segment
}

// closeWriting lets a process close a segment in the middle of its section, and
// returns how many lines it wrote after this process had got the lock.
func closeWriting(t *testing.T, late time.Duration) int64 {
	o, err := shm.New[diary]()
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	d := o.Value()
	p := writing.Start(t, writingArgs{o, late})
	defer p.Kill()
	waitFor(t, "it writes", func() bool { return shm.LoadInt64(&d.Lines) > 0 })
	got := make(chan error)
	go func() { got <- d.Mu.Lock() }()
	procstest.WaitBlocked(t, 0, 1)
	shm.StoreInt64(&d.Stage, 1)
	if err := <-got; !errors.Is(err, futexlock.ErrOwnerDied) {
		t.Fatal(err)
	}
	lines := shm.LoadInt64(&d.Lines)
	for begin := time.Now(); time.Since(begin) < 5*time.Millisecond; {
	}
	written := shm.LoadInt64(&d.Lines) - lines
	d.Mu.Consistent()
	d.Mu.Unlock()
	return written
}

// Close counts as the holder's death, and like the dead the closer has stopped
// writing before anybody else gets in.
func TestCrashClose(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	for range 20 {
		if n := closeWriting(t, 0); n != 0 {
			t.Fatalf("%d lines were written after the lock was given away", n)
		}
	}
	// The oracle: a Close that lets others in first.
	for range 50 {
		if closeWriting(t, 20*time.Millisecond) != 0 {
			return
		}
	}
	t.Error("a Close that lets others in too early is not noticed")
}
