package procstest

import (
	"context"
	"fmt"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"shmkit/procs"
)

// A Proc is a process that plays a role. Its methods may be called by several
// goroutines at once.
type Proc struct {
	*procs.Process
	t    testing.TB
	role string

	mu     sync.Mutex
	looked bool // the test knows how it ended
}

// An ExitState is how a process ended.
type ExitState struct {
	Code int   // as procs.Process.ExitCode: −N for signal N
	Err  error // as procs.Process.Join
}

// Killed reports whether the process was ended by SIGKILL.
func (s ExitState) Killed() bool { return s.Code == -int(syscall.SIGKILL) }

// String returns code and error.
func (s ExitState) String() string { return fmt.Sprintf("exit code %d, %v", s.Code, s.Err) }

// patience is how long a helper waits for what should take milliseconds.
const patience = 20 * time.Second

// Kill sends SIGKILL and returns when the process is dead and reaped. By then
// this process has swept what the dead one held in the segments that are open
// here.
func (p *Proc) Kill() {
	p.t.Helper()
	p.look()
	p.Process.Kill()
	p.await()
}

// Signal sends a signal and does not wait. The process may be dead.
func (p *Proc) Signal(sig syscall.Signal) {
	p.t.Helper()
	if !p.Alive() {
		return
	}
	if err := signal(p.PID(), sig); err != nil {
		p.t.Errorf("procstest: signal %v to %s: %v", sig, p.Name(), err)
	}
}

// Stop sends SIGSTOP and returns when every thread of the process stands still.
func (p *Proc) Stop() {
	p.t.Helper()
	p.Signal(sigStop)
	p.WaitStopped()
}

// WaitStopped returns when every thread of the process stands still: after a
// StopAt option has struck.
func (p *Proc) WaitStopped() {
	p.t.Helper()
	poll(p.t, func() bool { return stopped(p.PID()) }, func() string {
		return fmt.Sprintf("%s (pid %d) does not stop:\n%s", p.Name(), p.PID(), describeThreads(p.PID()))
	})
}

// Cont sends SIGCONT.
func (p *Proc) Cont() {
	p.t.Helper()
	p.Signal(sigCont)
}

// Wait waits until the process has ended by itself, or by a KillAt option, and
// returns how. The test fails if that takes longer than 20 s.
func (p *Proc) Wait() ExitState {
	p.t.Helper()
	p.look()
	p.await()
	code, _ := p.ExitCode()
	return ExitState{Code: code, Err: p.Process.Join(context.Background())}
}

// Join is procs.Process.Join.
func (p *Proc) Join(ctx context.Context) error {
	p.look()
	return p.Process.Join(ctx)
}

func (p *Proc) look() {
	p.mu.Lock()
	p.looked = true
	p.mu.Unlock()
}

// await waits for the end.
func (p *Proc) await() {
	p.t.Helper()
	select {
	case <-p.Done():
	case <-time.After(patience):
		threads := describeThreads(p.PID())
		signal(p.PID(), sigCont)
		signal(p.PID(), syscall.SIGQUIT) // it prints its stacks
		select {
		case <-p.Done():
		case <-time.After(time.Second):
		}
		p.t.Fatalf("procstest: %s (pid %d) does not end:\n%s", p.Name(), p.PID(), threads)
	}
}

// cleanup ends the process with its test.
func (p *Proc) cleanup() {
	p.mu.Lock()
	looked := p.looked
	p.mu.Unlock()
	select {
	case <-p.Done():
		if err := p.Process.Join(context.Background()); err != nil && !looked {
			p.t.Errorf("procstest: a role failed, and the test did not notice: %v", err)
		}
		return
	default:
	}
	p.Kill()
}

// poll calls ok until it reports true, and fails the test with what why says
// if that takes too long.
func poll(t testing.TB, ok func() bool, why func() string) {
	t.Helper()
	start := time.Now()
	for wait := 50 * time.Microsecond; !ok(); wait = min(2*wait, 5*time.Millisecond) {
		if time.Since(start) > patience {
			t.Fatalf("procstest: %s", why())
		}
		time.Sleep(wait)
	}
}

func orSelf(pid int) int {
	if pid == 0 {
		return os.Getpid()
	}
	return pid
}
