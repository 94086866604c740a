package shm_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"shmkit/procs/procstest"
	"shmkit/shm"
)

type arrival struct {
	Mail   *shm.Slice[byte] // 1: it is there
	Handle []byte
	Path   string // by FromFile instead
}

// arriver attaches by a handle, or a file, and stays.
var arriver = procstest.Role("arriver", func(ctx context.Context, a arrival) error {
	var o shm.Object[int64]
	if a.Path != "" {
		f, err := os.OpenFile(a.Path, os.O_RDWR, 0)
		if err != nil {
			return err
		}
		defer f.Close()
		s, err := shm.FromFile(f)
		if err != nil {
			return err
		}
		defer s.Close()
	} else if err := o.UnmarshalBinary(a.Handle); err != nil {
		return err
	}
	defer o.Close()
	a.Mail.Data()[0] = 1
	<-ctx.Done()
	return nil
})

// remover removes a name that nobody uses.
var remover = procstest.Role("remover", func(ctx context.Context, name string) error {
	_, err := shm.RemoveUnused(name)
	return err
})

// leftBehind makes a named object that nobody is attached to.
func leftBehind(t *testing.T, name string) (handle []byte, path string) {
	t.Helper()
	o := must[*shm.Object[int64]](t)(shm.Create[int64](name))
	*o.Value() = 42
	handle, err := o.Segment().Reference()
	if err != nil {
		t.Fatal(err)
	}
	o.Close()
	t.Cleanup(func() { shm.Remove(name) })
	return handle, filepath.Join(os.Getenv("SHMKIT_DIR"), "shmkit-"+name)
}

// Who is in the middle of attaching by a handle or a descriptor keeps the name, as
// who opens it by name does: nobody takes it for unused.
func TestAttachKeepsName(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	for _, way := range []string{"handle", "file"} {
		t.Run(way, func(t *testing.T) {
			const name = "coming"
			handle, path := leftBehind(t, name)
			mail := must[*shm.Slice[byte]](t)(shm.NewSlice[byte](200))
			defer mail.Close()
			a := arrival{Mail: mail, Handle: handle}
			if way == "file" {
				a.Path = path
			}
			// Its arguments attach it to the mail first.
			p := arriver.Start(t, a, procstest.StopAt("shm.attach.opened", 2))
			p.WaitStopped()
			if ok, err := shm.RemoveUnused(name); ok || err != nil {
				t.Errorf("RemoveUnused: %v, %v; want false", ok, err)
			}
			if gone, err := shm.Collect(); len(gone) > 0 || err != nil {
				t.Errorf("Collect has removed %v (%v)", gone, err)
			}
			if o, err := shm.Create[int64](name); !errors.Is(err, fs.ErrExist) {
				t.Errorf("Create: %v, want fs.ErrExist", err)
				o.Close()
			}
			p.Cont()
			waitFor(t, "it is there", func() bool {
				return shm.WordAt(mail.Segment(), int(shm.OffsetOf(mail.Segment(), mail.Data()))).Load() != 0
			})
			o, err := shm.Open[int64](name)
			if err != nil {
				t.Fatal(err)
			}
			defer o.Close()
			if n := len(o.Segment().Participants()); *o.Value() != 42 || n != 2 {
				t.Errorf("it holds %d and has %d participants, want 42 and 2", *o.Value(), n)
			}
			p.Kill()
		})
	}
}

// A remover that has stopped on its way holds up nobody who comes by a handle: what
// was sent is what is received, with a name or without.
func TestAttachBesideRemover(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	const name = "leaving"
	handle, _ := leftBehind(t, name)
	p := remover.Start(t, name, procstest.StopAt("shm.create.unlink", 1))
	p.WaitStopped()
	var o shm.Object[int64]
	begin := time.Now()
	if err := o.UnmarshalBinary(handle); err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	if d := time.Since(begin); d > time.Second {
		t.Errorf("it took %v", d)
	}
	p.Cont()
	if s := p.Wait(); s.Err != nil {
		t.Fatal(s)
	}
	if *o.Value() != 42 {
		t.Errorf("it holds %d, want 42", *o.Value())
	}
	n := must[*shm.Object[int64]](t)(shm.Create[int64](name))
	defer n.Close()
	if n.Segment().ID() == o.Segment().ID() || *n.Value() != 0 {
		t.Error("the new one is the old one")
	}
	for _, err := range append(shm.Check(o.Segment()), shm.Check(n.Segment())...) {
		t.Error(err)
	}
}
