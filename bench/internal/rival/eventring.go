package rival

import (
	"context"
	"encoding/binary"
	"io"
	"os"
	"time"

	"shmkit/shm"
)

// ring is either end of the ring.
type ring struct {
	plain
	head   *ringHead
	data   []byte
	slots  uint64
	stride int
	at     uint64      // this end's index
	other  uint64      // the other's, when we last looked
	files  [2]*os.File // that the consumer sleeps on, that the producer sleeps on
	mode   string
	budget time.Duration // to look again before it sleeps
}

// An end looks again for so long; a sleep and a wake cost more than the least.
const (
	lookLeast = 5 * time.Microsecond
	lookMost  = 20 * time.Microsecond
)

func openRing(e Ends, files []*os.File) (*ring, error) {
	head, err := shm.At[ringHead](e.Ring, 0)
	if err != nil {
		return nil, err
	}
	slots, stride := ringSlots(e.Spec)
	return &ring{
		head: head, data: e.Ring.Data()[ringStart:], slots: uint64(slots), stride: stride, files: [2]*os.File(files),
		mode: e.Spec.Mode, budget: lookLeast,
	}, nil
}

func (r *ring) slot() []byte {
	i := int(r.at%r.slots) * r.stride
	return r.data[i : i+r.stride]
}

func (r *ring) Send(ctx context.Context, p []byte) error {
	if r.at-r.other >= r.slots {
		err := r.await(ctx, 1, func() bool { r.other = r.head.head.Load(); return r.at-r.other < r.slots })
		if err != nil {
			return err
		}
	}
	s := r.slot()
	binary.LittleEndian.PutUint64(s, uint64(len(p)))
	copy(s[8:], p)
	r.at++
	r.head.tail.Swap(r.at) // A barrier, before the look whether somebody sleeps: see await.
	if r.head.asleep[0].Load() != 0 {
		return r.wake(0)
	}
	return nil
}

func (r *ring) Recv(ctx context.Context) ([]byte, error) {
	if r.other == r.at {
		closed := false
		err := r.await(ctx, 0, func() bool {
			closed = r.head.closed.Load() != 0 // Before the index: what was sent comes first.
			r.other = r.head.tail.Load()
			return r.other != r.at || closed
		})
		if err != nil {
			return nil, err
		}
		if r.other == r.at {
			return nil, io.EOF
		}
	}
	s := r.slot()
	return s[8 : 8+binary.LittleEndian.Uint64(s)], nil
}

func (r *ring) Done() error {
	r.at++
	r.head.head.Swap(r.at) // As in Send.
	if r.head.asleep[1].Load() != 0 {
		return r.wake(1)
	}
	return nil
}

// await returns when ready says so; end 0 is the consumer's.
func (r *ring) await(ctx context.Context, end int, ready func() bool) error {
	if ready() || r.mode != Block && r.look(ctx, ready) {
		return nil
	}
	if r.mode == Spin {
		return ctx.Err()
	}
	var b [8]byte
	for {
		// Then look again: the other end may have missed it. As here nobody looks
		// by the clock, no store may pass the look that follows it; and a Store,
		// which is a barrier otherwise, is none under the race detector.
		r.head.asleep[end].Swap(1)
		if ready() {
			r.head.asleep[end].Store(0)
			return nil
		}
		if _, err := r.files[end].Read(b[:]); err != nil {
			return err
		}
	}
}

// look looks again for a while; in the mode Spin until ctx ends.
func (r *ring) look(ctx context.Context, ready func() bool) bool {
	if !shm.CanSpin() && r.mode != Spin {
		return false
	}
	begin := time.Now()
	for n := 1; ; n++ {
		shm.Pause(min(n, 4))
		switch {
		case ready():
			r.budget = min(2*r.budget, lookMost)
			return true
		case r.mode == Spin:
			if n%1024 == 0 && ctx.Err() != nil {
				return false
			}
		case time.Since(begin) > r.budget:
			r.budget = max(r.budget/2, lookLeast)
			return false
		}
	}
}

// wake wakes the end that sleeps.
func (r *ring) wake(end int) error {
	r.head.asleep[end].Store(0)
	_, err := r.files[end].Write(binary.NativeEndian.AppendUint64(nil, 1))
	return err
}

func (r *ring) Close() error { return nil }
