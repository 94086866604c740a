package rival

import (
	"context"
	"fmt"

	"shmkit/mpqueue"
)

// ringEnd is either end of an MPRing.
type ringEnd[T fixed] struct {
	plain
	q    *mpqueue.Ring[T]
	v    T
	spin bool
	batch[T]
	glances uint
}

// glance reports whether a look at the length will do. TryPut and TryGet, when
// they fail, make sure of it by a system call that disturbs the other side; but
// only they see that the ring is closed.
func (f *ringEnd[T]) glance() bool {
	f.glances++
	return f.glances%256 != 0
}

func (f *ringEnd[T]) Send(ctx context.Context, p []byte) error {
	if copy(bytesOf(&f.v), p) != len(f.v) {
		return fmt.Errorf("rival: a message of %d bytes, not %d", len(p), len(f.v))
	}
	if f.spin {
		return spin(ctx, func() error {
			if f.q.Len() == f.q.Cap() && f.glance() {
				return mpqueue.ErrFull
			}
			return f.q.TryPut(f.v)
		})
	}
	return f.q.Put(ctx, f.v)
}

func (f *ringEnd[T]) Recv(ctx context.Context) (_ []byte, err error) {
	if f.spin {
		err = spin(ctx, func() (err error) {
			if f.q.Len() == 0 && f.glance() {
				return mpqueue.ErrEmpty
			}
			f.v, err = f.q.TryGet()
			return err
		})
	} else {
		f.v, err = f.q.Get(ctx)
	}
	return bytesOf(&f.v), err
}

func (f *ringEnd[T]) SendBatch(ctx context.Context, ps [][]byte) error {
	if err := f.pack(ps); err != nil {
		return err
	}
	_, err := f.q.PutBatch(ctx, f.values[:len(ps)])
	return err
}

func (f *ringEnd[T]) RecvBatch(ctx context.Context, most int) ([][]byte, error) {
	f.room(most)
	n, err := f.q.GetBatch(ctx, f.values[:most])
	return f.views[:n], err
}

func (f *ringEnd[T]) Close() error { return f.q.Close() }
