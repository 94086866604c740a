package matrix

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/cespare/xxhash/v2"

	"shmkit/bench/internal/machine"
	"shmkit/bench/internal/rival"
	"shmkit/bench/internal/stage"
	"shmkit/procs"
	"shmkit/shm"
)

// journey is what the two ends of a latency measurement are told.
type journey struct {
	Case      Case
	Rate      int           // messages a second; 0: one after the other, there and back
	Time      time.Duration // of the measurement, after a tenth of it to warm up
	Out, Back rival.Ends
	Files     [2]int // for Out and for Back
	Board     *shm.Object[board]
	Counts    *shm.Slice[int64]
}

var (
	near    = procs.Register("bench.matrix.near", func(ctx context.Context, j journey) error { return j.across(ctx, true) })
	far     = procs.Register("bench.matrix.far", func(ctx context.Context, j journey) error { return j.across(ctx, false) })
	oneroom = procs.Register("bench.matrix.oneroom", func(ctx context.Context, j journey) error { return j.within(ctx) })
)

// across plays one end, in a process of its own.
func (j journey) across(ctx context.Context, isNear bool) error {
	k, err := find(j.Case.Impl)
	if err != nil {
		return err
	}
	files := stage.Inherited(j.Files[0] + j.Files[1])
	outFiles, backFiles := files[:j.Files[0]], files[j.Files[0]:]
	cell := &j.Board.Value().Workers[0].Cell
	var s rival.Sender
	var r rival.Receiver
	if isNear {
		if s, err = k.Sender(j.Out, outFiles); err == nil && j.Rate == 0 {
			r, err = k.Receiver(j.Back, backFiles)
		}
	} else {
		cell = &j.Board.Value().Workers[1].Cell
		if r, err = k.Receiver(j.Out, outFiles); err == nil && j.Rate == 0 {
			s, err = k.Sender(j.Back, backFiles)
		}
	}
	if err != nil {
		return err
	}
	l, err := cell.Begin(ctx, &j.Board.Value().Gate, 0)
	if err != nil {
		return err
	}
	defer l.End()
	return j.play(ctx, isNear, s, r)
}

// within plays both ends, for a kind that cannot leave its process.
func (j journey) within(ctx context.Context) error {
	k, err := find(j.Case.Impl)
	if err != nil {
		return err
	}
	out, err := k.Make(j.Case.spec(newPattern(j.Case.Size).max))
	if err != nil {
		return err
	}
	back, err := k.Make(j.Case.spec(newPattern(j.Case.Size).max))
	if err != nil {
		return err
	}
	outS, e1 := k.Sender(out.Ends, nil)
	outR, e2 := k.Receiver(out.Ends, nil)
	backS, e3 := k.Sender(back.Ends, nil)
	backR, e4 := k.Receiver(back.Ends, nil)
	if err := errors.Join(e1, e2, e3, e4); err != nil {
		return err
	}
	l, err := j.Board.Value().Workers[0].Begin(ctx, &j.Board.Value().Gate, 0)
	if err != nil {
		return err
	}
	defer l.End()
	var group sync.WaitGroup
	var farErr error
	group.Go(func() { farErr = j.play(ctx, false, backS, outR) })
	err = j.play(ctx, true, outS, backR)
	err = errors.Join(err, out.CloseSend(ctx))
	group.Wait()
	return errors.Join(err, farErr)
}

func (j journey) play(ctx context.Context, isNear bool, s rival.Sender, r rival.Receiver) error {
	switch p := newPattern(j.Case.Size); {
	case j.Rate == 0 && isNear:
		return j.ping(ctx, p, s, r)
	case j.Rate == 0:
		return pong(ctx, p, s, r)
	case isNear:
		return j.emit(ctx, p, s)
	default:
		return j.arrive(ctx, p, r)
	}
}

