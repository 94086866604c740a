package procs

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"shmkit/shm/fault"
)

// A child is a running child process as the kernel and this package see it.
type child struct {
	pid     int
	report  report
	pidfd   *os.File // nil: the kernel has none, a thread waits
	exports exports  // pinned until the child has opened them
	ready   *os.File // end of file: the child has opened its handles
	stdin   *os.File // nil: nobody copies a reader into it
	outputs []*output
}

// signal sends SIGTERM or SIGKILL to the child, or to its process group. The
// caller holds the lock under which the child is reaped, so the pid is its.
func (c *child) signal(force, group bool) error {
	sig, pid := unix.SIGTERM, c.pid
	if force {
		sig = unix.SIGKILL
	}
	if group {
		pid = -pid
	}
	if err := unix.Kill(pid, sig); err != nil && err != unix.ESRCH {
		return os.NewSyscallError("kill", err)
	}
	return nil
}

// openPidfd is replaced by the test of the way without.
var openPidfd = unix.PidfdOpen

// watch opens the pidfd, by which the poller learns of the end of the child
// without a thread that waits for it.
func (c *child) watch() {
	fd, err := openPidfd(c.pid, unix.PIDFD_NONBLOCK)
	if err == unix.EINVAL { // kernel before 5.10
		if fd, err = openPidfd(c.pid, 0); err == nil {
			unix.SetNonblock(fd, true)
		}
	}
	if err == nil {
		c.pidfd = os.NewFile(uintptr(fd), "pidfd")
	}
}

// wait returns when the child is dead: its last thread has left. The child is
// a zombie then, and its pid still its own.
func (c *child) wait() {
	if c.pidfd != nil {
		defer c.pidfd.Close()
		conn, err := c.pidfd.SyscallConn()
		if err == nil {
			err = conn.Read(func(fd uintptr) bool {
				p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
				for {
					n, err := unix.Poll(p, 0)
					if err != unix.EINTR {
						return n > 0
					}
				}
			})
		}
		if err == nil {
			return
		}
	}
	for {
		err := unix.Waitid(unix.P_PID, c.pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if err != unix.EINTR {
			return
		}
	}
}

// reap takes the dead child from the kernel. known is false if somebody else
// did.
func (c *child) reap() (status unix.WaitStatus, known bool) {
	for {
		_, err := unix.Wait4(c.pid, &status, 0, nil)
		if err != unix.EINTR {
			return status, err == nil
		}
	}
}

// reap waits for the end of the child and makes it known. It is the only
// place that does, so there are no two opinions about a process, and no zombie.
func (p *Process) reap(c *child) {
	if c.ready != nil {
		go c.releaseWhenReady()
	}
	c.wait()
	if p.set.group {
		// The zombie holds the number of the group, so it cannot be another's.
		unix.Kill(-c.pid, unix.SIGKILL)
	}
	if fault.Enabled {
		fault.Point("procs.reap.dead")
	}
	// What the dead held is free before anybody learns of its death.
	sweepDead(c.pid)
	if fault.Enabled {
		fault.Point("procs.reap.swept")
	}
	for _, o := range c.outputs {
		o.childEnded()
	}
	if c.stdin != nil {
		c.stdin.Close() // the reader may keep who copies from it for ever
	}

	p.mu.Lock()
	status, known := c.reap()
	p.out = c.judge(p.name, status, known)
	p.state = ended
	p.mu.Unlock()
	c.report.close()

	for _, o := range c.outputs {
		if err := o.drained(); err != nil && p.out.err == nil {
			p.out.err = fmt.Errorf("procs: output of %s: %w", p.name, err)
		}
	}
	family.remove(p)
	close(p.done)
}

// releaseWhenReady unpins the objects in the arguments once the child has
// opened them, or is dead.
func (c *child) releaseWhenReady() {
	var b [1]byte
	for {
		if n, err := c.ready.Read(b[:]); n == 0 && err != nil {
			break
		}
	}
	c.ready.Close()
	c.exports.Release()
}

// judge makes an outcome of what the kernel says and the child left.
func (c *child) judge(name string, status unix.WaitStatus, known bool) outcome {
	state, words, crash := c.report.read()
	if !known {
		if state != reportFinished {
			return outcome{code: 255, err: &ExitError{Process: name, PID: c.pid, Code: 255}}
		}
		status = unix.WaitStatus(words.Code << 8)
	}
	if status.Signaled() {
		code := -int(status.Signal())
		if status.Signal() == unix.SIGABRT && crash != "" { // GOTRACEBACK=crash
			return crashed(name, c.pid, code, crash)
		}
		return outcome{code: code, err: &ExitError{Process: name, PID: c.pid, Code: code, Signal: status.Signal(), Core: status.CoreDump()}}
	}
	code := status.ExitStatus()
	switch {
	case code == 2 && crash != "":
		return crashed(name, c.pid, code, crash)
	case state == reportBlank && code == 0:
		return outcome{err: fmt.Errorf("procs: %s (pid %d) ended before it came to procs.Main or procs.Init: %w", name, c.pid, ErrNoMain)}
	case state == reportFinished && words.Code == code && code == 0:
		return outcome{result: words.Result, has: words.Has}
	case state == reportFinished && words.Code == code:
		return outcome{code: code, err: &RemoteError{Process: name, PID: c.pid, Code: code, Panic: words.Panic,
			Message: words.Message, Stack: words.Stack, kind: reasons[words.Reason]}}
	case code == 0:
		return outcome{}
	default:
		return outcome{code: code, err: &ExitError{Process: name, PID: c.pid, Code: code}}
	}
}

// reasons are the errors for which a child does not call its function, by the
// name under which its last words give them.
var reasons = map[string]error{
	"other build":    ErrOtherBuild,
	"not registered": ErrNotRegistered,
}

// crashed is the outcome of a child that the runtime ended. The runtime prints
// "panic: text", an empty line, "goroutine 7 [running]:". Of a fatal error, such
// as a map written to by two goroutines at once, only the stack comes here: the
// text goes to standard error alone.
func crashed(name string, pid, code int, crash string) outcome {
	crash = strings.TrimSpace(crash)
	message, stack, _ := strings.Cut(crash, "\n\n")
	message = strings.TrimPrefix(message, "panic: ")
	if strings.HasPrefix(crash, "goroutine ") {
		stack = crash
		_, frame, _ := strings.Cut(crash, "\n")
		frame, _, _ = strings.Cut(frame, "\n")
		message = "fatal error of the Go runtime, described on standard error, in " + frame
	}
	return outcome{code: code, err: &RemoteError{Process: name, PID: pid, Code: code, Panic: true,
		Message: strings.TrimSpace(message), Stack: strings.TrimSpace(stack)}}
}

// endedOnRequest reports whether the process died of the signal that this
// process sent it; or, if all were asked to end, of one that asks for it.
func (p *Process) endedOnRequest(all bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	var exit *ExitError
	if !errors.As(p.out.err, &exit) {
		return false
	}
	return p.asked && exit.Signal != 0 || all && (exit.Signal == unix.SIGINT || exit.Signal == unix.SIGTERM)
}
