package mpqueue_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"testing"

	"shmkit/mpqueue"
	"shmkit/procs/procstest"
)

// message64 is a message of 64 bytes: who sent it, its number, and words made of
// the number, which the receiver checks.
type message64 [8]uint64

func (m *message64) fill(producer, n uint64) {
	for i := range m {
		m[i] = n * uint64(2*i+1)
	}
	m[0] = producer<<32 | n
}

func (m *message64) check() (producer, n uint64, ok bool) {
	producer, n = m[0]>>32, m[0]&(1<<32-1)
	for i := 1; i < len(m); i++ {
		if m[i] != n*uint64(2*i+1) {
			return producer, n, false
		}
	}
	return producer, n, true
}

type benchArgs struct {
	Queue    *mpqueue.Queue[message64]
	Producer int
	Count    int
}

var benchProducer = procstest.Role("bench-producer", func(ctx context.Context, a benchArgs) error {
	var m message64
	for n := range a.Count {
		m.fill(uint64(a.Producer), uint64(n))
		if err := a.Queue.Put(ctx, m); err != nil {
			return err
		}
	}
	return nil
})

var benchConsumer = procstest.Role("bench-consumer", func(ctx context.Context, a benchArgs) error {
	return drain(ctx, a.Queue)
})

// drain gets until the end and checks the order of each producer.
func drain(ctx context.Context, q *mpqueue.Queue[message64]) error {
	var next [8]uint64
	for m, err := range q.All(ctx) {
		if err != nil {
			return err
		}
		p, n, ok := m.check()
		if !ok || p >= uint64(len(next)) || n < next[p] {
			return fmt.Errorf("message %d of producer %d: %v", n, p, m)
		}
		next[p] = n + 1
	}
	return nil
}

