package mpqueue

import (
	"sync"
	"sync/atomic"
	"time"
)

// Who falls asleep and who publishes must not miss each other:
//
//	the consumer             the producer
//	sets waited              stores the write position
//	looks at the position    looks at waited
//
// If neither saw the other's store the consumer would sleep beside an item. So
// between store and look each needs a full fence. The consumer's costs nothing
// worth mentioning: it is about to sleep. The producer's, after every item,
// would cost more than the item.
//
// So the producer has none: it publishes by a plain store, and the consumer
// makes it execute a fence, whenever that is needed: the membarrier system call
// returns when every thread that was running in a registered process has passed
// one. Call the moment at which the producer's thread passed it F.
//
//	the producer's look came before F   then so did its store, which therefore
//	                                    was visible when membarrier returned: the
//	                                    consumer, looking after that, sees it
//	the look comes after F              it sees waited, set before F: it wakes
//
// A thread that was not running has passed a fence when it was taken off its
// processor. The same holds for the closed flag instead of waited, and with the
// roles exchanged for the places that the consumer frees.
//
// Registering a process takes the kernel some 10 ms, once; it is done in the
// background, and until then the process publishes by a store that is a fence
// itself. The role word says how its holder publishes (bit plain), and the
// holder sets the bit, by an atomic operation that is a full fence, before its
// first plain store: a sleeper that does not see the bit set waited before that
// operation, so that the plain store's look will see it.
//
// A process that must not call membarrier sets the bit fence in the ring's state
// words when it attaches. The other side sees that at its next look and from
// then on executes a fence of its own before a second look. What it published
// without one before is on its way through a store buffer, for nanoseconds: the
// newcomer waits for a millisecond.
//
// Where the processor's release store followed by a load is in order anyway
// (arm64), or in programs built with -race or purego, shm.StoreRelease is the
// fence: the process does not register, and never sets the bit plain. It looks at
// the bit of the other side all the same, which may be another build of the program.

// fences is what this process knows of membarrier.
var fences struct {
	once       sync.Once
	registered atomic.Bool
	lacking    atomic.Bool // set by tests: behave as if the call were forbidden
	inStore    atomic.Bool // set by tests: behave as a build whose store is a fence
}

// prepareFences begins the registration of this process, or does without.
func (c *ringCore) prepareFences() {
	if storesFence() {
		return // and when it meets a side that publishes plainly, see fenceFor
	}
	if !membarrierAllowed() {
		c.askForFences()
		time.Sleep(fenceLag)
		return
	}
	registerInBackground()
}

func registerInBackground() {
	fences.once.Do(func() {
		go func() {
			if registerMembarrier() {
				fences.registered.Store(true)
			}
		}()
	})
}

// storesFence reports whether the publishing store of this process is a fence.
func storesFence() bool { return storeIsFence || fences.inStore.Load() }

// canPublishPlain reports whether shm.StoreRelease will do.
func canPublishPlain() bool { return storesFence() || fences.registered.Load() }

func membarrierAllowed() bool { return !fences.lacking.Load() && hasMembarrier() }

// fenceFor lies between the setting of a flag by side s and its look at what the
// other side published. It is for the store of the other side, however this process
// publishes.
func (c *ringCore) fenceFor(s *ringSide) {
	switch {
	case s.peer.Load()&rolePlain == 0:
	case c.ctl.recvState.Load()&ringFence != 0:
	case membarrierAllowed() && membarrier():
	default:
		c.askForFences()
		time.Sleep(fenceLag)
	}
}

// fenceLag is how long a store that no fence follows can be in sight of nobody
// but its own processor, a thousand times over.
const fenceLag = time.Millisecond

// askForFences makes both sides execute their own fences from now on.
func (c *ringCore) askForFences() {
	c.ctl.sendState.Or(ringFence)
	c.ctl.recvState.Or(ringFence)
}

// fullFence is a full memory fence.
func fullFence() { fenceWord.Add(1) }

var fenceWord atomic.Uint32
