package shm_test

import (
	"testing"

	"shmkit/procs/procstest"
)

func TestMain(m *testing.M) { procstest.Main(m) }
