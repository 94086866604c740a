package matrix

import (
	"bytes"
	"fmt"
	"os"
	"time"
)

// standsStill says whether the process uses no CPU: it is stopped, or it
// waits for something. It looks twice, some milliseconds apart.
func standsStill(pid int) bool {
	a := cpuOf(pid)
	time.Sleep(30 * time.Millisecond)
	b := cpuOf(pid)
	return a != nil && bytes.Equal(a, b)
}

// cpuOf reads how long each thread of the process has run, in ticks of 10 ms.
func cpuOf(pid int) (all []byte) {
	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		return nil
	}
	for _, t := range tasks {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/stat", pid, t.Name()))
		if err != nil {
			return nil
		}
		if i := bytes.LastIndexByte(b, ')'); i >= 0 {
			if f := bytes.Fields(b[i+1:]); len(f) > 13 {
				all = append(append(all, f[11]...), f[12]...)
			}
		}
	}
	return all
}
