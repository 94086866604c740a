package mpqueue

import "context"

// PutBatch appends the values in order and returns how many: all of them, or
// those before the error. It waits whenever the queue is full. Each value is the
// queue's as soon as it has been put, as by Put; others may put in between.
func (q *Queue[T]) PutBatch(ctx context.Context, vs []T) (int, error) {
	for i, v := range vs {
		if err := q.Put(ctx, v); err != nil {
			return i, err
		}
	}
	return len(vs), nil
}

// GetBatch waits until there is an item, and then takes as many as there are, up
// to len(dst). It returns how many, and the errors of Get; with an error there
// may be items too.
func (q *Queue[T]) GetBatch(ctx context.Context, dst []T) (int, error) {
	if len(dst) == 0 {
		return 0, nil
	}
	v, err := q.Get(ctx)
	if err != nil {
		return 0, err
	}
	dst[0] = v
	for n := 1; n < len(dst); n++ {
		if dst[n], err = q.TryGet(); err != nil {
			return n, nil // the next call tells what it was, if it is more than empty
		}
	}
	return len(dst), nil
}
