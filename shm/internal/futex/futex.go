// Package futex wraps the kernel's futex calls on words of shared memory.
//
// A futex word is an ordinary uint32. Wait sleeps only if the word still has
// the value that the caller saw, checked by the kernel under its own lock, so
// a change between the caller's look and its sleep is not missed. Every return
// of Wait may be spurious: callers look at their state again.
package futex

import "sync/atomic"

// Result says why Wait returned.
type Result int

// What Wait returns. All mean: look again.
const (
	Woken   Result = iota // a wake took us out of the queue of words[Index]
	Changed               // a word did not have its value, or a signal came
	Timeout               // the deadline passed
)

// Word is one word of a wait: sleep while *Addr == Val.
type Word struct {
	Addr    *atomic.Uint32
	Val     uint32
	Private bool // the word is this process's own memory
}

// Max is the number of words that one Wait can take.
const Max = 128
