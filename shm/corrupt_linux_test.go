package shm_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/cespare/xxhash/v2"

	"shmkit/futexlock"
	"shmkit/shm"
)

// sound returns the bytes of a sound segment that holds an account.
func sound(t testing.TB) []byte {
	o, err := shm.Create[account]("sound", shm.WithParticipants(4))
	if err != nil {
		t.Fatal(err)
	}
	o.Value().Balance = 42
	o.Close()
	b, err := os.ReadFile(nameFile("sound"))
	if err != nil {
		t.Fatal(err)
	}
	shm.Remove("sound")
	return b
}

// openBytes opens b as an account.
func openBytes(t testing.TB, b []byte) error {
	t.Helper()
	if err := os.WriteFile(nameFile("bytes"), b, 0o600); err != nil {
		t.Fatal(err)
	}
	defer os.Remove(nameFile("bytes"))
	o, err := shm.Open[account]("bytes")
	if err == nil {
		o.Close()
	}
	return err
}

// seal makes the checksum of a header right again.
func seal(b []byte) []byte {
	b = bytes.Clone(b)
	binary.LittleEndian.PutUint64(b[248:], xxhash.Sum64(b[:248]))
	return b
}

func with(b []byte, at int, v byte) []byte {
	b = bytes.Clone(b)
	b[at] = v
	return b
}

func TestCorruptFile(t *testing.T) {
	good := sound(t)
	if err := openBytes(t, good); err != nil {
		t.Fatal("the sound one: ", err)
	}
	noise := make([]byte, len(good))
	for i := range noise {
		noise[i] = byte(rand.Uint32())
	}
	for what, b := range map[string][]byte{
		"empty": {}, "one byte": good[:1], "half a header": good[:128], "header short by one": good[:255],
		"header only": good[:256], "without payload": good[:8192], "short by one": good[:len(good)-1],
		"too long": append(bytes.Clone(good), 0), "noise": noise, "zeros": make([]byte, len(good)),
		"text":              []byte("Dear reader, this is no segment, though it is a rather long text. " + string(make([]byte, 300))),
		"no slots":          seal(with(good, 92, 0)),
		"many slots":        seal(with(good, 94, 9)),
		"payload elsewhere": seal(with(good, 41, 0x21)), "payload outside": seal(with(good, 45, 1)),
		"payload too large": seal(with(good, 50, 1)), "reserved too large": seal(with(good, 58, 1)),
		"too many elements": seal(with(good, 76, 1)), "lock map": seal(with(good, 100, 65)),
	} {
		err := openBytes(t, b)
		var ce *shm.CorruptError
		if !errors.Is(err, shm.ErrCorrupt) || !errors.As(err, &ce) || ce.Field == "" {
			t.Errorf("%s: %v", what, err)
		}
	}
	for what, b := range map[string][]byte{
		"version": with(good, 8, 2), "machine word": seal(with(good, 88, 4)), "kind": seal(with(good, 12, 3)),
		"layout": seal(with(good, 80, good[80]^1)), "element size": seal(with(good, 64, 8)),
	} {
		var le *shm.LayoutError
		if err := openBytes(t, b); !errors.As(err, &le) || le.Field != what {
			t.Errorf("another %s: %v", what, err)
		}
	}
}

// Each single bit of the header that is flipped is noticed.
func TestCorruptHeaderBits(t *testing.T) {
	good := sound(t)
	kinds := map[string]int{}
	for bit := range 256 * 8 {
		b := with(good, bit/8, good[bit/8]^1<<(bit%8))
		err := openBytes(t, b)
		var le *shm.LayoutError
		switch {
		case errors.Is(err, shm.ErrCorrupt):
			kinds["corrupt"]++
		case errors.As(err, &le) && le.Field == "version" && bit/32 == 2:
			kinds["version"]++
		default:
			t.Errorf("bit %d of byte %d: %v", bit%8, bit/8, err)
		}
	}
	t.Log(kinds)
}

func TestCorruptType(t *testing.T) {
	o, err := shm.Create[account]("typed")
	if err != nil {
		t.Fatal(err)
	}
	defer shm.Remove("typed")
	defer o.Close()
	var le *shm.LayoutError
	if _, err := shm.Open[int64]("typed"); !errors.As(err, &le) || le.Type != "shm_test.account" {
		t.Errorf("as int64: %v", err)
	}
	if _, err := shm.Open[struct {
		Mu      futexlock.Mutex
		Account int64 // another field name
	}]("typed"); !errors.As(err, &le) {
		t.Errorf("with another field: %v", err)
	}
	if _, err := shm.OpenSlice[account]("typed"); !errors.As(err, &le) {
		t.Errorf("as a slice: %v", err)
	}
	type renamed struct {
		Mu      futexlock.Mutex
		Balance int64
	}
	r, err := shm.Open[renamed]("typed")
	if err != nil {
		t.Errorf("under another type name: %v", err)
	} else {
		r.Close()
	}
	if _, _, err := shm.OpenOrCreate[int64]("typed"); !errors.As(err, &le) {
		t.Errorf("OpenOrCreate as int64: %v", err)
	}
}

