package main

import (
	stdbytes "bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"shmkit/futexlock"
	"shmkit/mpqueue"
	"shmkit/procs"
	"shmkit/procs/procstest"
	"shmkit/shm"
)

func TestMain(m *testing.M) { procstest.Main(m) }

// till is what the tests look at.
type till struct {
	Mu    futexlock.Mutex
	Cash  int64
	Drawn [2]futexlock.Mutex
}

// clerk holds a lock.
var clerk = procstest.Role("clerk", func(ctx context.Context, name string) error {
	o, err := shm.Open[till](name)
	if err != nil {
		return err
	}
	o.Value().Mu.Lock()
	o.Value().Cash = 1
	<-ctx.Done()
	return nil
})

// ctl runs shmctl and returns what it printed and its exit status.
func ctl(args ...string) (out, errs string, status int) {
	var o, e stdbytes.Buffer
	status = run(args, &o, &e)
	return o.String(), e.String(), status
}

// decode runs shmctl and reads its JSON.
func decode[T any](t *testing.T, want int, args ...string) (v T) {
	t.Helper()
	out, errs, status := ctl(args...)
	if status != want {
		t.Fatalf("shmctl %v: status %d, want %d\n%s%s", args, status, want, out, errs)
	}
	d := json.NewDecoder(strings.NewReader(out))
	d.DisallowUnknownFields()
	if err := d.Decode(&v); err != nil {
		t.Fatalf("shmctl %v: %v\n%s", args, err, out)
	}
	return v
}

func newTill(t *testing.T, name string, opts ...shm.Option) *shm.Object[till] {
	t.Helper()
	o, err := shm.Create[till](name, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		o.Close()
		shm.Remove(name)
	})
	return o
}

func TestUsage(t *testing.T) {
	for _, c := range []struct {
		args   []string
		status int
		in     string // of what is printed
	}{
		{nil, 2, "Exit status"}, {[]string{"-h"}, 0, "Exit status"}, {[]string{"help"}, 0, "inspect"},
		{[]string{"dance"}, 2, "no command"}, {[]string{"ls", "-h"}, 0, "stale"}, {[]string{"ls", "-x"}, 2, "-json"},
		{[]string{"inspect"}, 2, "usage"}, {[]string{"inspect", "a", "b"}, 2, "usage"}, {[]string{"rm"}, 2, "usage"},
		{[]string{"inspect", "nobody"}, 3, "no such file"}, {[]string{"rm", "nobody"}, 3, "nobody"},
		{[]string{"check", "nobody"}, 3, "nobody"}, {[]string{"top", "-n", "1", "nobody"}, 3, "nobody"},
		{[]string{"top", "-i", "-1s"}, 2, "interval"}, {[]string{"top", "-n", "-1"}, 2, "interval"},
		{[]string{"help", "ls"}, 0, "stale"}, {[]string{"ls", "more"}, 2, "too many arguments"},
		{[]string{"inspect", "nobody", "-json"}, 3, "no such file"}, {[]string{"inspect", "--", "-json"}, 3, "-json"},
		{[]string{"inspect", "nobody", "-dance"}, 2, "-dance"},
	} {
		out, errs, status := ctl(c.args...)
		if status != c.status || !strings.Contains(out+errs, c.in) {
			t.Errorf("shmctl %v: status %d, want %d:\n%s%s", c.args, status, c.status, out, errs)
		}
	}
	// Every command is in the usage, and in the package's page.
	doc, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, cmd := range commands {
		if !strings.Contains(usage, "shmctl "+cmd.name) || !strings.Contains(string(doc), "shmctl "+cmd.name) {
			t.Errorf("%s is not described", cmd.name)
		}
	}
}

func TestList(t *testing.T) {
	used := newTill(t, "used")
	newTill(t, "stale").Close()
	newTill(t, "kept", shm.WithKeep()).Close()
	broken := filepath.Join(os.Getenv("SHMKIT_DIR"), "shmkit-broken")
	if err := os.WriteFile(broken, []byte("no segment"), 0o600); err != nil {
		t.Fatal(err)
	}
	defer os.Remove(broken)
	states := map[string]string{}
	for _, s := range decode[[]segment](t, 0, "ls", "-json") {
		states[s.Name] = s.State
		if s.Name == "used" && (s.Kind != "shm.Object" || s.Type != "main.till" || s.ID != used.Segment().ID().String() || s.Creator != os.Getpid()) {
			t.Errorf("%+v", s)
		}
	}
	for name, want := range map[string]string{"used": "used", "stale": "stale", "kept": "kept", "broken": "broken"} {
		if states[name] != want {
			t.Errorf("%s is %q", name, states[name])
		}
	}
	out, _, _ := ctl("ls")
	t.Log("\n" + out)
	if lines := strings.Count(out, "\n"); lines != 5 {
		t.Errorf("%d lines", lines)
	}
	nameless, err := shm.New[[5000]byte]()
	if err != nil {
		t.Fatal(err)
	}
	defer nameless.Close()
	found := false
	for _, s := range decode[[]segment](t, 0, "ls", "-a", "-json") {
		found = found || s.ID == nameless.Segment().ID().String() && len(s.PIDs) == 1 && s.PIDs[0] == os.Getpid()
	}
	if !found {
		t.Error("ls -a does not show the anonymous segment")
	}
}

