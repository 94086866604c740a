package procs

import (
	"fmt"
	"io"
	"os"
	"time"
)

// An Option changes how a process is started. Options are values: one may be
// given to many processes.
type Option func(*settings)

// settings are what the options of one process add up to.
type settings struct {
	name          string
	daemon        bool
	endWithParent bool
	group         bool
	prefix        bool
	grace         time.Duration
	authKey       []byte
	env           []string
	dir           string
	stdin         io.Reader
	stdout        io.Writer
	stderr        io.Writer
	extraFiles    []*os.File
}

// defaultGrace is the time between the end of a child's context and its end by
// force. A daemon must be gone within a second of its parent, whatever it does.
const defaultGrace = 500 * time.Millisecond

// Name gives the process a name, for people: it stands in errors, in front of
// log lines and in the participant tables of shared segments. It need not be
// unique. Without it a process is called after its function: "cook-1".
func Name(name string) Option { return func(s *settings) { s.name = name } }

// Daemon makes the process a daemon: it ends with its parent under every death
// of the parent, kill -9 included. When the parent's Main returns it gets
// SIGTERM, its grace, then SIGKILL; when the parent dies otherwise its context
// ends with ErrParentDied, and after its grace it ends by force. A daemon may
// have no children: Start returns ErrDaemonicChildren there.
//
// A daemon that is stopped (SIGSTOP) while its parent is killed ends when it is
// continued.
func Daemon() Option { return func(s *settings) { s.daemon = true } }

// EndWithParent makes a process that is no daemon end with its parent as a
// daemon does. Unlike a daemon it may have children, and Main joins it.
//
// Without it a process that outlives its parent sees its context end with
// ErrParentDied, and ends when its function returns.
func EndWithParent() Option { return func(s *settings) { s.endWithParent = true } }

// Grace is the time that the function has to return once its context has
// ended by a signal, or by the death of the parent of a daemon. When it has
// passed the process dies by the signal. The default is 500 ms. A function that
// never looks at its context has no grace.
//
// A function that has returned in time has ended as it says. Its process still
// waits for its own children, which were asked to end with it: each has its own
// grace and 300 ms more, then comes SIGKILL. The parent gives it no more than
// that either where it ends its children itself, as Main does, so who has
// children should have a grace that is not shorter than theirs.
//
// It panics if d is negative.
func Grace(d time.Duration) Option {
	if d < 0 {
		panic(fmt.Sprintf("procs: Grace(%v): negative", d))
	}
	return func(s *settings) { s.grace = d }
}

// AuthKey gives the process another authentication key than its creator's. It
// panics if key is empty. See Process.AuthKey.
func AuthKey(key []byte) Option {
	if len(key) == 0 {
		panic("procs: AuthKey: empty key")
	}
	key = append([]byte(nil), key...)
	return func(s *settings) { s.authKey = key }
}

// Env adds variables, each "KEY=value", to the environment that the child
// inherits. A later one replaces an earlier one of the same key.
func Env(vars ...string) Option {
	return func(s *settings) { s.env = append(s.env[:len(s.env):len(s.env)], vars...) }
}

// Dir is the working folder of the child. Without it the child has that of its
// parent.
func Dir(path string) Option { return func(s *settings) { s.dir = path } }

// Stdin is the child's standard input. An *os.File is given to the child
// itself; another reader is copied into a pipe, which is closed when the child
// has ended. The goroutine that copies can be told only when its Read of r
// returns: until then it lives, and what that Read gets is lost. Without the
// option standard input is empty (the null device): several processes that read
// one terminal would steal each other's lines.
func Stdin(r io.Reader) Option { return func(s *settings) { s.stdin = r } }

// Stdout takes the child's standard output. An *os.File is given to the child
// itself; for another writer everything that the child wrote has been written
// to w when Done is closed, unless w itself blocks for longer than a second.
// What living grandchildren write later still arrives. Without it the child
// writes where its parent does.
//
// If w is also the writer of Stderr, one goroutine writes to it at a time.
func Stdout(w io.Writer) Option { return func(s *settings) { s.stdout = w } }

// Stderr takes the child's standard error. See Stdout.
func Stderr(w io.Writer) Option { return func(s *settings) { s.stderr = w } }

// ExtraFiles gives open files to the child: entry i is its descriptor 3+i, as
// with os/exec. A nil entry leaves the descriptor closed. The files stay open
// in the parent.
func ExtraFiles(files ...*os.File) Option {
	return func(s *settings) { s.extraFiles = append(s.extraFiles[:len(s.extraFiles):len(s.extraFiles)], files...) }
}

// ProcessGroup makes the process the leader of a process group of its own, to
// which its descendants belong. Terminate and Kill then signal the whole
// group, and when the process has ended, however it ended, SIGKILL ends what
// is left of the group before Done is closed.
//
// A terminal sends Ctrl-C to its foreground group only: it does not reach such
// a process by itself. Main passes the signal on.
func ProcessGroup() Option { return func(s *settings) { s.group = true } }

// Prefix puts "[name] " before each line that the process writes to standard
// output and standard error. Lines of several processes are never mixed.
func Prefix() Option { return func(s *settings) { s.prefix = true } }