// BenchmarkQueue moves 64-byte messages between processes, or, for comparison,
// between goroutines: by a queue and by a channel.
func BenchmarkQueue(b *testing.B) {
	for _, k := range []int{1, 2} {
		b.Run(fmt.Sprintf("impl=mpqueue/procs=%dx%d", k, k), func(b *testing.B) {
			q := newQueue[message64](b, 1024)
			var ps, cs []*procstest.Proc
			for range k - 1 {
				cs = append(cs, benchConsumer.Start(b, benchArgs{Queue: q}))
			}
			b.ResetTimer()
			for i := range k {
				n := b.N / k
				if i == 0 {
					n += b.N % k
				}
				ps = append(ps, benchProducer.Start(b, benchArgs{Queue: q, Producer: i, Count: n}))
			}
			go func() {
				for _, p := range ps {
					p.Wait()
				}
				q.CloseSend()
			}()
			if err := drain(background, q); err != nil {
				b.Fatal(err)
			}
			for _, c := range cs {
				if s := c.Wait(); s.Err != nil {
					b.Fatal(s)
				}
			}
		})
		b.Run(fmt.Sprintf("impl=chan/procs=%dx%d", k, k), func(b *testing.B) {
			q := make(chan message64, 1024)
			end := make(chan error)
			for range k {
				go func() {
					var next [8]uint64
					for m := range q {
						p, n, ok := m.check()
						if !ok || p >= uint64(len(next)) || n < next[p] {
							end <- fmt.Errorf("message %d of producer %d", n, p)
							return
						}
						next[p] = n + 1
					}
					end <- nil
				}()
			}
			sent := make(chan bool)
			for i := range k {
				go func() {
					var m message64
					for n := range b.N / k {
						m.fill(uint64(i), uint64(n))
						q <- m
					}
					sent <- true
				}()
			}
			for range k {
				<-sent
			}
			close(q)
			for range k {
				if err := <-end; err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkAlone puts and gets in one goroutine: the cost of the instructions,
// without any other side.
func BenchmarkAlone(b *testing.B) {
	q := newQueue[message64](b, 1024)
	var m message64
	for b.Loop() {
		if err := q.Put(background, m); err != nil {
			b.Fatal(err)
		}
		if _, err := q.Get(background); err != nil {
			b.Fatal(err)
		}
	}
}

type receiveArgs struct {
	Queue *mpqueue.Queue[[]byte]
	Count int
}

var benchBytes = procstest.Role("bench-bytes", func(ctx context.Context, a receiveArgs) error {
	b := make([]byte, 64)
	for n := range a.Count {
		binary.LittleEndian.PutUint64(b, uint64(n))
		if err := a.Queue.Put(ctx, b); err != nil {
			return err
		}
	}
	return a.Queue.CloseSend()
})

// BenchmarkBytes moves messages of 64 bytes from another process to this one, by
// Get and by Receive and Done.
func BenchmarkBytes(b *testing.B) {
	b.Run("impl=mpqueue/op=Get", func(b *testing.B) {
		q := newQueue[[]byte](b, 1024)
		benchBytes.Start(b, receiveArgs{q, b.N})
		for n := range b.N {
			m, err := q.Get(background)
			if err != nil || binary.LittleEndian.Uint64(m) != uint64(n) {
				b.Fatal(n, err)
			}
		}
	})
	b.Run("impl=mpqueue/op=Receive", func(b *testing.B) {
		q := newQueue[[]byte](b, 1024)
		benchBytes.Start(b, receiveArgs{q, b.N})
		for n := range b.N {
			i, err := q.Receive(background)
			if err != nil || binary.LittleEndian.Uint64(i.Bytes()) != uint64(n) {
				b.Fatal(n, err)
			}
			i.Done()
		}
	})
}

type batchArgs[T any] struct {
	Queue *mpqueue.Queue[T]
	Count int
}

const benchBatch = 64

var benchBatchFixed = procstest.Role("bench-batch-fixed", func(ctx context.Context, a batchArgs[message64]) error {
	ms := make([]message64, benchBatch)
	for n := 0; n < a.Count; {
		part := ms[:min(benchBatch, a.Count-n)]
		for i := range part {
			part[i].fill(0, uint64(n+i))
		}
		if _, err := a.Queue.PutBatch(ctx, part); err != nil {
			return err
		}
		n += len(part)
	}
	return nil
})

var benchBatchBytes = procstest.Role("bench-batch-bytes", func(ctx context.Context, a batchArgs[[]byte]) error {
	ms := make([][]byte, benchBatch)
	for i := range ms {
		ms[i] = make([]byte, 64)
	}
	for n := 0; n < a.Count; {
		part := ms[:min(benchBatch, a.Count-n)]
		for i := range part {
			binary.LittleEndian.PutUint64(part[i], uint64(n+i))
		}
		if _, err := a.Queue.PutBatch(ctx, part); err != nil {
			return err
		}
		n += len(part)
	}
	return nil
})

// BenchmarkBatch moves messages of 64 bytes from another process to this one, 64
// in a call.
func BenchmarkBatch(b *testing.B) {
	b.Run("impl=mpqueue/type=fixed", func(b *testing.B) {
		q := newQueue[message64](b, 1024)
		p := benchBatchFixed.Start(b, batchArgs[message64]{q, b.N})
		dst := make([]message64, benchBatch)
		for n := 0; n < b.N; {
			k, err := q.GetBatch(background, dst)
			for _, m := range dst[:k] {
				if _, i, ok := m.check(); !ok || i != uint64(n) {
					b.Fatal(n, m)
				}
				n++
			}
			if err != nil {
				b.Fatal(err)
			}
		}
		p.Wait()
	})
	b.Run("impl=mpqueue/type=bytes", func(b *testing.B) {
		q := newQueue[[]byte](b, 1024)
		p := benchBatchBytes.Start(b, batchArgs[[]byte]{q, b.N})
		dst := make([][]byte, benchBatch)
		for n := 0; n < b.N; {
			k, err := q.GetBatch(background, dst)
			for _, m := range dst[:k] {
				if binary.LittleEndian.Uint64(m) != uint64(n) {
					b.Fatal(n, m)
				}
				n++
			}
			if err != nil {
				b.Fatal(err)
			}
		}
		p.Wait()
	})
}
