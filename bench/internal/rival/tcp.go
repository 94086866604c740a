package rival

import (
	"errors"
	"net"
	"os"
)

// TCP is one connection over the loop-back interface: what two programs use
// that may one day run on two machines. The choices: frames, buffers and locks
// as for Unix sockets; no delay, as Go's net sets it.
func TCP() Kind {
	return Kind{
		Name:        "tcp",
		ReadsWrites: true,
		About:       "a TCP connection over loop-back, one frame a message",
		Skip:        onlyLinux,
		Make:        func(s Spec) (*Channel, error) { return makeSocket(s, newTCPPair) },
		Sender:      openStreamSender,
		Receiver: func(e Ends, files []*os.File) (Receiver, error) {
			return openStreamReceiver(e, files, true)
		},
	}
}

// newTCPPair connects to itself and returns both ends as blocking files.
func newTCPPair() (r, w *os.File, err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, nil, err
	}
	defer l.Close()
	out, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		return nil, nil, err
	}
	defer out.Close()
	in, err := l.Accept()
	if err != nil {
		return nil, nil, err
	}
	defer in.Close()
	r, err = blockingFile(in.(*net.TCPConn))
	if err != nil {
		return nil, nil, err
	}
	w, err = blockingFile(out.(*net.TCPConn))
	if err != nil {
		return nil, nil, errors.Join(err, r.Close())
	}
	return r, w, nil
}
