package mpqueue_test

import (
	"net"
	"testing"

	"golang.org/x/net/nettest"

	"shmkit/mpqueue"
)

// TestNetConn runs the suite of package net for connections.
func TestNetConn(t *testing.T) {
	nettest.TestConn(t, func() (a, b net.Conn, stop func(), err error) {
		x, y, err := mpqueue.Pipe()
		if err != nil {
			return nil, nil, nil, err
		}
		return x.NetConn(), y.NetConn(), func() {
			x.Close()
			y.Close()
		}, nil
	})
}
