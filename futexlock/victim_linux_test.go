package futexlock_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"sync/atomic"
	"time"

	"shmkit/procs/procstest"
	"shmkit/shm"
)

// agony is the argument of a victim.
type agony struct {
	Name   string // of the rack
	I      int
	Seed   int64
	Closes bool // it closes the rack now and then, whatever its goroutines do in it, and opens it again
}

// life counts how often this process has opened the rack.
var life atomic.Int64

// identity is who this process is, as long as it does not close the rack.
func identity() int64 { return pid() | life.Load()<<32 }

// lives reports whether who is alive, and has not closed the rack since.
func lives(r *rack, who int64) bool {
	if !alive(int(uint32(who))) {
		return false
	}
	if int64(uint32(who)) == pid() && who == identity() {
		return true
	}
	for i := range r.Lives {
		if r.Lives[i].Load() == who {
			return true
		}
	}
	return false
}

// victim does everything at random until it is killed.
var victim = procstest.Role("victim", func(ctx context.Context, a agony) error {
	rnd := rand.New(rand.NewPCG(uint64(a.Seed), uint64(os.Getpid())))
	for {
		stopped, err := live(ctx, a, rnd)
		if stopped || err != nil {
			return err
		}
	}
})

// live is a victim's life with one rack. It ends when the rack says stop, or when
// it closes it under its goroutines.
func live(ctx context.Context, a agony, rnd *rand.Rand) (stopped bool, err error) {
	o, err := shm.Open[rack](a.Name)
	if err != nil {
		return false, err
	}
	defer runtime.KeepAlive(o)
	r := o.Value()
	life.Add(1)
	r.Lives[a.I].Store(identity())
	var closing atomic.Bool
	ends := make(chan error, 2)
	for g := range 2 { // two goroutines of one process compete too
		go func(rnd *rand.Rand) { ends <- suffer(ctx, r, rnd, a.I, &closing) }(rand.New(rand.NewPCG(rnd.Uint64(), uint64(g))))
	}
	if !a.Closes {
		return true, errors.Join(<-ends, <-ends)
	}
	select {
	case err := <-ends:
		return true, errors.Join(err, <-ends)
	case <-time.After(time.Duration(rnd.IntN(10_000)) * time.Microsecond):
	}
	closing.Store(true)
	r.Closed.Add(1)
	r.Lives[a.I].Store(0) // from here on what we hold may be given to others
	closed := make(chan error, 1)
	go func() { closed <- o.Close() }()
	// Close comes back, and the goroutines that waited are told.
	late := time.After(10 * time.Second)
	for n := range 3 {
		select {
		case err := <-closed:
			if err != nil {
				return false, err
			}
			closed = nil
		case err := <-ends:
			if err != nil {
				return false, err
			}
		case <-late:
			return false, fmt.Errorf("%d of 3 have ended 10 s after Close; Close itself: %v", n, closed == nil)
		}
	}
	return false, nil
}

// suffer does one thing after the other. From the moment on in which the rack is
// being closed it may panic and fail as it likes, but must end.
func suffer(ctx context.Context, r *rack, rnd *rand.Rand, i int, closing *atomic.Bool) (err error) {
	defer func() {
		if closing.Load() {
			recover()
			err = nil
		}
	}()
	for r.Stop.Load() == 0 && !closing.Load() {
		if err := torment(ctx, r, rnd, i); err != nil {
			return err
		}
		r.Life[i].Add(1)
	}
	return nil
}
