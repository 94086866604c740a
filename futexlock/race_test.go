package futexlock_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The race detector does not see atomics in mapped memory; the locks tell it of
// their edges. A program that protects data on the heap with each type is not
// reported; with one type's lock left out it is, and only there.
func TestRaceDetector(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a program for the race detector")
	}
	bin := filepath.Join(t.TempDir(), "race.test")
	build := exec.Command("go", "test", "-race", "-c", "-o", bin, "./testdata/race")
	build.Env = append(os.Environ(), "CGO_ENABLED=1")
	if out, err := build.CombinedOutput(); err != nil {
		t.Skipf("this machine does not build programs for the race detector: %v\n%s", err, out)
	}
	run := func(leaveOut string) (reports int, failed map[string]bool) {
		cmd := exec.Command(bin, "-test.v")
		cmd.Env = append(os.Environ(), "LEAVE_OUT="+leaveOut)
		out, err := cmd.CombinedOutput()
		failed = map[string]bool{}
		for line := range strings.Lines(string(out)) {
			if name, ok := strings.CutPrefix(strings.TrimSpace(line), "--- FAIL: TestProtected/"); ok {
				name, _, _ = strings.Cut(name, " ")
				failed[name] = true
			}
		}
		reports = strings.Count(string(out), "WARNING: DATA RACE")
		if (err != nil) != (reports > 0) || err != nil && leaveOut == "" {
			t.Errorf("leave out %q: %v\n%s", leaveOut, err, out)
		}
		return reports, failed
	}
	run("")
	for _, name := range []string{"Mutex", "RecursiveMutex", "RWMutex", "Semaphore", "Permit", "Cond", "Event", "IsSet", "Barrier", "Once", "WaitGroup"} {
		reports, failed := run(name)
		if !failed[name] || len(failed) != 1 {
			t.Errorf("with %s left out: %d reports, in %v", name, reports, failed)
		}
	}
}
