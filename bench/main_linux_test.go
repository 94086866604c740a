package main

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"shmkit/procs/procstest"
)

// TestUnreadable runs the command as a user who may not read one file.
func TestUnreadable(t *testing.T) {
	dir, err := os.MkdirTemp("", "unreadable")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, "secret")
	for name, mode := range map[string]os.FileMode{"open": 0o644, "secret": 0} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("x"), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(filepath.Join(dir, name), mode); err != nil {
			t.Fatal(err)
		}
	}
	c := newCommand(t, "-input", dir)
	if os.Geteuid() == 0 { // Root may read every file: be nobody, who must reach the binary.
		exe := filepath.Join(dir, "bench.test")
		if err := copyFile(exe, c.Path); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		c.Path, c.Cmd.Dir = exe, dir
		asNobody(c.Cmd)
	}
	badInput(t, c, path)
}

func copyFile(to, from string) error {
	b, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, b, 0o755)
}

// TestInterrupt ends the command from outside while it works: at once, every
// process with it.
func TestInterrupt(t *testing.T) {
	// Under nohup, or in the background of a script, we ignore SIGINT, and so would
	// the command. What has a handler here is back to its default in a new program.
	if signal.Ignored(syscall.SIGINT) {
		signal.Notify(make(chan os.Signal, 1), syscall.SIGINT)
	}
	for _, run := range []struct {
		sig     syscall.Signal
		workers int // with so many children it is in the middle of something
		args    []string
	}{
		{syscall.SIGINT, 4, []string{"-input", folder(t, 2000)}},
		{syscall.SIGTERM, 4, []string{"-input", folder(t, 2000)}},
		{syscall.SIGINT, 2, []string{"-input", folder(t, 300), "-chaos", "-seed", "3"}},
		{syscall.SIGINT, 2, []string{"matrix", "-quick", "-only", "base/impl=pipe"}},
		{syscall.SIGINT, 2, []string{"matrix", "-quick", "-time", "10s", "-only", "base/impl=posixmq"}},
		{syscall.SIGINT, 2, []string{"matrix", "-quick", "-only", "crash-producer/impl=pipequeue"}},
		{syscall.SIGINT, 1, []string{"matrix", "-quick", "-only", "base/impl=py-queue,limit"}},
	} {
		t.Run(fmt.Sprint(run.args[0], " ", run.sig), func(t *testing.T) {
			procstest.Watchdog(t, time.Minute)
			c, sig := newCommand(t, run.args...), run.sig
			c.Stderr = nil
			out, err := c.StderrPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := c.Start(); err != nil {
				t.Fatal(err)
			}
			var workers []int
			for len(workers) < run.workers {
				workers = childrenOf(c.Process.Pid)
			}
			if run.args[0] == "matrix" {
				time.Sleep(300 * time.Millisecond) // Then the channel is full more often than not.
			}
			begin := time.Now()
			if err := c.Process.Signal(sig); err != nil {
				t.Fatal(err)
			}
			for s := bufio.NewScanner(out); s.Scan(); {
				t.Errorf("it says %q", s.Text())
			}
			err = c.Wait()
			t.Logf("ended after %v: %v", time.Since(begin), err)
			if err == nil {
				t.Error("it ended as if nothing had happened")
			}
			if d := time.Since(begin); d > 10*time.Second {
				t.Errorf("it took %v to end", d)
			}
			for _, pid := range workers {
				if syscall.Kill(pid, 0) == nil {
					t.Errorf("worker %d is still there", pid)
				}
			}
			c.clean(t)
		})
	}
}

// asNobody makes the command run as a user without rights.
func asNobody(c *exec.Cmd) {
	c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
}

// childrenOf lists the child processes of a process.
func childrenOf(pid int) []int {
	var pids []int
	tasks, _ := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	for _, t := range tasks {
		b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/children", pid, t.Name()))
		for _, f := range strings.Fields(string(b)) {
			if n, err := strconv.Atoi(f); err == nil {
				pids = append(pids, n)
			}
		}
	}
	return pids
}