// ping sends a message, waits for it to come back, and so on. Messages that
// are late delay those behind them, who then look faster than they are: that
// is what the open loop is for.
func (j journey) ping(ctx context.Context, p *pattern, s rival.Sender, r rival.Receiver) error {
	h, buf := newHistogram(), make([]byte, p.max)
	begin := time.Now()
	for seq, warm := 0, true; ; seq++ {
		if seq%64 == 0 {
			gone := time.Since(begin)
			if gone > j.Time+j.Time/10 {
				break
			}
			if warm && gone > j.Time/10 {
				h.Reset()
				warm = false
			}
		}
		m := buf[:p.size(seq)]
		p.build(m, 0, seq, false)
		sent := time.Now()
		if err := errors.Join(s.Send(ctx, m), rival.Flush(s)); err != nil {
			return fmt.Errorf("send: %w", err)
		}
		got, err := r.Recv(ctx)
		if err != nil {
			return fmt.Errorf("receive: %w", err)
		}
		h.record(int64(time.Since(sent)))
		if _, n, _, err := p.check(got); err != nil || n != seq {
			return fmt.Errorf("message %d came back for %d: %w", n, seq, err)
		}
		if err := r.Done(); err != nil {
			return err
		}
	}
	h.leave(j.Counts)
	return s.Close()
}

// pong sends back whatever comes.
func pong(ctx context.Context, p *pattern, s rival.Sender, r rival.Receiver) error {
	for {
		m, err := r.Recv(ctx)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("receive: %w", err)
		}
		if err := errors.Join(s.Send(ctx, m), rival.Flush(s), r.Done()); err != nil {
			return fmt.Errorf("send back: %w", err)
		}
	}
}

// emit sends at a fixed rate. Each message carries the time at which it should
// have been sent, even if the channel made its sender late: what waits in
// front of a slow channel has waited too.
func (j journey) emit(ctx context.Context, p *pattern, s rival.Sender) error {
	buf := make([]byte, p.max)
	begin := machine.Now()
	for seq := range j.messages() {
		due := begin + int64(seq)*int64(time.Second)/int64(j.Rate)
		for machine.Now() < due {
			shm.Pause(4)
		}
		m := buf[:p.size(seq)]
		p.build(m, 0, seq, false)
		p.stamp(m, seq, due)
		if err := errors.Join(s.Send(ctx, m), rival.Flush(s)); err != nil {
			return fmt.Errorf("send: %w", err)
		}
	}
	return s.Close()
}

// arrive measures how late each message is, and how long all of them took.
func (j journey) arrive(ctx context.Context, p *pattern, r rival.Receiver) error {
	h := newHistogram()
	first, last := int64(0), int64(0)
	for seq := 0; ; seq++ {
		m, err := r.Recv(ctx)
		if errors.Is(err, io.EOF) {
			if seq != j.messages() {
				return fmt.Errorf("%d messages of %d arrived", seq, j.messages())
			}
			break
		}
		if err != nil {
			return fmt.Errorf("receive: %w", err)
		}
		now := machine.Now()
		if _, n, _, err := p.check(m); err != nil || n != seq {
			return fmt.Errorf("message %d arrived instead of %d: %w", n, seq, err)
		}
		if last = now; first == 0 {
			first = now
		}
		if seq >= j.messages()/11 { // The first were to warm up.
			h.record(now - int64(binary.LittleEndian.Uint64(m[hashBytes:])))
		}
		if err := r.Done(); err != nil {
			return err
		}
	}
	h.leave(j.Counts)
	j.Board.Value().Workers[1].Last.Store(last - first)
	return nil
}

// messages is how many an open loop sends.
func (j journey) messages() int {
	return max(100, int((j.Time+j.Time/10).Seconds()*float64(j.Rate)))
}

// stamp puts a time into the message, which has at least stampBytes.
func (p *pattern) stamp(m []byte, seq int, t int64) {
	binary.LittleEndian.PutUint64(m[hashBytes:], uint64(t))
	binary.LittleEndian.PutUint64(m[nameBytes:], xxhash.Sum64(m[hashBytes:])^mix(uint64(seq)))
}
