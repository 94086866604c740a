package fault_test

import (
	"os"
	"os/exec"
	"slices"
	"syscall"
	"testing"

	"shmkit/shm/fault"
)

// The tests below kill and stop processes, so the binary plays the victim
// itself: it arms the spec of its environment and passes a point 5 times.
func TestMain(m *testing.M) {
	spec := os.Getenv("FAULT_TEST_SPEC")
	if spec == "" {
		os.Exit(m.Run())
	}
	if err := fault.Arm(spec); err != nil {
		os.Exit(3)
	}
	for range 5 {
		os.Stdout.WriteString("x")
		fault.Point("test.point")
	}
	os.Exit(0)
}

func victim(spec string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), "FAULT_TEST_SPEC="+spec)
	return cmd
}

func TestKillAtNthPass(t *testing.T) {
	for spec, want := range map[string]string{
		"test.point:1":                 "x",
		"test.point:3":                 "xxx",
		"other:1,test.point:5":         "xxxxx",
		"test.point:4,test.point:2":    "xx",
		"test.point:2:kill,other:1":    "xx",
		"test.point:6,unknown:1:stop,": "xxxxx",
	} {
		cmd := victim(spec)
		out, err := cmd.Output()
		if string(out) != want {
			t.Errorf("%s: %q passes, want %q", spec, out, want)
		}
		status := cmd.ProcessState.Sys().(syscall.WaitStatus)
		if spec == "test.point:6,unknown:1:stop," {
			if err != nil {
				t.Errorf("%s: %v, want a clean end", spec, err)
			}
		} else if !status.Signaled() || status.Signal() != syscall.SIGKILL {
			t.Errorf("%s: %v, want SIGKILL", spec, err)
		}
	}
}

func TestStop(t *testing.T) {
	cmd := victim("test.point:2:stop")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var status syscall.WaitStatus
	if _, err := syscall.Wait4(cmd.Process.Pid, &status, syscall.WUNTRACED, nil); err != nil || !status.Stopped() {
		t.Fatalf("wait: %v, %v, want stopped", status, err)
	}
	buf := make([]byte, 16)
	if n, _ := out.Read(buf); string(buf[:n]) != "xx" {
		t.Errorf("stopped after %q, want xx", buf[:n])
	}
	cmd.Process.Signal(syscall.SIGCONT)
	if n, _ := out.Read(buf); n == 0 {
		t.Error("nothing written after the stop")
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("continued victim: %v", err)
	}
}

func TestArmErrors(t *testing.T) {
	for _, spec := range []string{"name", "name:0", "name:x", ":1", "name:1:burn", "a:1,b"} {
		if err := fault.Arm(spec); err == nil {
			t.Errorf("Arm(%q) is content", spec)
		}
	}
	if fault.Enabled {
		t.Error("a refused spec enabled the points")
	}
}

func TestNames(t *testing.T) {
	fault.Declare("test.b", "test.a")
	fault.Record()
	defer func() { fault.Enabled = false }()
	fault.Point("test.c")
	fault.Point("test.c")
	if got, want := fault.Names(), []string{"test.a", "test.b", "test.c"}; !slices.Equal(got, want) {
		t.Errorf("Names() = %v, want %v", got, want)
	}
	if got := fault.Passed("test.c"); got != 2 {
		t.Errorf("Passed = %d, want 2", got)
	}
}

func BenchmarkDisabled(b *testing.B) {
	for b.Loop() {
		if fault.Enabled {
			fault.Point("bench")
		}
	}
}

// A call is made once, at its point, and the process goes on.
func TestCall(t *testing.T) {
	n := 0
	fault.Call("fault.called", func() { n++; fault.Point("fault.called") })
	for range 3 {
		fault.Point("fault.called")
	}
	fault.Point("fault.elsewhere")
	if n != 1 || fault.Passed("fault.called") != 4 {
		t.Errorf("%d calls, %d passes", n, fault.Passed("fault.called"))
	}
}
