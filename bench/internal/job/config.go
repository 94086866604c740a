package job

import (
	"time"

	"shmkit/bench/internal/machine"
	"shmkit/bench/internal/tree"
)

// Config says what a run sends, and with how many processes.
type Config struct {
	Plan      *tree.Plan
	Want      []uint64 // digest of every chunk, from tree.Walk
	Producers int
	Consumers int
	// Watchdog ends a run in which nothing has moved for so long. A run that
	// is ended so has the outcome "hang".
	Watchdog time.Duration
	// Dooms are the kills; the zero Dooms kill nobody.
	Dooms Dooms
	// Count, if not 0, makes the workers count their system calls. Such a run
	// is slower and says nothing about time.
	Count machine.Tracepoint
	// Progress, if not nil, is called from time to time with the number of
	// messages that have been dealt with.
	Progress func(messages int)
}

// capacity is how many messages may lie in a channel that counts messages. A
// source file is some 9 KB on average, so this is about the 1 MiB of the pipes.
const capacity = 128
