package job

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"shmkit/bench/internal/machine"
	"shmkit/bench/internal/rival"
	"shmkit/bench/internal/tree"
	"shmkit/procs"
	"shmkit/procs/procstest"
)

func TestMain(m *testing.M) { procstest.Main(m) }

// folder writes files of many sizes: empty ones, short ones, and some of
// several chunks.
func folder(t testing.TB, files int) string {
	t.Helper()
	root := t.TempDir()
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range files {
		size := rng.IntN(3000)
		switch i % 10 {
		case 0:
			size = 0
		case 1:
			size = tree.ChunkSize * rng.IntN(5)
		case 2:
			size = rng.IntN(5 * tree.ChunkSize)
		}
		b := make([]byte, size)
		for j := range b {
			b[j] = byte(rng.Uint32())
		}
		path := filepath.Join(root, fmt.Sprintf("d%d", i%7), fmt.Sprintf("f%d", i))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func config(t testing.TB, files, producers, consumers int) Config {
	t.Helper()
	p, err := tree.NewPlan(t.Context(), folder(t, files))
	if err != nil {
		t.Fatal(err)
	}
	want, err := tree.Walk(t.Context(), p, nil)
	if err != nil {
		t.Fatal(err)
	}
	return Config{Plan: p, Want: want, Producers: producers, Consumers: consumers, Watchdog: 20 * time.Second}
}

func kind(t testing.TB, name string) rival.Kind {
	t.Helper()
	k, err := rival.Find(name)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestRun(t *testing.T) {
	for _, name := range []string{"mpqueue", "pipequeue", "bufpipe"} {
		for _, shape := range [][2]int{{1, 1}, {2, 3}} {
			t.Run(fmt.Sprintf("%s/%dx%d", name, shape[0], shape[1]), func(t *testing.T) {
				procstest.Watchdog(t, 60*time.Second)
				cfg := config(t, 100, shape[0], shape[1])
				o, err := Run(t.Context(), kind(t, name), cfg)
				if err != nil {
					t.Fatal(err)
				}
				if !o.OK() || o.Messages != cfg.Plan.Chunks || o.Lost+o.Repeated+o.Redelivered != 0 {
					t.Errorf("%+v", o)
				}
				if o.Time <= 0 || o.Usage.CPU <= 0 {
					t.Errorf("no time, or no CPU: %+v", o)
				}
			})
		}
	}
}

// TestCount holds that a run can count system calls, where the machine can.
func TestCount(t *testing.T) {
	cfg := config(t, 30, 1, 1)
	if cfg.Count = machine.FindTracepoint(); cfg.Count == 0 {
		t.Skip("system calls cannot be counted here")
	}
	o, err := Run(t.Context(), kind(t, "pipequeue"), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d system calls for %d messages", o.Calls, o.Messages)
	if o.Calls < int64(3*o.Messages) { // A write and two reads each, at least.
		t.Errorf("%d system calls for %d messages", o.Calls, o.Messages)
	}
}

// TestChaos kills four producers and four consumers of the queue and wants
// every chunk whose Put returned in the table, and no more repeats than the
// deaths explain.
func TestChaos(t *testing.T) {
	seed, seeds := procstest.Seed(t), 5
	if testing.Short() {
		seeds = 1
	}
	for n := range seeds {
		for _, shape := range [][2]int{{1, 1}, {2, 2}, {3, 2}} {
			t.Run(fmt.Sprintf("seed=%d/%dx%d", seed+int64(n), shape[0], shape[1]), func(t *testing.T) {
				procstest.Watchdog(t, 60*time.Second)
				cfg := config(t, 200, shape[0], shape[1])
				chaos(t, &cfg, seed+int64(n))
				o, err := Run(t.Context(), kind(t, "mpqueue"), cfg)
				if err != nil {
					t.Fatal(err)
				}
				if !o.OK() || o.Lost != 0 {
					t.Errorf("%+v", o)
				}
				died := map[string]int{}
				held := 0
				for _, d := range o.Deaths {
					died[d.Role]++
					if d.Held {
						held++
					}
				}
				if died["producer"] != killsPerRole || died["consumer"] != killsPerRole {
					t.Errorf("died: %v, want %d of each", died, killsPerRole)
				}
				if o.Redelivered < held || o.Redelivered > died["consumer"] {
					t.Errorf("%d redelivered; %d consumers died, %d of them with a message in their hands", o.Redelivered, died["consumer"], held)
				}
				if o.Repeated > died["consumer"]+died["producer"] {
					t.Errorf("%d arrived twice after %d deaths", o.Repeated, len(o.Deaths))
				}
				t.Logf("%d messages, %d redelivered, %d arrived twice, in %v", o.Messages, o.Redelivered, o.Repeated, o.Time)
			})
		}
	}
}

func chaos(t testing.TB, cfg *Config, seed int64) {
	t.Helper()
	shares := make([]int, cfg.Producers)
	for i := range shares {
		shares[i] = tree.Share{Index: i, Of: cfg.Producers}.Chunks(cfg.Plan)
	}
	cfg.Dooms = NewDooms(seed, shares, cfg.Consumers)
}

// TestChaosPipes holds that whatever the pipes do under kills, their run ends,
// and that the outcome says no more than the table does.
func TestChaosPipes(t *testing.T) {
	seed := procstest.Seed(t)
	for _, name := range []string{"pipequeue", "bufpipe"} {
		for n := range 3 {
			t.Run(fmt.Sprintf("%s/seed=%d", name, seed+int64(n)), func(t *testing.T) {
				procstest.Watchdog(t, 60*time.Second)
				cfg := config(t, 100, 2, 2)
				cfg.Watchdog = time.Second
				chaos(t, &cfg, seed+int64(n))
				o, err := Run(t.Context(), kind(t, name), cfg)
				if err != nil {
					t.Fatal(err)
				}
				t.Logf("%s: %s; %d of %d arrived", o.Broken, o.Detail, o.Messages, cfg.Plan.Chunks)
				if o.Broken == "" && o.Lost > 0 {
					t.Errorf("%d messages are lost and nothing is broken", o.Lost)
				}
				if o.Lost+o.Messages != cfg.Plan.Chunks {
					t.Errorf("%d lost and %d arrived of %d", o.Lost, o.Messages, cfg.Plan.Chunks)
				}
			})
		}
	}
}

func TestDooms(t *testing.T) {
	a, b := NewDooms(7, []int{1000, 900}, 3), NewDooms(7, []int{1000, 900}, 3)
	if !reflect.DeepEqual(a, b) {
		t.Error("the same seed draws other kills")
	}
	if reflect.DeepEqual(a, NewDooms(8, []int{1000, 900}, 3)) {
		t.Error("another seed draws the same kills")
	}
	for seed := range int64(1000) {
		d := NewDooms(seed, []int{1000, 900}, 3)
		for i, n := range []int{1000, 900} {
			total := 0
			for _, doom := range d.Producers[i] {
				total += doom.After
			}
			if total >= n {
				t.Errorf("seed %d: producer %d dies after it has sent its %d chunks", seed, i, n)
			}
		}
	}
}

// The broken kinds are the queue with a planted fault each; they exist in the
// workers too, since those are this binary.
func init() {
	find = func(name string) (rival.Kind, error) {
		base, fault, broken := strings.Cut(name, "+")
		k, err := rival.Find(base)
		if err != nil || !broken {
			return k, err
		}
		k.Name = name
		open := k.Sender
		k.Sender = func(e rival.Ends, f []*os.File) (rival.Sender, error) {
			s, err := open(e, f)
			return &faulty{Sender: s, fault: fault}, err
		}
		return k, nil
	}
}

// faulty spoils the tenth message.
type faulty struct {
	rival.Sender
	fault string
	n     int
}

func (f *faulty) Send(ctx context.Context, p []byte) error {
	if f.n++; f.n != 10 {
		return f.Sender.Send(ctx, p)
	}
	p = append([]byte(nil), p...)
	switch f.fault {
	case "drop":
		return nil
	case "flip":
		p[len(p)-1] ^= 1
	case "cut":
		p = p[:len(p)-1]
	case "twice":
		if err := f.Sender.Send(ctx, p); err != nil {
			return err
		}
	case "offset":
		p[8+3] ^= 0x40 // Another place in the same file.
	case "fail":
		return errors.New("planted")
	case "stop":
		<-ctx.Done()
	}
	return f.Sender.Send(ctx, p)
}

// TestPlanted holds that each fault of a queue that could spoil the files is
// seen, and told by its name.
func TestPlanted(t *testing.T) {
	for fault, want := range map[string]string{
		"drop": "lost", "flip": "", "cut": "corrupt", "offset": "corrupt", "fail": "failed", "stop": "hang",
	} {
		t.Run(fault, func(t *testing.T) {
			procstest.Watchdog(t, 60*time.Second)
			cfg := config(t, 60, 1, 1)
			cfg.Watchdog = time.Second
			k, err := find("pipequeue+" + fault)
			if err != nil {
				t.Fatal(err)
			}
			o, err := Run(t.Context(), k, cfg)
			if err != nil {
				t.Fatal(err)
			}
			if o.OK() || o.Broken != want || len(o.Wrong) == 0 {
				t.Errorf("broken %q (%s), %d wrong files; want %q and some", o.Broken, o.Detail, len(o.Wrong), want)
			}
		})
	}
	t.Run("twice", func(t *testing.T) {
		k, err := find("pipequeue+twice")
		if err != nil {
			t.Fatal(err)
		}
		o, err := Run(t.Context(), k, config(t, 60, 1, 1))
		if err != nil {
			t.Fatal(err)
		}
		if o.Repeated != 1 {
			t.Errorf("a message sent twice: %d repeated", o.Repeated)
		}
	})
}

// TestCancel holds that a cancelled run ends at once, its workers with it.
func TestCancel(t *testing.T) {
	for _, name := range []string{"mpqueue", "pipequeue"} {
		t.Run(name, func(t *testing.T) {
			procstest.Watchdog(t, 60*time.Second)
			cfg := config(t, 60, 1, 2)
			cfg.Watchdog = 0
			k, err := find(name + "+stop") // It would never end by itself.
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancelCause(t.Context())
			why := errors.New("enough")
			cfg.Progress = func(done int) {
				if done == 9 {
					cancel(why)
				}
			}
			if _, err := Run(ctx, k, cfg); !errors.Is(err, why) {
				t.Errorf("Run: %v, want the cause of the end", err)
			}
			if c := procs.Children(); len(c) > 0 {
				t.Errorf("children are left: %v", c)
			}
		})
	}
}

func TestMessage(t *testing.T) {
	cfg := config(t, 20, 1, 1)
	p := cfg.Plan
	good := 0
	b := make([]byte, maxMessage)
	for i, f := range p.Files {
		for c := range f.Chunks() {
			offset := int64(c) * tree.ChunkSize
			putHead(b, i, offset)
			size := int(min(f.Size-offset, tree.ChunkSize))
			n, chunk, err := parse(p, b[:headSize+size])
			if err != nil || n != f.First+c || len(chunk) != size {
				t.Errorf("chunk %d of %s: number %d, %d bytes, %v", c, f.Path, n, len(chunk), err)
			}
			good++
		}
	}
	if good != p.Chunks {
		t.Errorf("%d chunks of %d", good, p.Chunks)
	}
	rng := rand.New(rand.NewPCG(3, 4))
	for range 10000 { // Whatever comes: an error or a chunk of the plan, no panic.
		n := rng.IntN(64)
		for i := range n {
			b[i] = byte(rng.Uint32())
		}
		if number, _, err := parse(p, b[:n]); err == nil && (number < 0 || number >= p.Chunks) {
			t.Fatalf("% x is chunk %d of %d", b[:n], number, p.Chunks)
		}
	}
}
