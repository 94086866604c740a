package procs

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"shmkit/shm/fault"
)

// Where tests kill the parent, and where they kill the child.
var _ = fault.Declare(
	"procs.start.sealed", "procs.start.forked", "procs.reap.dead", "procs.reap.swept",
	"procs.init.opened", "procs.init.adopted", "procs.end.words", "procs.end.reported",
)

// A launch is one start in the making: the descriptors that the child will
// have, each a copy that is closed in this process when the start is over.
type launch struct {
	files []uintptr // descriptor i of the child
	owned []int     // to close
	after []func()  // to run when the child exists
	undo  []func()  // to run when it does not
}

const noFile = ^uintptr(0) // the kernel sees −1: closed in the child

// give makes fd, which becomes this launch's, the next descriptor of the child
// and returns its number there.
func (l *launch) give(fd int) int {
	l.owned = append(l.owned, fd)
	return l.lend(fd)
}

// lend is give for a descriptor that stays its owner's.
func (l *launch) lend(fd int) int {
	l.files = append(l.files, uintptr(fd))
	return len(l.files) - 1
}

// giveFile gives a copy of f's descriptor. It does not call f.Fd, which would
// make f blocking here.
func (l *launch) giveFile(f *os.File) (int, error) {
	if f == nil {
		l.files = append(l.files, noFile)
		return len(l.files) - 1, nil
	}
	fd, err := duplicate(f)
	if err != nil {
		return 0, err
	}
	return l.give(fd), nil
}

func (l *launch) close(failed bool) {
	for _, fd := range l.owned {
		unix.Close(fd)
	}
	if failed {
		for _, f := range l.undo {
			f()
		}
	}
}

func duplicate(f *os.File) (fd int, err error) {
	conn, err := f.SyscallConn()
	if err != nil {
		return -1, err
	}
	var dupErr error
	if err := conn.Control(func(from uintptr) {
		fd, dupErr = unix.FcntlInt(from, unix.F_DUPFD_CLOEXEC, 3)
	}); err != nil { // that of package poll, which is not os.ErrClosed
		return -1, &os.PathError{Op: "dup", Path: f.Name(), Err: os.ErrClosed}
	}
	return fd, os.NewSyscallError("fcntl", dupErr)
}

// startChild starts the child of p. The caller holds p.mu.
func startChild(p *Process) (_ *child, err error) {
	life, err := lifelineEnd()
	if err != nil {
		return nil, err
	}
	c := &child{}
	l := &launch{}
	defer func() { l.close(err != nil) }()

	// Arguments may give something away when they are encoded, so all that can
	// be refused before is looked at before.
	if err := checkFolder(p.set.dir); err != nil {
		return nil, err
	}
	if err := l.standard(p, c); err != nil {
		return nil, err
	}
	for i, f := range p.set.extraFiles {
		if _, err := l.giveFile(f); err != nil {
			return nil, fmt.Errorf("extra file %d: %w", i, err)
		}
	}
	e := envelope{
		Function: p.function, Name: p.name,
		Daemon: p.set.daemon, EndWithParent: p.set.endWithParent, Grace: p.set.grace, AuthKey: p.AuthKey(),
		ParentPID: os.Getpid(), ParentName: self().name,
	}
	sys := &syscall.SysProcAttr{Setpgid: p.set.group}
	if p.set.daemon || p.set.endWithParent {
		sys.Pdeathsig = syscall.SIGTERM
		e.Spawner = spawnerThread()
	}
	e.Lifeline = l.lend(life)
	if c.report, err = newReport(); err != nil {
		return nil, err
	}
	l.undo = append(l.undo, c.report.close)
	head := heading{Build: buildID(), Report: l.lend(c.report.fd)}

	shared, ids, err := exportHandles(func() (err error) {
		e.Args, err = p.encode()
		return err
	})
	if err != nil {
		return nil, err
	}
	c.exports = shared
	l.undo = append(l.undo, func() { shared.Release() })
	if err := l.handles(shared, ids, &e, c); err != nil {
		return nil, err
	}
	paper, err := seal(head, e)
	if err != nil {
		return nil, err
	}
	number := l.give(paper)
	if fault.Enabled {
		fault.Point("procs.start.sealed")
	}

	c.pid, err = forkExec(os.Args, &syscall.ProcAttr{
		Dir: p.set.dir, Files: l.files, Sys: sys,
		Env: environment(p.set.env, number),
	})
	if err != nil {
		return nil, err
	}
	if fault.Enabled {
		fault.Point("procs.start.forked")
	}
	c.watch()
	for _, f := range l.after {
		f()
	}
	if c.ready == nil {
		shared.Release()
	}
	return c, nil
}

// checkFolder reports whether a process can work in that folder. The child could
// only say that something is missing, and not what.
func checkFolder(dir string) error {
	if dir == "" {
		return nil
	}
	var st unix.Stat_t
	if err := unix.Stat(dir+"/.", &st); err != nil {
		return &os.PathError{Op: "chdir", Path: dir, Err: err}
	}
	return nil
}

// handles gives the child a descriptor of each shared object, and a pipe by
// which it says that it has opened them.
func (l *launch) handles(shared exports, ids [][16]byte, e *envelope, c *child) error {
	if len(ids) == 0 {
		return nil
	}
	files, err := shared.Files()
	if err != nil {
		return err
	}
	defer func() {
		for _, f := range files {
			f.Close()
		}
	}()
	if len(files) != len(ids) {
		return errors.New("a handle was closed while it was being sent")
	}
	for i, f := range files {
		fd, err := l.giveFile(f)
		if err != nil {
			return err
		}
		e.Handles = append(e.Handles, inherited{ids[i], fd})
	}
	read, write, err := pipe()
	if err != nil {
		return err
	}
	l.undo = append(l.undo, func() { read.Close() })
	e.Ready, c.ready = l.give(write), read
	return nil
}

// pipe returns a pipe whose read end is for the poller of this process, and
// whose write end, a bare descriptor, is for a child.
func pipe() (read *os.File, write int, err error) {
	var ends [2]int
	if err := unix.Pipe2(ends[:], unix.O_CLOEXEC); err != nil {
		return nil, -1, os.NewSyscallError("pipe2", err)
	}
	unix.SetNonblock(ends[0], true) // before NewFile, which asks
	return os.NewFile(uintptr(ends[0]), "pipe"), ends[1], nil
}

// environment is that of this process and more; of several entries with one
// key the last holds.
func environment(more []string, number int) []string {
	env := append(os.Environ(), more...)
	env = append(env, envelopeKey+"="+strconv.Itoa(number))
	last := make(map[string]int, len(env))
	for i, kv := range env {
		key, _, _ := strings.Cut(kv, "=")
		last[key] = i
	}
	kept := env[:0]
	for i, kv := range env {
		if key, _, _ := strings.Cut(kv, "="); last[key] == i {
			kept = append(kept, kv)
		}
	}
	return kept
}
