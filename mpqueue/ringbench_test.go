package mpqueue_test

import (
	"context"
	"fmt"
	"io"
	"testing"

	"shmkit/mpqueue"
	"shmkit/procs/procstest"
)

type ringBenchArgs struct {
	Ring  *mpqueue.Ring[message64]
	Batch int
	Count int
}

var benchRingProducer = procstest.Role("bench-ring-producer", func(ctx context.Context, a ringBenchArgs) error {
	mpqueue.WaitFences()
	return fillRing(ctx, a.Ring, a.Count, a.Batch)
})

func fillRing(ctx context.Context, r *mpqueue.Ring[message64], count, batch int) error {
	if batch == 1 {
		var m message64
		for n := range count {
			m.fill(0, uint64(n))
			if err := r.Put(ctx, m); err != nil {
				return err
			}
		}
		return r.CloseSend()
	}
	ms := make([]message64, batch)
	for n := 0; n < count; {
		k := min(batch, count-n)
		for i := range k {
			ms[i].fill(0, uint64(n+i))
		}
		if _, err := r.PutBatch(ctx, ms[:k]); err != nil {
			return err
		}
		n += k
	}
	return r.CloseSend()
}

func drainRing(ctx context.Context, r *mpqueue.Ring[message64], count, batch int) error {
	bad := func(n int, m message64) error { return fmt.Errorf("message %d: %v", n, m) }
	if batch == 1 {
		for n := range count {
			m, err := r.Get(ctx)
			if err != nil {
				return err
			}
			if _, k, ok := m.check(); !ok || k != uint64(n) {
				return bad(n, m)
			}
		}
		return nil
	}
	ms := make([]message64, batch)
	for n := 0; n < count; {
		k, err := r.GetBatch(ctx, ms)
		if err != nil {
			return err
		}
		for i := range k {
			if _, k, ok := ms[i].check(); !ok || k != uint64(n+i) {
				return bad(n+i, ms[i])
			}
		}
		n += k
	}
	return nil
}

func BenchmarkRing(b *testing.B) {
	for _, batch := range []int{1, 64} {
		for _, capacity := range []int{64, 1024} {
			b.Run(fmt.Sprintf("impl=mpqueue/batch=%d/cap=%d", batch, capacity), func(b *testing.B) {
				r, err := mpqueue.NewRing[message64](capacity)
				if err != nil {
					b.Fatal(err)
				}
				defer r.Close()
				mpqueue.WaitFences()
				p := benchRingProducer.Start(b, ringBenchArgs{r, batch, b.N})
				if _, err := r.Peek(background, 1); err != nil {
					b.Fatal(err)
				}
				b.ResetTimer()
				if err := drainRing(background, r, b.N, batch); err != nil {
					b.Fatal(err)
				}
				b.StopTimer()
				if s := p.Wait(); s.Err != nil {
					b.Fatal(s)
				}
			})
		}
	}
}

type byteBenchArgs struct {
	Ring         *mpqueue.ByteRing
	Chunk, Count int
}

var benchByteProducer = procstest.Role("bench-byte-producer", func(ctx context.Context, a byteBenchArgs) error {
	mpqueue.WaitFences()
	b := make([]byte, a.Chunk)
	for n := range a.Count {
		for i := 0; i < len(b); i += 64 {
			b[i] = byte(n)
		}
		if _, err := a.Ring.WriteContext(ctx, b); err != nil {
			return err
		}
	}
	return a.Ring.CloseSend()
})

// BenchmarkByteRing writes and reads chunks of a stream.
func BenchmarkByteRing(b *testing.B) {
	for _, chunk := range []int{64, 4 << 10, 64 << 10} {
		for _, size := range []int{1 << 20} {
			b.Run(fmt.Sprintf("chunk=%d/size=%d", chunk, size), func(b *testing.B) {
				r, err := mpqueue.NewByteRing(size)
				if err != nil {
					b.Fatal(err)
				}
				defer r.Close()
				mpqueue.WaitFences()
				p := benchByteProducer.Start(b, byteBenchArgs{r, chunk, b.N})
				if _, err := r.Peek(background, 1); err != nil {
					b.Fatal(err)
				}
				buf := make([]byte, chunk)
				b.SetBytes(int64(chunk))
				b.ResetTimer()
				for n := range b.N {
					if _, err := io.ReadFull(r, buf); err != nil {
						b.Fatal(err)
					}
					for i := 0; i < len(buf); i += 64 {
						if buf[i] != byte(n) {
							b.Fatalf("byte %d of chunk %d is %d", i, n, buf[i])
						}
					}
				}
				b.StopTimer()
				if s := p.Wait(); s.Err != nil {
					b.Fatal(s)
				}
			})
		}
	}
}
