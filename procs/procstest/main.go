package procstest

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"shmkit/procs"
	"shmkit/shm/fault"
)

// Main is the whole TestMain of a package that uses roles:
//
//	func TestMain(m *testing.M) { procstest.Main(m) }
//
// In a process that plays a role it plays it. Otherwise it runs the tests in a
// folder of their own for named segments (SHMKIT_DIR, below /dev/shm), looks
// for what they left behind, and exits.
func Main(m *testing.M) {
	spec := os.Getenv(faultKey)
	os.Unsetenv(faultKey)
	if err := fault.Arm(spec); err != nil {
		fmt.Fprintf(os.Stderr, "procstest: %s: %v\n", faultKey, err)
		os.Exit(1)
	}
	procs.Init()

	removeStale()
	names, err := os.MkdirTemp(sharedFolder, fmt.Sprintf("%s%d-", folderPrefix, os.Getpid()))
	if err != nil {
		fmt.Fprintf(os.Stderr, "procstest: %v\n", err)
		os.Exit(1)
	}
	os.Setenv("SHMKIT_DIR", names)
	// Under the race detector a process sleeps for a second before it exits.
	os.Setenv("GORACE", "atexit_sleep_ms=0 "+os.Getenv("GORACE"))
	before := descriptors()
	code := m.Run()
	for _, leak := range leaks(before, names) {
		fmt.Fprintf(os.Stderr, "FAIL: procstest: %s\n", leak)
		code = max(code, 1)
	}
	if code == 0 && allRan() {
		for _, name := range unstarted() {
			fmt.Fprintf(os.Stderr, "FAIL: procstest: no test starts the role %q\n", name)
			code = 1
		}
	}
	os.RemoveAll(names)
	os.Exit(code)
}

// folderPrefix begins the names of the tests' folders; the pid follows.
const folderPrefix = "shmkit-test-"

// removeStale removes the folders of test binaries that were killed, or ended
// by a panic, and could not do it themselves.
func removeStale() {
	entries, _ := os.ReadDir(sharedFolder)
	for _, e := range entries {
		rest, ok := strings.CutPrefix(e.Name(), folderPrefix)
		number, _, _ := strings.Cut(rest, "-")
		pid, err := strconv.Atoi(number)
		if ok && err == nil && !exists(pid) {
			os.RemoveAll(filepath.Join(sharedFolder, e.Name()))
		}
	}
}

// allRan reports whether no flag left tests out.
func allRan() bool {
	if testing.Short() {
		return false
	}
	for _, name := range []string{"test.run", "test.skip", "test.list", "test.fuzz"} {
		if f := flag.Lookup(name); f != nil && f.Value.String() != "" {
			return false
		}
	}
	return true
}

// leaks names what the tests left behind. What ends by itself is given time.
func leaks(before map[int]string, names string) []string {
	var found []string
	deadline := time.Now().Add(10 * time.Second) // of the second in which daemons end
	for {
		found = append(leakedProcesses(), leakedDescriptors(before)...)
		if len(found) == 0 || time.Now().After(deadline) {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	entries, err := os.ReadDir(names)
	if err != nil {
		found = append(found, err.Error())
	}
	for _, e := range entries {
		found = append(found, "the tests left the named segment "+e.Name())
	}
	return found
}
