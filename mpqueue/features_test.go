package mpqueue_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"shmkit/mpqueue"
)

type order struct {
	Name  string
	Lines []string
	Next  *order
}

func TestCodecs(t *testing.T) {
	want := order{"Alex", []string{"包子", "粥"}, &order{Name: "Egon"}}
	for name, opt := range map[string]mpqueue.Option{"gob": mpqueue.WithCodec(mpqueue.Gob[order]()), "json": mpqueue.WithCodec(mpqueue.JSON[order]())} {
		q := newQueue[order](t, 2, opt)
		if err := q.Put(background, want); err != nil {
			t.Fatal(name, err)
		}
		got, err := q.Get(background)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("%s: %+v, %v", name, got, err)
		}
	}
	q := newQueue[*order](t, 2) // gob without being told
	if err := q.Put(background, &want); err != nil {
		t.Fatal(err)
	}
	i, err := q.Receive(background)
	if err != nil || !reflect.DeepEqual(i.Value(), &want) {
		t.Fatal(i, err)
	}
	i.Done()
	if _, err := mpqueue.New[chan int](1); err == nil {
		t.Fatal("a channel was accepted")
	}
	if _, err := mpqueue.New[struct{ F func() }](1); err == nil || !strings.Contains(err.Error(), ".F") {
		t.Fatal(err)
	}
}

// failing is a codec that fails on demand.
type failing struct{}

func (failing) Append(b []byte, v int) ([]byte, error) {
	if v < 0 {
		return b, errors.New("negative")
	}
	return append(b, byte(v)), nil
}

func (failing) Decode(b []byte) (int, error) {
	if b[0] == 13 {
		return 0, errors.New("unlucky")
	}
	return int(b[0]), nil
}

func TestFailingCodec(t *testing.T) {
	q := newQueue[int](t, 2, mpqueue.WithCodec[int](failing{}))
	if err := q.Put(background, -1); err == nil || !strings.Contains(err.Error(), "negative") {
		t.Fatal(err)
	}
	q.Put(background, 13)
	q.Put(background, 7)
	if _, err := q.Get(background); err == nil || !strings.Contains(err.Error(), "unlucky") {
		t.Fatal(err)
	}
	if v, err := q.Get(background); v != 7 || err != nil {
		t.Fatal(v, err)
	}
	q.Put(background, 13)
	if _, err := q.Receive(background); err == nil {
		t.Fatal("received what cannot be decoded")
	}
	if n := q.Len(); n != 0 {
		t.Fatal(n)
	}
}

type point struct{ X, Y int }

func init() { mpqueue.RegisterType[point]() }

func TestAny(t *testing.T) {
	q := newQueue[any](t, 64)
	values := []any{
		nil, true, 1, int8(-2), uint64(1 << 63), 2.5, float32(1.5), complex(1, 2), "first", []byte("bytes"), "",
		time.Unix(1, 2).UTC(), []any{1, "a", nil, []int{1, 2}}, map[string]any{"count": 3}, []string{"a", "b"},
		map[int]string{1: "x"}, [][]float64{{1}, {}}, point{1, 2}, []point{{3, 4}}, map[string]point{"p": {5, 6}},
	}
	for _, v := range values {
		if err := q.Put(background, v); err != nil {
			t.Fatalf("%#v: %v", v, err)
		}
	}
	for _, want := range values {
		got, err := q.Get(background)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("got %#v, %v, want %#v", got, err, want)
		}
	}
	type unknown struct{ A int }
	if err := q.Put(background, unknown{1}); err == nil || !strings.Contains(err.Error(), "RegisterType") {
		t.Fatal(err)
	}
	if err := q.Put(background, []any{1, make(chan int)}); err == nil {
		t.Fatal("a channel was accepted")
	}
}

// What Get could not read Put refuses, and what lies in itself does not end the
// process.
func TestAnyDepth(t *testing.T) {
	q := newQueue[any](t, 1)
	nested := func(n int, outer func(any) any) (v any) {
		for range n {
			v = outer(v)
		}
		return v
	}
	list := func(v any) any { return []any{v} }
	dict := func(v any) any { return map[string]any{"": v} }
	for _, outer := range []func(any) any{list, dict} {
		for _, n := range []int{1, 499} {
			v := nested(n, outer)
			if err := q.Put(background, v); err != nil {
				t.Fatal(n, err)
			}
			if got, err := q.Get(background); err != nil || !reflect.DeepEqual(got, v) {
				t.Fatal(n, err)
			}
		}
		for n := 495; n < 505; n++ { // wherever the limit is, it is that of both
			if q.Put(background, nested(n, outer)) == nil {
				if _, err := q.Get(background); err != nil {
					t.Error(n, err)
				}
			}
		}
	}
	self, selfMap := []any{1, nil}, map[string]any{}
	self[1], selfMap["self"] = self, selfMap
	typed := reflect.TypeFor[int]()
	for range 1100 {
		typed = reflect.SliceOf(typed)
	}
	for what, v := range map[string]any{
		"501 lists": nested(501, list), "501 maps": nested(501, dict), "a list of itself": self, "a map of itself": selfMap,
		"a type": reflect.Zero(typed).Interface(),
	} {
		if err := q.TryPut(v); err == nil || !strings.Contains(err.Error(), "too deep") {
			t.Errorf("%s: %v", what, err)
		}
	}
	usable(t, q, any(1))
	a, b, err := mpqueue.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	defer b.Close()
	if err := a.Send(background, self); err == nil || !strings.Contains(err.Error(), "too deep") {
		t.Error(err)
	}
}

