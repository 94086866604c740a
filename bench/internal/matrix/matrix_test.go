package matrix

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"shmkit/bench/internal/machine"
	"shmkit/bench/internal/rival"
	"shmkit/procs/procstest"
)

func TestMain(m *testing.M) {
	if os.Getenv(Nothing) != "" {
		return
	}
	procstest.Main(m)
}

var quick = Effort{Time: 3 * time.Millisecond, Repeats: 2}

// TestThroughput runs every kind once, in each shape that it can.
func TestThroughput(t *testing.T) {
	procstest.Watchdog(t, 2*time.Minute)
	for _, k := range rival.All() {
		for _, vary := range []func(c *Case){
			func(c *Case) {},
			func(c *Case) { c.Size = 8; c.Producers = 2 },
			func(c *Case) { c.Size = Mixed; c.Consumers = 2 },
			func(c *Case) { c.Size = 64 << 10; c.Capacity = 16 },
			func(c *Case) { c.Batch = 8 },
			func(c *Case) { c.Mode = rival.Spin },
			func(c *Case) { c.ZeroCopy = true; c.Producers, c.Consumers = 2, 2 },
			func(c *Case) { c.ZeroCopy = true; c.Size = 64 << 10; c.Capacity = 16 },
		} {
			c := Base(k.Name)
			vary(&c)
			r, err := throughput(t.Context(), c, quick)
			if err != nil {
				t.Errorf("%v: %v", c, err)
				continue
			}
			if r.Skipped != "" {
				continue
			}
			if !r.DeliveredOK || r.NSPerMsg == nil || *r.NSPerMsg <= 0 || *r.Min > *r.NSPerMsg || *r.Max < *r.NSPerMsg || r.Repeats != 2 {
				t.Errorf("%v: %+v", c, r)
			}
		}
	}
}

// TestTrace holds that system calls are counted where that is possible.
func TestTrace(t *testing.T) {
	e := quick
	if e.Trace = machine.FindTracepoint(); e.Trace == 0 {
		t.Skip("system calls cannot be counted here")
	}
	r, err := throughput(t.Context(), Base("pipe"), e)
	if err != nil {
		t.Fatal(err)
	}
	if r.SyscallsPerMsg == nil || *r.SyscallsPerMsg < 3 { // A write and two reads.
		t.Errorf("%+v", r)
	}
}

// TestReadsWrites holds that an ordinary user, who has no tracepoint, is told the
// reads and writes, and nothing of a kind that sleeps and wakes by other calls.
func TestReadsWrites(t *testing.T) {
	for impl, least := range map[string]float64{"pipe": 3, "unix": 1, "eventfd": 0, "mpqueue": -1, "posixmq": -1} {
		r, err := throughput(t.Context(), Base(impl), quick)
		if err != nil {
			t.Fatal(err)
		}
		if r.Skipped != "" {
			continue
		}
		if got := r.SyscallsPerMsg; (got != nil) != (least >= 0) || got != nil && (*got < least || r.SyscallsBy != "io") {
			t.Errorf("%s: %+v", impl, r)
		}
	}
}

// The broken kinds are a pipe with a planted fault each; they exist in the
// workers too, since those are this binary.
func init() {
	find = func(name string) (rival.Kind, error) {
		base, fault, broken := strings.Cut(name, "+")
		k, err := rival.Find(base)
		if err != nil || !broken {
			return k, err
		}
		k.Name = name
		if fault == "die" {
			open := k.Receiver
			k.Receiver = func(e rival.Ends, f []*os.File) (rival.Receiver, error) {
				r, err := open(e, f)
				return &dying{Receiver: r}, err
			}
			return k, nil
		}
		open := k.Sender
		k.Sender = func(e rival.Ends, f []*os.File) (rival.Sender, error) {
			s, err := open(e, f)
			return &faulty{Sender: s, fault: fault}, err
		}
		return k, nil
	}
}

