package job

import (
	"time"

	"shmkit/bench/internal/machine"
	"shmkit/bench/internal/tree"
)

// An Outcome is what one run came to.
type Outcome struct {
	Impl     string
	Broken   string        // "": it ended as it should; else in a word or two what became of it
	Detail   string        // more of that, for people
	Time     time.Duration // from the opening of the gate to the last message
	Messages int           // different chunks that arrived
	Usage    machine.Usage // of all workers, between the gate and their ends
	Calls    int64         // all system calls of the workers, in a run that counts them, or -1
	Wrong    []tree.Difference

	Lost        int // chunks that never arrived
	Repeated    int // deliveries beyond the first of a chunk
	Redelivered int // how many of them the queue itself marked
	Deaths      []Death
}

// OK says that the run ended by itself and every digest is right.
func (o *Outcome) OK() bool { return o.Broken == "" && len(o.Wrong) == 0 }

// A Death is one process that the launcher killed.
type Death struct {
	Role string // "producer" or "consumer"
	PID  int
	// Held says that a consumer died with a message in its hands.
	Held bool
	// At counts the messages that its place had behind it.
	At int
	// Unsent are the files that a producer left unsent, the first perhaps sent
	// in part. Its successor sent them.
	Unsent []string
}
