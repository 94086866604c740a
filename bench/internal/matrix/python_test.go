package matrix

import (
	"context"
	"testing"
	"time"

	"shmkit/procs/procstest"
)

// TestPython runs what python.py can do, where there is a Python.
func TestPython(t *testing.T) {
	if pythonPath() == "" {
		t.Skip("no python3 on this machine")
	}
	procstest.Watchdog(t, time.Minute)
	for _, impl := range pythons {
		c := Base(impl)
		if r, err := pythonThroughput(t.Context(), c, quick); err != nil || !r.DeliveredOK || *r.NSPerMsg <= 0 {
			t.Errorf("%v: %+v, %v", c, r, err)
		}
		if r, err := pythonLatency(t.Context(), c, 50*time.Millisecond, 2); err != nil || *r.P50 <= 0 {
			t.Errorf("%v: %+v, %v", c, r, err)
		}
	}
}

// TestPythonStart holds that the rows do not depend on the way in which Python
// starts processes unasked: from 3.14 on that is no fork any more.
func TestPythonStart(t *testing.T) {
	if pythonPath() == "" {
		t.Skip("no python3 on this machine")
	}
	procstest.Watchdog(t, time.Minute)
	defer func(s string) { pythonScript = s }(pythonScript)
	pythonScript = "import multiprocessing\nmultiprocessing.set_start_method('forkserver')\n" + pythonScript
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	c := Base("py-queue")
	if r, err := pythonThroughput(ctx, c, quick); err != nil || !r.DeliveredOK {
		t.Errorf("%+v, %v", r, err)
	}
	if r, err := pythonLatency(ctx, c, 50*time.Millisecond, 1); err != nil || *r.P50 <= 0 {
		t.Errorf("%+v, %v", r, err)
	}
	if r, err := lockRow(ctx, "py-lock", 2, quick); err != nil || !r.DeliveredOK {
		t.Errorf("%+v, %v", r, err)
	}
	if r, err := heirRow(ctx, "py-lock", 1, 100*time.Millisecond); err != nil || r.Outcome == "recovers" {
		t.Errorf("%+v, %v", r, err)
	}
}

// TestLaunch starts a process in every way.
func TestLaunch(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	for _, impl := range launchKinds {
		r, err := launchRow(t.Context(), impl, 5)
		if err != nil {
			t.Errorf("%s: %v", impl, err)
			continue
		}
		if r.Skipped == "" && (*r.P50 <= 0 || r.Note == "") {
			t.Errorf("%s: %+v", impl, r)
		}
		t.Log(Line(r))
	}
}

// TestTool holds that a tool that does not end is killed with its children.
func TestTool(t *testing.T) {
	if pythonPath() == "" {
		t.Skip("no python3 on this machine")
	}
	procstest.Watchdog(t, time.Minute)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	begin := time.Now()
	_, err := python(ctx, pythonArgs{What: "crash", Seconds: 60})
	if err == nil || time.Since(begin) > 10*time.Second {
		t.Errorf("%v after %v", err, time.Since(begin))
	}
}
