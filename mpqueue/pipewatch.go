package mpqueue

import "shmkit/shm"

// pipeWatch is what a test wants to be told about the pipes of its process. It is
// written before anybody uses them, and looked at behind fault.Enabled only.
var pipeWatch struct {
	// takes: a receiver, which holds recv, is about to take a message, or the
	// first part of one, that begins with these bytes.
	takes func(message []byte)
	// slept: a sleep on value v has ended.
	slept func(w *way, s *pipeWait, v uint32, why shm.WakeReason)
}
