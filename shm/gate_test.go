package shm_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"shmkit/shm"
)

// One goroutine leads at a time, the others follow in the order in which they
// came, and those who give up are passed over.
func TestLead(t *testing.T) {
	o, err := shm.New[atomic.Uint32]()
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	s, w := o.Segment(), o.Value()
	if err := s.Lead(t.Context(), w); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var order []int
	var wg sync.WaitGroup
	const n = 9
	var cancels [n]context.CancelFunc
	for i := range n {
		var ctx context.Context
		ctx, cancels[i] = context.WithCancel(t.Context())
		wg.Go(func() {
			err := s.Lead(ctx, w)
			if i%3 == 1 {
				if !errors.Is(err, context.Canceled) {
					t.Errorf("%d: %v", i, err)
				}
				return
			}
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			order = append(order, i)
			mu.Unlock()
			s.Unlead(w)
		})
		waitFor(t, "in line", func() bool { return shm.InLine(w) == i+1 })
	}
	for i := 1; i < n; i += 3 {
		cancels[i]()
	}
	waitFor(t, "gave up", func() bool { return shm.InLine(w) == n-3 })
	s.Unlead(w)
	wg.Wait()
	for i, got := range order {
		if want := []int{0, 2, 3, 5, 6, 8}[i]; got != want {
			t.Fatalf("order %v", order)
		}
	}
	for _, c := range cancels {
		c()
	}
	defer func() {
		if recover() == nil {
			t.Error("Unlead without Lead is not noticed")
		}
	}()
	s.Unlead(w)
}

// Cancels that meet the handing on of the lead lose nothing.
func TestLeadRaces(t *testing.T) {
	o, err := shm.New[atomic.Uint32]()
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	s, w := o.Segment(), o.Value()
	var inside, led atomic.Int32
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range 500 {
				ctx, cancel := context.WithCancel(t.Context())
				if i%2 == 0 {
					go cancel()
				}
				if s.Lead(ctx, w) == nil {
					if inside.Add(1) != 1 {
						t.Error("two lead")
					}
					led.Add(1)
					inside.Add(-1)
					s.Unlead(w)
				}
				cancel()
			}
		})
	}
	wg.Wait()
	if led.Load() < 8*250 || shm.InLine(w) != 0 {
		t.Errorf("%d led, %d in line", led.Load(), shm.InLine(w))
	}
}

// Close lets go whoever stands in line, though the leader does not; in an arena
// those of the closed block only.
func TestLeadClose(t *testing.T) {
	for name, opts := range map[string][]shm.Option{"segment": {shm.WithOwnSegment()}, "arena": nil} {
		t.Run(name, func(t *testing.T) {
			o, err := shm.New[atomic.Uint32](opts...)
			if err != nil {
				t.Fatal(err)
			}
			beside, err := shm.New[atomic.Uint32](opts...)
			if err != nil {
				t.Fatal(err)
			}
			defer beside.Close()
			s, w := o.Segment(), o.Value()
			got, other := make(chan error, 3), make(chan error, 1)
			if err := errors.Join(s.Lead(t.Context(), w), beside.Segment().Lead(t.Context(), beside.Value())); err != nil {
				t.Fatal(err)
			}
			for range cap(got) {
				go func() { got <- s.Lead(context.Background(), w) }()
			}
			go func() { other <- beside.Segment().Lead(context.Background(), beside.Value()) }()
			waitFor(t, "in line", func() bool { return shm.InLine(w) == cap(got) && shm.InLine(beside.Value()) == 1 })
			begin := time.Now()
			o.Close()
			for range cap(got) {
				if err := <-got; !errors.Is(err, shm.ErrClosed) {
					t.Error(err)
				}
			}
			s.Unlead(w)
			if err := s.Lead(t.Context(), w); !errors.Is(err, shm.ErrClosed) {
				t.Errorf("Lead on what is closed: %v", err)
			}
			if d := time.Since(begin); d > time.Second {
				t.Errorf("it took %v", d)
			}
			if n := shm.InLine(beside.Value()); n != 1 {
				t.Errorf("%d in line beside it, want 1", n)
			}
			beside.Segment().Unlead(beside.Value())
			if err := <-other; err != nil {
				t.Error(err)
			}
			beside.Segment().Unlead(beside.Value())
		})
	}
}
