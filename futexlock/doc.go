// Package futexlock provides locks that live in shared memory and survive the
// death of any process that uses them, at any instruction: every lock of
// Python's multiprocessing and of Go's sync.
//
//	type account struct {
//		mu      futexlock.Mutex
//		balance int64
//	}
//
//	func main() {
//		o, _, err := shm.OpenOrCreate[account]("account") // in every process
//		if err != nil {
//			log.Fatal(err)
//		}
//		defer o.Close()
//		a := o.Value()
//		err = a.mu.Lock()
//		if errors.Is(err, futexlock.ErrOwnerDied) {
//			// We hold it, and the last holder died inside.
//			a.repair()
//			a.mu.Consistent()
//		}
//		a.balance++
//		a.mu.Unlock()
//	}
//
// All types are plain structs without pointers. All zero bytes are their
// initial state; Semaphore and Barrier have an Init for what zero cannot say.
// Put them into any segment of package shm: alone, in arrays, inside your own
// structs. They have no handle and no name: a lock is a bare pointer, and learns
// from its address which segment it is in and who this process is there. If it lies
// in no segment, in one that this process has closed, or in one that it only looks at
// (shm.Peek), every method that changes it or waits for it panics and says so; those
// that only look answer all the same.
//
//	Python              sync          here
//	Lock                Mutex         Mutex
//	RLock                             RecursiveMutex
//	                    RWMutex       RWMutex
//	Semaphore                         Semaphore; AcquireOwned for permits that come back
//	BoundedSemaphore                  Semaphore with a maximum
//	Condition           Cond          Cond
//	Event                             Event
//	Barrier                           Barrier
//	                    Once          Once
//	                    WaitGroup     WaitGroup
//
// Ownership belongs to the process: a goroutine may unlock what another
// goroutine of its process locked. What takes long takes a context, or has a
// variant that does: a done context means try once, then its error. A cancel
// or a deadline ends a wait within 10 ms, leaves nothing behind and loses
// nobody's wake.
//
// # When a process dies
//
// Death is decided by the kernel, never by time: a stopped, traced or slow
// process is alive, and is waited for. Nobody gets what a dead process held
// before the last thread of it is past its last store, even one inside a system
// call that copies into the shared memory.
//
//	              its holder dies                       one that waits for it dies
//	Mutex,        the next ones get the lock and        nothing
//	Recursive     ErrOwnerDied, until Consistent
//	RWMutex       a writer inside: the same, readers    nothing
//	              too; a reader: nothing to tell
//	Semaphore     owned permits come back; others       nothing
//	              are gone
//	Cond          waiters are told by the Mutex         the signal that it was woken for goes
//	                                                    to another
//	Event                                               nothing
//	Barrier       a party: the barrier breaks, with     it is a party
//	              ErrBroken and ErrOwnerDied
//	Once          the next caller runs f again          nothing
//	WaitGroup     its tasks are lost: ErrOwnerDied      nothing
//	              from Wait, until Reset or retaken
//
// ErrOwnerDied from a lock means held. Nobody is ever locked out for good, and
// code that ignores the error still excludes others.
//
// A lock is granted about a millisecond after the death of its holder. What no
// protocol in user space can do is to bring back the wake that was given to a
// process which was killed before it could act on it. The sweep of the dead
// process does, which package procs runs when a child of this process ends; or
// else the backstop: no sleep lasts longer than 100 ms without a look.
//
// What is left at every kill, and who sees to it, is written beside the code of
// each type. For Mutex (and whatever else is a lock word), RWMutex, Semaphore,
// Cond, Event, Barrier, Once and WaitGroup the tests of this package explore it
// exhaustively: every interleaving of three processes, with a kill before each
// step. They also kill processes at random, at named points, and after single
// instructions of one operation or another.
//
// # How it works
//
// The state of each lock is one or a few words. A change is one compare-and-swap
// that says who made it: there is no moment in which a lock is held by nobody
// known. Waiting is futex(2) on the same words, spinning for 2 µs first where
// that has paid. LAYOUT.md specifies the words.
//
// A release of a Mutex wakes the next sleeper in the same step (FUTEX_WAKE_OP),
// so that no kill can fall between the two. It keeps a flag that others may
// sleep until a wake has found nobody. Whoever has waited 1 ms makes newcomers
// queue up behind it. One goroutine of a process sleeps for a lock in the
// kernel, the others wait behind it in Go: 10,000 goroutines that wait for one
// lock need no more threads than two.
//
// The race detector does not see atomics in mapped memory. In programs built
// with -race these types tell it of every edge, so that correct programs are
// not reported and missing locks are.
//
// # Costs
//
// Nobody else wants the lock; 2 processors of a virtual machine (AMD EPYC, Linux
// 6.18), Go 1.26, least of many short runs, in ns. No path here allocates or
// makes a system call.
//
//	Mutex Lock+Unlock              6.0     sync.Mutex 4.5, pthread 6.8, pthread robust 8.7, multiprocessing.Lock 99
//	RecursiveMutex Lock+Unlock      17
//	RWMutex RLock+RUnlock          7.5     sync.RWMutex 4.3
//	RWMutex Lock+Unlock             35     sync.RWMutex 8.8
//	Semaphore Acquire+Release       18     with cells 22, owned 15
//	Event IsSet                    2.4
//	Once Do, done                  4.7
//	WaitGroup Add+Done              22     sync.WaitGroup 8.4
//	Cond Signal, nobody waits      4.0
//
// In the segment in which the program first used a lock; in others a pair is
// 4 ns slower, as the lock finds its segment by a table. A reader of an RWMutex adds
// to a word once on its way in and once on its way out, as with sync. What is left
// is to know which word is its own: it loads its token, with that the word, looks
// whose it is, and adds, and each step waits for the one before. The two additions
// alone take 5.3 ns, in functions that are not inlined; the token makes that 6.9, to
// find the word by it 7.0, to look before adding 7.5. With comparisons in the place
// of the additions it is 8.8. To remember the word of each lock takes 5.5 to 6.1, and
// if one lock is remembered, inline, 4.2; but memory that is closed may become
// another lock's, and no addition to that can be taken back safely.
//
// Two processes that take turns with short sections do 50 to 110 million a second
// (pthread's robust mutex 26 to 38, multiprocessing.Lock 3); two that read do twice
// as much as one. A lock that is handed to
// a sleeper costs two system calls, and what the machine needs to wake a
// thread: 3 to 30 µs. go test -bench . and go test -run Speed -v measure it
// where you are.
//
// Linux 5.4 or later on amd64 and arm64; futex_waitv (5.16) is used where it is.
// Elsewhere the package compiles, and shm gives no segment to put a lock into.
package futexlock
