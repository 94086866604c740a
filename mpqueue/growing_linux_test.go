package mpqueue_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"shmkit/mpqueue"
	"shmkit/shm"
)

// blocks returns how much memory a segment holds, in units of 512 bytes.
func blocks(t *testing.T, s *shm.Segment) int64 {
	t.Helper()
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	name := "shmkit-" + s.ID().String()[:16]
	for _, e := range fds {
		path := "/proc/self/fd/" + e.Name()
		if to, _ := os.Readlink(path); !strings.Contains(to, name) {
			continue
		}
		var st syscall.Stat_t
		if err := syscall.Stat(path, &st); err == nil {
			return st.Blocks
		}
	}
	t.Fatal(fmt.Errorf("no descriptor of %s", name))
	return 0
}

// TestGrowing fills a queue without a capacity to its budget, drains it and looks
// at the memory that it holds.
func TestGrowing(t *testing.T) {
	q := newQueue[[]byte](t, 0, mpqueue.WithMaxBytes(16<<20))
	b := make([]byte, 60000)
	n := 0
	for ; q.TryPut(b) == nil; n++ {
		if n > 1000 {
			t.Fatal("no bound")
		}
	}
	full := blocks(t, q.Segment())
	for range n {
		if _, err := q.Get(background); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(background, 20*time.Millisecond)
	defer cancel()
	q.Get(ctx) // sleeps, and gives back before
	left := blocks(t, q.Segment())
	t.Logf("%d messages of 60 kB in 16 MiB: %d kB of memory, %d kB when drained", n, full/2, left/2)
	if n < 200 || full < 2*12<<10 || left > 2*4<<10 {
		t.Error("not bounded, or not given back")
	}
	// A run that begins in what a drained queue keeps.
	if err := q.TryPut(make([]byte, 12<<20)); err != nil {
		t.Fatal(err)
	}
	full = blocks(t, q.Segment())
	if _, err := q.Get(background); err != nil {
		t.Fatal(err)
	}
	ctx, cancel = context.WithTimeout(background, 10*shm.Backstop)
	defer cancel()
	for left = full; left > 2*4<<10 && ctx.Err() == nil; left = blocks(t, q.Segment()) {
		slice, stop := context.WithTimeout(ctx, shm.Backstop+shm.Backstop/2)
		q.Get(slice) // gives it back when it has been idle for a slice
		stop()
	}
	t.Logf("a message of 12 MiB: %d kB of memory, %d kB when drained", full/2, left/2)
	if full < 2*12<<10 || left > 2*4<<10 {
		t.Error("a large message is not given back")
	}
	small := newQueue[point](t, 0)
	for i := range 3000 {
		if err := small.TryPut(point{i, -i}); err != nil {
			t.Fatal(i, err)
		}
	}
	for i := range 3000 {
		if v, err := small.Get(background); v != (point{i, -i}) || err != nil {
			t.Fatal(v, err)
		}
	}
}
