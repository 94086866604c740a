package procs_test

import (
	"context"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"shmkit/procs"
	"shmkit/procs/procstest"
	"shmkit/shm"
	"shmkit/shm/fault"
)

// beget starts a daemon and a free child, both obedient, and joins a third.
var beget = procstest.Role("beget", func(ctx context.Context, f *shm.Object[flag]) error {
	for _, b := range []bond{daemon, free} {
		p := newMember(memberArgs{Flag: f, Who: string(b), Temper: obedient, Grandchild: nobody}, b)
		if err := p.Start(); err != nil {
			return err
		}
	}
	p := nothing.Process(struct{}{})
	if err := p.Start(); err != nil {
		return err
	}
	return p.Join(ctx)
})

// A parent that is killed in the middle of a Start, or while it looks after a
// dead child, leaves nobody behind.
func TestParentKilledAnywhere(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	for _, point := range procsPoints("procs.start.", "procs.reap.") {
		for n := 1; n <= 3; n++ {
			if strings.HasPrefix(point, "procs.reap.") && n > 1 {
				continue // only one of its children ends by itself
			}
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			p := beget.Start(t, newFlag(t), procstest.MayStart(), procstest.KillAt(point, n), procstest.With(procs.Stdout(w)))
			w.Close()
			if s := p.Wait(); !s.Killed() {
				t.Errorf("%s, pass %d: %v, want killed", point, n, s)
			}
			// All descendants have the pipe: its end is theirs.
			r.SetReadDeadline(time.Now().Add(10 * time.Second))
			if _, err := io.Copy(io.Discard, r); err != nil {
				t.Errorf("%s, pass %d: somebody lives on: %v", point, n, err)
			}
			r.Close()
		}
	}
}

// A child that is killed before its function, or after, was killed: nothing
// else is known of it, and nobody hangs.
func TestChildKilledAnywhere(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	points := procsPoints("procs.init.", "procs.end.")
	for _, point := range points {
		o := newCounter(t)
		p := countUp.Process(o, procs.Env("SHMKIT_FAULT="+point+":1"))
		start(t, p.Process)
		_, err := p.Result(t.Context())
		var exit *procs.ExitError
		if !errors.As(err, &exit) || exit.Code != -9 {
			t.Errorf("%s: %v, want killed", point, err)
		}
		want := int64(0)
		if strings.HasPrefix(point, "procs.end.") {
			want = 1
		}
		if n := o.Value().N.Load(); n != want {
			t.Errorf("%s: the function ran %d times, want %d", point, n, want)
		}
	}
	if len(points) < 4 {
		t.Errorf("only %v", points)
	}
}

var countUp = procs.RegisterFunc("count up", func(_ context.Context, o *shm.Object[counter]) (int64, error) {
	return o.Value().N.Add(1), nil
})

// procsPoints returns the points whose names begin so.
func procsPoints(prefixes ...string) []string {
	return slices.DeleteFunc(fault.Names(), func(name string) bool {
		return !slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(name, p) })
	})
}
