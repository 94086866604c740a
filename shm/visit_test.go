package shm_test

import (
	"context"
	"errors"
	"reflect"
	"sync/atomic"
	"testing"
	"time"

	"shmkit/futexlock"
	"shmkit/procs/procstest"
	"shmkit/shm"
	"shmkit/shm/fault"
)

// witness is a lock of a kind of its own: whoever sweeps it takes it over first,
// as the hooks of real locks do.
type witness struct {
	holder atomic.Uint32 // token of who has it
	dead   atomic.Uint32 // token of whom it was taken over from last
}

var _ = fault.Declare("test.witness.taken")

func init() {
	shm.RegisterKind(shm.Kind{
		ID: 63, Name: "shm_test.witness", Type: reflect.TypeFor[witness](),
		Sweep: func(s *shm.Segment, off, stride, count uint64, dead shm.Token) {
			w, err := shm.At[witness](s, int(off))
			if err != nil {
				panic(err)
			}
			if w.holder.CompareAndSwap(uint32(dead), uint32(s.Self())) {
				w.dead.Store(uint32(dead))
				if fault.Enabled {
					fault.Point("test.witness.taken")
				}
				w.holder.Store(0)
			}
		},
	})
}

// scene is what the processes of these tests share: a lock, and words by which the
// test, which only looks and so sweeps nobody, tells the bystander what to do.
type scene struct {
	W  witness
	RW futexlock.RWMutex
	Do struct{ ready, sweep, swept, try, got atomic.Uint32 }
}

type sceneArgs struct {
	Name   string
	Places int
}

// bystander makes the scene, and takes one of the places.
var bystander = procstest.Role("bystander", func(ctx context.Context, a sceneArgs) error {
	o, err := shm.Create[scene](a.Name, shm.WithParticipants(a.Places))
	if err != nil {
		return err
	}
	do := &o.Value().Do
	do.ready.Store(1)
	for ctx.Err() == nil {
		if do.sweep.CompareAndSwap(1, 0) {
			o.Segment().Sweep()
			do.swept.Store(1)
		}
		if do.try.CompareAndSwap(1, 0) {
			switch ok, err := o.Value().RW.TryLock(); {
			case ok && errors.Is(err, futexlock.ErrOwnerDied):
				o.Value().RW.Consistent()
				o.Value().RW.Unlock()
				do.got.Store(2)
			default:
				do.got.Store(1)
			}
		}
		time.Sleep(50 * time.Microsecond)
	}
	return nil
})

// holding is a process that dies with everything in its hand.
var holding = procstest.Role("holding", func(ctx context.Context, name string) error {
	o, err := shm.Open[scene](name)
	if err != nil {
		return err
	}
	if err := o.Value().RW.Lock(); err != nil {
		return err
	}
	o.Value().W.holder.Store(uint32(o.Segment().Self()))
	<-ctx.Done()
	return nil
})

// caller opens, and finds a table in which it must sweep before it has a slot.
var caller = procstest.Role("caller", func(ctx context.Context, name string) error {
	o, err := shm.Open[scene](name)
	if err != nil {
		return err
	}
	return o.Close()
})

// setScene leaves a table for two with a bystander and a dead holder in it.
func setScene(t *testing.T, name string) (*shm.Segment, *scene) {
	s, at, p := setLiving(t, name, 2)
	p.Kill()
	return s, at
}

// setBystander makes a table with a bystander in it.
func setBystander(t *testing.T, name string, places int, opts ...procstest.Option) (s *shm.Segment, at *scene, b *procstest.Proc) {
	b = bystander.Start(t, sceneArgs{name, places}, opts...)
	waitFor(t, "the bystander", func() (ok bool) {
		var err error
		s, err = shm.Peek(name)
		return err == nil
	})
	t.Cleanup(func() { shm.Remove(name) })
	t.Cleanup(func() { s.Close() })
	// The name is there a moment before the sweep knows the locks behind it, and who
	// only looks cannot tell it.
	waitFor(t, "the locks", func() (ok bool) {
		var err error
		at, err = shm.At[scene](s, 0)
		return err == nil
	})
	waitFor(t, "the bystander", func() bool { return at.Do.ready.Load() != 0 })
	return s, at, b
}

// setHolding adds a process that holds everything.
func setHolding(t *testing.T, name string, at *scene) *procstest.Proc {
	p := holding.Start(t, name)
	waitFor(t, "the holder", func() bool { return at.W.holder.Load() != 0 })
	return p
}

// setLiving makes a table with a bystander and a holder in it, both alive.
func setLiving(t *testing.T, name string, places int) (*shm.Segment, *scene, *procstest.Proc) {
	s, at, _ := setBystander(t, name, places)
	return s, at, setHolding(t, name, at)
}

