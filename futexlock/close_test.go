package futexlock_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"shmkit/futexlock"
	"shmkit/procs/procstest"
	"shmkit/shm"
)

// A process closes the segment under goroutines that are awake in the middle of
// a slow path. What they want is held all the while, so none may say that it has it,
// though the page that it looks at reads as free from some moment on.
func TestClosedUnderTheWakeful(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	ways := map[string]func(ctx context.Context, tab *table) error{
		"Mutex": func(ctx context.Context, tab *table) error { return tab.Mu.LockContext(ctx) },
		"Recursive": func(ctx context.Context, tab *table) error {
			return tab.Rec.LockContext(ctx, futexlock.NewHolder())
		},
		"RWMutex read":    func(ctx context.Context, tab *table) error { return tab.RW.RLockContext(ctx) },
		"RWMutex write":   func(ctx context.Context, tab *table) error { return tab.RW.LockContext(ctx) },
		"Semaphore":       func(ctx context.Context, tab *table) error { return tab.Sem.Acquire(ctx, 1) },
		"Semaphore of 2":  func(ctx context.Context, tab *table) error { return tab.Sem.Acquire(ctx, 2) },
		"Semaphore owned": func(ctx context.Context, tab *table) error { _, err := tab.Sem.AcquireOwned(ctx); return err },
		"Event":           func(ctx context.Context, tab *table) error { return tab.Event.Wait(ctx) },
		"Once": func(ctx context.Context, tab *table) error {
			return tab.Once.DoContext(ctx, func() error { return nil })
		},
		"WaitGroup": func(ctx context.Context, tab *table) error { return tab.Group.Wait(ctx) },
	}
	for name, f := range ways {
		t.Run(name, func(t *testing.T) {
			got, ends := 0, 0
			for range 30 {
				o, err := shm.New[table](shm.WithOwnSegment())
				if err != nil {
					t.Fatal(err)
				}
				tab := o.Value()
				tab.Sem.Init(0, 4)
				tab.Mu.Lock()
				tab.Rec.Lock(futexlock.NewHolder())
				tab.RW.Lock()
				tab.Group.Add(1)
				running := make(chan struct{})
				go tab.Once.Do(func() error { close(running); select {} })
				<-running
				var wg sync.WaitGroup
				var had, closed atomic.Int32
				for range 4 {
					wg.Go(func() {
						defer func() {
							if r := recover(); r != nil && !strings.Contains(fmt.Sprint(r), "segment") {
								panic(r)
							}
						}()
						for {
							ctx, cancel := context.WithTimeout(context.Background(), 20*time.Microsecond)
							err := f(ctx, tab)
							cancel()
							switch {
							case err == nil:
								had.Add(1)
								return
							case errors.Is(err, shm.ErrClosed):
								closed.Add(1)
								return
							}
						}
					})
				}
				time.Sleep(300 * time.Microsecond)
				o.Close()
				wg.Wait()
				got += int(had.Load())
				ends += int(closed.Load())
			}
			t.Logf("%d calls were told that the segment is closed", ends)
			if got > 0 {
				t.Errorf("%d calls got what another had, from a segment that was being closed", got)
			}
		})
	}
}
