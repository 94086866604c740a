package mpqueue_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"shmkit/mpqueue"
	"shmkit/procs/procstest"
	"shmkit/shm"
)

type wordsArgs struct {
	Queue *mpqueue.Queue[string]
	Hold  int
	Ready *shm.Object[atomic.Int32]
}

// wordHolder receives some items and finishes none.
var wordHolder = procstest.Role("mpqueue-word-holder", func(ctx context.Context, a wordsArgs) error {
	for range a.Hold {
		if _, err := a.Queue.Receive(ctx); err != nil {
			return err
		}
	}
	a.Ready.Value().Add(1)
	<-ctx.Done()
	return nil
})

// poisoned makes a queue with a limit of one delivery, in which the words of bad
// have had theirs and those of good have not.
func poisoned(t *testing.T, bad, good string, opts ...mpqueue.Option) *mpqueue.Queue[string] {
	t.Helper()
	q := newQueue[string](t, 16, append(opts, mpqueue.WithMaxDeliveries(1))...)
	all := strings.Fields(bad)
	for _, w := range all {
		if err := q.Put(background, w); err != nil {
			t.Fatal(err)
		}
	}
	a := wordsArgs{q, len(all), counter(t)}
	p := wordHolder.Start(t, a)
	until(t, a.Ready, 1)
	p.Kill()
	p.Wait()
	for _, w := range strings.Fields(good) {
		if err := q.Put(background, w); err != nil {
			t.Fatal(err)
		}
	}
	return q
}

// A dead-letter queue that will never take an item costs that item, which is
// counted, and nothing else: every other one is delivered, and the queue ends when it
// is closed and drained, not before.
func TestDeadLetterNever(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	long := strings.Repeat("x", 200)
	gone, err := mpqueue.New[string](4)
	if err != nil {
		t.Fatal(err)
	}
	sealed, tiny := newQueue[string](t, 4), newQueue[string](t, 4, mpqueue.WithMaxBytes(0))
	sealed.CloseSend()
	for what, letters := range map[string]*mpqueue.Queue[string]{"closed": sealed, "too small": tiny, "gone": gone, "none": nil} {
		t.Run(what, func(t *testing.T) {
			var opts []mpqueue.Option
			if letters != nil {
				opts = append(opts, mpqueue.WithDeadLetter(letters))
			}
			q := poisoned(t, long+" "+long, "a b c", opts...)
			if what == "gone" {
				gone.Close()
			}
			if v, err := q.TryGet(); v != "a" || err != nil {
				t.Errorf("TryGet: %q, %v", v, err)
			}
			q.CloseSend()
			var got []string
			for v, err := range q.All(within(t, 5*time.Second)) {
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, v)
			}
			if fmt.Sprint(got) != "[b c]" {
				t.Errorf("got %v", got)
			}
			if s := q.Stats(); s.Dropped != 2 || s.Leased != 0 {
				t.Errorf("%+v", s)
			}
			if _, err := q.TryGet(); err != mpqueue.ErrClosed {
				t.Error(err)
			}
			for _, err := range mpqueue.Leaks(q) {
				t.Error(err)
			}
		})
	}
}

// While the dead-letter queue is full, everything else is delivered, by every way to
// get it, and nobody waits; and when it has room it gets every letter, in order.
func TestDeadLetterFull(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	letters := newQueue[string](t, 1)
	q := poisoned(t, "w x y z", "a b c d", mpqueue.WithDeadLetter(letters))
	receive := func(i *mpqueue.Item[string], err error) (string, error) {
		if err != nil {
			return "", err
		}
		return i.Value(), i.Done()
	}
	for i, get := range []func() (string, error){
		q.TryGet, func() (string, error) { return q.Get(within(t, 5*time.Second)) },
		func() (string, error) { return receive(q.TryReceive()) },
		func() (string, error) { return receive(q.Receive(within(t, 5*time.Second))) },
	} {
		if v, err := get(); v != string(rune('a'+i)) || err != nil {
			t.Fatalf("%q, %v", v, err)
		}
	}
	if _, err := q.TryGet(); err != mpqueue.ErrEmpty {
		t.Error("TryGet:", err)
	}
	if s := q.Stats(); s.Leased != 3 || s.Dropped != 0 || s.Len != 0 {
		t.Errorf("%+v", s)
	}
	q.CloseSend()
	if _, err := q.TryGet(); err != mpqueue.ErrEmpty {
		t.Error("the queue ended with messages in it:", err)
	}
	end := make(chan error, 1)
	go func() {
		_, err := q.Get(background)
		end <- err
	}()
	for _, want := range strings.Fields("w x y z") {
		if v, err := letters.Get(within(t, 5*time.Second)); v != want || err != nil {
			t.Fatalf("%q, %v, want %q", v, err, want)
		}
	}
	if err := <-end; err != mpqueue.ErrClosed {
		t.Error(err)
	}
	for _, err := range mpqueue.Leaks(q) {
		t.Error(err)
	}
}

// What there was no room for is buried by others when its process lets go of the
// queue, also if it has another handle of it.
func TestDeadLetterGivenBack(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	letters := newQueue[string](t, 1)
	letters.Put(background, "in the way")
	q := poisoned(t, "x", "", mpqueue.WithDeadLetter(letters))
	var again mpqueue.Queue[string]
	if err := again.UnmarshalBinary(must(q.MarshalBinary())); err != nil {
		t.Fatal(err)
	}
	if _, err := again.TryGet(); err != mpqueue.ErrEmpty {
		t.Fatal(err)
	}
	again.Close()
	letters.Get(background)
	if _, err := q.TryGet(); err != mpqueue.ErrEmpty {
		t.Fatal(err)
	}
	if v, err := letters.TryGet(); v != "x" || err != nil {
		t.Fatal(v, err)
	}
	for _, err := range mpqueue.Leaks(q) {
		t.Error(err)
	}
}

// With no lease block left but the one that a receiver has, a message that is given
// up still leaves nothing behind.
func TestDeadLetterLastLease(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	letters := newQueue[int](t, 2)
	q := newQueue[int](t, 2, mpqueue.WithMaxDeliveries(1), mpqueue.WithDeadLetter(letters))
	q.Put(background, 13)
	p := halted.Start(t, victimArgs{q, "Receive"}, procstest.KillAt("mpqueue.get.claimed", 1))
	if s := p.Wait(); !s.Killed() {
		t.Fatal(s)
	}
	q.Segment().Sweep()
	q.Put(background, 14)
	giveBack, err := mpqueue.TakeLeases(q, 1)
	if err != nil {
		t.Fatal(err)
	}
	if v, err := q.TryGet(); v != 14 || err != nil {
		t.Error(v, err)
	}
	if v, err := letters.TryGet(); v != 13 || err != nil {
		t.Error(v, err)
	}
	giveBack()
	if errs := mpqueue.Leaks(q); len(errs) != 0 {
		t.Error(errors.Join(errs...))
	}
}
