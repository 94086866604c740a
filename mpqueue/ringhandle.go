package mpqueue

import "shmkit/shm"

// marshal encodes a handle of the ring in c.
func (c *ringCore) marshal() ([]byte, error) {
	if c == nil {
		return nil, shm.ErrClosed
	}
	return c.seg.MarshalBinary()
}

func (c *ringCore) marshalText() ([]byte, error) {
	if c == nil {
		return nil, shm.ErrClosed
	}
	return c.seg.MarshalText()
}

// unmarshalRing opens the ring that b refers to.
func unmarshalRing(b []byte, l shm.Layout, kind uint32) (*ringCore, error) {
	s, err := shm.Decode(b, ringOptions(l, kind, nil)...)
	if err != nil {
		return nil, err
	}
	return ringIn(s, uint64(l.Size))
}

// MarshalBinary encodes the handle; see shm.Segment.
func (r *Ring[T]) MarshalBinary() ([]byte, error) { return r.c.marshal() }

// UnmarshalBinary makes r a handle of the ring that b refers to. The error is a
// *shm.HandleError, which wraps a *shm.LayoutError if that is no ring of T. It
// panics if r is a handle already.
func (r *Ring[T]) UnmarshalBinary(b []byte) error {
	if r.c != nil {
		panic("mpqueue: Unmarshal into a ring that is in use")
	}
	l, err := ringLayout[T]()
	if err != nil {
		return err
	}
	r.c, err = unmarshalRing(b, l, KindRing)
	return err
}

// MarshalText is MarshalBinary as text.
func (r *Ring[T]) MarshalText() ([]byte, error) { return r.c.marshalText() }

// UnmarshalText is the other end of MarshalText.
func (r *Ring[T]) UnmarshalText(b []byte) error {
	raw, err := shm.DecodeText(b)
	if err != nil {
		return err
	}
	return r.UnmarshalBinary(raw)
}
