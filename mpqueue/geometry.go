package mpqueue

import (
	"fmt"
	"math/bits"

	"shmkit/shm"
)

// geometry says where the parts of a queue are. It is computed by the creator,
// stored in control, and computed again by whoever opens the queue: the two must
// agree.
type geometry struct {
	capacity, stride, inline, chunks                         uint64
	variable                                                 bool
	slotsOff, leaseOff, leaseData, blockOff, arenaOff, total uint64
	first, rules, tryMost                                    uint64
	reciprocal                                               uint64 // of capacity, see locate
}

// spareLeases are lease blocks beyond one for each item: a consumer that was
// killed holds one until the sweep.
const spareLeases = 16

// The rules of a queue, in control.rules.
const (
	ruleJoinable   = 1 << iota // Get keeps a lease until TaskDone
	ruleAtMostOnce             // nothing is delivered again
	ruleGrowing                // capacity 0: bounded by bytes, memory is given back
	ruleSleep                  // who waits does not spin
)

func (g *geometry) leases() uint64      { return g.capacity + spareLeases }
func (g *geometry) leaseStride() uint64 { return align(g.inline, 64) }

func align(n, to uint64) uint64 { return (n + to - 1) / to * to }

const (
	maxCapacity = 1 << 30
	maxTotal    = 1 << 45
	maxChunks   = 1<<17 - 1 // 8 GiB: block numbers have 24 bits
)

// plan lays out a queue for capacity items of up to inline bytes in the slot.
func plan(capacity, inline, arena, first uint64, variable bool) (geometry, error) {
	g := geometry{capacity: capacity, inline: inline, variable: variable, first: first}
	if capacity < 1 || capacity > maxCapacity || inline > maxTotal/capacity {
		return g, fmt.Errorf("%d slots of %d bytes are out of range", capacity, inline)
	}
	// Slots lie close together, on no cache line of their own: what a message
	// costs between two cores is the lines that it moves, and neighbours that
	// share one are used one after the other.
	g.stride = align(slotHeader+inline, 8)
	g.chunks = align(arena, chunkSize) / chunkSize
	g.slotsOff = align(controlSize+8*g.chunks, 128)
	g.leaseOff = align(g.slotsOff+capacity*g.stride, pageSize)
	g.leaseData = align(g.leaseOff+g.leases()*blockHeader, 64)
	g.blockOff = align(g.leaseData+g.leases()*g.leaseStride(), pageSize)
	g.arenaOff = align(g.blockOff+g.chunks*blocksPerChunk*blockHeader, pageSize)
	g.total = g.arenaOff + g.chunks*chunkSize
	if g.chunks > maxChunks {
		return g, fmt.Errorf("an arena of %d bytes is out of range, at most %d are possible", arena, uint64(maxChunks)*chunkSize)
	}
	if g.total > maxTotal {
		return g, fmt.Errorf("a queue of %d bytes is out of range", g.total)
	}
	if g.capacity > 1 {
		g.reciprocal, _ = bits.Div64(1, 0, g.capacity)
	}
	return g, nil
}

// write stores g into the control of a new queue.
func (g *geometry) write(c *control) {
	c.capacity, c.stride, c.inline, c.chunks = g.capacity, g.stride, g.inline, g.chunks
	c.variable = 0
	if g.variable {
		c.variable = 1
	}
	c.slotsOff, c.leaseOff, c.leaseData = g.slotsOff, g.leaseOff, g.leaseData
	c.blockOff, c.arenaOff, c.total, c.first = g.blockOff, g.arenaOff, g.total, g.first
	c.rules, c.tryMost = g.rules, g.tryMost
}

// readGeometry reads the geometry of the queue in s, once, and checks that it is
// what the plan makes of its own numbers.
func readGeometry(s *shm.Segment) (geometry, error) {
	data := s.Data()
	if len(data) < controlSize {
		return geometry{}, corrupt("the size of queue", 0, uint64(len(data)))
	}
	c := controlOf(data)
	is := geometry{
		capacity: c.capacity, stride: c.stride, inline: c.inline, chunks: c.chunks, variable: c.variable == 1,
		slotsOff: c.slotsOff, leaseOff: c.leaseOff, leaseData: c.leaseData, blockOff: c.blockOff, arenaOff: c.arenaOff,
		total: c.total, first: c.first, rules: c.rules, tryMost: c.tryMost,
	}
	if is.chunks > maxChunks {
		return is, corrupt("the number of chunks of queue", 0, is.chunks)
	}
	want, err := plan(is.capacity, is.inline, is.chunks*chunkSize, is.first, is.variable)
	if err != nil {
		return is, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	is.reciprocal, want.rules, want.tryMost = want.reciprocal, is.rules, is.tryMost
	if is != want || is.total > uint64(len(data)) {
		return is, corrupt("the geometry of queue", 0, is.total)
	}
	return is, nil
}

// locate returns the slot of position p and the lap on which p is: p modulo and
// divided by the capacity, by a multiplication instead of a division. The
// estimate is at most one too small.
func (g *geometry) locate(p uint64) (i, lap uint64) {
	if g.capacity == 1 {
		return 0, p
	}
	lap, _ = bits.Mul64(p, g.reciprocal)
	i = p - lap*g.capacity
	if i >= g.capacity {
		i -= g.capacity
		lap++
	}
	return i, lap
}
