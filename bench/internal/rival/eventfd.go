package rival

import (
	"errors"
	"os"
	"structs"
	"sync"
	"sync/atomic"

	"shmkit/shm"
)

// EventFD is what one builds by hand: a plain ring in shared memory for one
// producer and one consumer, and an eventfd to sleep on at each end. It is the
// usual answer to "shared memory is fast", and knows nothing of death. The
// choices:
//
//   - Each end writes its own index, on a cache line of its own, and looks at
//     the other's only when its last look is used up.
//   - An end that finds nothing looks again for as long as this module's queue
//     does, with the processor's pause between: 5 to 20 µs, twice as long after
//     a time that paid, half as long after one that did not. Then it says that
//     it sleeps, looks once again, and sleeps in read. The other end writes to
//     the eventfd only if somebody sleeps. It can also spin for good, or sleep
//     at once.
//   - As many slots as the spec's capacity, but at most 64 MiB of them.
func EventFD() Kind {
	return Kind{
		Name:        "eventfd",
		Bounded:     true,
		ReadsWrites: true,
		About:       "a plain ring in shared memory, an eventfd to sleep on",
		Modes:       []string{Hybrid, Spin, Block},
		Skip: func(s Spec) string {
			if s.Producers > 1 || s.Consumers > 1 {
				return "a plain ring has one producer and one consumer"
			}
			return onlyLinux(s)
		},
		Make:     makeEventFD,
		Sender:   func(e Ends, files []*os.File) (Sender, error) { return openRing(e, files) },
		Receiver: func(e Ends, files []*os.File) (Receiver, error) { return openRing(e, files) },
	}
}

// ringHead is the beginning of the segment; the slots follow.
type ringHead struct {
	_      structs.HostLayout
	tail   atomic.Uint64 // messages written
	_      [120]byte
	head   atomic.Uint64 // messages read
	_      [120]byte
	asleep [2]atomic.Uint32 // 0: the consumer sleeps, 1: the producer
	closed atomic.Uint32
	_      [116]byte
}

const ringStart = 384 // size of ringHead

func ringSlots(s Spec) (slots, stride int) {
	stride = (8 + s.MaxMessage + 63) &^ 63
	return max(1, min(s.Capacity, 64<<20/stride)), stride
}

func makeEventFD(s Spec) (*Channel, error) {
	slots, stride := ringSlots(s)
	seg, err := shm.NewSegment(ringStart + slots*stride)
	if err != nil {
		return nil, err
	}
	var files []*os.File
	for range 2 {
		f, err := newEventFD()
		if err != nil {
			return nil, errors.Join(err, seg.Close())
		}
		files = append(files, f)
	}
	c := &Channel{Ends: Ends{Spec: s, Ring: seg}, SendFiles: files, ReceiveFiles: files}
	c.CloseSend = atOnce(sync.OnceValue(func() error {
		r, err := openRing(c.Ends, files)
		if err != nil {
			return err
		}
		r.head.closed.Store(1)
		return r.wake(0)
	}))
	c.Close = sync.OnceValue(func() error { return errors.Join(seg.Close(), files[0].Close(), files[1].Close()) })
	return c, nil
}
