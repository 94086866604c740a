package procstest_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"shmkit/procs/procstest"
	"shmkit/shm"
)

// Every check of this package is shown to fail: TestPlanted runs this binary
// again with one of these faults planted, which must be found and named.
const plantKey = "PROCSTEST_PLANT"

var planted = map[string]struct {
	plant func(t *testing.T)
	want  []string
}{
	"a role that hangs": {
		func(t *testing.T) {
			p := waiter.Start(t, newMeeting(t))
			procstest.WaitBlocked(t, p.PID(), 1)
			procstest.Watchdog(t, 300*time.Millisecond)
			<-p.Done()
		},
		// The stacks of both processes, and what their threads do.
		[]string{"runs longer than 300ms", "TestPlanted", "Segment).Sleep", "system call"},
	},
	"a test that hangs": {
		func(t *testing.T) {
			procstest.Watchdog(t, 100*time.Millisecond)
			select {}
		},
		[]string{"watchdog: TestPlanted", "hangs"},
	},
	"a descriptor left open": {
		func(t *testing.T) {
			if _, err := syscall.Open("/dev/zero", syscall.O_RDONLY, 0); err != nil {
				t.Fatal(err)
			}
		},
		[]string{"the tests left descriptor", "/dev/zero"},
	},
	"a segment left open": {
		func(t *testing.T) {
			if _, err := shm.New[meeting](shm.WithOwnSegment()); err != nil {
				t.Fatal(err)
			}
		},
		[]string{"the tests left descriptor", "memfd"},
	},
	"a name left behind": {
		func(t *testing.T) {
			o, err := shm.Create[meeting]("left-behind")
			if err != nil {
				t.Fatal(err)
			}
			o.Close()
		},
		[]string{"the tests left the named segment", "left-behind"},
	},
	"a process left running": {
		func(t *testing.T) {
			cmd := exec.Command("sleep", "20")
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
		},
		[]string{"the tests left the process", "sleep"},
	},
	"a zombie": {
		func(t *testing.T) {
			if _, err := syscall.ForkExec("/bin/true", []string{"true"}, nil); err != nil {
				t.Fatal(err)
			}
		},
		[]string{"the tests left the zombie", "true"},
	},
	"a role whose error nobody saw": {
		func(t *testing.T) {
			p := failing.Start(t, struct{}{})
			<-p.Done()
		},
		[]string{"a role failed, and the test did not notice", "I am broken"},
	},
	"a lock that is lost with its holder": {
		func(t *testing.T) {
			procstest.EachInstruction(t, careless, newCareless, func(t testing.TB, o *shm.Object[carelessLock]) {
				if o.Value().word.Load() != 0 {
					t.Error("the lock is held by the dead")
				}
			})
		},
		[]string{"the lock is held by the dead", "the role was killed after instruction", "planted_linux_test.go"},
	},
	"a paused process that is not waited for": {
		func(t *testing.T) {
			procstest.EachPause(t, careless, newCareless, func(t testing.TB, o *shm.Object[carelessLock]) {
				o.Value().data.Store(o.Value().data.Load() + 1) // without the lock
			}, func(t testing.TB, o *shm.Object[carelessLock]) {
				if n := o.Value().data.Load(); n != 2 {
					t.Errorf("two increments make %d", n)
				}
			})
		},
		[]string{"two increments make 1", "the role was paused after instruction"},
	},
}

func TestPlanted(t *testing.T) {
	if name := os.Getenv(plantKey); name != "" {
		os.Unsetenv(plantKey)
		planted[name].plant(t)
		return
	}
	for name, p := range planted {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			t.Parallel() // most of it is patience
			cmd := exec.Command("/proc/self/exe", "-test.run=^TestPlanted$", "-test.v")
			cmd.Env = append(os.Environ(), plantKey+"="+name)
			out, err := cmd.CombinedOutput()
			if strings.Contains(string(out), "does not let a process trace") {
				t.Skip("this machine does not let a process trace its children")
			}
			var exit *exec.ExitError
			if !errors.As(err, &exit) {
				t.Fatalf("not found: %v\n%s", err, out)
			}
			for _, want := range p.want {
				if !strings.Contains(string(out), want) {
					t.Errorf("the output does not say %q:\n%s", want, out)
				}
			}
		})
	}
	// And without a fault all is well.
	cmd := exec.Command("/proc/self/exe", "-test.run=^TestJoin$")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

var failing = procstest.Role("failing", func(context.Context, struct{}) error { return errors.New("I am broken") })

func TestNoticedFailure(t *testing.T) {
	if s := failing.Start(t, struct{}{}).Wait(); s.Code != 1 {
		t.Error(s)
	}
}

// carelessLock is a lock as one would write it without thinking of death.
type carelessLock struct{ word, data atomic.Uint32 }

func (l *carelessLock) increment() {
	for !l.word.CompareAndSwap(0, 1) {
	}
	l.data.Store(l.data.Load() + 1)
	l.word.Store(0)
}

var careless = procstest.Role("careless", func(ctx context.Context, o *shm.Object[carelessLock]) error {
	procstest.Step(o.Value().increment)
	return nil
})

func TestCarelessLockAlone(t *testing.T) {
	o := newCareless(t)
	if s := careless.Start(t, o).Wait(); s.Code != 0 || o.Value().data.Load() != 1 {
		t.Error(s)
	}
}

func newCareless(t testing.TB) *shm.Object[carelessLock] {
	o, err := shm.New[carelessLock]()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { o.Close() })
	return o
}
