package mpqueue_test

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"shmkit/mpqueue"
)

// BenchmarkRingAgainstC measures the ring and the same ring in C (testdata/ring.c,
// cc -O3) by turns, five times each, so that both meet the same machine, and
// reports the medians: nanoseconds per message of 64 bytes, written and checked,
// from one process to another. In cback the consumer writes back, as handBack does.
// x1 is the ratio to C one by one.
func BenchmarkRingAgainstC(b *testing.B) {
	cc, err := exec.LookPath("cc")
	if err != nil {
		b.Skip("no C compiler here")
	}
	program := filepath.Join(b.TempDir(), "ring")
	if out, err := exec.Command(cc, "-O3", "-o", program, "testdata/ring.c").CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	const count = 300_000
	inC := func(batch, capacity int, more ...string) float64 {
		args := append([]string{strconv.Itoa(count), strconv.Itoa(batch), strconv.Itoa(capacity)}, more...)
		out, err := exec.Command(program, args...).CombinedOutput()
		var ns float64
		var bad int
		if _, e := fmt.Sscan(string(out), &ns, &bad); err != nil || e != nil || bad > 0 {
			b.Fatalf("%v %v: %s", err, e, strings.TrimSpace(string(out)))
		}
		return ns
	}
	for _, batch := range []int{1, 64} {
		for _, capacity := range []int{64, 1024} {
			b.Run(fmt.Sprintf("batch=%d/cap=%d", batch, capacity), func(b *testing.B) {
				if b.N > 1 {
					return // once is enough, and takes half a second
				}
				var inGo, likewise, back, single []float64
				for range 5 {
					inGo = append(inGo, ringOnce(b, batch, capacity, count))
					likewise = append(likewise, inC(batch, capacity))
					back = append(back, inC(batch, capacity, "back"))
					if batch > 1 {
						single = append(single, inC(1, capacity))
					}
				}
				b.ReportMetric(0, "ns/op")
				g, c := middle(inGo), middle(likewise)
				b.ReportMetric(g, "go-ns/msg")
				b.ReportMetric(c, "c-ns/msg")
				b.ReportMetric(middle(back), "cback-ns/msg")
				b.ReportMetric(g/c, "x")
				if batch > 1 {
					b.ReportMetric(g/middle(single), "x1")
				}
			})
		}
	}
}

func middle(v []float64) float64 {
	slices.Sort(v)
	return v[len(v)/2]
}

// ringOnce sends count messages from another process to this one.
func ringOnce(b *testing.B, batch, capacity, count int) float64 {
	r, err := mpqueue.NewRing[message64](capacity)
	if err != nil {
		b.Fatal(err)
	}
	defer r.Close()
	mpqueue.WaitFences()
	p := benchRingProducer.Start(b, ringBenchArgs{r, batch, count})
	if _, err := r.Peek(background, 1); err != nil {
		b.Fatal(err)
	}
	begin := now()
	if err := drainRing(background, r, count, batch); err != nil {
		b.Fatal(err)
	}
	took := now() - begin
	if s := p.Wait(); s.Err != nil {
		b.Fatal(s)
	}
	return float64(took) / float64(count)
}
