package shm_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"shmkit/futexlock"
	"shmkit/procs"
	"shmkit/procs/procstest"
	"shmkit/shm"
)

var update = flag.Bool("update", false, "record testdata/v1.shm anew: only with a new version of the layout")

const golden = "testdata/v1.shm"

// account is what the recorded segment holds.
type account struct {
	Mu      futexlock.Mutex
	Balance int64
}

// teller plays the process whose segment is recorded: it dies with the account
// locked.
var teller = procstest.Role("teller", func(ctx context.Context, name string) error {
	o, err := shm.Create[account](name, shm.WithParticipants(2))
	if err != nil {
		return err
	}
	o.Value().Mu.Lock()
	o.Value().Balance = 42
	<-ctx.Done()
	return nil
})

func nameFile(name string) string { return filepath.Join(os.Getenv("SHMKIT_DIR"), "shmkit-"+name) }

// A segment recorded by version 1, left by a process that was killed while it
// held a lock, is opened, its lock recovered, its contents read.
func TestGolden(t *testing.T) {
	if *update {
		p := teller.Start(t, "recorded", procstest.With(procs.Name("teller")))
		waitFor(t, "recorded", func() bool {
			b, err := os.ReadFile(nameFile("recorded"))
			return err == nil && len(b) > 8200 && b[8200] == 42
		})
		p.Kill()
		b, err := os.ReadFile(nameFile("recorded"))
		if err == nil {
			err = os.WriteFile(golden, b, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
		shm.Remove("recorded")
	}
	recorded, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(nameFile("golden"), recorded, 0o600); err != nil {
		t.Fatal(err)
	}
	defer shm.Remove("golden")
	o, err := shm.Open[account]("golden")
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	v := o.Value()
	if err := v.Mu.Lock(); !errors.Is(err, futexlock.ErrOwnerDied) {
		t.Errorf("the lock of the dead teller: %v", err)
	}
	v.Mu.Consistent()
	v.Mu.Unlock()
	if v.Balance != 42 {
		t.Errorf("balance %d", v.Balance)
	}
	for _, err := range shm.Check(o.Segment()) {
		t.Error(err)
	}
}

// What this program writes is what version 1 wrote: every byte but those that
// differ from segment to segment.
func TestGoldenWriter(t *testing.T) {
	recorded, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	p := teller.Start(t, "fresh", procstest.With(procs.Name("teller")))
	defer shm.Remove("fresh")
	waitFor(t, "written", func() bool {
		b, err := os.ReadFile(nameFile("fresh"))
		return err == nil && len(b) > 8200 && b[8200] == 42
	})
	p.Kill()
	fresh, err := os.ReadFile(nameFile("fresh"))
	if err != nil {
		t.Fatal(err)
	}
	live := 4104
	if procstest.Emulated() {
		live = 4108 // No robust list, no bell.
	}
	for _, free := range []struct {
		what     string
		from, to int
	}{
		{"live", 4104, live}, {"id", 16, 32}, {"time and pid of creation", 104, 116}, {"checksum", 248, 256},
		{"node", 4096, 4104}, {"pid", 4112, 4116}, {"start, namespace", 4120, 4136},
	} {
		clear(recorded[free.from:free.to])
		clear(fresh[free.from:free.to])
	}
	if len(recorded) != len(fresh) {
		t.Fatalf("%d bytes, version 1 wrote %d", len(fresh), len(recorded))
	}
	for i := range recorded {
		if recorded[i] != fresh[i] {
			t.Fatalf("byte %d is %#x, version 1 wrote %#x", i, fresh[i], recorded[i])
		}
	}
	if !bytes.HasPrefix(recorded, []byte("shmkit\r\n")) {
		t.Error("magic")
	}
}
