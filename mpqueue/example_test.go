package mpqueue_test

import (
	"context"
	"errors"
	"fmt"
	"io"

	"shmkit/mpqueue"
)

// The two sides are usually two processes; see the examples of package procs.
func Example() {
	ctx := context.Background()
	q, err := mpqueue.New[string](3)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer q.Close()
	go func() {
		for i := range 4 {
			if err := q.Put(ctx, fmt.Sprintf("包子 %d", i)); err != nil {
				fmt.Println(err)
			}
		}
		q.CloseSend()
	}()
	for v, err := range q.All(ctx) {
		fmt.Println(v, err)
	}
	// Output:
	// 包子 0 <nil>
	// 包子 1 <nil>
	// 包子 2 <nil>
	// 包子 3 <nil>
}

// A question and its answer. The other side is usually another process, which
// got b as an argument.
func ExamplePipe() {
	ctx := context.Background()
	a, b, err := mpqueue.Pipe()
	if err != nil {
		fmt.Println(err)
		return
	}
	go func() {
		defer b.Close()
		for {
			v, err := b.Recv(ctx)
			if err != nil {
				return
			}
			b.Send(ctx, []any{v, "is what you said"})
		}
	}()
	a.Send(ctx, map[string]int{"answer": 42})
	fmt.Println(a.Recv(ctx))
	a.Close()
	// Output:
	// [map[answer:42] is what you said] <nil>
}

// A message that does not fit the buffer stays.
func ExampleConn_RecvInto() {
	ctx := context.Background()
	r, w, err := mpqueue.Pipe(mpqueue.OneWay())
	if err != nil {
		fmt.Println(err)
		return
	}
	w.SendBytes(ctx, []byte("hello world"))
	w.Close()
	buf := make([]byte, 5)
	n, err := r.RecvInto(ctx, buf)
	var short *mpqueue.TooShortError
	if errors.As(err, &short) {
		buf = make([]byte, short.Size)
		n, err = r.RecvInto(ctx, buf)
	}
	fmt.Println(string(buf[:n]), err)
	_, err = r.RecvInto(ctx, buf)
	fmt.Println(err)
	r.Close()
	// Output:
	// hello world <nil>
	// EOF
}

// An end of a pipe as a net.Conn.
func ExampleConn_NetConn() {
	a, b, err := mpqueue.Pipe()
	if err != nil {
		fmt.Println(err)
		return
	}
	go func() {
		c := b.NetConn()
		fmt.Fprintln(c, "over shared memory")
		c.Close()
	}()
	text, err := io.ReadAll(a.NetConn())
	fmt.Printf("%q %v\n", text, err)
	a.Close()
	// Output:
	// "over shared memory\n" <nil>
}