func TestInspect(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	o := newTill(t, "till")
	p := clerk.Start(t, "till", procstest.With(procs.Name("clerk-7")))
	for shm.Find(&o.Value().Cash) == nil || len(o.Segment().Participants()) < 2 || !strings.Contains(o.Value().Mu.State(), "clerk-7") {
		time.Sleep(time.Millisecond)
	}
	in := decode[inspection](t, 0, "inspect", "-json", "till")
	if len(in.Participants) != 2 || len(in.Items) != 3 || in.State != "used" || in.Slots != 256 {
		t.Errorf("%+v", in)
	}
	if s := in.Items[0].State; !strings.Contains(s, "clerk-7") || in.Items[0].Kind != "futexlock.Mutex" {
		t.Errorf("the lock is %q", s)
	}
	out, _, _ := ctl("inspect", "till")
	t.Log("\n" + out)
	for _, want := range []string{"clerk-7", "locked by", "live", "main.till", "unlocked"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	// A dead participant is shown as such, and left as it is: inspect sweeps
	// nobody. This process would; so it lets go first.
	o.Close()
	p.Kill()
	for range 2 {
		in = decode[inspection](t, 0, "inspect", "-json", "till")
		if len(in.Participants) != 1 || in.Participants[0].State != "dead, not swept" || in.State != "stale" {
			t.Errorf("%+v", in.Participants)
		}
	}
	if out, errs, status := ctl("check", "till"); status != 0 {
		t.Errorf("check: %d %s%s", status, out, errs)
	}
	if in = decode[inspection](t, 0, "inspect", "-json", "till"); len(in.Participants) != 0 || !strings.Contains(in.Items[0].State, "died") {
		t.Errorf("after check: %+v", in)
	}
	nameless, err := shm.New[[5000]byte]()
	if err != nil {
		t.Fatal(err)
	}
	defer nameless.Close()
	if in := decode[inspection](t, 0, "inspect", "-json", nameless.Segment().ID().String()[:10]); in.Payload != 5000 {
		t.Errorf("%+v", in)
	}
}

func TestInspectQueue(t *testing.T) {
	q, err := mpqueue.Create[int64]("queue", 10)
	if err != nil {
		t.Fatal(err)
	}
	defer shm.Remove("queue")
	defer q.Close()
	for i := range int64(3) {
		if err := q.TryPut(i); err != nil {
			t.Fatal(err)
		}
	}
	in := decode[inspection](t, 0, "inspect", "-json", "queue")
	if in.Kind != "mpqueue.Queue" || len(in.Items) == 0 || !strings.Contains(in.Items[0].State, "3 of 10") {
		t.Errorf("%+v", in)
	}
}

func TestCheck(t *testing.T) {
	o := newTill(t, "good")
	if out, errs, status := ctl("check"); status != 0 || !strings.Contains(out, "1 segments, 0 findings") {
		t.Errorf("%d %s%s", status, out, errs)
	}
	// Its oracle: a lock held by somebody who was never there.
	word, err := shm.At[uint32](o.Segment(), 0)
	if err != nil {
		t.Fatal(err)
	}
	*word = 77<<18 | 5
	f := decode[[]finding](t, 1, "check", "-json", "good")
	if len(f) != 1 || len(f[0].Findings) != 1 || !strings.Contains(f[0].Findings[0], "77.5") {
		t.Errorf("%+v", f)
	}
	*word = 0
	path := filepath.Join(os.Getenv("SHMKIT_DIR"), "shmkit-bad")
	os.WriteFile(path, []byte("no segment"), 0o600)
	defer os.Remove(path)
	if out, _, status := ctl("check"); status != 1 || !strings.Contains(out, "bad: ") {
		t.Errorf("%d %s", status, out)
	}
	if out, _, status := ctl("check", "bad"); status != 1 || !strings.Contains(out, "corrupt") {
		t.Errorf("%d %s", status, out)
	}
}

func TestCollect(t *testing.T) {
	newTill(t, "used")
	newTill(t, "stale").Close()
	newTill(t, "kept", shm.WithKeep()).Close()
	if gone := decode[[]string](t, 0, "gc", "-n", "-json"); len(gone) != 1 || gone[0] != "stale" {
		t.Errorf("would remove %v", gone)
	}
	if out, _, status := ctl("gc"); status != 0 || out != "stale\n" {
		t.Errorf("%d %q", status, out)
	}
	if gone := decode[[]string](t, 0, "gc", "-json"); len(gone) != 0 {
		t.Errorf("removed twice: %v", gone)
	}
	if all, _ := shm.List(); len(all) != 2 {
		t.Errorf("left %v", all)
	}
}

func TestRemove(t *testing.T) {
	newTill(t, "used")
	newTill(t, "stale").Close()
	path := filepath.Join(os.Getenv("SHMKIT_DIR"), "shmkit-text")
	os.WriteFile(path, []byte("no segment"), 0o600)
	for _, c := range []struct {
		args   []string
		status int
	}{
		{[]string{"rm", "stale"}, 0}, {[]string{"rm", "stale"}, 3}, {[]string{"rm", "used"}, 1}, {[]string{"rm", "text"}, 1},
		{[]string{"rm", "-f", "used", "text"}, 0}, {[]string{"rm", "used"}, 3},
	} {
		if out, errs, status := ctl(c.args...); status != c.status {
			t.Errorf("%v: %d, want %d: %s%s", c.args, status, c.status, out, errs)
		}
	}
}

func TestTop(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	o := newTill(t, "till")
	o.Value().Mu.Lock()
	defer o.Value().Mu.Unlock()
	rates := decode[[]rate](t, 0, "top", "-json", "-i", "20ms", "-n", "1", "till")
	if len(rates) != 1 || rates[0].Live != 1 || len(rates[0].Items) != 1 || rates[0].Items[0].Since == "" {
		t.Errorf("%+v", rates)
	}
	out, _, status := ctl("top", "-i", "20ms", "-n", "2")
	t.Log("\n" + out)
	if status != 0 || strings.Count(out, "LIVE") != 2 || !strings.Contains(out, "locked by") {
		t.Errorf("%d\n%s", status, out)
	}
}

// What is asked for goes to stdout, so that it can be piped.
func TestHelpIsOutput(t *testing.T) {
	for _, args := range [][]string{{"-h"}, {"ls", "-h"}, {"top", "--help"}, {"help", "rm"}} {
		if out, errs, _ := ctl(args...); out == "" || errs != "" {
			t.Errorf("%v: %q, and as an error %q", args, out, errs)
		}
	}
}

// A name or a type is text, whatever its maker chose.
func TestPlain(t *testing.T) {
	evil := "a\x1b[31m\nb"
	newTill(t, evil)
	for _, args := range [][]string{{"ls"}, {"inspect", evil}, {"check"}, {"gc", "-n"}, {"top", "-n", "1", "-i", "1ms"}, {"rm", evil}} {
		out, errs, _ := ctl(args...)
		if strings.Contains(out+errs, "\x1b") || strings.Contains(out+errs, "\nb") {
			t.Errorf("%v: %q %q", args, out, errs)
		}
	}
	for _, line := range []string{"Jürgen → 包子", "a b"} {
		if plain(line) != line {
			t.Errorf("%q becomes %q", line, plain(line))
		}
	}
}

// full is a disk without room.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, syscall.ENOSPC }

// What cannot be written is a failure, and so is a folder of names that there is not.
func TestFailures(t *testing.T) {
	newTill(t, "full").Close()
	for _, args := range [][]string{{"ls"}, {"ls", "-json"}, {"inspect", "full"}, {"check"}, {"gc", "-n"}, {"top", "-n", "1", "-i", "1ms"}} {
		var errs stdbytes.Buffer
		if status := run(args, full{}, &errs); status != statusFailed || !strings.Contains(errs.String(), "no space") {
			t.Errorf("%v: status %d, %s", args, status, &errs)
		}
	}
	t.Setenv("SHMKIT_DIR", filepath.Join(t.TempDir(), "nowhere"))
	for _, args := range [][]string{{"ls"}, {"check"}, {"gc"}} {
		if _, errs, status := ctl(args...); status != statusFailed || !strings.Contains(errs, "nowhere") {
			t.Errorf("%v without a folder: status %d, %s", args, status, errs)
		}
	}
}

// Segments of other users are no finding, and can be looked at by who asks for it.
func TestForeign(t *testing.T) {
	newTill(t, "hers").Close()
	newTill(t, "mine")
	if err := os.Chown(filepath.Join(os.Getenv("SHMKIT_DIR"), "shmkit-hers"), 4711, -1); err != nil {
		t.Skipf("only root can give a file away: %v", err)
	}
	if f := decode[[]finding](t, statusOK, "check", "-json"); len(f) != 1 || f[0].Name != "mine" {
		t.Errorf("%+v", f)
	}
	if out, _, status := ctl("check"); status != statusOK || !strings.Contains(out, "1 of other users") {
		t.Errorf("%d: %s", status, out)
	}
	for _, c := range []struct {
		args   []string
		status int
	}{
		{[]string{"check", "hers"}, statusFailed}, {[]string{"check", "hers", "-u", "4711"}, statusOK},
		{[]string{"inspect", "hers"}, statusFailed}, {[]string{"inspect", "-u", "4711", "hers"}, statusOK},
		{[]string{"top", "-n", "1", "-i", "1ms", "hers"}, statusFailed}, {[]string{"top", "-n", "1", "-i", "1ms", "-u", "4711", "hers"}, statusOK},
	} {
		if out, errs, status := ctl(c.args...); status != c.status {
			t.Errorf("%v: status %d, want %d\n%s%s", c.args, status, c.status, out, errs)
		}
	}
}
