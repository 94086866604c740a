package shm_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"shmkit/procs/procstest"
	"shmkit/shm"
)

// asker asks for its token at words of one segment all the time.
type asker struct {
	words  []atomic.Uint32
	self   shm.Token
	closed atomic.Bool // begins before Close, so that both answers may be right
	wrong  error
	asked  int
}

func (a *asker) ask() {
	for a.wrong == nil {
		before := a.closed.Load()
		for _, w := range []*atomic.Uint32{&a.words[0], &a.words[a.asked%len(a.words)], &a.words[len(a.words)-1]} {
			got := shm.SelfAt(w)
			if got != a.self && !(got == 0 && a.closed.Load()) {
				a.wrong = fmt.Errorf("the token at a word is %v, want %v; closed: %v", got, a.self, before)
			}
		}
		a.asked++
		if before {
			return
		}
	}
}

// firstUser is a new process, in which no lock has been used yet. Segment i of
// names is opened i times, so that each has another token; then all are asked at
// once, and closed one after the other, the one first used before the others.
var firstUser = procstest.Role("first user", func(ctx context.Context, names []string) error {
	var heap atomic.Uint32
	if t := shm.SelfAt(&heap); t != 0 {
		return fmt.Errorf("a word on the heap is ours as %v", t)
	}
	var open []*shm.Slice[atomic.Uint32]
	var askers []*asker
	var asking sync.WaitGroup
	tokens := map[shm.Token]bool{}
	for i, name := range names {
		for range i {
			s, err := shm.OpenSlice[atomic.Uint32](name)
			if err != nil {
				return err
			}
			s.Close()
		}
		s, err := shm.OpenSlice[atomic.Uint32](name)
		if err != nil {
			return err
		}
		a := &asker{words: s.Data(), self: s.Segment().Self()}
		open, askers = append(open, s), append(askers, a)
		tokens[a.self] = true
		asking.Go(a.ask)
		time.Sleep(time.Millisecond)
	}
	if len(tokens) != len(names) {
		return fmt.Errorf("%d segments, but tokens %v", len(names), tokens)
	}
	for i, s := range open {
		askers[i].closed.Store(true)
		if err := s.Close(); err != nil {
			return err
		}
		if t := shm.SelfAt(&askers[i].words[1]); t != 0 {
			return fmt.Errorf("a word of a closed segment is ours as %v", t)
		}
	}
	asking.Wait()
	for i, a := range askers {
		if a.wrong != nil {
			return fmt.Errorf("segment %d: %w", i, a.wrong)
		}
	}
	// One that comes now may get the addresses of one that has gone.
	s, err := shm.NewSlice[atomic.Uint32](len(askers[0].words), shm.WithOwnSegment())
	if err != nil {
		return err
	}
	defer s.Close()
	if t := shm.SelfAt(&s.Data()[3]); t != s.Segment().Self() {
		return fmt.Errorf("after all: the token is %v, want %v", t, s.Segment().Self())
	}
	return nil
})

// A process finds its own token in every segment, wherever it used a lock first,
// and in none that it has closed.
func TestSelfAt(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	var names []string
	for i := range 6 {
		name := fmt.Sprint("self-", i)
		s, err := shm.CreateSlice[atomic.Uint32](name, 5000, shm.WithKeep())
		if err != nil {
			t.Fatal(err)
		}
		s.Close()
		defer shm.Remove(name)
		names = append(names, name)
	}
	for range 5 {
		if s := firstUser.Start(t, names).Wait(); s.Err != nil {
			t.Error(s)
		}
	}
}
