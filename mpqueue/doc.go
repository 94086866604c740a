// Package mpqueue passes messages between processes through shared memory: a
// queue that keeps its order and its promises when any of them is killed.
//
//	   producers                    ring of slots                     consumers
//	┌────────────┐     ┌───────┬───────┬───────┬───────┬───────┐    ┌────────────┐
//	│ process A  │───> │ free  │writing│ ready │ ready │reading│───>│ process C  │
//	│ process B  │     │       │ by B  │       │       │ by C  │    │ process D  │
//	└────────────┘     └───────┴───────┴───────┴───────┴───────┘    └────────────┘
//
// A slot says in one 64-bit word on which lap of the ring it is, what is being
// done to it, and by whom. To claim a slot and to put one's name on it is one
// atomic step, so there is no instruction at which a killed process leaves
// something that nobody can account for.
//
//	q, err := mpqueue.New[string](100)
//	…
//	err = q.Put(ctx, "包子")      // in one process
//	v, err := q.Get(ctx)          // in another
//
// The handle q goes to other processes as an argument of package procs, inside
// messages, or by a name (Create, Open). See the example for a whole program.
//
// # What a queue does
//
// Items come out in the order in which they went in, each to one receiver. Put
// waits while the queue is full, Get while it is empty; both take a context.
// Put has put when it returns: there is no thread behind it, a process may end
// at once. CloseSend says for everybody that nothing more will come; receivers
// drain the queue and then get ErrClosed, which is io.EOF.
//
//	Receive, Done, Requeue      a lease on an item: it comes back if its holder dies
//	Reserve, ReserveSize        write a message in place, then Commit or Abort
//	PutBatch, GetBatch          several at once
//	Joinable, TaskDone, Join    wait until everything is dealt with
//	Producer                    the queue closes when the last producer is gone
//	WithMaxDeliveries           an end to messages that kill their consumers
//	New(0)                      no capacity, but a budget of bytes
//
// # Rings
//
// Ring is for one producer and one consumer, and ByteRing for a stream of bytes
// between them: half the price of a queue, and a sixth in batches.
//
//	r, err := mpqueue.NewRing[sample](1024)
//	err = r.Put(ctx, s)        // the process that puts first is the producer
//	s, err := r.Get(ctx)       // that which gets first the consumer
//
// There are no leases, and no roles to give away: when the producer or the consumer
// closes the ring or dies, the next process that puts, or gets, goes on in its place.
//
//	PutBatch, GetBatch            several at once
//	Reserve, Commit               write items, or bytes, in place
//	Peek, Discard                 read them there
//	Read, Write, io.Copy          a ByteRing is a reader and a writer
//
// # Pipes
//
// Pipe makes two connected ends, as Python's Pipe does. What is sent into one
// comes out of the other, whole and in order, in both directions:
//
//	a, b, err := mpqueue.Pipe()
//	err = worker.Process(WorkerArgs{Conn: b}).Start()   // gives b away
//	err = a.Send(ctx, []any{1, 2.25, nil})
//	v, err := a.Recv(ctx)
//
// Any number of processes and goroutines may share an end. Conn.NetConn makes a
// net.Conn of it, so that whatever talks over a connection talks over shared
// memory. When nobody has an end any more, because all have closed it or have
// died, the other one gets io.EOF.
//
//	SendBytes, RecvBytes, RecvInto   messages of bytes, of any size
//	Send, Recv                       values, as a Queue[any] takes them
//	Poll                             is there anything
//	Keep                             share an end instead of giving it away
//	OneWay, WithPipeSize             what pipes can be made like
//
// A pipe costs less than a queue where there are two sides that talk. A queue
// gives each message to one of many, lets them give it back, and counts.
//
// # Crashes
//
// kill -9 of any of the processes, at whichever instruction:
//
//	was killed                  then
//	before Put returned         the message is delivered whole, or it never was
//	after Put returned          the message is delivered
//	in Get                      the message is delivered to another, or went with it
//	between Receive and Done    the message is delivered again, marked Redelivered
//	in Put to a ring            the item is delivered whole, or it never was
//	in Get from a ring          the next consumer gets the item, or it went with it
//	as one side of a ring       the other one is told when it has to wait: ErrAbandoned, once
//	in SendBytes                the message is received whole, or not at all; of one larger
//	                            than the pipe a receiver may have parts: io.ErrUnexpectedEOF
//	in RecvBytes                the next receiver gets the message, or it went with it
//	with an end of a pipe       io.EOF at the other end, if nobody else has it
//	while it slept              nothing
//	while it recovered another  the next one does it again
//
// The others are never blocked for good. Parents of package procs notice the end
// of a child at once; who only sleeps notices when its wait is over, or asks the
// kernel every 100 ms. That a process is dead is known from a lock that the
// kernel holds for it, never from elapsed time: a stopped process keeps its slot.
//
// The tests of this package explore it exhaustively, every interleaving of a few
// processes with a kill before each access: of a queue its slots, leases, sleep and
// wake, CloseSend, registered producers with the end that they make, Join with the
// tasks that it waits for, and the arena: how its chunks are prepared, taken apart and
// given back, its blocks claimed and freed, and lease blocks made; of a ring and a pipe
// the whole.
//
// # Costs
//
// Measured on a virtual machine with two cores, 64-byte messages. Its host moves
// them about: a line of cache goes to the other core and back in 70 ns when they are
// near each other, and in 330 when they are far. Ranges are from the one to the other:
//
//	Put + Get in one goroutine               26 ns, no allocation, no system call
//	Put + Get between two processes          25 to 33 ns a message in a stream (a Go channel: 40 to 60)
//	the same from two to two                 28 to 36 ns (a Go channel: 44 to 92)
//	Put, Receive and Done of 64 bytes        50 to 62 ns a message in a stream, no allocation
//	PutBatch + GetBatch                      22 to 28 ns a message, 64 at a time; of a []byte 46 to
//	                                         80, as each is memory for the garbage collector
//	Put, other side awake                    2 atomic operations, no system call
//	Put, a receiver asleep                   1 system call
//	Put of more than the slot holds          2 atomic operations more
//	Put + Get by a Ring, two processes       14 to 21 ns a message in a stream, no atomic operation
//	PutBatch + GetBatch by a Ring            8 to 16 ns a message, 64 at a time
//	a ByteRing in chunks of 64 KiB           3 µs a chunk (22 GB/s)
//	TryGet from a ring that is empty         1 system call; Len is none
//	SendBytes + RecvInto in one goroutine    85 ns, no allocation, no system call
//	SendBytes to another process             120 to 240 ns a message in a stream (os.Pipe: 1,400)
//	there and back, both awake               Ring 0.25 to 0.7 µs, queue 0.3 to 1.2, pipe from 0.5 (a line of cache: 0.07 to 0.33)
//	there and back, both asleep              2 system calls each way; 0.5 to 1.4 times the time of os.Pipe
//	a message of 1 MiB                       130 to 180 µs (os.Pipe: 600 to 900)
//	an idle queue                            a look every 100 ms: 0.13 % of a core, of which the Go
//	                                         runtime takes 0.12 (a bare futex wait in slices of
//	                                         100 ms), a loop of time.Sleep(100 ms) 0.18, C 0.05
//
// What limits them: there and back the Ring moves two lines each way, that of the
// item and that which says so; a queue two or three, and takes one of them over once
// more to claim it. In batches, making a message and looking at it takes longer than
// moving it, and bufio over a pipe moves 64 KiB in a call too: package bench, whose
// hash of a message takes 20 ns, finds the Ring 2 to 2.5 times as fast, a queue 1.4
// to 1.7 times.
//
// A queue of capacity n takes n slots of memory at once, and with the first Receive
// or Reserve 256 places for leases, twice as many whenever those are all in use;
// messages that do not fit their slot take what they need, of which a drained queue
// without a capacity keeps 1 MiB, or one large message for another 100 ms.
//
// # Limits
//
// Types with pointers go through a Codec, by default package gob, which takes some
// microseconds; types without, strings and []byte are copied as they are. So the
// unexported fields of a struct without pointers arrive, and those of a struct with
// pointers do not, unless it marshals itself.
//
// A queue trusts its processes: one that writes into the memory on its own can make
// messages wrong, though not make others crash.
package mpqueue
