package futexlock_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"shmkit/futexlock"
	"shmkit/shm"
)

// A lock and what it protects are one struct.
func Example() {
	type account struct {
		mu      futexlock.Mutex
		balance int64
	}
	o, err := shm.New[account]()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer o.Close()
	a := o.Value()
	if err := a.mu.Lock(); errors.Is(err, futexlock.ErrOwnerDied) {
		a.balance = 0 // repaired
		a.mu.Consistent()
	}
	a.balance += 100
	fmt.Println(a.balance)
	a.mu.Unlock()
	// Output: 100
}

// A waiter that gives up leaves nothing behind.
func ExampleMutex_LockContext() {
	o, err := shm.New[futexlock.Mutex]()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer o.Close()
	mu := o.Value()
	mu.Lock()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	fmt.Println(errors.Is(mu.LockContext(ctx), context.DeadlineExceeded))
	mu.Unlock()
	fmt.Println(mu.State())
	// Output:
	// true
	// unlocked
}

// Permits with an owner come back when the owner dies.
func ExampleSemaphore_AcquireOwned() {
	o, err := shm.New[futexlock.Semaphore]()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer o.Close()
	s := o.Value()
	s.Init(2, 2)
	p, err := s.AcquireOwned(context.Background())
	fmt.Println(s.Value(), err)
	p.Release()
	fmt.Println(s.Value(), errors.Is(s.Release(1), futexlock.ErrOverflow))
	// Output:
	// 1 <nil>
	// 2 true
}
