package futexlock_test

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"testing"

	"shmkit/shm"
)

// A stranger is a process of this binary that no process of the test sweeps
// when it ends: package procs does not know it. It finds its table by the
// reference that a handle has as text.
const strangerKey = "FUTEXLOCK_STRANGER"

// strangerEnv tells a process of this binary what to do.
func strangerEnv(o *shm.Object[table], name string, n int) []string {
	text, err := o.MarshalText()
	if err != nil {
		panic(err)
	}
	return append(os.Environ(), strangerKey+"="+string(text), strangerKey+"_ACT="+name, fmt.Sprintf("%s_N=%d", strangerKey, n))
}

// stranger starts one.
func stranger(t testing.TB, o *shm.Object[table], name string, n int) *os.Process {
	t.Helper()
	p, err := os.StartProcess("/proc/self/exe", []string{"stranger"}, &os.ProcAttr{
		Env:   strangerEnv(o, name, n),
		Files: []*os.File{nil, nil, os.Stderr},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.Kill()
		p.Wait()
	})
	return p
}

// prepare is what a stranger does before it attaches, for acts that have such a
// thing.
var prepare = map[string]func(n int){}

// beStranger plays the stranger's part, in TestMain.
func beStranger(text string) {
	n, _ := strconv.Atoi(os.Getenv(strangerKey + "_N"))
	if f := prepare[os.Getenv(strangerKey+"_ACT")]; f != nil {
		f(n)
	}
	var o shm.Object[table]
	err := o.UnmarshalText([]byte(text))
	if err == nil {
		err = acts[os.Getenv(strangerKey+"_ACT")](context.Background(), o.Value(), n)
		o.Close()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "stranger:", err)
		os.Exit(1)
	}
	os.Exit(0)
}
