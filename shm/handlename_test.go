package shm_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"shmkit/procs/procstest"
	"shmkit/shm"
	"shmkit/shm/internal/sys"
)

// successor opens a named object, says so, and keeps it.
var successor = procstest.Role("successor", func(ctx context.Context, a senderArgs) error {
	o, err := shm.Open[int64](a.Named)
	if err != nil {
		return err
	}
	defer o.Close()
	a.Mail.Data()[0] = 1
	<-ctx.Done()
	return nil
})

// A handle of a name that was removed, or leads to another file by now, is
// resolved as long as some process has the segment open: its sender, or, when that
// is dead, one that had opened it. Afterwards the error says what there was.
func TestHandleOfRemovedName(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	for _, after := range []string{"removed", "replaced", "folder"} {
		for _, by := range []string{"sender", "successor"} {
			t.Run(after+"/"+by, func(t *testing.T) {
				const name = "moving"
				mail := must[*shm.Slice[byte]](t)(shm.NewSlice[byte](200))
				defer mail.Close()
				ready := must[*shm.Slice[byte]](t)(shm.NewSlice[byte](200))
				defer ready.Close()
				p := sender.Start(t, senderArgs{mail, name})
				var text string
				waitFor(t, "mail", func() bool {
					text = strings.TrimRight(string(mail.Data()), "\x00")
					b, err := shm.DecodeText([]byte(text))
					return err == nil && len(b) == 40+len(name)
				})
				heir := p
				if by == "successor" {
					heir = successor.Start(t, senderArgs{ready, name})
					waitFor(t, "successor", func() bool {
						return shm.WordAt(ready.Segment(), int(shm.OffsetOf(ready.Segment(), ready.Data()))).Load() != 0
					})
					p.Kill()
				}
				if err := shm.Remove(name); err != nil {
					t.Fatal(err)
				}
				switch after {
				case "replaced":
					n := must[*shm.Object[int64]](t)(shm.Create[int64](name))
					defer shm.Remove(name)
					defer n.Close()
				case "folder":
					dir := filepath.Join("/dev/shm", "shmkit-"+name)
					if d := os.Getenv("SHMKIT_DIR"); d != "" {
						dir = filepath.Join(d, "shmkit-"+name)
					}
					if err := os.Mkdir(dir, 0o700); err != nil {
						t.Fatal(err)
					}
					defer os.Remove(dir)
				}
				// The place of the descriptor that the text names is of no use:
				// as if the sender had closed it.
				for _, stale := range []bool{false, true} {
					begin := time.Now()
					b, err := shm.DecodeText([]byte(text))
					if err != nil {
						t.Fatal(err)
					}
					if stale {
						copy(b[20:28], "\xff\xff\xff\x0f\xff\xff\xff\x0f")
					}
					var o shm.Object[int64]
					if err := o.UnmarshalBinary(b); err != nil {
						t.Errorf("stale %v: %v", stale, err)
					} else if *o.Value() != 42 {
						t.Errorf("stale %v: it holds %d, want 42", stale, *o.Value())
					}
					o.Close()
					t.Logf("stale %v: found in %v", stale, time.Since(begin).Round(time.Microsecond))
				}
				heir.Kill()
				var o shm.Object[int64]
				err := o.UnmarshalText([]byte(text))
				var he *shm.HandleError
				if !errors.As(err, &he) || !errors.Is(err, fs.ErrNotExist) || he.Name != name {
					t.Errorf("when nobody has it: %v", err)
				}
				t.Log(err)
			})
		}
	}
}

// What a path says is not believed: a file that has the path of a segment, or had
// it, and another's contents, is passed over.
func TestHandleOfImpostor(t *testing.T) {
	const name = "impostor"
	o := must[*shm.Object[int64]](t)(shm.Create[int64](name))
	b, err := o.Segment().Reference()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join("/dev/shm", "shmkit-"+name)
	if d := os.Getenv("SHMKIT_DIR"); d != "" {
		path = filepath.Join(d, "shmkit-"+name)
	}
	o.Close()
	shm.Remove(name)
	for i, text := range []string{"", "no segment", strings.Repeat("x", 8192)} {
		f, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		fmt.Fprint(f, text)
		if i != 1 {
			os.Remove(path)
		}
	}
	n := must[*shm.Object[int64]](t)(shm.Create[int64](name))
	defer shm.Remove(name)
	defer n.Close()
	var r shm.Object[int64]
	var he *shm.HandleError
	if err := r.UnmarshalBinary(b); !errors.As(err, &he) {
		t.Errorf("an impostor was taken: %v", err)
	}
}

// However many descriptors there are, no more are looked at than was said.
func TestHandleSearchEnds(t *testing.T) {
	all := sys.EachFD(1<<20, func(string, int, int) bool { return true })
	if all < 6 {
		t.Fatalf("%d descriptors are to be seen", all)
	}
	for _, most := range []int{1, 5, all / 2} {
		seen := 0
		n := sys.EachFD(most, func(string, int, int) bool { seen++; return true })
		if n > most || seen > most {
			t.Errorf("looked at %d of at most %d", seen, most)
		}
	}
}
