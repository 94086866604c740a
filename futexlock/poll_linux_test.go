package futexlock_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"shmkit/futexlock"
	"shmkit/procs/procstest"
)

// mute is added to an act's number: the process has no bell, as under an
// emulator. Its peers see its death in the file lock only.
const mute = 100

// noBell denies this process the robust list that its bell would hang on.
func noBell() error {
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS}, // the number of the call
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jf: 1, K: unix.SYS_SET_ROBUST_LIST},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	prog := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	const setFilter, allThreads = 1, 1
	if _, _, e := unix.Syscall(unix.SYS_SECCOMP, setFilter, allThreads, uintptr(unsafe.Pointer(&prog))); e != 0 {
		return e
	}
	return nil
}

// holdings are what a stranger can hold, and how one polls for it: by trying, and
// with a context whose time is always up sooner than a backstop.
var holdings = []struct {
	name  string
	hold  func(ctx context.Context, t *table) error
	try   func(t *table) (bool, error)
	brief func(ctx context.Context, t *table) error
	told  bool // the death is told
}{
	{"Mutex",
		func(ctx context.Context, t *table) error { return t.Mu.Lock() },
		func(t *table) (bool, error) { return t.Mu.TryLock() },
		func(ctx context.Context, t *table) error { return t.Mu.LockContext(ctx) }, true},
	{"RecursiveMutex",
		func(ctx context.Context, t *table) error { return t.Rec.Lock(futexlock.NewHolder()) },
		func(t *table) (bool, error) { return t.Rec.TryLock(futexlock.NewHolder()) },
		func(ctx context.Context, t *table) error { return t.Rec.LockContext(ctx, futexlock.NewHolder()) }, true},
	{"RWMutex, writer for writer",
		func(ctx context.Context, t *table) error { return t.RW.Lock() },
		func(t *table) (bool, error) { return t.RW.TryLock() },
		func(ctx context.Context, t *table) error { return t.RW.LockContext(ctx) }, true},
	{"RWMutex, writer for reader",
		func(ctx context.Context, t *table) error { return t.RW.Lock() },
		func(t *table) (bool, error) { return t.RW.TryRLock() },
		func(ctx context.Context, t *table) error { return t.RW.RLockContext(ctx) }, true},
	{"RWMutex, reader for writer",
		func(ctx context.Context, t *table) error { return t.RW.RLock() },
		func(t *table) (bool, error) { return t.RW.TryLock() },
		func(ctx context.Context, t *table) error { return t.RW.LockContext(ctx) }, false},
	{"Semaphore, owned",
		func(ctx context.Context, t *table) error { _, err := t.Sem.AcquireOwned(ctx); return err },
		func(t *table) (bool, error) { _, ok := t.Sem.TryAcquireOwned(); return ok, nil },
		func(ctx context.Context, t *table) error { _, err := t.Sem.AcquireOwned(ctx); return err }, false},
	{"Semaphore",
		func(ctx context.Context, t *table) error { _, err := t.Sem.AcquireOwned(ctx); return err },
		func(t *table) (bool, error) { return t.Sem.TryAcquire(1), nil },
		func(ctx context.Context, t *table) error { return t.Sem.Acquire(ctx, 1) }, false},
	{"Once",
		func(ctx context.Context, t *table) error {
			return t.Once.Do(func() error { t.Step[0].Store(1); time.Sleep(time.Hour); return nil })
		},
		func(t *table) (bool, error) {
			done, cancel := context.WithCancel(context.Background())
			cancel()
			return t.Once.DoContext(done, func() error { return nil }) == nil, nil
		},
		func(ctx context.Context, t *table) error { return t.Once.DoContext(ctx, func() error { return nil }) }, false},
	{"WaitGroup",
		func(ctx context.Context, t *table) error { return t.Group.Add(1) },
		func(t *table) (bool, error) { open, _ := t.Group.Tasks(); return open == 0, nil },
		func(ctx context.Context, t *table) error { return t.Group.Wait(ctx) }, true},
}

func init() {
	prepare["holdone"] = beMute
	acts["holdone"] = func(ctx context.Context, t *table, n int) error {
		if err := holdings[n%mute].hold(ctx, t); err != nil {
			return err
		}
		t.Step[0].Store(1)
		time.Sleep(time.Hour)
		return nil
	}
}

// The one survivor polls: it never sleeps as long as a backstop, nobody else is
// attached, and the dead holder was no child that anybody sweeps. It gets the lock.
func TestPollersNoticeDeath(t *testing.T) {
	for i, h := range holdings {
		for _, bell := range []string{"bell", "no bell"} {
			for _, how := range []string{"try", "brief"} {
				t.Run(fmt.Sprintf("%s/%s/%s", h.name, bell, how), func(t *testing.T) {
					procstest.Watchdog(t, time.Minute)
					o, tab := newTable(t)
					tab.Sem.Init(1, 1)
					n := i
					if bell == "no bell" {
						n += mute
					}
					p := stranger(t, o, "holdone", n)
					await(t, &tab.Step[0], 1)
					look := func() (bool, error) { return h.try(tab) }
					if how == "brief" {
						look = func() (bool, error) {
							ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
							defer cancel()
							err := h.brief(ctx, tab)
							if errors.Is(err, context.DeadlineExceeded) {
								return false, nil
							}
							return true, err
						}
					}
					if ok, err := look(); ok || err != nil {
						t.Fatalf("a living holder: %v, %v", ok, err)
					}
					p.Kill()
					p.Wait()
					bound := 100 * time.Millisecond
					within(t, "granted", bound, func() {
						for begin := time.Now(); ; time.Sleep(100 * time.Microsecond) {
							ok, err := look()
							if ok {
								if told := errors.Is(err, futexlock.ErrOwnerDied); told != h.told && (h.name != "WaitGroup" || how == "brief") {
									t.Errorf("%v, want the death told: %v", err, h.told)
								}
								return
							}
							if time.Since(begin) > 5*time.Second {
								t.Fatal("the dead holder is never found out")
							}
						}
					})
				})
			}
		}
	}
}

// beMute takes the bell from a stranger whose number says so.
func beMute(n int) {
	if n >= mute {
		if err := noBell(); err != nil {
			fmt.Fprintln(os.Stderr, "no bell:", err)
			os.Exit(1)
		}
	}
}
