package shm_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"shmkit/futexlock"
	"shmkit/procs/procstest"
	"shmkit/shm"
)

// mostMappings is how many mappings a process may have; 0 if nobody knows.
func mostMappings() int {
	b, _ := os.ReadFile("/proc/sys/vm/max_map_count")
	n, _ := strconv.Atoi(strings.TrimSpace(string(b)))
	return n
}

// useUpMappings leaves this process no mapping more, and returns how to give them
// back.
func useUpMappings() (giveBack func(), _ error) {
	most := mostMappings()
	const page = 4096
	mem, err := unix.Mmap(-1, 0, 2*page*most, unix.PROT_NONE, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_NORESERVE)
	if err != nil {
		return nil, err
	}
	for i := 0; err == nil; i++ { // every second page another mapping
		err = unix.Mprotect(mem[2*i*page:(2*i+1)*page], unix.PROT_READ)
	}
	var more [][]byte // that took two at a time
	for {
		m, err := unix.Mmap(-1, 0, page, unix.PROT_READ, unix.MAP_SHARED|unix.MAP_ANON)
		if err != nil {
			break
		}
		more = append(more, m)
	}
	return func() {
		unix.Munmap(mem)
		for _, m := range more {
			unix.Munmap(m)
		}
	}, nil
}

type pauperArgs struct {
	O    *shm.Object[account]
	Done *shm.Object[atomic.Uint32]
}

// pauper closes an object in which it holds a lock when it has no mapping left, goes
// on writing, and stays.
var pauper = procstest.Role("pauper", func(ctx context.Context, a pauperArgs) error {
	// The heap cannot grow then, and the Go runtime ends a program whose heap cannot
	// grow: so there must be room in it.
	var room [][]byte
	for range 4096 {
		room = append(room, make([]byte, 4096))
	}
	runtime.KeepAlive(room)
	room = nil
	runtime.GC()
	debug.SetGCPercent(-1)
	v := a.O.Value()
	if err := v.Mu.Lock(); err != nil {
		return err
	}
	v.Balance = 1
	fds := openDescriptors()
	giveBack, err := useUpMappings()
	if err != nil {
		return err
	}
	_, refused := shm.New[int64](shm.WithOwnSegment())
	leaked := openDescriptors() - fds
	err = a.O.Close()
	func() {
		debug.SetPanicOnFault(true)
		defer func() { recover() }()
		shm.StoreInt64(&v.Balance, 2)
	}()
	giveBack()
	switch {
	case err != nil:
		return fmt.Errorf("close: %w", err)
	case !errors.Is(refused, syscall.ENOMEM):
		return fmt.Errorf("a new segment: %v", refused)
	case leaked != 0:
		return fmt.Errorf("an error leaves %d descriptors", leaked)
	}
	n, err := shm.New[int64](shm.WithOwnSegment())
	if err != nil {
		return fmt.Errorf("afterwards: %w", err)
	}
	a.Done.Value().Store(1)
	<-ctx.Done()
	return n.Close()
})

func openDescriptors() int {
	all, _ := os.ReadDir("/proc/self/fd")
	return len(all)
}

// Close lets others in only when the process can no longer write, also when there is
// no mapping left for what is to stand in the place of the segment.
func TestCrashCloseExhausted(t *testing.T) {
	if shm.RaceEnabled {
		t.Skip("the race detector maps memory of its own all the time, and ends the program when it cannot")
	}
	if n := mostMappings(); n == 0 || n > 1<<18 {
		t.Skipf("max_map_count is %d: too many to use up", n)
	}
	procstest.Watchdog(t, time.Minute)
	o, err := shm.New[account](shm.WithOwnSegment())
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	done, err := shm.New[atomic.Uint32]()
	if err != nil {
		t.Fatal(err)
	}
	defer done.Close()
	p := pauper.Start(t, pauperArgs{o, done})
	waitFor(t, "Close", func() bool { return done.Value().Load() != 0 })
	begin := time.Now()
	if err := o.Value().Mu.Lock(); !errors.Is(err, futexlock.ErrOwnerDied) {
		t.Errorf("the lock: %v", err)
	}
	t.Logf("the lock of a process that has closed it: after %v", time.Since(begin))
	o.Value().Mu.Consistent()
	o.Value().Mu.Unlock()
	if n := shm.LoadInt64(&o.Value().Balance); n != 1 {
		t.Errorf("a process that has closed the object has written %d", n)
	}
	o.Segment().Sweep()
	for _, err := range shm.Check(o.Segment()) {
		t.Error(err)
	}
	p.Kill()
}

