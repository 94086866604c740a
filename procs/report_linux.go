package procs

import (
	"encoding/binary"
	"os"
	"runtime/debug"

	"golang.org/x/sys/unix"

	"shmkit/procs/internal/wire"
	"shmkit/shm/fault"
)

// A report is where a child leaves what became of it: a memfd that parent and
// child share. Unlike a pipe it never blocks the child, needs nobody who reads
// it, and cannot be held open by a grandchild; unlike a file it is gone with
// the two.
//
//	offset    bytes           written by
//	0         4               child: state
//	8         8               child: length of the last words
//	16        that many       child: the last words
//	1 TiB     whatever        the runtime of the child, when it crashes
//
// Numbers are little-endian. The file is sparse: what nobody wrote takes no
// memory, and the two texts never meet.
type report struct{ fd int }

const (
	lengthOffset = 8
	wordsOffset  = 16
	crashOffset  = 1 << 40
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
	fd, err := memfd("shmkit-report")
	return report{fd}, err
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
	// The runtime keeps a copy of the descriptor; ours lives as long as we do.
	return debug.SetCrashOutput(r.file(), debug.CrashOptions{})
}

var reportFile *os.File

func (r report) file() *os.File {
	reportFile = os.NewFile(uintptr(r.fd), "report")
	return reportFile
}

// finish leaves the last words. They count once the state says so.
func (r report) finish(w lastWords) error {
	data, err := wire.Marshal(w, wordsType)
	if err != nil {
		return err
	}
	sized := make([]byte, 8, 8+len(data))
	binary.LittleEndian.PutUint64(sized, uint64(len(data)))
	if err := pwrite(r.fd, append(sized, data...), lengthOffset); err != nil {
		return err
	}
	if fault.Enabled {
		fault.Point("procs.end.words")
	}
	return r.setState(reportFinished)
}

// read returns, in the parent, the state of the report, the last words if they
// are complete, and the beginning of the crash output.
func (r report) read() (state uint32, words lastWords, crash string) {
	var head [wordsOffset]byte
	if pread(r.fd, head[:4], 0) != nil {
		return reportBlank, words, ""
	}
	state = binary.LittleEndian.Uint32(head[:])
	var st unix.Stat_t
	if unix.Fstat(r.fd, &st) != nil {
		return state, words, ""
	}
	crash = r.crash(st.Size)
	if state != reportFinished {
		return state, words, crash
	}
	if pread(r.fd, head[:], 0) != nil {
		return reportRunning, words, crash
	}
	n := binary.LittleEndian.Uint64(head[lengthOffset:])
	if n > uint64(min(st.Size, crashOffset)-wordsOffset) {
		return reportRunning, words, crash
	}
	data := make([]byte, n)
	if pread(r.fd, data, wordsOffset) != nil || wire.Unmarshal(data, &words) != nil {
		return reportRunning, lastWords{}, crash
	}
	return state, words, crash
}

// crash returns what the runtime wrote, of a file of that size.
func (r report) crash(size int64) string {
	const most = 1 << 20
	if size <= crashOffset {
		return ""
	}
	text := make([]byte, min(size-crashOffset, most))
	if pread(r.fd, text, crashOffset) != nil {
		return ""
	}
	return string(text)
}

func (r report) close() { unix.Close(r.fd) }
