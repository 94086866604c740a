package shm_test

import (
	"errors"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"shmkit/shm"
)

// Reserve and Punch go by the number of a descriptor. After Close it may be that
// of another file, in which they would destroy data.
func TestReserveAfterClose(t *testing.T) {
	s, err := shm.NewSegment(1<<20, shm.WithSparse(0))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.Reserve(0, 1<<20), s.Punch(0, 4096)); err != nil {
		t.Fatal(err)
	}
	s.Close()
	if err := s.Reserve(0, 1<<20); !errors.Is(err, shm.ErrClosed) {
		t.Errorf("Reserve: %v, want ErrClosed", err)
	}
	if err := s.Punch(0, 4096); !errors.Is(err, shm.ErrClosed) {
		t.Errorf("Punch: %v, want ErrClosed", err)
	}
	if err := s.Info().Err; !errors.Is(err, shm.ErrClosed) {
		t.Errorf("Info: %v, want ErrClosed", err)
	}
}

// addressSpace returns how many bytes of addresses this process uses. Blank
// mappings side by side count as one: their number says nothing.
func addressSpace(t testing.TB) int {
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(strings.Fields(string(b))[0])
	if err != nil {
		t.Fatal(err)
	}
	return n * os.Getpagesize()
}

// A look at a segment leaves nothing behind, however often.
func TestPeekLeavesNothing(t *testing.T) {
	const size, looks = 1 << 20, 1000
	o, err := shm.Create[[size]byte]("peeked")
	if err != nil {
		t.Fatal(err)
	}
	defer shm.Remove("peeked")
	defer o.Close()
	before := addressSpace(t)
	for range looks {
		s, err := shm.Peek("peeked")
		if err != nil {
			t.Fatal(err)
		}
		s.Close()
	}
	grown := 0
	for begin := time.Now(); time.Since(begin) < 10*time.Second; time.Sleep(10 * time.Millisecond) {
		runtime.GC()
		if grown = addressSpace(t) - before; grown < looks*size/4 {
			break
		}
	}
	t.Logf("%d looks at %d bytes: the address space has grown by %d", looks, size, grown)
	if grown >= looks*size/4 {
		t.Error("the mappings stay")
	}
}

// addressable returns how many bytes of s have memory behind them.
func addressable(t testing.TB, s *shm.Segment) int64 {
	var n int64
	for _, link := range links(t) {
		if f, err := os.Stat(link); err == nil && strings.Contains(target(link), s.ID().String()[:16]) {
			n = f.Sys().(*syscall.Stat_t).Blocks * 512
		}
	}
	return n
}

// links lists the descriptors of this process.
func links(t testing.TB) (all []string) {
	e, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range e {
		all = append(all, "/proc/self/fd/"+d.Name())
	}
	return all
}

func target(link string) string {
	to, _ := os.Readlink(link)
	return to
}
