package procs_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"shmkit/procs"
	"shmkit/procs/procstest"
	"shmkit/shm"
)

// A temper is what a member of a family does until it ends.
type temper string

const (
	obedient temper = "obedient" // ends with its context
	stubbor  temper = "stubborn" // has seen its context end and does not care
	deaf     temper = "deaf"     // never looks at its context
	ignorant temper = "ignorant" // ignores all signals that can be ignored
	busy     temper = "busy"     // computes for ever
)

// A bond is what ties a member to its parent.
type bond string

const (
	daemon        bond = "daemon"
	endWithParent bond = "end-with-parent"
	free          bond = "free"
	nobody        bond = "nobody" // there is no such member
)

type memberArgs struct {
	Flag        *shm.Object[flag]
	Who         string
	Temper      temper
	Grandchild  bond
	GrandTemper temper
	For         time.Duration // how long a deaf one lives
}

// member prints its pid, starts its own child, says that it is there, and
// lives on. Everybody in the family has the standard output of its first
// process, so whoever reads that meets the end of file when all are gone.
var member = procs.Register("member", func(ctx context.Context, a memberArgs) error {
	fmt.Printf("%s %d\n", a.Who, os.Getpid())
	if a.Grandchild != nobody {
		p := newMember(memberArgs{Flag: a.Flag, Who: "grandchild", Temper: a.GrandTemper, Grandchild: nobody, For: a.For}, a.Grandchild)
		if err := p.Start(); err != nil {
			return err
		}
	}
	switch a.Temper {
	case obedient:
		<-a.Flag.Value().wait(ctx)
		return nil
	case stubbor:
		a.Flag.Value().wait(ctx)
	case ignorant:
		signal.Ignore(syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
		a.Flag.Value().Raised.Add(1)
	case busy:
		a.Flag.Value().Raised.Add(1)
		for spins := 0; ; spins++ {
		}
	default:
		a.Flag.Value().Raised.Add(1)
	}
	time.Sleep(a.For)
	return nil
})

var newMember func(a memberArgs, b bond) *procs.Process

func init() {
	newMember = func(a memberArgs, b bond) *procs.Process {
		opts := []procs.Option{procs.Name(a.Who)}
		switch b {
		case daemon:
			opts = append(opts, procs.Daemon())
		case endWithParent:
			opts = append(opts, procs.EndWithParent())
		}
		return member.Process(a, opts...)
	}

	// family death bond temper grandbond grandtemper lifetime
	programs["family"] = func(ctx context.Context) error {
		f, err := shm.New[flag]()
		if err != nil {
			return err
		}
		life, err := time.ParseDuration(os.Args[6])
		if err != nil {
			return err
		}
		a := memberArgs{Flag: f, Who: "child", Temper: temper(os.Args[3]), Grandchild: bond(os.Args[4]), GrandTemper: temper(os.Args[5]), For: life}
		if err := newMember(a, bond(os.Args[2])).Start(); err != nil {
			return err
		}
		members := uint32(1)
		if a.Grandchild != nobody {
			members++
		}
		for f.Value().Raised.Load() < members {
			time.Sleep(time.Millisecond)
		}
		fmt.Println("complete 0")
		return die(ctx, os.Args[1])
	}
}

// die ends this process in one of all ways.
func die(ctx context.Context, death string) error {
	self := os.Getpid()
	switch death {
	case "return":
		return nil
	case "error":
		return errors.New("that was it")
	case "exit":
		os.Exit(3)
	case "panic":
		panic("that was it")
	case "panic elsewhere":
		go panic("that was it")
		select {}
	case "when told":
		select {}
	case "exec":
		return syscall.Exec("/bin/true", []string{"true"}, nil)
	case "SIGTERM", "SIGINT":
		sig := syscall.SIGTERM
		if death == "SIGINT" {
			sig = syscall.SIGINT
		}
		syscall.Kill(self, sig)
		<-ctx.Done()
		return ctx.Err()
	case "SIGHUP":
		syscall.Kill(self, syscall.SIGHUP)
		select {}
	case "SIGKILL":
		syscall.Kill(self, syscall.SIGKILL)
		select {}
	}
	return fmt.Errorf("unknown death %q", death)
}

var deaths = []string{"return", "error", "exit", "panic", "panic elsewhere", "exec", "SIGTERM", "SIGINT", "SIGHUP", "SIGKILL"}

// A household is a family under observation.
type household struct {
	t    *testing.T
	cmd  *exec.Cmd
	out  *bufio.Reader
	pipe *os.File
	pids map[string]int
}

// found starts the program family and waits until it is complete. Its first
// process dies right afterwards.
func found(t *testing.T, args ...string) *household {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	h := &household{t: t, cmd: program(t, "family", args...), out: bufio.NewReader(r), pipe: r, pids: map[string]int{}}
	h.cmd.Stdout = w
	err = h.cmd.Start()
	w.Close()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		h.cmd.Process.Kill()
		h.cmd.Wait()
		for _, pid := range h.pids {
			syscall.Kill(pid, syscall.SIGKILL)
		}
		r.Close()
	})
	r.SetReadDeadline(time.Now().Add(20 * time.Second))
	for {
		line, err := h.out.ReadString('\n')
		if err != nil {
			t.Fatalf("the family is not complete: %v, has %v", err, h.pids)
		}
		name, number, _ := strings.Cut(strings.TrimSpace(line), " ")
		if name == "complete" {
			return h
		}
		if h.pids[name], err = strconv.Atoi(number); err != nil {
			t.Fatalf("the family says %q", line)
		}
	}
}

