package procs_test

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"testing"

	"shmkit/procs"
)

// doNothingKey makes this test binary exit at once: the rival of Start.
const doNothingKey = "PROCS_TEST_DO_NOTHING"

var benchEmpty = procs.Register("bench empty", func(context.Context, struct{}) error { return nil })

// BenchmarkStartJoin starts a process that does nothing and waits for its end.
// impl=exec is os/exec with the same binary, which exits first thing in main:
// what no library can go below. impl=python is multiprocessing with its spawn
// method, which starts a fresh interpreter as we start a fresh program.
func BenchmarkStartJoin(b *testing.B) {
	b.Run("impl=procs", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			p := benchEmpty.Process(struct{}{})
			if err := p.Start(); err != nil {
				b.Fatal(err)
			}
			if err := p.Join(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("impl=exec", func(b *testing.B) {
		b.ReportAllocs()
		env := append(os.Environ(), doNothingKey+"=1")
		for b.Loop() {
			cmd := exec.Command("/proc/self/exe")
			cmd.Env = env
			cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
			if err := cmd.Run(); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("impl=python", func(b *testing.B) {
		spawn, err := pythonSpawner(b)
		if err != nil {
			b.Skip(err)
		}
		for b.Loop() {
			spawn()
		}
	})
}

// pythonSpawner starts a Python that starts and joins one process, by
// multiprocessing's spawn method, each time the function is called.
func pythonSpawner(t testing.TB) (spawn func(), err error) {
	python, err := exec.LookPath("python3")
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(python, "-c", pythonLoop)
	in, _ := cmd.StdinPipe()
	out, _ := cmd.StdoutPipe()
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	t.Cleanup(func() {
		in.Close()
		cmd.Wait()
	})
	lines := bufio.NewReader(out)
	return func() {
		in.Write([]byte("\n"))
		if line, err := lines.ReadString('\n'); err != nil || line != "0\n" {
			t.Fatalf("python: %q, %v", line, err)
		}
	}, nil
}

// pythonLoop starts and joins one process for each line that comes in. Its
// target is a builtin, so that the child imports nothing of ours.
const pythonLoop = `
import multiprocessing, sys
if __name__ == "__main__":
    ctx = multiprocessing.get_context("spawn")
    for line in sys.stdin:
        p = ctx.Process(target=int)
        p.start()
        p.join()
        print(p.exitcode, flush=True)
`