type beggarArgs struct {
	Name   string
	Handle []byte
}

// beggar does everything with as few descriptors as there are.
var beggar = procstest.Role("beggar", func(ctx context.Context, a beggarArgs) error {
	stale, err := shm.Create[int64](a.Name + "-stale")
	if err != nil {
		return err
	}
	stale.Close()
	ops := map[string]func() (io.Closer, error){
		"new":            func() (io.Closer, error) { return shm.New[int64](shm.WithOwnSegment()) },
		"open":           func() (io.Closer, error) { return shm.Open[account](a.Name) },
		"create":         func() (io.Closer, error) { return shm.Create[int64](a.Name + "-mine") },
		"replace":        func() (io.Closer, error) { return shm.Create[int64](a.Name + "-stale") },
		"peek":           func() (io.Closer, error) { return shm.Peek(a.Name) },
		"open or create": func() (io.Closer, error) { o, _, err := shm.OpenOrCreate[account](a.Name); return o, err },
		"handle": func() (io.Closer, error) {
			o := new(shm.Object[account])
			return o, o.UnmarshalBinary(a.Handle)
		},
	}
	var limit, less unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	less = limit
	less.Cur = 100
	before := openDescriptors()
	for what, op := range ops {
		works := false
		for free := 0; free < 10; free++ {
			if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &less); err != nil {
				return err
			}
			var used []int
			for {
				fd, err := unix.Dup(0)
				if err != nil {
					break
				}
				used = append(used, fd)
			}
			for range free {
				unix.Close(used[len(used)-1])
				used = used[:len(used)-1]
			}
			begin := time.Now()
			o, err := op()
			took := time.Since(begin)
			for _, fd := range used {
				unix.Close(fd)
			}
			unix.Setrlimit(unix.RLIMIT_NOFILE, &limit)
			switch {
			case err == nil:
				works = true
				if err := o.Close(); err != nil {
					return fmt.Errorf("%s with %d descriptors: close: %w", what, free, err)
				}
			case !errors.Is(err, syscall.EMFILE):
				return fmt.Errorf("%s with %d descriptors: not told why: %w", what, free, err)
			case works:
				return fmt.Errorf("%s works with fewer than %d descriptors: %w", what, free, err)
			case took > time.Second:
				return fmt.Errorf("%s with %d descriptors: told after %v", what, free, took)
			}
			if n := openDescriptors(); n != before {
				return fmt.Errorf("%s with %d descriptors: %d are open after it, %d before", what, free, n, before)
			}
		}
		if !works {
			return fmt.Errorf("%s needs more than ten descriptors", what)
		}
	}
	return nil
})

// With too few descriptors every call says so, leaves none behind, and works as soon
// as there are enough.
func TestFullDescriptors(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	o, err := shm.Create[account]("pennies")
	if err != nil {
		t.Fatal(err)
	}
	defer shm.Remove("pennies")
	defer shm.DropPins()
	defer o.Close()
	b, err := o.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	if st := beggar.Start(t, beggarArgs{"pennies", b}).Wait(); st.Err != nil {
		t.Error(st)
	}
	for _, p := range o.Segment().Participants() {
		if !p.Self {
			t.Errorf("left: %+v", p)
		}
	}
	shm.Collect()
	if n := names(t); len(n) != 1 {
		t.Errorf("names left: %v", n)
	}
}
