package shm

import (
	"fmt"
	"io/fs"
	"os"
)

// Option changes how a segment is made or opened. An option that does not
// apply (the mode of a segment that exists already) is ignored.
type Option func(*options)

type options struct {
	mode     fs.FileMode
	prefault bool
	huge     bool
	keep     bool
	own      bool
	slots    int
	trust    []uint32
	kind     uint32
	sparse   int64 // bytes of the payload to reserve at creation; -1: all
	layout   Layout
	elems    uint64
	typed    bool
	init     func([]byte)
}

func makeOptions(opts []Option) *options {
	o := &options{mode: 0o600, slots: defaultSlots, kind: KindBytes, sparse: -1}
	for _, f := range opts {
		f(o)
	}
	return o
}

// trusts reports as an error that uid's segments are not to be opened.
func (o *options) trusts(uid uint32) error {
	if int(uid) == os.Geteuid() {
		return nil
	}
	for _, t := range o.trust {
		if t == uid {
			return nil
		}
	}
	return fmt.Errorf("%w: it belongs to uid %d, this process runs as %d", ErrForeign, uid, os.Geteuid())
}

// WithMode sets the permission bits of a named segment. The default is 0600;
// the umask does not matter.
func WithMode(m fs.FileMode) Option { return func(o *options) { o.mode = m.Perm() } }

// WithPrefault touches every page while attaching, so that no later access
// takes a page fault: about 25 ns a page afterwards instead of 2 µs.
func WithPrefault() Option { return func(o *options) { o.prefault = true } }

// WithHugePages asks for transparent huge pages. Where the system gives none
// the segment works with small ones; Info says what was asked for.
func WithHugePages() Option { return func(o *options) { o.huge = true } }

// WithParticipants sets how many processes can be attached at one time, 1 to
// 2,047; the default is 256. Each costs 128 bytes. It panics outside that range.
func WithParticipants(n int) Option {
	if n < 1 || n > maxSlots {
		panic(fmt.Sprintf("shm: WithParticipants(%d): want 1 to %d", n, maxSlots))
	}
	return func(o *options) { o.slots = n }
}

// WithTrustUID allows to open segments that belong to user uid. A segment's
// participants can corrupt it, so by default only our own are opened.
func WithTrustUID(uid int) Option {
	return func(o *options) { o.trust = append(o.trust, uint32(uid)) }
}

// WithKeep makes a named segment that shmctl gc leaves alone although nobody is
// attached, and that Create does not replace.
func WithKeep() Option { return func(o *options) { o.keep = true } }

// WithOwnSegment gives a small anonymous object a segment of its own. Passing
// an object to a process lets that process reach everything in its segment.
func WithOwnSegment() Option { return func(o *options) { o.own = true } }

// WithKind says what the segment holds, for packages that build on segments;
// see RegisterKind. Opening a segment of another kind is a *LayoutError.
func WithKind(id uint32) Option { return func(o *options) { o.kind = id } }

// WithLayout records the layout of what the segment holds elems of. Opening
// with another layout is a *LayoutError.
func WithLayout(l Layout, elems int) Option {
	return func(o *options) { o.layout, o.elems, o.typed = l, uint64(elems), true }
}

// WithSparse reserves space for the first n bytes of the payload only. The
// rest has an address but no memory: touching it before Segment.Reserve may
// raise SIGBUS when memory is short.
func WithSparse(n int) Option { return func(o *options) { o.sparse = int64(n) } }

// WithInit gives new segments their first contents: f is called with the payload
// while nobody else can see it, and must not keep it. Opening does not call it.
func WithInit(f func(payload []byte)) Option { return func(o *options) { o.init = f } }
