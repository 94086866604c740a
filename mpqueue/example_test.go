package mpqueue_test

import (
	"context"
	"fmt"

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
