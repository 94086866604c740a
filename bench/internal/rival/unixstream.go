package rival

import "os"

// UnixStream is a connected pair of Unix stream sockets. The choices:
//
//   - Frames as in a pipe, one write a message; a process that has the
//     receiving end to itself reads through a bufio.Reader.
//   - Locks only where several processes share an end.
//   - Blocking descriptors, for the reason given at newPipe, and the send
//     buffer as large as the machine allows any user.
func UnixStream() Kind {
	return Kind{
		Name:        "unix",
		ReadsWrites: true,
		About:       "a pair of Unix stream sockets, one frame a message",
		Skip:        onlyLinux,
		Make:        func(s Spec) (*Channel, error) { return makeSocket(s, newStreamPair) },
		Sender:      openStreamSender,
		Receiver: func(e Ends, files []*os.File) (Receiver, error) {
			return openStreamReceiver(e, files, true)
		},
	}
}

// makeSocket makes a channel of a pair of sockets.
func makeSocket(s Spec, pair func() (r, w *os.File, err error)) (*Channel, error) {
	r, w, err := pair()
	if err != nil {
		return nil, err
	}
	return makeStream(s, r, w, s.Producers > 1 || s.Consumers > 1)
}
