package matrix

import (
	"os/exec"
	"syscall"
)

// inGroup gives the command a process group of its own, which dies as a whole.
// If we die ourselves it dies too.
func inGroup(c *exec.Cmd) {
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	c.Cancel = func() error { return syscall.Kill(-c.Process.Pid, syscall.SIGKILL) }
}
