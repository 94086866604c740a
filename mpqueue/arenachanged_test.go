package mpqueue

import (
	"testing"

	"shmkit/shm"
)

// Who takes the blocks of a chunk out of use, and finds then that the chunk has become
// something else, has been in the way of others: he wakes them.
func TestRetireChanged(t *testing.T) {
	q, err := New[[]byte](4)
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	if err := q.TryPut(make([]byte, chunkSize)); err != nil { // chunk 0 is a slab of the largest blocks
		t.Fatal(err)
	}
	if _, err := q.TryGet(); err != nil {
		t.Fatal(err)
	}
	c := q.q
	w := c.chunk[0].Load()
	if chunkState(w) != cSlab || chunkClass(w) != classes-1 {
		t.Fatalf("chunk 0: %#x", w)
	}
	v := setWaited(&c.roomy)
	before := chunkWord(cSlab, classes-2, 0, 0) | cKeeps // two blocks, which its reader found free
	if c.retire(0, 1, before) {
		t.Fatal("the chunk is no longer what was read")
	}
	if now := c.roomy.Load(); now == v || now&waited != 0 {
		t.Errorf("roomy is %#x, was %#x: nobody was woken", now, v)
	}
	for i := range c.blocks[:blocksPerChunk] {
		if bw := c.blocks[i].word.Load(); stateOf(bw) != bFree {
			t.Errorf("block %d: %#x", i, bw)
		}
	}
	for _, err := range shm.Check(q.Segment()) {
		t.Error(err)
	}
}
