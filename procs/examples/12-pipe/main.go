// A pipe: two ends, each for one side.
//
//	parent_conn, child_conn = Pipe()
//	p = Process(target=f, args=(child_conn,))
//	p.start()
//	print(parent_conn.recv())         # [42, None, 'hello']
//	child_conn.close()
//	parent_conn.recv()                # EOFError, once nobody has the other end
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"shmkit/mpqueue"
	"shmkit/procs"
)

// A child answers until its parent closes the pipe.
var child = procs.Register("child", func(ctx context.Context, conn *mpqueue.Conn) error {
	if err := conn.Send(ctx, []any{42, nil, "hello"}); err != nil {
		return err
	}
	for {
		v, err := conn.Recv(ctx)
		if errors.Is(err, io.EOF) {
			fmt.Println("child: the end")
			return nil
		}
		if err != nil {
			return err
		}
		if err := conn.Send(ctx, fmt.Sprintf("%v, yes", v)); err != nil {
			return err
		}
	}
})

func main() { procs.Main(run) }

func run(ctx context.Context) error {
	parentConn, childConn, err := mpqueue.Pipe()
	if err != nil {
		return err
	}
	defer parentConn.Close()
	// The argument gives childConn away. Python's parent has to close its copy,
	// or never sees the end.
	p := child.Process(childConn)
	if err := p.Start(); err != nil {
		return err
	}
	v, err := parentConn.Recv(ctx)
	if err != nil {
		return err
	}
	fmt.Println("parent got", v)
	if err := parentConn.Send(ctx, "are you there?"); err != nil {
		return err
	}
	soon, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	ok, err := parentConn.Poll(soon) // poll(60): is there anything, within a minute?
	if !ok || err != nil {
		return fmt.Errorf("no answer: %w", err)
	}
	if v, err = parentConn.Recv(ctx); err != nil {
		return err
	}
	fmt.Println("parent got", v)
	return errors.Join(parentConn.Close(), p.Join(ctx))
}
