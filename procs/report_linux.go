package procs

import (
	"encoding/binary"
	"os"
	"runtime/debug"
	"strings"

	"golang.org/x/sys/unix"

	"shmkit/procs/internal/wire"
)

// A report is where a child leaves what became of it: a memfd that parent and
// child share. Unlike a pipe it never blocks the child, needs nobody who reads
// it, and cannot be held open by a grandchild; unlike a file it is gone with
// the two.
//
//	offset    written by
//	0         child: state, one little-endian word
//	64        the runtime of the child: what it prints when it crashes
//	1 MiB     child: the last words
//
// The places that nobody wrote to take no memory.
type report struct{ fd int }

const (
	crashOffset = 64
	wordsOffset = 1 << 20
)

// States of a report. The parent reads it when the child is dead.
const (
	reportBlank    = 0 // the child has not come to Init
	reportRunning  = 1 // Init knows that it is a child
	reportFinished = 2 // the last words are complete
)

// lastWords are what a child says when its function is over.
type lastWords struct {
	Code    int
	Message string // of an error or a panic
	Stack   string // of a panic
	Panic   bool
	Reason  string // name of a sentinel error: why the function was not called
	Has     bool   // there is a result
	Result  []byte
}

func newReport() (report, error) {
	fd, err := unix.MemfdCreate("shmkit-report", unix.MFD_CLOEXEC)
	if err != nil {
		return report{}, os.NewSyscallError("memfd_create", err)
	}
	return report{fd}, nil
}

func (r report) setState(state uint32) error {
	var word [4]byte
	binary.LittleEndian.PutUint32(word[:], state)
	return pwrite(r.fd, word[:], 0)
}

// begin says that the child runs, and sends the runtime's crash output here as
// well, so that a panic of any goroutine reaches the parent.
func (r report) begin() error {
	if err := r.setState(reportRunning); err != nil {
		return err
	}
	// The runtime writes where the descriptor stands.
	if _, err := unix.Seek(r.fd, crashOffset, unix.SEEK_SET); err != nil {
		return err
	}
	copied, err := unix.FcntlInt(uintptr(r.fd), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return err
	}
	f := os.NewFile(uintptr(copied), "report")
	defer f.Close() // the runtime keeps a copy
	return debug.SetCrashOutput(f, debug.CrashOptions{})
}

// finish leaves the last words. They count once the state says so.
func (r report) finish(w lastWords) error {
	data, err := wire.Marshal(w, wordsType)
	if err != nil {
		return err
	}
	var size [8]byte
	binary.LittleEndian.PutUint64(size[:], uint64(len(data)))
	if err := pwrite(r.fd, size[:], wordsOffset); err != nil {
		return err
	}
	if err := pwrite(r.fd, data, wordsOffset+8); err != nil {
		return err
	}
	return r.setState(reportFinished)
}

// read returns, in the parent, the state of the report, the last words if they
// are complete, and the beginning of the crash output.
func (r report) read() (state uint32, words lastWords, crash string) {
	var word [8]byte
	if pread(r.fd, word[:4], 0) != nil {
		return reportBlank, words, ""
	}
	state = binary.LittleEndian.Uint32(word[:4])
	var st unix.Stat_t
	if unix.Fstat(r.fd, &st) != nil {
		return state, words, ""
	}
	if n := min(st.Size, wordsOffset) - crashOffset; n > 0 {
		text := make([]byte, n)
		if pread(r.fd, text, crashOffset) == nil {
			crash, _, _ = strings.Cut(string(text), "\x00")
		}
	}
	if state != reportFinished {
		return state, words, crash
	}
	if pread(r.fd, word[:], wordsOffset) != nil {
		return reportRunning, words, crash
	}
	n := binary.LittleEndian.Uint64(word[:])
	if n > uint64(st.Size) || int64(n) > st.Size-wordsOffset-8 {
		return reportRunning, words, crash
	}
	data := make([]byte, n)
	if pread(r.fd, data, wordsOffset+8) != nil || wire.Unmarshal(data, &words) != nil {
		return reportRunning, lastWords{}, crash
	}
	return state, words, crash
}

func (r report) close() { unix.Close(r.fd) }
