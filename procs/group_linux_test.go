package procs_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"shmkit/procs"
	"shmkit/shm"
)

// A daemon that stands still when its parent returns is killed; one that stands
// still when its parent is killed ends when it is continued.
func TestStoppedDaemon(t *testing.T) {
	out, err := program(t, "stopped daemon").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "main returned") {
		t.Errorf("%v\n%s", err, out)
	}

	for _, te := range []temper{obedient, deaf} {
		h := found(t, "when told", string(daemon), string(te), string(nobody), string(deaf), "1h")
		syscall.Kill(h.pids["child"], syscall.SIGSTOP)
		// Of two signals that wait the kernel delivers SIGTERM first.
		await(t, "the stop", func() bool { return standsStill(t, h.pids["child"]) })
		h.cmd.Process.Kill()
		h.cmd.Wait()
		if h.gone(50 * time.Millisecond) {
			t.Error("a daemon ended while it stood still")
		}
		syscall.Kill(h.pids["child"], syscall.SIGCONT)
		if !h.gone(10 * time.Second) {
			t.Error("a daemon that was continued lives on without its parent")
		}
	}
}

// standsStill reports whether all threads of a process are stopped.
func standsStill(t *testing.T, pid int) bool {
	t.Helper()
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	if err != nil || len(files) == 0 {
		t.Fatalf("process %d has no threads: %v", pid, err)
	}
	for _, file := range files {
		if text, _ := os.ReadFile(file); !strings.Contains(string(text), "State:\tT") {
			return false
		}
	}
	return true
}

func init() {
	programs["stopped daemon"] = func(ctx context.Context) error {
		p := sleeper.Process(time.Hour, procs.Daemon())
		if err := p.Start(); err != nil {
			return err
		}
		return syscall.Kill(p.PID(), syscall.SIGSTOP)
	}
}

// A group ends as a whole, whether its leader is asked, killed or ends itself.
func TestProcessGroup(t *testing.T) {
	for _, c := range []struct {
		name string
		end  func(p *procs.Process, f *shm.Object[flag])
	}{
		{"terminate", func(p *procs.Process, _ *shm.Object[flag]) { p.Terminate() }},
		{"kill", func(p *procs.Process, _ *shm.Object[flag]) { p.Kill() }},
		{"killed by others", func(p *procs.Process, _ *shm.Object[flag]) { syscall.Kill(p.PID(), syscall.SIGKILL) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFlag(t)
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			p := start(t, member.Process(memberArgs{Flag: f, Who: "leader", Temper: deaf, Grandchild: free, GrandTemper: deaf, For: time.Hour},
				procs.ProcessGroup(), procs.Stdout(w)))
			w.Close()
			awaitFlag(t, f, 2)
			if group, err := syscall.Getpgid(p.PID()); err != nil || group != p.PID() {
				t.Errorf("process group %d of leader %d, %v", group, p.PID(), err)
			}
			c.end(p, f)
			<-p.Done()
			r.SetReadDeadline(time.Now().Add(10 * time.Second))
			if _, err := io.Copy(io.Discard, r); err != nil {
				t.Errorf("the grandchild lives on: %v", err)
			}
		})
	}
	// Without the option a child stays in the group of its parent, so that
	// Ctrl-C of a terminal reaches it.
	p := start(t, sleeper.Process(time.Hour))
	if group, err := syscall.Getpgid(p.PID()); err != nil || group != syscall.Getpgrp() {
		t.Errorf("process group %d, want %d, %v", group, syscall.Getpgrp(), err)
	}
}

var daemonic = procs.Register("daemonic", func(ctx context.Context, _ struct{}) error {
	p := newMember(memberArgs{Grandchild: nobody}, free)
	if !p.Daemon() {
		return errors.New("the flag is not inherited")
	}
	return p.Start()
})

func TestDaemonsHaveNoChildren(t *testing.T) {
	p := start(t, daemonic.Process(struct{}{}, procs.Daemon()))
	if err := p.Join(t.Context()); err == nil || !strings.Contains(err.Error(), procs.ErrDaemonicChildren.Error()) {
		t.Errorf("Join = %v", err)
	}
}

// watchParent waits for the end of its parent and tells by the flag.
var watchParent = procs.Register("watch parent", func(ctx context.Context, f *shm.Object[flag]) error {
	parent := procs.Parent()
	if !parent.Alive() {
		return errors.New("an orphan from the start")
	}
	f.Value().Raised.Store(1)
	<-parent.Done()
	<-ctx.Done()
	if parent.Alive() || !errors.Is(context.Cause(ctx), procs.ErrParentDied) || ctx.Err() != context.Canceled {
		f.Value().Raised.Store(3)
		return nil
	}
	f.Value().Raised.Store(2)
	return nil
})

var abandon = procs.Register("abandon", func(ctx context.Context, f *shm.Object[flag]) error {
	if err := watchParent.Process(f).Start(); err != nil {
		return err
	}
	time.Sleep(time.Hour)
	return nil
})

func TestParentDone(t *testing.T) {
	f := newFlag(t)
	p := start(t, abandon.Process(f))
	awaitFlag(t, f, 1)
	p.Kill()
	awaitFlag(t, f, 2)
	if n := f.Value().Raised.Load(); n != 2 {
		t.Error("the grandchild was not told why its context ended")
	}
}
