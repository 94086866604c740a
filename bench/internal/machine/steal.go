package machine

// A Steal watches how much of the CPUs' time the hypervisor gave to others. A
// measurement with more than one percent of it says little.
type Steal struct {
	total, steal int64
	ok           bool
}

// WatchSteal begins to watch.
func WatchSteal() Steal {
	var s Steal
	s.total, s.steal, s.ok = cpuTimes()
	return s
}

// Percent reports the stolen part since WatchSteal, in percent of the time of
// all CPUs, or -1 where the system does not tell.
func (s Steal) Percent() float64 {
	total, steal, ok := cpuTimes()
	if !ok || !s.ok || total <= s.total {
		return -1
	}
	return 100 * float64(steal-s.steal) / float64(total-s.total)
}
