package machine

import (
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

// TestClocks asks other processes for the time, one after the other: none may
// answer with a time outside of the question.
func TestClocks(t *testing.T) {
	const role = "SHMKIT_BENCH_CLOCK"
	if os.Getenv(role) != "" {
		os.Stdout.WriteString(strconv.FormatInt(Now(), 10) + "\n")
		os.Exit(0)
	}
	rounds := 20
	if testing.Short() {
		rounds = 3
	}
	for range rounds {
		c := exec.Command(os.Args[0], "-test.run", "^TestClocks$")
		c.Env = append(os.Environ(), role+"=1")
		before := Now()
		out, err := c.Output()
		after := Now()
		if err != nil {
			t.Fatal(err)
		}
		n, err := strconv.ParseInt(strings.TrimSpace(string(out)), 10, 64)
		if err != nil || n < before-2000 || n > after+2000 {
			t.Errorf("asked between %d and %d, the answer was %d, %v", before, after, n, err)
		}
	}
}
