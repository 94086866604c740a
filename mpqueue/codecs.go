package mpqueue

import (
	"errors"
	"fmt"
	"reflect"
	"sync"

	"shmkit/shm"
)

// codecs are those of RegisterCodec: for each T, by their names.
var codecs = struct {
	sync.RWMutex
	of map[reflect.Type]map[string]any // of Codec[T]
}{of: map[reflect.Type]map[string]any{}}

// RegisterCodec makes a codec known to this program, so that queues made
// WithCodec of its type can be sent to other processes: a handle says which codec
// the queue was made with, and whoever receives it takes the one that was
// registered. Call it from init, so that every process of the program has called
// it. A codec is known by its type, and the one registered last counts. Gob, JSON
// and Binary need no registration.
func RegisterCodec[T any](c Codec[T]) {
	t := reflect.TypeFor[T]()
	codecs.Lock()
	defer codecs.Unlock()
	if codecs.of[t] == nil {
		codecs.of[t] = map[string]any{}
	}
	codecs.of[t][codecName(c)] = c
}

// codecName is what tells a codec from others in the layout of a queue. That of
// Gob and Binary is the one of queues that use them without being told.
func codecName[T any](c Codec[T]) string {
	switch c.(type) {
	case gobCodec[T]:
		return "gob"
	case jsonCodec[T]:
		return "json"
	case binaryCodec[T]:
		return "binary"
	}
	return fmt.Sprintf("%T", c)
}

// knownCodecs returns the codecs of T that any process of this program has.
func knownCodecs[T any]() []Codec[T] {
	all := []Codec[T]{Gob[T](), JSON[T]()}
	if c, ok := binaryCodecOf[T](); ok {
		all = append(all, c)
	}
	codecs.RLock()
	defer codecs.RUnlock()
	for _, c := range codecs.of[reflect.TypeFor[T]()] {
		all = append(all, c.(Codec[T]))
	}
	return all
}

// sendable returns an error if the receiver of a handle could not know the codec.
// Which ones it has registered nobody can say here; but it is mostly this program.
func (t contents[T]) sendable() error {
	switch t.codec.(type) {
	case nil, gobCodec[T], jsonCodec[T], binaryCodec[T]:
		return nil
	}
	if _, ok := any(t.codec).(anyCodec); ok {
		return nil
	}
	codecs.RLock()
	defer codecs.RUnlock()
	if codecs.of[reflect.TypeFor[T]()][codecName(t.codec)] != nil {
		return nil
	}
	return fmt.Errorf("mpqueue: send a queue of %s: %w", t.layout.Type, errUnknownCodec)
}

var errUnknownCodec = errors.New("no other process would know the codec; call mpqueue.RegisterCodec for it in an init function")

// decodeQueue opens the queue that a handle refers to, with the codec that it was
// made with: the default one of T, or another that is known.
func decodeQueue[T any](b []byte) (t contents[T], s *shm.Segment, err error) {
	open := func(o *options) (err error) {
		if t, err = contentsOf[T](o); err == nil {
			s, err = shm.Decode(b, t.segment(o, 0)...)
		}
		return err
	}
	o := makeOptions(nil)
	err = open(o)
	var le *shm.LayoutError
	var pe *shm.PointerError // T has no default
	if err == nil || !errors.As(err, &pe) && (!errors.As(err, &le) || le.Field == "kind") {
		return t, s, err
	}
	for _, c := range knownCodecs[T]() {
		if o.codec = c; le != nil && le.Field == "layout" && le.Got != t.of(c).Hash {
			continue // not worth a look
		}
		e := open(o)
		if e == nil {
			return t, s, nil
		}
		if le = nil; !errors.As(e, &le) {
			return t, nil, e
		}
	}
	return t, nil, fmt.Errorf("%w (if the queue was made WithCodec: call mpqueue.RegisterCodec for it in an init function)", err)
}
