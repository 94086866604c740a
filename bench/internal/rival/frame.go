package rival

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// headSize is the length prefix of a frame in a stream.
const headSize = 4

// ErrFrame says that what was read from a stream cannot be the beginning of a
// frame: a sender or receiver died in the middle of one, and everybody behind
// it reads bytes of one message as the length of the next.
var ErrFrame = errors.New("rival: corrupt frame")

// putHead writes the length prefix of a frame with n bytes.
func putHead(b []byte, n int) { binary.LittleEndian.PutUint32(b, uint32(n)) }

// head reads a length prefix. A length that no sender sends is ErrFrame.
func head(b []byte, most int) (int, error) {
	n := binary.LittleEndian.Uint32(b)
	if uint64(n) > uint64(most) {
		return 0, fmt.Errorf("%w: %d bytes, where no message has more than %d", ErrFrame, n, most)
	}
	return int(n), nil
}
