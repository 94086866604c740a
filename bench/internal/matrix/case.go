package matrix

import (
	"fmt"
	"strconv"

	"shmkit/bench/internal/rival"
)

// A Case is one point of the matrix for one kind of channel.
type Case struct {
	Axis      string // what is varied: "size", "procs", …
	Impl      string
	Size      int // bytes; Mixed
	Producers int
	Consumers int
	Batch     int    // messages a call
	Mode      string // rival.Block, Spin, Hybrid; "": the kind's own
	Capacity  int    // messages
	ZeroCopy  bool   // the payload is written and read in the channel's memory
}

// Base is the point around which one axis at a time is varied.
func Base(impl string) Case {
	return Case{Axis: "base", Impl: impl, Size: 64, Producers: 1, Consumers: 1, Batch: 1, Capacity: 1024}
}

func (c Case) size() string {
	if c.Size == Mixed {
		return "mixed"
	}
	return strconv.Itoa(c.Size)
}

func (c Case) procs() string { return fmt.Sprintf("%dx%d", c.Producers, c.Consumers) }

// String tells the case in the form of a benchmark's name.
func (c Case) String() string {
	s := fmt.Sprintf("%s/impl=%s/size=%s/procs=%s", c.Axis, c.Impl, c.size(), c.procs())
	if c.Batch > 1 {
		s += fmt.Sprintf("/batch=%d", c.Batch)
	}
	if c.Mode != "" {
		s += "/mode=" + c.Mode
	}
	if c.Axis == "capacity" {
		s += fmt.Sprintf("/capacity=%d", c.Capacity)
	}
	return s
}

func (c Case) spec(most int) rival.Spec {
	return rival.Spec{MaxMessage: most, Varied: c.Size == Mixed, Capacity: c.Capacity, Producers: c.Producers, Consumers: c.Consumers, Mode: c.Mode}
}
