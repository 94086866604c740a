package mpqueue_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"shmkit/mpqueue"
	"shmkit/procs/procstest"
	"shmkit/shm"
)

// shift is a codec with a setting, which its receiver gets by registration.
type shift struct{ by byte }

func (s shift) Append(b []byte, v string) ([]byte, error) {
	for i := range len(v) {
		b = append(b, v[i]+s.by)
	}
	return b, nil
}

func (s shift) Decode(b []byte) (string, error) { return string(must(s.Append(nil, string(b)))), nil }

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// unheard is a codec that nobody registers.
type unheard struct{ spoiled }

// channels have no codec but this.
type channels struct{}

func (channels) Append(b []byte, v chan int) ([]byte, error) { return append(b, byte(cap(v))), nil }
func (channels) Decode(b []byte) (chan int, error)           { return make(chan int, b[0]), nil }

func init() {
	mpqueue.RegisterCodec[string](shift{1}) // overridden
	mpqueue.RegisterCodec[string](shift{128})
	mpqueue.RegisterCodec[chan int](channels{})
}

type codecArgs struct {
	Orders  *mpqueue.Queue[order]
	Numbers *mpqueue.Queue[int]
	Words   *mpqueue.Queue[string]
	Plain   *mpqueue.Queue[string]
	Chans   *mpqueue.Queue[chan int]
}

// answerer adds to what it gets, and sends it back by the same queue.
var answerer = procstest.Role("mpqueue-answerer", func(ctx context.Context, a codecArgs) error {
	o, err := a.Orders.Get(ctx)
	if err != nil {
		return err
	}
	o.Lines = append(o.Lines, "answered")
	n, err := a.Numbers.Get(ctx)
	if err != nil {
		return err
	}
	w, err := a.Words.Get(ctx)
	if err != nil {
		return err
	}
	p, err := a.Plain.Get(ctx)
	if err != nil {
		return err
	}
	c, err := a.Chans.Get(ctx)
	if err != nil {
		return err
	}
	return errors.Join(a.Orders.Put(ctx, o), a.Numbers.Put(ctx, n+1), a.Words.Put(ctx, w+"!"), a.Plain.Put(ctx, p+"?"), a.Chans.Put(ctx, make(chan int, cap(c)+1)))
})

// A queue with a codec is an argument like any other, whether the codec is of this
// package or registered.
func TestCodecAcrossProcesses(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	for name, orders := range map[string]mpqueue.Codec[order]{"gob": mpqueue.Gob[order](), "json": mpqueue.JSON[order]()} {
		numbers := map[string]mpqueue.Codec[int]{"gob": mpqueue.Gob[int](), "json": mpqueue.JSON[int]()}[name]
		a := codecArgs{
			newQueue[order](t, 1, mpqueue.WithCodec(orders)), newQueue[int](t, 1, mpqueue.WithCodec(numbers)),
			newQueue[string](t, 1, mpqueue.WithCodec[string](shift{128})), newQueue[string](t, 1),
			newQueue[chan int](t, 1, mpqueue.WithCodec[chan int](channels{})),
		}
		if err := errors.Join(a.Orders.Put(background, order{Name: "Alex"}), a.Numbers.Put(background, 41),
			a.Words.Put(background, "包子"), a.Plain.Put(background, "what"), a.Chans.Put(background, make(chan int, 3))); err != nil {
			t.Fatal(err)
		}
		if s := answerer.Start(t, a).Wait(); s.Err != nil {
			t.Fatal(name, s)
		}
		o, n, w, p, c := must(a.Orders.Get(background)), must(a.Numbers.Get(background)), must(a.Words.Get(background)), must(a.Plain.Get(background)), must(a.Chans.Get(background))
		if got := fmt.Sprint(o.Name, o.Lines, n, w, p, cap(c)); got != "Alex[answered] 42包子!what?4" {
			t.Fatal(name, got)
		}
	}
}

// A codec that the receiver could not know is refused when the queue is sent, and
// the error says what to do; and so it does where a handle meets another codec.
func TestCodecUnknown(t *testing.T) {
	q := newQueue[string](t, 1, mpqueue.WithCodec[string](unheard{}))
	for what, marshal := range map[string]func() ([]byte, error){"binary": q.MarshalBinary, "text": q.MarshalText} {
		if _, err := marshal(); err == nil || !strings.Contains(err.Error(), "RegisterCodec") || !strings.Contains(err.Error(), "unheard") {
			t.Error(what, err)
		}
	}
	ref := must(q.Segment().Reference())
	var le *shm.LayoutError
	var to mpqueue.Queue[string]
	if err := to.UnmarshalBinary(ref); !errors.As(err, &le) || !strings.Contains(err.Error(), "RegisterCodec") || !strings.Contains(err.Error(), "unheard") {
		t.Error(err)
	}
	var bytes mpqueue.Queue[[]byte]
	if err := bytes.UnmarshalBinary(ref); !errors.As(err, &le) {
		t.Error(err)
	}
	o := must(shm.New[int]())
	defer o.Close()
	if err := to.UnmarshalBinary(must(o.Segment().Reference())); err == nil {
		t.Error("an object was taken for a queue")
	}
}

// Naming the codec that a type has by default is the same as not naming one.
func TestCodecNamedDefault(t *testing.T) {
	q, err := mpqueue.Create[order]("orders", 1, mpqueue.WithCodec(mpqueue.Gob[order]()))
	if err != nil {
		t.Skip(err) // no names on this system
	}
	defer shm.Remove("orders")
	defer q.Close()
	same, err := mpqueue.Open[order]("orders")
	if err != nil {
		t.Fatal(err)
	}
	same.Close()
	if _, err := mpqueue.Open[order]("orders", mpqueue.WithCodec(mpqueue.JSON[order]())); err == nil {
		t.Error("as JSON")
	}
	times := newQueue[*time.Time](t, 1)
	var other mpqueue.Queue[*time.Time]
	if err := other.UnmarshalBinary(must(newQueue[*time.Time](t, 1, mpqueue.WithCodec(mpqueue.Binary[*time.Time]())).MarshalBinary())); err != nil {
		t.Error(err)
	}
	defer other.Close()
	newQueue[*time.Time](t, 1, mpqueue.WithDeadLetter(times), mpqueue.WithCodec(mpqueue.Binary[*time.Time]())) // does not panic
}
