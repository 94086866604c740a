package procs_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"shmkit/procs"
)

func init() {
	programs["fine"] = func(context.Context) error { return nil }
	programs["fails"] = func(context.Context) error { return errPlain }
	programs["unjoined"] = func(context.Context) error {
		p := fails.Process(returnsError, procs.Name("cook-7"))
		q := fails.Process(returnsError, procs.Name("cook-8"))
		r := sleeper.Process(time.Hour, procs.Name("cook-9"), procs.Daemon())
		if err := errors.Join(p.Start(), q.Start(), r.Start()); err != nil {
			return err
		}
		q.Join(context.Background())
		return nil
	}
	programs["deaf main"] = func(context.Context) error {
		p := sleeper.Process(time.Hour)
		if err := p.Start(); err != nil {
			return err
		}
		fmt.Println("ready")
		<-p.Done() // the first signal was passed on
		fmt.Println("asked")
		select {}
	}
	programs["finishes"] = func(ctx context.Context) error {
		fmt.Println("ready")
		<-ctx.Done()
		if cause := context.Cause(ctx); cause != procs.ErrTerminated {
			return fmt.Errorf("cause %v", cause)
		}
		// A child of these late hours is asked to end at once.
		p := patient.Process(struct{}{})
		if err := p.Start(); err != nil {
			return err
		}
		var exit *procs.ExitError
		if err := p.Join(context.Background()); !errors.As(err, &exit) {
			return fmt.Errorf("late child: %w", err)
		}
		return nil
	}
	bare["shutdown"] = func() {
		procs.Init()
		d, p := sleeper.Process(time.Hour, procs.Daemon()), sleeper.Process(time.Hour)
		if err := errors.Join(d.Start(), p.Start()); err != nil {
			fmt.Println(err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
		defer cancel()
		fmt.Println(procs.Shutdown(ctx), p.Alive())
		p.Terminate()
		fmt.Println(procs.Shutdown(context.Background()), d.Alive(), p.Alive())
	}
}

func TestMainEnds(t *testing.T) {
	for _, c := range []struct {
		name, out, err string
		code           int
	}{
		{"fine", "main returned\n", "", 0},
		{"fails", "", "program: the oven is cold\n", 1},
		{"unjoined", "main returned\n", `procs: cook-7 (pid `, 0},
		{"shutdown", "context deadline exceeded true\n<nil> false false\n", "", 0},
	} {
		cmd := program(t, c.name)
		var out, err bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &err
		cmd.Run()
		if cmd.ProcessState.ExitCode() != c.code || out.String() != c.out || !strings.Contains(err.String(), c.err) || c.err == "" && err.Len() > 0 {
			t.Errorf("%s: %v\n%s\n%s", c.name, cmd.ProcessState, out.String(), err.String())
		}
		if s := err.String(); strings.Contains(s, "cook-8") || strings.Contains(s, "cook-9") {
			t.Errorf("%s: names children that were joined or ended on request:\n%s", c.name, s)
		}
	}
}

// The first signal asks, the second one insists.
func TestSecondSignal(t *testing.T) {
	cmd := program(t, "deaf main")
	lines := speaking(t, cmd)
	lines.ReadString('\n')
	cmd.Process.Signal(os.Interrupt)
	if line, err := lines.ReadString('\n'); line != "asked\n" {
		t.Fatalf("after the first signal: %q, %v", line, err)
	}
	if err := cmd.Process.Signal(syscall.Signal(0)); err != nil {
		t.Fatalf("the first signal ended a deaf main: %v", err)
	}
	begin := time.Now()
	var err error
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for over := false; !over; { // at first it is still the same request
		cmd.Process.Signal(os.Interrupt)
		select {
		case err = <-ended:
			over = true
		case <-time.After(20 * time.Millisecond):
		}
	}
	took := time.Since(begin)
	t.Logf("another signal ended it %v after the first had been heard", took)
	if took > 2*time.Second {
		t.Error("and that is late")
	}
	if status := cmd.ProcessState.Sys().(syscall.WaitStatus); !status.Signaled() || status.Signal() != syscall.SIGINT {
		t.Errorf("ended with %v", err)
	}
}

// A main function that ends well after a signal has ended well.
func TestMainFinishesAfterSignal(t *testing.T) {
	cmd := program(t, "finishes")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	r := speaking(t, cmd)
	r.ReadString('\n')
	cmd.Process.Signal(syscall.SIGTERM)
	line, _ := r.ReadString('\n')
	if err := cmd.Wait(); err != nil || line != "main returned\n" {
		t.Errorf("%v, %q\n%s", err, line, stderr.String())
	}
}
