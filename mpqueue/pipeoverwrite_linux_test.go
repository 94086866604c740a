package mpqueue_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"shmkit/mpqueue"
	"shmkit/procs"
	"shmkit/procs/procstest"
	"shmkit/shm"
)

// What may happen when the bytes of a pipe are damaged under those who use it. The
// pipe goes one way only, from end 1 to end 0, in way 1. Whatever is damaged:
//
//   - no call panics, faults, or stays longer than its context;
//   - the bytes of the unused way stay as they are;
//   - ErrCorrupt says where, and what it found there.
//
// And for each place there is a list of the errors, and a rule for the values.
type mayHappen struct {
	what       string
	from, to   int
	sends      []error // what sends may return, beside nil
	receives   []error
	waits      bool // calls may wait until their context ends: a word to sleep on, or a lock, is damaged
	lose       bool // messages may be missing
	anyMessage bool // messages may be wrong: the place says where the next one is
	firstByte  bool // the first message may be wrong, in the damaged byte only
}

const (
	oneWayControl = 1664
	oneWayData    = 8192 // the way 0 has the 4096 bytes before
)

var (
	cutOrCorrupt = []error{mpqueue.ErrCorrupt, io.ErrUnexpectedEOF, errTooShort}
	errTooShort  = errors.New("a *TooShortError")
)

// pipePlaces is the table; what is in no row must change nothing at all.
var pipePlaces = []mayHappen{
	{what: "hold of the receiving end", from: 128, to: 132, sends: []error{io.ErrClosedPipe}, receives: []error{io.ErrUnexpectedEOF}, waits: true, lose: true},
	{what: "hold of the sending end", from: 132, to: 136, receives: []error{io.EOF, io.ErrUnexpectedEOF}, waits: true, lose: true},
	{what: "mode", from: 136, to: 140, sends: []error{fs.ErrInvalid}, receives: []error{fs.ErrInvalid, io.ErrUnexpectedEOF}, waits: true, lose: true},
	{what: "send", from: oneWayControl, to: oneWayControl + 8, sends: []error{mpqueue.ErrCorrupt}, receives: []error{io.ErrUnexpectedEOF}, waits: true, lose: true},
	{what: "recv", from: oneWayControl + 128, to: oneWayControl + 136, receives: []error{mpqueue.ErrCorrupt, io.ErrUnexpectedEOF}, waits: true, lose: true},
	{what: "write", from: oneWayControl + 256, to: oneWayControl + 264, sends: []error{mpqueue.ErrCorrupt}, receives: cutOrCorrupt, waits: true, lose: true, anyMessage: true},
	{what: "read", from: oneWayControl + 384, to: oneWayControl + 392, sends: []error{mpqueue.ErrCorrupt}, receives: cutOrCorrupt, waits: true, lose: true, anyMessage: true},
	{what: "notEmpty and more", from: oneWayControl + 512, to: oneWayControl + 520, receives: []error{io.ErrUnexpectedEOF}, waits: true, lose: true},
	{what: "notFull", from: oneWayControl + 640, to: oneWayControl + 644, receives: []error{io.ErrUnexpectedEOF}, waits: true, lose: true},
	{what: "roomAt", from: oneWayControl + 648, to: oneWayControl + 656, receives: []error{io.ErrUnexpectedEOF}, waits: true, lose: true},
	{what: "turn", from: oneWayControl + 768, to: oneWayControl + 772, receives: []error{io.ErrUnexpectedEOF}, waits: true, lose: true},
	{what: "the head of the first message", from: oneWayData, to: oneWayData + 8, sends: []error{mpqueue.ErrCorrupt}, receives: cutOrCorrupt, waits: true, lose: true, anyMessage: true},
	{what: "the first message", from: oneWayData + 8, to: oneWayData + 8 + len(firstMessage), firstByte: true},
}

const firstMessage = "sent before"

func placeOf(off int) mayHappen {
	for _, p := range pipePlaces {
		if off >= p.from && off < p.to {
			return p
		}
	}
	return mayHappen{what: "a place that says nothing to these calls"}
}

// anything is the rule while all places are damaged again and again.
var anything = mayHappen{what: "all places", sends: []error{mpqueue.ErrCorrupt, fs.ErrInvalid, io.ErrClosedPipe, mpqueue.ErrTooLarge},
	receives: append([]error{fs.ErrInvalid, io.EOF}, cutOrCorrupt...), waits: true, lose: true, anyMessage: true}

// abuse is a run of calls at both ends of a damaged pipe.
type abuse struct {
	may  mayHappen
	at   int // the damaged byte
	wait time.Duration
	late time.Duration // planted into the first Poll

	mu   sync.Mutex
	errs []error
}

func (u *abuse) bad(format string, args ...any) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.errs = append(u.errs, fmt.Errorf(format, args...))
}