// dying is a receiver whose process fails when the channel has long been full.
type dying struct {
	rival.Receiver
	n int
}

func (d *dying) Recv(ctx context.Context) ([]byte, error) {
	if d.n++; d.n == 10 {
		time.Sleep(100 * time.Millisecond)
		return nil, errors.New("planted")
	}
	return d.Receiver.Recv(ctx)
}

type faulty struct {
	rival.Sender
	fault string
	n     int
	kept  []byte
}

func (f *faulty) Send(ctx context.Context, p []byte) error {
	if f.n++; f.n == 10 {
		switch f.fault {
		case "drop":
			return nil
		case "twice":
			if err := f.Sender.Send(ctx, p); err != nil {
				return err
			}
		case "flip":
			p[len(p)-1] ^= 1
		case "swap":
			f.kept = append([]byte(nil), p...)
			return nil
		}
	}
	if f.n == 1000 && f.fault == "stall" {
		time.Sleep(50 * time.Millisecond)
	}
	if f.n == 11 && f.kept != nil {
		if err := f.Sender.Send(ctx, p); err != nil {
			return err
		}
		p = f.kept
	}
	return f.Sender.Send(ctx, p)
}

// once is one run of the base case. Without a calibration: on a machine with much
// else to do that may end before the message at which a fault is planted.
func once(ctx context.Context, impl string, count int) error {
	k, err := find(impl)
	if err != nil {
		return err
	}
	c := Base(impl)
	c.Mode = defaultMode(k)
	_, err = run(ctx, k, c, count, 0)
	return err
}

// TestPlanted holds that a channel that loses, doubles, changes or reorders
// one message fails the case, and that the error says which it was.
func TestPlanted(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	for fault, want := range map[string]string{"drop": "63 messages arrived", "twice": "reordered", "flip": "other bytes", "swap": "reordered"} {
		err := once(t.Context(), "pipe+"+fault, 64)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", fault, err, want)
		}
	}
}

// TestDeadReceiver holds that the launcher does not wait for room in a channel
// that nobody empties any more, whether its receiver failed or it was told to end.
func TestDeadReceiver(t *testing.T) {
	procstest.Watchdog(t, time.Minute)
	for _, k := range rival.All() {
		if k.InProcess {
			continue
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		err := once(ctx, k.Name+"+die", 4096)
		if err == nil || !strings.Contains(err.Error(), "planted") {
			t.Errorf("%s: %v", k.Name, err)
		}
		cancel()
	}
}

// TestLatency runs both kinds of loop once for every kind.
func TestLatency(t *testing.T) {
	procstest.Watchdog(t, 2*time.Minute)
	for _, k := range rival.All() {
		for _, rate := range []int{0, 20_000} {
			c := Base(k.Name)
			c.Axis = "latency"
			r, err := latency(t.Context(), c, rate, 40*time.Millisecond, 2)
			if err != nil {
				t.Errorf("%v, %d/s: %v", c, rate, err)
				continue
			}
			if *r.P50 <= 0 || *r.P99 < *r.P50 || *r.Worst < *r.P999 || r.Repeats != 2 || *r.P50Min > *r.P50 || *r.P50Max < *r.P50 || *r.P99Min > *r.P99Max || len(r.Curve) < 5 || (r.Reached != nil) != (rate > 0) {
				t.Errorf("%v, %d/s: %+v", c, rate, r)
			}
		}
	}
}

// TestOpenLoop holds that a channel that stands still for a while shows it: who
// waits in front of it has waited too.
func TestOpenLoop(t *testing.T) {
	c := Base("pipe+stall")
	r, err := latency(t.Context(), c, 10_000, 200*time.Millisecond, 1)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("p50 %.0f, p99 %.0f, max %.0f ns", *r.P50, *r.P99, *r.Worst)
	if *r.P99 < 20e6 {
		t.Errorf("a stall of 50 ms in 200, and p99 is %.0f ns", *r.P99)
	}
}
