package procs_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"shmkit/procs"
	"shmkit/procs/procstest"
	"shmkit/shm"
)

// tellCause prints why its context has ended.
var tellCause = procs.Register("tell cause", func(ctx context.Context, f *shm.Object[flag]) error {
	<-f.Value().wait(ctx)
	fmt.Println(context.Cause(ctx))
	return nil
})

func init() {
	// heavy death
	programs["heavy"] = func(ctx context.Context) error {
		const size = 512 << 20
		memory, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
		if err != nil {
			return err
		}
		// Small pages, which take the kernel long to give back.
		if err := unix.Madvise(memory, unix.MADV_NOHUGEPAGE); err != nil {
			return err
		}
		for i := 0; i < size; i += 4096 {
			memory[i] = 1
		}
		f, err := shm.New[flag]()
		if err != nil {
			return err
		}
		p := tellCause.Process(f, procs.Daemon())
		if err := p.Start(); err != nil {
			return err
		}
		for f.Value().Raised.Load() == 0 {
			time.Sleep(time.Millisecond)
		}
		if os.Args[1] == "terminate" {
			return errors.Join(p.Terminate(), p.Join(ctx))
		}
		return die(ctx, os.Args[1])
	}
}

// A daemon whose parent dies knows it from one that is terminated, also when the
// parent takes long to die because the kernel has much memory to take back: the
// signal comes at the beginning of that, the end of the lifeline after it.
func TestCauseOfHeavyParent(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	for _, c := range []struct {
		death string
		want  error
	}{
		{"SIGKILL", procs.ErrParentDied},
		{"panic elsewhere", procs.ErrParentDied},
		{"exec", procs.ErrParentDied},
		{"terminate", procs.ErrTerminated},
	} {
		t.Run(strings.ReplaceAll(c.death, " ", "-"), func(t *testing.T) {
			for range 3 {
				cmd := program(t, "heavy", c.death)
				var out strings.Builder
				cmd.Stdout = &out // to the end of all who have it
				cmd.Run()
				if line, _, _ := strings.Cut(out.String(), "\n"); line != c.want.Error() {
					t.Errorf("the cause is %q, want %q", line, c.want)
				}
			}
		})
	}
}
