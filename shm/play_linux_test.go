package shm_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"shmkit/futexlock"
	"shmkit/procs/procstest"
	"shmkit/shm"
)

// A play is what a bare process does: one that package procs knows nothing of,
// does not reap and may not see. It attaches to a named segment, writes its token
// to word Seat, and goes on as told.
type play struct {
	Name string
	Seat int
	Do   string // "", "exec", "rss", "copy"
	Size int64
}

const playKey = "SHM_TEST_PLAY"

func TestMain(m *testing.M) {
	if s := os.Getenv(playKey); s != "" {
		var p play
		err := json.Unmarshal([]byte(s), &p)
		if err == nil {
			err = p.run()
		}
		fmt.Fprintln(os.Stderr, "play:", err)
		os.Exit(3)
	}
	procstest.Main(m)
}

// stage is the segment of a play.
type stage struct {
	Seats [16]seat
	Copy  [32 << 20]byte // where "copy" copies to
	Mu    futexlock.Mutex
}

type seat struct {
	Token uint64
	_     [56]byte
}

func (p play) run() error {
	o, err := shm.Open[stage](p.Name)
	if err != nil {
		return err
	}
	v := o.Value()
	switch p.Do {
	case "rss":
		b, err := unix.Mmap(-1, 0, int(p.Size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_POPULATE)
		if err != nil {
			return err
		}
		defer unix.Munmap(b)
	case "copy":
		// A source whose every read differs, so that a late write shows.
		src, err := os.CreateTemp("/dev/shm", "shm-play-")
		if err != nil {
			return err
		}
		os.Remove(src.Name())
		b := make([]byte, len(v.Copy))
		go func() {
			for i := byte(1); ; i++ {
				for k := 0; k < len(b); k += 64 {
					b[k] = i
				}
				src.WriteAt(b, 0)
			}
		}()
		go func() {
			for {
				unix.Pread(int(src.Fd()), v.Copy[:], 0)
			}
		}()
	}
	shm.StoreUint64(&v.Seats[p.Seat].Token, uint64(o.Segment().Self()))
	if p.Do == "exec" {
		for shm.LoadUint64(&v.Seats[p.Seat].Token) != 0 {
			time.Sleep(time.Millisecond)
		}
		return syscall.Exec("/bin/sleep", []string{"sleep", "1000"}, []string{})
	}
	for {
		time.Sleep(time.Hour)
	}
}

// troupe is a segment with the bare processes that are attached to it.
type troupe struct {
	t     testing.TB
	o     *shm.Object[stage]
	seats int
}

func newTroupe(t testing.TB, name string) *troupe {
	t.Helper()
	o, err := shm.Create[stage](name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		o.Segment().Sweep()
		for _, err := range shm.Check(o.Segment()) {
			t.Error(err)
		}
		o.Close()
		if err := shm.Remove(name); err != nil {
			t.Error(err)
		}
	})
	return &troupe{t: t, o: o}
}

// enter starts a bare process and returns it with its token. It is killed and
// reaped at the end of the test, not before.
func (tr *troupe) enter(p play, attr *syscall.SysProcAttr) (*exec.Cmd, shm.Token) {
	tr.t.Helper()
	p.Name, p.Seat = tr.o.Segment().Name(), tr.seats%16
	tr.seats++
	tok := &tr.o.Value().Seats[p.Seat].Token
	shm.StoreUint64(tok, 0)
	arg, _ := json.Marshal(p)
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), playKey+"="+string(arg))
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = attr
	if err := cmd.Start(); err != nil {
		if attr != nil && attr.Cloneflags != 0 {
			tr.t.Skipf("this machine does not let a test make a pid namespace: %v", err)
		}
		tr.t.Fatal(err)
	}
	tr.t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	waitFor(tr.t, "the process is attached", func() bool { return shm.LoadUint64(tok) != 0 })
	return cmd, shm.Token(shm.LoadUint64(tok))
}

// told returns how long after now it takes until the segment knows that tok is
// dead, asked as often as a waiting lock asks.
func (tr *troupe) told(tok shm.Token, since time.Time) time.Duration {
	tr.t.Helper()
	s := tr.o.Segment()
	for !s.Confirm(tok) {
		if time.Since(since) > 20*time.Second {
			tr.t.Fatalf("the death of %v is not told", tok)
		}
		time.Sleep(50 * time.Microsecond)
	}
	return time.Since(since)
}
