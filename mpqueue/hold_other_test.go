//go:build !linux

package mpqueue_test

import (
	"testing"

	"shmkit/shm"
)

type monitor struct{}

func hold(t testing.TB) *shm.Object[monitor] { return nil }
func surrender(o *shm.Object[monitor]) error { return nil }
