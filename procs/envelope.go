package procs

import "time"

// envelopeKey is the environment variable that makes a program a child: its
// value is the number of the descriptor of the envelope. See summons.
const envelopeKey = "SHMKIT_PROCS"

// A heading is the beginning of an envelope. It is what two builds of a program
// understand of each other: enough to say that they are two.
type heading struct {
	Build  string // identity of the program file
	Report int    // descriptor of the memfd for the outcome
}

// An envelope is everything that a child is told. It travels in a sealed memfd
// that the child inherits: unlike a pipe it takes any size without anybody
// reading it, so Start never waits for the child. Unlike arguments and environment
// it is not shown to those who look at the process, but for who may trace it; and
// the programs that the child starts do not inherit it, see summons.
type envelope struct {
	Function      string
	Name          string
	Daemon        bool
	EndWithParent bool
	Grace         time.Duration
	AuthKey       []byte
	ParentPID     int
	ParentName    string
	Spawner       int // thread of the parent by whose end the kernel signals ours; 0: it does not

	// Descriptors in the child, after the user's extra files, which begin
	// with 3; 0 is none.
	Lifeline int // end of file: the parent is gone
	Ready    int // pipe, closed by the child when the handles are open
	Handles  []inherited

	Args []byte
}

// inherited says which descriptor leads to which shared object.
type inherited struct {
	ID [16]byte
	FD int
}