// call makes one call, and holds its error against those that may be. It reports
// whether there was none.
func (u *abuse) call(what string, may []error, f func(ctx context.Context) error) bool {
	begin := time.Now()
	ctx, cancel := context.WithTimeout(background, u.wait)
	defer cancel()
	if what == "Poll" {
		time.Sleep(u.late)
		u.late = 0
	}
	err := f(ctx)
	// 10 ms are allowed; a machine that is busy with sixteen of these takes longer.
	if took := time.Since(begin); took > u.wait+time.Second {
		u.bad("%s took %v beyond its context", what, took-u.wait)
	}
	switch {
	case err == nil:
		return true
	case errors.Is(err, context.DeadlineExceeded):
		if !u.may.waits || time.Since(begin) < u.wait {
			u.bad("%s did not wait, or must not have to: %v", what, err)
		}
		return false
	case errors.As(err, new(*mpqueue.TooShortError)):
		if !slices.Contains(may, errTooShort) && what != "RecvInto" {
			u.bad("%s: %v", what, err)
		}
		return false
	case errors.Is(err, mpqueue.ErrCorrupt) && !strings.Contains(err.Error(), " holds 0x"):
		u.bad("%s does not say where: %v", what, err)
	}
	if !slices.ContainsFunc(may, func(e error) bool { return errors.Is(err, e) }) {
		u.bad("%s: %v", what, err)
	}
	return false
}

// run makes the calls. It returns what was wrong.
func (u *abuse) run(from, to *mpqueue.Conn, damage func()) error {
	unused := to.Segment().Data()[oneWayData-4096 : oneWayData]
	for i := range unused {
		unused[i] = 0xa5
	}
	sent := [][]byte{[]byte(firstMessage), text(100), text(6000), text(1000)}
	if err := from.SendBytes(background, sent[0]); err != nil {
		return err
	}
	damage()
	var got [][]byte
	var both sync.WaitGroup
	both.Go(func() {
		for _, m := range sent[1:] {
			ok := u.call("SendBytes", u.may.sends, func(ctx context.Context) error { return from.SendBytes(ctx, m) })
			if !ok && !u.may.lose {
				u.bad("a message of %d bytes was not sent", len(m))
			}
		}
	})
	both.Go(func() {
		buf := make([]byte, 5)
		for range len(sent) {
			u.call("Poll", u.may.receives, func(ctx context.Context) error {
				ok, err := to.Poll(ctx)
				if !ok && err == nil {
					return ctx.Err()
				}
				return err
			})
			u.call("RecvInto", u.may.receives, func(ctx context.Context) error {
				n, err := to.RecvInto(ctx, buf)
				if err == nil && !u.may.anyMessage {
					u.bad("a message of %d bytes", n)
				}
				return err
			})
			var m []byte
			if u.call("RecvBytes", u.may.receives, func(ctx context.Context) (err error) { m, err = to.RecvBytes(ctx, nil); return err }) {
				got = append(got, m)
			}
		}
	})
	both.Wait()
	u.values(sent, got)
	shm.Check(to.Segment()) // it may complain, not crash
	to.Segment().Sweep()
	for i, c := range unused {
		if c != 0xa5 {
			u.bad("byte %d of the unused way has changed to %#x", i, c)
			break
		}
	}
	return errors.Join(u.errs...)
}

// values holds what was received against what was sent.
func (u *abuse) values(sent, got [][]byte) {
	if u.may.anyMessage {
		return
	}
	if u.may.firstByte && len(got) > 0 {
		i := u.at - oneWayData - 8
		m := slices.Clone(got[0])
		if len(m) != len(firstMessage) || m[i] == firstMessage[i] {
			u.bad("the damage of the first message is not in it: %q", m)
			return
		}
		m[i] = firstMessage[i]
		got[0] = m
	}
	rest := sent
	for _, m := range got {
		i := slices.IndexFunc(rest, func(s []byte) bool { return bytes.Equal(s, m) })
		if i < 0 || i > 0 && !u.may.lose {
			u.bad("a message of %d bytes that is none of those, or not in its place", len(m))
			return
		}
		rest = rest[i+1:]
	}
	if len(rest) > 0 && !u.may.lose {
		u.bad("%d messages did not come", len(rest))
	}
}

type abusedArgs struct {
	From, To, Step int
	Random         time.Duration // no: random bytes to random places for so long
	Seed           uint64
	Plant          string
}

