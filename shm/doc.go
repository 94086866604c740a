// Package shm puts Go values into memory that several processes see, and knows
// which of those processes are alive.
//
//	   process 1                                            process 2
//	┌─────────────┐      header   what it is, checked       ┌─────────────┐
//	│ *T ─────────┼──┐   table    who is attached      ┌────┼───────── *T │
//	│ lock, queue │  └─> payload  a T, a []T, bytes <──┘    │ lock, queue │
//	└─────────────┘                                         └─────────────┘
//	        └───── byte lock: the kernel's word that it lives ─────┘
//
// An Object is a T, a Slice is n of them, a Segment is the bytes below. T is any
// type without pointers; a struct with a lock of package futexlock in it is the
// usual one. Anonymous objects go to other processes as handles, named ones are
// opened by name. A whole program:
//
//	package main
//
//	import (
//		"errors"
//		"fmt"
//		"log"
//
//		"shmkit/futexlock"
//		"shmkit/shm"
//	)
//
//	type purse struct {
//		mu      futexlock.Mutex
//		balance int64
//	}
//
//	func main() {
//		o, _, err := shm.OpenOrCreate[purse]("purse")
//		if err != nil {
//			log.Fatal(err)
//		}
//		defer o.Close()
//		p := o.Value()
//		if err := p.mu.Lock(); errors.Is(err, futexlock.ErrOwnerDied) {
//			p.balance -= p.balance % 10 // what the dead one left half done
//			p.mu.Consistent()
//		}
//		p.balance += 10
//		fmt.Println("balance:", p.balance)
//		p.mu.Unlock()
//	}
//
// Run it a few times; look at what it leaves with "shmctl ls"; "shmctl gc" takes
// it away.
//
// # What a crash does
//
// Processes may be killed at any instruction. What the others see:
//
//	killed                       the others
//	while it creates a name      find nothing: a name appears in one step, with
//	                             everything behind it in place
//	while it attaches            see a participant that is taken for dead at once
//	while it holds a lock        get the lock, and ErrOwnerDied, when it has stopped
//	                             writing for certain
//	while it sweeps another      sweep that one again, from the beginning
//	as the last one attached     of an anonymous object: nothing is left; of a named
//	                             one: Open finds it with its contents, its locks
//	                             released; Create replaces it; shmctl gc removes it
//
// Death is the kernel's word, never a matter of time: each participant holds a
// lock on a byte of the file, which the kernel drops when the process is gone,
// and not before its last thread has left the last system call. A stopped, slow,
// swapped or traced process lives. Zombies, execve, reused pids and containers
// with the same pids do not deceive it. A second, faster sign, the robust list of
// a thread that never ends, rings a bell 0.3 ms after a kill; the bell proves
// nothing and makes sleepers ask.
//
// Close is a small death: what the process still holds is released as if it had
// died, its mapping shows private zeros first.
//
// A model in the tests walks every interleaving of three processes, and a kill before
// each step, in which they attach, take a lock, ask who is dead, sweep, visit a full
// table and close.
//
// # What it costs
//
// On a shared virtual machine with 2 CPUs, Linux 6.18, other programs running;
// "go test -bench . ./shm":
//
//	New, small, in an arena            0.3 µs
//	New with a segment of its own      75 µs     plain file, mmap: 29 µs
//	Open, attached already             20 µs
//	Open, first handle                 90 µs     with Close
//	Value                              1 ns
//	Find                               1.5 ns    100 segments in turn: 1.6
//	SelfAt, of the first used          0.5 ns    the lock's "who am I", inlined
//	Dead                               3 ns
//	Confirm, of a living one         0.6 µs
//	a kill until sleepers are told     0.3 ms    p50
//	memory of a segment                36 KiB, and its payload in pages
//	memory of a small object           its size rounded up to 64, 256, 1,024 or 4,096
//	                                   bytes, and 128 bytes for each
//	threads                            one for each of 32 sleepers, then one for 100
//
// # Limits
//
//   - Linux 5.4 or later; everything compiles elsewhere, and says
//     errors.ErrUnsupported. Not on NFS.
//   - Processes that share a segment trust each other with its contents. Damage is
//     found where it would lead outside the segment or into an endless wait, not
//     where it only makes a value wrong. Segments of other users are refused unless
//     WithTrustUID names them.
//   - An anonymous segment cannot be truncated. Truncating the file of a named one
//     that is in use kills its users by SIGBUS, as with any mapped file; a file
//     that is too short is an error of Open.
//   - 2,047 participants at most (256 unless WithParticipants says more), 64 groups
//     of locks in one segment. A process may be attached to thousands of segments,
//     as far as its descriptors go, each takes one; the bell rings for 2,048 of
//     them, for the others sleepers look every 100 ms.
//   - Passing one small object to a process shows it everything in the same arena.
//     A pointer into an arena must not be used after Close: another object may lie
//     there. WithOwnSegment gives an object a segment of its own.
//   - Operations that write without a thread of the process, such as io_uring with
//     a registered buffer in a segment, are not covered by the proof of death.
//   - The race detector does not see mapped memory. The locks and queues above tell
//     it of the order that they make, so -race finds races in ordinary memory
//     between them, and none in shared memory.
//
// The bytes are specified in LAYOUT.md.
package shm
