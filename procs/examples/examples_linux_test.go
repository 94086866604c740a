package examples_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// bin holds the built programs.
var bin string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "examples")
	if err != nil {
		panic(err)
	}
	bin = dir
	code := 1
	if out, err := exec.Command("go", "build", "-o", dir, "./...").CombinedOutput(); err != nil {
		fmt.Printf("go build: %v\n%s", err, out)
	} else {
		code = m.Run()
	}
	os.RemoveAll(dir)
	os.Exit(code)
}

// run runs a program to its end and returns what it printed.
func run(t *testing.T, name string) []string {
	t.Helper()
	cmd := exec.Command(filepath.Join(bin, name))
	var out, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &stderr
	begin := time.Now()
	timer := time.AfterFunc(time.Minute, func() { cmd.Process.Kill() })
	defer timer.Stop()
	if err := cmd.Run(); err != nil || stderr.Len() > 0 {
		t.Fatalf("%s: %v\n%s%s", name, err, out.String(), stderr.String())
	}
	t.Logf("%s took %v:\n%s", name, time.Since(begin), out.String())
	return strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
}

// wantLines compares lines with patterns, in order.
func wantLines(t *testing.T, got []string, want ...string) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%d lines, want %d", len(got), len(want))
		return
	}
	for i, w := range want {
		if !regexp.MustCompile("^" + w + "$").MatchString(got[i]) {
			t.Errorf("line %d: %q, want %q", i, got[i], w)
		}
	}
}

// wantOrder checks that the lines are there, in this order, among others.
func wantOrder(t *testing.T, got []string, want ...string) {
	t.Helper()
	i := 0
	for _, line := range got {
		if i < len(want) && line == want[i] {
			i++
		}
	}
	if i < len(want) {
		t.Errorf("%q is missing, or too early", want[i])
	}
}

// Every folder is tested, and no program is longer than a page.
func TestComplete(t *testing.T) {
	mains, err := filepath.Glob("*/main.go")
	if err != nil || len(mains) != 13 {
		t.Errorf("%d programs, %v", len(mains), err)
	}
	self, err := os.ReadFile("examples_linux_test.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range mains {
		text, err := os.ReadFile(m)
		if err != nil {
			t.Fatal(err)
		}
		if n := bytes.Count(text, []byte("\n")); n > 80 {
			t.Errorf("%s has %d lines", m, n)
		}
		if !bytes.Contains(self, []byte(`run(t, "`+filepath.Dir(m)+`")`)) {
			t.Errorf("%s is not tested", m)
		}
	}
}

func TestStartAFunction(t *testing.T) {
	got := run(t, "01-start-a-function")
	wantOrder(t, got, "main: started task-1", "Alex is done")
	wantOrder(t, got, "Alex is running", "Alex is done")
}

func TestStartARunner(t *testing.T) {
	got := run(t, "02-start-a-runner")
	wantOrder(t, got, "Alex is running", "Alex is done")
	wantOrder(t, got, "main: started task-1", "Bob is running", "Bob is done", "main: procs: join task-2: the process was not started")
}

func TestSeparateMemory(t *testing.T) {
	wantLines(t, run(t, "03-separate-memory"), `child:  x = 0  y = 0`, `parent: x = 100  y = 0`)
}

func TestJoin(t *testing.T) {
	got := run(t, "04-join")
	wantOrder(t, got, "Alex is running", "Alex is done", "main: Alex has ended", "main: cook-2 failed: Bob has burnt the 包子")
	wantOrder(t, got, "main: still waiting", "Alex is done")
}

func TestTerminate(t *testing.T) {
	wantLines(t, run(t, "05-terminate"),
		`before the start: alive false`,
		`started: alive true pid \d+`,
		`join: deaf-1 \(pid \d+\): killed by signal 15 \(terminated\)`,
		`ended: alive false exit code -15`,
		`polite: working`,
		`polite: tidied up, because I was .*signal`,
		`join: <nil>`)
}

func TestNoZombiesNoOrphans(t *testing.T) {
	got := run(t, "06-no-zombies-no-orphans")
	slices.Sort(got) // two processes speak at the end
	wantLines(t, got,
		`a zombie is left: false`,
		`grandchild: my parent is middle`,
		`grandchild: procs: the parent process died`,
		`join: middle \(pid \d+\): killed by signal 9 \(killed\)`)
}