// pipeAbused damages pipes of its own, in a process of its own: a fault ends that.
var pipeAbused = procstest.Role("pipe-abused", func(_ context.Context, a abusedArgs) error {
	r := rand.New(rand.NewPCG(a.Seed, 0))
	var mu sync.Mutex
	var all []error
	one := func(u *abuse, damage func(data []byte), stop func()) {
		to, from, err := mpqueue.Pipe(mpqueue.WithPipeSize(4096), mpqueue.OneWay())
		if err == nil {
			if a.Plant == "unbound" {
				mpqueue.UnboundPipe(to)
			}
			if a.Plant == "late" && u.may.waits {
				u.late = u.wait + 1200*time.Millisecond
			}
			err = u.run(from, to, func() { damage(to.Segment().Data()) })
			stop()
			begin := time.Now()
			err = errors.Join(err, to.Close(), from.Close())
			if took := time.Since(begin); took > time.Second {
				err = errors.Join(err, fmt.Errorf("Close took %v", took))
			}
		}
		if err != nil {
			mu.Lock()
			defer mu.Unlock()
			all = append(all, fmt.Errorf("byte %d, %s: %w", u.at, u.may.what, err))
		}
	}
	if a.Random > 0 {
		for begin := time.Now(); time.Since(begin) < a.Random && len(all) == 0; {
			stop, stopped := make(chan bool), make(chan bool)
			one(&abuse{may: anything, wait: 5 * time.Millisecond}, func(data []byte) {
				go func() {
					defer close(stopped)
					for {
						select {
						case <-stop:
							return
						default:
							data[r.IntN(2560)] = byte(r.Uint32())
							data[oneWayData+r.IntN(4096)] = byte(r.Uint32())
							time.Sleep(time.Duration(r.IntN(100)) * time.Microsecond)
						}
					}
				}()
			}, func() { close(stop); <-stopped })
		}
		return errors.Join(all...)
	}
	if a.Plant != "" && a.Plant != "late" && a.Plant != "unbound" {
		mpqueue.PlantInPipes(a.Plant)
	}
	var turns sync.WaitGroup
	room := make(chan bool, 16) // many wait most of the time
	for off := a.From; off < a.To; off += a.Step {
		if off >= 320 && off < 768 || off >= 2560 && off < oneWayData || off >= oneWayData+64 {
			continue // grants like the first ones; nothing; messages that are written later
		}
		u := abuse{may: placeOf(off), at: off, wait: 20 * time.Second}
		if u.may.waits {
			u.wait = 10 * time.Millisecond
		}
		for _, flip := range []byte{1 << (off % 8), 0xff} {
			room <- true
			turns.Go(func() {
				defer func() { <-room }()
				one(&abuse{may: u.may, at: u.at, wait: u.wait}, func(data []byte) { data[off] ^= flip }, func() {})
			})
		}
		mu.Lock()
		seen := len(all) > 0
		mu.Unlock()
		if seen {
			break
		}
	}
	turns.Wait()
	return errors.Join(all[:min(len(all), 3)]...)
})

const pipeEnd = oneWayData + 64

// TestPipeOverwriteEach turns over each byte of a pipe's words, and of its first
// message, under those who use it.
func TestPipeOverwriteEach(t *testing.T) {
	procstest.Watchdog(t, 3*time.Minute)
	step := 1
	if testing.Short() {
		step = 7
	}
	begin := time.Now()
	a := pipeAbused.Start(t, abusedArgs{From: 0, To: oneWayControl + 384, Step: step})
	b := pipeAbused.Start(t, abusedArgs{From: oneWayControl + 384, To: pipeEnd, Step: step})
	for _, p := range []*procstest.Proc{a, b} {
		if err := p.Join(background); err != nil {
			t.Error(err)
		}
	}
	t.Logf("all bytes turned over in %v", time.Since(begin).Round(time.Millisecond))
}

// TestPipeOverwrite writes random bytes to random places all the time.
func TestPipeOverwrite(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	a := abusedArgs{Random: time.Second, Seed: uint64(procstest.Seed(t))}
	if err := pipeAbused.Start(t, a).Join(background); err != nil {
		t.Error(err)
	}
}

// TestPipeOverwriteOracles plants what must not be: an index that is not cut to the
// memory, a call that outstays its context, a wrong value.
func TestPipeOverwriteOracles(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	for plant, from := range map[string]int{
		"unbound":                        oneWayControl + 8,
		"late":                           oneWayControl + 256, // a word that calls may wait for
		"published before it is written": oneWayControl + 8,   // a place that says nothing
	} {
		t.Run(plant, func(t *testing.T) {
			a := abusedArgs{From: from, To: from + 100, Step: 1, Plant: plant}
			var err error
			for try := 0; try < 30 && err == nil; try++ { // a value is wrong for a moment only
				err = pipeAbused.Start(t, a, procstest.With(procs.Stderr(io.Discard))).Join(background)
			}
			if err == nil {
				t.Fatal("it was not seen")
			}
			t.Logf("seen: %.300v", err)
		})
	}
}
