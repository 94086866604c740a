// HTTP over shared memory: an end of a pipe as a net.Conn. Whatever talks over a
// connection, net/http, net/rpc or gRPC for instance, runs over it unchanged.
//
// The child is the server, the parent the client; there is no port, no socket and
// no file between them.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"

	"shmkit/mpqueue"
	"shmkit/procs"
)

// server serves HTTP on one connection until the other end is closed.
var server = procs.Register("server", func(ctx context.Context, conn *mpqueue.Conn) error {
	http.HandleFunc("POST /upper", func(w http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s says %s", procs.Current().Name(), strings.ToUpper(string(text)))
	})
	one := make(oneConn, 1)
	one <- conn.NetConn()
	s := http.Server{ConnState: func(_ net.Conn, state http.ConnState) {
		if state == http.StateClosed {
			close(one) // the client has gone: there will be no other
		}
	}}
	if err := s.Serve(one); !errors.Is(err, net.ErrClosed) {
		return err
	}
	fmt.Println("server: the client has gone")
	return nil
})

// oneConn is a net.Listener that accepts what is in the channel.
type oneConn chan net.Conn

func (l oneConn) Accept() (net.Conn, error) {
	if c, ok := <-l; ok {
		return c, nil
	}
	return nil, net.ErrClosed
}

func (l oneConn) Close() error   { return nil }
func (l oneConn) Addr() net.Addr { return &net.UnixAddr{Name: "shared memory"} }

func main() { procs.Main(run) }

func run(ctx context.Context) error {
	mine, theirs, err := mpqueue.Pipe()
	if err != nil {
		return err
	}
	p := server.Process(theirs, procs.Name("server-1"))
	if err := p.Start(); err != nil {
		return err
	}
	client := &http.Client{Transport: &http.Transport{ // every request goes through the pipe
		DialContext:     func(context.Context, string, string) (net.Conn, error) { return mine.NetConn(), nil },
		MaxConnsPerHost: 1,
	}}
	for _, word := range []string{"hello", strings.Repeat("包子 ", 50000)} {
		r, err := client.Post("http://server/upper", "text/plain", strings.NewReader(word))
		if err != nil {
			return err
		}
		text, _ := io.ReadAll(r.Body)
		r.Body.Close()
		fmt.Printf("client: %v, %d bytes: %.20s\n", r.Status, len(text), text)
	}
	client.CloseIdleConnections()
	return p.Join(ctx)
}
