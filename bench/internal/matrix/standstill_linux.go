package matrix

import (
	"bytes"
	"fmt"
	"os"
	"time"
)

// standsStill says whether no thread of the process runs or wants to: it is
// stopped or dead, or it waits for something. It looks several times. That a process
// uses no CPU is not enough: on a busy machine it may wait for one.
func standsStill(pid int) bool {
	a, idle := threadsOf(pid)
	for range 3 {
		if !idle {
			return false
		}
		time.Sleep(10 * time.Millisecond)
		var b []byte
		if b, idle = threadsOf(pid); !bytes.Equal(a, b) {
			return false
		}
	}
	return idle
}

// threadsOf reads how long each thread of the process has run, in ticks of 10
// ms, and whether all are asleep, stopped or dead.
func threadsOf(pid int) (ran []byte, idle bool) {
	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		return nil, false
	}
	for _, t := range tasks {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/stat", pid, t.Name()))
		if err != nil {
			return nil, false
		}
		f := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:])
		if len(f) < 14 || !bytes.ContainsAny(f[0], "STtZX") {
			return nil, false
		}
		ran = append(append(append(ran, f[11]...), f[12]...), ' ')
	}
	return ran, true
}
