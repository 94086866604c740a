package shm_test

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"shmkit/shm"
)

// place mounts a tmpfs of its own for the names of a test.
func place(t testing.TB, options string) string {
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, options); err != nil {
		t.Skipf("this machine does not let a test mount: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	t.Setenv("SHMKIT_DIR", dir)
	return dir
}

func used(t testing.TB, dir string) uint64 {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		t.Fatal(err)
	}
	return (st.Blocks - st.Bfree) * uint64(st.Bsize)
}

// A wish that does not fit is refused before anything is touched, and the error
// says where, how much, and how much there is.
func TestFullPlace(t *testing.T) {
	dir := place(t, "size=4m")
	before := used(t, dir)
	_, err := shm.CreateSegment("big", 16<<20)
	var se *shm.SpaceError
	if !errors.Is(err, shm.ErrNoSpace) || !errors.As(err, &se) {
		t.Fatalf("16 MiB in 4: %v", err)
	}
	t.Log(err)
	if se.Place != dir || se.Want < 16<<20 || se.Free <= 0 || se.Free > 4<<20 {
		t.Errorf("%+v", se)
	}
	if now := used(t, dir); now != before || len(names(t)) != 0 {
		t.Errorf("touched: %d bytes, then %d; %v", before, now, names(t))
	}
	// Fill it up in pieces that fit.
	var all []*shm.Segment
	for i := 0; ; i++ {
		s, err := shm.CreateSegment(fmt.Sprint("part-", i), 512<<10)
		if err != nil {
			if !errors.Is(err, shm.ErrNoSpace) {
				t.Error(err)
			}
			t.Logf("%d segments of 512 KiB, then: %v", i, err)
			break
		}
		clear(s.Data()) // every byte has memory: no SIGBUS
		all = append(all, s)
	}
	if len(all) < 6 {
		t.Errorf("only %d segments of 0.5 MiB fit into 4 MiB", len(all))
	}
	for _, s := range all {
		s.Close()
		if err := shm.Remove(s.Name()); err != nil {
			t.Error(err)
		}
	}
	if now := used(t, dir); now != before {
		t.Errorf("%d bytes before, %d after", before, now)
	}
}

// What has its address only gets its memory by Reserve, which says no in time.
func TestFullSparse(t *testing.T) {
	dir := place(t, "size=4m")
	s, err := shm.CreateSegment("sparse", 64<<20, shm.WithSparse(4096))
	if err != nil {
		t.Fatal(err)
	}
	defer shm.Remove("sparse")
	defer s.Close()
	if err := s.Reserve(1<<20, 1<<20); err != nil {
		t.Fatal(err)
	}
	clear(s.Data()[1<<20 : 2<<20])
	now := used(t, dir)
	if err := s.Reserve(32<<20, 8<<20); !errors.Is(err, shm.ErrNoSpace) {
		t.Errorf("8 MiB more in 4: %v", err)
	}
	if n := used(t, dir); n != now {
		t.Errorf("a refused Reserve took %d bytes", n-now)
	}
	if err := s.Punch(1<<20, 1<<20); err != nil {
		t.Fatal(err)
	}
	if n := used(t, dir); n > now-1<<20 {
		t.Errorf("Punch gave back %d bytes", now-n)
	}
}

// No inode left: the same error, though there are bytes.
func TestFullInodes(t *testing.T) {
	place(t, "size=4m,nr_inodes=2")
	a, err := shm.Create[int64]("a")
	if err != nil {
		t.Fatal(err)
	}
	defer shm.Remove("a")
	defer a.Close()
	if _, err := shm.Create[int64]("b"); !errors.Is(err, shm.ErrNoSpace) {
		t.Errorf("no inode: %v", err)
	}
}

// More than the machine has is refused, in memory and under a name.
func TestFullMemory(t *testing.T) {
	before := descriptors(t)
	huge := int(min(int64(math.MaxInt), 1<<44))
	for what, make := range map[string]func() (*shm.Segment, error){
		"anonymous": func() (*shm.Segment, error) { return shm.NewSegment(huge) },
		"named":     func() (*shm.Segment, error) { return shm.CreateSegment("huge", huge) },
	} {
		_, err := make()
		var se *shm.SpaceError
		if !errors.As(err, &se) || !errors.Is(err, shm.ErrNoSpace) || se.Want < int64(huge) || se.Free <= 0 {
			t.Errorf("%s: %v", what, err)
		}
		t.Log(err)
	}
	if len(names(t)) != 0 || descriptors(t) != before {
		t.Errorf("left %v, %d descriptors", names(t), descriptors(t)-before)
	}
}

// A file with holes, as a sparse copy has them, gets its memory when it is
// opened, or is refused.
func TestFullHoles(t *testing.T) {
	dir := place(t, "size=4m")
	s, err := shm.CreateSegment("holes", 2<<20)
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	defer shm.Remove("holes")
	f, err := os.OpenFile(nameFile("holes"), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, 1<<20, 1<<20); err != nil {
		t.Fatal(err)
	}
	if s, err = shm.OpenSegment("holes"); err != nil {
		t.Fatal(err)
	}
	if n := used(t, dir); n < 2<<20 {
		t.Errorf("%d bytes in use: holes are left", n)
	}
	s.Close()
	unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, 1<<20, 1<<20)
	other, err := shm.CreateSegment("other", 2<<20)
	if err != nil {
		t.Fatal(err)
	}
	defer shm.Remove("other")
	defer other.Close()
	if _, err = shm.OpenSegment("holes"); !errors.Is(err, shm.ErrNoSpace) {
		t.Errorf("no memory for the holes: %v", err)
	}
	if _, err = shm.Peek("holes"); !errors.Is(err, shm.ErrNoSpace) {
		t.Errorf("no memory for the holes that are looked at: %v", err)
	}
}

// A folder in which no name can be made is named, with the reason.
func TestFullFolder(t *testing.T) {
	readOnly, file := place(t, "ro"), filepath.Join(t.TempDir(), "a file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for dir, why := range map[string]struct {
		is   error
		text string
	}{
		filepath.Join(readOnly, "missing"): {fs.ErrNotExist, "missing"},
		readOnly:                           {syscall.EROFS, "read-only"},
		file:                               {syscall.ENOTDIR, "a file"},
		"/proc":                            {syscall.EOPNOTSUPP, "O_TMPFILE"},
	} {
		t.Setenv("SHMKIT_DIR", dir)
		_, err := shm.Create[int64]("nowhere")
		if !errors.Is(err, why.is) || !strings.Contains(err.Error(), why.text) || !strings.Contains(err.Error(), dir) {
			t.Errorf("%s: %v, want %v", dir, err, why.is)
		}
		if _, _, err := shm.OpenOrCreate[int64]("nowhere"); !errors.Is(err, why.is) {
			t.Errorf("%s: OpenOrCreate: %v, want %v", dir, err, why.is)
		}
	}
}
