package futexlock_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"shmkit/futexlock"
)

func TestMutexGoroutines(t *testing.T) {
	mu := object[futexlock.Mutex](t)
	var wg sync.WaitGroup
	n := 0
	for range 8 {
		wg.Go(func() {
			for range 20000 {
				if err := mu.Lock(); err != nil {
					t.Error(err)
				}
				n++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if n != 8*20000 {
		t.Fatalf("%d increments, want %d", n, 8*20000)
	}
	if s := mu.State(); s != "unlocked" {
		t.Fatalf("state %q after the last unlock", s)
	}
}

func TestMutexContext(t *testing.T) {
	mu := object[futexlock.Mutex](t)
	done, cancel := context.WithCancel(context.Background())
	cancel()
	if err := mu.LockContext(done); err != nil {
		t.Fatalf("a free lock with a done context: %v", err)
	}
	if err := mu.LockContext(done); !errors.Is(err, context.Canceled) {
		t.Fatalf("a held lock with a done context: %v", err)
	}
	start := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Millisecond)
	defer cancel()
	if err := mu.LockContext(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("a held lock with a deadline: %v", err)
	}
	t.Logf("deadline 30ms, returned after %v", time.Since(start))
	if d := time.Since(start); d < 30*time.Millisecond {
		t.Fatalf("gave up after %v, before the deadline", d)
	}
	mu.Unlock()
	if s := mu.State(); s != "unlocked" {
		t.Fatalf("state %q", s)
	}
}

func TestEventGoroutines(t *testing.T) {
	e := object[futexlock.Event](t)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if err := e.Wait(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	time.Sleep(time.Millisecond)
	e.Set()
	wg.Wait()
	if !e.IsSet() {
		t.Fatal("clear after Set")
	}
	e.Clear()
	if e.IsSet() {
		t.Fatal("set after Clear")
	}
}
