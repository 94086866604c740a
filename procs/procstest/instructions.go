package procstest

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"runtime/debug"
	"strconv"
	"testing"
)

// Step marks, in a role, the operation that EachInstruction and EachPause step
// through: f runs on a thread of its own, which the test drives one instruction
// at a time. Without them Step just calls f. A role calls Step once.
//
// What other goroutines do for f runs freely. The collector is off meanwhile.
func Step(f func()) {
	if os.Getenv(stepKey) == "" {
		f()
		return
	}
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	step(f)
}

// stepKey is the environment variable that tells a role that it is driven.
const stepKey = "PROCSTEST_STEP"

// mostKills bounds the number of processes that one EachInstruction starts.
// A longer operation is cut at every second, third, … instruction, beginning
// at a random one. With -short it is a tenth. The environment variable
// SHMKIT_STEPS is another bound, or "all".
const mostKills = 300

// bound returns how many processes may be killed.
func bound() int {
	setting := os.Getenv("SHMKIT_STEPS")
	if n, err := strconv.Atoi(setting); err == nil && n > 0 {
		return n
	}
	switch {
	case setting == "all":
		return math.MaxInt
	case testing.Short():
		return mostKills / 10
	}
	return mostKills
}

// EachInstruction kills a role after the first machine instruction of an
// operation, then after the second in a new process, and so on until the
// operation is over, and finally once after its end. It returns the number of
// instructions.
//
// For each kill, setup makes what the operation works on; the role gets it as
// its argument and calls Step with the operation; and when the role is dead and
// reaped, survive sees to it that the others can go on, and checks. t is
// theirs for one kill: its Cleanup functions run after survive. If the test
// fails the message says after which instruction the role was killed.
//
// A system call is one instruction. The test is skipped where the kernel does
// not let a process trace its children.
func EachInstruction[A any](t testing.TB, role *RoleFunc[A], setup func(t testing.TB) A, survive func(t testing.TB, a A)) int {
	t.Helper()
	return eachCut(t, func(t *scope, n int) (finished bool, steps int) {
		a := setup(t)
		d := drive(t, role, a)
		finished, steps = d.run(n)
		t.where = fmt.Sprintf("killed after instruction %d, at %s", steps, d.place())
		d.kill()
		survive(t, a)
		return finished, steps
	})
}

// EachPause is EachInstruction, but holds the role still after the instruction
// instead of killing it, as a stopped or a swapped-out process would be. during
// runs meanwhile: the others must be able to go on, or to wait for the role if
// it is its turn. Then the role goes on, must end well, and after checks.
func EachPause[A any](t testing.TB, role *RoleFunc[A], setup func(t testing.TB) A, during, after func(t testing.TB, a A)) int {
	t.Helper()
	return eachCut(t, func(t *scope, n int) (finished bool, steps int) {
		a := setup(t)
		d := drive(t, role, a)
		finished, steps = d.run(n)
		t.where = fmt.Sprintf("paused after instruction %d, at %s", steps, d.place())
		during(t, a)
		d.release()
		if s := d.proc.Wait(); s.Code != 0 {
			t.Errorf("the paused role ended with %v", s)
		}
		after(t, a)
		return finished, steps
	})
}

// eachCut finds the length of the operation and cuts it everywhere.
func eachCut(t testing.TB, cut func(t *scope, n int) (finished bool, steps int)) int {
	t.Helper()
	if err := mayTrace(); err != nil { // before anything works on what ends with the test
		t.Skipf("this machine does not let a process trace its children: %v", err)
	}
	const toTheEnd = 1 << 30
	once := func(n int) (finished bool, steps int) {
		s := &scope{TB: t}
		defer s.close()
		return cut(s, n)
	}
	_, total := once(toTheEnd)
	stride, first := 1, 1
	if most := bound(); total > most {
		// It may have met what is rare, as a memory that has to grow: the
		// shortest of three is the operation itself.
		for range 2 {
			_, steps := once(toTheEnd)
			total = min(total, steps)
		}
		stride = (total + most - 1) / most
		first = 1 + rand.New(rand.NewPCG(uint64(Seed(t)), 0)).IntN(stride)
	}
	cuts := 1
	for n := first; !t.Failed(); n += stride {
		finished, steps := once(n)
		if finished {
			total = max(total, steps)
			break
		}
		cuts++
	}
	t.Logf("%d instructions, cut at %d places", total, cuts)
	return total
}

// A scope is the test of one cut: it has cleanups of its own, and adds the
// place of the cut to failures.
type scope struct {
	testing.TB
	where    string
	told     bool
	cleanups []func()
}

// Cleanup registers f for the end of this cut.
func (s *scope) Cleanup(f func()) { s.cleanups = append(s.cleanups, f) }

func (s *scope) close() {
	defer s.tell() // also when a cleanup fails
	for len(s.cleanups) > 0 {
		f := s.cleanups[len(s.cleanups)-1]
		s.cleanups = s.cleanups[:len(s.cleanups)-1]
		f()
	}
}

// tell says once, after the first failure, where the role was.
func (s *scope) tell() {
	if s.TB.Failed() && !s.told {
		s.told = true
		s.TB.Logf("procstest: the role was %s", s.where)
	}
}