// gone waits for the end of all members, at most so long, and reports whether
// they ended.
func (h *household) gone(most time.Duration) bool {
	h.t.Helper()
	h.pipe.SetReadDeadline(time.Now().Add(most))
	_, err := io.Copy(io.Discard, h.out)
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		h.t.Fatal(err)
	}
	return err == nil
}

// Whatever way a parent dies, what is bound to it is gone within a second,
// whatever it does; and so is everything that minds its context.
func TestParentDeaths(t *testing.T) {
	procstest.Watchdog(t, 5*time.Minute)
	const bound = time.Second
	var mu sync.Mutex
	worst := time.Duration(0)
	t.Cleanup(func() { t.Logf("the last member was gone %v after the parent at worst (bound %v)", worst, bound) })
	deaths := deaths
	if testing.Short() {
		deaths = []string{"return", "panic", "SIGTERM", "SIGKILL"}
	}
	for _, death := range deaths {
		for _, child := range []struct {
			bond   bond
			temper temper
			grand  bond
			gtempr temper
		}{
			{daemon, obedient, nobody, deaf},
			{daemon, deaf, nobody, deaf},
			{daemon, stubbor, nobody, deaf},
			{daemon, ignorant, nobody, deaf},
			{daemon, busy, nobody, deaf},
			{endWithParent, obedient, nobody, deaf},
			{endWithParent, deaf, daemon, ignorant},
			{endWithParent, stubbor, daemon, stubbor},
			{endWithParent, obedient, free, obedient},
			{free, obedient, nobody, deaf},
			{free, obedient, daemon, deaf},
			{free, obedient, daemon, stubbor},
			{free, obedient, free, obedient},
			{free, obedient, endWithParent, busy},
		} {
			// A parent that returns, with an error or without, waits for its
			// free children; an obedient one has no reason to end then.
			if (death == "return" || death == "error") && child.bond != daemon {
				continue
			}
			name := fmt.Sprintf("%s/%s-%s/%s-%s", death, child.bond, child.temper, child.grand, child.gtempr)
			t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
				t.Parallel() // most of it is waiting for graces to pass
				h := found(t, death, string(child.bond), string(child.temper), string(child.grand), string(child.gtempr), "1h")
				if death != "return" && death != "error" {
					// Parents that end their daemons themselves are
					// not gone before them.
					h.cmd.Wait()
				}
				begin := time.Now()
				if !h.gone(10 * bound) {
					t.Fatalf("%v after its death the family is still there", 10*bound)
				}
				took := time.Since(begin)
				mu.Lock()
				worst = max(worst, took)
				mu.Unlock()
				if took > bound {
					t.Logf("took %v, bound %v", took, bound)
				}
			})
		}
	}
}

// A free child that does not mind its context finishes its work.
func TestFreeChildOutlivesItsParent(t *testing.T) {
	for _, death := range []string{"exit", "panic", "SIGKILL", "SIGHUP", "exec"} {
		t.Run(death, func(t *testing.T) {
			h := found(t, death, string(free), string(deaf), string(nobody), string(deaf), "1h")
			h.cmd.Wait()
			if h.gone(50 * time.Millisecond) {
				t.Fatal("the child is gone, too")
			}
			if err := syscall.Kill(h.pids["child"], 0); err != nil {
				t.Errorf("child: %v", err)
			}
			syscall.Kill(h.pids["child"], syscall.SIGKILL)
			if !h.gone(10 * time.Second) {
				t.Error("still somebody there")
			}
		})
	}
}

// Main waits for children that are no daemons, and only for them.
func TestMainJoins(t *testing.T) {
	begin := time.Now()
	h := found(t, "return", string(free), string(deaf), string(nobody), string(deaf), "300ms")
	if err := h.cmd.Wait(); err != nil {
		t.Errorf("the program ended with %v", err)
	}
	if took := time.Since(begin); took < 300*time.Millisecond {
		t.Errorf("the program ended after %v, before its child", took)
	}
	if !h.gone(10 * time.Second) {
		t.Error("somebody is left")
	}

	begin = time.Now()
	h = found(t, "return", string(daemon), string(deaf), string(nobody), string(deaf), "1h")
	h.cmd.Wait()
	t.Logf("a program with a deaf daemon took %v", time.Since(begin))
	if !h.gone(10 * time.Second) {
		t.Error("the daemon is left")
	}
}

// A signal to the parent alone, whose children are deaf, stubborn or ignore
// it: all ends, in bounded time, and the parent dies of the signal.
func TestSignalToParentAlone(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		for _, te := range []temper{deaf, stubbor, ignorant, busy} {
			t.Run(fmt.Sprintf("%v/%s", sig, te), func(t *testing.T) {
				t.Parallel()
				name := map[syscall.Signal]string{syscall.SIGINT: "SIGINT", syscall.SIGTERM: "SIGTERM"}[sig]
				begin := time.Now()
				grand := free
				if te == ignorant {
					// Nothing but its bond ends a grandchild that
					// ignores the signals its parent ignored.
					grand = endWithParent
				}
				h := found(t, name, string(free), string(te), string(grand), string(te), "1h")
				err := h.cmd.Wait()
				if !h.gone(10 * time.Second) {
					t.Fatal("somebody is left")
				}
				t.Logf("all gone after %v", time.Since(begin))
				status := h.cmd.ProcessState.Sys().(syscall.WaitStatus)
				if !status.Signaled() || status.Signal() != sig {
					t.Errorf("the parent ended with %v, want %v", err, sig)
				}
			})
		}
	}
}
