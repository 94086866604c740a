package procstest

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// mostProcessors is how many a CPUSet has room for.
const mostProcessors = 1024

// together binds the traced thread and its tracer to one processor, and returns what
// frees both again. They never run at the same time, so there the kernel goes
// straight from one to the other; on two processors each step wakes one that has
// just gone idle, twice, and takes three to four times as long in a virtual machine.
//
//	tracer   step  wait      step  wait
//	traced         one             one     … on one processor
//
// All else that runs makes room for a bound pair, but for another bound pair, of the
// tests of another package. So each takes a processor of its own, and where none is
// left, or the kernel does not let us, the two stay free.
//
// Threads that the role starts meanwhile are not bound with it: a locked thread
// leaves that to one that the runtime keeps for it.
func (d *driver) together() (apart func()) {
	var tracer, traced, one unix.CPUSet
	if unix.SchedGetaffinity(0, &tracer) != nil || unix.SchedGetaffinity(d.tid, &traced) != nil {
		return func() {}
	}
	for cpu := range mostProcessors {
		if !tracer.IsSet(cpu) || !traced.IsSet(cpu) {
			continue
		}
		if lock := ownProcessor(cpu); lock != nil {
			one.Set(cpu)
			unix.SchedSetaffinity(0, &one)
			unix.SchedSetaffinity(d.tid, &one)
			return func() {
				unix.SchedSetaffinity(d.tid, &traced)
				unix.SchedSetaffinity(0, &tracer)
				lock.Close()
			}
		}
	}
	return func() {}
}

// ownProcessor keeps other tests off a processor until its result is closed, or this
// process ends. It is nil if one of them has it. The lock is on the processor's
// folder in /sys, so nothing is left of it.
func ownProcessor(cpu int) *os.File {
	f, err := os.Open(fmt.Sprintf("/sys/devices/system/cpu/cpu%d", cpu))
	if err != nil {
		return nil
	}
	if unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) != nil {
		f.Close()
		return nil
	}
	return f
}
