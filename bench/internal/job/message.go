package job

import (
	"encoding/binary"
	"fmt"

	"shmkit/bench/internal/tree"
)

// headSize is what a message carries in front of the chunk's bytes: the number
// of the file (4 bytes) and the chunk's offset in it (8 bytes), and 4 bytes
// that keep the chunk aligned.
const headSize = 16

// maxMessage is the longest message.
const maxMessage = headSize + tree.ChunkSize

// putHead writes the head of a message.
func putHead(b []byte, file int, offset int64) {
	binary.LittleEndian.PutUint32(b, uint32(file))
	binary.LittleEndian.PutUint32(b[4:], 0)
	binary.LittleEndian.PutUint64(b[8:], uint64(offset))
}

// parse finds out which chunk of the plan a message is, and its bytes. It
// returns an error for a message that no producer of this plan has sent.
func parse(p *tree.Plan, b []byte) (number int, chunk []byte, err error) {
	if len(b) < headSize {
		return 0, nil, fmt.Errorf("corrupt message: %d bytes, too short for its head", len(b))
	}
	file, offset := binary.LittleEndian.Uint32(b), int64(binary.LittleEndian.Uint64(b[8:]))
	number, size, ok := p.Chunk(int(file), offset)
	if !ok {
		return 0, nil, fmt.Errorf("corrupt message: no chunk at offset %d of file %d", offset, file)
	}
	if len(b)-headSize != size {
		return 0, nil, fmt.Errorf("corrupt message: %d bytes for offset %d of file %d, which has %d there", len(b)-headSize, offset, file, size)
	}
	return number, b[headSize:], nil
}
