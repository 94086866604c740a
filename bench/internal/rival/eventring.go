package rival

import (
	"context"
	"encoding/binary"
	"io"
	"os"

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
}

func openRing(e Ends, files []*os.File) (*ring, error) {
	head, err := shm.At[ringHead](e.Ring, 0)
	if err != nil {
		return nil, err
	}
	slots, stride := ringSlots(e.Spec)
	return &ring{head: head, data: e.Ring.Data()[ringStart:], slots: uint64(slots), stride: stride, files: [2]*os.File(files)}, nil
}

func (r *ring) slot() []byte {
	i := int(r.at%r.slots) * r.stride
	return r.data[i : i+r.stride]
}

func (r *ring) Send(_ context.Context, p []byte) error {
	if err := r.await(1, func() bool { r.other = r.head.head.Load(); return r.at-r.other < r.slots }); err != nil {
		return err
	}
	s := r.slot()
	binary.LittleEndian.PutUint64(s, uint64(len(p)))
	copy(s[8:], p)
	r.at++
	r.head.tail.Store(r.at)
	if r.head.asleep[0].Load() != 0 {
		return r.wake(0)
	}
	return nil
}

func (r *ring) Recv(context.Context) ([]byte, error) {
	if r.other == r.at {
		closed := false
		err := r.await(0, func() bool {
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
	r.head.head.Store(r.at)
	if r.head.asleep[1].Load() != 0 {
		return r.wake(1)
	}
	return nil
}

// await returns when ready says so; end 0 is the consumer's.
func (r *ring) await(end int, ready func() bool) error {
	for range looks {
		if ready() {
			return nil
		}
	}
	var b [8]byte
	for {
		r.head.asleep[end].Store(1) // Then look again: the other end may have missed it.
		if ready() {
			r.head.asleep[end].Store(0)
			return nil
		}
		if _, err := r.files[end].Read(b[:]); err != nil {
			return err
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
