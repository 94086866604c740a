package machine

import "time"

// Usage is what this process has used since it began. A field that this
// system does not tell is -1 in every Usage and in every difference.
type Usage struct {
	CPU         int64 // nanoseconds of all threads, user and system
	ReadCalls   int64 // read-like system calls
	WriteCalls  int64 // write-like system calls
	Switches    int64 // times a thread gave up its CPU to wait
	PeakPrivate int64 // bytes of memory at the worst moment, shared segments left out
	Shared      int64 // bytes of shared segments in this process's memory now
}

// Unknown is the Usage of a system that tells nothing.
var Unknown = Usage{-1, -1, -1, -1, -1, -1}

// Self reports what this process has used so far. It costs some 50 µs: it is
// for the beginning and the end of a measurement.
func Self() Usage { return self() }

// Since returns what was used after before was taken. The two memory fields
// are no counters: they stay as they are in u.
func (u Usage) Since(before Usage) Usage {
	return Usage{
		CPU:         minus(u.CPU, before.CPU),
		ReadCalls:   minus(u.ReadCalls, before.ReadCalls),
		WriteCalls:  minus(u.WriteCalls, before.WriteCalls),
		Switches:    minus(u.Switches, before.Switches),
		PeakPrivate: u.PeakPrivate,
		Shared:      u.Shared,
	}
}

// Plus adds up what two processes have used. Both hold their private memory,
// but the segments that they share only once.
func (u Usage) Plus(v Usage) Usage {
	return Usage{
		CPU:         plus(u.CPU, v.CPU),
		ReadCalls:   plus(u.ReadCalls, v.ReadCalls),
		WriteCalls:  plus(u.WriteCalls, v.WriteCalls),
		Switches:    plus(u.Switches, v.Switches),
		PeakPrivate: plus(u.PeakPrivate, v.PeakPrivate),
		Shared:      max(u.Shared, v.Shared),
	}
}

// Peak reports the bytes of memory of all the processes that were added up,
// or -1.
func (u Usage) Peak() int64 { return plus(u.PeakPrivate, u.Shared) }

// CPUTime reports the CPU time, or -1.
func (u Usage) CPUTime() time.Duration { return time.Duration(u.CPU) }

func minus(a, b int64) int64 {
	if a < 0 || b < 0 {
		return -1
	}
	return a - b
}

func plus(a, b int64) int64 {
	if a < 0 || b < 0 {
		return -1
	}
	return a + b
}

// ChildrenCPU reports the nanoseconds of CPU that the children of this process
// which have ended have used in their whole lives, or -1.
func ChildrenCPU() int64 { return children() }
