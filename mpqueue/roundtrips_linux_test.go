package mpqueue_test

import (
	"encoding/binary"
	"fmt"
	"testing"

	"shmkit/mpqueue"
	"shmkit/shm"
)

// TestRoundTripsDoNotStandBack: who has learned in a stream to let the other side get
// ahead does not do so with answers, of whatever size, for long.
func TestRoundTripsDoNotStandBack(t *testing.T) {
	if !shm.CanSpin() {
		t.Skip("on one processor nobody looks twice")
	}
	const learned, warm, trips, last = 128, 100, 1000, 100
	for _, a := range []pipeBenchArgs{
		{Impl: "mpqueue", Size: 64}, {Impl: "mpqueue", Size: 256}, {Impl: "mpqueue", Size: 1 << 10}, {Impl: "mpqueue", Size: 4 << 10}, {Impl: "ring", Size: 64},
	} {
		t.Run(fmt.Sprintf("impl=%s/size=%d", a.Impl, a.Size), func(t *testing.T) {
			a.Count, a.Echo = trips, true
			// A busy machine can make every answer come before it is waited for,
			// so that nothing is learned.
			for try := range 5 {
				pausing := a.pausing(t, learned, warm, last)
				t.Logf("of the last %d answers %d were waited for by pausing", last, pausing)
				if pausing <= last/2 { // now and then it tries out whether this is a stream
					return
				}
				if try == 4 {
					t.Error("that is a habit of streams")
				}
			}
		})
	}
}

// pausing makes round trips. After the first warm ones this side pauses as in a
// stream; it returns before how many of the last ones it did so.
func (a pipeBenchArgs) pausing(t *testing.T, learned, warm, last int) (n int) {
	m := a.peer(t)
	lag := func(n int) int {
		if r, ok := m.(overRings); ok {
			return mpqueue.RingLag(r.in, n)
		}
		return mpqueue.PipeLag(m.(overConn).Conn, n)
	}
	buf := make([]byte, a.Size)
	for i := range a.Count {
		if i == warm {
			lag(learned)
		}
		binary.LittleEndian.PutUint64(buf, uint64(i))
		if err := m.send(buf); err != nil {
			t.Fatal(err)
		}
		if err := m.recv(buf); err != nil {
			t.Fatal(err)
		}
		if i >= a.Count-last && lag(-1) > 0 {
			n++
		}
	}
	return n
}

// TestRingStandsBack: a side that finds one message at a time, of however many items,
// stops pausing; one that finds several pauses for longer, unless it is too slow.
func TestRingStandsBack(t *testing.T) {
	r := newRing[int](t, 1024)
	for _, c := range []struct{ lag, items, steps, want int }{
		{128, 1, 1, 64}, {128, 16, 1, 64}, {128, 0, 0, 64}, {1, 1, 1, 0}, {8, 16, 16, 16}, {0, 16, 16, 2}, {128, 100, 50, 128}, {128, 600, 40, 64}, {32, 100, 100, 32},
	} {
		if got := mpqueue.RingLagAfter(r, c.lag, c.items, c.steps); got != c.want {
			t.Errorf("after %d items in %d steps a pause of %d becomes %d, want %d", c.items, c.steps, c.lag, got, c.want)
		}
	}
}
