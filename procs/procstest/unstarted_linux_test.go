package procstest

import (
	"slices"
	"testing"
)

func TestUnstarted(t *testing.T) {
	// As Role would: roles cannot be registered once Main runs.
	roles.Lock()
	roles.started["never started"], roles.started["bench never started"] = false, false
	roles.Unlock()
	defer func() {
		roles.Lock()
		delete(roles.started, "never started")
		roles.Unlock()
	}()
	got := unstarted()
	if !slices.Contains(got, "never started") || slices.Contains(got, "bench never started") {
		t.Errorf("unstarted() = %q", got)
	}
}
