package procs_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"syscall"
	"testing"
	"time"

	"shmkit/procs"
	"shmkit/procs/procstest"
	"shmkit/shm"
)

// supervise keeps four workers running for ever, whatever it takes. It returns
// when all have been started once. The channel gives the errors of Start that it
// meets, of which it minds nothing.
func supervise(worker func() *procs.Process) <-chan error {
	news := make(chan error, 1)
	var up sync.WaitGroup
	for range 4 {
		up.Add(1)
		first := sync.OnceFunc(up.Done)
		go func() {
			for {
				p := worker()
				if err := p.Start(); err != nil {
					select {
					case news <- err:
					default:
					}
					time.Sleep(time.Millisecond)
					continue
				}
				first()
				p.Join(context.Background())
			}
		}()
	}
	up.Wait()
	return news
}

func deafDaemon() *procs.Process { return sleeper.Process(time.Hour, procs.Daemon()) }

func deafWorker() *procs.Process { return sleeper.Process(time.Hour) }

// A manager returns while its supervisor keeps a worker running.
var manager = procs.Register("manager", func(ctx context.Context, b bond) error {
	if b == daemon {
		supervise(newDeafDaemon)
		return nil
	}
	supervise(newDeafWorker)
	done := ctx.Done()
	fmt.Println("ready")
	<-done
	return nil
})

var newDeafDaemon, newDeafWorker func() *procs.Process

func init() {
	newDeafDaemon, newDeafWorker = deafDaemon, deafWorker

	programs["respawns daemons"] = func(context.Context) error {
		supervise(deafDaemon)
		return nil
	}
	programs["manager of daemons"] = func(ctx context.Context) error {
		p := manager.Process(daemon)
		return errors.Join(p.Start(), p.Join(ctx))
	}
	programs["respawns workers"] = func(ctx context.Context) error {
		supervise(deafWorker)
		fmt.Println("ready")
		<-ctx.Done()
		return nil
	}
	programs["manager of workers"] = func(ctx context.Context) error {
		p := manager.Process(free)
		return errors.Join(p.Start(), p.Join(context.Background()))
	}
	bare["shutdown against a supervisor"] = func() {
		procs.Init()
		refusals := supervise(deafDaemon)
		fmt.Println(procs.Shutdown(context.Background()))
		fmt.Println(<-refusals)
	}
}

// Whoever starts what has ended anew does not keep a program, or a child, from
// ending: daemons when its function has returned, all others when a signal has
// asked for it.
func TestRespawning(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	const bound = time.Second
	for _, c := range []struct {
		name     string
		signal   bool
		lastLine string
	}{
		{"respawns daemons", false, "main returned\n"},
		{"manager of daemons", false, "main returned\n"},
		{"respawns workers", true, "main returned\n"},
		{"manager of workers", true, "main returned\n"},
		{"shutdown against a supervisor", false, procs.ErrEnding.Error() + "\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cmd := program(t, c.name)
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			begin := time.Now()
			late := time.AfterFunc(10*bound, func() { syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
			lines := bufio.NewReader(out)
			if c.signal {
				lines.ReadString('\n')
				cmd.Process.Signal(syscall.SIGTERM)
			}
			text, _ := io.ReadAll(lines)
			err = cmd.Wait()
			if !late.Stop() {
				t.Fatalf("the program has not ended after %v", 10*bound)
			}
			t.Logf("ended after %v", time.Since(begin))
			if err != nil || !matches(c.lastLine+"$", string(text)) {
				t.Errorf("%v, %q", err, text)
			}
		})
	}
}

// slow has looked at its context, and takes its time when it is asked to end.
var slow = procs.Register("slow", func(ctx context.Context, a slowArgs) error {
	<-a.Flag.Value().wait(ctx)
	time.Sleep(a.For)
	a.Flag.Value().Raised.Add(1)
	return nil
})

type slowArgs struct {
	Flag *shm.Object[flag]
	For  time.Duration
}

// hasty returns as soon as it is asked to, before its child.
var hasty = procs.RegisterFunc("hasty", func(ctx context.Context, a slowArgs) (string, error) {
	if err := newSlow(a, procs.Grace(time.Minute)).Start(); err != nil {
		return "", err
	}
	<-a.Flag.Value().wait(ctx)
	return context.Cause(ctx).Error(), nil
})

// parting returns before anybody asks it to, and waits for its child.
var parting = procs.RegisterFunc("parting", func(ctx context.Context, a slowArgs) (string, error) {
	if err := newSlow(a, procs.Grace(time.Minute)).Start(); err != nil {
		return "", err
	}
	a.Flag.Value().wait(ctx)
	return "left early", nil
})

var newSlow func(a slowArgs, opts ...procs.Option) *procs.Process

func init() {
	newSlow = func(a slowArgs, opts ...procs.Option) *procs.Process { return slow.Process(a, opts...) }
}

// Who has returned has used no grace: its child has its own, and its result
// counts.
func TestGraceOfGrandchildren(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	const grace = 500 * time.Millisecond // to return in: a promise of 10 ms
	for _, c := range []struct {
		f    *procs.ResultFunction[slowArgs, string]
		want string
	}{
		{hasty, procs.ErrTerminated.Error()},
		{parting, "left early"},
	} {
		f := newFlag(t)
		p := c.f.Process(slowArgs{f, 2 * grace}, procs.Grace(grace))
		start(t, p.Process)
		awaitFlag(t, f, 2)
		begin := time.Now()
		p.Terminate()
		got, err := p.Result(t.Context())
		t.Logf("ended after %v: %q", time.Since(begin), got)
		if err != nil || got != c.want {
			t.Errorf("Result = %q, %v", got, err)
		}
		if n := f.Value().Raised.Load(); n != 3 {
			t.Errorf("the grandchild did not come to its end: %d", n)
		}
	}

	// A grandchild that does not use its grace is ended by it all the same.
	f := newFlag(t)
	p := lenient.Process(slowArgs{f, time.Hour}, procs.Grace(grace))
	start(t, p.Process)
	awaitFlag(t, f, 2)
	begin := time.Now()
	p.Terminate()
	if _, err := p.Result(t.Context()); err != nil {
		t.Error(err)
	}
	took := time.Since(begin)
	t.Logf("with a grandchild that stays: ended after %v", took)
	if took > 10*time.Second {
		t.Errorf("took %v", took)
	}
}

// lenient is hasty with a child that will not end, with the default grace.
var lenient = procs.RegisterFunc("lenient", func(ctx context.Context, a slowArgs) (string, error) {
	if err := newSlow(a).Start(); err != nil {
		return "", err
	}
	<-a.Flag.Value().wait(ctx)
	return "", nil
})
