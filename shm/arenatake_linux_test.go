package shm_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"shmkit/futexlock"
	"shmkit/procs/procstest"
	"shmkit/shm"
)

// Two open a handle too late and take each other for a holder, while the owner of the
// arena is about to take the block. They have the old object then, and like any
// holder's their handles are good, whatever the owner does next.
func TestHandleOfTwoTooLate(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	mail := must[*shm.Slice[byte]](t)(shm.NewSlice[byte](200, shm.WithOwnSegment()))
	defer mail.Close()
	tell := must[*shm.Object[account]](t)(shm.New[account](shm.WithOwnSegment()))
	defer tell.Close()
	a := leaseArgs{mail, tell}
	step := &tell.Value().Balance
	p := landlord.Start(t, a, procstest.StopAt("shm.arena.marked", 2))
	waitFor(t, "the object has been there", func() bool { return shm.LoadInt64(step) == 1 })
	shm.StoreInt64(step, 2)
	p.WaitStopped()
	other := lodger.Start(t, a, procstest.StopAt("shm.arena.opening", 1))
	other.WaitStopped()
	var o shm.Object[[300]byte]
	if err := o.UnmarshalBinary(mail.Data()[1:41]); err != nil {
		t.Fatal("the other was not taken for a holder: ", err)
	}
	defer o.Close()
	p.Cont()
	waitFor(t, "the owner has taken blocks", func() bool { return shm.LoadInt64(step) == 3 })
	other.Cont()
	if s := other.Wait(); s.Err != nil {
		t.Error("the one that came with us: ", s)
	}
	if s := lodger.Start(t, a).Wait(); s.Err != nil {
		t.Error("a handle of what we hold: ", s)
	}
	if v := o.Value()[0]; v != 42 {
		t.Errorf("what we hold is %d now, want 42", v)
	}
}

// rented is an object with a lock; it has a class of blocks for itself.
type rented struct {
	_  [300]byte
	Mu futexlock.Mutex
}

// builder makes two objects, writes where they are, closes the second, and makes a
// third in its block.
var builder = procstest.Role("builder", func(ctx context.Context, a leaseArgs) error {
	keep, err := shm.New[[300]byte]()
	if err != nil {
		return err
	}
	defer keep.Close()
	o, err := shm.New[rented]()
	if err != nil {
		return err
	}
	first, err := keep.Segment().Reference()
	second, err2 := o.Segment().Reference()
	if err := errors.Join(err, err2); err != nil {
		return err
	}
	copy(a.Mail.Data(), first)
	copy(a.Mail.Data()[40:], second)
	shm.StoreInt64(&a.Tell.Value().Balance, 1)
	for shm.LoadInt64(&a.Tell.Value().Balance) != 2 {
		time.Sleep(time.Millisecond)
	}
	where := o.Value()
	o.Close()
	n, err := shm.New[rented]()
	if err != nil {
		return err
	}
	defer n.Close()
	if n.Value() != where {
		return errors.New("the block is not used again")
	}
	shm.StoreInt64(&a.Tell.Value().Balance, 3)
	<-ctx.Done()
	return nil
})

// straggler opens the second object of a builder.
var straggler = procstest.Role("straggler", func(ctx context.Context, a leaseArgs) error {
	var o shm.Object[rented]
	if err := o.UnmarshalBinary(a.Mail.Data()[40:80]); err != nil {
		return err
	}
	return o.Close()
})

// Who comes too late has a bit in a block that the owner describes, and may be killed
// then. Its sweep looks for no locks there.
func TestSweepOfOneTooLate(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	mail := must[*shm.Slice[byte]](t)(shm.NewSlice[byte](200, shm.WithOwnSegment()))
	defer mail.Close()
	tell := must[*shm.Object[account]](t)(shm.New[account](shm.WithOwnSegment()))
	defer tell.Close()
	a := leaseArgs{mail, tell}
	step := &tell.Value().Balance
	p := builder.Start(t, a, procstest.StopAt("shm.arena.describing", 3))
	waitFor(t, "the objects are there", func() bool { return shm.LoadInt64(step) == 1 })
	var keep shm.Object[[300]byte]
	if err := keep.UnmarshalBinary(mail.Data()[:40]); err != nil {
		t.Fatal(err)
	}
	defer keep.Close()
	shm.StoreInt64(step, 2)
	p.WaitStopped()
	late := straggler.Start(t, a, procstest.StopAt("shm.arena.opening", 1))
	late.WaitStopped()
	seg, slot := keep.Segment(), 3 // after the builder and us
	if n := shm.BlocksOf(seg, slot); n != 1 {
		t.Fatalf("it has bits for %d blocks, want 1", n)
	}
	if n := shm.LocksOf(seg, slot); n != 0 {
		t.Errorf("its sweep would look at %d groups of locks that are being described", n)
	}
	p.Cont()
	waitFor(t, "the block is taken", func() bool { return shm.LoadInt64(step) == 3 })
	if n := shm.LocksOf(seg, slot); n != 1 {
		t.Errorf("its sweep would look at %d groups of locks of what is described, want 1", n)
	}
	late.Kill()
	waitFor(t, "it is swept", func() bool { return shm.BlocksOf(seg, slot) == 0 })
}

