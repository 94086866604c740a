// Selling tickets: many buyers, one stock, one lock.
//
// The tutorial keeps the stock in a file, locks around it, and asks for
// something faster that looks after the lock. That is a struct in shared
// memory, with its lock beside the data that it guards.
package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"shmkit/futexlock"
	"shmkit/procs"
	"shmkit/shm"
)

// Stock is shared. It has no pointers, and its zero bytes are a valid stock.
type Stock struct {
	Mutex futexlock.Mutex
	Left  int64
	Sold  [32]int64 // by buyer
}

type buyer struct {
	Stock *shm.Object[Stock]
	N     int
}

var buy = procs.RegisterFunc("buy", func(ctx context.Context, b buyer) (bool, error) {
	s := b.Stock.Value()
	err := s.Mutex.LockContext(ctx)
	if errors.Is(err, futexlock.ErrOwnerDied) {
		// Who died here may have taken a ticket and not written who has it.
		// The number left is what counts: a ticket is lost, none is sold twice.
		s.Mutex.Consistent()
	} else if err != nil {
		return false, err
	}
	defer s.Mutex.Unlock()
	left := s.Left
	time.Sleep(5 * time.Millisecond) // the network: long enough for a race
	if left == 0 {
		return false, nil
	}
	s.Left = left - 1
	s.Sold[b.N]++
	return true, nil
})

func main() { procs.Main(run) }

func run(ctx context.Context) error {
	stock, err := shm.New[Stock]()
	if err != nil {
		return err
	}
	defer stock.Close()
	stock.Value().Left = 10

	var buyers []*procs.ResultProcess[bool]
	for n := range len(stock.Value().Sold) {
		p := buy.Process(buyer{stock, n})
		if err := p.Start(); err != nil {
			return err
		}
		buyers = append(buyers, p)
	}
	got := 0
	for _, p := range buyers {
		if ok, err := p.Result(ctx); err != nil {
			return err
		} else if ok {
			got++
		}
	}
	fmt.Printf("%d buyers, %d got a ticket, %d left\n", len(buyers), got, stock.Value().Left)
	return nil
}
