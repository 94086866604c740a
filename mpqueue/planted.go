package mpqueue

// planted are bugs that a test puts into its processes, to see that its oracles
// notice them. All are false outside tests, and none is looked at on a fast path but
// behind fault.Enabled.
var planted struct {
	noSweep      bool // nobody puts in order what the dead were at
	leak         bool // the sweep leaves the blocks that the dead were filling
	dropped      bool // the sweep frees what the dead had received
	torn         bool // the sweep takes what the dead were writing for a message
	blockFirst   bool // a block is free before it has been read
	unmarked     bool // what is delivered again is not marked
	redeliver    bool // what must be delivered at most once is delivered again
	keepPending  bool // a wake that was given to a dead process is not taken over
	immortal     bool // a death is not counted
	letterAgain  bool // what has gone to the dead-letter queue is delivered again
	earlyEnd     bool // the end does not wait for what can come back
	unclosed     bool // the sweep does not close a queue without producers
	lateProducer bool // who closes a queue without producers does not see who registers meanwhile
	countFirst   bool // lease blocks are counted before they have memory

	ringRewind bool // who takes a ring's consumer's role over begins one item early
	ringSkip   bool // or one late
	ringStay   bool // the roles of the dead are not taken from them

	pipeNoLock bool // senders do not exclude each other
	pipeEarly  bool // a message is published before it is whole
	pipeNoSpin bool // no bug: who waits for a pipe sleeps at once
	pipeFree   bool // bytes are free before they have been read
	pipeSkip   bool // who takes the lock of a dead receiver over passes over a message
	pipeNoPass bool // who was woken, and takes one message or none, does not wake the next
	pipeLate   bool // who goes to sleep looks first, and says so then
}