func TestDaemon(t *testing.T) {
	got := run(t, "07-daemon")
	wantOrder(t, got, "main: daemon true", "main: done")
	if text := strings.Join(got, "\n"); strings.Contains(text, "is done") || !strings.Contains(text, "a daemon may not have children") {
		t.Error(text)
	}
}

func TestTerminalLock(t *testing.T) {
	got := run(t, "08-terminal-lock")
	with, killed := slices.Index(got, "-- with a lock"), slices.Index(got, "-- with a lock whose first holder is killed")
	if with < 0 || killed < 0 {
		t.Fatal("parts are missing")
	}
	without := slices.Sorted(slices.Values(got[1:with]))
	wantLines(t, without, "task 0 is done", "task 0 is running", "task 1 is done", "task 1 is running", "task 2 is done", "task 2 is running")
	// Who is next is not said; that each has the terminal for itself is.
	wantTurns(t, got[with+1:killed], "task 0", "task 1", "task 2")
	rest := got[killed+1:]
	if len(rest) != 6 || rest[0] != "task 0 is running" {
		t.Fatalf("%q", rest)
	}
	heir, ok := strings.CutSuffix(rest[1], " has the lock of one who died")
	if !ok || rest[2] != heir+" is running" {
		t.Errorf("%q", rest)
	}
	wantTurns(t, rest[2:], "task 1", "task 2")
}

// wantTurns checks that each of the tasks runs and is done, in any order, and
// none while another runs.
func wantTurns(t *testing.T, got []string, tasks ...string) {
	t.Helper()
	var seen []string
	for i := 0; i+1 < len(got); i += 2 {
		who, ok := strings.CutSuffix(got[i], " is running")
		if !ok || got[i+1] != who+" is done" {
			t.Errorf("%q, then %q", got[i], got[i+1])
		}
		seen = append(seen, who)
	}
	slices.Sort(seen)
	if len(got)%2 != 0 || !slices.Equal(seen, tasks) {
		t.Errorf("turns of %v, want %v", seen, tasks)
	}
}

func TestTicketSale(t *testing.T) {
	wantLines(t, run(t, "09-ticket-sale"), "32 buyers, 10 got a ticket, 0 left")
}

func TestQueue(t *testing.T) {
	wantLines(t, run(t, "10-queue"),
		"full true empty false length 3", "TryPut: full", "Put with a timeout: full",
		"child got first", "parent got 2", `parent got map\[count:3\]`, "TryGet: empty")
}

// Every 包子 is cooked once and eaten once.
func TestProducersConsumers(t *testing.T) {
	got := run(t, "11-producers-consumers")
	count := map[string]int{}
	for _, line := range got[:len(got)-1] {
		_, after, ok := strings.Cut(line, " ") // name
		verb, bun, ok2 := strings.Cut(after, " ")
		if !ok || !ok2 {
			t.Fatalf("line %q", line)
		}
		count[verb+" "+bun]++
	}
	for c := 1; c <= 3; c++ {
		for i := range 4 {
			for _, verb := range []string{"cooked", "ate"} {
				what := fmt.Sprintf("%s 包子 %d of cook-%d", verb, i, c)
				if count[what] != 1 {
					t.Errorf("%s: %d times", what, count[what])
				}
				delete(count, what)
			}
		}
	}
	if len(count) > 0 || got[len(got)-1] != "all 包子 eaten: 12" {
		t.Errorf("also %v, at the end %q", count, got[len(got)-1])
	}
}

func TestPipe(t *testing.T) {
	got := run(t, "12-pipe")
	wantOrder(t, got, `parent got [42 <nil> hello]`, "parent got are you there?, yes", "child: the end")
}

func TestHTTP(t *testing.T) {
	got := run(t, "13-http")
	wantOrder(t, got, "client: 200 OK, 19 bytes: server-1 says HELLO", "client: 200 OK, 350014 bytes: server-1 says 包子 包子 ")
	wantOrder(t, got, "client: 200 OK, 19 bytes: server-1 says HELLO", "server: the client has gone")
}