// echo opens what is in the mail and sends it back.
var echo = procstest.Role("arena-echo", func(ctx context.Context, a leaseArgs) error {
	var o shm.Object[rented]
	if err := o.UnmarshalBinary(a.Mail.Data()[:40]); err != nil {
		return err
	}
	b, err := o.MarshalBinary()
	if err != nil {
		return err
	}
	copy(a.Mail.Data()[40:], b)
	o.Close()
	shm.StoreInt64(&a.Tell.Value().Balance, 1)
	<-ctx.Done()
	return nil
})

// A handle that comes back to where the object is still open has arrived: its sender
// does not keep the object for it any longer.
func TestHandleComesBack(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	for name, opts := range map[string][]shm.Option{"arena": nil, "segment": {shm.WithOwnSegment()}} {
		t.Run(name, func(t *testing.T) {
			mail := must[*shm.Slice[byte]](t)(shm.NewSlice[byte](200, shm.WithOwnSegment()))
			defer mail.Close()
			tell := must[*shm.Object[account]](t)(shm.New[account](shm.WithOwnSegment()))
			defer tell.Close()
			o := must[*shm.Object[rented]](t)(shm.New[rented](opts...))
			defer o.Close()
			copy(mail.Data(), must[[]byte](t)(o.MarshalBinary()))
			p := echo.Start(t, leaseArgs{mail, tell})
			waitFor(t, "it is sent back", func() bool { return shm.LoadInt64(&tell.Value().Balance) == 1 })
			holds := func() bool {
				if name == "arena" {
					return shm.Holders(o.Segment()) == 2
				}
				return opens(p.PID(), o.Segment().ID())
			}
			if !holds() {
				t.Error("what is on its way is not kept")
			}
			var r shm.Object[rented]
			if err := r.UnmarshalBinary(mail.Data()[40:80]); err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			waitFor(t, "the other has let go", func() bool { return !holds() })
		})
	}
}

// janitor opens what is in the mail, and sweeps a visitor of that arena.
var janitor = procstest.Role("janitor", func(ctx context.Context, a leaseArgs) error {
	var o shm.Object[rented]
	if err := o.UnmarshalBinary(a.Mail.Data()[:40]); err != nil {
		return err
	}
	shm.VisitorDied(o.Segment())
	o.Segment().Sweep()
	return o.Close()
})

// Whoever sweeps a visitor looks at locks in blocks that it does not hold. None of
// them becomes another object's meanwhile.
func TestSweepOfVisitorKeepsBlock(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	mail := must[*shm.Slice[byte]](t)(shm.NewSlice[byte](200, shm.WithOwnSegment()))
	defer mail.Close()
	tell := must[*shm.Object[account]](t)(shm.New[account](shm.WithOwnSegment()))
	defer tell.Close()
	o, keep := must[*shm.Object[rented]](t)(shm.New[rented]()), must[*shm.Object[rented]](t)(shm.New[rented]())
	defer keep.Close()
	copy(mail.Data(), must[[]byte](t)(keep.Segment().Reference()))
	at := 1 // the lock of o comes before that of the other, or after
	if shm.Block(o.Segment()) > shm.Block(keep.Segment()) {
		at = 2
	}
	p := janitor.Start(t, leaseArgs{mail, tell}, procstest.StopAt("shm.sweep.lock", at))
	p.WaitStopped()
	where := o.Value()
	if n := shm.Holders(o.Segment()); n != 2 {
		t.Errorf("%d hold the block, want us and the sweeper", n)
	}
	o.Close()
	n := must[*shm.Object[rented]](t)(shm.New[rented]())
	defer n.Close()
	if n.Value() == where {
		t.Error("the block is taken under a sweep of its locks")
	}
	p.Cont()
	if s := p.Wait(); s.Err != nil {
		t.Error(s)
	}
	for _, err := range shm.Check(keep.Segment()) {
		t.Error(err)
	}
}

// opens reports whether a process has a descriptor of the anonymous segment id.
func opens(pid int, id shm.ID) bool {
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	all, _ := os.ReadDir(dir)
	for _, e := range all {
		if to, _ := os.Readlink(filepath.Join(dir, e.Name())); strings.Contains(to, "shmkit-"+id.String()[:16]) {
			return true
		}
	}
	return false
}