func TestCorruptPlace(t *testing.T) {
	dir := os.Getenv("SHMKIT_DIR")
	target := filepath.Join(t.TempDir(), "target")
	if err := os.WriteFile(target, sound(t), 0o600); err != nil {
		t.Fatal(err)
	}
	for what, make := range map[string]func(path string) error{
		"symbolic link": func(p string) error { return os.Symlink(target, p) },
		"dangling link": func(p string) error { return os.Symlink("/nowhere", p) },
		"folder":        func(p string) error { return os.Mkdir(p, 0o700) },
		"FIFO":          func(p string) error { return syscall.Mkfifo(p, 0o600) },
		"device":        func(p string) error { return syscall.Mknod(p, syscall.S_IFCHR|0o600, 1<<8|3) },
	} {
		path := filepath.Join(dir, "shmkit-place")
		if err := make(path); err != nil {
			t.Logf("%s: cannot be made here: %v", what, err)
			continue
		}
		if _, err := shm.Open[account]("place"); !errors.Is(err, shm.ErrNotRegular) {
			t.Errorf("%s: Open: %v", what, err)
		}
		if _, err := shm.Create[account]("place"); !errors.Is(err, fs.ErrExist) {
			t.Errorf("%s: Create: %v", what, err)
		}
		if all, err := shm.List(); err != nil || len(all) != 1 || all[0].Err == nil {
			t.Errorf("%s: List: %+v, %v", what, all, err)
		}
		if gone, err := shm.Collect(); err != nil || len(gone) != 0 {
			t.Errorf("%s: gc took %v, %v", what, gone, err)
		}
		os.RemoveAll(path)
	}
	for _, name := range []string{"", "a/b", "a\x00b", string(bytes.Repeat([]byte("x"), 300))} {
		if _, err := shm.Create[account](name); !errors.Is(err, fs.ErrInvalid) {
			t.Errorf("name %q: %v", name, err)
		}
	}
	if _, err := shm.Open[account]("nobody"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no such name: %v", err)
	}
}

// A segment of another user is opened by those only who say so.
func TestCorruptForeign(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can give a file away")
	}
	if err := os.WriteFile(nameFile("foreign"), sound(t), 0o600); err != nil {
		t.Fatal(err)
	}
	defer shm.Remove("foreign")
	if err := os.Chown(nameFile("foreign"), 4711, 4711); err != nil {
		t.Fatal(err)
	}
	if _, err := shm.Open[account]("foreign"); !errors.Is(err, shm.ErrForeign) {
		t.Errorf("of user 4711: %v", err)
	}
	o, err := shm.Open[account]("foreign", shm.WithTrustUID(4711))
	if err != nil {
		t.Fatal(err)
	}
	o.Close()
}

// A file that is no segment is not replaced, and Create says why.
func TestCorruptCreate(t *testing.T) {
	if err := os.WriteFile(nameFile("letter"), []byte("Dear reader"), 0o600); err != nil {
		t.Fatal(err)
	}
	defer shm.Remove("letter")
	if _, err := shm.Create[account]("letter"); !errors.Is(err, fs.ErrExist) || !errors.Is(err, shm.ErrCorrupt) {
		t.Errorf("Create over a letter: %v", err)
	}
	if b, _ := os.ReadFile(nameFile("letter")); string(b) != "Dear reader" {
		t.Errorf("the letter now says %q", b)
	}
}

// What a damaged lock map says is believed only as far as locks can lie there.
func TestCorruptLockMap(t *testing.T) {
	o, err := shm.Create[account]("lockmap")
	if err != nil {
		t.Fatal(err)
	}
	defer shm.Remove("lockmap")
	defer o.Close()
	s := o.Segment()
	want := shm.Describe(s)
	const mutex, all = 0x40, ^uint64(0)
	entries := [][4]uint64{ // kind, offset, stride, count
		{mutex, 2, 8, 1}, {mutex, 0, 9, 2}, {mutex, 0, 0, 2}, {mutex, 1 << 40, 8, 1}, {mutex, all - 3, 8, 1},
		{mutex, 0, 8, all}, {mutex, 0, all, 2}, {mutex, 0, 4, 2}, {mutex, 16, 8, 1}, {mutex, 0, 8, 0},
	}
	f, err := os.OpenFile(nameFile("lockmap"), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for i, e := range entries {
		var b []byte
		for _, v := range e {
			b = binary.NativeEndian.AppendUint64(b, v)
		}
		f.WriteAt(b, 1024+int64(i+1)*32)
	}
	f.WriteAt(binary.NativeEndian.AppendUint32(nil, uint32(len(entries)+1)), 512)
	if got := shm.Describe(s); len(got) != len(want) {
		t.Errorf("%+v, want %+v", got, want)
	}
	for _, err := range shm.Check(s) {
		t.Error(err)
	}
	f.WriteAt(binary.NativeEndian.AppendUint32(nil, ^uint32(0)), 512)
	if _, err := shm.At[futexlock.Mutex](s, 8); err == nil {
		t.Error("a lock in a map that is full")
	}
	var ce *shm.CorruptError
	if errs := shm.Check(s); len(errs) != 1 || !errors.As(errs[0], &ce) || ce.Field != "length of the lock map" {
		t.Errorf("a lock map of 2^32-1 entries: %v", errs)
	}
	f.WriteAt(binary.NativeEndian.AppendUint32(nil, 1), 512)
}
