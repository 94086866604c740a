package shm_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"shmkit/procs/procstest"
	"shmkit/shm"
)

// Two processes create, open and remove one name all the time. A judge in memory
// of their own sees whether what they get is right: whole, and as long as nobody
// removes the name, the same for both.

type rivalArgs struct {
	Court  *shm.Object[court]
	Me     int
	Rounds int
	Seed   int64
	Remove bool   // the name is removed, too
	Bug    string // what this one does wrong, see bugs
}

// court is where the judge looks.
type court struct {
	Last    atomic.Uint64    // number of the last segment that was made
	Holding [2]atomic.Uint64 // number of the segment that each rival has open, 0 if none
	Opened  [2]atomic.Uint64 // how often each had one
	Both    atomic.Uint64    // how often both had one at once
	Ready   [2]atomic.Uint32
}

// twin is a segment that the rivals fight for: whoever finds no number in it
// gives it one, in both places.
type twin struct{ A, B atomic.Uint64 }

var errNotOne = errors.New("two segments of one name at the same time")

// judge notes that rival me has v open, and compares it with what the other has.
func (c *court) judge(me int, v *twin) error {
	n := c.Last.Add(1)
	if !v.A.CompareAndSwap(0, n) {
		n = v.A.Load()
	}
	if !v.B.CompareAndSwap(0, n) && v.B.Load() != n {
		return fmt.Errorf("not whole: %d, %d", v.A.Load(), v.B.Load())
	}
	c.Opened[me].Add(1)
	// Each notes its own before it reads the other's: of two that have
	// different ones at once, one sees it at least.
	c.Holding[me].Store(n)
	switch other := c.Holding[1-me].Load(); other {
	case 0:
	case n:
		c.Both.Add(1)
	default:
		return fmt.Errorf("%w: %d and %d", errNotOne, n, other)
	}
	return nil
}

const halfBuilt = "a name in place before its contents"

// A bug is a way to fight that the judge must see.
var bugs = map[string]func() error{
	// The name before the contents: who opens it then finds half a segment.
	halfBuilt: func() error {
		f, err := os.OpenFile(nameFile("rivals"), os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
		if err != nil {
			return err // somebody has it
		}
		defer f.Close()
		f.Truncate(1 << 16)
		time.Sleep(50 * time.Microsecond)
		return os.Remove(f.Name())
	},
	// Replaced though somebody is attached: a Create that does not look.
	"a name replaced in use": func() error {
		os.Remove(nameFile("rivals"))
		return nil
	},
}

var rivalry = procstest.Role("rivalry", func(ctx context.Context, a rivalArgs) error {
	r := rand.New(rand.NewPCG(uint64(a.Seed), uint64(a.Me)))
	c := a.Court.Value()
	for c.Ready[a.Me].Store(1); c.Ready[1-a.Me].Load() == 0; {
		time.Sleep(50 * time.Microsecond)
	}
	ops := 3
	if a.Remove {
		ops = 4
	}
	for range a.Rounds {
		var o *shm.Object[twin]
		var err error
		if a.Bug != "" && r.IntN(10) == 0 {
			bugs[a.Bug]()
		}
		switch r.IntN(ops) {
		case 0:
			o, err = shm.Create[twin]("rivals", shm.WithParticipants(8))
		case 1:
			o, err = shm.Open[twin]("rivals")
		case 2:
			o, _, err = shm.OpenOrCreate[twin]("rivals", shm.WithParticipants(8))
		case 3:
			err = shm.Remove("rivals")
		}
		if err != nil {
			if errors.Is(err, fs.ErrExist) && !errors.Is(err, shm.ErrCorrupt) || errors.Is(err, fs.ErrNotExist) {
				continue
			}
			return err
		}
		if o == nil {
			continue
		}
		err = c.judge(a.Me, o.Value())
		if a.Remove && errors.Is(err, errNotOne) {
			err = nil // one was removed while it was open, and another made
		}
		if r.IntN(4) == 0 {
			time.Sleep(time.Duration(r.IntN(20)) * time.Microsecond) // so that the other finds it open
		}
		c.Holding[a.Me].Store(0)
		if err := errors.Join(err, o.Close()); err != nil {
			return err
		}
	}
	return nil
})

// fight lets two rivals fight. It returns what the judge saw.
func fight(t testing.TB, rounds int, remove bool, bug string) (found error) {
	t.Helper()
	o, err := shm.New[court]()
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	seed := procstest.Seed(t)
	begin := time.Now()
	a := rivalArgs{o, 0, rounds, seed, remove, ""}
	b := rivalArgs{o, 1, rounds, seed, remove, bug}
	for _, p := range []*procstest.Proc{rivalry.Start(t, a), rivalry.Start(t, b)} {
		if err := p.Join(t.Context()); err != nil {
			found = errors.Join(found, err)
		}
	}
	c := o.Value()
	t.Logf("2 processes, %d rounds each: %v; had it open %d and %d times, %d times both at once", rounds,
		time.Since(begin).Round(time.Millisecond), c.Opened[0].Load(), c.Opened[1].Load(), c.Both.Load())
	if err := shm.Remove("rivals"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	if found == nil && !remove && c.Both.Load() == 0 {
		t.Error("they never met")
	}
	return found
}

// Processes that create, open and remove one name all the time see the
// documented errors only, and what they get is whole.
func TestCorruptRivals(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	rounds := 10000
	if testing.Short() {
		rounds = 1000
	}
	t.Run("with Remove", func(t *testing.T) {
		if err := fight(t, rounds, true, ""); err != nil {
			t.Error(err)
		}
	})
	t.Run("without", func(t *testing.T) {
		if err := fight(t, rounds, false, ""); err != nil {
			t.Error(err)
		}
	})
}

// The judge sees a rival that makes a name before its contents, and one that
// replaces a name in use.
func TestCorruptRivalsOracle(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	for bug := range bugs {
		t.Run(strings.ReplaceAll(bug, " ", "-"), func(t *testing.T) {
			err := fight(t, 3000, bug == halfBuilt, bug)
			if err == nil {
				t.Fatal("not seen")
			}
			t.Log("seen:", err)
		})
	}
}
