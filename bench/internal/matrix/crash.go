package matrix

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"structs"
	"sync/atomic"

	"shmkit/bench/internal/machine"
	"shmkit/bench/internal/rival"
	"shmkit/bench/internal/stage"
	"shmkit/procs"
	"shmkit/shm"
	"shmkit/shm/fault"
)

// The crash rows ask what a survivor sees when another process is killed with
// -9 at the worst moment:
//
//	producer   in the middle of sending: the queue's with a slot claimed, while
//	           a consumer waits; the others blocked in a write, which they only
//	           are while nobody reads, so there the consumer begins after the
//	           kill. Does what the next producer sends arrive, and how long
//	           after the kill?
//	consumer   with a message in its hands. Does another consumer get it?
//	holder     of a lock, while another process waits for it. Does it get it?
//
// The launcher is the parent of the victim, and as it has the queue and the lock
// too, it releases at once what the dead one held. In the rows that end in
// "-alone" it has let go of them before the kill, so the survivors have to find
// out by themselves that somebody is dead who is nothing to them.
//
// Nobody waits for ever: a watchdog ends what hangs, and that is the result.

// crashBox is what the parties of one crash share.
type crashBox struct {
	_      structs.HostLayout
	Victim atomic.Uint32 // 1: the victim is about to do what it will be killed in; 2: it is in it
	_      [124]byte
	First  atomic.Int64  // when the survivor had what it waited for, by machine.Now
	Count  atomic.Int64  // messages that it got
	Wrong  atomic.Int64  // of them, ones that nobody sent
	Ready  atomic.Uint32 // the survivor is there
	Go     atomic.Uint32 // the survivor may begin
}

// alone ends the name of what is measured when no parent helps the survivors.
const alone = "-alone"

// after is how many messages the second producer sends, for the survivor to
// find its way again.
const after = 10

// party is what one process of a crash is told.
type party struct {
	Impl  string
	Role  string // "victim", "survivor", "successor"
	Scene string // "producer", "consumer"
	Ends  rival.Ends
	Files int
	Box   *shm.Object[crashBox]
}

var crashing = procs.Register("bench.matrix.crash", func(ctx context.Context, p party) error { return p.play(ctx) })

// bigMessage fills any pipe: its sender is in the middle of it when it blocks.
const bigMessage = 3 << 20

func (p party) play(ctx context.Context) error {
	k, err := find(p.Impl)
	if err != nil {
		return err
	}
	files, box := stage.Inherited(p.Files), p.Box.Value()
	if p.Role == "survivor" || p.Role == "victim" && p.Scene == "consumer" {
		r, err := k.Receiver(p.Ends, files)
		if err != nil {
			return err
		}
		if p.Role == "survivor" {
			return p.survive(ctx, r)
		}
		if _, err := r.Recv(ctx); err != nil {
			return err
		}
		box.Victim.Store(2) // And never says that it is done.
		<-ctx.Done()
		return nil
	}
	if p.Role == "victim" && k.Name == "mpqueue" {
		// Stand still with a slot claimed, half-way through Put.
		if err := fault.Arm("mpqueue.put.claimed:1:stop"); err != nil {
			return err
		}
	}
	s, err := k.Sender(p.Ends, files)
	if err != nil {
		return err
	}
	if p.Role == "successor" {
		for i := range after {
			if err := errors.Join(s.Send(ctx, crashMessage(i)), rival.Flush(s)); err != nil {
				return err
			}
		}
		return s.Close()
	}
	box.Victim.Store(1)
	for { // Until it blocks in the middle, or forever: it will be killed.
		m := crashMessage(1000)
		if p.Ends.Spec.MaxMessage >= bigMessage && k.Name != "mpqueue" {
			m = append(m, make([]byte, bigMessage-len(m))...)
		}
		if err := errors.Join(s.Send(ctx, m), rival.Flush(s)); err != nil {
			return err
		}
	}
}

// crashMessage is message number i of the successor, or, from 1000 on, one of
// the victim.
func crashMessage(i int) []byte {
	return binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, uint64(i)), mix(uint64(i)))
}

// survive counts the messages of the successor.
func (p party) survive(ctx context.Context, r rival.Receiver) error {
	box := p.Box.Value()
	box.Ready.Store(1)
	for box.Go.Load() == 0 && ctx.Err() == nil {
		shm.Pause(16)
	}
	for {
		m, err := r.Recv(ctx)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		now := machine.Now()
		switch i := -1; {
		case len(m) < 16:
			box.Wrong.Add(1)
		default:
			i = int(binary.LittleEndian.Uint64(m))
			if binary.LittleEndian.Uint64(m[8:]) != mix(uint64(i)) || i != 1000 && i >= after {
				box.Wrong.Add(1)
			} else if i < after {
				if box.Count.Add(1) == 1 {
					box.First.Store(now)
				}
			}
		}
		if err := r.Done(); err != nil {
			return err
		}
	}
}
