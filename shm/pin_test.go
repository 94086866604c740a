package shm_test

import (
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"shmkit/procs"
	"shmkit/procs/procstest"
	"shmkit/shm"
)

// A handle that is long on its way is not overtaken by others that have arrived,
// however many they are.
func TestHandleOnItsWay(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	for _, opts := range [][]shm.Option{nil, {shm.WithOwnSegment()}} {
		ready := must[*shm.Object[atomic.Int64]](t)(shm.New[atomic.Int64]())
		in, out, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		p := reader.Start(t, ready, procstest.With(procs.Stdin(in)))
		in.Close()
		waitFor(t, "the reader", func() bool { return ready.Value().Load() == 1 })
		send := func() (text []byte) {
			o := must[*shm.Object[atomic.Int64]](t)(shm.New[atomic.Int64](opts...))
			o.Value().Store(1)
			text, err := o.MarshalText()
			if err != nil {
				t.Fatal(err)
			}
			o.Close()
			return text
		}
		slow := send()
		const n = 300
		for i := range n {
			fmt.Fprintf(out, "%s\n", send())
			for ready.Value().Load() < int64(i+2) && p.Alive() {
				time.Sleep(10 * time.Microsecond)
			}
		}
		fmt.Fprintf(out, "%s\n", slow)
		out.Close()
		if s := p.Wait(); s.Err != nil {
			t.Error(s)
		}
		if got := ready.Value().Load(); got != n+2 {
			t.Errorf("%d arrived, want %d", got-1, n+1)
		}
		ready.Close()
	}
}

// What a sender keeps for receivers that never come is bounded.
func TestHandlePinsBounded(t *testing.T) {
	for _, opts := range [][]shm.Option{nil, {shm.WithOwnSegment()}} {
		keep := must[*shm.Object[int64]](t)(shm.New[int64]()) // keeps the arena
		fds := descriptors(t)
		const n = 100
		var all [][]byte
		for i := range n {
			o := must[*shm.Object[int64]](t)(shm.New[int64](opts...))
			*o.Value() = int64(i)
			b, err := o.MarshalBinary()
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, b)
			o.Close()
		}
		waitFor(t, "older ones are dropped", func() bool { return shm.Pins() <= 64 })
		waitFor(t, "descriptors", func() bool { return descriptors(t)-fds <= 64 })
		alive := 0
		for i, b := range all {
			var o shm.Object[int64]
			err := o.UnmarshalBinary(b)
			var he *shm.HandleError
			switch {
			case err == nil:
				alive++
				if *o.Value() != int64(i) {
					t.Errorf("object %d holds %d", i, *o.Value())
				}
				o.Close()
			case !errors.As(err, &he):
				t.Error(err)
			case i >= n-64:
				t.Errorf("one of the newest 64 is gone: %v", err)
			}
		}
		if alive != 64 {
			t.Errorf("%d of %d can be opened, want 64", alive, n)
		}
		shm.DropPins()
		keep.Close()
	}
}
