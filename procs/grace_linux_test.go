package procs_test

import (
	"bytes"
	"context"
	"encoding/gob"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"shmkit/procs"
	"shmkit/shm"
)

func TestGracefulEnd(t *testing.T) {
	f := newFlag(t)
	p := graceful.Process(f)
	start(t, p.Process)
	awaitFlag(t, f, 1)
	p.Terminate()
	cause, err := p.Result(t.Context())
	if err != nil || cause != procs.ErrTerminated.Error() {
		t.Errorf("Result = %q, %v", cause, err)
	}
	wantCode(t, p.Process, 0)
}

// A function that has looked at its context and then goes its own way has its
// grace, and no more.
var stubborn = procs.Register("stubborn", func(ctx context.Context, f *shm.Object[flag]) error {
	<-f.Value().wait(ctx)
	time.Sleep(time.Hour)
	return nil
})

// wait raises the flag and returns a channel that is closed when ctx ends.
func (f *flag) wait(ctx context.Context) <-chan struct{} {
	done := ctx.Done()
	f.Raised.Add(1)
	return done
}

func TestGrace(t *testing.T) {
	const grace = 100 * time.Millisecond
	f := newFlag(t)
	p := start(t, stubborn.Process(f, procs.Grace(grace)))
	awaitFlag(t, f, 1)
	begin := time.Now()
	p.Terminate()
	<-p.Done()
	took := time.Since(begin)
	t.Logf("grace of %v: ended after %v", grace, took)
	if took < grace || took > 10*time.Second {
		t.Errorf("ended after %v", took)
	}
	wantCode(t, p, -int(syscall.SIGTERM))
}

func TestClose(t *testing.T) {
	p := start(t, patient.Process(struct{}{}))
	wantError(t, "Close of a running process", p.Close(), procs.ErrRunning)
	p.Kill()
	<-p.Done()
	for range 2 {
		if err := p.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
	wantError(t, "Join", p.Join(t.Context()), procs.ErrClosed)
	wantError(t, "Join", p.Join(t.Context()), os.ErrClosed)
	wantError(t, "Terminate", p.Terminate(), procs.ErrClosed)
	wantError(t, "Kill", p.Kill(), procs.ErrClosed)
	if _, ok := p.ExitCode(); ok || p.Alive() {
		t.Error("a closed process object answers")
	}
	if p.Name() == "" || p.PID() == 0 {
		t.Error("name and pid are gone")
	}
}

func TestExitCodes(t *testing.T) {
	for _, code := range []int{0, 1, 2, 3, 44, 255} {
		p := start(t, exits.Process(code))
		err := p.Join(t.Context())
		wantCode(t, p, code)
		var exit *procs.ExitError
		if (err == nil) != (code == 0) || err != nil && (!errors.As(err, &exit) || exit.Code != code || exit.Signal != 0) {
			t.Errorf("os.Exit(%d): %v", code, err)
		}
	}
}

// The key is for those who ask for it by name, and for nobody else.
func TestAuthKeyIsNotShown(t *testing.T) {
	key := []byte("0123456789abcdef0123456789abcdef")
	p := start(t, patient.Process(struct{}{}, procs.AuthKey(key)))
	if !bytes.Equal(p.AuthKey(), key) {
		t.Fatalf("key %q", p.AuthKey())
	}
	var shown []string
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		shown = append(shown, fmt.Sprintf(verb, p), fmt.Sprintf(verb, []*procs.Process{p}))
	}
	text, _ := json.Marshal([]any{p})
	var encoded bytes.Buffer
	gob.NewEncoder(&encoded).Encode(p)
	shown = append(shown, string(text), encoded.String())
	for _, file := range []string{"cmdline", "environ"} {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", p.PID(), file))
		if err != nil {
			t.Error(err)
		}
		shown = append(shown, string(b))
	}
	for _, s := range shown {
		if strings.Contains(s, string(key[:8])) || strings.Contains(s, "48 49 50") || strings.Contains(s, "0x30, 0x31") || strings.Contains(s, "30313233") {
			t.Errorf("shows the key: %s", s)
		}
	}

	q := introduce.Process(struct{}{}, procs.AuthKey(key))
	start(t, q.Process)
	if in, err := q.Result(t.Context()); err != nil || !bytes.Equal(in.Key, key) {
		t.Errorf("the child has the key %q, %v", in.Key, err)
	}
}

func TestSpawnerDone(t *testing.T) {
	p := nothing.Process(struct{}{})
	select {
	case <-p.Done():
		t.Fatal("done before the start")
	default:
	}
	start(t, p)
	<-p.Done()
	if p.Alive() {
		t.Error("alive after Done")
	}
	wantCode(t, p, 0)
}
