package rival

import "os"

// Pipe is os.Pipe with one frame a message, the first thing one writes. The
// choices:
//
//   - One write a message (two from 16 KiB on), two reads.
//   - A lock at an end only if several processes share that end: frames above
//     4 KiB would mix, and a reader must not take half of another's.
//   - 1 MiB of buffer, and blocking ends: see newPipe.
func Pipe() Kind {
	return Kind{
		Name:        "pipe",
		ReadsWrites: true,
		About:       "os.Pipe, one frame a message",
		Skip:        func(Spec) string { return "" },
		Make:        func(s Spec) (*Channel, error) { return makePipe(s, s.Producers > 1 || s.Consumers > 1) },
		Sender:      openStreamSender,
		Receiver: func(e Ends, files []*os.File) (Receiver, error) {
			return openStreamReceiver(e, files, false)
		},
	}
}
