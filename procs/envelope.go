package procs

import "time"

// envelopeKey is the environment variable that makes a program a child: its
// value is the number of the descriptor of the envelope. It is unset at once, so
// that no grandchild takes itself for the child.
const envelopeKey = "SHMKIT_PROCS"

// A heading is the beginning of an envelope. It is what two builds of a program
// understand of each other: enough to say that they are two.
type heading struct {
	Build  string // identity of the program file
	Report int    // descriptor of the memfd for the outcome
}

// An envelope is everything that a child is told. It travels in a sealed memfd
// that the child inherits: unlike a pipe it takes any size without anybody
// reading it, so Start never waits for the child, and unlike arguments and
// environment nobody else can read it.
type envelope struct {
	Function      string
	Name          string
	Daemon        bool
	EndWithParent bool
	Grace         time.Duration
	AuthKey       []byte
	ParentPID     int
	ParentName    string

	// Descriptors in the child; 0 is none.
	Lifeline int // end of file: the parent is gone
	Ready    int // pipe, closed by the child when the handles are open
	Files    int // the user's extra files are 3 … 3+Files−1
	Handles  []inherited

	Args []byte
}

// inherited says which descriptor leads to which shared object.
type inherited struct {
	ID [16]byte
	FD int
}
