package mpqueue

import (
	"context"
	"fmt"
)

// PutBatch appends all of vs, and publishes them in as few steps as there is
// room for: one, if they fit. It waits while the ring is full. It returns how many
// the ring has, and why not all: the errors are those of Put.
func (r *Ring[T]) PutBatch(ctx context.Context, vs []T) (int, error) {
	done := 0
	for done < len(vs) {
		dst, err := r.Reserve(ctx, len(vs)-done)
		if err != nil {
			return done, err
		}
		n := copy(dst, vs[done:])
		if n == len(dst) && done+n < len(vs) {
			// The places go on at the beginning of the memory.
			p := r.c.in.next
			n += copy(span[T](&r.c.ringMemory, p+uint64(n), r.c.in.limit-p-uint64(n)), vs[done+n:])
		}
		if err := r.c.publish(r.c.in.next, uint64(n)); err != nil {
			return done, err
		}
		done += n
	}
	return done, nil
}

// GetBatch removes up to len(dst) of the oldest items, as many as are there, and
// waits only while there is none. It moves the read position once. It returns how
// many items it put into dst; the errors are those of Get.
func (r *Ring[T]) GetBatch(ctx context.Context, dst []T) (int, error) {
	if len(dst) == 0 {
		return 0, nil
	}
	src, err := r.Peek(ctx, len(dst))
	if err != nil {
		return 0, err
	}
	c := r.c
	n := copy(dst, src)
	if n == len(src) && n < len(dst) {
		// They go on at the beginning of the memory.
		p := c.out.next
		n += copy(dst[n:], span[T](&c.ringMemory, p+uint64(n), c.out.limit-p-uint64(n)))
	}
	c.handBack(c.out.next, uint64(n))
	if err := c.take(c.out.next, uint64(n)); err != nil {
		return 0, err
	}
	return n, nil
}

// Reserve returns free places to fill: n, or fewer, but at least one, if fewer are
// free or the memory of the ring ends in between. They hold what they held. It
// waits while there is none; nothing is visible to the consumer before Commit.
// The errors are those of Put. It panics if n is below 1.
//
// A reservation is this process's own affair: when it dies, nothing has been put.
func (r *Ring[T]) Reserve(ctx context.Context, n int) ([]T, error) {
	c := r.core()
	if n < 1 {
		panic(fmt.Sprintf("mpqueue: Ring.Reserve(%d)", n))
	}
	if c.in.next == c.in.limit || c.ctl.sendState.Load() != ringOpen {
		if err := c.await(ctx, &c.in, 1); err != nil {
			return nil, err
		}
	}
	if c.in.limit-c.in.next < uint64(n) {
		if _, err := c.room(uint64(n)); err != nil {
			return nil, err
		}
	}
	s := span[T](&c.ringMemory, c.in.next, min(uint64(n), c.in.limit-c.in.next))
	c.in.until = c.in.next + uint64(len(s))
	return s, nil
}

// Commit appends the first n places of the last reservation to the ring, in one
// step, and gives up the others; 0 gives up all. Errors as for Put. It panics if
// fewer than n are reserved: Commit after Commit, for instance.
func (r *Ring[T]) Commit(n int) error { return r.core().commit(n) }

// Peek returns the oldest items without removing them: n, or fewer, but at least
// one, if fewer are there or the memory of the ring ends in between. It waits
// while there is none. The items are valid until Discard, and the producer can
// change them if it breaks the rules. The errors are those of Get. It panics if n
// is below 1.
func (r *Ring[T]) Peek(ctx context.Context, n int) ([]T, error) {
	c := r.core()
	if n < 1 {
		panic(fmt.Sprintf("mpqueue: Ring.Peek(%d)", n))
	}
	if c.out.next == c.out.limit {
		if err := c.await(ctx, &c.out, 1); err != nil {
			return nil, err
		}
	}
	if c.out.limit-c.out.next < uint64(n) {
		if _, err := c.items(uint64(n)); err != nil {
			return nil, err
		}
	}
	s := span[T](&c.ringMemory, c.out.next, min(uint64(n), c.out.limit-c.out.next))
	c.out.until = c.out.next + uint64(len(s))
	return s, nil
}

// Discard removes the first n items of the last Peek, in one step. Errors as for
// Get. It panics if that returned fewer than n.
func (r *Ring[T]) Discard(n int) error { return r.core().discard(n) }
