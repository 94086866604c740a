package mpqueue_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"shmkit/mpqueue"
	"shmkit/procs/procstest"
)

type leasesArgs struct {
	Queue *mpqueue.Queue[int]
	Work  workArgs
	Hold  int
}

// hoarder leases many items and finishes none.
var hoarder = procstest.Role("hoarder", func(ctx context.Context, a leasesArgs) error {
	for range a.Hold {
		if _, err := a.Queue.Receive(ctx); err != nil {
			return err
		}
	}
	a.Work.Ready.Value().Add(1)
	<-ctx.Done()
	return nil
})

// Lease blocks get memory as they are used, twice as many each time: one process
// holds more than have it at first, is killed, and another gets all of them, and
// everything behind them.
func TestManyLeases(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	for _, capacity := range []int{1000, 0} { // 0: leases without data of their own
		const n, held = 1000, 700
		q := newQueue[int](t, capacity)
		for i := range n {
			if err := q.Put(background, i); err != nil {
				t.Fatal(err)
			}
		}
		ready := counter(t)
		p := hoarder.Start(t, leasesArgs{Queue: q, Work: workArgs{Ready: ready}, Hold: held})
		for ready.Value().Load() == 0 {
			time.Sleep(time.Millisecond)
		}
		if capacity != 0 && !errors.Is(q.TryPut(-1), mpqueue.ErrFull) {
			t.Error("what is leased does not count")
		}
		p.Kill()
		p.Wait()
		var items []*mpqueue.Item[int]
		for want := range n {
			i, err := q.Receive(background)
			if err != nil {
				t.Fatal(want, err)
			}
			if i.Value() != want || i.Redelivered() != (want < held) {
				t.Fatalf("item %d is %d, redelivered %v", want, i.Value(), i.Redelivered())
			}
			items = append(items, i)
		}
		for _, i := range items {
			if err := i.Done(); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := q.TryReceive(); err != mpqueue.ErrEmpty {
			t.Fatal(err)
		}
	}
}

// spoiled is a codec that cannot decode "bad".
type spoiled struct{}

func (spoiled) Append(b []byte, v string) ([]byte, error) { return append(b, v...), nil }
func (spoiled) Decode(b []byte) (string, error) {
	if string(b) == "bad" {
		return "", errors.New("spoiled")
	}
	return string(b), nil
}

// A batch says that a message in it could not be read; those before it are there.
func TestGetBatchSaysWhatIsLost(t *testing.T) {
	q := newQueue[string](t, 8, mpqueue.WithCodec[string](spoiled{}))
	for _, s := range strings.Fields("a b bad c") {
		if err := q.Put(background, s); err != nil {
			t.Fatal(err)
		}
	}
	dst := make([]string, 8)
	n, err := q.GetBatch(background, dst)
	if n != 2 || dst[0] != "a" || dst[1] != "b" || err == nil || !strings.Contains(err.Error(), "spoiled") {
		t.Errorf("%q, %v", dst[:n], err)
	}
	if n, err = q.GetBatch(background, dst); n != 1 || dst[0] != "c" || err != nil {
		t.Errorf("then %q, %v", dst[:n], err)
	}
}

// Who looks what lies before a position, while others are faster and go past it, is
// told that everything has been released: on the first lap, too, where there is no
// position a lap before.
func TestReleasedBeforeFirstLap(t *testing.T) {
	for capacity := 2; capacity < 8; capacity++ {
		q := newQueue[int](t, capacity)
		for n := 1; n <= 3*capacity; n++ {
			q.Put(background, n)
			q.Get(background)
			for p := max(n-capacity, 0); p <= n; p++ {
				mpqueue.ReleasedBefore(q, n)
				if h := mpqueue.ReleasedBefore(q, p); h != p {
					t.Errorf("capacity %d: all before %d is released, and of that before %d, %d", capacity, n, p, h)
				}
			}
		}
	}
}
