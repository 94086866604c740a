package machine

import (
	"fmt"
	"runtime"
	"time"
)

// Info is what a reader must know to judge a number.
type Info struct {
	CPU        string  `json:"cpu"`
	CPUs       int     `json:"cpus"`                 // that this process may use
	Threads    int     `json:"threads_per_core"`     // 0: not known
	Hypervisor string  `json:"hypervisor,omitempty"` // "": none that tells
	MemoryGB   float64 `json:"memory_gb"`
	OS         string  `json:"os"`
	Arch       string  `json:"arch"`
	Kernel     string  `json:"kernel"`
	Governor   string  `json:"governor,omitempty"`
	Go         string  `json:"go"`
	MaxProcs   int     `json:"gomaxprocs"`
	Priority   string  `json:"priority,omitempty"` // "": that of any program
	Date       string  `json:"date"`               // RFC 3339
}

// Describe looks at this machine. What it cannot find out stays zero.
func Describe() Info {
	i := Info{
		CPU:      "unknown CPU",
		CPUs:     runtime.NumCPU(),
		OS:       runtime.GOOS,
		Arch:     runtime.GOARCH,
		Go:       runtime.Version(),
		MaxProcs: runtime.GOMAXPROCS(0),
		Date:     time.Now().UTC().Format(time.RFC3339),
	}
	i.look()
	return i
}

// String tells the machine in one line.
func (i Info) String() string {
	s := fmt.Sprintf("%s, %d CPUs", i.CPU, i.CPUs)
	if i.Hypervisor != "" {
		s += " (" + i.Hypervisor + " guest)"
	}
	if i.MemoryGB > 0 {
		s += fmt.Sprintf(", %.0f GB", i.MemoryGB)
	}
	s += fmt.Sprintf(", %s/%s", i.OS, i.Arch)
	if i.Kernel != "" {
		s += " " + i.Kernel
	}
	s += ", " + i.Go
	if i.Priority != "" {
		s += ", run at priority " + i.Priority
	}
	return s
}
