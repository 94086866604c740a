package rival

import (
	"fmt"
	"unsafe"
)

// batch is memory for values that are sent or received together.
type batch[T fixed] struct {
	values []T
	views  [][]byte // of the values
}

// room makes the batch long enough for n.
func (b *batch[T]) room(n int) {
	if len(b.values) >= n {
		return
	}
	b.values, b.views = make([]T, n), make([][]byte, n)
	for i := range b.values {
		b.views[i] = bytesOf(&b.values[i])
	}
}

// pack makes values of messages.
func (b *batch[T]) pack(ps [][]byte) error {
	b.room(len(ps))
	for i, p := range ps {
		if copy(b.views[i], p) != len(b.views[i]) {
			return fmt.Errorf("rival: a message of %d bytes, not %d", len(p), len(b.views[i]))
		}
	}
	return nil
}

// bytesOf is the memory of a value.
func bytesOf[T fixed](v *T) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(v)), unsafe.Sizeof(*v))
}
