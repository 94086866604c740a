package shm_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"shmkit/futexlock"
	"shmkit/procs/procstest"
	"shmkit/shm"
)

func BenchmarkNew(b *testing.B) {
	b.Run("in=arena/type=int64", func(b *testing.B) { benchNew[int64](b) })
	b.Run("in=arena/type=Mutex", func(b *testing.B) { benchNew[futexlock.Mutex](b) })
	b.Run("in=own/type=int64", func(b *testing.B) { benchNew[int64](b, shm.WithOwnSegment()) })
	b.Run("in=own/type=64KiB", func(b *testing.B) { benchNew[[64 << 10]byte](b) })
}

// benchNew counts New alone; Close is measured by BenchmarkClose.
func benchNew[T any](b *testing.B, opts ...shm.Option) {
	var all []*shm.Object[T]
	drop := func() {
		for _, o := range all {
			o.Close()
		}
		all = all[:0]
	}
	b.ReportAllocs()
	for b.Loop() {
		o, err := shm.New[T](opts...)
		if err != nil {
			b.Fatal(err)
		}
		if all = append(all, o); len(all) == 1000 {
			b.StopTimer()
			drop()
			b.StartTimer()
		}
	}
	b.StopTimer()
	drop()
}

func BenchmarkNewClose(b *testing.B) {
	for _, bb := range []struct {
		name string
		opts []shm.Option
	}{{"in=arena", nil}, {"in=own", []shm.Option{shm.WithOwnSegment()}}} {
		b.Run(bb.name, func(b *testing.B) {
			for b.Loop() {
				o, err := shm.New[int64](bb.opts...)
				if err != nil {
					b.Fatal(err)
				}
				o.Close()
			}
		})
	}
}

// BenchmarkNewRival makes a shared file of one page in the plain way.
func BenchmarkNewRival(b *testing.B) {
	dir := os.Getenv("SHMKIT_DIR")
	path := filepath.Join(dir, "rival")
	for b.Loop() {
		mem, err := plainMapping(path)
		if err != nil {
			b.Fatal(err)
		}
		mem.Unmap()
		os.Remove(path)
	}
}

func BenchmarkOpen(b *testing.B) {
	o, err := shm.Create[int64]("bench")
	if err != nil {
		b.Fatal(err)
	}
	defer shm.Remove("bench")
	b.Run("attached=yes", func(b *testing.B) {
		for b.Loop() {
			p, err := shm.Open[int64]("bench")
			if err != nil {
				b.Fatal(err)
			}
			p.Close()
		}
	})
	o.Close()
	b.Run("attached=no", func(b *testing.B) {
		for b.Loop() {
			p, err := shm.Open[int64]("bench")
			if err != nil {
				b.Fatal(err)
			}
			p.Close()
		}
	})
}

var sink *int64

func BenchmarkValue(b *testing.B) {
	o, err := shm.New[int64]()
	if err != nil {
		b.Fatal(err)
	}
	defer o.Close()
	for b.Loop() {
		sink = o.Value()
	}
}

// BenchmarkFind asks which segment an address lies in, and which participant of
// it we are: of one that is attached, and of 100 in turn. The loop itself, which
// takes the addresses from a slice, is measured beside them.
func BenchmarkFind(b *testing.B) {
	for _, n := range []int{1, 100} {
		var all []*atomic.Uint32
		var close []func() error
		for range n {
			o, err := shm.New[atomic.Uint32](shm.WithOwnSegment())
			if err != nil {
				b.Fatal(err)
			}
			all, close = append(all, o.Value()), append(close, o.Close)
		}
		run := func(of string, loop func(b *testing.B)) {
			b.Run(fmt.Sprintf("segments=%d/of=%s", n, of), loop)
		}
		next := func(i int) int {
			if i++; i == n {
				return 0
			}
			return i
		}
		run("loop", func(b *testing.B) {
			for i := 0; b.Loop(); i = next(i) {
				if all[i] == nil {
					b.Fatal("nothing")
				}
			}
		})
		run("segment", func(b *testing.B) {
			for i := 0; b.Loop(); i = next(i) {
				if shm.Find(all[i]) == nil {
					b.Fatal("not found")
				}
			}
		})
		run("participant", func(b *testing.B) {
			for i := 0; b.Loop(); i = next(i) {
				if shm.SelfAt(all[i]) == 0 {
					b.Fatal("not found")
				}
			}
		})
		for _, f := range close {
			f()
		}
	}
}

// benchPeer plays a participant that lives.
var benchPeer = procstest.Role("bench-peer", func(ctx context.Context, o *shm.Object[[8]atomic.Uint32]) error {
	o.Value()[0].Store(uint32(o.Segment().Self()))
	<-ctx.Done()
	return nil
})

func BenchmarkDeath(b *testing.B) {
	o, err := shm.New[[8]atomic.Uint32]()
	if err != nil {
		b.Fatal(err)
	}
	defer o.Close()
	benchPeer.Start(b, o)
	for o.Value()[0].Load() == 0 {
	}
	peer, s := shm.Token(o.Value()[0].Load()), o.Segment()
	b.Run("ask=Dead", func(b *testing.B) {
		for b.Loop() {
			if s.Dead(peer) {
				b.Fatal("dead")
			}
		}
	})
	b.Run("ask=Confirm", func(b *testing.B) {
		for b.Loop() {
			if s.Confirm(peer) {
				b.Fatal("dead")
			}
		}
	})
}

func BenchmarkHandle(b *testing.B) {
	o, err := shm.New[int64]()
	if err != nil {
		b.Fatal(err)
	}
	defer shm.DropPins()
	defer o.Close()
	bin, _ := o.MarshalBinary()
	b.Run("op=marshal", func(b *testing.B) {
		for b.Loop() {
			o.MarshalBinary()
		}
	})
	b.Run("op=unmarshal-attached", func(b *testing.B) {
		for b.Loop() {
			var r shm.Object[int64]
			if err := r.UnmarshalBinary(bin); err != nil {
				b.Fatal(err)
			}
			r.Close()
		}
	})
}

func BenchmarkWake(b *testing.B) {
	o, err := shm.New[atomic.Uint32]()
	if err != nil {
		b.Fatal(err)
	}
	defer o.Close()
	w := o.Value()
	b.Run("op=Wake/asleep=0", func(b *testing.B) {
		for b.Loop() {
			shm.Wake(w, 1)
		}
	})
	b.Run("op=StoreWake/asleep=0", func(b *testing.B) {
		for b.Loop() {
			shm.StoreWake(w, 1)
		}
	})
	b.Run("op=Sleep/changed", func(b *testing.B) {
		ctx := context.Background()
		for b.Loop() {
			o.Segment().Sleep(ctx, w, 0, 0)
		}
	})
}

func BenchmarkCheck(b *testing.B) {
	o, err := shm.New[account](shm.WithOwnSegment())
	if err != nil {
		b.Fatal(err)
	}
	defer o.Close()
	for b.Loop() {
		shm.Check(o.Segment())
	}
}
