package mpqueue_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"syscall"

	"shmkit/mpqueue"
	"shmkit/shm"
)

// post is the torture's way into a queue and out of it.
type post interface {
	put(ctx context.Context, ms [][]byte) error
	get(ctx context.Context, most int) ([][]byte, error) // one, or several at once
	receive(ctx context.Context) (parcelItem, error)
}

// parcelItem is an item whose bytes are a message of the torture.
type parcelItem interface {
	Bytes() []byte
	Redelivered() bool
	Done() error
	Requeue() error
}

func (a *tortureArgs) post(r *rand.Rand) post {
	switch {
	case a.Coded != nil:
		return codedPost{a.Coded, r}
	case a.Writes:
		return writingPost{plainPost{a.Queue}, r}
	}
	return plainPost{a.Queue}
}

func (a *tortureArgs) segment() *shm.Segment {
	if a.Coded != nil {
		return a.Coded.Segment()
	}
	return a.Queue.Segment()
}

// plainPost is a queue of messages as they are.
type plainPost struct{ q *mpqueue.Queue[[]byte] }

func (p plainPost) put(ctx context.Context, ms [][]byte) error {
	if len(ms) == 1 {
		return p.q.Put(ctx, ms[0])
	}
	_, err := p.q.PutBatch(ctx, ms)
	return err
}

func (p plainPost) get(ctx context.Context, most int) ([][]byte, error) {
	if most%2 == 1 {
		b, err := p.q.Get(ctx)
		if err != nil {
			return nil, err
		}
		return [][]byte{b}, nil
	}
	ms := make([][]byte, most)
	n, err := p.q.GetBatch(ctx, ms)
	return ms[:n], err
}

func (p plainPost) receive(ctx context.Context) (parcelItem, error) { return p.q.Receive(ctx) }

// writingPost reserves places for its messages, in all ways, and gives some back.
type writingPost struct {
	plainPost
	r *rand.Rand
}

var errChanged = errors.New("changed its mind")

func (p writingPost) put(ctx context.Context, ms [][]byte) error {
	if p.r.IntN(4) == 0 {
		return p.plainPost.put(ctx, ms)
	}
	for _, m := range ms {
		if err := p.write(ctx, m); err != nil {
			return err
		}
	}
	return nil
}

func (p writingPost) write(ctx context.Context, m []byte) error {
	way := p.r.IntN(4)
	if way < 2 { // a larger place, made smaller
		s, err := p.q.ReserveSize(ctx, len(m)+p.r.IntN(200))
		if err != nil {
			return err
		}
		copy(s.Bytes(), m)
		if way == 0 {
			s.Resize(len(m))
			return s.Commit()
		}
		s.Abort()
	}
	if way == 2 {
		err := p.q.Write(ctx, len(m), func(b []byte) error {
			copy(b, m[:len(m)/2])
			return errChanged
		})
		if err != errChanged {
			return fmt.Errorf("a Write that is given up: %v", err)
		}
	}
	return p.q.Write(ctx, len(m), func(b []byte) error { copy(b, m); return nil })
}

// parcel is a message in pieces that point to each other: a type that goes through a
// codec.
type parcel struct {
	Head *string
	Rest []*parcel
}

func pack(r *rand.Rand, b []byte) *parcel {
	cut := min(len(b), 1+r.IntN(200))
	head := string(b[:cut])
	p := &parcel{Head: &head}
	for b = b[cut:]; len(b) > 0; {
		n := min(len(b), 1+r.IntN(16<<10))
		p.Rest = append(p.Rest, pack(r, b[:n]))
		b = b[n:]
		if len(p.Rest) > 3 {
			p.Rest = append(p.Rest, pack(r, b))
			break
		}
	}
	return p
}

func (p *parcel) unpack(to *bytes.Buffer) {
	if p == nil || p.Head == nil {
		return
	}
	to.WriteString(*p.Head)
	for _, r := range p.Rest {
		r.unpack(to)
	}
}

// message is what was packed.
func (p parcel) message() []byte {
	var b bytes.Buffer
	p.unpack(&b)
	return b.Bytes()
}

// codedPost is a queue of parcels.
type codedPost struct {
	q *mpqueue.Queue[parcel]
	r *rand.Rand
}

func (p codedPost) put(ctx context.Context, ms [][]byte) error {
	var all []parcel
	for _, m := range ms {
		all = append(all, *pack(p.r, m))
	}
	_, err := p.q.PutBatch(ctx, all)
	return err
}

func (p codedPost) get(ctx context.Context, most int) (ms [][]byte, err error) {
	all := make([]parcel, most)
	n, err := p.q.GetBatch(ctx, all)
	for _, m := range all[:n] {
		ms = append(ms, m.message())
	}
	return ms, err
}

func (p codedPost) receive(ctx context.Context) (parcelItem, error) {
	i, err := p.q.Receive(ctx)
	if err != nil {
		return nil, err
	}
	return codedItem{i}, nil
}

type codedItem struct{ *mpqueue.Item[parcel] }

// Bytes is the message, not its encoded form.
func (i codedItem) Bytes() []byte { return i.Value().message() }

// die kills this process.
func die() {
	syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {}
}
