package shm_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"shmkit/procs/procstest"
	"shmkit/shm"
)

type leaseArgs struct {
	Mail *shm.Slice[byte]
	Tell *shm.Object[account] // its own segment; Balance is how far we are
}

// landlord makes an object, writes where it is, and closes it: the test stops it
// when it has seen that nobody holds it. Then it fills the arena when it is told.
var landlord = procstest.Role("landlord", func(ctx context.Context, a leaseArgs) error {
	o, err := shm.New[[300]byte]()
	if err != nil {
		return err
	}
	o.Value()[0] = 42
	b, err := o.Segment().Reference() // not Marshal: nothing is pinned
	if err != nil {
		return err
	}
	copy(a.Mail.Data()[1:], b)
	shm.StoreInt64(&a.Tell.Value().Balance, 1)
	o.Close()
	for turn := int64(2); turn < 6; turn += 2 {
		for shm.LoadInt64(&a.Tell.Value().Balance) != turn {
			time.Sleep(time.Millisecond)
		}
		for range 500 {
			n, err := shm.New[[300]byte]()
			if err != nil {
				return err
			}
			n.Value()[0] = 7
		}
		shm.StoreInt64(&a.Tell.Value().Balance, turn+1)
	}
	<-ctx.Done()
	return nil
})

// lodger opens a handle and says what it found.
var lodger = procstest.Role("lodger", func(ctx context.Context, a leaseArgs) error {
	var o shm.Object[[300]byte]
	if err := o.UnmarshalBinary(a.Mail.Data()[1:41]); err != nil {
		return err
	}
	if v := o.Value()[0]; v != 42 {
		return errors.New("it is another object")
	}
	return o.Close()
})

// The owner of an arena has seen that nobody holds an object, and stops. Another
// process opens it by its handle, and sends handles of its own. The owner goes on.
// All those handles are good as long as that process holds the object, whatever the
// owner takes meanwhile; and none of them leads to what lies there later.
func TestHandleFromTheGap(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	mail := must[*shm.Slice[byte]](t)(shm.NewSlice[byte](200, shm.WithOwnSegment()))
	defer mail.Close()
	tell := must[*shm.Object[account]](t)(shm.New[account](shm.WithOwnSegment()))
	defer tell.Close()
	step := &tell.Value().Balance
	p := landlord.Start(t, leaseArgs{mail, tell}, procstest.StopAt("shm.arena.unheld", 1))
	p.WaitStopped()
	if shm.LoadInt64(step) != 1 {
		t.Fatal("it stopped too early")
	}
	first := append([]byte(nil), mail.Data()[1:41]...)
	var o shm.Object[[300]byte]
	if err := o.UnmarshalBinary(first); err != nil {
		t.Fatal(err)
	}
	before, err := o.Segment().Reference() // encoded before the mark
	if err != nil {
		t.Fatal(err)
	}
	p.Cont()
	fill := func(turn int64) {
		shm.StoreInt64(step, turn)
		waitFor(t, "the owner has taken blocks", func() bool { return shm.LoadInt64(step) == turn+1 })
	}
	fill(2)
	after, err := o.Segment().Reference()
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{"first": first, "before": before, "after": after} {
		copy(mail.Data()[1:], b)
		if s := lodger.Start(t, leaseArgs{mail, tell}).Wait(); s.Err != nil {
			t.Errorf("%s: %v", name, s)
		}
	}
	if v := o.Value()[0]; v != 42 {
		t.Errorf("what we hold is %d now, want 42", v)
	}
	// The segment stays, or the error would be about that.
	again, err := shm.Decode(first)
	if err != nil {
		t.Fatal(err)
	}
	again.Close()
	o.Close()
	fill(4)
	for name, b := range map[string][]byte{"first": first, "before": before, "after": after} {
		var o shm.Object[[300]byte]
		var he *shm.HandleError
		if err := o.UnmarshalBinary(b); !errors.As(err, &he) || !strings.Contains(err.Error(), "closed by everybody") {
			t.Errorf("%s, when all have closed it: %v", name, err)
		}
		o.Close()
	}
}
