package job

import (
	"context"
	"errors"
	"fmt"
	"io"

	"shmkit/bench/internal/machine"
	"shmkit/bench/internal/rival"
	"shmkit/bench/internal/stage"
	"shmkit/bench/internal/tree"
	"shmkit/procs"
	"shmkit/shm"
)

// orders is what a worker is told when it starts.
type orders struct {
	Impl  string
	Ends  rival.Ends
	Plan  *tree.Plan
	Board *shm.Object[board]
	Table *shm.Slice[entry]
	Place tree.Share // which of how many workers of its kind it is
	Doom  Doom
	Files int                // how many descriptors came along
	Count machine.Tracepoint // not 0: count system calls
}

// find looks up a kind by its name. Tests add kinds that are broken on purpose.
var find = rival.Find

var (
	producer = procs.Register("bench.job.producer", produce)
	consumer = procs.Register("bench.job.consumer", consume)
)

// produce sends what is left of the share of its place.
func produce(ctx context.Context, o orders) (err error) {
	kind, err := find(o.Impl)
	if err != nil {
		return err
	}
	s, err := kind.Sender(o.Ends, stage.Inherited(o.Files))
	if err != nil {
		return err
	}
	c := &o.Board.Value().Producers[o.Place.Index]
	sent := int(c.Sent.Load()) // Where the last one in this place ended.
	var r tree.Reader
	defer r.Close()

	ledger, err := c.Begin(ctx, &o.Board.Value().Gate, o.Count)
	if err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, s.Close()) // Before the count: it may have to send the rest.
		ledger.End()
	}()
	file, chunk, more := o.Place.Locate(o.Plan, sent)
	buf, done := make([]byte, maxMessage), 0
	for ; more; file, chunk = file+o.Place.Of, 0 {
		if file >= len(o.Plan.Files) {
			break
		}
		for ; chunk < o.Plan.Files[file].Chunks(); chunk++ {
			o.Doom.reach(c, done)
			if o.Doom.Hold && done >= o.Doom.After {
				return o.Doom.await(ctx, c) // Dies with files unsent.
			}
			n, err := r.ReadChunk(o.Plan, file, chunk, buf[headSize:])
			if err != nil {
				return err
			}
			putHead(buf, file, int64(chunk)*tree.ChunkSize)
			if err := s.Send(ctx, buf[:headSize+n]); err != nil {
				return fmt.Errorf("send: %w", err)
			}
			c.Sent.Add(1) // From here on a successor does not send it again.
			done++
		}
	}
	return o.Doom.await(ctx, c)
}

// consume writes the digest of every chunk that it is given into the table.
func consume(ctx context.Context, o orders) error {
	kind, err := find(o.Impl)
	if err != nil {
		return err
	}
	r, err := kind.Receiver(o.Ends, stage.Inherited(o.Files))
	if err != nil {
		return err
	}
	defer r.Close()
	c, table := &o.Board.Value().Consumers[o.Place.Index], o.Table.Data()

	ledger, err := c.Begin(ctx, &o.Board.Value().Gate, o.Count)
	if err != nil {
		return err
	}
	for done := 0; ; done++ {
		if !o.Doom.Hold {
			o.Doom.reach(c, done)
		}
		m, err := r.Recv(ctx)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("receive: %w", err)
		}
		number, chunk, err := parse(o.Plan, m)
		if err != nil {
			return err
		}
		table[number].Sum.Store(tree.Sum(chunk))
		table[number].Seen.Add(1)
		if r.Redelivered() {
			table[number].Again.Add(1)
		}
		if o.Doom.Hold && done >= o.Doom.After {
			c.Held.Store(int64(o.Doom.Number))
			return o.Doom.await(ctx, c) // Dies with the message in its hands.
		}
		if err := r.Done(); err != nil {
			return fmt.Errorf("done: %w", err)
		}
		c.Hashed.Add(1)
		c.Last.Store(machine.Now())
	}
	ledger.End()
	return o.Doom.await(ctx, c)
}
