package mpqueue

import (
	"errors"
	"fmt"
	"io/fs"
	"math/bits"
	"sync"

	"shmkit/shm"
)

// Pipe makes a pair of connected ends: what is sent into one is received from the
// other, in both directions. It is Python's Pipe, on shared memory.
//
//	a, b, err := mpqueue.Pipe()
//	p := worker.Process(WorkerArgs{Conn: b})   // gives b away
//	err = p.Start()
//	err = a.Send(ctx, []any{1, 2.25, nil})
//	v, err := a.Recv(ctx)                      // io.EOF when nobody has b any more
//
// See Conn. Errors: shm.ErrNoSpace, errors.ErrUnsupported.
func Pipe(opts ...PipeOption) (a, b *Conn, err error) {
	o := &pipeOptions{geometry: pipeGeometry{size: defaultPipe}}
	for _, f := range opts {
		f(o)
	}
	g := o.geometry
	s, err := shm.NewSegment(int(g.total()), append(pipeSegment(o.shm),
		shm.WithInit(func(data []byte) { initPipe(data, g) }))...)
	if err != nil {
		return nil, nil, fmt.Errorf("mpqueue: pipe: %w", err)
	}
	p, err := pipeIn(s)
	if err != nil {
		return nil, nil, fmt.Errorf("mpqueue: pipe: %w", err)
	}
	p.retain() // for the other end
	ends := [2]*Conn{{}, {}}
	for e, c := range ends {
		if err := p.acquire(e); err != nil { // it cannot be gone yet
			return nil, nil, fmt.Errorf("mpqueue: pipe: %w", errors.Join(err, p.release(), p.release()))
		}
		c.open(p, e)
	}
	return ends[0], ends[1], nil
}

// defaultPipe is how many bytes each way holds: a message of 64 KiB and the next.
const defaultPipe = 128 << 10

// PipeOption changes how a pipe is made.
type PipeOption func(*pipeOptions)

type pipeOptions struct {
	geometry pipeGeometry
	shm      []shm.Option
}

// WithPipeSize sets how many bytes each way of the pipe holds, rounded up to a
// power of two from 4 KiB to 4 GiB; the default is 128 KiB. Messages may be larger:
// they are sent in parts. It panics outside that range.
func WithPipeSize(n int) PipeOption {
	if n < 1 || uint64(n) > maxPipe {
		panic(fmt.Sprintf("mpqueue: WithPipeSize(%d)", n))
	}
	return func(o *pipeOptions) { o.geometry.size = 1 << bits.Len64(max(uint64(n), minPipe)-1) }
}

// OneWay makes a pipe whose first end only receives and whose second end only
// sends: Python's Pipe(duplex=False).
func OneWay() PipeOption { return func(o *pipeOptions) { o.geometry.oneWay = true } }

// WithPipeSegment passes options to the segment of the pipe, for instance how
// many processes can be attached.
func WithPipeSegment(opts ...shm.Option) PipeOption {
	return func(o *pipeOptions) { o.shm = append(o.shm, opts...) }
}

func pipeSegment(opts []shm.Option) []shm.Option {
	return append(opts[:len(opts):len(opts)], shm.WithKind(KindPipe))
}

// pipeCore is a pipe in this process. All its Conns share it, and it stays as
// long as there is one, or a handle of one is on its way.
type pipeCore struct {
	seg  *shm.Segment
	ctl  *pipeControl
	geo  pipeGeometry
	ways [2]*way // from end 0, from end 1; nil where nothing goes
	refs int     // guarded by pipes
}

// pipes are the pipes of this process.
var pipes = struct {
	sync.Mutex
	byID map[shm.ID]*pipeCore
}{byID: map[shm.ID]*pipeCore{}}

// pipeIn returns the pipe in s, whose handle it takes over, with one reference
// more.
func pipeIn(s *shm.Segment) (*pipeCore, error) {
	pipes.Lock()
	defer pipes.Unlock()
	if p := pipes.byID[s.ID()]; p != nil {
		p.refs++
		return p, s.Close()
	}
	p, err := overPipe(s)
	if err != nil {
		s.Close()
		return nil, err
	}
	p.refs = 1
	pipes.byID[s.ID()] = p
	return p, nil
}

// overPipe looks at the pipe in s.
func overPipe(s *shm.Segment) (*pipeCore, error) {
	ctl, g, err := readPipe(s)
	if err != nil {
		return nil, err
	}
	p := &pipeCore{seg: s, ctl: ctl, geo: g}
	for d := range p.ways {
		if d == 1 || !g.oneWay {
			p.ways[d] = newWay(p, d)
		}
	}
	return p, nil
}

func (p *pipeCore) retain() {
	pipes.Lock()
	p.refs++
	pipes.Unlock()
}

// release lets one reference go, and the segment with the last one.
func (p *pipeCore) release() error {
	pipes.Lock()
	p.refs--
	last := p.refs == 0
	if last {
		delete(pipes.byID, p.seg.ID())
	}
	pipes.Unlock()
	if last {
		return p.seg.Close()
	}
	return nil
}

// wakeAll wakes everybody who sleeps in the pipe: an end has gone, or may have.
func (p *pipeCore) wakeAll() {
	for d := range p.ctl.ways {
		c := &p.ctl.ways[d]
		signalAll(&c.notEmpty)
		signalAll(&c.more)
		signalAll(&c.notFull)
		stirTurn(&c.turn)
	}
}

// errOtherMode says that a pipe is used in two ways.
var errOtherMode = fmt.Errorf("the pipe carries messages at one end and bytes (NetConn) at the other: %w", fs.ErrInvalid)

const (
	modeMessages = 1
	modeBytes    = 2
)

// use notes that the pipe carries messages, or bytes.
func (p *pipeCore) use(mode uint32) error {
	if m := p.ctl.mode.Load(); m == mode || m == 0 && p.ctl.mode.CompareAndSwap(0, mode) || p.ctl.mode.Load() == mode {
		return nil
	}
	return errOtherMode
}
