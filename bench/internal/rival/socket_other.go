//go:build !linux

package rival

import (
	"errors"
	"net"
	"os"
)

func onlyLinux(Spec) string { return "only on Linux" }

func newStreamPair() (r, w *os.File, err error) { return nil, nil, errors.ErrUnsupported }

func newPacketPair() (r, w *os.File, err error) { return nil, nil, errors.ErrUnsupported }

func sendBuffer() int { return 0 }

func blockingFile(*net.TCPConn) (*os.File, error) { return nil, errors.ErrUnsupported }
