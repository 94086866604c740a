package machine

import (
	"bufio"
	"bytes"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// look fills in what Linux tells in /proc and /sys.
func (i *Info) look() {
	var u unix.Utsname
	if unix.Uname(&u) == nil {
		i.Kernel = unix.ByteSliceToString(u.Release[:])
	}
	var s unix.Sysinfo_t
	if unix.Sysinfo(&s) == nil {
		i.MemoryGB = float64(uint64(s.Totalram)*uint64(s.Unit)) / (1 << 30)
	}
	cpu := fields("/proc/cpuinfo")
	if name := cpu["model name"]; name != "" {
		i.CPU = name
	}
	if strings.Contains(cpu["flags"], " hypervisor") {
		i.Hypervisor = "virtual machine"
		if name := line("/sys/class/dmi/id/sys_vendor"); name != "" {
			i.Hypervisor = name
		}
	}
	i.Governor = line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
	i.Priority = priority(line("/proc/self/stat"), line("/proc/self/autogroup"))
	if l := line("/sys/devices/system/cpu/cpu0/topology/thread_siblings_list"); l != "" {
		i.Threads = 1 + strings.Count(l, ",") + strings.Count(l, "-")
	}
}

// priority reads in /proc/PID/stat what makes this process run before others, or
// after them, and in /proc/PID/autogroup the same of its session. "" if nothing does.
func priority(stat, session string) string {
	f := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:]) // from the third field on: the second is a name
	if len(f) < 39 {
		return ""
	}
	var s []string
	switch f[38] {
	case "1":
		s = append(s, "SCHED_FIFO "+f[37])
	case "2":
		s = append(s, "SCHED_RR "+f[37])
	}
	if f[16] != "0" {
		s = append(s, "nice "+f[16])
	}
	if _, nice, ok := strings.Cut(session, " nice "); ok && nice != "0" {
		s = append(s, "its session nice "+nice)
	}
	return strings.Join(s, ", ")
}

// self asks the kernel for the counters of this process.
func self() Usage {
	u := Unknown
	var r unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &r) == nil {
		u.CPU = r.Utime.Nano() + r.Stime.Nano()
		u.Switches = int64(r.Nvcsw)
	}
	io := fields("/proc/self/io")
	u.ReadCalls = number(io["syscr"])
	u.WriteCalls = number(io["syscw"])
	// ru_maxrss will not do: a process inherits it from its parent's memory.
	status := fields("/proc/self/status")
	peak, shared := kilobytes(status["VmHWM"]), kilobytes(status["RssShmem"])
	u.Shared = shared
	if peak >= 0 && shared >= 0 {
		u.PeakPrivate = peak - shared
	}
	return u
}

// cpuTimes reads the first line of /proc/stat: ticks of all CPUs together,
// and those among them that the hypervisor kept for itself.
func cpuTimes() (total, steal int64, ok bool) {
	b, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, 0, false
	}
	first, _, _ := bytes.Cut(b, []byte("\n"))
	f := strings.Fields(string(first))
	if len(f) < 9 || f[0] != "cpu" {
		return 0, 0, false
	}
	for n, v := range f[1:9] { // user nice system idle iowait irq softirq steal
		t := number(v)
		if t < 0 {
			return 0, 0, false
		}
		total += t
		if n == 7 {
			steal = t
		}
	}
	return total, steal, true
}

// fields reads a file of "key: value" lines; of equal keys the first counts.
func fields(path string) map[string]string {
	m := map[string]string{}
	b, err := os.ReadFile(path)
	if err != nil {
		return m
	}
	sc := bufio.NewScanner(bytes.NewReader(b))
	sc.Buffer(nil, 1<<20)
	for sc.Scan() {
		k, v, ok := strings.Cut(sc.Text(), ":")
		if k = strings.TrimSpace(k); ok && m[k] == "" {
			m[k] = strings.TrimSpace(v)
		}
	}
	return m
}

// line reads a file of one line; "" if it is not there.
func line(path string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

// number is -1 for what is no number.
func number(s string) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 {
		return -1
	}
	return n
}

// kilobytes reads "123 kB" as bytes, or -1.
func kilobytes(s string) int64 {
	n := number(strings.TrimSuffix(s, " kB"))
	if n < 0 {
		return -1
	}
	return n << 10
}

// children asks the kernel for the CPU time of children that have ended.
func children() int64 {
	var r unix.Rusage
	if unix.Getrusage(unix.RUSAGE_CHILDREN, &r) != nil {
		return -1
	}
	return r.Utime.Nano() + r.Stime.Nano()
}
