package matrix

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"shmkit/bench/internal/machine"
	"shmkit/bench/internal/rival"
	"shmkit/bench/internal/stage"
	"shmkit/procs"
	"shmkit/shm"
)

// A sample is one run of a case.
type sample struct {
	time     time.Duration // from the gate to the last message
	messages int
	bytes    int64
	used     machine.Usage
	calls    int64 // -1: not counted
}

func (s sample) perMessage() float64 { return float64(s.time) / float64(s.messages) }

// endless is the time after which a run that has not ended never will.
const endless = 90 * time.Second

// run sends count messages from each producer through a fresh channel, and
// checks that each of them arrived once.
func run(ctx context.Context, k rival.Kind, c Case, count int, tp machine.Tracepoint) (_ sample, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, endless, fmt.Errorf("%v: no end after %v", c, endless))
	defer cancel()
	o := orders{Case: c, Count: count, Trace: tp}
	if o.Board, err = shm.New[board](shm.WithOwnSegment()); err != nil {
		return sample{}, err
	}
	defer o.Board.Close()
	if o.Bits, err = shm.NewSlice[uint64](c.Consumers * c.Producers * tallyWords(count)); err != nil {
		return sample{}, err
	}
	defer o.Bits.Close()
	crew := stage.NewCrew(ctx)
	var begin int64
	if k.InProcess {
		begin = runInside(crew, o)
	} else {
		begin, err = runAcross(crew, k, o)
	}
	if err := errors.Join(crew.Wait(), err); err != nil {
		return sample{}, fmt.Errorf("%v: %w", c, err)
	}
	return judge(o, begin)
}

// runInside runs a case in one process of its own.
func runInside(crew *stage.Crew, o orders) (begin int64) {
	var group sync.WaitGroup
	crew.Start(process(inside, "inside", o, nil), &group)
	begin = open(crew, o, &o.slot(false).Cell)
	group.Wait()
	return begin
}

// runAcross runs a case between processes.
func runAcross(crew *stage.Crew, k rival.Kind, o orders) (begin int64, err error) {
	ch, err := k.Make(o.Case.spec(newPattern(o.Case.Size).max))
	if err != nil {
		crew.Fail(err)
		return 0, err
	}
	defer ch.Close()
	o.Ends = ch.Ends
	var senders, receivers sync.WaitGroup
	var cells []*stage.Cell
	for i := range o.Case.Consumers {
		o.Number = i
		cells = append(cells, &o.slot(true).Cell)
		crew.Start(process(receiver, fmt.Sprintf("receiver-%d", i), o, ch.ReceiveFiles), &receivers)
	}
	for i := range o.Case.Producers {
		o.Number = i
		cells = append(cells, &o.slot(false).Cell)
		crew.Start(process(sender, fmt.Sprintf("sender-%d", i), o, ch.SendFiles), &senders)
	}
	begin = open(crew, o, cells...)
	senders.Wait()
	crew.Fail(ch.CloseSend(crew.Context()))
	receivers.Wait()
	return begin, nil
}

// open opens the gate when all workers are there.
func open(crew *stage.Crew, o orders, cells ...*stage.Cell) (begin int64) {
	if stage.Await(crew.Context(), cells...) {
		begin = machine.Now()
		o.Board.Value().Gate.Set()
	}
	return begin
}

func process(f *procs.Function[orders], name string, o orders, files []*os.File) *procs.Process {
	o.Files = len(files)
	return f.Process(o, procs.Name(name), procs.Daemon(), procs.ExtraFiles(files...))
}

// judge reads the board and the bits of a run that has ended well.
func judge(o orders, begin int64) (sample, error) {
	c, words := o.Case, o.Case.Producers*tallyWords(o.Count)
	var lists [][]uint64
	s := sample{messages: c.Producers * o.Count}
	last, got := begin, int64(0)
	var cells []*stage.Cell
	for i := range c.Consumers {
		o.Number = i
		sl := o.slot(true)
		last, got = max(last, sl.Last.Load()), got+sl.Count.Load()
		lists = append(lists, o.Bits.Data()[i*words:(i+1)*words])
		cells = append(cells, &sl.Cell)
	}
	for i := range c.Producers {
		o.Number = i
		cells = append(cells, &o.slot(false).Cell)
	}
	if got != int64(s.messages) {
		return s, fmt.Errorf("%v: %d messages arrived, not %d", c, got, s.messages)
	}
	if err := exactlyOnce(lists, c.Producers, o.Count); err != nil {
		return s, fmt.Errorf("%v: %w", c, err)
	}
	p := newPattern(c.Size)
	for seq := range min(o.Count, len(p.sizes)) {
		s.bytes += int64(p.size(seq))
	}
	s.bytes = s.bytes * int64(s.messages) / int64(min(o.Count, len(p.sizes)))
	s.time = time.Duration(last - begin)
	// Where one process played all parts, only its cell was used.
	cells = slices.DeleteFunc(cells, func(c *stage.Cell) bool { return !c.Ready() })
	s.used, s.calls = stage.Sum(cells...)
	return s, nil
}