// Who sweeps before it has a slot of its own does so in a name that others see
// alive as long as it lives, and dead as soon as it is: or two would hold what
// the hooks take over. Killed there, it is swept by the next one.
func TestCrashVisit(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	for _, heir := range []string{"a participant", "a visitor"} {
		t.Run(heir, func(t *testing.T) {
			s, at := setScene(t, "witness")
			w := &at.W
			first := shm.Token(w.holder.Load())
			q := caller.Start(t, "witness", procstest.StopAt("test.witness.taken", 1))
			q.WaitStopped()
			visiting := shm.Token(w.holder.Load())
			if visiting == 0 || shm.Token(w.dead.Load()) != first {
				t.Fatalf("taken over by %v from %v, want from %v", visiting, shm.Token(w.dead.Load()), first)
			}
			if s.Dead(visiting) || s.Confirm(visiting) || s.Current(visiting.Slot()) != visiting {
				t.Errorf("%v, who sweeps, is dead for others: %v, %v, %v", visiting, s.Dead(visiting), s.Confirm(visiting), s.Current(visiting.Slot()))
			}
			if who, ok := s.Participant(visiting); !ok || who.PID == 0 {
				t.Errorf("nobody knows %v: %+v", visiting, who)
			}
			q.Kill()
			if len(shm.Check(s)) < 2 {
				t.Errorf("the checker sees only %v where a holder and a visitor died", shm.Check(s))
			}
			if heir == "a participant" {
				at.Do.sweep.Store(1)
				waitFor(t, "the sweep", func() bool { return at.Do.swept.Load() != 0 })
			} else if st := caller.Start(t, "witness").Wait(); st.Err != nil {
				t.Fatal(st)
			}
			if !s.Dead(visiting) || shm.Token(w.dead.Load()) != visiting || w.holder.Load() != 0 {
				t.Errorf("held by %v, last taken from %v, want from %v", shm.Token(w.holder.Load()), shm.Token(w.dead.Load()), visiting)
			}
			if st := caller.Start(t, "witness").Wait(); st.Err != nil {
				t.Error(st)
			}
			for _, err := range shm.Check(s) {
				t.Error(err)
			}
		})
	}
}

// A visitor that buries a writer is a writer for the others as long as it is at it:
// nobody gets in beside it.
func TestCrashVisitRWMutex(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	_, at := setScene(t, "visited")
	try := func() uint32 {
		at.Do.got.Store(0)
		at.Do.try.Store(1)
		waitFor(t, "the bystander", func() bool { return at.Do.got.Load() != 0 })
		return at.Do.got.Load()
	}
	q := caller.Start(t, "visited", procstest.StopAt("futexlock.rwmutex.mourned", 1))
	q.WaitStopped()
	if try() != 1 {
		t.Error("locked beside a visitor that is burying the last writer")
	}
	q.Cont()
	if st := q.Wait(); st.Err != nil {
		t.Error(st)
	}
	if try() != 2 {
		t.Error("not locked, or not told, after the visit")
	}
}

// wonderer asks, as soon as it is told to, whether the holder is dead.
var wonderer = procstest.Role("wonderer", func(ctx context.Context, name string) error {
	o, err := shm.Open[scene](name)
	if err != nil {
		return err
	}
	t := shm.Token(o.Value().W.holder.Load())
	o.Value().Do.got.Store(1)
	for o.Value().Do.try.Load() != 2 {
		time.Sleep(50 * time.Microsecond)
	}
	if !o.Segment().Confirm(t) {
		return errors.New("swept, and not dead")
	}
	return o.Close()
})

// Somebody who asks whether a participant is dead, and learns it when that has been
// swept already, leaves its slot free.
func TestDeathSweptMeanwhile(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	s, at, p := setLiving(t, "meanwhile", 3)
	// At its third question: as it attached it asked for the other two.
	q := wonderer.Start(t, "meanwhile", procstest.StopAt("shm.confirm.asked", 3))
	waitFor(t, "the asker", func() bool { return at.Do.got.Load() != 0 })
	p.Kill()
	at.Do.try.Store(2)
	q.WaitStopped()
	at.Do.sweep.Store(1)
	waitFor(t, "the sweep", func() bool { return at.Do.swept.Load() != 0 })
	q.Cont()
	if st := q.Wait(); st.Err != nil {
		t.Error(st)
	}
	for _, err := range shm.Check(s) {
		t.Error(err)
	}
}

// sole is an estate in a table for one.
const sole = "sole"

var soleTestator = procstest.Role("sole testator", func(ctx context.Context, made *shm.Object[atomic.Uint32]) error {
	o, err := shm.Create[estate](sole, shm.WithParticipants(1))
	if err != nil {
		return err
	}
	for _, m := range o.Value().locks() {
		m.Lock()
	}
	made.Value().Store(1)
	<-ctx.Done()
	return nil
})

// A visitor killed at any point of its sweep leaves the rest to the next one.
func TestCrashVisitPoints(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	leave := func() {
		made, err := shm.New[atomic.Uint32]()
		if err != nil {
			t.Fatal(err)
		}
		defer made.Close()
		p := soleTestator.Start(t, made)
		waitFor(t, "all locked", func() bool { return made.Value().Load() != 0 })
		p.Kill()
	}
	for _, point := range append(points("shm.visit.", "shm.sweep."), "futexlock.sweep.orphaned") {
		for n := 1; ; n++ {
			leave()
			s := sweeper.Start(t, sole, procstest.KillAt(point, n)).Wait()
			if !s.Killed() && s.Err != nil {
				t.Error(s)
			}
			inherit(t, sole)
			if !s.Killed() {
				if n == 1 {
					t.Errorf("the visitor never passes %s", point)
				}
				t.Logf("%s: died at each of %d passes", point, n-1)
				break
			}
		}
	}
	leave()
	for _, point := range points("shm.visit.", "shm.sweep.") { // one after the other in the same estate
		sweeper.Start(t, sole, procstest.KillAt(point, 1)).Wait()
	}
	inherit(t, sole)
}
