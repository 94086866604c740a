package procs_test

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"shmkit/procs"
)

// tidier takes a while to tidy up after it was asked to end.
var tidier = procs.Register("tidier", func(ctx context.Context, _ struct{}) error {
	asked := ctx.Done()
	fmt.Println("ready")
	<-asked
	time.Sleep(100 * time.Millisecond) // its work, within its grace
	fmt.Println("tidied")
	return nil
})

func init() {
	programs["tidy"] = func(ctx context.Context) error {
		p := tidier.Process(struct{}{})
		if err := p.Start(); err != nil {
			return err
		}
		<-ctx.Done()
		fmt.Println("asked")
		return p.Join(context.Background())
	}
	programs["group"] = func(ctx context.Context) error {
		p := sleeper.Process(time.Hour)
		if err := p.Start(); err != nil {
			return err
		}
		fmt.Println(p.PID())
		<-p.Done()
		fmt.Println("dead")
		<-ctx.Done()
		return ctx.Err()
	}
}

// timeout(1) and others signal a process and then its whole group. Whoever gets
// two signals in a row has been asked once: the children keep their grace.
func TestSignalTwiceAtOnce(t *testing.T) {
	const tries = 5 // on a busy machine a second signal may be heard late
	for range tries {
		cmd := program(t, "tidy")
		r := speaking(t, cmd)
		r.ReadString('\n')
		cmd.Process.Signal(syscall.SIGTERM)
		line, _ := r.ReadString('\n') // heard: the next one cannot be merged with it
		cmd.Process.Signal(syscall.SIGTERM)
		next, _ := r.ReadString('\n')
		err := cmd.Wait()
		if line != "asked\n" {
			t.Fatalf("%q, %q, %v", line, next, err)
		}
		if next == "tidied\n" && err == nil {
			return
		}
		t.Logf("%q, %v", next, err)
	}
	t.Error("the second signal killed the child in its grace")
}

// Ctrl-C reaches all processes of a terminal, in any order. A child that was
// faster than its parent has not failed.
func TestChildHearsSignalFirst(t *testing.T) {
	cmd := program(t, "group")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	r := speaking(t, cmd)
	var pid int
	fmt.Fscanln(r, &pid)
	if pid <= 0 {
		t.Fatal("no child")
	}
	syscall.Kill(pid, syscall.SIGINT)
	if line, _ := r.ReadString('\n'); line != "dead\n" {
		t.Fatalf("%q", line)
	}
	cmd.Process.Signal(syscall.SIGINT)
	err := cmd.Wait()
	if stderr.Len() > 0 || !strings.Contains(fmt.Sprint(err), "interrupt") {
		t.Errorf("%v\n%s", err, stderr.String())
	}
}
