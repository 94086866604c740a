package shm

import "runtime"

// CanSpin reports whether waiting in a loop can win anything: with one CPU the
// other side cannot move until we let go of ours.
func CanSpin() bool { return cpus > 1 && runtime.GOMAXPROCS(0) > 1 }

var cpus = runtime.NumCPU()

// Pause executes n spin-wait hints (PAUSE on amd64, ISB on arm64), 10 to 50 ns
// each; n is cut to 20, because such a loop cannot be preempted.
func Pause(n int) { pause(uint32(min(max(n, 0), 20))) }
