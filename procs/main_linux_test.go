package procs_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"regexp"
	"syscall"
	"testing"

	"shmkit/procs"
	"shmkit/procs/procstest"
)

// programKey makes this test binary a program with a main function of its own,
// so that tests can watch whole families die.
const programKey = "PROCS_TEST_PROGRAM"

// programs are the functions that procs.Main is given there.
var programs = map[string]func(ctx context.Context) error{}

// bare are whole main functions, for programs that misuse the package.
var bare = map[string]func(){}

func TestMain(m *testing.M) {
	if os.Getenv(doNothingKey) != "" {
		os.Exit(0)
	}
	if name := os.Getenv(programKey); name != "" {
		if run := bare[name]; run != nil {
			run()
			os.Exit(0)
		}
		procs.Main(programs[name])
		fmt.Println("main returned")
		os.Exit(0)
	}
	hear()
	procstest.Main(m)
}

// hear lets the programs that we start die of SIGHUP and SIGINT, as those of a
// user at a terminal do: under nohup, or in the background of a script, we ignore
// them, and so would they. A signal that has a handler here is back to its default
// in a new program.
func hear() {
	for _, s := range []os.Signal{syscall.SIGHUP, syscall.SIGINT} {
		if signal.Ignored(s) {
			signal.Notify(make(chan os.Signal, 1), s)
		}
	}
}

// program returns a command that runs this binary as the program name. The
// children of the program inherit the variable and Main plays their part.
func program(t *testing.T, name string, args ...string) *exec.Cmd {
	t.Helper()
	if programs[name] == nil && bare[name] == nil {
		t.Fatalf("no program %q", name)
	}
	cmd := exec.Command("/proc/self/exe", args...)
	cmd.Args[0] = "program"
	cmd.Env = append(os.Environ(), programKey+"="+name)
	return cmd
}

// speaking starts the program of that command and returns what it prints.
func speaking(t *testing.T, cmd *exec.Cmd) *bufio.Reader {
	t.Helper()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return bufio.NewReader(out)
}

func matches(pattern, s string) bool { return regexp.MustCompile(pattern).MatchString(s) }