func TestReserve(t *testing.T) {
	q := newQueue[[]byte](t, 2)
	for _, n := range []int{0, 10, 112, 113, 5000, 200000} {
		s, err := q.ReserveSize(background, n)
		if err != nil {
			t.Fatal(n, err)
		}
		for i := range s.Bytes() {
			s.Bytes()[i] = byte(i)
		}
		if err := s.Commit(); err != nil {
			t.Fatal(n, err)
		}
		b, err := q.Get(background)
		if err != nil || len(b) != n || n > 0 && b[n-1] != byte(n-1) {
			t.Fatal(n, len(b), err)
		}
	}
	a, err := q.ReserveSize(background, 1)
	if err != nil {
		t.Fatal(err)
	}
	b, err := q.ReserveSize(background, 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := q.TryPut(nil); err != mpqueue.ErrFull {
		t.Fatal("reservations count:", err)
	}
	if !q.Full() {
		t.Fatal("reservations count")
	}
	a.Abort()
	a.Abort()
	if q.Full() {
		t.Fatal("one place is free")
	}
	if err := q.TryPut([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if err := q.TryPut(nil); err != mpqueue.ErrFull {
		t.Fatal(err)
	}
	if err := b.Commit(); err != nil {
		t.Fatal(err)
	}
	mustPanic(t, "committed or aborted", func() { b.Commit() })
	q.Get(background)
	q.Get(background)
	boom := errors.New("boom")
	if err := q.Write(background, 10, func([]byte) error { return boom }); err != boom {
		t.Fatal(err)
	}
	mustPanic(t, "boom", func() { q.Write(background, 10, func([]byte) error { panic("boom") }) })
	if s := q.Stats(); s.Reserved != 0 || s.Len != 0 {
		t.Fatalf("%+v", s)
	}
	p := newQueue[point](t, 1)
	s, err := p.Reserve(background)
	if err != nil {
		t.Fatal(err)
	}
	*s.Value() = point{3, 4}
	if err := s.Commit(); err != nil {
		t.Fatal(err)
	}
	if v, err := p.Get(background); v != (point{3, 4}) || err != nil {
		t.Fatal(v, err)
	}
}

func mustPanic(t *testing.T, want string, f func()) {
	t.Helper()
	defer func() {
		t.Helper()
		if r := recover(); r == nil || !strings.Contains(fmt.Sprint(r), want) {
			t.Fatalf("panic %v, want %q", r, want)
		}
	}()
	f()
}

func TestBatch(t *testing.T) {
	q := newQueue[int](t, 4)
	go func() {
		if n, err := q.PutBatch(background, []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}); n != 10 || err != nil {
			t.Error(n, err)
		}
		q.CloseSend()
	}()
	next := 0
	dst := make([]int, 3)
	for {
		n, err := q.GetBatch(background, dst)
		for _, v := range dst[:n] {
			if v != next {
				t.Fatalf("got %d, want %d", v, next)
			}
			next++
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if next != 10 {
		t.Fatal(next)
	}
}

func TestJoinable(t *testing.T) {
	q := newQueue[int](t, 8, mpqueue.Joinable())
	if err := q.Join(background); err != nil {
		t.Fatal(err)
	}
	mustPanic(t, "TaskDone", q.TaskDone)
	for i := range 5 {
		q.Put(background, i)
	}
	var done atomic.Int32
	for range 5 {
		go func() {
			q.Get(background)
			done.Add(1)
			q.TaskDone()
		}()
	}
	if err := q.Join(background); err != nil || done.Load() != 5 {
		t.Fatal(err, done.Load())
	}
	q.Put(background, 1)
	q.Get(background)
	ctx, cancel := context.WithTimeout(background, 10*time.Millisecond)
	defer cancel()
	if err := q.Join(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
	q.TaskDone()
	mustPanic(t, "not Joinable", newQueue[int](t, 1).TaskDone)
}
