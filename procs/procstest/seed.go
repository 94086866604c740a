package procstest

import (
	"flag"
	"os"
	"strconv"
	"testing"
	"time"
)

var seedFlag = flag.Int64("seed", 0, "seed of randomised tests, to repeat a run (0: a new one; SHMKIT_SEED does the same)")

// Seed returns the seed of a randomised test and logs it. The flag -seed or the
// variable SHMKIT_SEED repeats a run.
func Seed(t testing.TB) int64 {
	t.Helper()
	seed := *seedFlag
	if seed == 0 {
		seed, _ = strconv.ParseInt(os.Getenv("SHMKIT_SEED"), 10, 64)
	}
	if seed == 0 {
		seed = time.Now().UnixNano() & (1<<40 - 1)
	}
	t.Logf("seed %d (repeat with: -run '^%s$' -args -seed %d)", seed, t.Name(), seed)
	return seed
}
