package mpqueue_test

import (
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"shmkit/procs/procstest"
)

// withoutWaitv reports whether shm does without futex_waitv: it is denied, or this
// is a program of 32 bits or one that an emulator runs.
func withoutWaitv() bool {
	return os.Getenv("SHMKIT_NO_WAITV") != "" || strconv.IntSize < 64 || procstest.Emulated()
}

// TestWithoutWaitv repeats what sleeps, wakes and dies on a kernel that cannot
// wait for several words at once, as all before Linux 5.16.
func TestWithoutWaitv(t *testing.T) {
	if withoutWaitv() {
		t.Skip("this is that run")
	}
	if testing.Short() {
		t.Skip("10 seconds")
	}
	procstest.Watchdog(t, 2*time.Minute)
	cmd := exec.Command("/proc/self/exe", "-test.v", "-test.short",
		"-test.run=^Test((Join|Pipe)?Torture(Ring)?|Linearizable|Idle|Crowd|Pipe(Idle|Holders|Cancel|Crowd|End)|Recovery|Ring(Cancel|Recovery|Stopped)|StoppedInTheWay|Pending|Room|GetBatchClose)")
	cmd.Env = append(os.Environ(), "SHMKIT_NO_WAITV=1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("%d tests passed", strings.Count(string(out), "--- PASS"))
}
